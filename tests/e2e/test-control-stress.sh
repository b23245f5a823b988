#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# usage: test-control-stress.sh [-b BUILD-DIRECTORY] [SECONDS [SEED]]
#
# Nine clients attach, detach, list, use, check, spoil and scrub 64 devices of one
# daemon for so long (20 s).  Nothing is half-made, lost, torn or left: neither
# descriptors, threads nor memory, no listing shows a device without what its
# state has (T-A2), and every device is clean at the end.  With a build of a
# sanitizer it must have nothing to report either.

time_limit=$((${e2e_stress_limit:-4000}))
. "$(dirname "$0")/functions.sh"
. "$(dirname "$0")/control.sh"
requires root fuse programs python3
make_shm

seconds=${1-20}
seed=${2-$RANDOM}
export TSAN_OPTIONS="second_deadlock_stack=1 exitcode=66"
export ASAN_OPTIONS="exitcode=66 detect_leaks=1 quarantine_size_mb=16"
bits=$(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null || echo 28)
if [ "$bits" -gt 28 ] && setarch -R true 2>/dev/null; then
	bttfs_command=(setarch -R "$bttfs")
fi

mkdir "$shm/images"
mkdev "$shm/first" 17M 4096 --sparse
for ((i = 0; i < 64; i++)); do
	mkdev "$shm/images/vol$i" 17M 4096 --sparse
done

# What the server has of a kind that it must not have more of afterwards.
server_count() {
	local server
	server=$(server_of "${daemons[$control_mnt]}")
	case $1 in
	descriptors) find "/proc/$server/fd" -mindepth 1 | wc -l ;;
	threads) find "/proc/$server/task" -mindepth 1 -maxdepth 1 | wc -l ;;
	memory) sed -n 's/^RssAnon:[^0-9]*\([0-9]*\).*/\1/p' \
	    "/proc/$server/status" ;;
	esac
}
storm() {
	python3 "$support/control_stress.py" "$control" "$control_mnt" \
	    "$shm/images" "$@" "$bttctl"
}

detach_volumes() {
	local names
	mapfile -t names < <(ctl list --names | grep vol)
	[ ${#names[@]} -eq 0 ] ||
	    same "detach all but one" 0 \
	    "$(status_of ctl detach -f --idempotent "${names[@]}")"
}

nothing_runs() {
	ctl jobs >"$work/jobs" && ! grep -Eq ' (queued|running) ' "$work/jobs"
}

# measure WHEN: with nothing attached but the first device.
declare -A count=()
measure() {
	local what
	detach_volumes
	# A scrub hears of the end of its device a moment later, and lets go.
	wait_for 20 nothing_runs || fail "jobs outlive their devices"
	sleep 0.2
	for what in descriptors threads memory; do
		count[$1-$what]=$(server_count $what)
	done
	note "$1: ${count[$1-descriptors]} descriptors, ${count[$1-threads]} threads, ${count[$1-memory]} KiB"
}

serve_control "$shm/first" sparse
# To reach what it keeps: threads, the ring of events, the records of jobs.
check "the clients disagree in the beginning" storm 3 "$seed" >"$work/out"
measure before
check "the clients disagree, seed $seed" storm $((seconds / 2)) "$seed"
measure midway
check "the clients disagree, seed $((seed + 1))" \
    storm $((seconds - seconds / 2)) $((seed + 1))
measure after
if [ "${count[before-descriptors]}" != "${count[after-descriptors]}" ]; then
	# Which, and are they on their way only?
	sleep 5
	ls -l "/proc/$(server_of "${daemons[$control_mnt]}")/fd"
	fail "descriptors: ${count[after-descriptors]}, not" \
	    "${count[before-descriptors]}, 5 s later $(server_count descriptors)"
fi
# More are started while others are stuck in a slow store, up to a limit.
check "there are ${count[after-threads]} threads" \
    test "${count[after-threads]}" -le $((count[before-threads] + 16))
# A sanitizer's own memory follows what was ever touched, for a while.
slack=8192
! grep -q -e __tsan_init -e __asan_init "$bttfs" || slack=65536
check "it has grown from ${count[midway-memory]} to ${count[after-memory]} KiB" \
    test "${count[after-memory]}" -le \
    $((count[midway-memory] + count[midway-memory] / 8 + slack))
umount_bttfs "$control_mnt"
if grep -E 'WARNING: ThreadSanitizer|ERROR: .*Sanitizer|runtime error|lanes:' \
    "${daemon_logs[$control_mnt]}"; then
	cat "${daemon_logs[$control_mnt]}" >&2
	fail "there is a report"
fi
for ((i = 0; i < 64; i++)); do
	check "vol$i is not clean" is_clean "$shm/images/vol$i"
done
finish
