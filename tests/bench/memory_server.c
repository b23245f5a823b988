/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * usage: memory_server [-r | -f FILE] [-t THREADS] BYTES DIRECTORY
 *
 * Says "ready" when requests are answered, ends when the mount does.  -r serves
 * over io_uring, -f the first BYTES of a file.
 */
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "memory_server.h"

#define HEAD_BYTES \
	(sizeof(struct fuse_in_header) + sizeof(struct fuse_write_in))

_Noreturn static void
die(const char *what)
{
	perror(what);
	exit(1);
}

static void
fill_attr(
    const struct memory_server *server, uint64_t node, struct fuse_attr *attr)
{
	*attr = (struct fuse_attr){
		.ino = node,
		.mode = node == MEMORY_NODE ? S_IFREG | 0600 : S_IFDIR | 0755,
		.nlink = 1,
		.size = node == MEMORY_NODE ? server->size : 0,
		.blocks = node == MEMORY_NODE ? server->size / 512 : 0,
		.blksize = MEMORY_MAX_IO,
	};
}

bool
memory_answer(const struct memory_server *server,
    const struct fuse_in_header *in, const char *name,
    struct memory_answer *answer)
{
	const uint64_t hours = 3600;

	*answer = (struct memory_answer){ 0 };
	switch (in->opcode) {
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
		return false;
	case FUSE_LOOKUP:
		if (strcmp(name, "disk") != 0) {
			answer->error = -ENOENT;
			return true;
		}
		answer->out.entry = (struct fuse_entry_out){
			.nodeid = MEMORY_NODE,
			.entry_valid = hours,
			.attr_valid = hours,
		};
		fill_attr(server, MEMORY_NODE, &answer->out.entry.attr);
		answer->bytes = sizeof(answer->out.entry);
		return true;
	case FUSE_GETATTR:
	case FUSE_SETATTR:
		answer->out.attr.attr_valid = hours;
		fill_attr(server, in->nodeid, &answer->out.attr.attr);
		answer->bytes = sizeof(answer->out.attr);
		return true;
	case FUSE_OPEN:
		answer->out.open.open_flags = FOPEN_DIRECT_IO |
		    FOPEN_PARALLEL_DIRECT_WRITES | FOPEN_NOFLUSH;
		answer->bytes = sizeof(answer->out.open);
		return true;
	case FUSE_STATFS:
		answer->out.statfs.st.bsize = 4096;
		answer->out.statfs.st.namelen = 255;
		answer->bytes = sizeof(answer->out.statfs);
		return true;
	case FUSE_FSYNC:
	case FUSE_RELEASE:
		return true;
	default:
		answer->error = -ENOSYS;
		return true;
	}
}

uint32_t
memory_clamp(const struct memory_server *server, uint64_t off, uint32_t bytes)
{
	if (off >= server->size)
		return 0;
	return bytes < server->size - off ? bytes
					  : (uint32_t)(server->size - off);
}

/* Errors are the kernel's to live with: it was killed, or the mount has gone. */
static void
reply(const struct memory_server *server, uint64_t unique, int error,
    void *data, size_t bytes)
{
	struct fuse_out_header header = {
		.len = (uint32_t)(sizeof(header) + bytes),
		.error = error,
		.unique = unique,
	};
	struct iovec iov[] = {
		{ .iov_base = &header, .iov_len = sizeof(header) },
		{ .iov_base = data, .iov_len = bytes },
	};

	(void)!writev(server->fd, iov, bytes == 0 ? 1 : 2);
}

/* The part of a file behind the mount; buffer has room for what is read. */
static void
serve_file(const struct memory_server *server, const struct fuse_in_header *in,
    uint8_t *buffer)
{
	const struct fuse_read_in *read_in = (const void *)(in + 1);
	const struct fuse_write_in *write_in = (const void *)(in + 1);
	struct fuse_write_out out = { 0 };
	ssize_t n;

	switch (in->opcode) {
	case FUSE_READ:
		n = pread(server->file, buffer,
		    memory_clamp(server, read_in->offset, read_in->size),
		    (off_t)read_in->offset);
		reply(server, in->unique, n < 0 ? -errno : 0, buffer,
		    n < 0 ? 0 : (size_t)n);
		break;
	case FUSE_WRITE:
		n = pwrite(server->file, write_in + 1,
		    memory_clamp(server, write_in->offset, write_in->size),
		    (off_t)write_in->offset);
		out.size = n < 0 ? 0 : (uint32_t)n;
		reply(server, in->unique, n < 0 ? -errno : 0, &out,
		    n < 0 ? 0 : sizeof(out));
		break;
	default: /* FUSE_FSYNC */
		n = fdatasync(server->file);
		reply(server, in->unique, n < 0 ? -errno : 0, NULL, 0);
	}
}

/* Is it for the file behind the mount? */
static bool
is_for_file(const struct memory_server *server, const struct fuse_in_header *in)
{
	return server->file >= 0 &&
	    (in->opcode == FUSE_READ || in->opcode == FUSE_WRITE ||
		in->opcode == FUSE_FSYNC);
}

