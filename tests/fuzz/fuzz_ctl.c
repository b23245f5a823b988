/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_ctl -- the command lines of bttctl's commands; the first byte chooses
 * one, then one word a line.
 *
 * Claims: it is accepted, or refused with a reason; what is accepted has as
 * many operands as the command takes, and they are words of the command line.
 */
#include <errno.h>
#include <string.h>

#include "ctl.h"
#include "medium.h"
#include "target.h"
#include "words.h"

static const struct ctl_command *const commands[] = { &ctl_create, &ctl_info,
	&ctl_check, &ctl_map, &ctl_dump, &ctl_read_infoblock,
	&ctl_write_infoblock };
#define NCOMMAND (sizeof(commands) / sizeof(commands[0]))

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_Alignas(16) uint8_t options[CTL_OPTIONS_MAX];
	const struct ctl_command *command;
	struct btt_error error = { "" };
	struct words words;
	int first = 0;
	int r;

	if (size == 0)
		return 0;
	command = commands[data[0] % NCOMMAND];
	words_open(&words, command->name, data + 1, size - 1);
	r = ctl_parse(command, words.argc, words.argv, options, &first, &error);
	if (r == 0) {
		FUZZ_CHECK(first >= 1 && first <= words.argc);
		FUZZ_CHECK(words.argc - first >= command->min_operands);
		FUZZ_CHECK(words.argc - first <= command->max_operands);
	} else {
		FUZZ_CHECK(r == -EINVAL || r == -ECANCELED);
		FUZZ_CHECK(r == -ECANCELED || error.text[0] != '\0');
	}
	words_close(&words);
	return 0;
}
