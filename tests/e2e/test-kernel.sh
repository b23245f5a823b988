#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The real driver of Linux, in a virtual machine, opens what bttfs created and
# wrote, finds the same sectors, and ndctl finds it clean; what the kernel
# writes into it then, bttfs serves (P5).  Also what a killed daemon leaves.

time_limit=1100
. "$(dirname "$0")/functions.sh"
vm=$shared/kernel-vm
requires root fuse programs support/storm shared python3 qemu-system-x86_64 \
    ndctl mkfs.ext4 gcc loop
[ -x "$vm/kernel-open" ] || skip "needs $vm/kernel-open"
"$vm/build-initramfs" >"$work/initramfs.out" 2>&1 || {
	cat "$work/initramfs.out" >&2
	skip "the kernel's package cannot be had"
}

mnt=$work/mnt
storm=$BTTFS_SUPPORT/storm
manifest=$support/manifest.py

# fill IMAGE SECTOR OPTIONS: by a storm that comes to its end.
fill() {
	local image=$1 sector=$2 options=$3
	mount_bttfs "$image" "$mnt" "$options"
	check "storm on $image" "$storm" run -b "$sector" -t 4 -r 1 -n 500 \
	    "$file" "$image.table"
	umount_bttfs "$mnt"
	check "$image: not clean" is_clean "$image"
}

pending_in() {
	"$bttctl" check --json "$1" | python3 -c '
import json, sys
print(json.load(sys.stdin)[0]["pending_writes"])'
}

# interrupt IMAGE SECTOR OPTIONS: kill the daemon in a storm, again and again
# until a write was between its log entry and its map entry: then there is
# something to recover.
interrupt() {
	local image=$1 sector=$2 options=$3 i
	for ((i = 1; i <= 50; i++)); do
		mount_bttfs "$image" "$mnt" "$options"
		rm -f "$image.table"
		background "$work/storm.out" "$storm" run -k -b "$sector" \
		    -t 6 -r 1 -a $((100 + i)) -s "$i" "$file" "$image.table"
		wait_for 60 grep -q '^under way' "$work/storm.out" ||
		    die "$image: nothing is written"
		kill_bttfs "$mnt"
		end_of 60 "$child"
		umount_dead "$mnt"
		pending=$(pending_in "$image")
		[ "$pending" -eq 0 ] || break
		# The next storm starts from zeroes again.
		mount_bttfs "$image" "$mnt"
		fallocate --zero-range --length "$(stat -c %s "$file")" "$file"
		umount_bttfs "$mnt"
	done
	note "$image: $pending interrupted writes after $i kills"
	check "$image: no kill interrupted a write" test "$pending" -gt 0
}

# kernel_open DIRECTORY OPTION... IMAGE...: what it says is in the directory.
kernel_open() {
	local out=$1 status
	shift
	mkdir -p "$out"
	"$vm/kernel-open" -t 600 -m "$out" -k "$@" >"$out/log" 2>&1
	status=$?
	grep -E '^(RESULT|kernel-open)' "$out/log"
	if [ "$status" -ge 124 ]; then
		cat "$out/log" >&2
		die "the virtual machine ended with $status"
	fi
}

# accepted WHAT DIRECTORY NUMBER MASK: was image NUMBER of that run a BTT to
# the kernel, and clean to ndctl?  Bits of MASK do not matter: 1 the kernel
# does not accept it, 2 and 4 not clean before and after, 8 a write failed, 16
# a bad file system.
accepted() {
	local bits
	bits=$(sed -n "s/^RESULT img$3 mode=sector bad=//p" "$2/log")
	if [ -z "$bits" ] || [ $((bits & ~$4)) -ne 0 ]; then
		cat "$2/log" >&2
		fail "$1: the kernel's result is ${bits:-not a BTT}"
	else
		ok
	fi
}

# equal WHAT IMAGE MANIFEST: what bttfs reads and what the kernel read.
equal() {
	mount_bttfs "$2" "$mnt" ro
	check "$1: sectors differ" "$manifest" "$3" "$file"
	umount_bttfs "$mnt"
}

note "images that bttfs has created and written"
mkdev "$work/plain512.img" 32M 512 --nfree 256
mkdev "$work/plain4096.img" 32M 4096 --nfree 256
mkdev "$work/many4096.img" 48M 4096 --nfree 4096
fill "$work/plain512.img" 512 granularity=page
fill "$work/plain4096.img" 4096 granularity=page
fill "$work/many4096.img" 4096 granularity=cacheline
mkdev "$work/killed512.img" 32M 512
mkdev "$work/killed4096.img" 32M 4096
interrupt "$work/killed512.img" 512 durability=write,granularity=page
interrupt "$work/killed4096.img" 4096 durability=flush,granularity=page

note "in the kernel, which writes as well"
names=(plain512 plain4096 many4096 killed512 killed4096)
out=$work/kernel
images=()
for name in "${names[@]}"; do
	images+=("$work/$name.img")
done
kernel_open "$out" -w 7,3000,900000 "${images[@]}"
for number in "${!names[@]}"; do
	name=${names[number]}
	# Interrupted writes are errors to ndctl until somebody recovers.
	case $name in
	killed*) accepted "$name" "$out" "$number" 2 ;;
	*) accepted "$name" "$out" "$number" 0 ;;
	esac
	equal "$name, as bttfs left it" "$work/$name.img" "$out/$name.manifest"
	equal "$name, as the kernel left it" "$out/$name.img" \
	    "$out/$name.manifest-after-write"
	check "$name: not clean after the kernel" is_clean "$out/$name.img"
	if cmp -s "$out/$name.manifest" "$out/$name.manifest-after-write"; then
		fail "$name: the kernel has written nothing"
	fi
done

# A file system made through bttfs and a loop device, checked in the kernel.
note "a file system, for fsck in the kernel"
mkdev "$work/fs.img" 48M 4096
mount_bttfs "$work/fs.img" "$mnt"
mkloop "$file" --direct-io=on --sector-size 4096
mkfs.ext4 -q -F "$loop" || die "mkfs.ext4"
mkdir -p "$work/fs"
mount -t ext4 "$loop" "$work/fs" || die "mount"
defer umount "$work/fs"
cp -r "$top/tests" "$work/fs/"
umount "$work/fs"
forget umount "$work/fs"
rmloop "$loop"
umount_bttfs "$mnt"
kernel_open "$work/ext4" -F "$work/fs.img"
accepted "a file system" "$work/ext4" 0 0
finish
