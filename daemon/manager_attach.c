/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * manager_attach -- from wanting a device to showing it.
 *
 * The steps of a probe are a table, in the order of CP-7: what the first
 * request may need is there before the device can be found, and showing it is
 * the last step.  A step that fails has nothing to undo but by closing (CP-8).
 * Between steps it is looked whether anybody still wants the device.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "device_kept.h"
#include "manager_impl.h"
#include "scrub.h"
#include "system_error.h"

/* How often a delay that a test wants looks around. */
#define TRIAL_MS 10u

/* One probe.  Its job's own, on the stack. */
struct probe {
	struct manager *manager;
	struct device *device;
	int fd; /* of the backing store, O_PATH; or -1 */
	struct media_identity identity;
	struct btt_error error;
	bool refused;   /* somebody else has what we want */
	uint64_t owner; /* their job */
};

static void
on_finding(void *arg, const struct btt_finding *finding)
{
	const struct probe *probe = arg;

	log_say(probe->manager->log,
	    finding->severity == BTT_DAMAGE ? LOG_WARNING : LOG_NOTICE,
	    "%s: %s: %s", probe->device->path, finding->name, finding->text);
}

/* Take note of who has what, and give the reference to them back. */
static int
refuse(struct probe *probe, struct device *owner, int r, const char *what)
{
	struct manager_owner is = { 0 };

	manager_fill_owner(owner, &is);
	device_unref(owner);
	probe->refused = true;
	probe->owner = is.job;
	return btt_error_set(&probe->error, r, "%s '%s' (%s)", what, is.device,
	    device_state_name(is.state));
}

/* One that is gone but for its name will not be in the way for long. */
static bool
is_gone(struct device *owner)
{
	struct device_status status;

	device_get_status(owner, &status);
	return status.state == DEVICE_GONE;
}

static int
step_find(struct probe *probe)
{
	return device_find(
	    probe->device, &probe->fd, &probe->identity, &probe->error);
}

static int
step_claim(struct probe *probe)
{
	struct device *owner;
	int r;

	for (;;) {
		r = registry_claim_backing(probe->manager->registry,
		    probe->device, &probe->identity, &owner);
		if (r != -EBUSY)
			return r;
		if (!is_gone(owner))
			return refuse(probe, owner, r, "it is the device");
		device_unref(owner);
		manager_sleep_ms(1);
	}
}

static int
step_open(struct probe *probe)
{
	return device_open(probe->device, probe->fd, &probe->error);
}

static int
step_badblocks(struct probe *probe)
{
	return device_load_bad(probe->device, &probe->error);
}

static int
step_identify(struct probe *probe)
{
	uint8_t uuid[BTT_UUID_BYTES];
	struct device *owner;
	int r;

	r = device_identify(probe->device, uuid, &probe->error);
	while (r == 0) {
		r = registry_claim_uuid(
		    probe->manager->registry, probe->device, uuid, &owner);
		if (r != -EEXIST)
			break;
		if (!is_gone(owner))
			return refuse(
			    probe, owner, r, "its UUID is that of the device");
		device_unref(owner);
		manager_sleep_ms(1);
		r = 0;
	}
	return r;
}

/* From here on a crash must not undo what is acknowledged. */
static int
step_keep(struct probe *probe)
{
	struct device *device = probe->device;
	struct device_kept *kept;
	int r;

	if (device->kept != NULL)
		return 0; /* the predecessor's */
	r = device_kept_new(probe->manager->keeper, device->name,
	    &device->options, &kept, &probe->error);
	if (r == 0)
		device_set_kept(device, kept);
	return r;
}

static int
step_recover(struct probe *probe)
{
	struct device *device = probe->device;
	struct event event = { .kind = EVENT_ARENA_RECOVERED };
	int r;

	r = device_start(
	    device, probe->manager->pool, on_finding, probe, &probe->error);
	if (r < 0 || device->geometry.nrecovered == 0)
		return r;
	event.count = device->geometry.nrecovered;
	device_fill_event(device, &event);
	event_append(device->events, &event);
	return 0;
}

