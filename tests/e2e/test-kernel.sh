#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The real driver of Linux, in a virtual machine, opens what bttfs created and
# wrote, finds the same sectors, and ndctl finds it clean; what the kernel
# writes into it then, bttfs serves (P5; T-D2 of control-plane.md).  Also what a
# killed daemon leaves.
#
# usage: test-kernel.sh [-b BUILD-DIRECTORY] [matrix [PART...]]
#
# matrix: every sector size of the kernel, v1.1 and v2.0, with 256 and 4096 free
# blocks; and images that the kernel has made, written by bttfs, given back.
# Its parts are v11, v20 and foreign.

time_limit=1800
case $* in
*matrix*) time_limit=14000 ;;
esac
. "$(dirname "$0")/functions.sh"
what=${1-}
[ $# -eq 0 ] || shift
vm=$shared/kernel-vm
requires root fuse programs support/storm shared python3 qemu-system-x86_64 \
    ndctl mkfs.ext4 gcc loop
[ -x "$vm/kernel-open" ] || skip "needs $vm/kernel-open"
"$vm/build-initramfs" >"$work/initramfs.out" 2>&1 || {
	cat "$work/initramfs.out" >&2
	skip "the kernel's package cannot be had"
}

MIB=$((1 << 20))
label_bytes=$((128 << 10)) # the label area that virtual NVDIMMs have
mnt=$work/mnt
storm=$BTTFS_SUPPORT/storm
manifest=$support/manifest.py

# data_bytes SECTOR: without its metadata.
data_bytes() {
	echo $(($1 < 1024 ? 512 : 4096))
}

# fill IMAGE SECTOR OPTIONS: by a storm that comes to its end.
fill() {
	local image=$1 sector
	sector=$(data_bytes "$2")
	rm -f "$image.table"
	mount_bttfs "$image" "$mnt" "$3"
	check "storm on $image" "$storm" run -b "$sector" -t 4 -r 1 -n 500 \
	    "$file" "$image.table"
	umount_bttfs "$mnt"
	check "$image: not clean" is_clean "$image"
}

# add_labels IMAGE...: room for a label area, which is empty: without one the
# kernel takes all of an NVDIMM for its namespace.
add_labels() {
	local image
	for image; do
		truncate -s "+$label_bytes" "$image"
	done
}

# make_v20 IMAGE SECTOR NFREE: a new BTT in the first namespace of an image
# whose labels have a place for one of version 2.0.
make_v20() {
	local image=$1 sector=$2 nfree=$3 uuid bytes
	"$bttctl" info --json --namespace 0 "$image" >"$work/info" ||
	    die "$image: no namespace"
	read -r uuid bytes < <(python3 -c '
import json, sys
space = json.load(open(sys.argv[1]))[0]["namespace"]
print(space["uuid"], space["size"])' "$work/info")
	mkloop "$image" --offset 0 --sizelimit "$bytes"
	"$bttctl" create --force --quiet --layout 2.0 --sector "$sector" \
	    --nfree "$nfree" --parent-uuid "$uuid" "$loop" ||
	    die "bttctl create in $image failed"
	rmloop "$loop"
	"$bttctl" info --namespace 0 "$image" >"$work/info"
	check "$image: not of v2.0" grep -q '^  layout  *2.0$' "$work/info"
	check "$image: not as made" grep -q "^  nfree  *$nfree\$" "$work/info"
}

# make_old IMAGE SECTOR SIZE: a new BTT whose log is as before Linux 4.15, one
# pair having been written in slots 0 and 2.
make_old() {
	local image=$1 external
	mkdev "$image" "$3" "$2" --nfree 256
	external=$("$bttctl" info "$image" |
	    sed -n 's/^  external_nlba *//p')
	"$support/patch_image.py" "$image" log 9 2 lba 9 log 9 2 old 9 log 9 2 new $((external + 9)) \
	    log 9 2 seq 2 map 9 $((0xc0000000 | (external + 9)))
}

# has_old_log IMAGE: is its log still in slots 0 and 2?
has_old_log() {
	"$bttctl" dump --json --log "$1" | python3 -c '
import json, sys
log = json.load(sys.stdin)[0]["arenas"][0]["log"]
used = sum(len(pair["slots"]) > 1 and pair["slots"][1]["seq"] > 0
	   for pair in log["pairs"])
print(log["slots"], used, "pairs written")
sys.exit(log["slots"] != [0, 2] or not log["consistent"] or used < 2)'
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
	local image=$1 sector=$2 options=$3 i pending
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
	"$vm/kernel-open" -t $((time_limit / 3)) -m "$out" -k "$@" \
	    >"$out/log" 2>&1
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

# give_to_kernel OPTION... -- IMAGE...: as bttfs left them.  The kernel reads
# them, writes, and must have seen, and left, what bttfs sees.
nrun=0
give_to_kernel() {
	local options=() out names=() images=() image name number
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	shift
	nrun=$((nrun + 1))
	out=$work/kernel$nrun
	kernel_open "$out" "${options[@]}" -w 7,3000,900000 "$@"
	for image; do
		names+=("$(basename "$image" .img)")
		images+=("$image")
	done
	for number in "${!names[@]}"; do
		name=${names[number]}
		case $name in
		# Interrupted writes are errors to ndctl until recovery.
		killed*) accepted "$name" "$out" "$number" 2 ;;
		# Sectors that are less than a block are, to it, damage.
		*-520-* | *-528-* | *-4104-*)
			accepted "$name" "$out" "$number" 6 ;;
		*) accepted "$name" "$out" "$number" 0 ;;
		esac
		equal "$name, as bttfs left it" "${images[number]}" \
		    "$out/$name.manifest"
		equal "$name, as the kernel left it" "$out/$name.img" \
		    "$out/$name.manifest-after-write"
		check "$name: not clean after the kernel" \
		    is_clean "$out/$name.img"
		if cmp -s "$out/$name.manifest" \
		    "$out/$name.manifest-after-write"; then
			fail "$name: the kernel has written nothing"
		fi
		case $name in
		old*)
			check "$name: another log, as bttfs left it" \
			    has_old_log "${images[number]}"
			check "$name: another log after the kernel" \
			    has_old_log "$out/$name.img" ;;
		esac
	done
}

