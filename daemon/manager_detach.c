/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * manager_detach -- from a device that is shown to one that is gone: exactly
 * one caller wins (CP-2), and the rest is a job.
 *
 * Order, opposite to that of a probe: nobody is admitted any more, the file is
 * out of sight, those who are inside have left, all is durable, the backing
 * store is released, the BTT on it destroyed if that is wanted, the name is
 * free.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>

#include "manager_impl.h"
#include "system_error.h"

/* How long those inside are waited for before it is said who they are. */
#define SAY_FIRST_MS 5000u
#define SAY_AGAIN_MS 60000u
/* Longest pause between two looks. */
#define LOOK_MS_MAX 50u

/* Only what is in use, so that it is certain what is destroyed. */
static int
may_wipe_locked(struct device *device, struct btt_error *error)
    REQUIRES(device->lock)
{
	if (device->dead && !device->wipe)
		return btt_error_set(
		    error, -EBUSY, "somebody else is detaching it");
	if (device->dead)
		return 0;
	if (!device_state_is_shown(device->state))
		return btt_error_set(error, -EINVAL,
		    "it is %s; detach it, and destroy what is on its backing "
		    "store",
		    device_state_name(device->state));
	if (device->options.read_only)
		return btt_error_set(
		    error, -EROFS, "it was attached for reading only");
	return 0;
}

/*
 * The winner gets the number of the job; one who lost gets 0, and is to look at
 * the winner's.
 */
static int
kill_locked(struct device *device, const struct manager_detach_options *options,
    bool *ret_won, struct btt_error *error) REQUIRES(device->lock)
{
	uint64_t nopen;
	int r;

	nopen = device_count_handles(device);
	if (!device->dead && nopen > 0 && !options->force)
		return btt_error_set(error, -EBUSY,
		    "it is in use: %llu open handle%s",
		    (unsigned long long)nopen, nopen == 1 ? "" : "s");
	if (options->wipe && (r = may_wipe_locked(device, error)) < 0)
		return r;
	*ret_won = device_kill_locked(device);
	if (!*ret_won)
		return 0;
	if (options->wipe) {
		device->wipe = true;
		job_set_verb(device->detach_job, JOB_DESTROY);
	}
	device_set_job_locked(device, job_begin(device->detach_job));
	device_move_locked(device, DEVICE_DRAINING, 0, NULL, NULL);
	return 0;
}

int
manager_detach_device(struct manager *manager, struct device *device,
    const struct manager_detach_options *options, struct job **ret_job,
    bool *ret_won, struct btt_error *error)
{
	bool probing;
	int r;

	mutex_lock(&device->lock);
	r = kill_locked(device, options, ret_won, error);
	probing = device->probing;
	mutex_unlock(&device->lock);
	if (r < 0)
		return r;
	/* Its own probe was the winner, and has left nothing to do. */
	if (job_id(device->detach_job) == 0)
		return btt_error_set(error, -ENODEV, "it is gone already");
	*ret_job = job_ref(device->detach_job);
	/* Where it is being probed that job owns it, and passes it on. */
	if (*ret_won && !probing)
		manager_queue_detach(manager, device);
	return 0;
}

int
manager_detach(struct manager *manager, const char *name,
    const struct manager_detach_options *options, struct job **ret_job,
    bool *ret_won, struct btt_error *error)
{
	struct device *device;
	int r;

	if ((r = manager_find(manager, name, &device, error)) < 0)
		return r;
	r = manager_detach_device(
	    manager, device, options, ret_job, ret_won, error);
	device_unref(device);
	return r;
}

/* The device that the job attaches, referenced, while it does. */
static struct device *
probing_device(
    struct manager *manager, const struct job *job, const struct job_info *info)
{
	struct device *device;
	bool is;

	if ((device = registry_find(manager->registry, info->device)) == NULL)
		return NULL;
	mutex_lock(&device->lock);
	is = device->attach_job == job && device->probing;
	mutex_unlock(&device->lock);
	if (is)
		return device;
	device_unref(device);
	return NULL;
}

int
manager_cancel(
    struct manager *manager, struct job *job, struct btt_error *error)
{
	const struct manager_detach_options options = { .force = true };
	struct device *device;
	struct job_info info;
	struct job *detach;
	bool won;
	int r;

	job_get_info(job, &info);
	if (job_has_ended(&info))
		return btt_error_set(error, -EALREADY, "it has ended");
	if (info.verb == JOB_SCRUB || info.verb == JOB_CLEAR_ERRORS) {
		job_cancel(job);
		return 0;
	}
	if (info.verb != JOB_ATTACH)
		return btt_error_set(error, -EOPNOTSUPP,
		    "what takes something away cannot be stopped");
	if ((device = probing_device(manager, job, &info)) == NULL)
		return btt_error_set(error, -EALREADY, "it is over already");
	r = manager_detach_device(
	    manager, device, &options, &detach, &won, error);
	if (r == 0)
		job_unref(detach);
	device_unref(device);
	return r;
}

