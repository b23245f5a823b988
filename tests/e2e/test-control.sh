#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Devices attached to and detached from a running daemon: what people are told,
# with which exit status (T-D4), that JSON is as its schema says (T-D3), and
# what becomes of those who use a file while its device goes.

time_limit=280
. "$(dirname "$0")/functions.sh"
. "$(dirname "$0")/control.sh"
requires root fuse programs python3

for i in 0 1 2 3; do
	mkdev "$work/disk$i" 20M 4096
	printf 'disk %d' "$i" >"$work/mark$i"
done

test_come_and_go() {
	same "attach of two" 0 "$(status_of ctl attach "$work/disk1" "$work/disk2")"
	said "attach" "disk1: attached, .* in sectors of 4096 bytes, read-write: $control_mnt/disk1"
	for i in 0 1 2; do
		check "disk$i is not there" test -f "$control_mnt/disk$i"
		dd if="$work/mark$i" of="$control_mnt/disk$i" conv=notrunc,fsync \
		    status=none || fail "disk$i cannot be written"
	done
	for i in 0 1 2; do
		check "disk$i has lost what was written" \
		    cmp -n 6 "$work/mark$i" "$control_mnt/disk$i"
	done
	same "names" "disk0 disk1 disk2" "$(ctl list --names | xargs)"
	same "what the directory has" "disk0 disk1 disk2" \
	    "$(cd "$control_mnt" && echo *)"

	# Another image under the old name is another file, at once.
	same "detach" 0 "$(status_of ctl detach disk1)"
	said "detach" "disk1: detached"
	check "disk1 is still there" test ! -e "$control_mnt/disk1"
	check "the image is still locked" is_clean "$work/disk1"
	same "attach under an old name" 0 \
	    "$(status_of ctl enable -n disk1 -o mode=640 "$work/disk3")"
	check "what is read is another disk's" \
	    cmp -n 6 "$control_mnt/disk1" /dev/zero
	same "its mode" 640 "$(stat -c %a "$control_mnt/disk1")"
	same "disable" 0 "$(status_of ctl disable disk1)"
	for ((i = 0; i < 30; i++)); do
		check "attach of round $i" ctl attach -q "$work/disk1"
		check "the file of round $i is not right" \
		    cmp -n 6 "$work/mark1" "$control_mnt/disk1"
		check "detach of round $i" ctl detach -q disk1
	done
	same "detach of the last" 0 "$(status_of ctl detach disk2)"
}

test_in_the_way() {
	local job
	ctl attach -q "$work/disk1" || die "attach failed"
	same "a name that is taken" 239 \
	    "$(status_of ctl attach -n disk1 "$work/disk2")"
	said "a name that is taken" "named 'disk1' already \(live\); see job [0-9]+, attach of disk1"
	same "a backing store that is taken" 240 \
	    "$(status_of ctl attach -n other "$work/disk1")"
	said "a backing store" "the device 'disk1' \(live\) \(stage claim\); see job"
	cp "$work/disk1" "$work/copy"
	same "a UUID that is taken" 239 "$(status_of ctl attach "$work/copy")"
	said "a UUID" "its UUID is that of the device 'disk1'"
	same "what is left of the tries" "disk0 disk1" "$(ctl list --names | xargs)"
	same "the same again, if need be" 0 \
	    "$(status_of ctl attach --idempotent "$work/disk1")"
	same "another under its name" 239 \
	    "$(status_of ctl attach --idempotent -n disk1 "$work/disk2")"

	# While it is being attached the name is taken as well.
	job=$(ctl attach --no-wait --test \
	    '{"test_stage":"recover","test_delay_ms":60000}' "$work/disk2")
	same "what it says" disk2: "${job%% *}"
	job=${job##* }
	same "its state" probing "$(state_of disk2)"
	same "a name that is being attached" 239 \
	    "$(status_of ctl attach "$work/disk2")"
	said "who is in the way" "disk2' already \(probing\); see job $job,"
	same "a wait that is too long" 146 "$(status_of ctl settle -t 1)"
	same "cancel" 0 "$(status_of ctl cancel "$job")"
	same "cancel of what has ended" 142 "$(status_of ctl cancel "$job")"
	check "the image is still locked" is_clean "$work/disk2"
	ctl detach -q disk1
}

test_failed() {
	head -c 20M /dev/zero >"$work/zero"
	same "no BTT" 132 "$(status_of ctl attach "$work/zero")"
	said "no BTT" "zero: .*\(stage identify\)"
	same "its state" failed "$(state_of zero)"
	check "it is shown" test ! -e "$control_mnt/zero"
	same "two of which one fails" 132 \
	    "$(status_of ctl attach "$work/zero" "$work/disk1")"
	same "the other one" live "$(state_of disk1)"
	same "nothing there" 254 "$(status_of ctl attach "$work/none")"
	same "an unknown option" 234 \
	    "$(status_of ctl attach -o frob "$work/disk2")"
	same "no such device" 237 "$(status_of ctl detach none)"
	same "no such device, if need be" 0 \
	    "$(status_of ctl detach --idempotent none)"
	same "list of no such device" 237 "$(status_of ctl list none)"
	same "cancel of no job" 254 "$(status_of ctl cancel 99999)"
	same "cancel of no number" 129 "$(status_of ctl cancel x)"
	same "no operand" 129 "$(status_of ctl attach)"
	same "nobody listens" 254 \
	    "$(status_of "$bttctl" list --socket "$work/none")"
	same "a link in the path" 0 "$(
		ln -sf disk2 "$work/link"
		status_of ctl attach "$work/link"
	)"
	same "whose name is the file's" "disk0 disk1 disk2 zero" \
	    "$(ctl list --names | sort | xargs)"
	ctl detach -q zero disk1 disk2
}

