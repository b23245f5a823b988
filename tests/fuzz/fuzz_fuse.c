/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_fuse -- requests for data as the kernel sends them, on a device of a few
 * sectors: parsed in place, answered, held against a plain array of bytes.
 *
 * Claims: each request has one answer, for itself, as long as it says; reads
 * give what was written, and nothing beyond the end; a request that is refused
 * has changed nothing; offsets and lengths of any size do no harm.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "medium.h"
#include "session_impl.h"
#include "support/hostile.h"
#include "target.h"

#define NODE 2u
#define BYTES_MAX (64u << 10)

/* One request: of these the message is made. */
struct spec {
	uint8_t what;
	uint8_t node;
	uint8_t scale; /* where off counts from, how much of it is meant */
	uint8_t cut;   /* bytes that the message is too short or too long */
	uint8_t off[4];
	uint8_t len[4];
	uint8_t flags[4];
};

static struct {
	struct device device;
	struct session *session;
	struct worker *worker;
	uint8_t shadow[BYTES_MAX];
	uint64_t size;
	bool inside; /* a request is in the device */
	/* The answer. */
	unsigned nanswer;
	struct fuse_out_header header;
	size_t bytes; /* behind the header */
	uint8_t answer[BYTES_MAX];
} run;

/* A tree with one device. */
struct device *
tree_enter(
    struct tree *tree, unsigned worker, uint64_t nodeid, const char *what)
{
	(void)tree;
	(void)worker;
	FUZZ_CHECK(!run.inside && what[0] != '\0');
	run.inside = nodeid == NODE;
	return run.inside ? &run.device : NULL;
}

void
tree_leave(struct tree *tree, unsigned worker)
{
	(void)tree;
	(void)worker;
	FUZZ_CHECK(run.inside);
	run.inside = false;
}

bool
tree_elides_fsync(struct tree *tree)
{
	(void)tree;
	return false;
}

bool
device_needs_flush(const struct device *device)
{
	return device->geometry.durability == BTT_DURABLE_FLUSH;
}

struct fuse_buf;
struct fuse_session;
void
fuse_session_process_buf(struct fuse_session *fuse, const struct fuse_buf *buf);

void
fuse_session_process_buf(struct fuse_session *fuse, const struct fuse_buf *buf)
{
	(void)fuse;
	(void)buf;
	run.nanswer++;
}

/* No worker here has a ring. */
void
worker_reply_by_ring(
    struct worker *worker, int error, const struct iovec *iov, int niov)
{
	(void)worker, (void)error, (void)iov, (void)niov;
	FUZZ_CHECK(false);
}

void
worker_serve_ring_by_libfuse(struct worker *worker, size_t bytes)
{
	(void)worker, (void)bytes;
	FUZZ_CHECK(false);
}

/* session_dev.c is compiled with this for writev(2). */
ssize_t fuzz_writev(int fd, const struct iovec *iov, int niov);

ssize_t
fuzz_writev(int fd, const struct iovec *iov, int niov)
{
	size_t all = 0;

	(void)fd;
	run.nanswer++;
	FUZZ_CHECK(niov >= 1 && iov[0].iov_len == sizeof(run.header));
	memcpy(&run.header, iov[0].iov_base, sizeof(run.header));
	run.bytes = 0;
	for (int i = 1; i < niov; i++) {
		size_t len = iov[i].iov_len;

		FUZZ_CHECK(len <= sizeof(run.answer) - run.bytes);
		/* Also touches every byte. */
		if (len > 0)
			memcpy(run.answer + run.bytes, iov[i].iov_base, len);
		run.bytes += len;
	}
	all = sizeof(run.header) + run.bytes;
	FUZZ_CHECK(run.header.len == all);
	FUZZ_CHECK(run.header.error <= 0 && run.header.error > -512);
	return (ssize_t)all;
}

static uint32_t
get32(const uint8_t from[4])
{
	uint32_t value;

	memcpy(&value, from, sizeof(value));
	return value;
}

static uint64_t
offset_of(const struct spec *spec)
{
	uint64_t off = get32(spec->off);

	switch (spec->scale % 4) {
	case 0:
		return off % (run.size + 1024);
	case 1:
		return UINT64_MAX - off;
	case 2:
		return (off % run.size) & ~UINT64_C(511);
	default:
		return run.size - 600 + off % 1200;
	}
}

