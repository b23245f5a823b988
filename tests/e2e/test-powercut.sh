#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# usage: test-powercut.sh [CUTS]
#
# The power of the disk below fails: of what was written since the last sync a
# random subset of 512-byte pieces has reached it, the rest is lost
# (tests/powercut/volatile_disk.c).  The daemon dies with it.  Afterwards each
# sector is whole, old or new, and not older than what was acknowledged
# (durability=write) or synced (durability=flush); the metadata is clean; an
# ext4 on top replays its journal, passes fsck and has every file that was
# fsynced.

time_limit=7000
. "$(dirname "$0")/functions.sh"
requires root fuse loop programs support/storm support/volatile_disk mkfs.ext4

cuts=${1-5}
seed=${SEED:-$(date +%s)}
note "$cuts cuts of each kind, SEED=$seed"
RANDOM=$((seed % 32768))
mnt=$work/mnt
power=$work/power
base=$work/base
storm=$BTTFS_SUPPORT/storm
mkdir "$power" "$work/ext4"

# The disk with the image in it; its name is $power/disk.
power_on() {
	background "$work/disk.out" "$BTTFS_SUPPORT/volatile_disk" "$base" \
	    "$power" $((seed + cut_number))
	disk_pid=$child
	wait_for 30 mounted_or_ended "$power" "$disk_pid" ||
	    die "the disk does not start"
	defer unmount "$power"
	wait_for 30 test -f "$power/disk" || die "the disk does not answer"
}

# The daemon goes first: a dying disk must not be asked for errors.
power_off() {
	kill_bttfs "$mnt"
	kill -USR1 "$disk_pid"
	end_of 30 "$disk_pid"
	same "the disk at its power cut" 0 "$child_status"
}

# Nobody has files open any more.
clear_away() {
	umount_dead "$mnt"
	unmount "$power"
	forget unmount "$power"
}

log_says() {
	grep -q "$2" "$1"
}
under_way_or_ended() {
	log_says "$work/storm.out" '^under way' || has_ended "$1"
}

storm_round() {
	local what=$1 mode=$2 sector=$3 pid

	power_on
	mount_bttfs "$power/disk" "$mnt" "granularity=page,durability=$mode"
	background "$work/storm.out" "$storm" run -k -b "$sector" -t 6 -r 1 \
	    -a $((RANDOM % 200 + 20)) -s $((seed + cut_number)) \
	    "$file" "$work/table"
	pid=$child
	wait_for 60 under_way_or_ended "$pid" ||
	    die "$what: nothing is written"
	sleep "0.0$((RANDOM % 90 + 10))"
	power_off
	end_of 60 "$pid"
	if [ "$child_status" -ne 0 ]; then
		cat "$work/storm.out" >&2
		fail "$what: the storm met an error before the cut"
	fi
	clear_away

	check "$what: not clean after the cut" is_clean "$base"
	mount_bttfs "$base" "$mnt" "granularity=page,durability=$mode"
	if ! "$storm" check -u -m "$mode" "$file" "$work/table" \
	    >"$work/check.out"; then
		cat "$work/check.out" >&2
		fail "$what: sectors are wrong"
	else
		ok
	fi
	umount_bttfs "$mnt"
	check "$what: not clean after recovery" is_clean "$base"
}

storm_cuts() {
	local mode=$1 sector=$2

	note "storm on sectors of $sector, durability=$mode"
	rm -f "$base" "$work/table"
	mkdev "$base" 24M "$sector"
	for ((cut_number = 1; cut_number <= cuts; cut_number++)); do
		storm_round "$sector, $mode, cut $cut_number" "$mode" "$sector"
		[ "$nfail" -eq 0 ] || die "stopped; SEED=$seed"
	done
}

# Files named by their content's hash; a name is in the list once its fsync
# and its directory's have returned.
write_files() {
	local name
	while :; do
		head -c $((RANDOM * 3 + 1)) /dev/urandom >"$work/piece.$1" ||
		    return
		name=$(sha256sum "$work/piece.$1")
		name=${name%% *}
		cp "$work/piece.$1" "$work/ext4/$name" 2>/dev/null || return
		sync "$work/ext4/$name" "$work/ext4" 2>/dev/null || return
		echo "$name" >>"$work/fsynced.$1"
	done
}

ext4_round() {
	local what=$1 mode=$2 pids=() i name missing=0

	power_on
	mount_bttfs "$power/disk" "$mnt" "granularity=page,durability=$mode"
	mkloop "$file" --direct-io=on
	mount "$loop" "$work/ext4" || die "$what: ext4 cannot be mounted"
	rm -f "$work"/fsynced.* "$work"/ext4/[0-9a-f]*
	for i in 1 2; do
		: >"$work/fsynced.$i"
		write_files "$i" >/dev/null 2>&1 &
		pids+=($!)
	done
	wait_for 60 test -s "$work/fsynced.1" || die "$what: nothing is synced"
	sleep "0.$((RANDOM % 90 + 10))"
	power_off
	for i in "${pids[@]}"; do
		wait "$i" 2>/dev/null
	done
	umount "$work/ext4" 2>/dev/null || umount -l "$work/ext4"
	rmloop "$loop"
	clear_away

	check "$what: not clean after the cut" is_clean "$base"
	mount_bttfs "$base" "$mnt" "granularity=page,durability=$mode"
	mkloop "$file" --direct-io=on
	check "$what: the journal cannot be replayed" \
	    mount "$loop" "$work/ext4"
	while read -r name; do
		[ "$(sha256sum <"$work/ext4/$name")" = "$name  -" ] ||
		    missing=$((missing + 1))
	done < <(cat "$work"/fsynced.*)
	same "$what: fsynced files lost or damaged" 0 "$missing"
	umount "$work/ext4"
	check "$what: fsck" e2fsck -fn "$loop" >"$work/fsck.out" 2>&1
	rmloop "$loop"
	umount_bttfs "$mnt"
}

ext4_cuts() {
	local mode=$1

	note "ext4, durability=$mode"
	rm -f "$base"
	mkdev "$base" 64M 4096
	mount_bttfs "$base" "$mnt" "granularity=page"
	mkloop "$file" --direct-io=on
	mkfs.ext4 -q "$loop" || die "mkfs.ext4"
	rmloop "$loop"
	umount_bttfs "$mnt"
	for ((cut_number = 1; cut_number <= cuts; cut_number++)); do
		ext4_round "ext4, $mode, cut $cut_number" "$mode"
		[ "$nfail" -eq 0 ] || die "stopped; SEED=$seed"
	done
}

storm_cuts write 4096
storm_cuts flush 512
ext4_cuts flush
ext4_cuts write
finish
