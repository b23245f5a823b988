/* SPDX-License-Identifier: BSD-3-Clause */
#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>

#include <seccomp.h>

#include "confine.h"

#ifdef BTTFS_SANITIZED
#define IS_SANITIZED true
#else
#define IS_SANITIZED false
#endif

/*
 * What a server was seen to call while it served, attached and detached, and
 * what stands for that on other architectures or in other versions of the C
 * library.  By what it is for.
 */
static const char *const calls[] = {
	/* the medium, and the kernel's requests about it */
	"read",
	"write",
	"pread64",
	"pwrite64",
	"writev",
	"pwritev",
	"fdatasync",
	"fsync",
	"fallocate",
	"ioctl",
	"io_uring_enter",
	/* attaching: files by their names, and what they are */
	"openat",
	"openat2",
	"close",
	"newfstatat",
	"fstatfs",
	"getdents64",
	"lseek",
	"fcntl",
	"flock",
	"memfd_create",
	"ftruncate",
	/* the keeper, and clients of the socket */
	"accept4",
	"recvmsg",
	"recvfrom",
	"sendmsg",
	"sendto",
	"getsockopt",
	"poll",
	"ppoll",
	"epoll_ctl",
	"geteuid",
	"getegid",
	/* memory */
	"mmap",
	"munmap",
	"munlock",
	"mprotect",
	"mremap",
	"madvise",
	"brk",
	"getrandom",
	/* threads, beside clone */
	"futex",
	"rseq",
	"set_robust_list",
	"sched_yield",
	"prctl",
	"sched_setaffinity",
	"gettid",
	"clock_nanosleep",
	"clock_gettime",
	"exit",
	/* signals: poison, and how a process ends */
	"rt_sigprocmask",
	"rt_sigaction",
	"rt_sigreturn",
	"restart_syscall",
	"getpid",
	"tgkill",
	"exit_group",
};
#define NCALL (sizeof(calls) / sizeof(calls[0]))

/* What the C library calls where the architecture has the first, and else. */
static const char *const either[][2] = {
	{ "readlink", "readlinkat" },
	{ "unlink", "unlinkat" },
	{ "epoll_wait", "epoll_pwait" },
};
#define NEITHER (sizeof(either) / sizeof(either[0]))

static_assert(NCALL + NEITHER + 1 <= CONFINE_CALLS_MAX, "with clone");

static int
allow(scmp_filter_ctx filter, const char *name)
{
	int number = seccomp_syscall_resolve_name(name);

	/* Not every architecture has each: those get numbers below 0. */
	return number < 0 ? -ENOSYS
			  : seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0);
}

static int
allow_all(scmp_filter_ctx filter)
{
	int r;

	for (size_t i = 0; i < NCALL; i++) {
		if ((r = allow(filter, calls[i])) < 0 && r != -ENOSYS)
			return r;
	}
	for (size_t i = 0; i < NEITHER; i++) {
		if ((r = allow(filter, either[i][0])) == -ENOSYS)
			r = allow(filter, either[i][1]);
		if (r < 0)
			return r;
	}
	return 0;
}

/*
 * Threads, but no processes.  What clone3() makes is out of a filter's sight,
 * so the C library is told that it does not exist, and takes clone().
 */
static int
allow_threads(scmp_filter_ctx filter, uint32_t other)
{
	const uint32_t none = SCMP_ACT_ERRNO(ENOSYS);
	int r = 0;

	if (other != none)
		r = seccomp_rule_add(filter, none, SCMP_SYS(clone3), 0);
	return r < 0
	    ? r
	    : seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
		  SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
}

static int
load(scmp_filter_ctx filter, uint32_t other)
{
	int r;

	/* SSB: no measures against ourselves, which cost speed. */
	if ((r = allow_all(filter)) < 0 ||
	    (r = allow_threads(filter, other)) < 0 ||
	    (r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1)) < 0 ||
	    (r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_SSB, 1)) < 0 ||
	    (r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2)) < 0)
		return r;
	return seccomp_load(filter); /* sets no_new_privs, too */
}

int
confine(enum confine how)
{
	uint32_t other = how == CONFINE_KILL ? SCMP_ACT_KILL_PROCESS
					     : SCMP_ACT_ERRNO(ENOSYS);
	scmp_filter_ctx filter;
	int r;

	if (IS_SANITIZED)
		return -ENOTSUP;
	if (how == CONFINE_NO)
		return -ECANCELED;
	if ((filter = seccomp_init(other)) == NULL)
		return -ENOMEM;
	r = load(filter, other);
	seccomp_release(filter);
	return r;
}
