/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * probe_find -- finding a BTT without being told where: which layout, which
 * namespace.
 *
 * Each layout has its own start, and a walk over the arenas is tried from each
 * of them.
 *
 * Two layouts at once: what a BTT's user stores must not decide which one is
 * opened.  Sectors lie between dataoff and mapoff, so a user of a v2.0 BTT
 * can write what looks like a v1.1 BTT, while neither the first page nor the
 * page of a backup is ever a user's.  On the other hand a v2.0 block or a pool
 * header stays behind in the first page when the kernel makes a v1.1 BTT.
 * choose() tells them apart.
 *
 * Labels at the end of the medium say where the namespaces are, unless they
 * are what somebody has stored in a BTT that fills all of it.
 */
#include <btt/label.h>

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "info.h"
#include "probe.h"

/* Is the page at off where a user of this BTT stores sectors? */
static bool
holds_sectors(const struct probe_walk *walk, uint64_t off)
{
	for (uint32_t i = 0; i < walk->probe.narena; i++) {
		const struct btt_arena_place *place = &walk->probe.arena[i];

		if (off >= place->off + place->info.dataoff &&
		    off < place->off + place->info.mapoff)
			return true;
	}
	return false;
}

static bool
has_valid_primary(const struct probe_walk *walk)
{
	return walk->probe.narena > 0 &&
	    walk->probe.arena[0].primary == BTT_INFO_VALID;
}

/*
 * Are both copies of the first info block there, and one?  A crash while the
 * error flag is set or cleared leaves it in one of them.
 */
static bool
has_both_copies(const struct probe_walk *walk)
{
	return has_valid_primary(walk) && walk->probe.arena[0].are_kin;
}

enum {
	WALK_V11,
	WALK_V20,
	WALK_POOL,
	NWALK
};

/*
 * Info blocks of both layouts were found.  A v1.1 BTT that ends within sectors
 * of the v2.0 one is what somebody stored there.  Else the younger one has
 * overwritten the other's backup, which lies in the same place or beyond.
 */
static int
choose_of_both(const struct probe_walk *v11, const struct probe_walk *v20)
{
	const struct btt_arena_place *place = &v11->probe.arena[0];

	if (holds_sectors(v20, place->off + place->info.info2off))
		return WALK_V20;
	if (has_both_copies(v11))
		return WALK_V11;
	if (has_both_copies(v20))
		return WALK_V20;
	return -EUCLEAN;
}

static int
choose(const struct probe_walk walk[NWALK], const struct pool *pool)
{
	const struct probe_walk *v11 = &walk[WALK_V11];
	const struct probe_walk *v20 = &walk[WALK_V20];

	/*
	 * A pool has its descriptor where v1.1 has its info block; users have
	 * no say in either.  A backup without it may be from an older life.
	 */
	if (pool->state == POOL_VALID)
		return has_valid_primary(v11) ? WALK_V11 : WALK_POOL;
	if (v11->probe.narena > 0 && v20->probe.narena > 0)
		return choose_of_both(v11, v20);
	if (v11->probe.narena > 0)
		return WALK_V11;
	if (v20->probe.narena > 0)
		return WALK_V20;
	/* Nothing to open: which one has more to say? */
	return v11->r == -EMEDIUMTYPE ? WALK_V20 : WALK_V11;
}

/* A better word for "no info block" where we know more. */
static void
explain_absence(struct probe_walk *walk, const struct pool *pool)
{
	struct btt_error *error = &walk->error;

	if (walk->r != -EMEDIUMTYPE)
		return;
	switch (pool->state) {
	case POOL_VALID:
		walk->r = btt_error_set(error, -EMEDIUMTYPE,
		    "a pmemblk pool without a BTT: nothing was ever written "
		    "to it (bttctl create --force --layout pool makes one)");
		break;
	case POOL_BROKEN:
		walk->r = btt_error_set(error, -EUCLEAN,
		    "the pool header of a pmemblk pool has a wrong checksum");
		break;
	case POOL_UNKNOWN:
		walk->r = btt_error_set(error, -ENOTSUP,
		    "a pmemblk pool of an unknown version, feature or "
		    "machine");
		break;
	case POOL_PART:
		walk->r = btt_error_set(
		    error, -ENOTSUP, "one of several files of a pmemblk pool");
		break;
	case POOL_NONE:
		walk->r = btt_error_set(error, -EMEDIUMTYPE,
		    "not a BTT: no info block at 0 or 4096, and no backup of "
		    "one");
		break;
	}
}