static uint32_t
length_of(const struct spec *spec)
{
	uint32_t len = get32(spec->len);

	switch (spec->scale / 4 % 4) {
	case 0:
		return len % (uint32_t)(run.size + 1024);
	case 1:
		return len;
	case 2:
		return len % 8192 & ~511u;
	default:
		return len % 2048;
	}
}

/* Send it, and have one answer. */
static void
serve(
    const struct spec *spec, uint32_t opcode, const void *arg, size_t arg_bytes)
{
	static uint64_t unique;
	struct fuse_in_header *request = run.worker->request;
	size_t bytes;

	if (spec->cut % 8 == 7)
		arg_bytes -=
		    spec->cut / 8 < arg_bytes ? spec->cut / 8u : arg_bytes;
	if (arg != NULL)
		memmove(request + 1, arg, arg_bytes);
	bytes = sizeof(*request) + arg_bytes;
	*request = (struct fuse_in_header){
		.len = (uint32_t)bytes,
		.opcode = opcode,
		.unique = ++unique,
		.nodeid = spec->node % 8 == 7 ? spec->node / 8u : NODE,
	};
	run.nanswer = 0;
	worker_serve(run.worker, bytes);
	FUZZ_CHECK(run.nanswer == 1 && !run.inside);
	FUZZ_CHECK(run.header.unique == unique);
	FUZZ_CHECK(run.header.error == 0 || run.bytes == 0);
}

static void
do_read(const struct spec *spec)
{
	const struct fuse_read_in in = { .offset = offset_of(spec),
		.size = length_of(spec),
		.flags = get32(spec->flags) };
	uint64_t left = in.offset < run.size ? run.size - in.offset : 0;

	serve(spec, FUSE_READ, &in, sizeof(in));
	if (run.header.error < 0)
		return;
	FUZZ_CHECK(in.size <= FS_IO_MAX);
	FUZZ_CHECK(!(in.flags & O_DIRECT) || (in.offset | in.size) % 512 == 0);
	FUZZ_CHECK(run.bytes == (in.size < left ? in.size : left));
	FUZZ_CHECK(run.bytes == 0 ||
	    memcmp(run.answer, run.shadow + in.offset, run.bytes) == 0);
}

static void
do_write(const struct spec *spec)
{
	struct fuse_write_in in = { .offset = offset_of(spec),
		.size = length_of(spec),
		.flags = get32(spec->flags) };
	uint64_t left = in.offset < run.size ? run.size - in.offset : 0;
	uint32_t sent = in.size <= FS_IO_MAX ? in.size : 4096;
	uint8_t *payload = (uint8_t *)run.worker->request + HEAD_BYTES;
	struct fuse_write_out out;

	memset(payload, spec->cut ^ spec->off[0], sent);
	memcpy(payload - sizeof(in), &in, sizeof(in));
	serve(spec, FUSE_WRITE, NULL, sizeof(in) + sent);
	if (run.header.error < 0)
		return;
	FUZZ_CHECK(run.bytes == sizeof(out));
	memcpy(&out, run.answer, sizeof(out));
	FUZZ_CHECK(out.size == (in.size < left ? in.size : left));
	FUZZ_CHECK(!(in.flags & O_DIRECT) || (in.offset | in.size) % 512 == 0);
	if (out.size > 0)
		memcpy(run.shadow + in.offset, payload, out.size);
}

static void
do_fallocate(const struct spec *spec)
{
	const uint32_t keep = FALLOC_FL_KEEP_SIZE;
	struct fuse_fallocate_in in = { .offset = offset_of(spec),
		.length =
		    spec->scale & 0x80 ? offset_of(spec) : length_of(spec),
		.mode = get32(spec->flags) % 64 };
	uint64_t left = in.offset < run.size ? run.size - in.offset : 0;
	uint64_t n = in.length < left ? in.length : left;

	serve(spec, FUSE_FALLOCATE, &in, sizeof(in));
	FUZZ_CHECK(run.header.error != -ENOSYS);
	if (run.header.error < 0)
		return;
	/* A disk does not grow. */
	FUZZ_CHECK(n == in.length || (in.mode & keep));
	if ((in.mode & ~keep) == 0)
		return;
	FUZZ_CHECK((in.mode & ~keep) == FALLOC_FL_PUNCH_HOLE ||
	    (in.mode & ~keep) == FALLOC_FL_ZERO_RANGE);
	if (n > 0)
		memset(run.shadow + in.offset, 0, n);
}

