/* SPDX-License-Identifier: BSD-3-Clause */
#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <lanes/clock.h>
#include <lanes/idle.h>
#include <lanes/sync.h>

#include "job.h"
#include "system_error.h"

/* Ended jobs that are kept to be looked at. */
#define HISTORY_MAX 256u

/* Of the table and all its jobs: they are touched a few times in a life. */
static const struct lock_class job_class = {
	.name = "job",
	.rank = 80,
	.flags = 0,
};

/* What is waited for where the end of jobs is. */
static const struct lock_class work_class = {
	.name = "jobs-idle",
	.flags = LOCK_IDLE,
};

/* Keys: I immutable, a atomic, J the table's lock, B until job_begin. */
struct job {
	struct job_table *table;       /* [I] */
	_Atomic unsigned nref;         /* [a] */
	_Atomic bool unwanted;         /* [a] */
	uint64_t started_ms, ended_ms; /* [J] of clock_ms */
	struct job_info info;          /* [J]; B: verb, device */
	TAILQ_ENTRY(job) link;         /* [J] */
};

/* Keys: I immutable, J lock. */
struct job_table {
	struct event_ring *events; /* [I] */
	struct idle idle;          /* [I] */
	struct mutex lock;
	struct cond ended;      /* some job has */
	TAILQ_HEAD(, job) jobs; /* [J] by number */
	uint64_t last_id;       /* [J] */
	unsigned nended;        /* [J] of jobs */
};

const char *
job_verb_name(enum job_verb verb)
{
	static const char *const names[JOB_VERBS] = {
		[JOB_ATTACH] = "attach",
		[JOB_DETACH] = "detach",
		[JOB_DESTROY] = "destroy",
		[JOB_INJECT_ERROR] = "inject-error",
		[JOB_CLEAR_ERRORS] = "clear-errors",
		[JOB_SCRUB] = "scrub",
	};

	return names[verb];
}

const char *
job_state_name(enum job_state state)
{
	switch (state) {
	case JOB_QUEUED:
		return "queued";
	case JOB_RUNNING:
		return "running";
	case JOB_DONE:
		return "done";
	case JOB_FAILED:
		return "failed";
	case JOB_CANCELLED:
		return "cancelled";
	}
	return "unknown";
}

int
job_table_new(struct event_ring *events, struct job_table **ret_table)
{
	struct job_table *table;

	if ((table = calloc(1, sizeof(*table))) == NULL)
		return -ENOMEM;
	table->events = events;
	idle_init(&table->idle, &work_class);
	mutex_init(&table->lock, &job_class);
	cond_init(&table->ended);
	TAILQ_INIT(&table->jobs);
	*ret_table = table;
	return 0;
}

void
job_table_free(struct job_table *table)
{
	struct job *job;

	if (table == NULL)
		return;
	while ((job = TAILQ_FIRST(&table->jobs)) != NULL) {
		TAILQ_REMOVE(&table->jobs, job, link);
		job_unref(job);
	}
	cond_fini(&table->ended);
	mutex_fini(&table->lock);
	free(table);
}

int
job_new(struct job_table *table, enum job_verb verb, const char *device,
    struct job **ret_job)
{
	struct job *job;

	if ((job = calloc(1, sizeof(*job))) == NULL)
		return -ENOMEM;
	job->table = table;
	atomic_init(&job->nref, 1);
	job->info.verb = verb;
	(void)snprintf(
	    job->info.device, sizeof(job->info.device), "%s", device);
	*ret_job = job;
	return 0;
}

struct job *
job_ref(struct job *job)
{
	atomic_fetch_add(&job->nref, 1);
	return job;
}

void
job_unref(struct job *job)
{
	if (job != NULL && atomic_fetch_sub(&job->nref, 1) == 1)
		free(job);
}

void
job_set_verb(struct job *job, enum job_verb verb)
{
	assert(job->info.id == 0);
	job->info.verb = verb;
}

