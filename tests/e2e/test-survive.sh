#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# usage: test-survive.sh [KILLS]
#
# The server is killed (SIGKILL) again and again, at random moments, under fio
# with verification on ext4 on a loop device on a file of the mount, with both
# kinds of durability; then it is replaced (SIGUSR2) as often under the same
# load.  fio sees pauses and no error, fsck and bttctl check find nothing.
#
# Also: servers that crash too often or hang end the mount, nobody waits for
# ever, what was written to the file is there, and a read that waited for its
# store when the server was killed is answered by the next one.

time_limit=7000
. "$(dirname "$0")/functions.sh"
requires root fuse loop programs fio mkfs.ext4 e2fsck strace \
    support/volatile_disk
make_shm

kills=${1-6}
mnt=$work/mnt
data=$work/data

fio_job() {
	(cd "$work" && fio --name=survive --filename="$data/file" --size=4m --rw=randwrite \
	    --bs=4k --direct=1 --ioengine=psync --fsync=32 --verify=crc32c \
	    --verify_fatal=1 --numjobs=1 "$@")
}

# pauses_of LOG: ms that each server took to be back, sorted.
pauses_of() {
	sed -n 's/.*served again, after \([0-9]*\) ms.*/\1/p' "$1" | sort -n
}
percentile() {
	local -n all=$1
	echo "${all[$(((${#all[@]} * $2 + 99) / 100 - 1))]}"
}

# replace SIGNAL: the server of the moment; true once another one serves.
served_more_than() {
	[ "$(grep -c 'served again' "${daemon_logs[$mnt]}")" -gt "$1" ]
}
replace() {
	local keeper=${daemons[$mnt]} before server
	before=$(grep -c 'served again' "${daemon_logs[$mnt]}")
	if [ "$1" = KILL ]; then
		server=$(server_of "$keeper")
		[ -n "$server" ] || die "there is no server"
		kill -KILL "$server"
	else
		kill -"$1" "$keeper"
	fi
	wait_for 60 served_more_than "$before" || die "no server came back"
}

# load_with SIGNAL TIMES: fio runs until that has been done.
load_with() {
	local i writer
	: >"$work/stop-fio"
	(
		while [ -e "$work/stop-fio" ]; do
			fio_job --loops=1 >"$work/fio.out" 2>&1 || exit 1
		done
	) &
	writer=$!
	for ((i = 0; i < $2; i++)); do
		sleep "0.$((RANDOM % 4))$((RANDOM % 10))"
		is_running "$writer" || break
		replace "$1"
	done
	rm "$work/stop-fio"
	if ! wait "$writer"; then
		tail -n 20 "$work/fio.out" >&2
		fail "$1: fio saw an error"
	else
		ok
	fi
}

survive() {
	local options=$1,crashes=100000 image=$2/disk pauses

	note "$1"
	rm -f "$image"
	mkdev "$image" 48M 4096
	mount_bttfs "$image" "$mnt" "$options"
	mkloop "$file" --direct-io=on --sector-size 4096
	mkfs.ext4 -q "$loop" || die "no file system"
	mkdir -p "$data"
	mount "$loop" "$data" || die "$loop cannot be mounted"
	defer umount "$data"
	load_with KILL "$kills"
	load_with USR2 "$(((kills + 3) / 4))"
	umount "$data" || fail "$data cannot be unmounted"
	forget umount "$data"
	check "$1: fsck finds something" e2fsck -fn "$loop" \
	    >"$work/fsck.out" 2>&1
	rmloop "$loop"
	# One that ends by itself would be followed as well, and be overlooked.
	grep -E 'starting another|killing it' "${daemon_logs[$mnt]}" |
	    grep -v 'was ended by Killed' >"$work/ends"
	check "$1: a server has ended by itself: $(head -n 3 "$work/ends")" \
	    [ ! -s "$work/ends" ]
	mapfile -t pauses < <(pauses_of "${daemon_logs[$mnt]}")
	note "pauses in ms: ${#pauses[@]} of them, median" \
	    "$(percentile pauses 50), p99 $(percentile pauses 99)," \
	    "longest $(percentile pauses 100)"
	umount_bttfs "$mnt"
	check "$1: not clean" is_clean "$image"
}

survive granularity=cacheline,durability=write "$shm"
survive granularity=cacheline,durability=flush "$shm"
survive granularity=page,durability=write "$work"
survive granularity=page,durability=flush "$work"

# A write that was acknowledged, and no more, is visible after a crash.
image=$work/disk
rm -f "$image"
mkdev "$image" 24M 4096
mount_bttfs "$image" "$mnt" durability=flush,commit=3600
exec 7<>"$file"
head -c 4096 /dev/urandom >"$work/sector"
dd if="$work/sector" of="$file" bs=4096 seek=9 conv=notrunc status=none
replace KILL
check "what was written has gone back in time" \
    cmp "$work/sector" <(dd if="$file" bs=4096 skip=9 count=1 status=none)
