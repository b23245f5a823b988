/* SPDX-License-Identifier: BSD-3-Clause */
#include "kept_fds.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct kept_fd *
find(const struct kept_fds *kept, const char *name)
{
	for (size_t i = 0; i < kept->n; i++) {
		if (strcmp(kept->fd[i].name, name) == 0)
			return &kept->fd[i];
	}
	return NULL;
}

/* What is kept is memory, or open for good: closing has nothing to say. */
static void
close_fd(int fd)
{
	(void)close(fd);
}

int
kept_fds_put(struct kept_fds *kept, const char *name, int fd)
{
	struct kept_fd *entry, *grown;
	char *copy;

	if ((entry = find(kept, name)) != NULL) {
		close_fd(entry->fd);
		entry->fd = fd;
		return 0;
	}
	copy = strdup(name);
	grown = realloc(kept->fd, (kept->n + 1) * sizeof(*grown));
	if (grown != NULL)
		kept->fd = grown;
	if (copy == NULL || grown == NULL) {
		free(copy);
		close_fd(fd);
		return -ENOMEM;
	}
	kept->fd[kept->n++] = (struct kept_fd){ copy, fd };
	return 0;
}

int
kept_fds_find(const struct kept_fds *kept, const char *name)
{
	const struct kept_fd *entry;

	entry = find(kept, name);
	return entry == NULL ? -1 : entry->fd;
}

int
kept_fds_take(struct kept_fds *kept, const char *name)
{
	struct kept_fd *entry;
	int fd;

	if ((entry = find(kept, name)) == NULL)
		return -1;
	fd = entry->fd;
	free(entry->name);
	kept->n--;
	memmove(entry, entry + 1,
	    (kept->n - (size_t)(entry - kept->fd)) * sizeof(*entry));
	return fd;
}

void
kept_fds_drop(struct kept_fds *kept, const char *name)
{
	int fd;

	if ((fd = kept_fds_take(kept, name)) >= 0)
		close_fd(fd);
}

void
kept_fds_fini(struct kept_fds *kept)
{
	for (size_t i = 0; i < kept->n; i++) {
		close_fd(kept->fd[i].fd);
		free(kept->fd[i].name);
	}
	free(kept->fd);
	*kept = (struct kept_fds){ 0 };
}
