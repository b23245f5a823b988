/* SPDX-License-Identifier: BSD-3-Clause */
#include <inttypes.h>
#include <stdio.h>

#include "ctl.h"
#include "log_text.h"

#define NSLOT 4u
/* Flags beside a block number (btt-format.md 3.6). */
#define BLOCK_MASK UINT32_C(0x3fffffff)
#define FLAG_ERROR UINT32_C(0x40000000)
#define FLAG_ZERO UINT32_C(0x80000000)

static const char *
state_name(enum btt_pair_state state)
{
	switch (state) {
	case BTT_PAIR_FRESH:
		return "fresh";
	case BTT_PAIR_DONE:
		return "done";
	case BTT_PAIR_PENDING:
		return "pending";
	case BTT_PAIR_DAMAGED:
		return "damaged";
	}
	return "unknown";
}

/* Slots worth showing: those of the log, and others that are not empty. */
static bool
is_shown(const struct btt_inspect_log *log, const struct btt_log_pair *pair,
    unsigned slot)
{
	return slot == log->slot[0] || slot == log->slot[1] ||
	    (pair->used & 1u << slot) != 0;
}

static void
print_block(uint32_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%s%s%u", value & FLAG_ZERO ? "Z+" : "",
	    value & FLAG_ERROR ? "E+" : "", value & BLOCK_MASK);
	printf(" %14s", text);
}

static void
print_slot(const struct btt_log_pair *pair, unsigned slot)
{
	const struct btt_log_entry *entry;

	entry = &pair->slot[slot];
	printf(" %c%u", pair->has_newest && pair->newest == slot ? '*' : ' ',
	    slot);
	if ((pair->used & 1u << slot) == 0) {
		printf(" %10s\n", "empty");
		return;
	}
	printf(" %10u", entry->lba);
	print_block(entry->old_map);
	print_block(entry->new_map);
	printf(" %3u\n", entry->seq);
}

static void
print_pair(const struct btt_inspect_log *log, uint32_t index,
    const struct colour *colour)
{
	const struct btt_log_pair *pair;
	const char *on;
	unsigned slot;
	bool is_first;

	pair = &log->pair[index];
	on = pair->state == BTT_PAIR_DAMAGED  ? colour->bad
	    : pair->state == BTT_PAIR_PENDING ? colour->doubtful
					      : "";
	is_first = true;
	for (slot = 0; slot < NSLOT; slot++) {
		if (!is_shown(log, pair, slot))
			continue;
		if (!is_first)
			printf("%26s", "");
		else if (pair->has_newest)
			printf("%s%6u %-8s%s %10u", on, index,
			    state_name(pair->state),
			    on[0] == '\0' ? "" : colour->off, pair->free_block);
		else
			printf("%s%6u %-8s%s %10s", on, index,
			    state_name(pair->state),
			    on[0] == '\0' ? "" : colour->off, "-");
		is_first = false;
		print_slot(pair, slot);
	}
	if (pair->problem != NULL)
		printf("%26s %s%s%s\n", "", colour->bad, pair->problem,
		    colour->off);
}

void
log_text_print(const struct btt_inspect_log *log, uint32_t arena_index,
    const struct colour *colour)
{
	uint32_t i;

	printf("\nlog of arena %u at %" PRIu64
	       ", %u pairs in slots %u and %u%s\n",
	    arena_index, log->pair[0].off, log->npair, log->slot[0],
	    log->slot[1], log->is_consistent ? "" : ", most of them");
	printf("%6s %-8s %10s %2s %10s %14s %14s %3s\n", "PAIR", "STATE",
	    "FREE", "", "LBA", "OLD", "NEW", "SEQ");
	for (i = 0; i < log->npair; i++)
		print_pair(log, i, colour);
	printf("%u interrupted write%s\n", log->npending,
	    log->npending == 1 ? "" : "s");
}

static struct json_object *
slot_to_json(const struct btt_log_entry *entry, unsigned slot)
{
	struct json_object *object;

	object = ctl_new_object();
	ctl_add_number(object, "slot", slot);
	ctl_add_number(object, "lba", entry->lba);
	ctl_add_number(object, "old_map", entry->old_map);
	ctl_add_number(object, "new_map", entry->new_map);
	ctl_add_number(object, "seq", entry->seq);
	return object;
}

static struct json_object *
pair_to_json(const struct btt_inspect_log *log, uint32_t index)
{
	const struct btt_log_pair *pair;
	struct json_object *object, *slots;
	unsigned slot;

	pair = &log->pair[index];
	object = ctl_new_object();
	ctl_add_number(object, "pair", index);
	ctl_add_number(object, "offset", pair->off);
	ctl_add_text(object, "state", state_name(pair->state));
	if (pair->problem != NULL)
		ctl_add_text(object, "problem", pair->problem);
	if (pair->has_newest) {
		ctl_add_number(object, "newest", pair->newest);
		ctl_add_number(object, "free_block", pair->free_block);
	}
	slots = ctl_new_array();
	for (slot = 0; slot < NSLOT; slot++) {
		if (is_shown(log, pair, slot))
			ctl_append(
			    slots, slot_to_json(&pair->slot[slot], slot));
	}
	ctl_add(object, "slots", slots);
	return object;
}

void
log_text_stream(struct json_stream *json, const struct btt_inspect_log *log)
{
	struct json_object *slots;
	uint32_t i;

	json_stream_object(json, "log");
	json_stream_add_number(json, "offset", log->pair[0].off);
	slots = ctl_new_array();
	for (i = 0; i < 2; i++)
		ctl_append(slots, json_object_new_int(log->slot[i]));
	json_stream_add(json, "slots", slots);
	json_stream_add_bool(json, "consistent", log->is_consistent);
	json_stream_add_number(json, "pending", log->npending);
	json_stream_array(json, "pairs");
	for (i = 0; i < log->npair; i++)
		json_stream_add(json, NULL, pair_to_json(log, i));
	json_stream_end(json);
	json_stream_end(json);
}
