#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The real driver of Linux opens what bttctl has repaired, ndctl finds nothing
# wrong with it, and the sectors are those of the image before it was damaged.

time_limit=1700
. "$(dirname "$0")/functions.sh"
vm=$shared/kernel-vm
fixtures=$shared/fixtures
requires shared python3 qemu-system-x86_64 ndctl gcc xz
[ -x "$bttctl" ] || skip "$bttctl is not built"
[ -x "$vm/kernel-open" ] || skip "needs $vm/kernel-open"
"$vm/build-initramfs" >"$work/initramfs.out" 2>&1 || {
	cat "$work/initramfs.out" >&2
	skip "the kernel's package cannot be had"
}

# A case of fixtures/damaged, the sectors that are lost, and options.
cases=(
	"info1-zero -"
	"log-all-zero -"
	"log-old-E - --rewrite-log"
	"pend-map-two -"
	"map-oob-1 5"
	"map-points-at-free 5 --allow-data-loss"
)

xz -dc "$fixtures/kernel/b-4096-64M.img.xz" >"$work/base.img"
xz -dc "$fixtures/kernel/b-4096-64M.manifest.xz" | grep -v '^#' \
    >"$work/base.manifest"
images=()
for ((i = 0; i < ${#cases[@]}; i++)); do
	read -r name lost options <<<"${cases[i]}"
	image=$work/$name.img
	python3 "$fixtures/damaged/apply.py" "$fixtures/damaged/$name.patch" \
	    "$work/base.img" "$image" ||
	    die "$name cannot be made"
	# shellcheck disable=SC2086 # several options
	"$bttctl" check --repair --yes --quiet $options "$image"
	status=$?
	# A log with flags was no damage: there was nothing else to repair.
	same "$name: status of the repair" 1 "$status"
	images+=("$image")
done

note "${#images[@]} images in the kernel, which writes as well"
out=$work/kernel
mkdir -p "$out"
"$vm/kernel-open" -t 1500 -m "$out" -k -w 11,200,900000 "${images[@]}" \
    >"$out/log" 2>&1
status=$?
grep -E '^(RESULT|kernel-open)' "$out/log"
if [ "$status" -ge 124 ]; then
	cat "$out/log" >&2
	die "the virtual machine ended with $status"
fi

# expand: one line a sector, "first[-last] STATE" as first, first + 1 ...
expand() {
	awk '/^#/ { next }
	{
		n = split($1, range, "-")
		for (i = range[1]; i <= range[n]; i++) {
			$1 = i
			print
		}
	}' "$1"
}
expand "$work/base.manifest" >"$work/base.sectors"

for ((i = 0; i < ${#cases[@]}; i++)); do
	read -r name lost options <<<"${cases[i]}"
	bits=$(sed -n "s/^RESULT img$i mode=sector bad=//p" "$out/log")
	same "$name: what kernel and ndctl say" 0 "${bits:-not a BTT}"
	expand "$out/$name.manifest" >"$work/sectors"
	differ=$(diff "$work/base.sectors" "$work/sectors" |
	    sed -n 's/^> \([0-9]*\) EIO.*/\1/p; s/^> \([0-9]*\) .*/\1 other/p')
	[ "$lost" != - ] || lost=
	same "$name: sectors that differ" "$lost" "$differ"
	"$bttctl" check --quiet "$out/$name.img"
	same "$name: check after the kernel has written" 0 $?
done
finish
