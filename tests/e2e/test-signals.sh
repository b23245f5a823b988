#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# How the daemon comes and goes: in the foreground and the background, by
# SIGTERM, SIGINT and umount, with and without somebody who has a file open.

time_limit=200
. "$(dirname "$0")/functions.sh"
requires root fuse programs python3

mnt=$work/mnt
image=$work/disk
mkdev "$image" 20M 4096

# Ends the foreground daemon with a signal, which must unmount.
test_signal() {
	local signal=$1 pid
	mount_bttfs "$image" "$mnt"
	head -c 4096 /dev/urandom >"$work/sector"
	dd if="$work/sector" of="$file" bs=4096 conv=notrunc status=none
	pid=${daemons[$mnt]}
	kill -"$signal" "$pid"
	end_of 30 "$pid"
	same "status after $signal" 0 "$child_status"
	check "$signal left it mounted" is_not_mounted "$mnt"
	forget unmount "$mnt"
	check "not clean after $signal" is_clean "$image"
	mount_bttfs "$image" "$mnt" ro
	check "what was written before $signal is gone" \
	    cmp -n 4096 "$work/sector" "$file"
	umount_bttfs "$mnt"
}

# The daemon waits for who has a file open, says so, and goes after that.
test_term_while_open() {
	local pid
	mount_bttfs "$image" "$mnt"
	pid=${daemons[$mnt]}
	exec 9<>"$file"
	kill -TERM "$pid"
	check "the log does not say who is waited for" \
	    wait_for 10 grep -q "bash (pid $$)" "${daemon_logs[$mnt]}"
	check "it has gone though a file is open" is_running "$pid"
	check "a file that is open cannot be written any more" \
	    dd if=/dev/zero of=/dev/fd/9 bs=4096 count=1 conv=notrunc \
	    status=none
	exec 9>&-
	end_of 30 "$pid"
	same "status after the file was closed" 0 "$child_status"
	check "it is still mounted" is_not_mounted "$mnt"
	forget unmount "$mnt"
	check "not clean" is_clean "$image"
}

# A second signal does not wait; the holder gets errors, not silence.
test_term_twice() {
	local pid
	mount_bttfs "$image" "$mnt"
	pid=${daemons[$mnt]}
	exec 9<>"$file"
	kill -TERM "$pid"
	check "the first signal is not logged" \
	    wait_for 10 grep -q stopping "${daemon_logs[$mnt]}"
	kill -TERM "$pid"
	end_of 30 "$pid"
	same "status after two signals" 0 "$child_status"
	check "it is still mounted" is_not_mounted "$mnt"
	forget unmount "$mnt"
	check "the file can still be written" \
	    eval '! dd if=/dev/zero of=/dev/fd/9 bs=4096 count=1 \
	    conv=notrunc status=none 2>/dev/null'
	exec 9>&-
	check "not clean" is_clean "$image"
}

# Its keeper: the server has the path in its command line too.
holder_of() {
	grep -lzF "$1" /proc/[0-9]*/cmdline 2>/dev/null |
	    sed 's/[^0-9]//g' | while read -r pid; do
		[ "$(cat "/proc/$pid/comm" 2>/dev/null)" = bttfs ] &&
		    ! grep -qz -e '^--server=' "/proc/$pid/cmdline" &&
		    echo "$pid"
	done
}

# Without -f it returns when the file can be used.
test_background() {
	local pid
	mkdir -p "$mnt"
	check "bttfs in the background" "$bttfs" "$image" "$mnt"
	defer unmount "$mnt"
	check "not mounted when it returned" is_mounted "$mnt"
	check "no file when it returned" test -f "$mnt/disk"
	pid=$(holder_of "$image")
	check "not one daemon but: $pid" test -d "/proc/${pid:-none}"
	same "its parent" 1 "$(awk '{ print $4 }' "/proc/$pid/stat")"
	# B34: nothing has been said of confine.
	same "what its server may" "1 2" "$(awk '/^NoNewPrivs:/ { n = $2 }
	    /^Seccomp:/ { print n, $2 }' "/proc/$(server_of "$pid")/status")"
	umount "$mnt"
	check "the daemon stays after umount" wait_for 30 is_gone "$pid"
	forget unmount "$mnt"
	check "not clean" is_clean "$image"

	check "bttfs as mount(8) calls it" \
	    "$bttfs" "$image" "$mnt" -o rw,nosuid,nodev,name=sda
	defer unmount "$mnt"
	check "name= is not honoured" test -f "$mnt/sda"
	pid=$(holder_of "$image")
	kill -TERM "$pid"
	check "the daemon stays after SIGTERM" wait_for 30 is_gone "$pid"
	check "it is still mounted" is_not_mounted "$mnt"
	forget unmount "$mnt"
}

# mount(8) and fstab know us by our type; we must be where it looks, so put us
# there, where nobody else sees it.
test_mount_type() {
	local pid
	if [ ! -x /sbin/mount.fuse3 ] || ! unshare -m true 2>/dev/null; then
		note "mount -t fuse.bttfs cannot be tried here"
		return
	fi
	# shellcheck disable=SC2016 # for the inner shell
	unshare -m sh -c '
		mount --bind "$1" /usr/local/sbin || exit
		mount -t fuse.bttfs -o ro,name=sdb "$2" "$3" || exit
		findmnt -n -o FSTYPE,SOURCE "$3"
		test -f "$3/sdb" && echo found
		umount "$3"' sh "$BTTFS_BIN" "$image" "$mnt" >"$work/out"
	same "mount -t fuse.bttfs" 0 $?
	same "type, source, name=" "fuse.bttfs $image found" \
	    "$(xargs <"$work/out")"
	pid=$(holder_of "$image")
	[ -z "$pid" ] || check "the daemon stays after umount" \
	    wait_for 30 is_gone "$pid"
}

test_signal TERM
test_signal INT
test_term_while_open
test_term_twice
test_background
test_mount_type
finish