static void
do_lseek(const struct spec *spec)
{
	const struct fuse_lseek_in in = { .offset = offset_of(spec),
		.whence = get32(spec->flags) % 6 };
	struct fuse_lseek_out out;

	serve(spec, FUSE_LSEEK, &in, sizeof(in));
	if (run.header.error < 0)
		return;
	FUZZ_CHECK(in.whence == SEEK_DATA || in.whence == SEEK_HOLE);
	FUZZ_CHECK(run.bytes == sizeof(out));
	memcpy(&out, run.answer, sizeof(out));
	FUZZ_CHECK(out.offset >= in.offset && out.offset <= run.size);
	/* What is skipped on the way to data reads as zeroes. */
	for (uint64_t i = in.offset; in.whence == SEEK_DATA && i < out.offset;
	     i++)
		FUZZ_CHECK(run.shadow[i] == 0);
}

static void
do_request(const struct spec *spec)
{
	switch (spec->what % 6) {
	case 0:
		do_read(spec);
		break;
	case 1:
	case 2:
		do_write(spec);
		break;
	case 3:
		do_fallocate(spec);
		break;
	case 4:
		do_lseek(spec);
		break;
	case 5:
		serve(spec, spec->what & 0x80 ? FUSE_INTERRUPT : FUSE_FSYNC,
		    &(struct fuse_fsync_in){ 0 }, sizeof(struct fuse_fsync_in));
		break;
	}
}

static void
new_session(void)
{
	struct worker *worker;

	run.session = calloc(1, sizeof(*run.session) + sizeof(*worker));
	FUZZ_CHECK(run.session != NULL);
	worker = run.worker = &run.session->workers[0];
	FUZZ_CHECK(btt_worker_pool_new(1, &run.session->pool) == 0);
	worker->session = run.session;
	worker->btt = btt_worker_pool_get(run.session->pool, 0);
	worker->request = malloc(REQUEST_BYTES);
	worker->iov = calloc(BTT_READ_IOV + 1, sizeof(*worker->iov));
	FUZZ_CHECK(worker->request != NULL && worker->iov != NULL);
	worker->payload = (uint8_t *)worker->request + HEAD_BYTES;
	FUZZ_CHECK(io_stats_new(1, &run.device.io_stats) == 0);
}

static void
new_device(uint8_t kind)
{
	static const struct hostile_case pool = { .base = HOSTILE_POOL,
		.changes = "" };
	const struct btt_open_options options = { .nlane = 1 + kind / 16 % 4,
		.durability =
		    kind & 1 ? BTT_DURABLE_FLUSH : BTT_DURABLE_WRITE };
	struct hostile_image image = {
		.sector_bytes = kind & 2 ? 4096 : 512,
		.nfree = 8,
		.arena_bytes = 16 * BTT_ALIGN,
	};
	struct medium *medium;
	void *bytes = NULL;

	FUZZ_CHECK(posix_memalign(&bytes, BTT_ALIGN,
		       HOSTILE_ROOM(image.arena_bytes)) == 0);
	memset(bytes, 0, HOSTILE_ROOM(image.arena_bytes));
	image.bytes = bytes;
	/* Sectors of pools read as zeroes until they are written. */
	hostile_make(&pool, &image);
	medium = medium_new(
	    image.bytes, image.size, kind & 4 ? MEDIA_PAGE : MEDIA_CACHE_LINE);
	FUZZ_CHECK(btt_open(&medium->media, run.session->pool, &options,
		       &run.device.btt, NULL) == 0);
	btt_get_geometry(run.device.btt, &run.device.geometry);
	run.size = run.device.geometry.size_bytes;
	FUZZ_CHECK(run.size <= BYTES_MAX && run.size > 600);
	memset(run.shadow, 0, run.size);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct spec all = { .scale = 4 * 4 };
	struct spec spec;

	if (size == 0)
		return 0;
	if (run.session == NULL)
		new_session();
	new_device(data[0]);
	for (size_t at = 1; size - at >= sizeof(spec); at += sizeof(spec)) {
		memcpy(&spec, data + at, sizeof(spec));
		do_request(&spec);
	}
	/* All of it, in the end. */
	spec = all;
	memcpy(spec.len, &(uint32_t){ (uint32_t)run.size }, 4);
	do_read(&spec);
	FUZZ_CHECK(run.header.error == 0 && run.bytes == run.size);
	FUZZ_CHECK(btt_close(run.device.btt) == 0);
	return 0;
}
