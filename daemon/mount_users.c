/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who uses a mount?  The links of /proc name files without touching them, so
 * this waits for nobody.  Loop devices hold files open in the kernel, where
 * /proc does not show them.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "mount.h"

/* More names than these help nobody. */
#define SHOWN_MAX 4u

struct users {
	const char *path; /* of the mount */
	unsigned nuser;
	FILE *text;
};

static bool
is_below(const struct users *users, const char *file)
{
	size_t n;

	n = strlen(users->path);
	return strncmp(file, users->path, n) == 0 &&
	    (file[n] == '/' || file[n] == '\0');
}

/* True and the separator written, if this user is to be named. */
static bool
begin_user(struct users *users)
{
	if (users->nuser++ >= SHOWN_MAX)
		return false;
	if (users->nuser > 1)
		fputs(", ", users->text);
	return true;
}

/* First line of a small file, without its end; "" if there is none. */
static void
read_line(int dir_fd, const char *path, char *ret_line, size_t line_bytes)
{
	ssize_t n;
	int fd;

	ret_line[0] = '\0';
	if ((fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC)) < 0)
		return;
	n = read(fd, ret_line, line_bytes - 1);
	ret_line[n > 0 ? n : 0] = '\0';
	ret_line[strcspn(ret_line, "\n")] = '\0';
	(void)close(fd);
}

static bool
link_is_below(const struct users *users, int dir_fd, const char *name)
{
	char target[PATH_MAX];
	ssize_t n;

	n = readlinkat(dir_fd, name, target, sizeof(target) - 1);
	if (n <= 0)
		return false;
	target[n] = '\0';
	return is_below(users, target);
}

/* Does the process behind /proc/PID have a file open, or stand, in there? */
static bool
process_uses(const struct users *users, int pid_fd)
{
	struct dirent *entry;
	bool uses;
	DIR *dir;
	int fd;

	if (link_is_below(users, pid_fd, "cwd"))
		return true;
	fd = openat(pid_fd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return false;
	if ((dir = fdopendir(fd)) == NULL) {
		(void)close(fd);
		return false;
	}
	uses = false;
	while (!uses && (entry = readdir(dir)) != NULL)
		uses = link_is_below(users, fd, entry->d_name);
	(void)closedir(dir);
	return uses;
}

static void
visit_process(struct users *users, int proc_fd, const char *name)
{
	char comm[32];
	int fd;

	if (!isdigit((unsigned char)name[0]))
		return;
	fd = openat(proc_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (process_uses(users, fd) && begin_user(users)) {
		read_line(fd, "comm", comm, sizeof(comm));
		fprintf(users->text, "%s (pid %s)", comm, name);
	}
	(void)close(fd);
}

static void
visit_block_device(struct users *users, int block_fd, const char *name)
{
	char path[NAME_MAX + 32], file[PATH_MAX];

	if (strncmp(name, "loop", 4) != 0)
		return;
	snprintf(path, sizeof(path), "%s/loop/backing_file", name);
	read_line(block_fd, path, file, sizeof(file));
	if (is_below(users, file) && begin_user(users))
		fprintf(users->text, "/dev/%s", name);
}

static void
visit_directory(struct users *users, const char *path,
    void (*visit)(struct users *, int, const char *))
{
	struct dirent *entry;
	DIR *dir;

	if ((dir = opendir(path)) == NULL)
		return;
	while ((entry = readdir(dir)) != NULL)
		visit(users, dirfd(dir), entry->d_name);
	(void)closedir(dir);
}

void
mount_describe_users(const struct mount *mnt, char *ret_text, size_t text_bytes)
{
	struct users users = { .path = mount_path(mnt) };

	ret_text[0] = '\0';
	if ((users.text = fmemopen(ret_text, text_bytes, "w")) == NULL)
		return;
	visit_directory(&users, "/proc", visit_process);
	visit_directory(&users, "/sys/block", visit_block_device);
	if (users.nuser > SHOWN_MAX)
		fprintf(users.text, " and %u more", users.nuser - SHOWN_MAX);
	(void)fclose(users.text); /* what did not fit is cut */
}
