/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * control -- the socket: what is asked is answered, also where many ask at
 * once; what makes no sense is refused and does no harm; who may only look
 * changes nothing.
 */
#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <control.h>
#include <json-c/json.h>
#include <json_get.h>
#include <protocol.h>

#include "../support/check_locks.h"
#include "../support/check_main.h"
#include "../support/manager_fixture.h"

#define NCLIENT 16u

static struct rig rig;
static struct control *control;
static struct control_options options;
static char socket_path[RIG_PATH_BYTES];

static void
setup(void)
{
	struct btt_error error = { "" };

	rig_setup(&rig, 2);
	rig_path(&rig, "control.sock", socket_path);
	options = (struct control_options){
		.path = socket_path,
		.mode = 0666,
		.inject = true,
		.mountpoint = "/mnt",
	};
	ck_assert_int_eq(
	    control_start(rig.manager, &options, &control, &error), 0);
}

static void
teardown(void)
{
	control_stop(control);
	rig_teardown(&rig);
}

/* One connection, read with time to spare but not for ever. */
struct talk {
	int fd;
	size_t used;
	char buffer[1 << 18];
};

static void
talk_open(struct talk *talk)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const struct timeval patience = { .tv_sec = 60 };

	memset(talk, 0, sizeof(*talk));
	strcpy(address.sun_path, socket_path);
	talk->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(talk->fd, 0);
	ck_assert_int_eq(setsockopt(talk->fd, SOL_SOCKET, SO_RCVTIMEO,
			     &patience, sizeof(patience)),
	    0);
	ck_assert_int_eq(
	    connect(talk->fd, (struct sockaddr *)&address, sizeof(address)), 0);
}

static void
talk_close(struct talk *talk)
{
	ck_assert_int_eq(close(talk->fd), 0);
}

static void
say_bytes(struct talk *talk, const char *bytes, size_t n)
{
	ck_assert_int_eq(send(talk->fd, bytes, n, MSG_NOSIGNAL), (ssize_t)n);
}

static void
say(struct talk *talk, const char *text)
{
	say_bytes(talk, text, strlen(text));
	say_bytes(talk, "\n", 1);
}

/* The next line, NULL if the other side has closed; to be released. */
static struct json_object *
hear(struct talk *talk)
{
	struct json_object *object;
	char *end;
	ssize_t n;

	while ((end = memchr(talk->buffer, '\n', talk->used)) == NULL) {
		n = recv(talk->fd, talk->buffer + talk->used,
		    sizeof(talk->buffer) - talk->used, 0);
		if (n <= 0) {
			ck_assert_msg(n == 0 || errno == ECONNRESET, "recv: %s",
			    strerrordesc_np(errno));
			return NULL;
		}
		talk->used += (size_t)n;
	}
	*end = '\0';
	object = json_tokener_parse(talk->buffer);
	ck_assert_msg(object != NULL, "no JSON: %s", talk->buffer);
	talk->used -= (size_t)(end + 1 - talk->buffer);
	memmove(talk->buffer, end + 1, talk->used);
	return object;
}

static void
talk_begin(struct talk *talk)
{
	struct json_object *greeting;

	talk_open(talk);
	greeting = hear(talk);
	ck_assert_str_eq(json_get_text(greeting, "protocol"), PROTOCOL_NAME);
	ck_assert_int_eq(json_object_get_int(json_get(greeting, "version")),
	    (int)PROTOCOL_VERSION);
	json_object_put(greeting);
}

/* Say one line; its answer is an error with that name. */
static void
expect_error(struct talk *talk, const char *line, const char *name)
{
	struct json_object *answer;

	say(talk, line);
	answer = hear(talk);
	ck_assert_ptr_nonnull(answer);
	ck_assert_msg(strcmp(json_get_text(json_get(answer, "error"), "errno"),
			  name) == 0,
	    "%s: not %s but %s", line, name,
	    json_object_to_json_string(answer));
	ck_assert_str_ne(
	    json_get_text(json_get(answer, "error"), "message"), "");
	json_object_put(answer);
}