/* The medium as one namespace.  Returns 0 whatever is found, or -ENOMEM. */
static int
find_unlabelled(const struct media *media, struct probe_walk *ret_walk)
{
	struct probe_scope scope = { .media = media, .bytes = media->size };
	static const enum btt_layout layout_of[NWALK] = {
		[WALK_V11] = BTT_LAYOUT_V11,
		[WALK_V20] = BTT_LAYOUT_V20,
		[WALK_POOL] = BTT_LAYOUT_POOL,
	};
	struct probe_walk walk[NWALK];
	struct pool pool;
	int chosen;
	int r = 0;

	memset(walk, 0, sizeof(walk));
	pool_find(media, &pool);
	for (unsigned i = 0; i < NWALK && r == 0; i++) {
		scope.layout = layout_of[i];
		scope.pool = i == WALK_POOL ? &pool : NULL;
		if (i != WALK_POOL || pool.state == POOL_VALID)
			r = probe_walk_scope(&scope, &walk[i]);
	}
	if (r < 0)
		goto out;
	memset(ret_walk, 0, sizeof(*ret_walk));
	if ((chosen = choose(walk, &pool)) < 0) {
		ret_walk->end = PROBE_END_LOST;
		ret_walk->r = btt_error_set(&ret_walk->error, chosen,
		    "info blocks of a v1.1 BTT at 4096 and of a v2.0 one at 0, "
		    "and no telling which is left over");
		goto out;
	}
	explain_absence(&walk[chosen], &pool);
	*ret_walk = walk[chosen];
	memset(&walk[chosen], 0, sizeof(walk[chosen]));
out:
	for (unsigned i = 0; i < NWALK; i++)
		probe_walk_fini(&walk[i]);
	return r;
}

/* The arena of a BTT that has bytes at or after off, or NULL. */
static const struct btt_arena_place *
arena_over(const struct probe_walk *walk, uint64_t off)
{
	for (uint32_t i = 0; i < walk->probe.narena; i++) {
		const struct btt_arena_place *place = &walk->probe.arena[i];

		/* info2off may be any number if the walk ended here. */
		if (place->off >= off || place->info.info2off >= off ||
		    place->off + info_arena_bytes(&place->info) > off)
			return place;
	}
	return NULL;
}

/* A verdict, and nothing that was found. */
static int
give_up(struct probe_walk *walk, int r, const char *text)
{
	probe_walk_fini(walk);
	memset(walk, 0, sizeof(*walk));
	walk->end = PROBE_END_LOST;
	walk->r = btt_error_set(&walk->error, r, "%s", text);
	return 0;
}

static bool
may_have_btt(const struct btt_namespace *ns)
{
	return ns->claim == BTT_CLAIM_NONE || ns->claim == BTT_CLAIM_BTT ||
	    ns->claim == BTT_CLAIM_BTT2;
}

/*
 * Look into one namespace.  One that is not claimed is looked at as Linux
 * does: for v1.1 only.
 */
static int
walk_namespace(const struct media *media, const struct btt_namespace *ns,
    struct probe_walk *ret_walk)
{
	struct probe_scope scope = {
		.media = media,
		.off = ns->off,
		.bytes = ns->bytes,
		.layout = ns->claim == BTT_CLAIM_BTT2 ? BTT_LAYOUT_V20
						      : BTT_LAYOUT_V11,
		.parent = ns->uuid,
	};
	struct btt_error reason;
	int r;

