#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Bad blocks of a device that is in use: planting them, what its users get, what
# a monitor is told, clearing them; scrubs that find what is damaged, are paced,
# stopped, and go on in the next server.

time_limit=180
. "$(dirname "$0")/functions.sh"
. "$(dirname "$0")/control.sh"
requires root fuse programs python3

mkdev "$work/disk0" 20M 4096
mkdev "$work/disk1" 64M 4096
file=$control_mnt/disk0

# offset_of FIELD: of disk1's only arena, on the backing store.
offset_of() {
	"$bttctl" read-infoblock --json --copy 1 "$work/disk1" |
	    python3 -c '
import json, sys
print(4096 + int(json.load(sys.stdin)[0][sys.argv[1]]))' "$1"
}

# sector NAME N: its first byte in decimal, or "EIO".
sector() {
	python3 -c '
import errno, os, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
try:
    print(os.pread(fd, 4096, int(sys.argv[2]) * 4096)[0])
except OSError as error:
    print(errno.errorcode[error.errno])' "$control_mnt/$1" "$2"
}

test_users() {
	check "what users and monitors see is not what was done" \
	    timeout 100 python3 "$support/bad_blocks.py" "$control" disk0 "$file"
}

test_commands() {
	same "inject" 0 "$(status_of ctl inject-error -B 3 disk0)"
	said "inject" "disk0: injected"
	same "sector 2" 3 "$(sector disk0 2)"
	same "sector 3" EIO "$(sector disk0 3)"
	# What dd gives ends just before it.
	dd if="$file" of="$work/dd" bs=4096 status=none 2>"$work/dd.err" &&
	    fail "dd reads over a bad sector"
	same "what dd could read" 12288 "$(stat -c %s "$work/dd")"
	check "dd does not say why" grep -q "Input/output error" "$work/dd.err"
	ctl inject-error -q -N -B 4 disk0
	same "status" 0 "$(status_of ctl inject-error -t disk0)"
	said "status" "8 blocks of 512 bytes from [0-9]+, data$"
	said "status" "8 blocks of 512 bytes from [0-9]+, data, not noticed"
	same "list" 0 "$(status_of ctl list -M disk0)"
	said "list" "bad: 8 blocks of 512 bytes from"
	ctl list -M --json disk0 | conforms "list" devices
	ctl inject-error -t --json disk0 | conforms "status" injected
	ctl inject-error -d --json -B 4 disk0 | conforms "uninject" attach
	ctl inject-error -q -N -B 4 disk0
	same "clear" 0 "$(status_of ctl clear-errors -s disk0)"
	said "clear" "disk0: 2 sectors lost, zeroes now, the first 3; 0 bad blocks left"
	same "sector 3" 0 "$(sector disk0 3)"
	ctl clear-errors --json disk0 | conforms "clear" attach
	ctl start-scrub --json --wait disk0 | conforms "scrub" attach
	ctl wait-scrub --json disk0 | conforms "wait" attach
	same "clear of one that is good" 0 "$(status_of ctl clear-errors all)"
	said "clear" "disk0: nothing lost; 0 bad blocks left"

	ctl inject-error -q -B 12 -n 3 disk0
	same "clear of a range" 0 "$(status_of ctl clear-errors -B 13 -n 1 disk0)"
	said "clear of a range" "sector 13 lost.* 16 bad blocks left"
	same "uninject of one" 0 "$(status_of ctl inject-error -d -B 12 disk0)"
	same "sector 12" 13 "$(sector disk0 12)"
	same "uninject of all" 0 "$(status_of ctl inject-error -d disk0)"
	same "sector 14" 15 "$(sector disk0 14)"
	same "no sector" 222 "$(status_of ctl inject-error -B 1T disk0)"
	same "no block" 129 "$(status_of ctl inject-error disk0)"
	same "raw and area" 129 \
	    "$(status_of ctl inject-error --raw -a log -B 1 disk0)"
	same "no device" 237 "$(status_of ctl inject-error -B 1 none)"
	same "no device to clear" 237 "$(status_of ctl clear-errors none)"
}

