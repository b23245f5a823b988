#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What fails below stays small (P4): the request concerned gets an error, the
# daemon lives, what was promised is there afterwards.

time_limit=600
. "$(dirname "$0")/functions.sh"
requires root fuse loop programs support/storm mkfs.ext4 python3

mnt=$work/mnt
image=$work/disk
storm=$BTTFS_SUPPORT/storm
mkdir "$work/small"

log_of_daemon() {
	cat "$work/daemon-${mnt##*/}.log"
}
log_has() {
	log_of_daemon | grep -q "$1"
}
daemon_lives() {
	is_running "${daemons[$mnt]}"
}

# write_at OFFSET BYTE COUNT: that many 4 KiB pages of BYTE, then fsync.
write_at() {
	python3 - "$file" "$@" <<'PY'
import os, sys
path, off, byte, count = sys.argv[1], *map(int, sys.argv[2:])
fd = os.open(path, os.O_RDWR)
for i in range(count):
    os.pwrite(fd, bytes([byte]) * 4096, off + 4096 * i)
os.fsync(fd)
PY
}
# holds OFFSET BYTE COUNT: are they all there, read past every cache of ours?
holds() {
	python3 - "$file" "$@" <<'PY'
import os, sys
path, off, byte, count = sys.argv[1], *map(int, sys.argv[2:])
fd = os.open(path, os.O_RDONLY)
for i in range(count):
    if os.pread(fd, 4096, off + 4096 * i) != bytes([byte]) * 4096:
        sys.exit("page %d is something else" % i)
PY
}

# The backing file becomes shorter under a load.
truncated() {
	local kind=$1 pid

	note "truncated under load, granularity=$kind"
	mkdev "$image" 32M 4096
	mount_bttfs "$image" "$mnt" "granularity=$kind,durability=write"
	background "$work/storm.out" "$storm" run -b 4096 -t 4 -r 2 -a 50 \
	    "$file" "$work/table"
	pid=$child
	wait_for 30 grep -q '^under way' "$work/storm.out" ||
	    die "nothing is written"
	truncate -s 1M "$image"
	end_of 60 "$pid"
	same "the load's end" 1 "$child_status"
	if ! grep -q 'Input/output error' "$work/storm.out"; then
		cat "$work/storm.out" >&2
		fail "its error is not EIO"
	fi
	check "the daemon lives" daemon_lives
	check "a later write fails" eval '! write_at 0 2 1 2>"$work/error"'
	# At the open, once a sync has failed and the device is read-only.
	check "the error is EIO or EROFS" \
	    grep -qE 'Errno (5|30)\b' "$work/error"
	check "the file is still listed" test -f "$file"
	umount "$mnt" || fail "cannot be unmounted"
	end_of 60 "${daemons[$mnt]}"
	forget unmount "$mnt"
	unset "daemons[$mnt]" "connections[$mnt]"
	rm -f "$image" "$work/table"
}

# A sparse file on a file system that fills up.
full() {
	local kind=$1

	note "sparse on a full file system, granularity=$kind"
	mount -t tmpfs -o size=8m none "$work/small" ||
	    skip "no tmpfs can be mounted"
	defer umount "$work/small"
	mkdev "$work/small/disk" 64M 4096 --sparse --nfree 256
	mount_bttfs "$work/small/disk" "$mnt" "sparse,granularity=$kind"
	check "writing while there is room" write_at 0 1 256
	check "there is no room for all" eval '! write_at 4194304 2 4096 \
	    2>"$work/error"'
	check "the error is ENOSPC or EIO" \
	    grep -qE 'Errno (28|5)\b' "$work/error"
	check "the daemon lives" daemon_lives
	check "what was synced is there" holds 0 1 256
	umount "$mnt" || fail "cannot be unmounted"
	end_of 60 "${daemons[$mnt]}"
	forget unmount "$mnt"
	unset "daemons[$mnt]" "connections[$mnt]"

	mount -o remount,size=80m "$work/small"
	mount_bttfs "$work/small/disk" "$mnt" "sparse,granularity=$kind"
	check "what was synced is there after a reopen" holds 0 1 256
	check "writing goes on" write_at 4194304 3 256
	umount_bttfs "$mnt"
	check "not clean" is_clean "$work/small/disk"
	umount "$work/small"
	forget umount "$work/small"
}

# A disk whose write-back fails: the sync says so once, and that is final.
failing_sync() {
	local mode=$1

	note "failing sync, durability=$mode"
	mount -t tmpfs -o size=24m none "$work/small" ||
	    skip "no tmpfs can be mounted"
	defer umount "$work/small"
	# A disk that promises more than it has.
	mkdev "$work/small/back" 64M 4096 --nfree 256 --sparse
	mkloop "$work/small/back"
	mount_bttfs "$loop" "$mnt" "durability=$mode,name=disk"
	file=$mnt/disk
	check "writing while it works" write_at 0 1 256
	check "the sync fails at last" eval '! write_at 4194304 2 8192 \
	    2>"$work/error"'
	check "the error is EIO" grep -qE 'Errno 5\b' "$work/error"
	check "the daemon lives" daemon_lives
	check "a later write fails" eval '! write_at 0 4 1 2>/dev/null'
	# With durability=write a write says it, and the kernel asks no more.
	[ "$mode" = write ] || check "a later fsync fails" python3 -c '
import os, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
try:
    os.fsync(fd)
except OSError:
    sys.exit(0)
sys.exit(1)' "$file"
	check "the log says why" wait_for 10 log_has 'writes are refused'
	check "reads go on" holds 0 1 256
	umount "$mnt" || fail "cannot be unmounted"
	end_of 60 "${daemons[$mnt]}"
	same "the daemon's exit status" 2 "$child_status"
	forget unmount "$mnt"
	unset "daemons[$mnt]" "connections[$mnt]"
	rmloop "$loop"

	# The truth is what is on the medium, with all caches gone.
	mount -o remount,size=100m "$work/small"
	mkloop "$work/small/back"
	check "not clean" is_clean "$loop"
	mount_bttfs "$loop" "$mnt" "name=disk"
	file=$mnt/disk
	check "what was synced is there" holds 0 1 256
	umount_bttfs "$mnt"
	check "not clean after recovery" is_clean "$loop"
	rmloop "$loop"
	umount "$work/small"
	forget umount "$work/small"
}

truncated page
make_shm
image=$shm/disk
truncated cacheline
full page
full cacheline
failing_sync flush
failing_sync write
finish