static int
show_locked(struct probe *probe, struct device *device) REQUIRES(device->lock)
{
	uint64_t nodeid;
	int r;

	if (device->dead)
		return -ECANCELED;
	nodeid = device_kept_nodeid(device->kept);
	r = nodeid != 0
	    ? tree_show_again(
		  probe->manager->tree, device, nodeid, &probe->error)
	    : tree_show(probe->manager->tree, device, &nodeid, &probe->error);
	if (r < 0)
		return r;
	/*
	 * A crash just here shows the file by another number: the kernel may
	 * have heard of this one by now, and finds nobody there.
	 */
	device_kept_set_nodeid(device->kept, nodeid);
	device_set_nodeid_locked(device, nodeid);
	device->probing = false;
	device_move_locked(device,
	    device->geometry.read_only ? DEVICE_READONLY : DEVICE_LIVE, 0, NULL,
	    NULL);
	return 0;
}

static int
step_show(struct probe *probe)
{
	struct device *device = probe->device;
	int r;

	mutex_lock(&device->lock);
	r = show_locked(probe, device);
	mutex_unlock(&device->lock);
	return r;
}

static const struct step {
	const char *name;
	int (*run)(struct probe *probe);
} steps[] = {
	{ "find", step_find },
	{ "claim", step_claim },
	{ "open", step_open },
	{ "badblocks", step_badblocks },
	{ "identify", step_identify },
	{ "keep", step_keep },
	{ "recover", step_recover },
	{ "show", step_show },
};
#define NSTEP (sizeof(steps) / sizeof(steps[0]))

const char *
manager_stage(const char *name)
{
	size_t i;

	for (i = 0; i < NSTEP; i++) {
		if (strcmp(steps[i].name, name) == 0)
			return steps[i].name;
	}
	return NULL;
}

static bool
is_dead(struct device *device)
{
	bool dead;

	mutex_lock(&device->lock);
	dead = device->dead;
	mutex_unlock(&device->lock);
	return dead;
}

/* What a test wants to happen before this step, or in its place. */
static int
try_trial(struct probe *probe, const struct step *step)
{
	const struct device_trial *trial = &probe->device->options.trial;
	unsigned slept_ms;

	if (trial->stage == NULL || strcmp(trial->stage, step->name) != 0)
		return 0;
	for (slept_ms = 0; slept_ms < trial->delay_ms; slept_ms += TRIAL_MS) {
		if (is_dead(probe->device))
			return -ECANCELED;
		manager_sleep_ms(TRIAL_MS);
	}
	return trial->error;
}

/* Returns what the last step did; *ret_step is that one. */
static int
run_steps(struct probe *probe, const struct step **ret_step)
{
	size_t i;
	int r;

	r = 0;
	for (i = 0; i < NSTEP && r == 0; i++) {
		*ret_step = &steps[i];
		if (is_dead(probe->device))
			return -ECANCELED;
		job_set_stage(probe->device->attach_job, steps[i].name);
		if ((r = try_trial(probe, &steps[i])) == 0)
			r = steps[i].run(probe);
	}
	return r;
}

enum outcome {
	SHOWN,
	FAILED,  /* stays to be seen */
	REFUSED, /* leaves nothing */
	KILLED,  /* is to be detached by who did it */
};

/* What becomes of a device that was not shown. */
static enum outcome
decide_locked(const struct probe *probe, struct device *device, int r,
    const char *stage) REQUIRES(device->lock)
{
	device->probing = false;
	if (device->dead)
		return KILLED;
	if (!probe->refused) {
		device_move_locked(
		    device, DEVICE_FAILED, r, stage, &probe->error);
		return FAILED;
	}
	(void)device_kill_locked(device); /* nobody has, see above */
	device_move_locked(device, DEVICE_GONE, r, stage, &probe->error);
	return REFUSED;
}

static enum outcome
end_without(struct probe *probe, int r, const char *stage)
{
	struct device *device = probe->device;
	enum outcome outcome;

	(void)device_close(device); /* nobody has written to it */
	registry_disclaim(probe->manager->registry, device);
	if (probe->error.text[0] == '\0')
		(void)btt_error_set(
		    &probe->error, r, "%s", system_error_text(r));
	mutex_lock(&device->lock);
	outcome = decide_locked(probe, device, r, stage);
	mutex_unlock(&device->lock);
	if (outcome == REFUSED)
		registry_remove(probe->manager->registry, device);
	return outcome;
}

