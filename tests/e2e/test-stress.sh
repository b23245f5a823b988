#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# T-B1 of control-plane.md: what ndctl's btt-stress does to a kernel's device, to
# ours.  The device is filled with random data, read back and compared, again
# and again, while readers read it without end and hogs take the processors
# away from whoever holds a lane.
#
# usage: test-stress.sh [-b BUILD-DIRECTORY] [ROUNDS [SIZE]]

time_limit=1500
. "$(dirname "$0")/functions.sh"
requires root fuse programs cmp dd
rounds=${1-3}
size=${2-18M}
make_shm

mnt=$work/mnt
nreader=4
nhog=2

# read_on FILE: 256 sectors at a time, all over the file, until told to stop.
read_on() {
	local file=$1 n at=0
	n=$(($(stat -c %s "$file") / 131072 - 1))
	until [ -e "$work/stop" ]; do
		dd if="$file" of=/dev/null iflag=direct bs=512 count=256 \
		    skip=$((at * 256)) status=none || return
		at=$(((at * 7 + RANDOM) % n))
	done
}

hog() {
	while :; do :; done
}

# fill FILE: one round.
fill() {
	head -c "$bytes" /dev/urandom >"$data"
	dd if="$data" of="$1" oflag=direct bs=256k conv=notrunc status=none ||
	    return
	dd if="$1" bs=256k iflag=direct status=none | cmp - "$data"
}

# try DIRECTORY SECTOR OPTIONS
try() {
	local image=$1/disk sector=$2 options=$3 what="$2, $3" i
	local readers=() hogs=()
	note "$what"
	mkdev "$image" "$size" "$sector"
	mount_bttfs "$image" "$mnt" "$options"
	bytes=$(stat -c %s "$file")
	data=$shm/data
	rm -f "$work/stop"
	for ((i = 0; i < nreader; i++)); do
		background "$work/reader.$i" read_on "$file"
		readers+=("$child")
	done
	for ((i = 0; i < nhog; i++)); do
		background "$work/hog.$i" hog
		hogs+=("$child")
	done
	for ((i = 1; i <= rounds; i++)); do
		check "$what: round $i differs" fill "$file"
	done
	touch "$work/stop"
	for ((i = 0; i < nreader; i++)); do
		end_of 60 "${readers[i]}"
		same "$what: end of reader $i ($(cat "$work/reader.$i"))" \
		    0 "$child_status"
	done
	for i in "${hogs[@]}"; do
		kill_child "$i"
		forget kill_child "$i"
	done
	umount_bttfs "$mnt"
	check "$what: not clean" is_clean "$image"
	rm -f "$image" "$data"
}

try "$shm" 4096 granularity=cacheline
try "$work" 512 durability=flush
finish
