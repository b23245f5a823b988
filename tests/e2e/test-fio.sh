#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What four writers at once put into a device comes out again (P1), on every
# kind of medium, in both durabilities, for small and large sectors.

time_limit=240
. "$(dirname "$0")/functions.sh"
. "$(dirname "$0")/fio.sh"
requires root fuse programs fio
make_shm

mnt=$work/mnt

# try DIRECTORY SECTOR OPTIONS
try() {
	local image=$1/disk sector=$2 options=$3 what="$2, $3"
	note "$what"
	mkdev "$image" 32M "$sector"
	mount_bttfs "$image" "$mnt" "$options"
	fio_verify_all "$what" "$file"
	fio_verify_bytes "$what" "$file"
	umount_bttfs "$mnt"
	check "$what: not clean afterwards" is_clean "$image"
	rm -f "$image"
}

# A disk syncs some hundred times a second at best: less is written there.
for sector in 512 4096; do
	for durability in write flush; do
		fio_bytes=4m try "$shm" "$sector" \
		    "granularity=byte,durability=$durability"
		fio_bytes=4m try "$shm" "$sector" \
		    "granularity=cacheline,durability=$durability"
		fio_bytes=1m try "$work" "$sector" "durability=$durability"
	done
done
finish
