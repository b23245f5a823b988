/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>

#include <systemd/sd-daemon.h>

#include "caretaker.h"
#include "system_error.h"
#include "thread.h"

#define TICK_MS 1000u

static const struct lock_class caretaker_class = {
	.name = "caretaker",
	.rank = 80,
	.flags = LOCK_LEAF,
};

/* Keys: I immutable after start, T the thread's own, C lock. */
struct caretaker {
	struct manager *manager; /* [I] */
	pthread_t thread;        /* [I] */
	uint64_t tick;           /* [T] how many there were */
	struct mutex lock;
	struct cond changed;
	bool stop; /* [C] */
};

static void
run_flush(struct work *work)
{
	struct device *device = (struct device *)(void *)((char *)work -
	    offsetof(struct device, flush_work));

	if (device_pin(device)) {
		/* Its error is btt_failed's too. */
		(void)!btt_flush(device->btt, NULL);
		device_unpin(device);
	}
	atomic_store(&device->flushing, false);
	device_unref(device);
}

static void
flush_if_due(struct caretaker *caretaker, struct device *device)
{
	if (caretaker->tick - device->flush_tick <
		device->options.commit_seconds ||
	    !device_needs_flush(device))
		return;
	/* One that takes longer than that is not queued twice. */
	if (atomic_exchange(&device->flushing, true))
		return;
	device->flush_tick = caretaker->tick;
	device->flush_work.fn = run_flush;
	workqueue_add(
	    caretaker->manager->flushes, &device_ref(device)->flush_work);
}

/* True for the first who sees it. */
static bool
freeze(struct device *device, int r)
{
	struct btt_error reason;
	bool is_first;

	(void)btt_error_set(
	    &reason, r, "writes are refused: %s", system_error_text(r));
	mutex_lock(&device->lock);
	is_first = device->state == DEVICE_LIVE;
	if (is_first)
		device_move_locked(
		    device, DEVICE_READONLY, r, "write", &reason);
	mutex_unlock(&device->lock);
	return is_first;
}

static void
look_at_health(struct caretaker *caretaker, struct device *device)
{
	int r;

	if ((r = btt_failed(device->btt)) == 0 || !freeze(device, r))
		return;
	log_say(caretaker->manager->log, LOG_ERR,
	    "%s: writes are refused from now on: %s; what was written since "
	    "the last successful fsync may be lost",
	    device->path, system_error_text(r));
	(void)sd_notifyf(0, "STATUS=%s: writes are refused: %s", device->name,
	    system_error_text(r));
}

static void
look_after(struct caretaker *caretaker, struct device *device)
{
	if (!device_pin(device))
		return;
	look_at_health(caretaker, device);
	device_unpin(device);
	flush_if_due(caretaker, device);
}

/* False when it is time to leave. */
static bool
wait_a_tick(struct caretaker *caretaker)
{
	bool go_on;

	mutex_lock(&caretaker->lock);
	if (!caretaker->stop)
		(void)cond_wait_ms(
		    &caretaker->changed, &caretaker->lock, TICK_MS);
	go_on = !caretaker->stop;
	mutex_unlock(&caretaker->lock);
	return go_on;
}

static void *
caretaker_main(void *arg)
{
	struct caretaker *caretaker = arg;
	struct registry_list list;
	size_t i;

	while (wait_a_tick(caretaker)) {
		caretaker->tick++;
		workqueue_relieve(caretaker->manager->queue);
		workqueue_relieve(caretaker->manager->flushes);
		workqueue_relieve(caretaker->manager->scrubs);
		if (registry_list(caretaker->manager->registry, &list) < 0)
			continue; /* no memory now, maybe in a second */
		for (i = 0; i < list.ndevice; i++)
			look_after(caretaker, list.devices[i]);
		registry_list_fini(&list);
	}
	return NULL;
}

int
caretaker_start(struct manager *manager, struct caretaker **ret_caretaker)
{
	struct caretaker *caretaker;
	int r;

	if ((caretaker = calloc(1, sizeof(*caretaker))) == NULL)
		return -ENOMEM;
	caretaker->manager = manager;
	mutex_init(&caretaker->lock, &caretaker_class);
	cond_init(&caretaker->changed);
	r = thread_spawn(
	    "bttfs/care", caretaker_main, caretaker, &caretaker->thread);
	if (r < 0) {
		cond_fini(&caretaker->changed);
		mutex_fini(&caretaker->lock);
		free(caretaker);
		return r;
	}
	*ret_caretaker = caretaker;
	return 0;
}

void
caretaker_stop(struct caretaker *caretaker)
{
	if (caretaker == NULL)
		return;
	mutex_lock(&caretaker->lock);
	caretaker->stop = true;
	cond_broadcast(&caretaker->changed);
	mutex_unlock(&caretaker->lock);
	(void)pthread_join(caretaker->thread, NULL); /* ours, not joined yet */
	cond_fini(&caretaker->changed);
	mutex_fini(&caretaker->lock);
	free(caretaker);
}
