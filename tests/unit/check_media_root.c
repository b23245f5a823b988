/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * media on what only root can set up: block devices, disks that fail, file
 * systems that are full or copy on write.
 *
 * Each test has a mount namespace of its own, and its loop devices go with the
 * last descriptor, so that nothing is left behind however a test ends.
 */
#include <linux/fs.h>
#include <linux/loop.h>
#include <mntent.h>
#include <pthread.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>

#include "support/check_main.h"
#include "support/media_fixture.h"

#define DISK_BYTES (UINT64_C(4) << 20)
#define CHUNK_BYTES 65536u

static const struct media_options to_write;
static const struct media_options to_read = { .read_only = true };
static const struct media_options sparse = { .allow_sparse = true };

/*
 * A copy of all mounts would keep those of others busy while we run: let go of
 * what is on devices and of FUSE.
 */
static void
forget_foreign_mounts(void)
{
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	struct mntent *entry;

	while (mounts != NULL && (entry = getmntent(mounts)) != NULL) {
		if (strncmp(entry->mnt_fsname, "/dev/loop", 9) == 0 ||
		    strncmp(entry->mnt_type, "fuse", 4) == 0)
			(void)umount2(entry->mnt_dir, MNT_DETACH);
	}
	if (mounts != NULL)
		endmntent(mounts);
}

