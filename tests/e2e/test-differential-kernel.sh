#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# usage: test-differential-kernel.sh [-b BUILD-DIRECTORY] [COUNT]
#
# Of the damaged images that libbtt and the independent model agree on
# (tests/differential) COUNT go to the real driver of Linux, in a virtual
# machine: it attaches those that the model attaches, and shows the same
# sectors, or a rule says why not.

time_limit=3500
. "$(dirname "$0")/functions.sh"
vm=$shared/kernel-vm
requires shared python3 qemu-system-x86_64 ndctl gcc
[ -x "$vm/vm-run" ] || skip "needs $vm/vm-run"
"$vm/build-initramfs" >"$work/initramfs.out" 2>&1 || {
	cat "$work/initramfs.out" >&2
	skip "the kernel's package cannot be had"
}

differential=$top/tests/differential/differential.py
count=${1:-50}
at_once=10 # as many as a boot is worth

python3 "$differential" sample "$work/images" "$vm/bttimg.py" "$count" ||
    die "no sample"
images=("$work/images"/*.img)
same 'images' "$count" ${#images[@]}
for ((first = 0; first < count; first += at_once)); do
	batch=("${images[@]:first:at_once}")
	run=$work/run$first
	dimms=()
	ids=
	for i in "${!batch[@]}"; do
		# The kernel completes writes in what it is given.
		cp --sparse=always "${batch[i]}" "$work/dimm$i"
		dimms+=(-n "$work/dimm$i")
		ids=$ids${ids:+,}$i
	done
	"$vm/vm-run" -N -t 900 -o "$run" "${dimms[@]}" "$vm/guest/open.sh" \
	    "idx=$ids" ns=0 manifest nocheck >"$run.log" 2>&1
	status=$?
	if [ $status -ge 124 ]; then
		tail -n 20 "$run.log" >&2
		die "the virtual machine ended with $status"
	fi
	check "images from $first on" python3 "$differential" compare "$run" \
	    "$vm/bttimg.py" "${batch[@]}"
done
finish