# overwrite IMAGE SECTOR: every third sector, through bttfs.
overwrite() {
	mount_bttfs "$1" "$mnt" granularity=page
	check "$1: cannot be written" python3 -c '
import os, sys
path, sector = sys.argv[1], int(sys.argv[2])
device = os.open(path, os.O_RDWR)
for off in range(0, os.lseek(device, 0, os.SEEK_END), 3 * sector):
    os.pwrite(device, os.urandom(sector), off)
os.fsync(device)' "$file" "$2"
	umount_bttfs "$mnt"
	check "$1: not clean" is_clean "$1"
}

# others_are_left MANIFEST MANIFEST: each third sector is another now, and all
# others are what they were before bttfs had the image.
others_are_left() {
	python3 -c '
import sys
sys.argv[1:], support = sys.argv[2:], sys.argv[1]
sys.path.insert(0, support)
from manifest import load
before, after = load(sys.argv[1])[1], load(sys.argv[2])[1]
bad = len(before) != len(after)
for lba, state in enumerate(before):
    bad += (state == after[lba]) != (lba % 3 != 0)
print(f"{len(before)} sectors, {bad} not as they should be")
sys.exit(bad > 0)' "$support" "$@"
}

# --- What is done ------------------------------------------------------------

usual() {
	local off
	note "images that bttfs has created and written"
	mkdev "$work/plain-520-256.img" 17M 520 --nfree 256
	fill "$work/plain-520-256.img" 520 granularity=page
	mkdev "$work/many4096.img" 48M 4096 --nfree 4096
	fill "$work/many4096.img" 4096 granularity=cacheline
	make_old "$work/old4096.img" 4096 32M
	fill "$work/old4096.img" 4096 granularity=page
	mkdev "$work/killed512.img" 17M 512
	interrupt "$work/killed512.img" 512 durability=write,granularity=page
	mkdev "$work/killed4096.img" 32M 4096
	interrupt "$work/killed4096.img" 4096 durability=flush,granularity=page
	# Labels know the place of their NVDIMM: the first one.
	xz -dc --no-sparse "$top/tests/fixtures/labels-v12.img.xz" \
	    >"$work/v20-4096.img"
	# Of its second BTT nothing is left to be chosen.
	for off in $((32 * MIB)) $((48 * MIB - 4096)); do
		dd if=/dev/zero of="$work/v20-4096.img" bs=4096 count=1 \
		    seek=$((off / 4096)) conv=notrunc status=none
	done
	make_v20 "$work/v20-4096.img" 4096 4096
	fill "$work/v20-4096.img" 4096 granularity=page,namespace=0
	add_labels "$work"/{plain-520-256,many4096,old4096,killed512,killed4096}.img

	note "in the kernel, which writes as well"
	give_to_kernel -l 128K -- "$work/v20-4096.img" \
	    "$work/plain-520-256.img" "$work/many4096.img" \
	    "$work/old4096.img" "$work/killed512.img" "$work/killed4096.img"

	# A file system made through bttfs and a loop device.
	note "a file system, for fsck in the kernel"
	mkdev "$work/fs.img" 17M 4096
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
}

