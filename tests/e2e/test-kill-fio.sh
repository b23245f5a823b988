#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# usage: test-kill-fio.sh [ROUNDS]
#
# The daemon is killed (SIGKILL) by fio's own trigger under its writes; fio
# saves which of them had completed, and verifies those after a remount.  With
# durability=flush each write is O_DSYNC, so that completed means durable.

time_limit=7000
. "$(dirname "$0")/functions.sh"
requires root fuse programs fio
make_shm

rounds=${1-3}
mnt=$work/mnt

# fio_job OPTION...: the same writes, to be made or to be verified.
fio_job() {
	(cd "$work" && fio --name=kill --filename="$file" \
	    --allow_file_create=0 --rw=randwrite --bs=4k --size=20m \
	    --direct=1 --ioengine=psync --verify=crc32c --randseed="$number" \
	    "$@" >"$work/fio.out" 2>&1)
}

# round WHAT OPTIONS FIO-OPTION...
round() {
	local what=$1 options=$2 ended=yes server
	shift 2

	rm -f "$work"/*verify.state
	mount_bttfs "$image" "$mnt" "$options"
	server=$(server_of "${daemons[$mnt]}")
	fio_job "$@" --loops=1000 --do_verify=0 --verify_state_save=1 \
	    --trigger-timeout=1 --trigger="kill -KILL ${daemons[$mnt]}"
	# The shell would tell of it.
	{
		wait_for 30 has_ended "${daemons[$mnt]}" || ended=no
		[ "$ended" = no ] || wait "${daemons[$mnt]}"
	} 2>/dev/null
	[ "$ended" = yes ] || die "$what: fio did not kill the daemon"
	wait_for 30 is_gone "$server" || die "$what: the server goes on"
	forget kill_child "${daemons[$mnt]}"
	unset "daemons[$mnt]"
	umount_dead "$mnt"
	check "$what: no state was saved" test -s \
	    "$work/local-kill-0-verify.state"

	check "$what: not clean after the kill" is_clean "$image"
	mount_bttfs "$image" "$mnt" "$options"
	if fio_job --verify_state_load=1 --verify_only=1 --verify_fatal=1; then
		ok
		verified=$((verified + $(sed -n \
		    's/.*issued rwts: total=\([0-9]*\),.*/\1/p' "$work/fio.out")))
	else
		cat "$work/fio.out" >&2
		fail "$what: fio finds what it did not write"
	fi
	umount_bttfs "$mnt"
}

# try DIRECTORY OPTIONS FIO-OPTION...
try() {
	local options=$2 number
	image=$1/disk
	shift 2
	note "$options"
	verified=0
	for ((number = 1; number <= rounds; number++)); do
		# What an earlier round has left would be verified too.
		rm -f "$image"
		mkdev "$image" 24M 4096
		round "$options, round $number" "$options" "$@"
		[ "$nfail" -eq 0 ] || die "stopped"
	done
	# A single round may verify none: fio had just begun to write all anew.
	note "$verified blocks verified"
	check "$options: fio verified nothing" test "$verified" -gt 0
}

try "$shm" granularity=cacheline,durability=write
try "$work" granularity=page,durability=write
try "$shm" granularity=cacheline,durability=flush --sync=dsync
try "$work" granularity=page,durability=flush --sync=dsync
finish
