/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTT_LABEL_H
#define BTT_LABEL_H

/*
 * label -- the namespaces of an NVDIMM, as its labels tell (UEFI, "NVDIMM
 * label protocol"; labels of versions 1.1 and 1.2).
 *
 * A virtual NVDIMM that is a file has its label area at the end of that file,
 * and nothing says how large it is: it is found by its index block.  Offsets
 * here are bytes from the start of the medium.
 *
 * Labels are read, never written.
 */
#include <stdbool.h>
#include <stdint.h>

#include <btt/error.h>
#include <btt/format.h>
#include <btt/media.h>

/* Virtual NVDIMMs have the least; how far an area is searched for is ours. */
#define BTT_LABEL_AREA_MIN (UINT64_C(128) << 10)
#define BTT_LABEL_AREA_MAX (UINT64_C(2) << 20)
#define BTT_LABEL_NAME_BYTES 65u /* with the zero byte that ends it */

/* What a namespace was made for (btt-format.md 1.4). */
enum btt_claim {
	BTT_CLAIM_NONE, /* not said, as by all labels of version 1.1 */
	BTT_CLAIM_BTT,  /* a BTT of version 1.1 */
	BTT_CLAIM_BTT2, /* a BTT of version 2.0 */
	BTT_CLAIM_PFN,
	BTT_CLAIM_DAX,
	BTT_CLAIM_UNKNOWN,
};

/* One label, which is one namespace. */
struct btt_namespace {
	uint32_t number; /* in the list, from 0 */
	uint64_t off;    /* on the medium; meaningless with a problem */
	uint64_t bytes;  /* as well */
	uint8_t uuid[BTT_UUID_BYTES];
	/* What is not printable ASCII in it has become '?'. */
	char name[BTT_LABEL_NAME_BYTES];
	uint32_t slot;
	uint32_t flags;
	uint32_t lbasize;  /* sector size that was wished for; no use is made */
	uint16_t nlabel;   /* NVDIMMs that the namespace lies on ... */
	uint16_t position; /* ... and which of them this one is */
	uint64_t cookie;   /* of that set */
	enum btt_claim claim;
	/*
	 * Why it cannot be served: 0, -ENOTSUP or -EUCLEAN, and a phrase that
	 * lives as long as the program.
	 */
	int r;
	const char *problem;
};

/* One of the two index blocks of a label area. */
struct btt_label_index {
	uint64_t off; /* on the medium; 0 if it is not known */
	uint32_t seq; /* 1, 2, 3, 1 ...: which of the two is newer */
	uint32_t nslot;
	uint32_t label_bytes;
	uint16_t major, minor;
	const char *problem; /* NULL: valid.  As above */
};

struct btt_labels {
	uint64_t off; /* of the label area, on the medium */
	uint64_t bytes;
	struct btt_label_index index[2];
	unsigned current; /* index in use */
	uint32_t nslot;   /* slots that it says are in use ... */
	uint32_t nbad;    /* ... and of them those that hold no label */
	uint32_t n;
	struct btt_namespace *ns; /* owned; ascending off, broken ones last */
};

/*
 * Read the label area at the end of a medium.  Reads only; every number was
 * checked before it is in ret_labels, and no two namespaces without a problem
 * overlap each other or the label area.
 *
 * Returns 0; -ENOENT if there is no label area, or none with a valid index
 * (what Linux takes for an NVDIMM without labels); -ENOMEM.
 */
int btt_labels_read(const struct media *media, struct btt_labels *ret_labels)
    BTT_MUST_CHECK;
void btt_labels_fini(struct btt_labels *labels);

/*
 * The namespace that text means: by its name, its uuid, or its number in the
 * list, counted from 0.  Returns 0; -ENOENT; -ENOTUNIQ; with the reason.
 */
int btt_labels_select(const struct btt_labels *labels, const char *text,
    const struct btt_namespace **ret_ns, struct btt_error *error)
    BTT_MUST_CHECK;

/* "0 'name'", or the uuid where there is no name. */
#define BTT_NAMESPACE_TEXT_BYTES 88u
void btt_namespace_format(
    const struct btt_namespace *ns, char ret_text[BTT_NAMESPACE_TEXT_BYTES]);

#endif
