#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What the kernel and libpmemblk wrote opens here, each sector as they read it
# (P5, T-D2), and is not changed by that (P7).  Copies can be written, read back,
# and are clean afterwards.

time_limit=240
. "$(dirname "$0")/functions.sh"
requires root fuse programs python3 xz cmp

mnt=$work/mnt
manifest=$support/manifest.py

# unpack FILE: image is the plain one.
unpack() {
	image=$work/$(basename "$1" .xz)
	case $1 in
	*.xz) xz -dc --no-sparse "$1" ;;
	*) cat "$1" ;;
	esac >"$image" || die "cannot unpack $1"
}

sum_of() {
	sha256sum <"$1"
}

# holds WHAT MANIFEST [TABLE]: does the mounted file?
holds() {
	local what=$1 list=$2
	shift 2
	if [ -n "$list" ]; then
		check "$what: sectors differ from the manifest" \
		    "$manifest" "$list" "$file" "$@"
	else
		check "$what: not every byte is zero" \
		    cmp -n "$(stat -c %s "$file")" /dev/zero "$file"
	fi
}

# fill_and_compare WHAT [NAMESPACE]: write every sector of the copy, look at it
# through this mount and the next.
fill_and_compare() {
	local what=$1 namespace=${2-} size
	size=$(stat -c %s "$file")
	head -c "$size" /dev/urandom >"$work/filling"
	check "$what: a write failed" \
	    dd if="$work/filling" of="$file" bs=1M conv=notrunc,fsync \
	    iflag=fullblock status=none
	check "$what: other bytes are read than were written" \
	    cmp "$work/filling" "$file"
	umount_bttfs "$mnt"
	check "$what: not clean after writing" \
	    is_clean "$image" ${namespace:+-n "$namespace"}
	mount_bttfs "$image" "$mnt" "${namespace:+namespace=$namespace}"
	check "$what: other bytes are read after a remount" \
	    cmp "$work/filling" "$file"
	umount_bttfs "$mnt"
}

# bytes_changed A B: how many differ.
bytes_changed() {
	cmp -l "$1" "$2" | wc -l
}

# serve PACKED MANIFEST [TABLE] [CHANGES]: the whole course for one image.
# MANIFEST is empty where all is zero; CHANGES is how many bytes recovery may
# change.
serve() {
	local packed=$1 list=$2 table=${3-} changes=${4-0} what before
	what=$(basename "$packed" .xz)
	note "$what"
	unpack "$packed"
	before=$(sum_of "$image")

	mount_bttfs "$image" "$mnt" ro
	holds "$what, read-only" "$list" ${table:+"$table"}
	umount_bttfs "$mnt"
	same "$what: its bytes after reading" "$before" "$(sum_of "$image")"

	cp "$image" "$work/original"
	mount_bttfs "$image" "$mnt"
	holds "$what" "$list" ${table:+"$table"}
	umount_bttfs "$mnt"
	changed=$(bytes_changed "$work/original" "$image")
	check "$what: $changed bytes changed by opening, $changes may" \
	    test "$changed" -le "$changes"
	check "$what: not clean after opening" is_clean "$image"

	mount_bttfs "$image" "$mnt"
	fill_and_compare "$what"
	rm -f "$image" "$work/original" "$work/filling"
}

# serve_namespace PACKED NAMESPACE: one of several in an image.  Reading and
# writing it changes no byte of the others, nor of the labels.
serve_namespace() {
	local packed=$1 namespace=$2 list before off size
	list=${packed%.img.xz}.$namespace.manifest.xz
	note "$(basename "$packed" .xz), namespace $namespace"
	unpack "$packed"
	before=$(sum_of "$image")
	mount_bttfs "$image" "$mnt" "ro,namespace=$namespace"
	holds "$namespace, read-only" "$list"
	umount_bttfs "$mnt"
	same "$namespace: bytes after reading" "$before" "$(sum_of "$image")"

	cp "$image" "$work/original"
	mount_bttfs "$image" "$mnt" "namespace=$namespace"
	holds "$namespace" "$list"
	fill_and_compare "$namespace" "$namespace"
	read -r off size < <("$bttctl" info --json -n "$namespace" "$image" |
	    python3 -c '
import json, sys
it = json.load(sys.stdin)[0]["namespace"]
print(it["offset"], it["size"])')
	check "$namespace: bytes before it have changed" \
	    cmp -n "$off" "$work/original" "$image"
	check "$namespace: bytes behind it have changed" cmp \
	    -i $((off + size)) "$work/original" "$image"
	rm -f "$image" "$work/original" "$work/filling"
}

# A sector marked as bad is read by nobody, and cannot be written in part: what
# would the rest be?  Written whole, it is good again.
bad_sector() {
	local packed=$1 list=$2 sector=$3 lba
	note "a bad sector of $(basename "$packed" .xz)"
	unpack "$packed"
	lba=$(xz -dc "$list" | awk '$2 == "error" { print $1; exit }')
	[ -n "$lba" ] || die "$list names no bad sector"
	mount_bttfs "$image" "$mnt"
	expect_error 'Input/output' \
	    dd if="$file" bs="$sector" skip="$lba" count=1 of=/dev/null
	expect_error 'Input/output' dd if=/dev/zero of="$file" bs=512 \
	    count=1 conv=notrunc seek=$((lba * sector / 512))
	head -c "$sector" /dev/urandom >"$work/sector"
	check "a bad sector cannot be written whole" \
	    dd if="$work/sector" of="$file" bs="$sector" seek="$lba" \
	    conv=notrunc status=none
	umount_bttfs "$mnt"
	check "not clean" is_clean "$image"
	mount_bttfs "$image" "$mnt" ro
	check "what was written to it is not there" cmp -n "$sector" \
	    -i "0:$((lba * sector))" "$work/sector" "$file"
	umount_bttfs "$mnt"
	rm -f "$image"
}

for packed in "$top"/tests/fixtures/*.xz; do
	case $packed in
	*.manifest.xz) ;;
	*/labels-*)
		for list in "${packed%.img.xz}".*.manifest.xz; do
			namespace=${list#"${packed%.img.xz}".}
			serve_namespace "$packed" "${namespace%%.*}"
		done ;;
	*.pool.xz)
		serve "$packed" "${packed%.pool.xz}.manifest.xz"
		bad_sector "$packed" "${packed%.pool.xz}.manifest.xz" 4096 ;;
	*) serve "$packed" "" ;;
	esac
done

kernel=$shared/fixtures/kernel
if [ ! -d "$kernel" ]; then
	note "$kernel is missing: its images are left out"
	finish
fi
for packed in "$kernel"/*.img.xz; do
	base=${packed%.img.xz}
	case $packed in
	*/d-crash-*)
		base=${base%.pre-recovery}
		# One store of four bytes completes one interrupted write.
		serve "$packed" "$base.post-recovery.manifest.xz" \
		    "$base.intent-ack.shm.xz" 4 ;;
	*/fresh-*)
		serve "$packed" "" ;;
	*)
		serve "$packed" "$base.manifest.xz" ;;
	esac
done
finish
