/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "manager_impl.h"
#include "system_error.h"

/* Side by side while none is stuck: enough to hide a slow backing store. */
#define NQUEUE 8u
#define NFLUSH 2u
#define NSCRUB 2u

/* How often the end of all devices is looked for, and spoken of. */
#define STOP_POLL_MS 100u
#define STOP_SAY_MS 5000u

/* What is waited for at the end: who attaches, who tells the kernel. */
static const struct lock_class open_class = {
	.name = "attach-idle",
	.flags = LOCK_IDLE,
};
static const struct lock_class kernel_class = {
	.name = "kernel-idle",
	.flags = LOCK_IDLE,
};

int
manager_new(
    unsigned nworker, const struct log *log, struct manager **ret_manager)
{
	struct manager *manager;
	int r;

	if ((manager = calloc(1, sizeof(*manager))) == NULL)
		return -ENOMEM;
	manager->log = log;
	pins_init(&manager->open, &open_class);
	pins_init(&manager->kernel_pins, &kernel_class);
	manager->nworker = nworker;
	atomic_init(&manager->idle, (1u << MANAGER_BACKGROUND) - 1);
	r = btt_worker_pool_new(nworker + MANAGER_BACKGROUND, &manager->pool);
	if (r < 0 || (r = event_ring_new(&manager->events)) < 0 ||
	    (r = job_table_new(manager->events, &manager->jobs)) < 0 ||
	    (r = registry_new(&manager->registry)) < 0 ||
	    (r = tree_new(nworker, &manager->tree)) < 0 ||
	    (r = workqueue_new("bttfs/job", NQUEUE, &manager->queue)) < 0 ||
	    (r = workqueue_new("bttfs/flush", NFLUSH, &manager->flushes)) < 0 ||
	    (r = workqueue_new("bttfs/scrub", NSCRUB, &manager->scrubs)) < 0) {
		manager_free(manager);
		return r;
	}
	*ret_manager = manager;
	return 0;
}

void
manager_set_keeper(
    struct manager *manager, struct keeper_client *keeper, uint64_t number)
{
	manager->keeper = keeper;
	tree_set_number(manager->tree, number);
}

void
manager_free(struct manager *manager)
{
	if (manager == NULL)
		return;
	/* Their last pieces of work may be about to return. */
	workqueue_free(manager->scrubs);
	workqueue_free(manager->flushes);
	workqueue_free(manager->queue);
	tree_free(manager->tree);
	registry_free(manager->registry);
	job_table_free(manager->jobs);
	event_ring_free(manager->events);
	btt_worker_pool_free(manager->pool);
	free(manager);
}

struct btt_worker *
manager_take_worker(struct manager *manager)
{
	unsigned idle = atomic_load(&manager->idle);
	unsigned i;

	while (idle != 0) {
		i = (unsigned)__builtin_ctz(idle);
		if (atomic_compare_exchange_weak(
			&manager->idle, &idle, idle & ~(1u << i)))
			return btt_worker_pool_get(
			    manager->pool, manager->nworker + i);
	}
	return NULL;
}

void
manager_give_worker(struct manager *manager, struct btt_worker *worker)
{
	unsigned i = 0;

	while (
	    btt_worker_pool_get(manager->pool, manager->nworker + i) != worker)
		i++;
	(void)atomic_fetch_or(&manager->idle, 1u << i);
}

void
manager_sleep_ms(unsigned ms)
{
	const struct timespec time = {
		.tv_sec = ms / 1000,
		.tv_nsec = (long)(ms % 1000) * 1000000,
	};

	sync_assert_none_held(SYNC_HERE);
	(void)SYNC_SLEEPS(nanosleep(&time, NULL)); /* shorter is fine */
}

void
manager_flush_all(struct manager *manager)
{
	struct registry_list list;
	struct device *device;
	size_t i;

	if (registry_list(manager->registry, &list) < 0)
		return;
	for (i = 0; i < list.ndevice; i++) {
		device = list.devices[i];
		if (!pins_take(&device->pins))
			continue;
		if (device->btt != NULL)
			(void)!btt_flush(device->btt, NULL);
		pins_drop(&device->pins);
	}
	registry_list_fini(&list);
}

