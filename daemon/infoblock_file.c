/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "infoblock.h"
#include "system_error.h"

/* In front of the first info block: a page in v1.1, two in a pool. */
#define LEADING_MAX 2u

/* A whole block, or as much of one as there is. */
static ssize_t
read_block(int fd, uint8_t ret_block[BTT_INFO_BYTES])
{
	size_t done;
	ssize_t n;

	for (done = 0; done < BTT_INFO_BYTES; done += (size_t)n) {
		n = read(fd, ret_block + done, BTT_INFO_BYTES - done);
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n < 0)
			return -errno;
		else if (n == 0)
			break;
	}
	return (ssize_t)done;
}

int
infoblock_each_in_stream(int fd, infoblock_fn *fn, void *arg)
{
	struct btt_info_copy copy;
	unsigned nleading, nfound;
	ssize_t n;

	nleading = 0;
	nfound = 0;
	memset(&copy, 0, sizeof(copy));
	for (copy.off = 0;; copy.off += BTT_INFO_BYTES) {
		if ((n = read_block(fd, copy.block)) < 0)
			return (int)n;
		if ((size_t)n < BTT_INFO_BYTES)
			return 0;
		copy.state = btt_info_decode(copy.block, &copy.info);
		if (copy.state != BTT_INFO_NO_SIGNATURE) {
			nfound++;
			fn(arg, &copy);
		} else if (nfound > 0 || ++nleading > LEADING_MAX) {
			return 0;
		}
	}
}

/* Is path another name of what is being read? */
static bool
is_medium(const char *path, const struct media *media)
{
	struct media_identity id;
	struct stat st;

	if (media == NULL || !media_identity(media, &id) || stat(path, &st) < 0)
		return false;
	if (S_ISBLK(st.st_mode) || id.is_block_device)
		return S_ISBLK(st.st_mode) && id.is_block_device &&
		    st.st_rdev == id.device;
	return st.st_dev == id.device && st.st_ino == id.inode;
}

int
infoblock_create_file(const char *path, bool may_overwrite,
    const struct media *media, FILE **ret_file, struct btt_error *error)
{
	int fd, flags;

	if (path == NULL) {
		if (isatty(STDOUT_FILENO))
			return btt_error_set(error, -EINVAL,
			    "an info block is no text for a terminal; give a "
			    "file (-o)");
		*ret_file = stdout;
		return 0;
	}
	if (is_medium(path, media))
		return btt_error_set(
		    error, -EINVAL, "%s is the medium itself", path);
	flags = may_overwrite ? O_TRUNC : O_EXCL;
	if ((fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0666)) < 0)
		return system_error(error, -errno, path);
	if ((*ret_file = fdopen(fd, "w")) == NULL) {
		close(fd);
		return btt_error_set(error, -ENOMEM, "out of memory");
	}
	return 0;
}
