/* SPDX-License-Identifier: BSD-3-Clause */
#include "device_kept.h"

#include <sys/mman.h>

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>

#include "jsonb.h"
#include "system_error.h"

#define KEPT_MAGIC UINT64_C(0x656369766564696b)
#define KEPT_VERSION 1u
#define OPTIONS_BYTES 12288u /* two paths, and some */
/* What the engine keeps begins here: a multiple of any page. */
#define MEMORY_OFF 65536u

/*
 * What the memory begins with.  Only the server of the moment writes to it.
 * Keys: I immutable once magic is set, a atomic, D by the device's job, A
 * device.attr_lock, B the lock of the medium's list.
 */
struct head {
	_Atomic uint64_t magic;       /* [a] set last */
	uint32_t version;             /* [I] */
	uint32_t memory_bytes;        /* [D] that the engine asked for */
	_Atomic uint64_t nodeid;      /* [a] */
	_Atomic uint64_t nopen;       /* [a] */
	_Atomic uint32_t attr_serial; /* [a] odd while attr is being changed */
	struct device_attr attr;      /* [A] */
	char options[OPTIONS_BYTES];  /* [I] JSON, ended by zero */
	/* [a] see device_kept_scrub; half of a change is as good as either */
	_Atomic uint64_t scrub_rate, scrub_first, scrub_count;
	/* [a] bytes of bad[bad_now]; the other one may be half written */
	_Atomic uint32_t bad_now, bad_bytes;
	uint8_t bad[2][MEDIA_BAD_BYTES]; /* [B] */
};
static_assert(sizeof(struct head) <= MEMORY_OFF, "room for the head");

/* Keys: I immutable after new, D by the device's job. */
struct device_kept {
	struct keeper_client *keeper; /* [I] */
	char *name;                   /* [I] as the keeper has it */
	int fd;                       /* [I] */
	struct head *head;            /* [I] */
	void *memory;                 /* [D] NULL before it is asked for */
	size_t memory_bytes;          /* [D] mapped */
	struct json_object *options;  /* [I] owns the strings, or NULL */
};

#define NAME_PREFIX "device/"

const char *
device_kept_name(const struct kept_fd *entry)
{
	const size_t n = sizeof(NAME_PREFIX) - 1;

	return strncmp(entry->name, NAME_PREFIX, n) == 0 ? entry->name + n
							 : NULL;
}

static int
map_head(struct device_kept *kept)
{
	void *at;

	at = mmap(
	    NULL, MEMORY_OFF, PROT_READ | PROT_WRITE, MAP_SHARED, kept->fd, 0);
	if (at == MAP_FAILED)
		return -errno;
	kept->head = at;
	return 0;
}

static int
alloc(struct keeper_client *keeper, const char *name, int fd,
    struct device_kept **ret_kept)
{
	struct device_kept *kept;

	if ((kept = calloc(1, sizeof(*kept))) == NULL ||
	    asprintf(&kept->name, NAME_PREFIX "%s", name) < 0) {
		free(kept);
		(void)close(fd);
		return -ENOMEM;
	}
	kept->keeper = keeper;
	kept->fd = fd;
	*ret_kept = kept;
	return 0;
}

int
device_kept_find_backing(struct keeper_client *keeper, const char *name)
{
	char key[DEVICE_KEPT_KEY_BYTES];

	device_kept_backing_key(name, key);
	return kept_fds_find(keeper_client_inherited(keeper), key);
}

int
device_kept_take_backing(struct keeper_client *keeper, const char *name)
{
	char key[DEVICE_KEPT_KEY_BYTES];

	device_kept_backing_key(name, key);
	return kept_fds_take(keeper_client_inherited(keeper), key);
}

/* As it is: paths need not be UTF-8. */
static void
add_text(struct jsonb *jsonb, struct json_object *object, const char *key,
    const char *text)
{
	if (text != NULL)
		jsonb_add(jsonb, object, key, json_object_new_string(text));
}

