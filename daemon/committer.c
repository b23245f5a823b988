/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <systemd/sd-daemon.h>

#include "committer.h"

#define TICK_MS 1000u

static const struct lock_class committer_class = { "committer", 80, LOCK_LEAF };

/* Keys: I immutable after start, T the thread's own, C lock. */
struct committer {
	struct device *device;     /* [I] */
	struct btt_worker *worker; /* [I] */
	const struct log *log;     /* [I] */
	unsigned seconds;          /* [I] */
	pthread_t thread;          /* [I] */
	bool said;                 /* [T] that the device has failed */
	struct mutex lock;         /* leaf */
	struct cond changed;
	bool stop; /* [C] */
};

/* A device that fails does so for good: say it once. */
static void
look_after(struct committer *committer)
{
	const struct device *device = committer->device;
	int r = btt_failed(device->btt);

	if (r == 0 || committer->said)
		return;
	committer->said = true;
	log_say(committer->log, LOG_ERR,
	    "%s: writes are refused from now on: %s; what was written since "
	    "the last successful fsync may be lost",
	    device->path, strerrordesc_np(-r));
	(void)sd_notifyf(0, "STATUS=%s: writes are refused: %s", device->name,
	    strerrordesc_np(-r));
}

/* False when it is time to leave. */
static bool
wait_a_tick(struct committer *committer)
{
	bool go_on;

	mutex_lock(&committer->lock);
	if (!committer->stop)
		(void)cond_wait_ms(
		    &committer->changed, &committer->lock, TICK_MS);
	go_on = !committer->stop;
	mutex_unlock(&committer->lock);
	return go_on;
}

static void *
committer_main(void *arg)
{
	struct committer *committer = arg;
	unsigned since = 0;

	(void)pthread_setname_np(pthread_self(), "bttfs/commit");
	while (wait_a_tick(committer)) {
		if (++since >= committer->seconds) {
			/* Its error is btt_failed's too. */
			(void)!btt_flush(
			    committer->device->btt, committer->worker);
			since = 0;
		}
		look_after(committer);
	}
	return NULL;
}

int
committer_start(struct device *device, struct btt_worker *worker,
    unsigned seconds, const struct log *log, struct committer **ret_committer)
{
	struct committer *committer;
	sigset_t all, old;
	int r;

	if ((committer = calloc(1, sizeof(*committer))) == NULL)
		return -ENOMEM;
	committer->device = device;
	committer->worker = worker;
	committer->seconds = seconds;
	committer->log = log;
	mutex_init(&committer->lock, &committer_class);
	cond_init(&committer->changed);
	/* Signals are the main thread's, but for faults on the medium. */
	(void)sigfillset(&all);
	(void)sigdelset(&all, SIGBUS);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&committer->thread, NULL, committer_main, committer);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r != 0) {
		cond_fini(&committer->changed);
		mutex_fini(&committer->lock);
		free(committer);
		return -r;
	}
	*ret_committer = committer;
	return 0;
}

void
committer_stop(struct committer *committer)
{
	if (committer == NULL)
		return;
	mutex_lock(&committer->lock);
	committer->stop = true;
	cond_broadcast(&committer->changed);
	mutex_unlock(&committer->lock);
	(void)pthread_join(committer->thread, NULL); /* ours, not joined yet */
	cond_fini(&committer->changed);
	mutex_fini(&committer->lock);
	free(committer);
}
