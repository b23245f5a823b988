#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What bttctl stats says is what was done, request by request, in JSON, for
# people and for Prometheus.

time_limit=100
. "$(dirname "$0")/functions.sh"
requires root fuse programs dd python3
make_shm

mnt=$work/mnt
socket=$shm/socket
image=$shm/vol

# value PYTHON-EXPRESSION: of the first device's counters.
value() {
	"$bttctl" stats --socket "$socket" --json |
	    python3 -c "import json, sys; s = json.load(sys.stdin)[0]; print($1)"
}

# count KIND REQUESTS BYTES ERRORS
count() {
	same "$1" "$2 $3 $4" \
	    "$(value "s['$1']['requests'], s['$1']['bytes'], s['$1']['errors']")"
}

mkdev "$image" 32M 4096
mount_bttfs "$image" "$mnt" "granularity=page,socket=$socket"
for kind in read write flush zero; do
	count "$kind" 0 0 0
done

dd if=/dev/zero of="$file" bs=64k count=30 oflag=direct conv=notrunc status=none
count write 30 1966080 0
same "sectors written" 480 "$(value "s['sectors_written']")"
dd if="$file" of=/dev/null bs=16k count=20 iflag=direct status=none
count read 20 327680 0
sync "$file"
count flush 1 0 0
check "a group was committed" \
    test "$(value "s['group_time']['commits'] >= 1")" = True
same "its sectors" 480 \
    "$(value "round(s['group_size']['sectors']['mean'] * s['group_size']['commits'])")"
fallocate -p -o 0 -l 8192 "$file"
count zero 1 8192 0
# Not a multiple of what a disk asks for.
dd if="$file" of=/dev/null bs=1000 count=1 iflag=direct status=none 2>/dev/null &&
    fail "a misaligned read succeeds"
count read 21 327680 1

for key in mean p50 p99 p999 max; do
	check "latency $key of writes" test \
	    "$(value "0 < s['write']['latency_us']['$key'] < 60e6")" = True
done
check "quantiles rise" test \
    "$(value "(lambda l: l['p50'] <= l['p99'] <= l['p999'] <= l['max'])(s['write']['latency_us'])")" = True

"$bttctl" stats --socket "$socket" >"$work/table"
check "the table has the writes" \
    grep -qE '^ +write +30 +1\.87 MiB +0 +[0-9]' "$work/table"
"$bttctl" stats --socket "$socket" --prometheus vol >"$work/prometheus"
check "Prometheus has the writes" grep -qFx \
    'bttfs_request_duration_seconds_count{device="vol",kind="write"} 30' \
    "$work/prometheus"
check "all of them are in its last bucket" grep -qFx \
    'bttfs_request_duration_seconds_bucket{device="vol",kind="write",le="+Inf"} 30' \
    "$work/prometheus"
expect_error "no device named 'nobody'" \
    "$bttctl" stats --socket "$socket" nobody
umount_bttfs "$mnt"
finish