void
manager_set_kernel(struct manager *manager, const struct manager_kernel *kernel)
{
	manager->kernel = kernel;
}

void
manager_unset_kernel(struct manager *manager)
{
	pins_close(&manager->kernel_pins);
	/* It has let go of the mount, so it answers at once. */
	while (pins_count(&manager->kernel_pins) > 0)
		manager_sleep_ms(1);
}

int
manager_find(struct manager *manager, const char *name,
    struct device **ret_device, struct btt_error *error)
{
	struct device *device;

	if ((device = registry_find(manager->registry, name)) == NULL)
		return btt_error_set(
		    error, -ENODEV, "there is no device named '%s'", name);
	*ret_device = device;
	return 0;
}

void
manager_fill_owner(struct device *device, struct manager_owner *ret_owner)
{
	struct device_status status;

	device_get_status(device, &status);
	ret_owner->found = true;
	(void)snprintf(
	    ret_owner->device, sizeof(ret_owner->device), "%s", device->name);
	(void)snprintf(ret_owner->backing, sizeof(ret_owner->backing), "%s",
	    device->backing);
	ret_owner->state = status.state;
	ret_owner->job = status.job;
}

static void
detach_all(struct manager *manager, const struct registry_list *list)
{
	const struct manager_detach_options options = { .force = true };
	struct job *job;
	size_t i;
	bool won;

	for (i = 0; i < list->ndevice; i++) {
		/* One that has gone by itself meanwhile is as good. */
		if (manager_detach_device(manager, list->devices[i], &options,
			&job, &won, NULL) == 0)
			job_unref(job);
	}
}

/* Say what is waited for. */
static void
say_waiting(struct manager *manager, struct job *job)
{
	struct job_info info;

	job_get_info(job, &info);
	log_say(manager->log, LOG_WARNING,
	    "%s: still detaching: %s%s%s; a signal does not wait", info.device,
	    info.stage != NULL ? info.stage : "queued",
	    info.message[0] != '\0' ? ": " : "", info.message);
}

/* False if whoever wants us to end can wait no longer. */
static bool
await_end(struct manager *manager, struct job *job,
    bool (*is_hurried)(void *arg), void *arg)
{
	unsigned waited_ms = 0;

	while (!job_wait(job, STOP_POLL_MS)) {
		waited_ms += STOP_POLL_MS;
		if (waited_ms % STOP_SAY_MS == 0)
			say_waiting(manager, job);
		workqueue_relieve(manager->queue);
		if (is_hurried != NULL && is_hurried(arg))
			return false;
	}
	return true;
}

/*
 * The job after which a killed device is gone.  One that was refused by its own
 * probe has no job that detaches it.
 */
static struct job *
last_job(struct device *device)
{
	return job_id(device->detach_job) != 0 ? device->detach_job
					       : device->attach_job;
}

int
manager_stop(struct manager *manager, bool (*is_hurried)(void *arg), void *arg)
{
	struct registry_list list;
	struct job_info info;
	struct job *job;
	size_t i;
	int r;

	pins_close(&manager->open);
	while (pins_count(&manager->open) > 0)
		manager_sleep_ms(1);
	if ((r = registry_list(manager->registry, &list)) < 0)
		return r;
	detach_all(manager, &list);
	for (i = 0; i < list.ndevice; i++) {
		job = last_job(list.devices[i]);
		if (!await_end(manager, job, is_hurried, arg)) {
			r = -EINTR;
			break;
		}
		job_get_info(job, &info);
		if (info.verb == JOB_ATTACH || info.error == 0)
			continue;
		log_say(manager->log, LOG_ERR, "%s: %s", list.devices[i]->path,
		    system_error_text(info.error));
		if (r == 0)
			r = info.error;
	}
	registry_list_fini(&list);
	return r;
}