static void
serve(const struct memory_server *server, const struct fuse_in_header *in)
{
	const struct fuse_read_in *read_in = (const void *)(in + 1);
	const struct fuse_write_in *write_in = (const void *)(in + 1);
	struct fuse_write_out out = { 0 };
	struct memory_answer answer;
	uint32_t bytes;

	switch (in->opcode) {
	case FUSE_READ:
		bytes = memory_clamp(server, read_in->offset, read_in->size);
		reply(server, in->unique, 0, server->bytes + read_in->offset,
		    bytes);
		break;
	case FUSE_WRITE:
		out.size =
		    memory_clamp(server, write_in->offset, write_in->size);
		memcpy(
		    server->bytes + write_in->offset, write_in + 1, out.size);
		reply(server, in->unique, 0, &out, sizeof(out));
		break;
	default:
		if (memory_answer(server, in, (const char *)(in + 1), &answer))
			reply(server, in->unique, answer.error, answer.out.of,
			    answer.bytes);
	}
}

/* A WRITE's payload begins a page; a READ has none, and its answer may. */
static void *
serve_all(void *arg)
{
	const struct memory_server *server = arg;
	uint8_t *buffer;
	struct fuse_in_header *in;
	ssize_t n;

	buffer = mmap(NULL, 4096 + MEMORY_MAX_IO, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (buffer == MAP_FAILED)
		die("mmap");
	in = (void *)(buffer + 4096 - HEAD_BYTES);
	for (;;) {
		n = read(server->fd, in, HEAD_BYTES + MEMORY_MAX_IO);
		if (n < 0 && errno == ENODEV)
			return NULL;
		if (n <= 0)
			continue;
		if (is_for_file(server, in))
			serve_file(server, in, buffer + 4096);
		else
			serve(server, in);
	}
}

static void
agree(const struct memory_server *server, bool with_ring)
{
	uint64_t flags = FUSE_ASYNC_READ | FUSE_BIG_WRITES | FUSE_MAX_PAGES |
	    FUSE_PARALLEL_DIROPS | FUSE_ASYNC_DIO | FUSE_INIT_EXT |
	    FUSE_DIRECT_IO_ALLOW_MMAP;
	struct {
		struct fuse_in_header head;
		struct fuse_init_in init;
		uint8_t rest[FUSE_MIN_READ_BUFFER];
	} in;
	struct fuse_init_out out;

	if (read(server->fd, &in, sizeof(in)) < (ssize_t)sizeof(in.head))
		die("/dev/fuse");
	if (with_ring && (in.init.flags2 & FUSE_OVER_IO_URING >> 32) == 0) {
		fprintf(stderr, "memory_server: the kernel offers no ring\n");
		exit(77);
	}
	if (with_ring)
		flags |= FUSE_OVER_IO_URING;
	out = (struct fuse_init_out){
		.major = FUSE_KERNEL_VERSION,
		.minor = FUSE_KERNEL_MINOR_VERSION,
		.max_readahead = in.init.max_readahead,
		.flags = (uint32_t)flags,
		.flags2 = (uint32_t)(flags >> 32),
		.max_background = 256,
		.congestion_threshold = 192,
		.max_write = MEMORY_MAX_IO,
		.time_gran = 1,
		.max_pages = MEMORY_MAX_IO / 4096,
	};
	reply(server, in.head.unique, 0, &out, sizeof(out));
}

static void
attach(struct memory_server *server, const char *size, const char *directory)
{
	char options[128];

	server->size = strtoull(size, NULL, 10);
	if (server->file < 0) {
		server->bytes = mmap(NULL, server->size, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		if (server->bytes == MAP_FAILED)
			die("mmap");
	}
	if ((server->fd = open("/dev/fuse", O_RDWR | O_CLOEXEC)) < 0)
		die("/dev/fuse");
	snprintf(options, sizeof(options),
	    "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other",
	    server->fd);
	if (mount("memory", directory, "fuse.memory", MS_NOSUID | MS_NODEV,
		options) != 0)
		die(directory);
}

int
main(int argc, char *argv[])
{
	struct memory_server server = { .fd = -1, .file = -1 };
	unsigned long nthread = 2;
	bool with_ring = false;
	pthread_t thread;
	int option, r;

	while ((option = getopt(argc, argv, "f:rt:")) != -1) {
		switch (option) {
		case 'f':
			server.file = open(optarg, O_RDWR | O_CLOEXEC);
			if (server.file < 0)
				die(optarg);
			break;
		case 'r':
			with_ring = true;
			nthread = 1;
			break;
		case 't':
			nthread = strtoul(optarg, NULL, 10);
			break;
		default:
			return 2;
		}
	}
	if (argc - optind != 2 || (with_ring && server.file >= 0))
		return 2;
	attach(&server, argv[optind], argv[optind + 1]);
	agree(&server, with_ring);
	if (with_ring && (r = memory_ring_start(&server)) < 0) {
		fprintf(stderr, "memory_server: the ring: %s\n", strerror(-r));
		return 1;
	}
	for (unsigned long i = 1; i < nthread; i++)
		if (pthread_create(&thread, NULL, serve_all, &server) != 0)
			die("pthread_create");
	printf("ready\n");
	fflush(stdout);
	(void)serve_all(&server);
	return 0;
}
