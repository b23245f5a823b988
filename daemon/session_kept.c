/* SPDX-License-Identifier: BSD-3-Clause */
#include "session_kept.h"

#include <sys/mman.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define KEPT_MAGIC UINT64_C(0x316e6f6973736573)

static int
map(int fd, struct session_kept **ret_kept)
{
	void *at;

	at = mmap(NULL, sizeof(**ret_kept), PROT_READ | PROT_WRITE, MAP_SHARED,
	    fd, 0);
	if (at == MAP_FAILED)
		return -errno;
	*ret_kept = at;
	return 0;
}

int
session_kept_new(struct session_kept **ret_kept, int *ret_fd)
{
	int fd, r;

	if ((fd = memfd_create("bttfs-session", MFD_CLOEXEC)) < 0)
		return -errno;
	r = ftruncate(fd, sizeof(**ret_kept)) != 0 ? -errno : map(fd, ret_kept);
	if (r < 0) {
		(void)close(fd); /* memory */
		return r;
	}
	*ret_fd = fd;
	return 0;
}

int
session_kept_map(int fd, struct session_kept **ret_kept)
{
	struct session_kept *kept = NULL;
	int r;

	if (lseek(fd, 0, SEEK_END) != (off_t)sizeof(*kept))
		return -EUCLEAN;
	if ((r = map(fd, &kept)) < 0)
		return r;
	if (atomic_load(&kept->magic) != KEPT_MAGIC ||
	    kept->init_bytes > sizeof(kept->init)) {
		session_kept_unmap(kept);
		return -EUCLEAN;
	}
	*ret_kept = kept;
	return 0;
}

void
session_kept_unmap(struct session_kept *kept)
{
	if (kept != NULL)
		(void)munmap(kept, sizeof(*kept));
}

int
session_kept_set(struct session_kept *kept, const void *init, size_t bytes)
{
	if (bytes > sizeof(kept->init))
		return -E2BIG;
	memcpy(kept->init, init, bytes);
	kept->init_bytes = (uint32_t)bytes;
	atomic_store(&kept->magic, KEPT_MAGIC);
	return 0;
}
