#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# usage: test-kill.sh [ROUNDS]
#
# The daemon is killed (SIGKILL) under writers that know what they were
# promised: afterwards each sector is whole and old or new (P1), not older than
# what was acknowledged or, with durability=flush, synced (P2), the metadata is
# clean (P3), and what was lost once does not come back in a later round.
#
# Killing a process does not empty the page cache: order on the medium after a
# power cut is what tests/crash is for.

time_limit=7000
. "$(dirname "$0")/functions.sh"
requires root fuse programs support/storm
make_shm

rounds=${1-5}
seed=${SEED:-$(date +%s)}
note "$rounds rounds of each kind, SEED=$seed"
RANDOM=$((seed % 32768))
mnt=$work/mnt
storm=$BTTFS_SUPPORT/storm

log_says() {
	grep -q "$2" "$1"
}
under_way_or_ended() {
	log_says "$work/storm.out" '^under way' || has_ended "$1"
}

# storm_check WHAT OPTION...
storm_check() {
	local what=$1
	shift
	if ! "$storm" check "$@" "$file" "$work/table" >"$work/check.out"; then
		cat "$work/check.out" >&2
		fail "$what: sectors are wrong"
	else
		ok
	fi
}

# One life of the daemon, from a mount to a kill at some moment of a storm.
round() {
	local what=$1 sector=$2 options=$3 mode=$4 number=$5 pid

	mount_bttfs "$image" "$mnt" "$options,durability=$mode"
	background "$work/storm.out" "$storm" run -k -b "$sector" -t 6 -r 2 \
	    -a $((RANDOM % 400 + 20)) -s $((seed + number)) \
	    "$file" "$work/table"
	pid=$child
	wait_for 60 under_way_or_ended "$pid" ||
	    die "$what: nothing is written"
	# Up to some hundredths of a second later, for another place each time.
	sleep "0.0$((RANDOM % 90 + 10))"
	kill_bttfs "$mnt"
	end_of 60 "$pid"
	if [ "$child_status" -ne 0 ]; then
		cat "$work/storm.out" >&2
		fail "$what: the storm met an error before the kill"
	fi
	check "$what: the storm did not meet the kill" \
	    log_says "$work/storm.out" 'until the server died'
	umount_dead "$mnt"

	check "$what: not clean after the kill" is_clean "$image"
	if [ $((number % 4)) -eq 0 ]; then
		# In memory only, a recovery finds the same.
		mount_bttfs "$image" "$mnt" "ro,${options}"
		storm_check "$what, read-only" -m "$mode"
		umount_bttfs "$mnt"
	fi
	mount_bttfs "$image" "$mnt" "$options,durability=$mode"
	storm_check "$what" -u -m "$mode"
	umount_bttfs "$mnt"
	check "$what: not clean after recovery" is_clean "$image"
}

# try DIRECTORY SECTOR MODE OPTIONS
try() {
	local sector=$2 mode=$3 options=$4 number
	image=$1/disk
	note "sectors of $sector, durability=$mode, $options"
	mkdev "$image" 24M "$sector"
	rm -f "$work/table"
	for ((number = 1; number <= rounds; number++)); do
		round "$sector, $mode, $options, round $number" \
		    "$sector" "$options" "$mode" "$number"
		[ "$nfail" -eq 0 ] || die "stopped; SEED=$seed"
	done
	rm -f "$image"
}

for sector in 512 4096; do
	for mode in write flush; do
		try "$shm" "$sector" "$mode" granularity=cacheline
		try "$work" "$sector" "$mode" granularity=page
	done
done
finish