# A handle that was there before gets ENODEV, whatever it does.
test_open() {
	local holder
	ctl attach -q "$work/disk1" || die "attach failed"
	background "$work/holder" python3 -c '
import mmap, os, sys, time
fd = os.open(sys.argv[1], os.O_RDWR)
memory = mmap.mmap(fd, 4096)
first = bytes(memory[:6])
print("open", first, flush=True)
while not os.path.exists(sys.argv[2]):
    time.sleep(0.05)
def gives(what, call):
    try:
        call()
    except OSError as error:
        print(what, error.errno, flush=True)
    else:
        print(what, "works", flush=True)
gives("read", lambda: os.pread(fd, 4096, 0))
gives("write", lambda: os.pwrite(fd, first, 0))
gives("fsync", lambda: os.fsync(fd))
gives("allocate", lambda: os.posix_fallocate(fd, 0, 4096))
' "$control_mnt/disk1" "$work/go"
	holder=$child
	wait_for 30 grep -q '^open' "$work/holder" || die "it is not opened"
	same "detach of what is open" 240 "$(status_of ctl detach disk1)"
	said "how many have it open" "1 open handle"
	same "it stays" live "$(state_of disk1)"
	same "by force" 0 "$(status_of ctl detach -f disk1)"
	check "the image is still locked" is_clean "$work/disk1"
	# The name is free though the handle is there.
	same "attach again" 0 "$(status_of ctl attach "$work/disk1")"
	: >"$work/go"
	end_of 30 "$holder"
	same "what the old handle gives" \
	    "read 19 write 19 fsync 19 allocate 19" \
	    "$(grep -v ^open "$work/holder" | xargs)"
	check "the new file is not right" cmp -n 6 "$work/mark1" \
	    "$control_mnt/disk1"
	# Who has just closed it need not wait for us to hear of it.
	for ((i = 0; i < 30; i++)); do
		cat "$control_mnt/disk1" >/dev/null
		check "detach right after close $i" ctl detach -q disk1
		check "attach $i" ctl attach -q "$work/disk1"
	done
	ctl detach -q disk1
}

test_json() {
	ctl attach -q "$work/disk1" "$work/disk2" || die "attach failed"
	ctl attach -q "$work/zero" 2>/dev/null
	ctl list -j | conforms list devices
	ctl list -j -AM | conforms "list -AM" devices
	ctl list -j disk1 | python3 -c '
import json, sys
json.dump(json.load(sys.stdin)[0], sys.stdout)' | conforms disk1 device_live
	ctl stats -j | conforms stats stats
	ctl jobs -j | conforms jobs jobs
	ctl attach -j "$work/disk3" "$work/zero" 2>/dev/null |
	    conforms "attach" attach
	ctl detach -j disk3 zero none 2>/dev/null | conforms detach attach
	same "keys with and without -u" \
	    "$(ctl list -j | grep -o '^ *"[a-z_]*":' | xargs)" \
	    "$(ctl list -j -u | grep -o '^ *"[a-z_]*":' | xargs)"
	same "an empty list" '[]' "$(ctl list -j -s draining | xargs)"
	same "list by state" "disk0 disk1 disk2" \
	    "$(ctl list --names -s live | xargs)"
	same "list by names" "disk0 disk2" "$(ctl list --names -n disk0,disk2,x | xargs)"
	same "list by no name" '[]' "$(ctl list -j -n x | xargs)"
	same "list of a name that is none" 237 "$(status_of ctl list x)"
	same "list by mode" "disk0 disk1 disk2" "$(ctl list --names -m sector | xargs)"
	same "list by another mode" '' "$(ctl list -N --names -m fsdax)"
	same "arenas with -v" 0 "$(ctl list -v disk1 | grep -c 'arena 0')"
	same "arenas with -vv" 1 "$(ctl list -vv disk1 | grep -c 'arena 0')"
	check "badblocks with -vvv" grep -q '"badblocks"' \
	    <(ctl list -vvv -j disk1)
	check "list -J" ctl list -J -j >"$work/json"
	conforms "list -J" jobs <"$work/json"
	same "list by UUID" disk2 "$(ctl list --names -U "$(ctl list -v disk2 |
	    sed -n 's/^ *uuid *//p')")"
	ctl detach -q disk1 disk2
}

