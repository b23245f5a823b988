#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A file system on a loop device on a bttfs file: made, filled, checked, found
# again by the next daemon; discarding and zeroing really do.

time_limit=240
. "$(dirname "$0")/functions.sh"
. "$(dirname "$0")/fio.sh"
requires root fuse loop programs mkfs.ext4 e2fsck fstrim blkdiscard fallocate \
    fio cmp tar

mnt=$work/mnt
fs=$work/fs
mkdir -p "$fs"

# Files of this system, some hundred of all sizes, no more than 30 MiB.
list_files() {
	find /usr/share /usr/include /usr/lib -xdev -type f -size -512k \
	    -printf '%s %p\n' 2>/dev/null | sort -k2 |
	    awk '(total += $1) <= 30 * 1024 * 1024 && n++ < 1500 {
		sub("[0-9]* /", ""); print }'
}

sums_of() {
	(cd "$1" && find . -type f -print0 | sort -z | xargs -0 sha256sum)
}

mount_fs() {
	mount -t ext4 "$@" "$loop" "$fs" || die "ext4 cannot be mounted"
	defer umount "$fs"
}
umount_fs() {
	umount "$fs" || fail "ext4 cannot be unmounted"
	forget umount "$fs"
}

e2fsck_is_clean() {
	e2fsck -fn "$loop" >"$work/e2fsck.out" 2>&1 && return
	cat "$work/e2fsck.out" >&2
	return 1
}

is_zero() {
	cmp -s -n "$3" -i "$2:0" "$1" /dev/zero
}

# all_is_zero COMMAND...: after the command has worked on garbage.
all_is_zero() {
	local size
	size=$(blockdev --getsize64 "$loop")
	head -c "$size" /dev/urandom |
	    dd of="$loop" bs=1M oflag=direct iflag=fullblock conv=fsync \
	    status=none || fail "$what: filling failed"
	check "$what: is zero without the command" \
	    test "$(cmp -n "$size" "$loop" /dev/zero 2>&1)"
	check "$what: $* failed" "$@"
	blockdev --flushbufs "$loop"
	check "$what: $*: old data is still there" is_zero "$loop" 0 "$size"
	# Not by the cache's grace either: what does the file itself say?
	check "$what: $*: old data is still in the file" \
	    is_zero "$file" 0 "$size"
}

# try SECTOR OPTIONS
try() {
	local sector=$1 options=$2
	what="$sector, $options"
	note "$what"
	image=$work/disk
	mkdev "$image" 128M "$sector"
	mount_bttfs "$image" "$mnt" "$options"
	mkloop "$file" --direct-io=on --sector-size "$sector"
	same "$what: direct I/O of the loop device" 1 \
	    "$(losetup --noheadings --output DIO "$loop" | tr -d ' ')"

	fio_bytes=2m fio_verify "$what, loop device" "$loop" \
	    --direct=1 --ioengine=libaio --iodepth=8 --bsrange=4k-64k

	check "$what: mkfs" mkfs.ext4 -q -F "$loop"
	mount_fs
	list_files >"$work/list"
	tar -C / -cf - -T "$work/list" 2>/dev/null | tar -C "$fs" -xf -
	check "$what: copying files" test "${PIPESTATUS[1]}" -eq 0
	sums_of "$fs" >"$work/sums"
	check "$what: too few files were found" \
	    test "$(wc -l <"$work/sums")" -gt 100
	# Half of them go again, and their blocks are discarded.
	awk 'NR % 2 { print $2 }' "$work/sums" |
	    (cd "$fs" && xargs rm -f)
	check "$what: fstrim" fstrim "$fs"
	sums_of "$fs" >"$work/sums"
	umount_fs
	check "$what: e2fsck" e2fsck_is_clean
	rmloop "$loop"
	umount_bttfs "$mnt"
	check "$what: not clean" is_clean "$image"

	mount_bttfs "$image" "$mnt" "$options"
	mkloop "$file" --direct-io=on --sector-size "$sector"
	check "$what: e2fsck after a restart" e2fsck_is_clean
	mount_fs -o ro
	sums_of "$fs" >"$work/sums.after"
	check "$what: files differ after a restart" \
	    cmp "$work/sums" "$work/sums.after"
	umount_fs

	all_is_zero blkdiscard "$loop"
	all_is_zero blkdiscard -z "$loop"
	all_is_zero fallocate --punch-hole --offset 0 \
	    --length "$(blockdev --getsize64 "$loop")" "$loop"
	rmloop "$loop"
	umount_bttfs "$mnt"
	check "$what: not clean in the end" is_clean "$image"
	rm -f "$image"
}

try 4096 durability=flush
try 512 durability=flush
try 4096 durability=write
finish