/* From here on mounts are seen by this process and its children only. */
static bool
enter_namespace(void)
{
	if (unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return false;
	forget_foreign_mounts();
	return true;
}

static void
set_up(void)
{
	ck_assert(enter_namespace());
}

/* A directory with a file system of this type on it. */
static const char *
mount_at(
    const char *name, const char *source, const char *type, const char *data)
{
	const char *dir = path_in(disk_dir, name);

	ck_assert(mkdir(dir, 0700) == 0 || errno == EEXIST);
	ck_assert_msg(mount(source, dir, type, 0, data) == 0, "%s: %s", type,
	    strerror(errno));
	return dir;
}

/* A loop device; detached when it is closed and not in use any more. */
struct loop {
	int fd;
	char path[32];
};

static struct loop
loop_attach(const char *backing_path, bool read_only)
{
	const int flags = read_only ? O_RDONLY : O_RDWR;
	struct loop_config config = { 0 };
	struct loop loop;
	int control, backing, number, r;

	control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	backing =
	    open(backing_path, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	ck_assert_int_ge(control, 0);
	ck_assert_int_ge(backing, 0);
	config.fd = (uint32_t)backing;
	config.info.lo_flags = LO_FLAGS_AUTOCLEAR;
	if (read_only)
		config.info.lo_flags |= LO_FLAGS_READ_ONLY;
	do {
		number = ioctl(control, LOOP_CTL_GET_FREE);
		ck_assert_int_ge(number, 0);
		snprintf(loop.path, sizeof(loop.path), "/dev/loop%d", number);
		loop.fd = open(loop.path, flags | O_CLOEXEC);
		ck_assert_int_ge(loop.fd, 0);
		r = ioctl(loop.fd, LOOP_CONFIGURE, &config);
		if (r < 0) {
			/* EBUSY: somebody else was quicker to take it. */
			ck_assert_int_eq(errno, EBUSY);
			close(loop.fd);
		}
	} while (r < 0);
	close(backing);
	close(control);
	return loop;
}

/* A loop device that has twice the room its backing file will find. */
static struct loop
loop_attach_thin(const char **ret_backing_path)
{
	const char *path =
	    path_in(mount_at("thin", "none", "tmpfs", "size=2m"), "back");

	file_make(path, DISK_BYTES, true);
	*ret_backing_path = path;
	return loop_attach(path, false);
}

static int
hold(const char *path)
{
	static struct media *media;

	return media_open(path, &to_write, &media, NULL);
}

START_TEST(media_open__takes_a_block_device)
{
	const char *path =
	    file_make(path_in(disk_dir, "disk"), DISK_BYTES, false);
	struct loop loop = loop_attach(path, false);
	struct media *media = media_must_open(loop.path, &to_write);
	struct media_identity id;
	struct stat st;

	ck_assert_uint_eq(media->size, DISK_BYTES);
	ck_assert_int_eq(media->granularity, MEDIA_PAGE);
	ck_assert_int_eq(stat(loop.path, &st), 0);
	ck_assert(media_identity(media, &id));
	ck_assert(id.is_block_device);
	ck_assert_uint_eq(id.device, st.st_rdev);
	ck_assert_uint_eq(id.inode, 0);

	fill(media);
	ck_assert_int_eq(media_zero(media, 1000, 5000), 0);
	ck_assert_int_eq(media_store32(media, 4, le32_encode(0x89abcdef)), 0);
	ck_assert_int_eq(media_fence(media), 0);
	media_close(media);
	media = media_must_open(loop.path, &to_read);
	ck_assert_uint_eq(media->base[999], pattern_at(999, 1));
	ck_assert_uint_eq(media->base[1000], 0);
	ck_assert_uint_eq(media->base[5999], 0);
	ck_assert_uint_eq(media->base[6000], pattern_at(6000, 1));
	ck_assert_uint_eq(media_load32(media, 4), 0x89abcdef);
	media_close(media);
	close(loop.fd);
}
END_TEST

/* By any name, and by those who mount or only read it. */
START_TEST(media_open__holds_a_block_device_alone)
{
	const char *path =
	    file_make(path_in(disk_dir, "disk"), DISK_BYTES, false);
	const char *dev_dir = mount_at("dev", "none", "tmpfs", "mode=700");
	const char *alias = path_in(dev_dir, "alias");
	struct loop loop = loop_attach(path, false);
	struct holder holder;
	struct stat st;
	char pid[32];

	ck_assert_int_eq(stat(loop.path, &st), 0);
	ck_assert_int_eq(mknod(alias, S_IFBLK | 0600, st.st_rdev), 0);
	holder = holder_start(hold, loop.path);
	snprintf(pid, sizeof(pid), "(process %ld)", (long)holder.pid);
	media_must_refuse(loop.path, &to_write, -EBUSY, pid);
	media_must_refuse(loop.path, &to_read, -EBUSY, pid);
	media_must_refuse(alias, &to_write, -EBUSY, "in use: mounted, or");
	holder_stop(&holder);
	media_close(media_must_open(alias, &to_write));
	close(loop.fd);
}
END_TEST

START_TEST(media_open__says_erofs_of_a_read_only_device)
{
	const char *path =
	    file_make(path_in(disk_dir, "disk"), DISK_BYTES, false);
	struct loop loop = loop_attach(path, true);
	struct media *media;

	media_must_refuse(loop.path, &to_write, -EROFS, "read-only");
	media = media_must_open(loop.path, &to_read);
	ck_assert_uint_eq(media->base[DISK_BYTES - 1], 0);
	media_close(media);
	close(loop.fd);
}
END_TEST

/* The backing file of the device is cut, and the device told so. */
START_TEST(media_fence__fails_once_a_device_is_shorter)
{
	const char *path =
	    file_make(path_in(disk_dir, "disk"), DISK_BYTES, false);
	struct loop loop = loop_attach(path, false);
	struct media *media = media_must_open(loop.path, &to_write);

	ck_assert_int_eq(media_fence(media), 0);
	ck_assert_int_eq(truncate(path, DISK_BYTES / 2), 0);
	ck_assert_int_eq(ioctl(loop.fd, LOOP_SET_CAPACITY, 0), 0);
	ck_assert_int_eq(fdatasync(loop.fd), 0);
	ck_assert_int_eq(media_fence(media), -EIO);
	ck_assert_int_eq(media_failed(media), -EIO);
	media_close(media);
	close(loop.fd);
}
END_TEST

/*
 * The system reports the failure once to each descriptor, and then calls syncs
 * of the same data a success.
 */
START_TEST(media_fence__remembers_a_failed_write_back)
{
	const uint8_t byte = 1;
	const char *path;
	struct loop loop = loop_attach_thin(&path);
	struct media *media = media_must_open(loop.path, &to_write);
	int r;

	fill(media);
	r = media_fence(media);
	ck_assert_msg(r == -EIO || r == -ENOSPC, "%d", r);
	ck_assert_int_eq(media_failed(media), r);
	ck_assert_int_eq(fdatasync(loop.fd), -1);
	ck_assert_int_eq(fdatasync(loop.fd), 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(media_fence(media), r);
	ck_assert_int_eq(media_copy(media, 0, &byte, 1), r);
	ck_assert_int_eq(media_zero(media, 0, 1), r);
	ck_assert_int_eq(media_store32(media, 0, le32_encode(9)), r);
	ck_assert_int_eq(media_store64(media, 0, le64_encode(9)), r);
	ck_assert_int_eq(media_flush(media, 0, 8), r);
	/* Reads go on. */
	ck_assert_uint_eq(media->base[1], pattern_at(1, 1));
	media_close(media);
	close(loop.fd);
}
END_TEST

#define NWRITER 4u
#define SHARE_BYTES (DISK_BYTES / NWRITER)

/* A thread that writes its share of the device, and what it was told. */
struct writer {
	struct media *media;
	uint64_t off;
	pthread_barrier_t *start;
	int r;
};

static void *
write_share(void *arg)
{
	struct writer *writer = arg;
	uint8_t *bytes = pattern_new(SHARE_BYTES, 1);

	pthread_barrier_wait(writer->start);
	writer->r = media_copy(writer->media, writer->off, bytes, SHARE_BYTES);
	if (writer->r == 0)
		writer->r = media_fence(writer->media);
	free(bytes);
	return NULL;
}

/* Is the share in the file behind the device? */
static bool
share_is_durable(const char *path, uint64_t off)
{
	uint8_t *expected = pattern_new(SHARE_BYTES, 1);
	uint8_t *found = calloc(1, SHARE_BYTES);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool is_durable;

	ck_assert_ptr_nonnull(found);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(
	    pread(fd, found, SHARE_BYTES, (off_t)off), (ssize_t)SHARE_BYTES);
	is_durable = memcmp(found, expected, SHARE_BYTES) == 0;
	close(fd);
	free(found);
	free(expected);
	return is_durable;
}

/*
 * Of syncs that run at once only one hears of a failure; no thread may take
 * the silence of the others for success.
 */
START_TEST(media_fence__tells_every_thread_whose_data_is_lost)
{
	const char *path;
	struct loop loop = loop_attach_thin(&path);
	struct media *media = media_must_open(loop.path, &to_write);
	struct writer writer[NWRITER];
	pthread_t thread[NWRITER];
	pthread_barrier_t start;
	unsigned nfailed = 0;

	ck_assert_int_eq(pthread_barrier_init(&start, NULL, NWRITER), 0);
	for (unsigned i = 0; i < NWRITER; i++) {
		writer[i] = (struct writer){
			.media = media, .off = i * SHARE_BYTES, .start = &start
		};
		ck_assert_int_eq(
		    pthread_create(&thread[i], NULL, write_share, &writer[i]),
		    0);
	}
	for (unsigned i = 0; i < NWRITER; i++)
		ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
	for (unsigned i = 0; i < NWRITER; i++) {
		nfailed += writer[i].r < 0;
		ck_assert(
		    writer[i].r < 0 || share_is_durable(path, writer[i].off));
	}
	ck_assert_uint_gt(nfailed, 0);
	media_close(media);
	pthread_barrier_destroy(&start);
	close(loop.fd);
}
END_TEST

/* Copy into a hole of a file system that runs full on the way. */
struct overfill {
	struct media *media;
	int r;
};

static int
overfill(void *arg)
{
	static const uint8_t chunk[CHUNK_BYTES] = { 1 };
	struct overfill *job = arg;

	for (uint64_t off = 0; off < job->media->size; off += CHUNK_BYTES) {
		job->r = media_copy(job->media, off, chunk, CHUNK_BYTES);
		if (job->r < 0)
			return job->r;
	}
	return 0;
}

START_TEST(media_copy__survives_a_full_file_system)
{
	const char *path =
	    path_in(mount_at("full", "none", "tmpfs", "size=1m"), "file");
	struct media_options options = sparse;
	struct overfill job = { 0 };

	ck_assert_int_eq(media_install_sigbus(), 0);
	file_make(path, DISK_BYTES, true);
	job.media = media_must_open(path, &options);
	ck_assert_int_eq(media_try(overfill, &job), -ENOSPC);
	/* Nothing that was accepted is lost. */
	ck_assert_int_eq(media_fence(job.media), 0);
	ck_assert_uint_eq(job.media->base[0], 1);
	media_close(job.media);

	/* The same through the mapping, where it is a SIGBUS. */
	options.force = MEDIA_FORCE_CACHE_LINE;
	job.media = media_must_open(path, &options);
	ck_assert_int_eq(media_try(overfill, &job), -EIO);
	media_close(job.media);
}
END_TEST

/* A btrfs in a file; false if the tools or the system have none. */
static const char *
mount_btrfs(void)
{
	const char *image = path_in(disk_dir, "btrfs");
	struct loop loop;
	const char *dir;
	char command[600];

	file_make(image, UINT64_C(256) << 20, true);
	snprintf(
	    command, sizeof(command), "mkfs.btrfs -q -f %s >/dev/null", image);
	ck_assert_int_eq(system(command), 0);
	loop = loop_attach(image, false);
	dir = mount_at("btrfs mount", loop.path, "btrfs", "");
	close(loop.fd); /* the mount holds it */
	return dir;
}

static void
disable_copy_on_write(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	int flags = FS_NOCOW_FL;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ioctl(fd, FS_IOC_SETFLAGS, &flags), 0);
	ck_assert_int_eq(posix_fallocate(fd, 0, MEDIUM_BYTES), 0);
	close(fd);
}

START_TEST(media_open__refuses_copy_on_write_and_shared_blocks)
{
	const char *dir = mount_btrfs();
	const char *cow = path_in(dir, "cow");
	const char *plain = path_in(dir, "plain");
	const char *clone = path_in(dir, "clone");
	int from, to;

	file_make(cow, MEDIUM_BYTES, false);
	media_must_refuse(cow, &to_write, -EOPNOTSUPP, "is copy-on-write");
	media_close(media_must_open(cow, &sparse));
	media_close(media_must_open(cow, &to_read));

	disable_copy_on_write(plain);
	media_close(media_must_open(plain, &to_write));

	disable_copy_on_write(clone);
	from = open(plain, O_RDWR | O_CLOEXEC);
	to = open(clone, O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(write(from, "data", 4), 4);
	ck_assert_int_eq(fsync(from), 0);
	ck_assert_int_eq(ioctl(to, FICLONE, from), 0);
	close(from);
	close(to);
	media_must_refuse(plain, &to_write, -EOPNOTSUPP, "shares blocks");
	media_must_refuse(clone, &to_write, -EOPNOTSUPP, "shares blocks");
	media_close(media_must_open(clone, &sparse));
}
END_TEST

static bool
has_btrfs(void)
{
	char line[64];
	bool found = false;
	FILE *file = fopen("/proc/filesystems", "re");

	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
		found = found || strcmp(line, "\tbtrfs\n") == 0;
	if (file != NULL)
		fclose(file);
	return found && system("command -v mkfs.btrfs >/dev/null") == 0;
}

/* Needs a child: a namespace cannot be left again. */
static bool
namespaces_work(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(enter_namespace() ? 0 : 1);
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

int
main(void)
{
	Suite *suite = suite_create("media_root");
	TCase *tcase = case_new(suite, "media_root");

	if (geteuid() != 0)
		check_skip("needs root");
	if (!check_forks())
		check_skip("each test needs a process of its own");
	if (!namespaces_work())
		check_skip("no mount namespace to be had");
	if (access("/dev/loop-control", R_OK | W_OK) < 0)
		check_skip("no loop devices");

	tcase_add_checked_fixture(tcase, set_up, NULL);
	tcase_add_test(tcase, media_open__takes_a_block_device);
	tcase_add_test(tcase, media_open__holds_a_block_device_alone);
	tcase_add_test(tcase, media_open__says_erofs_of_a_read_only_device);
	tcase_add_test(tcase, media_fence__fails_once_a_device_is_shorter);
	tcase_add_test(tcase, media_fence__remembers_a_failed_write_back);
	tcase_add_loop_test(
	    tcase, media_fence__tells_every_thread_whose_data_is_lost, 0, 10);
	tcase_add_test(tcase, media_copy__survives_a_full_file_system);
	if (has_btrfs())
		tcase_add_test(
		    tcase, media_open__refuses_copy_on_write_and_shared_blocks);
	else
		printf("no btrfs: copy-on-write is not tried\n");
	return check_main(suite);
}
