/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CRASH_WORLD_H
#define CRASH_WORLD_H

/*
 * world -- one run of a scenario: a medium, the engine on it, what is promised
 * so far, and where in the run we are, so that a failure can be replayed.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <btt/btt.h>

#include "enumerate.h"
#include "sched.h"
#include "sim_media.h"
#include "spec.h"

#define STEPS_MAX_THREAD 8
#define ARENAS_MAX 3

enum step_kind {
	STEP_WRITE,
	STEP_ZERO,
	STEP_READ,
	STEP_FLUSH,
	STEP_REOPEN,
	STEP_SPOIL, /* the block that the sector has now is poisoned, silently */
	STEP_CLEAR, /* what is known to be bad, of all sectors */
	STEP_SCRUB,
	STEP_LOSE, /* a part of arena 0 that is no data; which is in lba */
};

/* What STEP_LOSE takes: a unit of map or log, all of an info block. */
enum lost_part {
	LOST_MAP,
	LOST_MAP2, /* its second unit: a tail's entries */
	LOST_LOG,
	LOST_INFO,
	LOST_INFO2,
	LOST_FOREIGN, /* the backup becomes one of another BTT */
	LOST_NPART
};

struct step {
	enum step_kind kind;
	uint8_t part; /* 3 whole sectors, 1 first half, 2 second half */
	uint8_t lba;
	uint8_t n;
};

struct program {
	unsigned nthread;
	struct {
		unsigned nstep;
		struct step step[STEPS_MAX_THREAD];
	} thread[SCHED_THREADS];
};

/* Kinds of media as bits. */
#define ON(kind) (1u << (kind))
#define ON_CPU (ON(SIM_LINE) | ON(SIM_LINE_TEMPORAL) | ON(SIM_BYTE))
#define ON_PAGE (ON(SIM_PAGE512) | ON(SIM_PAGE4096) | ON(SIM_PAGE64))

/* Shape of the BTT and way of opening it. */
struct shape {
	uint32_t sector_bytes;
	uint32_t nlba;  /* of all arenas, which have equal parts of them */
	uint32_t nfree; /* of each arena */
	unsigned nlane;
	enum btt_durability durability;
	unsigned nage;       /* writes before the run, to have a past */
	bool set_zero;       /* zeroes are Z entries also in small sectors */
	bool error_entry;    /* sector 0 is marked bad */
	bool old_log;        /* slots 0 and 2, as before 4.15 */
	uint32_t meta_bytes; /* kept beside each sector */
	uint32_t narena;     /* 0: one */
	uint32_t ntail;      /* sectors behind those, which nobody touches */
	/* Masks: whose blocks are poisoned when the run begins. */
	uint32_t bad_sectors, bad_pairs;
	bool bad_hidden; /* and nobody knows until it is touched */
};

enum fault_kind {
	FAULT_NONE,
	FAULT_FENCE,  /* the n-th fence of the run fails */
	FAULT_LOST,   /* and pages go back to what the medium has */
	FAULT_ERROR,  /* the n-th change returns -EIO */
	FAULT_SIGNAL, /* the n-th change raises SIGBUS */
};

/* All that determines a run, and so all that a replay needs. */
struct run {
	const char *scenario; /* name, or NULL */
	const char *program;  /* text */
	struct shape shape;
	enum sim_kind kind;
	enum sched_mode mode;
	unsigned depth;
	uint64_t seed;
	enum fault_kind fault;
	unsigned fault_n;
	struct enum_plan plan;
	unsigned life_every;  /* a second life for one image in so many */
	unsigned whole_every; /* open by btt_open for one image in so many */
	/* Replay: only this image of this crash point, 0: all of all. */
	unsigned only_point;
	const struct enum_choice *only_choice; /* NULL: all of the point */
};

/* Counters in memory that the parent process sees. */
struct tally {
	uint64_t nschedule;
	uint64_t npoint;
	uint64_t nimage;
	uint64_t nnested; /* of nimage: crashed inside recovery */
	uint64_t nlife;   /* of nimage: crashed after a recovery and writes */
	uint64_t nwhole;  /* of nimage: opened by btt_open too */
	uint64_t nfault;
	double seconds;       /* of the processor */
	const char *scenario; /* static strings: parent and child share them */
	enum sim_kind kind;
	bool failed;
	char what[256];
	char replay[16384];
};

