/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_LOG_TEXT_H
#define BTTFS_LOG_TEXT_H

/*
 * log_text -- the log of an arena for people and for scripts, pair by pair.
 */
#include <stdint.h>

#include <btt/inspect.h>

#include "colour.h"
#include "json_stream.h"

void log_text_print(const struct btt_inspect_log *log, uint32_t arena_index,
    const struct colour *colour);
/* The member "log" of the object that is being printed. */
void
log_text_stream(struct json_stream *json, const struct btt_inspect_log *log);

#endif