	memset(ret_walk, 0, sizeof(*ret_walk));
	if (!may_have_btt(ns))
		return give_up(ret_walk, -EMEDIUMTYPE,
		    "not a BTT: its label claims it for something else");
	if ((r = probe_walk_scope(&scope, ret_walk)) < 0)
		return r;
	ret_walk->probe.label = malloc(sizeof(*ns));
	if (ret_walk->probe.label == NULL) {
		probe_walk_fini(ret_walk);
		return -ENOMEM;
	}
	*ret_walk->probe.label = *ns;
	if (ret_walk->r == -EMEDIUMTYPE) {
		reason = ret_walk->error;
		(void)btt_error_set(&ret_walk->error, -EMEDIUMTYPE,
		    "not a BTT: %s", reason.text);
	}
	return 0;
}

/* Does the namespace hold something of a BTT that is its own? */
static bool
has_btt(const struct btt_namespace *ns, const struct probe_walk *walk)
{
	if (ns->claim == BTT_CLAIM_BTT || ns->claim == BTT_CLAIM_BTT2)
		return walk->r != -EMEDIUMTYPE && !walk->is_foreign;
	return walk->probe.narena > 0 && !walk->is_foreign;
}

/* Prefix the verdict on a namespace with its name. */
static void
name_verdict(struct probe_walk *walk, const struct btt_namespace *ns)
{
	char text[BTT_NAMESPACE_TEXT_BYTES];
	struct btt_error reason = walk->error;

	if (walk->r == 0)
		return;
	btt_namespace_format(ns, text);
	(void)btt_error_set(
	    &walk->error, walk->r, "namespace %s: %s", text, reason.text);
}

static int
find_selected(const struct media *media, const struct btt_labels *labels,
    const char *namespace, struct probe_walk *ret_walk)
{
	const struct btt_namespace *ns;
	int r;

	ret_walk->r =
	    btt_labels_select(labels, namespace, &ns, &ret_walk->error);
	if (ret_walk->r < 0)
		return 0;
	if (ns->r < 0)
		r = give_up(ret_walk, ns->r, ns->problem);
	else
		r = walk_namespace(media, ns, ret_walk);
	if (r == 0)
		name_verdict(ret_walk, ns);
	return r;
}

/* A list of namespaces for an error's text, as far as there is room. */
struct list {
	char text[160];
	size_t len;
	unsigned n;
	unsigned nleft_out;
};

static void
list_add(struct list *list, const struct btt_namespace *ns)
{
	char text[BTT_NAMESPACE_TEXT_BYTES];
	size_t room = sizeof(list->text) - list->len;
	int n;

	btt_namespace_format(ns, text);
	list->n++;
	n = snprintf(list->text + list->len, room, "%s%s",
	    list->len > 0 ? ", " : "", text);
	if (n >= 0 && (size_t)n < room) {
		list->len += (size_t)n;
		return;
	}
	list->text[list->len] = '\0';
	list->nleft_out++;
}

static void
list_end(struct list *list)
{
	if (list->nleft_out > 0)
		(void)snprintf(list->text + list->len,
		    sizeof(list->text) - list->len, " and %u more",
		    list->nleft_out);
}

/* Why there is nothing in any of them. */
static int
explain_none(const struct btt_labels *labels, struct probe_walk *ret_walk)
{
	struct list list = { .len = 0 };
	struct btt_error reason;
	uint32_t nbroken = 0;
	uint32_t broken = 0;

	for (uint32_t i = 0; i < labels->n; i++) {
		list_add(&list, &labels->ns[i]);
		if (labels->ns[i].r < 0 && nbroken++ == 0)
			broken = i;
	}
	list_end(&list);
	if (labels->n == 0 && labels->nbad > 0)
		return give_up(ret_walk, -EUCLEAN,
		    "the labels of all namespaces are damaged");
	if (labels->n == 0)
		return give_up(ret_walk, -EMEDIUMTYPE,
		    "not a BTT: there is a label area without a namespace");
	/* The only thing in the way is the thing to tell. */
	if (nbroken == labels->n) {
		(void)give_up(
		    ret_walk, labels->ns[broken].r, labels->ns[broken].problem);
		name_verdict(ret_walk, &labels->ns[broken]);
		return 0;
	}
	(void)btt_error_set(
	    &reason, -EMEDIUMTYPE, "not a BTT: none in %s", list.text);
	return give_up(ret_walk, -EMEDIUMTYPE, reason.text);
}

