#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What the daemon says when it cannot serve: one line with the path and the
# reason, the exit status that mount(8) expects (1 usage, 32 cannot mount),
# nothing mounted and no byte of the backing store changed.

time_limit=120
. "$(dirname "$0")/functions.sh"
requires root fuse programs python3

mnt=$work/mnt
mkdir -p "$mnt"
image=$work/disk
mkdev "$image" 20M 512

# refused WHAT STATUS PATTERN ARGUMENT...: and the same in the background.
refused() {
	local what=$1 want=$2 pattern=$3 foreground
	shift 3
	for foreground in -f ''; do
		timeout 60 "$bttfs" $foreground "$@" >"$work/out" 2>&1
		same "$what: status" "$want" $?
		grep -Eq "$pattern" "$work/out" || {
			cat "$work/out" >&2
			fail "$what: '$pattern' is not said"
		}
		check "$what: says more than it must" \
		    test "$(wc -l <"$work/out")" -le "${most_lines-1}"
		check "$what: something is mounted" is_not_mounted "$mnt"
	done
}

# refused_image WHAT PATTERN [OPTIONS]: $copy, which must stay as it is.
refused_image() {
	local what=$1 pattern=$2 options=${3-} before after
	before=$(sha256sum <"$copy")
	refused "$what" 32 "$copy: .*$pattern" ${options:+-o "$options"} \
	    "$copy" "$mnt"
	after=$(sha256sum <"$copy")
	same "$what: bytes of the backing store" "$before" "$after"
}

patched() {
	copy=$work/copy
	cp "$image" "$copy"
	"$support/patch_image.py" "$copy" "$@" || die "cannot patch: $*"
}

test_usage() {
	local most_lines=2
	refused "no argument" 1 'BACKING'
	refused "no mount point" 1 'MOUNTPOINT' "$image"
	refused "an unknown option" 1 "unknown option 'frob'" \
	    -o frob "$image" "$mnt"
	refused "a mistyped option" 1 "did you mean 'durability'" \
	    -o durabilty=write "$image" "$mnt"
	refused "a bad durability" 1 "must be 'write' or 'flush'" \
	    -o durability=never "$image" "$mnt"
	refused "a bad mode" 1 'octal' -o mode=999 "$image" "$mnt"
	refused "no such user" 1 'no such user' -o uid=nobody-of-that-name \
	    "$image" "$mnt"
	refused "no worker" 1 'from 1 to' -o workers=0 "$image" "$mnt"
	refused "a name with a slash" 1 'cannot be the name' -o name=a/b \
	    "$image" "$mnt"
	same "status of --help" 0 "$("$bttfs" --help >"$work/out"; echo $?)"
	check "--help does not tell the options" grep -q durability "$work/out"
	same "status of --version" 0 \
	    "$("$bttfs" --version >"$work/out"; echo $?)"
}

test_not_a_btt() {
	copy=$work/copy
	rm -f "$copy"
	refused "nothing there" 32 "$copy: No such file" "$copy" "$mnt"
	: >"$copy"
	refused_image "an empty file" 'empty'
	head -c 20M /dev/zero >"$copy"
	refused_image "zeroes" 'no BTT|not a BTT'
	head -c 20M /dev/urandom >"$copy"
	refused_image "noise" 'no BTT|not a BTT'
	head -c 64K "$image" >"$copy"
	refused_image "a small piece" '.'
	head -c 19M "$image" >"$copy"
	refused_image "a truncated image" '.'
	refused "a directory" 32 "neither a file nor a block device" \
	    "$mnt" "$mnt"
	refused "a terminal" 32 "neither a file nor a block device" \
	    /dev/null "$mnt"
}

test_damaged() {
	patched info both major 3
	refused_image "a version to come" 'version 3'
	patched info both external_lbasize 1000
	refused_image "sectors of 1000 bytes" '1000'
	patched info both mapoff 0x7fffffff000
	refused_image "a map beyond the end" '.'
	patched info both nfree 0
	refused_image "no free block" '.'
}

# What a writer would build upon must be sound; who reads is told, and nothing
# is ever written (P7).
readable() {
	local what=$1 said=$2 before
	refused_image "$what" 'can still be opened read-only'
	before=$(sha256sum <"$copy")
	mount_bttfs "$copy" "$mnt" ro
	check "$what: the log lacks '$said'" \
	    grep -Eq "$said" "${daemon_logs[$mnt]}"
	check "$what: sectors cannot be read" \
	    cmp -n "$(stat -c %s "$file")" "$file" /dev/zero
	umount_bttfs "$mnt"
	same "$what: bytes after reading" "$before" "$(sha256sum <"$copy")"
}