/*
 * The name only.  To forget the whole file the kernel would wait for its
 * writers, with the directory locked: one device that hangs, and nobody finds
 * any other.
 */
static void
hide(struct manager *manager, struct device *device, uint64_t nodeid)
{
	tree_hide(manager->tree, nodeid);
	/* A LOOKUP that was faster has been answered when this returns. */
	if (!pins_take(&manager->kernel_pins))
		return;
	if (manager->kernel != NULL)
		manager->kernel->forget_name(
		    manager->kernel->arg, device->name, nodeid);
	pins_drop(&manager->kernel_pins);
}

/* What others have mapped must not be there any more. */
static void
forget_data(struct manager *manager, uint64_t nodeid)
{
	if (!pins_take(&manager->kernel_pins))
		return;
	if (manager->kernel != NULL)
		manager->kernel->forget_data(manager->kernel->arg, nodeid);
	pins_drop(&manager->kernel_pins);
}

/* Who is still inside; both the log and the job's record tell (CP-14). */
static void
say_who(struct manager *manager, struct device *device, unsigned waited_ms)
{
	char inside[400], text[512];
	uint64_t npin;

	tree_describe_inside(manager->tree, device, inside, sizeof(inside));
	npin = pins_count(&device->pins);
	snprintf(text, sizeof(text), "waiting for %s%s%s for %u s", inside,
	    inside[0] != '\0' && npin > 0 ? " and " : "",
	    npin > 0 ? "work in the background" : "", waited_ms / 1000);
	job_set_note(device->detach_job, text);
	log_say(manager->log, LOG_WARNING, "%s: %s", device->path, text);
}

/* Returns when nobody is inside, however long that takes. */
static void
drain(struct manager *manager, struct device *device)
{
	unsigned look_ms = 1, waited_ms = 0, say_ms = SAY_FIRST_MS;

	pins_close(&device->pins);
	tree_note_wait(manager->tree);
	while (!tree_is_left(manager->tree, device) ||
	    pins_count(&device->pins) > 0) {
		manager_sleep_ms(look_ms);
		waited_ms += look_ms;
		if (look_ms < LOOK_MS_MAX)
			look_ms *= 2;
		if (waited_ms >= say_ms) {
			say_who(manager, device, waited_ms);
			say_ms += SAY_AGAIN_MS;
		}
	}
	job_set_note(device->detach_job, "");
}

static void
tell_flush_error(struct device *device, int r)
{
	struct event event = { .kind = EVENT_FLUSH_ERROR, .error = r };

	device_fill_event(device, &event);
	event_append(device->events, &event);
}

/* The name is free when the event is out: who hears it can attach. */
static void
leave(struct manager *manager, struct device *device)
{
	mutex_lock(&device->lock);
	device_move_locked(device, DEVICE_GONE, 0, NULL, NULL);
	mutex_unlock(&device->lock);
	registry_remove(manager->registry, device);
}

static void
run_detach(struct work *work)
{
	struct device *device = (struct device *)(void *)((char *)work -
	    offsetof(struct device, detach_work));
	struct manager *manager = device->manager;
	struct job *job = device->detach_job;
	struct btt_error error = { "" };
	struct device_status status;
	int r, r2 = 0;

	job_work_begin(manager->jobs);
	device_get_status(device, &status);
	job_set_stage(job, "hide");
	if (status.nodeid != 0)
		hide(manager, device, status.nodeid);
	job_set_stage(job, "drain");
	drain(manager, device);
	job_set_stage(job, "close");
	if (status.nodeid != 0) {
		forget_data(manager, status.nodeid);
		tree_forget(manager->tree, status.nodeid, device);
	}
	if ((r = device_close(device)) < 0)
		tell_flush_error(device, r);
	if (device->wipe) {
		job_set_stage(job, "wipe");
		r2 = device_wipe(device, &error);
	}
	registry_disclaim(manager->registry, device);
	leave(manager, device);
	if (r2 < 0)
		job_end(job, r2, &error, 0);
	else
		job_end(job, r, NULL, 0);
	job_work_end(manager->jobs);
	device_unref(device);
}

void
manager_queue_detach(struct manager *manager, struct device *device)
{
	device->detach_work.fn = run_detach;
	workqueue_add(manager->queue, &device_ref(device)->detach_work);
}