/* The server is there and answers. */
static void
expect_alive(struct talk *talk)
{
	struct json_object *answer;

	say(talk, "{\"id\":77,\"verb\":\"version\"}");
	answer = hear(talk);
	ck_assert_ptr_nonnull(answer);
	ck_assert_int_eq(json_object_get_int(json_get(answer, "id")), 77);
	ck_assert_ptr_nonnull(json_get(answer, "result"));
	json_object_put(answer);
}

START_TEST(request__that_makes_no_sense_is_refused)
{
	static const struct {
		const char *line, *name;
	} cases[] = {
		{ "", "EBADMSG" },
		{ "nonsense", "EBADMSG" },
		{ "{\"id\":1,\"verb\":", "EBADMSG" },
		{ "{\"id\":1,\"verb\":\"version\"} trailing", "EBADMSG" },
		{ "[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]", "EBADMSG" },
		{ "1", "EINVAL" },
		{ "[]", "EINVAL" },
		{ "null", "EINVAL" },
		{ "{}", "EINVAL" },
		{ "{\"verb\":\"version\"}", "EINVAL" },
		{ "{\"id\":null,\"verb\":\"version\"}", "EINVAL" },
		{ "{\"id\":[1],\"verb\":\"version\"}", "EINVAL" },
		{ "{\"id\":1}", "EINVAL" },
		{ "{\"id\":1,\"verb\":7}", "EINVAL" },
		{ "{\"id\":1,\"verb\":\"frob\"}", "EOPNOTSUPP" },
		{ "{\"id\":1,\"verb\":\"list\",\"args\":7}", "EINVAL" },
		{ "{\"id\":1,\"verb\":\"list\",\"args\":{\"x\":1}}", "EINVAL" },
		{ "{\"id\":1,\"verb\":\"list\",\"args\":{\"name\":1}}",
		    "EINVAL" },
		{ "{\"id\":1,\"verb\":\"list\",\"args\":{\"name\":\"a\\u0000b"
		  "\"}}",
		    "EINVAL" },
		{ "{\"id\":1,\"verb\":\"list\",\"args\":{\"name\":\"none\"}}",
		    "ENODEV" },
		{ "{\"id\":1,\"verb\":\"attach\"}", "EINVAL" },
		{ "{\"id\":1,\"verb\":\"attach\",\"args\":{\"path\":\"x\"}}",
		    "EINVAL" },
		{ "{\"id\":1,\"verb\":\"attach\",\"args\":{\"path\":\"/\"}}",
		    "EINVAL" },
		{ "{\"id\":1,\"verb\":\"attach\",\"args\":{\"path\":\"/x\","
		  "\"name\":\"a/b\"}}",
		    "EINVAL" },
		{ "{\"id\":1,\"verb\":\"attach\",\"args\":{\"path\":\"/x\","
		  "\"options\":\"frob\"}}",
		    "EINVAL" },
		{ "{\"id\":1,\"verb\":\"attach\",\"args\":{\"path\":"
		  "\"/nonexistent\"}}",
		    "ENOENT" },
		{ "{\"id\":1,\"verb\":\"detach\",\"args\":{\"name\":\"x\"}}",
		    "ENODEV" },
		{ "{\"id\":1,\"verb\":\"detach\",\"args\":{\"name\":\"x\","
		  "\"timeout_ms\":-1}}",
		    "EINVAL" },
		{ "{\"id\":1,\"verb\":\"cancel\",\"args\":{\"job\":99}}",
		    "ENOENT" },
	};
	struct talk talk;
	size_t i;

	talk_begin(&talk);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect_error(&talk, cases[i].line, cases[i].name);
	expect_alive(&talk);
	talk_close(&talk);
}
END_TEST

START_TEST(request__with_a_nul_is_refused)
{
	static const char line[] = "{\"id\":1,\"verb\":\"version\"}\0{}\n";
	struct json_object *answer;
	struct talk talk;

	talk_begin(&talk);
	say_bytes(&talk, line, sizeof(line) - 1);
	answer = hear(&talk);
	ck_assert_str_eq(
	    json_get_text(json_get(answer, "error"), "errno"), "EBADMSG");
	json_object_put(answer);
	expect_alive(&talk);
	talk_close(&talk);
}
END_TEST

