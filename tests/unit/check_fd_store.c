/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fd_store -- what systemd is told, and that its names come back as ours.
 */
#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "../../daemon/fd_store.h"
#include "../support/check_main.h"

static const struct {
	const char *name, *encoded;
} pairs[] = {
	{ "fuse", "fuse" },
	{ "device/vol0", "device/vol0" },
	{ "device/a:b", "device/a%3ab" },
	{ "device/100%", "device/100%25" },
	{ "device/a b\n", "device/a%20b%0a" },
	{ "device/\xc3\xa4", "device/%c3%a4" },
	{ "", "" },
};

START_TEST(fd_store_names__come_back)
{
	char name[FD_STORE_NAME_BYTES];

	ck_assert_int_eq(fd_store_encode(pairs[_i].name, name), 0);
	ck_assert_str_eq(name, pairs[_i].encoded);
	ck_assert_int_eq(fd_store_decode(name), 0);
	ck_assert_str_eq(name, pairs[_i].name);
}
END_TEST

/* systemd would refuse it, and nobody would know. */
START_TEST(fd_store_encode__refuses_what_is_too_long)
{
	char name[FD_STORE_NAME_BYTES], longest[FD_STORE_NAME_BYTES + 1];

	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	ck_assert_int_eq(fd_store_encode(longest, name), -ENAMETOOLONG);
	longest[sizeof(longest) - 2] = '\0';
	ck_assert_int_eq(fd_store_encode(longest, name), 0);
	longest[0] = ':';
	ck_assert_int_eq(fd_store_encode(longest, name), -ENAMETOOLONG);
}
END_TEST

START_TEST(fd_store_decode__refuses_what_is_not_ours)
{
	static const char *const strange[] = { "%", "%4", "%4g", "%00", "a%" };
	char name[16];

	for (size_t i = 0; i < sizeof(strange) / sizeof(strange[0]); i++) {
		strcpy(name, strange[i]);
		ck_assert_int_eq(fd_store_decode(name), -EINVAL);
	}
}
END_TEST

static char path[64];
static int systemd;

static void
start_systemd(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(path, sizeof(path), "/tmp/check_fd_store.%ld", (long)getpid());
	strcpy(address.sun_path, path);
	systemd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(systemd, 0);
	(void)unlink(path);
	ck_assert_int_eq(
	    bind(systemd, (const struct sockaddr *)&address, sizeof(address)),
	    0);
	ck_assert_int_eq(setenv("NOTIFY_SOCKET", path, 1), 0);
}

static void
stop_systemd(void)
{
	unsetenv("NOTIFY_SOCKET");
	close(systemd);
	unlink(path);
}

/* The next message; returns the descriptor that came along, or -1. */
static int
hear(char *ret_text, size_t bytes)
{
	union {
		struct cmsghdr header;
		char bytes[256];
	} control;
	struct iovec iov = { ret_text, bytes - 1 };
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	struct cmsghdr *part;
	ssize_t n;
	int fd = -1;

	n = recvmsg(systemd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	ck_assert_int_ge(n, 0);
	ret_text[n] = '\0';
	for (part = CMSG_FIRSTHDR(&message); part != NULL;
	     part = CMSG_NXTHDR(&message, part)) {
		if (part->cmsg_type == SCM_RIGHTS)
			memcpy(&fd, CMSG_DATA(part), sizeof(fd));
	}
	return fd;
}

/*
 * One name, one descriptor: systemd itself adds to those of a name.  And it must
 * not poll /dev/fuse, which wakes it at every request.
 */
START_TEST(fd_store_put__replaces)
{
	char text[512];
	int fds[2], fd;

	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(fd_store_put("device/a:b", fds[1]), 0);
	ck_assert_int_eq(hear(text, sizeof(text)), -1);
	ck_assert_str_eq(text, "FDSTOREREMOVE=1\nFDNAME=device/a%3ab");
	fd = hear(text, sizeof(text));
	ck_assert_str_eq(text, "FDSTORE=1\nFDPOLL=0\nFDNAME=device/a%3ab");
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, "x", 1), 1);
	ck_assert_int_eq(read(fds[0], text, 1), 1);
	close(fd);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

/* As by systemd: descriptors from 3 on, their names in the environment. */
START_TEST(fd_store_adopt__knows_names)
{
	struct kept_fds kept = { 0 };
	char pid[24];

	ck_assert_int_ge(dup2(systemd, 3), 0);
	ck_assert_int_ge(dup2(systemd, 4), 0);
	snprintf(pid, sizeof(pid), "%ld", (long)getpid());
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDS", "2", 1);
	setenv("LISTEN_FDNAMES", "fuse:device/a%3ab", 1);
	ck_assert_int_eq(fd_store_adopt(&kept), 2);
	ck_assert_int_eq(kept_fds_find(&kept, "fuse"), 3);
	ck_assert_int_eq(kept_fds_find(&kept, "device/a:b"), 4);
	ck_assert_int_eq(fcntl(3, F_GETFD), FD_CLOEXEC);
	ck_assert_ptr_null(getenv("LISTEN_FDS"));
	kept_fds_fini(&kept);
}
END_TEST

START_TEST(fd_store_adopt__without_systemd_has_none)
{
	struct kept_fds kept = { 0 };

	ck_assert_int_eq(fd_store_adopt(&kept), 0);
	ck_assert_uint_eq(kept.n, 0);
	ck_assert_int_eq(fd_store_put("fuse", 0), 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("fd_store");
	TCase *names = tcase_create("names"), *talk = tcase_create("talk");

	tcase_add_loop_test(names, fd_store_names__come_back, 0,
	    (int)(sizeof(pairs) / sizeof(pairs[0])));
	tcase_add_test(names, fd_store_encode__refuses_what_is_too_long);
	tcase_add_test(names, fd_store_decode__refuses_what_is_not_ours);
	tcase_add_test(names, fd_store_adopt__without_systemd_has_none);
	suite_add_tcase(suite, names);
	tcase_add_checked_fixture(talk, start_systemd, stop_systemd);
	tcase_add_test(talk, fd_store_put__replaces);
	tcase_add_test(talk, fd_store_adopt__knows_names);
	suite_add_tcase(suite, talk);
	return check_main(suite);
}
