/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_control -- what a client writes to the control socket; the first byte
 * says whether it may change things.
 *
 * Claims: every line has one answer, at once or later, which is one line of
 * JSON with the id of the request if that could be read, and either a result or
 * an error with a number and words; who may only look attaches nothing; a path
 * that is attached is absolute.
 *
 * Attaching itself is left out: an input must not open what is on the machine.
 */
#include <sys/epoll.h>
#include <sys/socket.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "control_impl.h"
#include "medium.h"
#include "target.h"

/* Called instead of manager_attach by what the linker binds here (--wrap). */
int __wrap_manager_attach(struct manager *manager,
    const struct device_options *options, struct job **ret_job,
    struct manager_owner *ret_owner, struct btt_error *error) BTT_MUST_CHECK;

static struct log silent;
static struct manager *manager;
static struct control control;
static struct client *client;

int
__wrap_manager_attach(struct manager *ignored,
    const struct device_options *options, struct job **ret_job,
    struct manager_owner *ret_owner, struct btt_error *error)
{
	(void)ignored;
	(void)ret_job;
	(void)ret_owner;
	FUZZ_CHECK(client->may_change);
	FUZZ_CHECK(options->path[0] == '/');
	FUZZ_CHECK((options->mode & ~(mode_t)07777) == 0);
	return btt_error_set(error, -EBUSY, "nothing is attached here");
}

static void
set_up(void)
{
	log_open(&silent, false);
	silent.level = -1;
	FUZZ_CHECK(manager_new(1, &silent, &manager) == 0);
	control.manager = manager;
	control.options.inject = true;
	control.options.mountpoint = "/mnt";
	control.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	FUZZ_CHECK(control.epoll_fd >= 0);
	TAILQ_INIT(&control.clients);
	TAILQ_INIT(&control.waiters);
}

/* One answer; false if it is an event, or the snapshot before events. */
static bool
expect_answer(const char *line, size_t len)
{
	struct json_tokener *tokener = json_tokener_new();
	struct json_object *answer, *error, *part;
	bool is_event = false;

	answer = json_tokener_parse_ex(tokener, line, (int)len);
	FUZZ_CHECK_MSG(answer != NULL, "no JSON: %.*s", (int)len, line);
	FUZZ_CHECK(json_object_is_type(answer, json_type_object));
	if (json_object_object_get_ex(answer, "error", &error)) {
		FUZZ_CHECK(json_object_object_get_ex(error, "errno", &part));
		FUZZ_CHECK(json_object_object_get_ex(error, "message", &part));
		FUZZ_CHECK(json_object_get_string_len(part) > 0);
	} else {
		is_event = !json_object_object_get_ex(answer, "result", &part);
	}
	json_object_put(answer);
	json_tokener_free(tokener);
	return !is_event;
}

static unsigned
count_answers(void)
{
	const char *at = client->out + client->out_begin;
	const char *end = client->out + client->out_end;
	unsigned n = 0;

	while (at < end) {
		const char *line = memchr(at, '\n', (size_t)(end - at));

		FUZZ_CHECK(line != NULL);
		n += expect_answer(at, (size_t)(line - at));
		at = line + 1;
	}
	return n;
}

static void
talk(int fd, const uint8_t *data, size_t size)
{
	unsigned nline = 0;

	for (size_t i = 0; i < size; i++)
		nline += data[i] == '\n';
	if (size > 0)
		FUZZ_CHECK(send(fd, data, size, 0) == (ssize_t)size);
	while (size > 0 && !client->gone && !client->closing &&
	    recv(client->fd, &(char){ 0 }, 1, MSG_PEEK | MSG_DONTWAIT) == 1)
		client_read(&control, client);
	control_serve_waiters(&control);
	if (client->gone || client->closing ||
	    client_out(client) >= CLIENT_OUT_HIGH || client->out == NULL)
		return;
	if (client->monitor_id == NULL)
		FUZZ_CHECK(count_answers() + client->nwaiter == nline);
	else
		(void)count_answers();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd[2];

	/* More than a socket takes at once is no other case. */
	if (size == 0 || size > PROTOCOL_LINE_MAX)
		return 0;
	if (manager == NULL)
		set_up();
	FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0);
	client = client_new(&control, fd[0], data[0] & 1);
	FUZZ_CHECK(client != NULL);
	talk(fd[1], data + 1, size - 1);
	client_free(&control, client);
	FUZZ_CHECK(TAILQ_EMPTY(&control.waiters));
	FUZZ_CHECK(control.nclient == 0 && control.nguest == 0);
	(void)close(fd[1]); /* ours */
	return 0;
}
