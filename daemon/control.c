/* SPDX-License-Identifier: BSD-3-Clause */
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include <lanes/clock.h>

#include "control_impl.h"
#include "system_error.h"
#include "thread.h"

/* How long clients are given to take their last answers. */
#define FAREWELL_MS 1000u

uint64_t
control_now_ms(void)
{
	return clock_ms() + 1;
}

/* An end of the line that a client has begun and does not end. */
static uint64_t
line_deadline(const struct client *client)
{
	return client->line_ms != 0 ? client->line_ms + CLIENT_LINE_MS
				    : UINT64_MAX;
}

static int
timeout_ms(const struct control *control)
{
	const struct client *client;
	uint64_t first, deadline, now;

	first = control_next_deadline(control);
	TAILQ_FOREACH(client, &control->clients, link)
	{
		deadline = line_deadline(client);
		if (deadline < first)
			first = deadline;
	}
	if (first == UINT64_MAX)
		return -1;
	now = control_now_ms();
	return first > now ? (int)(first - now) : 0;
}

static void
expire_lines(struct control *control)
{
	const struct failure failure = {
		.r = -ETIMEDOUT,
		.error = { "a line was begun and not ended" },
	};
	struct client *client;
	uint64_t now;

	now = control_now_ms();
	TAILQ_FOREACH(client, &control->clients, link)
	{
		if (client->gone || line_deadline(client) > now)
			continue;
		client_answer_failure(control, client, NULL, &failure);
		client->line_ms = 0;
		client->closing = true;
	}
}

static void
clear_eventfd(int fd)
{
	eventfd_t count;

	(void)eventfd_read(fd, &count); /* if another has: good */
}

static void
serve_client(struct control *control, struct client *client, uint32_t events)
{
	if ((events & (EPOLLHUP | EPOLLERR)) != 0 && (events & EPOLLIN) == 0) {
		client->gone = true;
		return;
	}
	if ((events & EPOLLOUT) != 0)
		client_write(control, client);
	if ((events & EPOLLIN) != 0 && !client->gone)
		client_read(control, client);
}

/* Send a client what there is for it, as far as it takes it. */
static void
look_after_client(struct control *control, struct client *client)
{
	do {
		if (!client->gone && client->monitor_id != NULL)
			control_pump(control, client);
		if (!client->gone)
			client_write(control, client);
		/* What it takes all of leaves room for more. */
	} while (!client->gone && client_out(client) == 0 &&
	    client->monitor_id != NULL &&
	    client->next_seq < event_next_seq(control->manager->events));
	if (!client->gone)
		client_resume(control, client);
	if (client->gone)
		client_free(control, client);
	else
		client_update(control, client);
}

/* Bring everybody up to date with what has happened. */
static void
look_after_clients(struct control *control)
{
	struct client *client, *next;

	control_serve_waiters(control);
	expire_lines(control);
	for (client = TAILQ_FIRST(&control->clients); client != NULL;
	     client = next) {
		next = TAILQ_NEXT(client, link);
		look_after_client(control, client);
	}
}

static void
serve(struct control *control, const struct epoll_event *event, bool *stop)
{
	if (event->data.ptr == &control->listen_fd) {
		control_accept(control);
	} else if (event->data.ptr == &control->event_fd) {
		clear_eventfd(control->event_fd);
	} else if (event->data.ptr == &control->stop_fd) {
		clear_eventfd(control->stop_fd);
		*stop = true;
	} else
		serve_client(control, event->data.ptr, event->events);
}

static void
one_round(struct control *control, int wait_ms, bool *stop)
{
	struct epoll_event events[32];
	int i, n;

	n = epoll_wait(control->epoll_fd, events, 32, wait_ms);
	/* A client may be freed only when no event of it can be among these. */
	for (i = 0; i < n; i++)
		serve(control, &events[i], stop);
	look_after_clients(control);
}

static bool
has_output(const struct control *control)
{
	const struct client *client;

	TAILQ_FOREACH(client, &control->clients, link)
	{
		if (client_out(client) > 0)
			return true;
	}
	return false;
}

static void *
control_main(void *arg)
{
	struct control *control = arg;
	bool stop = false;
	uint64_t until;

	while (!stop)
		one_round(control, timeout_ms(control), &stop);
	until = control_now_ms() + FAREWELL_MS;
	while (has_output(control) && control_now_ms() < until)
		one_round(control, 10, &stop);
	return NULL;
}

static int
watch(struct control *control, int *fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = fd };

	return epoll_ctl(control->epoll_fd, EPOLL_CTL_ADD, *fd, &event) != 0
	    ? -errno
	    : 0;
}

static void
close_if(int fd)
{
	if (fd >= 0)
		(void)close(fd);
}

static void
destroy(struct control *control)
{
	struct client *client;

	while ((client = TAILQ_FIRST(&control->clients)) != NULL)
		client_free(control, client);
	control_unlisten(control);
	close_if(control->epoll_fd);
	close_if(control->event_fd);
	close_if(control->stop_fd);
	free(control);
}

static int
prepare(struct control *control, struct btt_error *error)
{
	int r;

	control->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	control->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	control->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (control->epoll_fd < 0 || control->event_fd < 0 ||
	    control->stop_fd < 0)
		return system_error(error, -errno, "descriptors");
	if ((r = control_listen(control, error)) < 0)
		return r;
	if ((r = watch(control, &control->listen_fd)) < 0 ||
	    (r = watch(control, &control->event_fd)) < 0 ||
	    (r = watch(control, &control->stop_fd)) < 0)
		return system_error(error, r, "epoll_ctl");
	return 0;
}

int
control_start(struct manager *manager, const struct control_options *options,
    struct control **ret_control, struct btt_error *error)
{
	struct control *control;
	int r;

	if ((control = calloc(1, sizeof(*control))) == NULL)
		return btt_error_set(error, -ENOMEM, "out of memory");
	control->manager = manager;
	control->options = *options;
	control->listen_fd = control->epoll_fd = -1;
	control->event_fd = control->stop_fd = -1;
	TAILQ_INIT(&control->clients);
	TAILQ_INIT(&control->waiters);
	if ((r = prepare(control, error)) < 0) {
		destroy(control);
		return r;
	}
	event_listen(manager->events, control->event_fd);
	r = thread_spawn(
	    "bttfs/control", control_main, control, &control->thread);
	if (r < 0) {
		event_listen(manager->events, -1);
		destroy(control);
		return system_error(error, r, "starting a thread");
	}
	*ret_control = control;
	return 0;
}

void
control_stop(struct control *control)
{
	if (control == NULL)
		return;
	(void)eventfd_write(control->stop_fd, 1);  /* cannot overflow */
	(void)pthread_join(control->thread, NULL); /* ours, not joined yet */
	event_listen(control->manager->events, -1);
	destroy(control);
}
