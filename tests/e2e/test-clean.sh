#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Nothing that the end-to-end tests of this build made is left: no mount, no
# loop device, no process, no directory.

time_limit=50
. "$(dirname "$0")/functions.sh"

# Our own scratch directory is no relic.
rm -rf "$work"
forget rm -rf "$work"

left_mounts() {
	grep -F "$scratch_tag" /proc/self/mountinfo
}
left_loops() {
	losetup --list --noheadings --output NAME,BACK-FILE 2>/dev/null |
	    grep -F "$scratch_tag"
}
left_processes() {
	local cmdline pid
	for cmdline in /proc/[0-9]*/cmdline; do
		pid=${cmdline//[^0-9]/}
		[ "$pid" != "$$" ] && cat "$cmdline" 2>/dev/null | tr "\0" " " |
		    grep -F "$scratch_tag" | sed "s/^/$pid /"
	done
}
left_directories() {
	ls -d "${BTTFS_SCRATCH:-${TMPDIR:-/var/tmp}}/$scratch_tag".* \
	    /dev/shm/"$scratch_tag".* 2>/dev/null
}

for kind in mounts loops processes directories; do
	left=$("left_$kind")
	[ -z "$left" ] || fail "$kind are left: $left"
	ok
done
finish