uint64_t
job_begin(struct job *job)
{
	struct job_table *table = job->table;
	uint64_t id;

	assert(job->info.id == 0);
	job_ref(job); /* the table's */
	mutex_lock(&table->lock);
	job->info.id = id = ++table->last_id;
	(void)clock_gettime(CLOCK_REALTIME, &job->info.started);
	job->started_ms = clock_ms();
	TAILQ_INSERT_TAIL(&table->jobs, job, link);
	mutex_unlock(&table->lock);
	return id;
}

uint64_t
job_id(const struct job *job)
{
	uint64_t id;

	mutex_lock(&job->table->lock);
	id = job->info.id;
	mutex_unlock(&job->table->lock);
	return id;
}

void
job_set_stage(struct job *job, const char *stage)
{
	mutex_lock(&job->table->lock);
	job->info.state = JOB_RUNNING;
	job->info.stage = stage;
	mutex_unlock(&job->table->lock);
}

void
job_set_note(struct job *job, const char *note)
{
	mutex_lock(&job->table->lock);
	(void)snprintf(
	    job->info.message, sizeof(job->info.message), "%s", note);
	mutex_unlock(&job->table->lock);
}

void
job_set_progress(struct job *job, uint64_t done, uint64_t total)
{
	mutex_lock(&job->table->lock);
	job->info.done = done;
	job->info.total = total;
	mutex_unlock(&job->table->lock);
}

void
job_set_numbers(struct job *job, const struct job_number *numbers, unsigned n)
{
	assert(n <= JOB_NUMBERS_MAX);
	mutex_lock(&job->table->lock);
	job->info.nnumber = n;
	memcpy(job->info.number, numbers, n * sizeof(*numbers));
	mutex_unlock(&job->table->lock);
}

static bool
is_ended(const struct job *job)
{
	return job_has_ended(&job->info);
}

/* The oldest that has ended leaves if there are too many.  To be unreferenced. */
static struct job *
trim_history(struct job_table *table) REQUIRES(table->lock)
{
	struct job *job;

	if (table->nended <= HISTORY_MAX)
		return NULL;
	TAILQ_FOREACH(job, &table->jobs, link)
	{
		if (!is_ended(job))
			continue;
		TAILQ_REMOVE(&table->jobs, job, link);
		table->nended--;
		return job;
	}
	return NULL;
}

static enum job_state
state_for(int r)
{
	if (r == 0)
		return JOB_DONE;
	return r == -ECANCELED ? JOB_CANCELLED : JOB_FAILED;
}

static void
tell_end(struct job_table *table, const struct job_info *info)
{
	struct event event = {
		.kind = EVENT_JOB_FINISHED,
		.job = info->id,
		.verb = job_verb_name(info->verb),
		.outcome = job_state_name(info->state),
		.error = info->error,
		.stage = info->error != 0 ? info->stage : NULL,
	};

	memcpy(event.device, info->device, sizeof(event.device));
	(void)snprintf(event.text, sizeof(event.text), "%.*s",
	    (int)sizeof(event.text) - 1, info->message);
	event_append(table->events, &event);
}

void
job_end(struct job *job, int r, const struct btt_error *error, uint64_t owner)
{
	struct job_table *table = job->table;
	struct job *old;
	const char *text;

	sync_assert_none_held(SYNC_HERE);
	text = "";
	if (error != NULL && error->text[0] != '\0')
		text = error->text;
	else if (r < 0)
		text = system_error_text(r);
	mutex_lock(&table->lock);
	assert(!is_ended(job));
	job->info.state = state_for(r);
	job->info.error = r;
	job->info.owner = owner;
	(void)snprintf(
	    job->info.message, sizeof(job->info.message), "%s", text);
	job->ended_ms = clock_ms();
	table->nended++;
	/* Before anybody is woken: who waited for the end finds the event. */
	tell_end(table, &job->info);
	old = trim_history(table);
	cond_broadcast(&table->ended);
	mutex_unlock(&table->lock);
	job_unref(old);
}

NO_TSA void
job_work_begin(struct job_table *table)
{
	idle_enter(&table->idle);
}

NO_TSA void
job_work_end(struct job_table *table)
{
	idle_leave(&table->idle);
}

void
job_cancel(struct job *job)
{
	atomic_store(&job->unwanted, true);
}

bool
job_is_unwanted(const struct job *job)
{
	return atomic_load(&job->unwanted);
}