# What a BTT was is none afterwards, by name or by path; never by mistake.
test_destroy() {
	mkdev "$work/doomed" 20M 4096
	ctl attach -q "$work/doomed" || die "attach failed"
	same "without being asked" 131 \
	    "$(status_of ctl destroy doomed </dev/null)"
	said "without being asked" "doomed: destroys what is stored there; say --yes"
	same "by a path that is in use" 240 \
	    "$(status_of ctl destroy -y "$work/doomed")"
	exec 9<"$control_mnt/doomed"
	same "while it is open" 240 "$(status_of ctl destroy -y doomed)"
	said "while it is open" "in use: 1 open handle"
	exec 9<&-
	same "what there is not" 237 "$(status_of ctl destroy -y nothing)"
	if command -v script >/dev/null; then
		same "no" 131 "$(status_of script -qec \
		    "$bttctl destroy --socket $control doomed" /dev/null <<<n)"
		said "the question" "doomed, which is $work/doomed, 1.*iB, uuid .*\[y/N\]"
	fi
	same "its state" live "$(state_of doomed)"
	check "destroy -y -j" ctl destroy -y -j doomed >"$work/json"
	conforms "destroy" destroy <"$work/json"
	same "what is left" '' "$(state_of doomed)"
	same "check of what it was" 8 "$(status_of "$bttctl" check "$work/doomed")"
	same "destroy of what it was" 132 \
	    "$(status_of "$bttctl" destroy -y "$work/doomed")"

	mkdev "$work/doomed2" 20M 512
	same "by its path" 0 "$(status_of "$bttctl" destroy -y "$work/doomed2")"
	said "by its path" "doomed2: destroyed"
	same "info of what it was" 132 "$(status_of "$bttctl" info "$work/doomed2")"
}

# T-D5 in small: the events of what was done, in order, and no other.
test_monitor() {
	local monitor
	background "$work/events" "$bttctl" monitor --socket "$control" -j \
	    --count 4 -n disk1 -e namespace-attached,namespace-detached,namespace-failed
	monitor=$child
	background "$work/all" "$bttctl" monitor --socket "$control" -j \
	    --snapshot
	wait_for 30 test -s "$work/all" || die "there is no snapshot"
	for i in 1 2; do
		ctl attach -q "$work/disk1" "$work/disk2"
		ctl detach -q disk1 disk2
	done
	end_of 30 "$monitor"
	same "monitor's status" 0 "$child_status"
	same "events" "attached detached attached detached" \
	    "$(grep -o '"namespace-[a-z]*":true' "$work/events" |
	    sed 's/.*-\(.*\)":true/\1/' | xargs)"
	check "events are not as their schema has them" python3 -c '
import json, sys
sys.path.insert(0, sys.argv[1])
import control
lines = [json.loads(line) for line in open(sys.argv[2])]
control.check(lines[0]["snapshot"], "devices")
wanted = lines[0]["seq"]
for event in lines[1:]:
    control.check(event, "event")
    if event["seq"] != wanted:
        sys.exit("%d, not %d" % (event["seq"], wanted))
    wanted += 1' "$support" "$work/all"
}

# The server dies: the next one has all devices, and listens again.
test_crash() {
	local before
	ctl attach -q -n other "$work/disk1" || die "attach failed"
	exec 9<"$control_mnt/other"
	before=$(server_of "${daemons[$control_mnt]}")
	kill -KILL "$before"
	check "the file is gone after a crash" cmp -n 6 "$work/mark1" \
	    "$control_mnt/other"
	wait_for 30 ctl list --names >/dev/null 2>&1
	same "devices after a crash" "disk0 other" "$(ctl list --names | sort | xargs)"
	check "the handle is dead" cmp -n 6 "$work/mark1" /dev/fd/9
	same "detach of what was open before the crash" 240 \
	    "$(status_of ctl detach other)"
	exec 9<&-
	same "detach after a crash" 0 "$(status_of ctl detach other)"
	same "attach after a crash" 0 "$(status_of ctl attach "$work/disk2")"
	same "detach all" 0 "$(status_of ctl detach all)"
	same "what is left" '' "$(ctl list --names)"
	same "detach all of nothing" 0 "$(status_of ctl detach all)"
	same "an empty list" '[]' "$(ctl list -j | xargs)"
}

serve_control "$work/disk0"
test_come_and_go
test_in_the_way
test_failed
test_open
test_json
test_destroy
test_monitor
test_crash
umount_bttfs "$control_mnt"
check "the socket is left behind" test ! -e "$control"
for i in 0 1 2 3; do
	check "disk$i is not clean" is_clean "$work/disk$i"
done
finish
