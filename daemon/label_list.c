/* SPDX-License-Identifier: BSD-3-Clause */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include "label_list.h"
#include "size.h"

static const char *
claim_name(enum btt_claim claim)
{
	switch (claim) {
	case BTT_CLAIM_NONE:
		return "none";
	case BTT_CLAIM_BTT:
		return "btt";
	case BTT_CLAIM_BTT2:
		return "btt2";
	case BTT_CLAIM_PFN:
		return "pfn";
	case BTT_CLAIM_DAX:
		return "dax";
	case BTT_CLAIM_UNKNOWN:
		break;
	}
	return "unknown";
}

void
label_list_print(const struct btt_labels *labels)
{
	const struct btt_label_index *index;
	const struct btt_namespace *ns;
	char uuid[BTT_UUID_TEXT_BYTES], text[SIZE_TEXT_BYTES];
	uint32_t i;

	size_format(labels->bytes, text);
	printf("  label area         at %" PRIu64 ", %s, %u of %u slots used",
	    labels->off, text, labels->nslot,
	    labels->index[labels->current].nslot);
	if (labels->nbad > 0)
		printf(", %u of them damaged", labels->nbad);
	putchar('\n');
	for (i = 0; i < 2; i++) {
		index = &labels->index[i];
		if (index->problem != NULL)
			printf("  index block %u      damaged: %s\n", i,
			    index->problem);
		else
			printf("  index block %u      version %u.%u, sequence "
			       "number %u%s\n",
			    i, index->major, index->minor, index->seq,
			    i == labels->current ? ", in use" : "");
	}
	if (labels->n == 0) {
		puts("  namespaces         none");
		return;
	}
	printf("\n  %-2s  %-16s %-36s %14s %14s %s\n", "", "namespace", "uuid",
	    "at byte", "bytes", "claim");
	for (i = 0; i < labels->n; i++) {
		ns = &labels->ns[i];
		btt_uuid_format(ns->uuid, uuid);
		printf("  %2u  %-16s %s %14" PRIu64 " %14" PRIu64 " %s\n",
		    ns->number, ns->name[0] != '\0' ? ns->name : "-", uuid,
		    ns->off, ns->bytes, claim_name(ns->claim));
		if (ns->r < 0)
			printf("      unusable: %s\n", ns->problem);
	}
}

struct json_object *
label_namespace_json(const struct btt_namespace *ns)
{
	struct json_object *object;

	object = ctl_new_object();
	ctl_add_number(object, "number", ns->number);
	ctl_add_text(object, "name", ns->name);
	ctl_add_uuid(object, "uuid", ns->uuid);
	ctl_add_number(object, "offset", ns->off);
	ctl_add_number(object, "size", ns->bytes);
	ctl_add_text(object, "claim", claim_name(ns->claim));
	ctl_add_number(object, "slot", ns->slot);
	ctl_add_number(object, "flags", ns->flags);
	ctl_add_number(object, "nlabel", ns->nlabel);
	ctl_add_number(object, "position", ns->position);
	ctl_add_number(object, "isetcookie", ns->cookie);
	ctl_add_number(object, "lbasize", ns->lbasize);
	if (ns->r < 0)
		ctl_add_text(object, "problem", ns->problem);
	return object;
}

struct json_object *
label_list_json(const struct btt_labels *labels)
{
	struct json_object *object, *list, *item;
	const struct btt_label_index *index;
	char version[16];
	uint32_t i;

	object = ctl_new_object();
	ctl_add_number(object, "offset", labels->off);
	ctl_add_number(object, "size", labels->bytes);
	ctl_add_number(object, "slots_used", labels->nslot);
	ctl_add_number(object, "slots_damaged", labels->nbad);
	list = ctl_new_array();
	for (i = 0; i < 2; i++) {
		index = &labels->index[i];
		item = ctl_new_object();
		ctl_add_number(item, "offset", index->off);
		ctl_add_bool(item, "current", i == labels->current);
		if (index->problem != NULL) {
			ctl_add_text(item, "problem", index->problem);
		} else {
			snprintf(version, sizeof(version), "%u.%u",
			    index->major, index->minor);
			ctl_add_text(item, "version", version);
			ctl_add_number(item, "seq", index->seq);
			ctl_add_number(item, "nslot", index->nslot);
			ctl_add_number(item, "labelsize", index->label_bytes);
		}
		ctl_append(list, item);
	}
	ctl_add(object, "index", list);
	list = ctl_new_array();
	for (i = 0; i < labels->n; i++)
		ctl_append(list, label_namespace_json(&labels->ns[i]));
	ctl_add(object, "namespaces", list);
	return object;
}
