/* SPDX-License-Identifier: BSD-3-Clause */
#include "fd_store.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

/* systemd answers at once, unless the machine is in deep trouble. */
#define SETTLE_US UINT64_C(10000000)

static bool
is_plain(unsigned char c)
{
	return c > ' ' && c < 0x7f && c != ':' && c != '%';
}

int
fd_store_encode(const char *name, char ret_name[FD_STORE_NAME_BYTES])
{
	static const char digits[] = "0123456789abcdef";
	size_t n = 0;

	for (; *name != '\0'; name++) {
		unsigned char c = (unsigned char)*name;

		if (n + (is_plain(c) ? 1 : 3) >= FD_STORE_NAME_BYTES)
			return -ENAMETOOLONG;
		if (is_plain(c)) {
			ret_name[n++] = (char)c;
			continue;
		}
		ret_name[n++] = '%';
		ret_name[n++] = digits[c >> 4];
		ret_name[n++] = digits[c & 0xf];
	}
	ret_name[n] = '\0';
	return 0;
}

int
fd_store_decode(char *name)
{
	char *to = name;
	unsigned byte;

	for (; *name != '\0'; name++) {
		if (*name != '%') {
			*to++ = *name;
			continue;
		}
		if (!isxdigit((unsigned char)name[1]) ||
		    !isxdigit((unsigned char)name[2]) ||
		    sscanf(name + 1, "%2x", &byte) != 1 || byte == 0)
			return -EINVAL;
		*to++ = (char)byte;
		name += 2;
	}
	*to = '\0';
	return 0;
}

/* Takes the descriptor over. */
static int
adopt_one(struct kept_fds *kept, char *name, int fd)
{
	if (fd_store_decode(name) < 0) {
		(void)close(fd); /* not ours: nothing was written to it */
		return 0;
	}
	(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	return kept_fds_put(kept, name, fd);
}

int
fd_store_adopt(struct kept_fds *kept)
{
	char **names = NULL;
	int i, n, r;

	if ((n = sd_listen_fds_with_names(1, &names)) <= 0)
		return n;
	r = 0;
	for (i = 0; i < n; i++) {
		if (r == 0)
			r = adopt_one(kept, names[i], SD_LISTEN_FDS_START + i);
		free(names[i]);
	}
	free(names);
	return r < 0 ? r : n;
}

int
fd_store_put(const char *name, int fd)
{
	char text[FD_STORE_NAME_BYTES + 64], encoded[FD_STORE_NAME_BYTES];
	int r;

	if ((r = fd_store_encode(name, encoded)) < 0)
		return r;
	fd_store_drop(name);
	/*
	 * systemd would poll it, and be woken by every request to the mount,
	 * to forget what has hung up.
	 */
	(void)snprintf(
	    text, sizeof(text), "FDSTORE=1\nFDPOLL=0\nFDNAME=%s", encoded);
	r = sd_pid_notify_with_fds(0, 0, text, &fd, 1);
	return r < 0 ? r : 0;
}

void
fd_store_drop(const char *name)
{
	char encoded[FD_STORE_NAME_BYTES];

	if (fd_store_encode(name, encoded) == 0)
		(void)sd_notifyf(0, "FDSTOREREMOVE=1\nFDNAME=%s", encoded);
}

int
fd_store_settle(void)
{
	int r = sd_notify_barrier(0, SETTLE_US);

	return r < 0 ? r : 0;
}