test_readable() {
	patched log 3 0 seq 3 log 3 1 seq 3
	readable "a log without a newer half" 'log-seq: log pair 3'
	patched log 3 0 old 0xfffffff log 3 0 new 0xfffffff
	readable "a log beyond the blocks" 'log-range: log pair 3'
	patched log 3 0 seq 0 log 3 0 lba 0 log 3 0 old 0 log 3 0 new 0
	readable "a log with an empty pair" 'log-layout: '
	patched map 5 0xc0000006
	readable "a block with two sectors" 'read-only'
	patched info backup uuid0 0x12345678
	readable "two info blocks" 'info2: both info blocks are valid'
}

# An error flag forbids all writes; what is in the file can be got out.
test_error_flag() {
	local before
	patched info both flags 1
	before=$(sha256sum <"$copy")
	mount_bttfs "$copy" "$mnt"
	check "the log does not speak of the flag" \
	    grep -q 'error-flag' "${daemon_logs[$mnt]}"
	check "the file cannot be read" \
	    cmp -n "$(stat -c %s "$file")" "$file" /dev/zero
	expect_error 'Read-only' dd if=/dev/zero of="$file" bs=4096 count=1 \
	    conv=notrunc
	umount_bttfs "$mnt"
	same "bytes of a flagged image" "$before" "$(sha256sum <"$copy")"
}

# The backup serves, said aloud, and nothing is repaired unasked (P7).
test_backup() {
	local before
	patched sum primary
	before=$(sha256sum <"$copy")
	mount_bttfs "$copy" "$mnt"
	check "the log does not speak of the backup" \
	    grep -q backup "${daemon_logs[$mnt]}"
	check "the file cannot be read" \
	    cmp -n "$(stat -c %s "$file")" "$file" /dev/zero
	umount_bttfs "$mnt"
	same "bytes of an image served from its backup" "$before" \
	    "$(sha256sum <"$copy")"
}

test_held() {
	local other=$work/other pid
	mkdir -p "$other"
	mount_bttfs "$image" "$mnt"
	pid=$(server_of "${daemons[$mnt]}")
	mnt=$other refused "held by a daemon" 32 \
	    "$image: in use by bttfs \(process $pid\)" "$image" "$other"
	mnt=$other refused "held by a daemon, read-only" 32 \
	    "$image: in use by bttfs \(process $pid\)" -o ro "$image" "$other"
	"$bttctl" check "$image" >"$work/out" 2>&1
	same "bttctl check of a held image" 8 $?
	check "bttctl check does not name the holder" \
	    grep -q "process $pid" "$work/out"
	umount_bttfs "$mnt"

	# Readers may be several, but not beside a writer.
	mount_bttfs "$image" "$mnt" ro
	mount_bttfs "$image" "$other" ro
	umount_bttfs "$other"
	mnt=$other refused "held by a reader" 32 "$image: in use by" \
	    "$image" "$other"
	umount_bttfs "$mnt"
}

test_read_only_medium() {
	local dir=$work/ro
	mkdir -p "$dir"
	mount -t tmpfs -o size=40M tmpfs "$dir" || die "no tmpfs"
	defer umount "$dir"
	cp "$image" "$dir/disk"
	mount -o remount,ro "$dir"
	copy=$dir/disk
	refused_image "a read-only file system" 'Read-only'
	mount_bttfs "$copy" "$mnt" ro
	umount_bttfs "$mnt"
	umount "$dir"
	forget umount "$dir"
}

test_read_only_loop() {
	command -v losetup >/dev/null || return 0
	copy=$work/copy
	cp "$image" "$copy"
	mkloop "$copy" --read-only
	copy=$loop
	refused_image "a read-only block device" 'read-only|Read-only'
	mount_bttfs "$loop" "$mnt" ro,name=disk
	umount_bttfs "$mnt"
	rmloop "$loop"
}

test_sparse() {
	copy=$work/copy
	rm -f "$copy"
	cp --sparse=always "$image" "$copy"
	if [ $(($(stat -c %b "$copy") * 512)) -ge "$(stat -c %s "$copy")" ]; then
		note "this file system makes no holes"
		return
	fi
	refused_image "a file with holes" 'sparse|holes'
	mount_bttfs "$copy" "$mnt" sparse
	umount_bttfs "$mnt"
}

test_mountpoint() {
	refused "no such mount point" 32 "$work/none: No such file" \
	    "$image" "$work/none"
	: >"$work/file"
	refused "a file as mount point" 32 "$work/file: .*not a directory" \
	    "$image" "$work/file"
	mkdir -p "$work/busy"
	mount -t tmpfs tmpfs "$work/busy" || die "no tmpfs"
	defer umount "$work/busy"
	refused "a busy mount point" 32 "$work/busy: .*mounted here already" \
	    "$image" "$work/busy"
	umount "$work/busy"
	forget umount "$work/busy"
	check "the image is locked after a failed mount" is_clean "$image"
}

test_usage
test_not_a_btt
test_damaged
test_readable
test_error_flag
test_backup
test_held
test_read_only_medium
test_read_only_loop
test_sparse
test_mountpoint
finish