/*
 * Paths are kept absolute: the successor may stand elsewhere.  That of what was
 * opened for us may lead where we cannot go.
 */
static int
write_options(struct head *head, const struct device_options *options)
{
	struct jsonb jsonb = { false };
	struct json_object *object;
	const char *text;
	char *path;
	int n;

	path = options->fd < 0 ? realpath(options->path, NULL)
			       : strdup(options->path);
	if (path == NULL)
		return -errno;
	object = jsonb_object(&jsonb);
	add_text(&jsonb, object, "path", path);
	add_text(&jsonb, object, "name", options->name);
	add_text(&jsonb, object, "namespace", options->namespace);
	jsonb_add_number(&jsonb, object, "mode", options->mode);
	jsonb_add_number(&jsonb, object, "uid", options->uid);
	jsonb_add_number(&jsonb, object, "gid", options->gid);
	jsonb_add_number(&jsonb, object, "read_only", options->read_only);
	jsonb_add_number(&jsonb, object, "sparse", options->allow_sparse);
	jsonb_add_number(&jsonb, object, "no_links", options->no_links);
	jsonb_add_number(&jsonb, object, "durability", options->durability);
	jsonb_add_number(&jsonb, object, "commit", options->commit_seconds);
	jsonb_add_number(&jsonb, object, "force", options->force);
	free(path);
	text = jsonb.failed
	    ? NULL
	    : json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN);
	n = text == NULL ? -1
			 : snprintf(head->options, OPTIONS_BYTES, "%s", text);
	(void)json_object_put(object);
	if (n < 0)
		return -ENOMEM;
	return n < (int)OPTIONS_BYTES ? 0 : -ENAMETOOLONG;
}

static bool
get_number(struct json_object *object, const char *key, uint64_t most,
    uint64_t *ret_number)
{
	struct json_object *value;

	if (!json_object_object_get_ex(object, key, &value) ||
	    !json_object_is_type(value, json_type_int))
		return false;
	*ret_number = json_object_get_uint64(value);
	return *ret_number <= most;
}

static const char *
get_text(struct json_object *object, const char *key)
{
	struct json_object *value;

	return json_object_object_get_ex(object, key, &value)
	    ? json_object_get_string(value)
	    : NULL;
}

/* Numbers that are written by who reads them; still they are looked at. */
static int
read_options(struct json_object *object, struct device_options *ret_options)
{
	uint64_t mode, uid, gid, read_only, sparse, no_links, durability;
	uint64_t commit, force;

	if (!get_number(object, "mode", 0777, &mode) ||
	    !get_number(object, "uid", UINT32_MAX, &uid) ||
	    !get_number(object, "gid", UINT32_MAX, &gid) ||
	    !get_number(object, "read_only", 1, &read_only) ||
	    !get_number(object, "sparse", 1, &sparse) ||
	    !get_number(object, "no_links", 1, &no_links) ||
	    !get_number(object, "durability", BTT_DURABLE_FLUSH, &durability) ||
	    !get_number(object, "commit", DEVICE_COMMIT_SECONDS_MAX, &commit) ||
	    !get_number(object, "force", MEDIA_FORCE_PAGE, &force))
		return -EUCLEAN;
	device_options_init(ret_options);
	ret_options->path = get_text(object, "path");
	ret_options->name = get_text(object, "name");
	ret_options->namespace = get_text(object, "namespace");
	if (ret_options->path == NULL || ret_options->name == NULL)
		return -EUCLEAN;
	ret_options->mode = (mode_t)mode;
	ret_options->uid = (uid_t)uid;
	ret_options->gid = (gid_t)gid;
	ret_options->read_only = read_only != 0;
	ret_options->allow_sparse = sparse != 0;
	ret_options->no_links = no_links != 0;
	ret_options->durability = (enum btt_durability)durability;
	ret_options->commit_seconds = (unsigned)commit;
	ret_options->force = (enum media_force)force;
	return 0;
}

