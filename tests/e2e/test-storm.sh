#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Readers look at sectors while others write them: what they find is whole, of
# the sector they asked for, and not older than what had been acknowledged.
# Nobody is killed; afterwards everything is there.

time_limit=200
. "$(dirname "$0")/functions.sh"
requires root fuse programs support/storm
make_shm

mnt=$work/mnt
storm=$BTTFS_SUPPORT/storm

# try DIRECTORY SECTOR REQUESTS OPTIONS
try() {
	local image=$1/disk sector=$2 requests=$3 options=$4 what="$2, $4"
	note "$what"
	rm -f "$work/table"
	mkdev "$image" 18M "$sector"
	mount_bttfs "$image" "$mnt" "$options"
	check "$what: readers or writers met an error" \
	    "$storm" run -b "$sector" -t 2 -r 6 -n "$requests" \
	    "$file" "$work/table"
	umount_bttfs "$mnt"
	check "$what: not clean" is_clean "$image"
	mount_bttfs "$image" "$mnt" ro
	check "$what: sectors are wrong after a remount" \
	    "$storm" check -m write "$file" "$work/table"
	umount_bttfs "$mnt"
	rm -f "$image"
}

try "$shm" 4096 10000 granularity=cacheline
try "$shm" 512 10000 granularity=byte
try "$work" 4096 4000 durability=flush
try "$work" 512 400 durability=write
finish