static void
run_probe(struct work *work)
{
	struct device *device = (struct device *)(void *)((char *)work -
	    offsetof(struct device, probe_work));
	struct probe probe = {
		.manager = device->manager,
		.device = device,
		.fd = -1,
	};
	const struct step *step;
	enum outcome outcome;
	int r;

	job_work_begin(probe.manager->jobs);
	r = run_steps(&probe, &step);
	if (probe.fd >= 0)
		(void)close(probe.fd); /* a name, no more */
	outcome = r == 0 ? SHOWN : end_without(&probe, r, step->name);
	if (outcome == SHOWN)
		scrub_shown(probe.manager, device);
	job_end(device->attach_job, outcome == KILLED ? -ECANCELED : r,
	    &probe.error, probe.owner);
	/* Last, since it may be the end of the device. */
	if (outcome == KILLED)
		manager_queue_detach(probe.manager, device);
	job_work_end(probe.manager->jobs);
	device_unref(device);
}

/*
 * Let a device that has failed make room for another try.  False if it is in
 * the way for good reason.
 */
static bool
retire(struct manager *manager, struct device *device)
{
	bool retired;

	mutex_lock(&device->lock);
	retired = device->state == DEVICE_FAILED && device_kill_locked(device);
	if (retired)
		device_move_locked(device, DEVICE_GONE, 0, NULL, NULL);
	mutex_unlock(&device->lock);
	if (retired)
		registry_remove(manager->registry, device);
	return retired;
}

static int
insert_or_say_why(struct manager *manager, struct device *device,
    struct manager_owner *ret_owner, struct btt_error *error)
{
	struct device *owner;
	bool makes_room;
	int r;

	while ((r = registry_insert(manager->registry, device, &owner)) ==
	    -EEXIST) {
		makes_room = is_gone(owner) || retire(manager, owner);
		if (!makes_room)
			manager_fill_owner(owner, ret_owner);
		device_unref(owner);
		if (!makes_room)
			return btt_error_set(error, r,
			    "there is a device named '%s' already (%s)",
			    device->name, device_state_name(ret_owner->state));
	}
	if (r == -ENOSPC)
		return btt_error_set(error, r, "there are %u devices already",
		    REGISTRY_DEVICE_MAX);
	return r;
}

static int
attach(struct manager *manager, const struct device_options *options,
    struct device_kept *kept, struct job **ret_job,
    struct manager_owner *ret_owner, struct btt_error *error)
{
	struct device *device;
	int r;

	r = device_new(options, manager->events, manager->jobs, &device, error);
	if (r < 0) {
		device_kept_free(kept);
		return r;
	}
	device_set_kept(device, kept);
	device->manager = manager;
	device->probe_work.fn = run_probe;
	r = insert_or_say_why(manager, device, ret_owner, error);
	if (r < 0) {
		device_unref(device);
		return r;
	}
	*ret_job = job_ref(device->attach_job);
	/* With our reference to the device. */
	workqueue_add(manager->queue, &device->probe_work);
	return 0;
}

int
manager_attach(struct manager *manager, const struct device_options *options,
    struct job **ret_job, struct manager_owner *ret_owner,
    struct btt_error *error)
{
	return manager_attach_again(
	    manager, options, NULL, ret_job, ret_owner, error);
}

int
manager_attach_again(struct manager *manager,
    const struct device_options *options, struct device_kept *kept,
    struct job **ret_job, struct manager_owner *ret_owner,
    struct btt_error *error)
{
	int r;

	ret_owner->found = false;
	if (!pins_take(&manager->open)) {
		device_kept_free(kept);
		device_options_close(options);
		return btt_error_set(
		    error, -ESHUTDOWN, "the daemon is about to end");
	}
	r = attach(manager, options, kept, ret_job, ret_owner, error);
	pins_drop(&manager->open);
	return r;
}
