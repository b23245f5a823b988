/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <btt/label.h>

#include "infoblock_make.h"

#define SECTOR_DEFAULT 4096u

const char *const infoblock_layouts[] = { "1.1", "2.0", NULL };

/* A block of the same BTT: of the same arena if there is one. */
static const struct btt_inspect_arena *
find_relative(const struct btt_inspect *inspect, uint32_t index)
{
	const struct btt_inspect_arena *arena, *found;
	uint32_t i;

	found = NULL;
	for (i = 0; inspect != NULL && i < inspect->narena; i++) {
		arena = &inspect->arena[i];
		if (arena->is_valid && (found == NULL || arena->index == index))
			found = arena;
		if (found != NULL && found->index == index)
			break;
	}
	return found;
}

static void
take_relative(
    struct btt_create_options *create, const struct btt_inspect_arena *relative)
{
	const struct btt_info *info;

	info = &relative->info;
	create->layout = relative->layout;
	create->sector_bytes = info->external_lbasize;
	create->nfree = info->nfree;
	memcpy(create->uuid, info->uuid, BTT_UUID_BYTES);
	memcpy(create->parent_uuid, info->parent_uuid, BTT_UUID_BYTES);
}

static int
take_defaults(struct btt_create_options *create,
    const struct btt_inspect *inspect, struct btt_error *error)
{
	const struct btt_namespace *label;
	int r;

	create->sector_bytes = SECTOR_DEFAULT;
	create->nfree = BTT_NFREE_DEFAULT;
	if ((r = ctl_random_uuid(create->uuid)) < 0)
		return btt_error_set(error, r, "no random numbers");
	label = inspect == NULL ? NULL : inspect->label;
	if (label == NULL)
		return 0;
	memcpy(create->parent_uuid, label->uuid, BTT_UUID_BYTES);
	if (label->claim == BTT_CLAIM_BTT2)
		create->layout = BTT_LAYOUT_V20;
	return 0;
}

static void
take_given(
    struct btt_create_options *create, const struct infoblock_numbers *numbers)
{
	if (numbers->sector.given)
		create->sector_bytes = numbers->sector.value;
	if (numbers->nfree.given)
		create->nfree = numbers->nfree.value;
	if (numbers->layout.given)
		create->layout = (enum btt_layout)numbers->layout.index;
	if (numbers->uuid.given)
		memcpy(create->uuid, numbers->uuid.uuid, BTT_UUID_BYTES);
	if (numbers->parent_uuid.given)
		memcpy(create->parent_uuid, numbers->parent_uuid.uuid,
		    BTT_UUID_BYTES);
}

int
infoblock_make(const struct infoblock_numbers *numbers, uint64_t size,
    const struct btt_inspect *inspect, uint32_t index, uint64_t *ret_off,
    struct btt_info *ret_info, struct btt_error *error)
{
	struct btt_create_options create = { .layout = BTT_LAYOUT_V11 };
	const struct btt_inspect_arena *relative;
	int r;

	if ((relative = find_relative(inspect, index)) != NULL)
		take_relative(&create, relative);
	else if ((r = take_defaults(&create, inspect, error)) < 0)
		return r;
	take_given(&create, numbers);
	return btt_create_info(numbers->size.given ? numbers->size.bytes : size,
	    &create, index, ret_off, ret_info, error);
}