sectors=(512 520 528 4096 4104 4160 4224)

# Namespaces for BTTs of version 2.0 exist with labels only, which the kernel
# alone makes: one in each image, whose places in the machine it keeps.
make_labels() {
	local image nvdimms=() status
	for image; do
		fallocate -l $((32 * MIB + label_bytes)) "$image"
		nvdimms+=(-n "$image,label=128K")
	done
	cat >"$work/make-labels" <<-'end'
		. /lib.sh
		n=$1
		i=0
		while [ $i -lt $n ]; do
			r=$(nvreg $i)
			d=$(cut -d, -f1 /sys/bus/nd/devices/region$r/mapping0)
			ndctl disable-region region$r &&
			    ndctl init-labels -f -V 1.2 $d &&
			    ndctl enable-region region$r &&
			    ndctl create-namespace -r region$r -m sector \
				-l 4096 -s 32M -n place$i || exit 1
			i=$((i + 1))
		done
		ndctl disable-namespace all
	end
	"$vm/vm-run" -t $((time_limit / 3)) "${nvdimms[@]}" \
	    "$work/make-labels" $# >"$work/labels.out" 2>&1
	status=$?
	if [ "$status" -ne 0 ]; then
		cat "$work/labels.out" >&2
		die "no labels could be made: the virtual machine ended with" \
		    "$status, 124 if for want of time"
	fi
}

every_v11() {
	local sector nfree images
	for nfree in 256 4096; do
		note "every sector size in version 1.1, $nfree free blocks"
		images=()
		for sector in "${sectors[@]}"; do
			images+=("$work/v11-$sector-$nfree.img")
			mkdev "${images[-1]}" 32M "$sector" --nfree "$nfree"
			fill "${images[-1]}" "$sector" granularity=page
		done
		give_to_kernel -- "${images[@]}"
		rm -rf "${images[@]}" "$work/kernel$nrun"
	done
}

every_v20() {
	local sector nfree images i
	for nfree in 256 4096; do
		note "every sector size in version 2.0, $nfree free blocks"
		images=()
		for sector in "${sectors[@]}"; do
			images+=("$work/v20-$sector-$nfree.img")
		done
		make_labels "${images[@]}"
		for i in "${!sectors[@]}"; do
			make_v20 "${images[i]}" "${sectors[i]}" "$nfree"
			fill "${images[i]}" "${sectors[i]}" \
			    granularity=cacheline
		done
		give_to_kernel -l 128K -- "${images[@]}"
		rm -rf "${images[@]}" "$work/kernel$nrun"
	done
}

foreign() {
	local name sector images made
	note "images that the kernel has made, and old logs, written by bttfs"
	images=()
	made=(a-512-32M b-4096-64M d-crash-4096-64M)
	for name in "${made[@]}"; do
		images+=("$work/$name.img")
		xz -dc --no-sparse "$shared/fixtures/kernel/$name".*img.xz >"${images[-1]}"
		sector=${name#*-}
		sector=${sector#crash-}
		overwrite "${images[-1]}" "${sector%%-*}"
	done
	for sector in 512 4096 4224; do
		images+=("$work/old-$sector-256.img")
		make_old "${images[-1]}" "$sector" 32M
		fill "${images[-1]}" "$sector" granularity=page
	done
	give_to_kernel -- "${images[@]}"
	for name in "${made[@]}"; do
		check "$name: other sectors have changed" others_are_left \
		    "$shared/fixtures/kernel/$name".*manifest.xz \
		    "$work/kernel$nrun/$name.manifest"
	done
	rm -rf "${images[@]}" "$work/kernel$nrun"

	# Of labels the kernel believes only those of the place they were made in.
	xz -dc --no-sparse "$shared/fixtures/kernel/c-v11-labels.img.xz" \
	    >"$work/c-v11-labels.img"
	overwrite "$work/c-v11-labels.img" 4096
	give_to_kernel -l 128K -- "$work/c-v11-labels.img"
	check "labels: other sectors have changed" others_are_left \
	    "$shared/fixtures/kernel/c-v11-labels.manifest.xz" \
	    "$work/kernel$nrun/c-v11-labels.manifest"
}

matrix() {
	local part
	for part; do
		case $part in
		v11) every_v11 ;;
		v20) every_v20 ;;
		foreign) foreign ;;
		*) die "$part: not a part of the matrix" ;;
		esac
	done
}

[ $# -gt 0 ] || set -- v11 v20 foreign
case $what in
'') usual ;;
matrix) matrix "$@" ;;
*) die "$what: not a kind of test" ;;
esac
finish