START_TEST(request__that_is_too_long_is_refused)
{
	static char line[PROTOCOL_LINE_MAX + 4096];
	struct json_object *answer;
	struct talk talk;

	talk_begin(&talk);
	/* The longest that is not. */
	memset(line, ' ', PROTOCOL_LINE_MAX);
	memcpy(line, "{\"id\":1,\"verb\":\"version\",\"pad\":\"", 32);
	memset(line + 32, 'x', PROTOCOL_LINE_MAX - 34);
	memcpy(line + PROTOCOL_LINE_MAX - 2, "\"}", 2);
	say_bytes(&talk, line, PROTOCOL_LINE_MAX);
	say_bytes(&talk, "\n", 1);
	answer = hear(&talk);
	ck_assert_ptr_nonnull(json_get(answer, "result"));
	json_object_put(answer);

	memset(line, 'x', sizeof(line));
	say_bytes(&talk, line, sizeof(line));
	answer = hear(&talk);
	ck_assert_str_eq(
	    json_get_text(json_get(answer, "error"), "errno"), "EMSGSIZE");
	json_object_put(answer);
	ck_assert_ptr_null(hear(&talk));
	talk_close(&talk);
}
END_TEST

/* Bytes that come one by one, and many lines at once. */
START_TEST(request__may_come_in_pieces)
{
	static const char line[] = "{\"id\":\"a\",\"verb\":\"version\"}\n";
	struct json_object *answer;
	struct talk talk;
	char lines[40 * sizeof(line)] = "";
	size_t i;

	talk_begin(&talk);
	for (i = 0; line[i] != '\0'; i++)
		say_bytes(&talk, &line[i], 1);
	for (i = 0; i < 39; i++)
		strcat(lines, line);
	say_bytes(&talk, lines, strlen(lines));
	for (i = 0; i < 40; i++) {
		answer = hear(&talk);
		ck_assert_str_eq(json_get_text(answer, "id"), "a");
		json_object_put(answer);
	}
	talk_close(&talk);
}
END_TEST

/* Nobody keeps a place by half a line. */
START_TEST(request__that_is_not_ended_is_given_up)
{
	struct json_object *answer;
	struct talk talk;

	talk_begin(&talk);
	say_bytes(&talk, "{\"id\":1", 7);
	answer = hear(&talk);
	ck_assert_str_eq(
	    json_get_text(json_get(answer, "error"), "errno"), "ETIMEDOUT");
	json_object_put(answer);
	ck_assert_ptr_null(hear(&talk));
	talk_close(&talk);
}
END_TEST

START_TEST(clients__are_limited)
{
	static struct talk talks[CONTROL_CLIENT_MAX + 1];
	struct json_object *answer;
	unsigned i;

	for (i = 0; i < CONTROL_CLIENT_MAX; i++)
		talk_begin(&talks[i]);
	talk_open(&talks[i]);
	answer = hear(&talks[i]);
	ck_assert_str_eq(
	    json_get_text(json_get(answer, "error"), "errno"), "EBUSY");
	json_object_put(answer);
	talk_close(&talks[i]);
	/* One that goes makes room. */
	talk_close(&talks[0]);
	for (;;) {
		talk_open(&talks[0]);
		answer = hear(&talks[0]);
		if (answer != NULL && json_get(answer, "protocol") != NULL)
			break;
		json_object_put(answer);
		talk_close(&talks[0]);
	}
	json_object_put(answer);
	for (i = 0; i < CONTROL_CLIENT_MAX; i++) {
		expect_alive(&talks[i]);
		talk_close(&talks[i]);
	}
}
END_TEST

/* One of several that ask for different things at once. */
static void *
ask_and_compare(void *arg)
{
	const unsigned self = *(const unsigned *)arg;
	struct json_object *answer, *result;
	char line[256], name[16], id[32];
	struct talk *talk;
	unsigned i;

	ck_assert_ptr_nonnull(talk = malloc(sizeof(*talk)));
	talk_begin(talk);
	snprintf(name, sizeof(name), "vol%u", self % 4);
	for (i = 0; i < 200; i++) {
		snprintf(id, sizeof(id), "%u-%u", self, i);
		snprintf(line, sizeof(line),
		    "{\"id\":\"%s\",\"verb\":\"%s\",\"args\":{\"name\":\"%s\"}}",
		    id, i % 2 == 0 ? "list" : "stats", name);
		say(talk, line);
		answer = hear(talk);
		ck_assert_str_eq(json_get_text(answer, "id"), id);
		result = json_get(answer, "result");
		ck_assert_int_eq((int)json_object_array_length(result), 1);
		result = json_object_array_get_idx(result, 0);
		ck_assert_str_eq(json_get_text(result, "dev"), name);
		ck_assert((json_get(result, "state") != NULL) == (i % 2 == 0));
		json_object_put(answer);
	}
	talk_close(talk);
	free(talk);
	return NULL;
}

