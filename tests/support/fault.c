/* SPDX-License-Identifier: BSD-3-Clause */
#include "fault.h"

#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <errno.h>
#include <fcntl.h>
#include <libpmem2.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>

static _Atomic unsigned long turn, ncall;
static const char *_Atomic fired;
static _Atomic long nalloc;
static _Thread_local bool counts;

void
fault_arm(unsigned long at)
{
	atomic_store(&fired, NULL);
	atomic_store(&ncall, 0);
	atomic_store(&turn, at);
}

const char *
fault_fired(void)
{
	return atomic_load(&fired);
}

void
fault_enter(void)
{
	counts = true;
}

void
fault_leave(void)
{
	counts = false;
}

long
fault_nalloc(void)
{
	return atomic_load(&nalloc);
}

static bool
fails(const char *name)
{
	if (!counts || atomic_load(&turn) == 0 ||
	    atomic_fetch_add(&ncall, 1) + 1 != atomic_load(&turn))
		return false;
	atomic_store(&fired, name);
	return true;
}

/* A call that fails by its value, and by errno where that is not 0. */
#define FAULT(type, name, parameters, arguments, failure, number) \
	type __real_##name parameters;                            \
	type __wrap_##name parameters;                            \
	type __wrap_##name parameters                             \
	{                                                         \
		if (!fails(#name))                                \
			return __real_##name arguments;           \
		errno = (number);                                 \
		return (failure);                                 \
	}

/* --- Memory --- */

/* The same of one that returns an allocation. */
#define FAULT_ALLOC(type, name, parameters, arguments, is_new)              \
	type __real_##name parameters;                                      \
	type __wrap_##name parameters;                                      \
	type __wrap_##name parameters                                       \
	{                                                                   \
		type at;                                                    \
                                                                            \
		errno = ENOMEM;                                             \
		if (fails(#name) || (at = __real_##name arguments) == NULL) \
			return NULL;                                        \
		atomic_fetch_add(&nalloc, (is_new) ? 1 : 0);                \
		return at;                                                  \
	}

FAULT_ALLOC(void *, malloc, (size_t n), (n), true)
FAULT_ALLOC(void *, calloc, (size_t n, size_t size), (n, size), true)
FAULT_ALLOC(void *, realloc, (void *old, size_t n), (old, n), old == NULL)
FAULT_ALLOC(void *, reallocarray, (void *old, size_t n, size_t size),
    (old, n, size), old == NULL)
FAULT_ALLOC(void *, aligned_alloc, (size_t align, size_t n), (align, n), true)
FAULT_ALLOC(char *, strdup, (const char *text), (text), true)
FAULT_ALLOC(char *, strndup, (const char *text, size_t n), (text, n), true)
FAULT_ALLOC(
    char *, realpath, (const char *path, char *to), (path, to), to == NULL)

void __real_free(void *at);
void __wrap_free(void *at);

void
__wrap_free(void *at)
{
	if (at != NULL)
		atomic_fetch_sub(&nalloc, 1);
	__real_free(at);
}

static int print(char **ret_text, const char *format, va_list list)
    __attribute__((format(printf, 2, 0)));

static int
print(char **ret_text, const char *format, va_list list)
{
	int n;

	errno = ENOMEM;
	if (fails("asprintf") || (n = vasprintf(ret_text, format, list)) < 0)
		return -1;
	atomic_fetch_add(&nalloc, 1);
	return n;
}

int __wrap_asprintf(char **ret_text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
int __wrap___asprintf_chk(char **ret_text, int flag, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

int
__wrap_asprintf(char **ret_text, const char *format, ...)
{
	va_list list;
	int n;

	va_start(list, format);
	n = print(ret_text, format, list);
	va_end(list);
	return n;
}

int
__wrap___asprintf_chk(char **ret_text, int flag, const char *format, ...)
{
	va_list list;
	int n;

	(void)flag;
	va_start(list, format);
	n = print(ret_text, format, list);
	va_end(list);
	return n;
}

/* --- The system --- */

FAULT(int, memfd_create, (const char *name, unsigned flags), (name, flags), -1,
    EMFILE)
FAULT(int, ftruncate64, (int fd, off_t size), (fd, size), -1, ENOSPC)
FAULT(int, fstat64, (int fd, struct stat64 *st), (fd, st), -1, EIO)
FAULT(int, stat64, (const char *path, struct stat64 *st), (path, st), -1, EIO)
FAULT(int, lstat64, (const char *path, struct stat64 *st), (path, st), -1, EIO)
FAULT(int, fstatfs64, (int fd, struct statfs64 *st), (fd, st), -1, EIO)
FAULT(int, flock, (int fd, int operation), (fd, operation), -1, EWOULDBLOCK)
FAULT(int, fsync, (int fd), (fd), -1, EIO)
FAULT(int, fdatasync, (int fd), (fd), -1, EIO)
FAULT(
    int, madvise, (void *at, size_t n, int advice), (at, n, advice), -1, EINVAL)
FAULT(
    off_t, lseek64, (int fd, off_t off, int whence), (fd, off, whence), -1, EIO)
FAULT(ssize_t, pread64, (int fd, void *bytes, size_t n, off_t off),
    (fd, bytes, n, off), -1, EIO)
FAULT(ssize_t, pwrite64, (int fd, const void *bytes, size_t n, off_t off),
    (fd, bytes, n, off), -1, ENOSPC)
FAULT(void *, mmap64,
    (void *at, size_t n, int prot, int flags, int fd, off_t off),
    (at, n, prot, flags, fd, off), MAP_FAILED, ENOMEM)
FAULT(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags),
    (fd, message, flags), -1, ENOBUFS)
FAULT(int, sched_getaffinity, (pid_t pid, size_t n, cpu_set_t *set),
    (pid, n, set), -1, EINVAL)
FAULT(FILE *, fopen64, (const char *path, const char *mode), (path, mode), NULL,
    EMFILE)

/* One argument more, which may not be there. */
#define FAULT_OPTIONAL(name, first_type, second_type, number)         \
	int __real_##name(first_type first, second_type second, ...); \
	int __wrap_##name(first_type first, second_type second, ...); \
	int __wrap_##name(first_type first, second_type second, ...)  \
	{                                                             \
		va_list list;                                         \
		void *more;                                           \
                                                                      \
		va_start(list, second);                               \
		more = va_arg(list, void *);                          \
		va_end(list);                                         \
		if (!fails(#name))                                    \
			return __real_##name(first, second, more);    \
		errno = (number);                                     \
		return -1;                                            \
	}

FAULT_OPTIONAL(open64, const char *, int, EMFILE)
FAULT_OPTIONAL(fcntl64, int, int, EMFILE)
FAULT_OPTIONAL(ioctl, int, unsigned long, EIO)
FAULT(int, __open64_2, (const char *path, int flags), (path, flags), -1, EMFILE)

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);

long
__wrap_syscall(long number, ...)
{
	va_list list;
	long a[6];

	va_start(list, number);
	for (unsigned i = 0; i < 6; i++)
		a[i] = va_arg(list, long);
	va_end(list);
	if (!fails("syscall"))
		return __real_syscall(
		    number, a[0], a[1], a[2], a[3], a[4], a[5]);
	errno = EMFILE;
	return -1;
}

/* --- Libraries --- */

FAULT(struct json_object *, json_object_new_object, (void), (), NULL, 0)
FAULT(struct json_object *, json_object_new_string, (const char *text), (text),
    NULL, 0)
FAULT(struct json_object *, json_object_new_uint64, (uint64_t number), (number),
    NULL, 0)
FAULT(const char *, json_object_to_json_string_ext,
    (struct json_object * object, int flags), (object, flags), NULL, 0)
FAULT(int, pmem2_config_new, (struct pmem2_config * *config), (config), -ENOMEM,
    0)
FAULT(int, pmem2_config_set_required_store_granularity,
    (struct pmem2_config * config, enum pmem2_granularity granularity),
    (config, granularity), -EINVAL, 0)
FAULT(int, pmem2_config_set_protection,
    (struct pmem2_config * config, unsigned protection), (config, protection),
    -EINVAL, 0)
FAULT(int, pmem2_source_from_fd, (struct pmem2_source * *source, int fd),
    (source, fd), -ENOMEM, 0)
FAULT(int, pmem2_source_from_anon, (struct pmem2_source * *source, size_t n),
    (source, n), -ENOMEM, 0)
FAULT(int, pmem2_map_new,
    (struct pmem2_map * *map, const struct pmem2_config *config,
	struct pmem2_source *source),
    (map, config, source), -ENOMEM, 0)
FAULT(int, pmem2_map_from_existing,
    (struct pmem2_map * *map, const struct pmem2_source *source, void *at,
	size_t n, enum pmem2_granularity granularity),
    (map, source, at, n, granularity), -ENOMEM, 0)
FAULT(int, pmem2_badblock_context_new,
    (struct pmem2_badblock_context * *context, struct pmem2_source *source),
    (context, source), -ENOMEM, 0)
FAULT(int, pmem2_badblock_next,
    (struct pmem2_badblock_context * context, struct pmem2_badblock *bad),
    (context, bad), -EIO, 0)
