/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_options -- the command line of bttfs, one word a line.
 *
 * Claims: it is accepted, or refused with a reason of one line; what is
 * accepted names both a backing store and a mount point, and a file name that
 * can be one.  There is one configuration file, whatever it is called.
 */
#include <errno.h>
#include <string.h>

#include "medium.h"
#include "options.h"
#include "target.h"
#include "words.h"

int
__wrap_config_read(const char *path, int fd, const struct word_table *tables,
    size_t ntable, struct config *ret_config, struct btt_error *error);

int
__wrap_config_read(const char *path, int fd, const struct word_table *tables,
    size_t ntable, struct config *ret_config, struct btt_error *error)
{
	static const char text[] = "[bttfs]\nmountpoint=/m\n[v]\nbacking=/b\n";

	(void)fd;
	return config_parse(
	    text, sizeof(text) - 1, path, tables, ntable, ret_config, error);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct btt_error error = { "" };
	struct options options;
	struct words words;
	int r;

	words_open(&words, "bttfs", data, size);
	r = options_parse(words.argc, words.argv, &options, &error);
	if (r < 0) {
		FUZZ_CHECK(r == -EINVAL);
		FUZZ_CHECK(error.text[0] != '\0');
	} else if (options.action == OPTIONS_SERVE) {
		FUZZ_CHECK(options.backing != NULL);
		FUZZ_CHECK(options.mountpoint != NULL);
		FUZZ_CHECK(options.device.name == NULL ||
		    device_name_valid(options.device.name));
		FUZZ_CHECK((options.device.mode & ~(mode_t)07777) == 0);
	}
	options_fini(&options);
	words_close(&words);
	return 0;
}