/* T-A4: each gets the answer to its own question. */
START_TEST(reentrant_ioctl)
{
	pthread_t threads[NCLIENT];
	unsigned numbers[NCLIENT], i;
	char name[16];

	for (i = 0; i < 4; i++) {
		snprintf(name, sizeof(name), "vol%u", i);
		rig_image(&rig, name);
		rig_attach(&rig, name);
	}
	for (i = 0; i < NCLIENT; i++) {
		numbers[i] = i;
		threads[i] = thread_start(ask_and_compare, &numbers[i]);
	}
	for (i = 0; i < NCLIENT; i++)
		thread_end(threads[i]);
}
END_TEST

/* Of requests of one connection the quick one does not wait for the slow. */
START_TEST(requests__run_side_by_side)
{
	char line[512], path[RIG_PATH_BYTES];
	struct json_object *answer;
	struct talk talk;

	rig_image(&rig, "vol");
	rig_path(&rig, "vol", path);
	talk_begin(&talk);
	snprintf(line, sizeof(line),
	    "{\"id\":1,\"verb\":\"attach\",\"args\":{\"path\":\"%s\","
	    "\"options\":\"sparse\",\"test_stage\":\"recover\","
	    "\"test_delay_ms\":300}}",
	    path);
	say(&talk, line);
	say(&talk, "{\"id\":2,\"verb\":\"list\"}");
	answer = hear(&talk);
	ck_assert_int_eq(json_object_get_int(json_get(answer, "id")), 2);
	ck_assert_str_eq(json_get_text(json_object_array_get_idx(
					   json_get(answer, "result"), 0),
			     "state"),
	    "probing");
	json_object_put(answer);
	say(&talk, "{\"id\":3,\"verb\":\"settle\"}");
	answer = hear(&talk);
	ck_assert_int_eq(json_object_get_int(json_get(answer, "id")), 1);
	ck_assert_str_eq(
	    json_get_text(
		json_get(json_get(answer, "result"), "device"), "state"),
	    "live");
	json_object_put(answer);
	answer = hear(&talk);
	ck_assert_int_eq(json_object_get_int(json_get(answer, "id")), 3);
	json_object_put(answer);
	talk_close(&talk);
}
END_TEST

START_TEST(wait__ends_at_its_timeout_and_the_job_goes_on)
{
	char line[512], path[RIG_PATH_BYTES];
	struct talk talk;

	rig_image(&rig, "vol");
	rig_path(&rig, "vol", path);
	talk_begin(&talk);
	snprintf(line, sizeof(line),
	    "{\"id\":1,\"verb\":\"attach\",\"args\":{\"path\":\"%s\","
	    "\"options\":\"sparse\",\"test_stage\":\"recover\","
	    "\"test_delay_ms\":300,\"timeout_ms\":20}}",
	    path);
	expect_error(&talk, line, "ETIMEDOUT");
	ck_assert_int_eq(rig_status(&rig, "vol").state, DEVICE_PROBING);
	say(&talk, "{\"id\":3,\"verb\":\"settle\"}");
	json_object_put(hear(&talk));
	ck_assert_int_eq(rig_status(&rig, "vol").state, DEVICE_LIVE);
	talk_close(&talk);
}
END_TEST

