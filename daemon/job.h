/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_JOB_H
#define BTTFS_JOB_H

/*
 * job -- a record of work that somebody asked for: who waits for it, what it is
 * doing, how it ended.  The work itself is elsewhere (manager.h, scrub.h).
 *
 * Life: job_new makes a record that nobody sees yet; job_begin gives it a
 * number and shows it, and cannot fail, so that work which must not fail for
 * lack of memory has its record beforehand; job_end says how it ended, once.
 * The newest of the ended ones stay to be looked at.
 *
 * References: job_new's is the caller's, the table has its own.
 */
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include <btt/error.h>

#include "event.h"

enum job_verb {
	JOB_ATTACH,
	JOB_DETACH,
	JOB_DESTROY,
	JOB_INJECT_ERROR,
	JOB_CLEAR_ERRORS,
	JOB_SCRUB,
	JOB_VERBS
};

enum job_state {
	JOB_QUEUED,
	JOB_RUNNING,
	JOB_DONE,
	JOB_FAILED,
	JOB_CANCELLED,
};

const char *job_verb_name(enum job_verb verb);
const char *job_state_name(enum job_state state);

struct job;
struct job_table;

/* What a job has counted, for scripts. */
struct job_number {
	const char *name; /* static; a key in JSON */
	uint64_t value;
};
#define JOB_NUMBERS_MAX 8u

/* A copy of all there is to know.  Nothing in here points to the job. */
struct job_info {
	uint64_t id; /* from 1 on, never used twice */
	enum job_verb verb;
	enum job_state state;
	char device[NAME_MAX + 1];
	const char *stage;       /* static; NULL before the first one */
	uint64_t done, total;    /* progress; total 0: not known */
	struct timespec started; /* real time of job_begin */
	uint64_t age_ms;         /* since then, or until it ended */
	int error;               /* negative errno, 0 unless it failed */
	uint64_t owner;          /* job that was in the way, 0: none */
	unsigned nnumber;
	struct job_number number[JOB_NUMBERS_MAX];
	char message[sizeof(((struct btt_error *)NULL)->text)];
};

/* events hears of each end, and outlives the table. */
int job_table_new(struct event_ring *events, struct job_table **ret_table)
    BTT_MUST_CHECK;
/* All jobs have ended, and nobody has a reference.  NULL is fine. */
void job_table_free(struct job_table *table);

int job_new(struct job_table *table, enum job_verb verb, const char *device,
    struct job **ret_job) BTT_MUST_CHECK;
struct job *job_ref(struct job *job);
/* NULL is fine. */
void job_unref(struct job *job);

/* Before job_begin only: the record is used for something else. */
void job_set_verb(struct job *job, enum job_verb verb);
/* Returns its number.  Any lock of lower rank may be held. */
uint64_t job_begin(struct job *job);
/* Its number, 0 before job_begin. */
uint64_t job_id(const struct job *job);
/* It runs, and this is what it does; stage is static. */
void job_set_stage(struct job *job, const char *stage);
/* Something to know about it while it runs: why it takes long. */
void job_set_note(struct job *job, const char *note);
void job_set_progress(struct job *job, uint64_t done, uint64_t total);

/* At most JOB_NUMBERS_MAX of them, before it ends. */
void
job_set_numbers(struct job *job, const struct job_number *numbers, unsigned n);

/*
 * How it ended: well if r is 0, cancelled if it is -ECANCELED, else failed for
 * the reason in error or, without one, what r says.  owner is the job that was
 * in the way, or 0.  No lock is held.
 */
void
job_end(struct job *job, int r, const struct btt_error *error, uint64_t owner);

/* Ask a job that looks at job_is_unwanted to stop; it may end well all the
 * same. */
void job_cancel(struct job *job);
bool job_is_unwanted(const struct job *job);

/*
 * Around the work of a job, in the thread that does it: so the validator knows
 * what is waited for (CP-15).
 */
void job_work_begin(struct job_table *table);
void job_work_end(struct job_table *table);

void job_get_info(struct job *job, struct job_info *ret_info);
static inline bool
job_has_ended(const struct job_info *info)
{
	return info->state != JOB_QUEUED && info->state != JOB_RUNNING;
}

/*
 * Wait until it has ended, for at most timeout_ms; false if it has not.
 * Waiting is like taking a lock of the lowest rank: nothing may be held (CP-15).
 */
bool job_wait(struct job *job, uint64_t timeout_ms);

/* A reference to the job of that number, or NULL. */
struct job *job_find(struct job_table *table, uint64_t id);

/*
 * Copy the infos of all jobs, the oldest first, into an array that the caller
 * frees.
 */
int job_list(struct job_table *table, struct job_info **ret_infos,
    size_t *ret_n) BTT_MUST_CHECK;

/* The highest number given out. */
uint64_t job_last_id(struct job_table *table);
/*
 * Has everything that comes and goes up to this number ended?  Scrubs, which
 * may go on for days, do not count.
 */
bool job_is_settled(struct job_table *table, uint64_t up_to);
/* The same as a wait, as job_wait. */
bool job_settle(struct job_table *table, uint64_t up_to, uint64_t timeout_ms);

#endif
