/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_OCCUPANT_H
#define BTTFS_OCCUPANT_H

/*
 * occupant -- is there something on a file or block device that somebody might
 * miss?
 */
#include <stdbool.h>
#include <stdint.h>

#include <btt/error.h>
#include <btt/media.h>

#define OCCUPANT_TEXT_BYTES 200u

/*
 * Look for a BTT, for whatever libblkid knows (file systems, partition tables,
 * swap, volumes, ...), and for bytes other than zero: in the first and the last
 * MiB, and in samples between.  fd reads what media maps.
 *
 * Returns: 0, with ret_found, and in ret_text what was found ("an ext4 file
 * system"); or a negative errno with the reason if it could not be told.
 */
int occupant_find(int fd, const struct media *media, bool *ret_found,
    char ret_text[OCCUPANT_TEXT_BYTES], struct btt_error *error) BTT_MUST_CHECK;

#endif