static void
get_info_locked(const struct job_table *table, const struct job *job,
    struct job_info *ret_info) REQUIRES(table->lock)
{
	uint64_t until_ms = is_ended(job) ? job->ended_ms : clock_ms();

	(void)table;
	*ret_info = job->info;
	ret_info->age_ms = until_ms - job->started_ms;
}

void
job_get_info(struct job *job, struct job_info *ret_info)
{
	struct job_table *table = job->table;

	mutex_lock(&table->lock);
	get_info_locked(table, job, ret_info);
	mutex_unlock(&table->lock);
}

/* Something that becomes true at some job's end. */
struct condition {
	const struct job *job; /* that it has ended; or NULL: */
	uint64_t up_to;        /* that all up to here have */
};

static bool
is_settled_locked(const struct job_table *table, uint64_t up_to)
    REQUIRES(table->lock)
{
	const struct job *job;

	TAILQ_FOREACH(job, &table->jobs, link)
	{
		if (job->info.id > up_to)
			break;
		if (job->info.verb != JOB_SCRUB && !is_ended(job))
			return false;
	}
	return true;
}

static bool
holds_locked(const struct job_table *table, const struct condition *condition)
    REQUIRES(table->lock)
{
	if (condition->job != NULL)
		return is_ended(condition->job);
	return is_settled_locked(table, condition->up_to);
}

static bool
wait_until(struct job_table *table, const struct condition *condition,
    uint64_t timeout_ms)
{
	uint64_t begun_ms, waited_ms = 0;
	bool holds;

	idle_wait(&table->idle);
	begun_ms = clock_ms();
	mutex_lock(&table->lock);
	holds = holds_locked(table, condition);
	while (!holds && waited_ms < timeout_ms) {
		(void)cond_wait_ms(
		    &table->ended, &table->lock, timeout_ms - waited_ms);
		holds = holds_locked(table, condition);
		waited_ms = clock_ms() - begun_ms;
	}
	mutex_unlock(&table->lock);
	return holds;
}

bool
job_wait(struct job *job, uint64_t timeout_ms)
{
	const struct condition condition = { .job = job };

	return wait_until(job->table, &condition, timeout_ms);
}

bool
job_settle(struct job_table *table, uint64_t up_to, uint64_t timeout_ms)
{
	const struct condition condition = { .up_to = up_to };

	return wait_until(table, &condition, timeout_ms);
}

bool
job_is_settled(struct job_table *table, uint64_t up_to)
{
	bool is;

	mutex_lock(&table->lock);
	is = is_settled_locked(table, up_to);
	mutex_unlock(&table->lock);
	return is;
}

struct job *
job_find(struct job_table *table, uint64_t id)
{
	struct job *job;

	mutex_lock(&table->lock);
	TAILQ_FOREACH(job, &table->jobs, link)
	{
		if (job->info.id == id)
			break;
	}
	if (job != NULL)
		job_ref(job);
	mutex_unlock(&table->lock);
	return job;
}

static size_t
count_locked(const struct job_table *table) REQUIRES(table->lock)
{
	const struct job *job;
	size_t n = 0;

	TAILQ_FOREACH(job, &table->jobs, link)
	n++;
	return n;
}

int
job_list(struct job_table *table, struct job_info **ret_infos, size_t *ret_n)
{
	struct job_info *infos;
	struct job *job;
	size_t n, room;

	mutex_lock(&table->lock);
	room = count_locked(table);
	mutex_unlock(&table->lock);
	/* Jobs that begin meanwhile are the next listing's. */
	if ((infos = calloc(room + 1, sizeof(*infos))) == NULL)
		return -ENOMEM;
	n = 0;
	mutex_lock(&table->lock);
	TAILQ_FOREACH(job, &table->jobs, link)
	{
		if (n == room)
			break;
		get_info_locked(table, job, &infos[n++]);
	}
	mutex_unlock(&table->lock);
	*ret_infos = infos;
	*ret_n = n;
	return 0;
}

uint64_t
job_last_id(struct job_table *table)
{
	uint64_t id;

	mutex_lock(&table->lock);
	id = table->last_id;
	mutex_unlock(&table->lock);
	return id;
}