static int
begin(struct device_kept *kept, const struct device_options *options)
{
	int r;

	if (ftruncate(kept->fd, MEMORY_OFF) != 0)
		return -errno;
	if ((r = map_head(kept)) < 0)
		return r;
	if ((r = write_options(kept->head, options)) < 0)
		return r;
	kept->head->version = KEPT_VERSION;
	atomic_store(&kept->head->magic, KEPT_MAGIC);
	return keeper_client_keep(kept->keeper, kept->name, kept->fd);
}

int
device_kept_new(struct keeper_client *keeper, const char *name,
    const struct device_options *options, struct device_kept **ret_kept,
    struct btt_error *error)
{
	struct device_kept *kept;
	int fd, r;

	*ret_kept = NULL;
	if (keeper == NULL)
		return 0;
	if ((fd = memfd_create("bttfs-device", MFD_CLOEXEC)) < 0)
		return system_error(error, -errno, "memory for the keeper");
	if ((r = alloc(keeper, name, fd, &kept)) < 0)
		return r;
	if ((r = begin(kept, options)) < 0) {
		device_kept_free(kept);
		return system_error(error, r, "memory for the keeper");
	}
	*ret_kept = kept;
	return 0;
}

static int
resume(struct device_kept *kept, struct device_options *ret_options)
{
	off_t size;
	int r;

	if ((size = lseek(kept->fd, 0, SEEK_END)) < 0)
		return -errno;
	if (size < (off_t)MEMORY_OFF)
		return -EUCLEAN;
	if ((r = map_head(kept)) < 0)
		return r;
	if (atomic_load(&kept->head->magic) != KEPT_MAGIC ||
	    kept->head->version != KEPT_VERSION ||
	    memchr(kept->head->options, '\0', OPTIONS_BYTES) == NULL)
		return -EUCLEAN;
	kept->options = json_tokener_parse(kept->head->options);
	if (!json_object_is_type(kept->options, json_type_object))
		return -EUCLEAN;
	return read_options(kept->options, ret_options);
}

int
device_kept_take(struct keeper_client *keeper, const char *name,
    struct device_options *ret_options, struct device_kept **ret_kept,
    struct btt_error *error)
{
	struct device_kept *kept;
	char key[NAME_MAX + sizeof(NAME_PREFIX)];
	int fd, r;

	(void)snprintf(key, sizeof(key), NAME_PREFIX "%s", name);
	fd = kept_fds_take(keeper_client_inherited(keeper), key);
	if (fd < 0)
		return btt_error_set(error, -ENOENT, "nothing was kept of it");
	if ((r = alloc(keeper, name, fd, &kept)) < 0)
		return r;
	if ((r = resume(kept, ret_options)) < 0) {
		device_kept_free(kept);
		return btt_error_set(
		    error, r, "what was kept of it makes no sense");
	}
	ret_options->fd = device_kept_take_backing(keeper, name);
	*ret_kept = kept;
	return 0;
}

void
device_kept_drop(struct device_kept *kept)
{
	char key[DEVICE_KEPT_KEY_BYTES];

	if (kept == NULL)
		return;
	keeper_client_drop(kept->keeper, kept->name);
	device_kept_backing_key(kept->name + sizeof(NAME_PREFIX) - 1, key);
	keeper_client_drop(kept->keeper, key);
}

void
device_kept_free(struct device_kept *kept)
{
	if (kept == NULL)
		return;
	if (kept->memory != NULL)
		(void)munmap(kept->memory, kept->memory_bytes);
	if (kept->head != NULL)
		(void)munmap(kept->head, MEMORY_OFF);
	(void)json_object_put(kept->options);
	(void)close(kept->fd);
	free(kept->name);
	free(kept);
}

/*
 * The file only grows, and what it grows by is zero, so memory that a crash
 * has left half made is as good as new.
 */