struct world {
	struct run run;
	struct program program;
	struct tally *tally;
	unsigned narena;
	struct btt_arena_place place[ARENAS_MAX];
	struct sim *sim;  /* of the run */
	struct sim *rec;  /* of recoveries, on the same bytes */
	struct sim *rec2; /* of recoveries of recoveries, likewise */
	uint8_t *image;   /* what every run starts from */
	struct spec_value start[SPEC_LBAS];
	struct spec spec;
	struct btt_worker_pool *pool;
	struct btt_worker_pool *check_pool;
	struct btt *btt;
	struct world *parent; /* whose image our life began with */
	struct world *life;   /* our next life, made when first needed */
	bool over;            /* create.c: there is an old BTT */
	bool has_poison;      /* or may get some */
	bool may_lose;        /* metadata */
	uint32_t errors;      /* mask of sectors that are, or may be, bad */
	bool lost;      /* pages went back: live reads prove nothing now */
	uint32_t nstep; /* decisions of the last schedule */
	bool finished;  /* all threads have: the schedule is over */
	unsigned current_op[SIM_THREADS];
	uint32_t failed_at; /* time of the first failed fence, or SPEC_NEVER */

	/* The crash point that is being looked at. */
	unsigned point;
	const struct enum_choice *choice;
	struct spec_legal legal[SPEC_LBAS];
	const char *what; /* "fence", "ack" ... */
};

/* Parse "w0 r1 | z0"; false on nonsense. */
bool program_parse(const char *text, struct program *ret_program);
struct text;
void program_print(const struct program *program, struct text *out);

struct world *world_new(const struct run *run, struct tally *tally);
void world_free(struct world *world);

/* Run the scenario once, with all its crash points.  Exits on a violation. */
void world_run(struct world *world);

/* Nothing has happened yet, and the sectors hold these values, durably. */
void world_begin(struct world *world, const struct spec_value *start);
/* Open the engine on world->sim; violations are reported. */
void world_open(struct world *world);
void world_close(struct world *world);
void world_step(struct world *world, unsigned thread, const struct step *step);

/* poison.c: what is bad at the beginning, and what becomes so. */
void poison_setup(struct world *world);
void poison_open(struct world *world);
void poison_step(struct world *world, const struct step *step);

/* loss.c: metadata of arena 0 is lost, and the system tells at once. */
void lose_step(struct world *world, const struct step *step);
/*
 * Has the image that is in the view lost metadata, or is it not to be trusted?
 * Then it is held against what is promised for that, instead of all the rest.
 */
bool loss_check_image(struct world *world, uint64_t hash);

/*
 * A group that needs an entry of what is lost cannot be committed: the device
 * fails, and says so from then on.
 */
bool lost_for_good(const struct world *world);

/* upkeep.c: all that is bad becomes zeroes; all is read. */
void clear_step(struct world *world, unsigned thread);
void scrub_step(struct world *world, unsigned thread);

/* The running thread's request is answered, it says, and goes on. */
void world_early_return(void);

/* All arenas are alike, but for where they are. */
static inline const struct btt_info *
world_info(const struct world *world)
{
	return &world->place[0].info;
}

/* Sectors of an arena that programs may touch. */
static inline uint32_t
world_nlba(const struct world *world)
{
	return world->run.shape.nlba / world->narena;
}

/* The arena of a sector, and the sector's number in it. */
static inline unsigned
world_arena_of(const struct world *world, uint32_t lba, uint32_t *ret_premap)
{
	*ret_premap = lba % world_info(world)->external_nlba;
	return lba / world_info(world)->external_nlba;
}

/* Offset of a block on the medium. */
static inline uint64_t
world_block_off(const struct world *world, unsigned a, uint32_t block)
{
	const struct btt_arena_place *place = &world->place[a];

	return place->off + place->info.dataoff +
	    (uint64_t)block * place->info.internal_lbasize;
}

/* Bytes of the map and of the log of an arena, as they are now. */
static inline const uint8_t *
world_map(const struct world *world, unsigned a)
{
	return world->sim->view + world->place[a].off +
	    world->place[a].info.mapoff;
}

static inline const uint8_t *
world_log(const struct world *world, unsigned a)
{
	return world->sim->view + world->place[a].off +
	    world->place[a].info.logoff;
}

/* image.c: bytes of a few small arenas.  Returns those of all. */
uint64_t image_layout(
    const struct shape *shape, struct btt_arena_place ret_place[ARENAS_MAX]);
void image_format(uint8_t *bytes, const struct btt_arena_place *place,
    const struct shape *shape);
void image_mark_bad(uint8_t *bytes, const struct btt_arena_place *place);

/* recover.c: all images of this instant. */
void crash_point(struct world *world, const char *what);

/* dump.c: map, log, values and history as they are now, on stdout. */
void world_dump(struct world *world);
/* Do so at a violation. */
extern bool report_verbose;

/* report.c: say what is wrong and how to see it again; does not return. */
_Noreturn void violation(struct world *world, const char *invariant,
    const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The world a signal or an assertion would be about. */
extern struct world *report_world;

/* Is one of n in `every` chosen by this number? */
static inline bool
one_in(uint64_t hash, unsigned every)
{
	return every > 0 && hash % every == 0;
}

#endif