/* Who is neither root nor us may look. */
START_TEST(strangers__may_only_look)
{
	struct json_object *answer;
	struct talk *talk;
	int status;
	pid_t pid;

	if (geteuid() != 0) {
		printf("strangers__may_only_look needs root\n");
		return;
	}
	ck_assert_int_eq(chmod(rig.dir, 0755), 0);
	rig_image(&rig, "vol");
	rig_attach(&rig, "vol");
	ck_assert_int_ge(pid = fork(), 0);
	if (pid == 0) {
		if (setgid(65534) != 0 || setuid(65534) != 0)
			_exit(9);
		ck_assert_ptr_nonnull(talk = malloc(sizeof(*talk)));
		talk_begin(talk);
		expect_alive(talk);
		expect_error(talk,
		    "{\"id\":1,\"verb\":\"detach\",\"args\":{\"name\":"
		    "\"vol\"}}",
		    "EPERM");
		say(talk, "{\"id\":2,\"verb\":\"list\"}");
		answer = hear(talk);
		_exit(json_get(answer, "result") != NULL ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
	    "the stranger's status is %x", (unsigned)status);
	ck_assert_int_eq(rig_status(&rig, "vol").state, DEVICE_LIVE);
}
END_TEST

/* The numbers ascend by one, and what a slow reader misses is counted. */
START_TEST(monitor__tells_what_was_lost)
{
	struct event event = { .kind = EVENT_LANE_STALL };
	struct json_object *answer, *frame;
	uint64_t first, seq, next, lost = 0, i;
	struct talk talk;

	talk_begin(&talk);
	say(&talk, "{\"id\":1,\"verb\":\"monitor\"}");
	answer = hear(&talk);
	first = next = json_object_get_uint64(json_get(answer, "seq"));
	ck_assert_ptr_nonnull(json_get(answer, "snapshot"));
	json_object_put(answer);
	/* More than the ring and all buffers hold. */
	for (i = 0; i < 3 * EVENT_RING; i++)
		event_append(rig.manager->events, &event);
	while (next < first + 3 * EVENT_RING) {
		answer = hear(&talk);
		frame = json_get(answer, "event");
		seq = json_object_get_uint64(json_get(frame, "seq"));
		if (json_get(json_get(frame, "event"), "events-lost") != NULL) {
			i = json_object_get_uint64(json_get(frame, "count"));
			ck_assert_uint_gt(i, 0);
			lost += i;
			next += i;
			ck_assert_uint_eq(seq, next - 1);
		} else {
			ck_assert_uint_eq(seq, next);
			next++;
		}
		json_object_put(answer);
	}
	ck_assert_uint_gt(lost, 0);
	talk_close(&talk);
}
END_TEST

/* A daemon that was killed leaves a file; one that runs is not displaced. */
START_TEST(start__takes_a_dead_socket_and_no_living_one)
{
	struct control_options other = options;
	struct btt_error error = { "" };
	struct control *second;
	char path[RIG_PATH_BYTES];
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct stat st;
	int fd;

	ck_assert_int_eq(
	    control_start(rig.manager, &options, &second, &error), -EADDRINUSE);
	rig_path(&rig, "dead.sock", path);
	strcpy(address.sun_path, path);
	ck_assert_int_ge(fd = socket(AF_UNIX, SOCK_STREAM, 0), 0);
	ck_assert_int_eq(
	    bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(close(fd), 0);
	other.path = path;
	other.mode = 0;
	ck_assert_int_eq(
	    control_start(rig.manager, &other, &second, &error), 0);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	control_stop(second);
	ck_assert_int_ne(stat(path, &st), 0);
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = { request__that_makes_no_sense_is_refused,
		request__with_a_nul_is_refused,
		request__that_is_too_long_is_refused,
		request__may_come_in_pieces,
		request__that_is_not_ended_is_given_up, clients__are_limited,
		requests__run_side_by_side,
		wait__ends_at_its_timeout_and_the_job_goes_on,
		strangers__may_only_look, monitor__tells_what_was_lost,
		start__takes_a_dead_socket_and_no_living_one, NULL };
	Suite *suite;
	TCase *tcase;
	unsigned i;

	suite = suite_create("control");
	tcase = tcase_create("control");
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 100);
	for (i = 0; tests[i] != NULL; i++)
		tcase_add_test(tcase, tests[i]);
	suite_add_tcase(suite, tcase);
	/* By itself in daemon.cmake. */
	tcase = tcase_create("reentrant_ioctl");
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 100);
	tcase_add_test(tcase, reentrant_ioctl);
	suite_add_tcase(suite, tcase);
	return check_main(suite);
}