void *
device_kept_memory(void *arg, size_t bytes)
{
	struct device_kept *kept = arg;
	void *at;
	off_t size;

	if (bytes > UINT32_MAX ||
	    (kept->head->memory_bytes != 0 &&
		kept->head->memory_bytes != bytes))
		return NULL;
	if ((size = lseek(kept->fd, 0, SEEK_END)) < 0)
		return NULL;
	if (size < (off_t)(MEMORY_OFF + bytes) &&
	    ftruncate(kept->fd, (off_t)(MEMORY_OFF + bytes)) != 0)
		return NULL;
	/* Touched now: there is no error to give for it later. */
	at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_POPULATE, kept->fd, MEMORY_OFF);
	if (at == MAP_FAILED)
		return NULL;
	kept->head->memory_bytes = (uint32_t)bytes;
	kept->memory = at;
	kept->memory_bytes = bytes;
	return at;
}

uint64_t
device_kept_nodeid(const struct device_kept *kept)
{
	return kept == NULL ? 0 : atomic_load(&kept->head->nodeid);
}

void
device_kept_set_nodeid(struct device_kept *kept, uint64_t nodeid)
{
	if (kept != NULL)
		atomic_store(&kept->head->nodeid, nodeid);
}

_Atomic uint64_t *
device_kept_nopen(struct device_kept *kept, _Atomic uint64_t *own)
{
	return kept == NULL ? own : &kept->head->nopen;
}

bool
device_kept_get_attr(
    const struct device_kept *kept, struct device_attr *ret_attr)
{
	uint32_t serial;

	if (kept == NULL)
		return false;
	serial = atomic_load(&kept->head->attr_serial);
	if (serial == 0 || serial % 2 != 0)
		return false; /* never set, or half of it */
	*ret_attr = kept->head->attr;
	return true;
}

void
device_kept_set_attr(struct device_kept *kept, const struct device_attr *attr)
{
	uint32_t serial;

	if (kept == NULL)
		return;
	serial = atomic_load(&kept->head->attr_serial) | 1u;
	atomic_store(&kept->head->attr_serial, serial);
	kept->head->attr = *attr;
	atomic_store(&kept->head->attr_serial, serial + 1);
}

void
device_kept_set_bad(struct device_kept *kept, const void *list, size_t bytes)
{
	uint32_t next;

	if (kept == NULL)
		return;
	assert(bytes <= MEDIA_BAD_BYTES);
	next = 1 - (atomic_load(&kept->head->bad_now) & 1);
	memcpy(kept->head->bad[next], list, bytes);
	/* A crash before this leaves the list as it was. */
	atomic_store(&kept->head->bad_now, next);
	atomic_store(&kept->head->bad_bytes, (uint32_t)bytes);
}

const void *
device_kept_get_bad(const struct device_kept *kept, size_t *ret_bytes)
{
	uint32_t bytes;

	if (kept == NULL)
		return NULL;
	bytes = atomic_load(&kept->head->bad_bytes);
	if (bytes == 0 || bytes > MEDIA_BAD_BYTES)
		return NULL;
	*ret_bytes = bytes;
	return kept->head->bad[atomic_load(&kept->head->bad_now) & 1];
}

/*
 * A crash in here may repeat what was done, or leave the end of the range to the
 * next scrub: the engine looks at no sector beyond its device.
 */
void
device_kept_set_scrub(
    struct device_kept *kept, const struct device_kept_scrub *scrub)
{
	if (kept == NULL)
		return;
	atomic_store(&kept->head->scrub_rate, scrub->rate);
	atomic_store(&kept->head->scrub_count, scrub->count);
	atomic_store(&kept->head->scrub_first, scrub->first);
}

bool
device_kept_get_scrub(
    const struct device_kept *kept, struct device_kept_scrub *ret_scrub)
{
	if (kept == NULL)
		return false;
	ret_scrub->rate = atomic_load(&kept->head->scrub_rate);
	ret_scrub->first = atomic_load(&kept->head->scrub_first);
	ret_scrub->count = atomic_load(&kept->head->scrub_count);
	return true;
}
