#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The daemon of a build with sanitizers under four writers of fio and under a
# storm: no report, no error.  In a build without them it proves less.

time_limit=900
. "$(dirname "$0")/functions.sh"
. "$(dirname "$0")/fio.sh"
requires root fuse programs support/storm fio
make_shm

mnt=$work/mnt
export TSAN_OPTIONS="second_deadlock_stack=1 exitcode=66"
export ASAN_OPTIONS="exitcode=66"
export UBSAN_OPTIONS="print_stacktrace=1"

# Where addresses are spread wider than ThreadSanitizer can bear.
bits=$(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null || echo 28)
if [ "$bits" -gt 28 ] && setarch -R true 2>/dev/null; then
	bttfs_command=(setarch -R "$bttfs")
fi

# try DIRECTORY SECTOR OPTIONS
try() {
	local image=$1/disk sector=$2 options=$3 what="$2, $3"
	note "$what"
	mkdev "$image" 24M "$sector"
	mount_bttfs "$image" "$mnt" "$options"
	fio_bytes=${fio_bytes-1m} fio_verify_all "$what" "$file"
	fio_bytes=${fio_bytes-1m} fio_verify_bytes "$what" "$file"
	umount_bttfs "$mnt"

	mount_bttfs "$image" "$mnt" "$options"
	dd if=/dev/zero of="$file" bs=1M conv=notrunc status=none 2>/dev/null
	rm -f "$work/table"
	check "$what: storm" "$BTTFS_SUPPORT/storm" run -b "$sector" -t 6 \
	    -r 2 -n "${storm_writes-500}" "$file" "$work/table"
	umount_bttfs "$mnt"
	check "$what: not clean" is_clean "$image"
	if grep -E 'WARNING: ThreadSanitizer|ERROR: .*Sanitizer|runtime error' \
	    "${daemon_logs[$mnt]}"; then
		cat "${daemon_logs[$mnt]}" >&2
		fail "$what: the sanitizer reports"
	fi
	rm -f "$image"
}

try "$shm" 512 granularity=cacheline,durability=write
try "$shm" 4096 granularity=cacheline,durability=flush
try "$work" 4096 durability=flush
fio_bytes=256k storm_writes=100 try "$work" 512 durability=write
finish
