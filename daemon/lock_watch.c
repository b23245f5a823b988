/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lanes/clock.h>
#include <lanes/sync.h>
#include <lanes/watch.h>

#include "lock_watch.h"
#include "thread.h"

/* Reports kept between two ticks, and written down in a minute. */
#define NSLOT 4u
#define REPORTS_A_MINUTE 8u
#define SLOT_BYTES 4096u
#define TICKS_A_LIMIT 10u
#define TICK_MAX_MS 1000u
#define ORDERS_BYTES 65536u

static const struct lock_class watch_class = { "lock-watch", 82, LOCK_LEAF };

enum slot_state {
	SLOT_EMPTY,
	SLOT_FILLING,
	SLOT_FULL,
};

/* Keys: a atomic, S whoever has set state to FILLING, or the watch if FULL. */
struct slot {
	_Atomic(enum slot_state) state; /* [a] */
	char text[SLOT_BYTES];          /* [S] */
};

/* Keys: I immutable after start, T the thread's own, a atomic, L lock. */
struct lock_watch {
	const struct log *log;    /* [I] */
	uint64_t stall_ms;        /* [I] */
	unsigned tick_ms;         /* [I] */
	bool aborts;              /* [I] */
	pthread_t thread;         /* [I] */
	struct sync_watch *stuck; /* [T] */
	unsigned budget;          /* [T] reports left for this minute */
	uint64_t minute_ms;       /* [T] when it began */
	_Atomic uint64_t nlost;   /* [a] reports that nobody will read */
	struct slot slot[NSLOT];
	struct mutex lock; /* leaf */
	struct cond changed;
	bool stop;               /* [L] */
	sync_stall_fn *listener; /* [L] NULL: none */
	void *listener_arg;      /* [L] */
	bool telling;            /* [L] the listener is being called */
};

/* A line of the log for each of the report's. */
static void
say_report(const struct lock_watch *watch, const char *text)
{
	size_t len;

	for (; *text != '\0'; text += len + (text[len] == '\n')) {
		len = strcspn(text, "\n");
		log_say(watch->log, LOG_CRIT, "%.*s", (int)len, text);
	}
}

/* In any thread, with any lock held: neither waits nor allocates. */
static void
keep_report(void *arg, const char *text)
{
	struct lock_watch *watch = arg;

	if (watch->aborts) {
		/* Nothing comes after this, so it need not be quick. */
		say_report(watch, text);
		abort();
	}
	for (unsigned i = 0; i < NSLOT; i++) {
		struct slot *slot = &watch->slot[i];
		enum slot_state empty = SLOT_EMPTY;

		if (!atomic_compare_exchange_strong(
			&slot->state, &empty, SLOT_FILLING))
			continue;
		snprintf(slot->text, sizeof(slot->text), "%s", text);
		atomic_store(&slot->state, SLOT_FULL);
		return;
	}
	atomic_fetch_add(&watch->nlost, 1);
}

static void
say_lost(struct lock_watch *watch)
{
	uint64_t nlost = atomic_exchange(&watch->nlost, 0);

	if (nlost > 0)
		log_say(watch->log, LOG_CRIT,
		    "lanes: %" PRIu64 " violations more, %" PRIu64 " in all",
		    nlost, sync_violations());
}

/* A thread that does wrong does so with every request: not as many lines. */
static void
say_kept(struct lock_watch *watch, uint64_t now)
{
	if (now - watch->minute_ms >= 60000) {
		watch->minute_ms = now;
		watch->budget = REPORTS_A_MINUTE;
		say_lost(watch);
	}
	for (unsigned i = 0; i < NSLOT; i++) {
		struct slot *slot = &watch->slot[i];

		if (atomic_load(&slot->state) != SLOT_FULL)
			continue;
		if (watch->budget > 0) {
			watch->budget--;
			say_report(watch, slot->text);
		} else {
			atomic_fetch_add(&watch->nlost, 1);
		}
		atomic_store(&slot->state, SLOT_EMPTY);
	}
}

static void
tell_listener(struct lock_watch *watch, const struct sync_stall *stall)
{
	sync_stall_fn *fn;
	void *arg;

	mutex_lock(&watch->lock);
	fn = watch->listener;
	arg = watch->listener_arg;
	watch->telling = fn != NULL;
	mutex_unlock(&watch->lock);
	if (fn == NULL)
		return;
	fn(arg, stall);
	mutex_lock(&watch->lock);
	watch->telling = false;
	cond_broadcast(&watch->changed);
	mutex_unlock(&watch->lock);
}

