/* SPDX-License-Identifier: BSD-3-Clause */
#include "path.h"

#include <sys/stat.h>
#include <sys/syscall.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/openat2.h>

/* One component of a path, which may not be a link. */
static int
open_component(int directory, const char *name)
{
	struct stat st;
	int fd, r;

	fd = openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = fstat(fd, &st) != 0 ? -errno : S_ISLNK(st.st_mode) ? -ELOOP : 0;
	if (r == 0)
		return fd;
	(void)close(fd); /* a name, no more */
	return r;
}

/* An absolute path, component by component; text is written to. */
static int
walk_path(char *text)
{
	char *name;
	int fd, next;

	fd = open("/", O_PATH | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while ((name = strsep(&text, "/")) != NULL) {
		if (*name == '\0')
			continue;
		next = open_component(fd, name);
		(void)close(fd); /* a name, no more */
		if ((fd = next) < 0)
			return fd;
	}
	return fd;
}

/*
 * Links that other users made may lead where these cannot go themselves.  The
 * system's own way of refusing them is missing before Linux 5.6, and where
 * system calls are filtered that cannot be looked into.
 */
static int
open_without_links(const char *path)
{
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC,
		.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	char *text;
	long fd;
	int r;

	fd = syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
	if (fd >= 0)
		return (int)fd;
	if ((errno != ENOSYS && errno != EPERM) || path[0] != '/')
		return -errno;
	if ((text = strdup(path)) == NULL)
		return -ENOMEM;
	r = walk_path(text);
	free(text);
	return r;
}

int
path_open(const char *path, bool no_links)
{
	int fd;

	if (no_links)
		return open_without_links(path);
	fd = open(path, O_PATH | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}
