/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_DEVICE_WORDS_H
#define BTTFS_DEVICE_WORDS_H

/*
 * device_words -- the options of one device, wherever they are written: on the
 * command line, in the configuration, in a request to attach.
 */
#include "device.h"
#include "words.h"

/* For these options; strings in them point to what was parsed. */
struct word_table device_words(struct device_options *options);

/* Those that could make a device lose data, and are for tests. */
bool device_word_is_for_tests(const char *name);

#endif