test_scrub() {
	local job
	ctl attach -q -o sparse "$work/disk1" || die "attach failed"
	same "wait for none" 0 "$(status_of ctl wait-scrub disk1)"
	said "wait for none" "disk1: has not been scrubbed"
	same "scrub" 0 "$(status_of ctl start-scrub --wait --rate 1T all)"
	said "scrub" "disk0: .* read, 0 sectors unreadable, 0 new bad blocks, 0 findings"
	said "scrub" "disk1: .* read, 0 sectors unreadable, 0 new bad blocks, 0 findings"

	# 8 MiB at 1 MiB a second: it goes on for as long as it is looked at.
	same "start" 0 "$(status_of ctl start-scrub --rate 1M --range 0+2048 disk1)"
	said "start" "disk1: job [0-9]+"
	job=$(sed -n 's/.*job //p' "$work/out")
	same "start of a second" 240 "$(status_of ctl start-scrub disk1)"
	said "who is in the way" "being scrubbed already; see job $job, scrub of disk1"
	same "a wait that is too short" 146 "$(status_of ctl wait-scrub -t 1 disk1)"
	ctl jobs --json | conforms "jobs" jobs
	same "progress" 0 "$(status_of ctl jobs)"
	said "progress" "$job +scrub +running .*disk1: [a-z]+ [0-9]+ %"
	same "settle, which does not wait for it" 0 "$(status_of ctl settle -t 5)"
	same "the rest" 0 "$(status_of ctl wait-scrub)"
	said "the rest" "disk1: .* read, 0 sectors unreadable"
	check "it was too fast" python3 -c '
import json, sys
job, = (j for j in json.load(sys.stdin) if j["job"] == int(sys.argv[1]))
sys.exit(not 7 < job["age"] < 90)' "$job" < <(ctl jobs --json)

	job=$(ctl start-scrub --rate 64K disk1)
	job=${job##* }
	same "cancel" 0 "$(status_of ctl cancel "$job")"
	same "jobs" 0 "$(status_of ctl jobs)"
	said "jobs" "$job +scrub +cancelled .*stopped before sector [0-9]+"
	same "a rate that is too low" 234 \
	    "$(status_of ctl start-scrub --rate 1 disk1)"
	same "a range that is none" 129 \
	    "$(status_of ctl start-scrub --range 1+0 disk1)"
	same "a range beyond the end" 222 \
	    "$(status_of ctl start-scrub --range 1G disk1)"

	# A detach ends it.
	ctl start-scrub -q --rate 64K disk1
	same "detach" 0 "$(status_of ctl detach disk1)"
	wait_for 10 scrub_has_ended || fail "the scrub outlives its device"
}

# Until it hears of a job of no account.
monitor_listens() {
	ctl inject-error -q -d disk1
	grep -q "disk1 .*verb inject-error" "$work/monitor"
}
scrub_has_ended() {
	ctl jobs |
	    grep -Eq 'scrub +cancelled .*disk1.*ended by a detach before sector'
}

# Damage behind the daemon's back, in each part: each is found and told.
test_damage() {
	local log map info2
	log=$(offset_of logoff)
	map=$(offset_of mapoff)
	info2=$(offset_of info2off)
	# What is known to be bad when it is attached (CP-7).
	same "attach with a bad log" 251 "$(status_of ctl attach -o sparse \
	    --test "{\"test_bad_off\":$log,\"test_bad_len\":512}" "$work/disk1")"
	same "attach with a bad map" 251 "$(status_of ctl attach -o sparse \
	    --test "{\"test_bad_off\":$map,\"test_bad_len\":512}" "$work/disk1")"
	same "attach with a bad info block" 0 "$(status_of ctl attach -o sparse \
	    --test '{"test_bad_off":4096,"test_bad_len":4096}' "$work/disk1")"
	same "which is restored" 0 "$(status_of ctl clear-errors disk1)"
	said "which is restored" "nothing lost; 0 bad blocks left"
	ctl detach -q disk1
	ctl attach -q -o sparse "$work/disk1" || die "attach failed"
	background "$work/monitor" "$bttctl" monitor --socket "$control"
	wait_for 10 monitor_listens || die "the monitor hears nothing"
	printf '\377\377\377\377' | dd of="$work/disk1" bs=1 conv=notrunc \
	    seek=$((map + 4 * 700)) status=none
	printf '\377' | dd of="$work/disk1" bs=1 conv=notrunc \
	    seek=$((log + 64 * 7 + 12)) status=none
	printf '\377' | dd of="$work/disk1" bs=1 conv=notrunc \
	    seek=$((info2 + 200)) status=none
	ctl inject-error -q -N -B 9 disk1
	ctl inject-error -q -N -a map -B 1000 disk1
	same "scrub" 0 "$(status_of ctl start-scrub --wait --rate 1T disk1)"
	# Sector 700, sector 9, and the 128 of the map's unit.
	said "scrub" "130 sectors unreadable, 9 new bad blocks, 4 findings in metadata"
	for finding in map-range:map log-seq:log info2:info bad-range:map; do
		wait_for 10 grep -q \
		    "disk1 .*arena-error, finding ${finding%:*}, area ${finding#*:}, " \
		    "$work/monitor" || {
			cat "$work/monitor" >&2
			fail "no event tells of $finding"
		}
		check "the log has no $finding" \
		    grep -q "disk1: scrub: ${finding%:*}:" "${daemon_logs[$control_mnt]}"
	done
	kill_child "$child"
	ctl inject-error -q -d disk1
	ctl detach -q disk1
}

# The file stays when the server crashes: so does what is planted in it, and a
# scrub goes on.
test_crash() {
	local server
	ctl inject-error -q -B 20 disk0
	ctl inject-error -q -N -B 4700 disk0
	ctl start-scrub -q --rate 2M disk0
	wait_for 20 scrub_is_in_data || die "the scrub does not come to the data"
	server=$(server_of "${daemons[$control_mnt]}")
	kill -KILL "$server"
	wait_for 30 is_served || die "no server came back"
	same "status" 0 "$(status_of ctl inject-error -t disk0)"
	said "status" "8 blocks of 512 bytes from [0-9]+, data$"
	said "status" "8 blocks of 512 bytes from [0-9]+, data, not noticed"
	same "sector 20" EIO "$(sector disk0 20)"
	same "jobs" 0 "$(status_of ctl jobs)"
	said "jobs" "scrub +running .*disk0"
	# Not from the beginning.
	same "the rest" 0 "$(status_of ctl wait-scrub disk0)"
	check "it began anew" python3 -c '
import json, sys
job, = (j for j in json.load(sys.stdin) if j["verb"] == "scrub")
sys.exit(not 0 < job["result"]["sectors"] < 4800)' < <(ctl jobs --json)
	same "clear" 0 "$(status_of ctl clear-errors -s disk0)"
}
scrub_is_in_data() {
	ctl jobs | grep -Eq 'scrub +running .*disk0: data ([2-9]|[1-9][0-9]) %'
}
is_served() {
	ctl list --names 2>/dev/null | grep -q disk0
}

test_not_asked_for() {
	local socket=$work/plain.sock
	mount_bttfs "$work/disk2" "$work/plain" "socket=$socket"
	wait_for 30 test -S "$socket" || die "there is no socket"
	same "inject without 'inject'" 255 \
	    "$(status_of "$bttctl" inject-error --socket "$socket" -B 1 disk2)"
	same "clear without it" 0 \
	    "$(status_of "$bttctl" clear-errors --socket "$socket" disk2)"
	umount_bttfs "$work/plain"
}

mkdev "$work/disk2" 20M 4096
serve_control "$work/disk0"
test_users
test_commands
test_scrub
test_damage
test_crash
test_not_asked_for
umount_bttfs "$control_mnt"
check "disk0 is not clean" is_clean "$work/disk0"
finish
