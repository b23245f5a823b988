/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CRASH_CREATE_H
#define CRASH_CREATE_H

/*
 * create -- crashes while a BTT is being made: what is found afterwards is no
 * BTT, or all of the old one, or all of the new one (btt-format.md 1.9).
 */
#include "world.h"

/*
 * Is it one of these programs: "create-blank", "create-over", or either with
 * "-arenas" behind it, for two arenas?
 */
bool create_is_program(const char *program);
void create_explore(const struct run *run, struct tally *tally);

#endif