/* The only one of the namespaces that has a BTT. */
static int
find_only(const struct media *media, const struct btt_labels *labels,
    struct probe_walk *ret_walk)
{
	struct list list = { .len = 0 };
	struct btt_error reason;
	int r = 0;

	for (uint32_t i = 0; i < labels->n && r == 0; i++) {
		const struct btt_namespace *ns = &labels->ns[i];
		struct probe_walk walk;

		if (ns->r < 0 || (r = walk_namespace(media, ns, &walk)) < 0)
			continue;
		name_verdict(&walk, ns);
		if (has_btt(ns, &walk)) {
			list_add(&list, ns);
			if (list.n == 1) {
				*ret_walk = walk;
				continue;
			}
		}
		probe_walk_fini(&walk);
	}
	list_end(&list);
	if (r < 0) {
		probe_walk_fini(ret_walk);
		return r;
	}
	if (list.n == 1)
		return 0;
	if (list.n == 0)
		return explain_none(labels, ret_walk);
	(void)btt_error_set(&reason, -ENOTUNIQ,
	    "%u namespaces have a BTT, choose one: %s", list.n, list.text);
	return give_up(ret_walk, -ENOTUNIQ, reason.text);
}

/*
 * Is what looks like labels stored in a BTT that fills all of the medium?  Who
 * may store there cannot write the page of its backup, and who has a namespace
 * cannot write beyond it: so that page tells.  Returns -EUCLEAN if it is lost.
 */
static int
labels_are_sectors(const struct probe_walk *whole, uint64_t labels_off)
{
	const struct btt_arena_place *place = arena_over(whole, labels_off);

	if (place == NULL)
		return 0;
	/* It may be the only copy, if the other one is damaged. */
	return place->backup == BTT_INFO_VALID &&
		(!place->copies_differ || place->are_kin)
	    ? 1
	    : -EUCLEAN;
}

int
probe_walk_find(const struct media *media, const char *namespace,
    struct probe_walk *ret_walk)
{
	struct btt_labels labels;
	int r, r2;

	if ((r = find_unlabelled(media, ret_walk)) < 0)
		return r;
	r = btt_labels_read(media, &labels);
	if (r == -ENOENT && namespace != NULL)
		return give_up(
		    ret_walk, -ENOENT, "there are no namespaces (no labels)");
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		goto fail;
	r2 = labels_are_sectors(ret_walk, labels.off);
	if (r2 > 0 && namespace != NULL)
		r = give_up(ret_walk, -ENOENT,
		    "there are no namespaces (a BTT fills the medium)");
	else if (r2 < 0 && namespace == NULL)
		r = give_up(ret_walk, r2,
		    "a BTT that fills the medium and namespace labels, and no "
		    "telling which is left over; choose a namespace if there "
		    "are any");
	if (r2 > 0 || (r2 < 0 && namespace == NULL))
		goto out;
	probe_walk_fini(ret_walk);
	memset(ret_walk, 0, sizeof(*ret_walk));
	r = namespace == NULL
	    ? find_only(media, &labels, ret_walk)
	    : find_selected(media, &labels, namespace, ret_walk);
out:
	btt_labels_fini(&labels);
	return r;
fail:
	probe_walk_fini(ret_walk);
	return r;
}

int
btt_probe_namespace(const struct media *media, const char *namespace,
    struct btt_probe *ret_probe, struct btt_error *error)
{
	struct probe_walk walk;
	int r;

	if ((r = probe_walk_find(media, namespace, &walk)) < 0)
		return btt_error_set(error, r, "out of memory");
	if (walk.r < 0) {
		r = btt_error_set(error, walk.r, "%s", walk.error.text);
		probe_walk_fini(&walk);
		return r;
	}
	*ret_probe = walk.probe;
	return 0;
}

int
btt_probe(const struct media *media, struct btt_probe *ret_probe,
    struct btt_error *error)
{
	return btt_probe_namespace(media, NULL, ret_probe, error);
}