# The handle from before is one still.
check "an open handle is of no use" \
    cmp "$work/sector" <(dd bs=4096 skip=9 count=1 status=none <&7)
exec 7>&-
umount_bttfs "$mnt"
is_clean "$image" || fail "not clean"

# mount_and_serve OPTIONS: nobody follows one that crashes or hangs before the
# keeper has heard that it serves.
mount_and_serve() {
	mount_bttfs "$image" "$mnt" "$@"
	wait_for 30 grep -q 'serving as' "${daemon_logs[$mnt]}" ||
	    die "it does not serve"
	sleep 1
}

# Who asks for what is unanswered must not have begun any of it: that would be
# done twice at once, and by the slower one after what came later.
note "a successor asks before it reads"
command=("${bttfs_command[@]}")
bttfs_command=(strace -f -qq -e "trace=read,write" -e signal=none
    -o "$work/calls" "$bttfs")
mount_and_serve
bttfs_command=("${command[@]}")
keeper=$(pgrep -P "${daemons[$mnt]}" -x bttfs)
kill -KILL "$(server_of "$keeper")"
wait_for 60 grep -q 'served again' "${daemon_logs[$mnt]}" ||
    die "no server came back"
dd if="$file" of=/dev/null bs=4096 count=1 status=none
server=$(server_of "$keeper")
umount_bttfs "$mnt"
# The calls of the second server: they begin with those of its first thread.
sed -n "/^$server /,\$p" "$work/calls" >"$work/its-calls"
asks='write(\([0-9]*\), "\\20\\0\\0\\0\\7\\0\\0\\0'
fd=$(sed -n "s/.* $asks.*/\1/p" "$work/its-calls")
check "it does not ask" [ -n "$fd" ]
check "it reads nothing" grep -q " read($fd, " "$work/its-calls"
check "it reads before it asks" eval \
    '! sed "/ $asks/,\$d" "$work/its-calls" | grep " read($fd[,)]"'

# The kernel copies answers from the mapping.  Where it has to fetch a page for
# that, and the server is killed meanwhile, it fails the request and asks nobody
# again; so pages are there before.  The store is one that can be stopped, the
# map is in place since the device was opened, the sectors are not; and they are
# so many that they are not copied first.
note "a read that waits for its store"
store=$work/store
head -c 8M /dev/urandom >"$work/bytes"
mkdev "$work/base" 24M 4096
stoppable_store "$work/base" "$store"
mount_bttfs "$store/disk" "$mnt" sparse,granularity=page
dd if="$work/bytes" of="$file" bs=1M conv=notrunc,fsync status=none
umount_bttfs "$mnt"
dd of="$store/disk" oflag=nocache conv=notrunc,fdatasync count=0 status=none
mount_bttfs "$store/disk" "$mnt" sparse,granularity=page
server=$(server_of "${daemons[$mnt]}")
kill -STOP "$slow"
dd if="$file" iflag=direct bs=1M skip=4 count=1 status=none \
    >"$work/read" 2>"$work/read.err" &
reader=$!
waits_for_store() {
	grep -qs folio /proc/"$server"/task/*/wchan
}
wait_for 30 waits_for_store || die "it does not wait for its store"
kill -KILL "$server"
wait_for 30 is_gone "$server" || die "the server cannot be killed"
kill -CONT "$slow"
check "it is not answered: $(cat "$work/read.err")" wait "$reader"
check "it is answered with something else" cmp "$work/read" \
    <(dd if="$work/bytes" bs=1M skip=4 count=1 status=none)
umount_bttfs "$mnt"
forget kill -CONT "$slow"
unmount "$store"
forget unmount "$store"
end_of 20 "$slow"

note "too many crashes"
mount_and_serve crashes=2
replace KILL
replace KILL
kill -KILL "$(server_of "${daemons[$mnt]}")"
end_of 30 "${daemons[$mnt]}"
same "status of a keeper that gives up" 2 "$child_status"
check "the log does not say why" grep -q 'giving up: too many crashes' \
    "${daemon_logs[$mnt]}"
check "the mount is there still" is_not_mounted "$mnt"
unset "daemons[$mnt]" "connections[$mnt]"
forget unmount "$mnt"

note "a server that hangs"
mount_and_serve hang=2
server=$(server_of "${daemons[$mnt]}")
kill -STOP "$server"
start=$SECONDS
check "a request to a server that hung" \
    timeout 60 dd if="$file" of=/dev/null bs=4096 count=1 status=none
note "answered after $((SECONDS - start)) s"
check "it was not replaced" is_gone "$server"
umount_bttfs "$mnt"
finish