void
lock_watch_listen(struct lock_watch *watch, sync_stall_fn *fn, void *arg)
{
	mutex_lock(&watch->lock);
	while (watch->telling)
		cond_wait(&watch->changed, &watch->lock);
	watch->listener = fn;
	watch->listener_arg = arg;
	mutex_unlock(&watch->lock);
}

static void
say_stall(void *arg, const struct sync_stall *stall)
{
	struct lock_watch *watch = arg;

	log_say(watch->log, LOG_WARNING,
	    "lane-stall: '%s' %u is held by thread %d for %" PRIu64 ".%" PRIu64
	    " s, taken at %s",
	    stall->class->name, stall->index, (int)stall->owner,
	    stall->held_ms / 1000, stall->held_ms % 1000 / 100, stall->place);
	tell_listener(watch, stall);
}

/* False when it is time to leave. */
static bool
wait_a_tick(struct lock_watch *watch)
{
	bool go_on;

	mutex_lock(&watch->lock);
	if (!watch->stop)
		(void)cond_wait_ms(
		    &watch->changed, &watch->lock, watch->tick_ms);
	go_on = !watch->stop;
	mutex_unlock(&watch->lock);
	return go_on;
}

static void *
watch_main(void *arg)
{
	struct lock_watch *watch = arg;

	while (wait_a_tick(watch)) {
		say_kept(watch, clock_ms());
		sync_watch_look(watch->stuck, clock_ms(), watch->stall_ms,
		    say_stall, watch);
	}
	return NULL;
}

int
lock_watch_start(
    const struct log *log, uint64_t stall_ms, struct lock_watch **ret_watch)
{
	struct lock_watch *watch;
	int r;

	if ((watch = calloc(1, sizeof(*watch))) == NULL)
		return -ENOMEM;
	watch->log = log;
	watch->stall_ms = stall_ms;
	watch->tick_ms = stall_ms / TICKS_A_LIMIT < TICK_MAX_MS
	    ? (unsigned)(stall_ms / TICKS_A_LIMIT)
	    : TICK_MAX_MS;
	watch->minute_ms = clock_ms();
	watch->budget = REPORTS_A_MINUTE;
	watch->aborts = secure_getenv("BTTFS_LOCK_ABORT") != NULL;
	if ((r = sync_watch_new(&watch->stuck)) < 0)
		goto fail;
	mutex_init(&watch->lock, &watch_class);
	cond_init(&watch->changed);
	sync_on_violation(keep_report, watch);
	r = thread_spawn("bttfs/locks", watch_main, watch, &watch->thread);
	if (r < 0)
		goto fail_thread;
	*ret_watch = watch;
	return 0;

fail_thread:
	sync_on_violation(NULL, NULL);
	cond_fini(&watch->changed);
	mutex_fini(&watch->lock);
	sync_watch_free(watch->stuck);
fail:
	free(watch);
	return r;
}

/* One write, so that lines of several processes do not mix. */
static void
save_orders(const struct lock_watch *watch)
{
	const char *path = secure_getenv("BTTFS_LOCK_ORDERS");
	size_t len;
	char *text;
	int fd;

	if (path == NULL || (text = malloc(ORDERS_BYTES)) == NULL)
		return;
	len = sync_order_format(text, ORDERS_BYTES);
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
	if (fd < 0 || write(fd, text, len) != (ssize_t)len)
		log_say(watch->log, LOG_ERR, "%s: %s", path,
		    strerrordesc_np(errno));
	if (fd >= 0)
		(void)close(fd);
	free(text);
}

void
lock_watch_stop(struct lock_watch *watch)
{
	if (watch == NULL)
		return;
	mutex_lock(&watch->lock);
	watch->stop = true;
	cond_broadcast(&watch->changed);
	mutex_unlock(&watch->lock);
	(void)pthread_join(watch->thread, NULL); /* ours, not joined yet */
	sync_on_violation(NULL, NULL);
	say_kept(watch, clock_ms());
	say_lost(watch);
	save_orders(watch);
	cond_fini(&watch->changed);
	mutex_fini(&watch->lock);
	sync_watch_free(watch->stuck);
	free(watch);
}
