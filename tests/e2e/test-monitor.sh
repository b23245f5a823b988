#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# usage: test-monitor.sh [-b BUILD-DIRECTORY] [CHANGES [SEED]]
#
# What monitors are told: T-D5, and the filters of ndctl's monitor test, by
# option and by configuration file (control-plane.md D).  No sleeps: the end is
# an event that every monitor wants.

time_limit=280
. "$(dirname "$0")/functions.sh"
. "$(dirname "$0")/control.sh"
requires root fuse programs python3
make_shm

changes=${1-1000}
seed=${2-$RANDOM}
mkdir "$shm/images"
for i in first images/vol{0..7} images/extra; do
	mkdev "$shm/$i" 17M 4096 --sparse
done
head -c 17M /dev/zero >"$shm/broken"

test_model() {
	check "a monitor was told what is not, seed $seed" \
	    python3 "$support/monitor_model.py" "$control" "$shm/images" \
	    "$changes" "$seed"
	ctl detach -q -f all
	ctl attach -q -o sparse "$shm/first"
}

# The words of one monitor each, which ends when it has seen what it waits for.
monitors=()
# begin NAME ARGUMENT...: start a monitor whose lines go to $work/NAME.
begin() {
	local name=$1
	shift
	background "$work/$name" "$bttctl" monitor --socket "$control" -j \
	    --snapshot "$@"
	monitors+=("$child")
	wait_for 30 test -s "$work/$name" || die "monitor $name does not begin"
}
# seen NAME KEY: the set of devices, or of events, in its lines.
seen() {
	python3 -c '
import json, sys
found = set()
for line in open(sys.argv[1]):
    event = json.loads(line)
    if "event" not in event:
        continue
    found |= set(event["event"]) if sys.argv[2] == "event" else \
        {event.get("namespace", {}).get("dev", "-")}
print(*sorted(found))' "$work/$1" "$2"
}
# has_seen NAME DEVICE: an end of it.
has_seen() {
	grep -q "\"namespace-detached\":true.*\"dev\":\"$2\"" "$work/$1"
}

test_filters() {
	local all
	cat >"$work/core.conf" <<-END
	[core]
	namespace = vol1
	END
	cat >"$work/both.conf" <<-END
	# As ndctl has them; [monitor] counts.
	[core]
	namespace = vol1
	[monitor]
	namespace = vol0 vol2
	event = namespace-attached namespace-detached
	log = $work/both.log
	END
	begin all
	begin one -n vol0
	begin two -n vol0,vol2
	begin everything -n all -e all
	begin event -e namespace-failed
	begin one-event -n vol1 -e namespace-attached,namespace-detached
	begin by-core -c "$work/core.conf"
	begin replaced -c "$work/both.conf" -n vol1 -l standard
	# Its snapshot goes to the log as well.
	background "$work/both" "$bttctl" monitor --socket "$control" -j \
	    --snapshot -c "$work/both.conf"
	monitors+=("$child")
	wait_for 30 test -s "$work/both.log" || die "there is no log"
	# UI-10: with nothing to watch it goes on, since there may be something.
	begin nothing -n none

	ctl attach -q -o sparse "$shm"/images/vol[0-2]
	ctl attach -q -o sparse "$shm/broken" 2>/dev/null
	ctl detach -q vol2 vol1 vol0
	ctl attach -q -n none -o sparse "$shm/images/vol3"
	ctl detach -q none
	for all in all everything; do
		wait_for 30 has_seen $all none || fail "$all has no end"
	done
	wait_for 30 has_seen one vol0 || fail "one has no end"
	wait_for 30 has_seen two vol0 || fail "two has no end"
	wait_for 30 has_seen one-event vol1 || fail "one-event has no end"
	wait_for 30 has_seen by-core vol1 || fail "by-core has no end"
	wait_for 30 has_seen replaced vol1 || fail "replaced has no end"
	wait_for 30 has_seen both.log vol0 || fail "both has no end"
	wait_for 30 has_seen nothing none || fail "nothing has no end"

	same "devices of all" "broken none vol0 vol1 vol2" "$(seen all dev)"
	same "devices with -n all" "broken none vol0 vol1 vol2" \
	    "$(seen everything dev)"
	same "devices of one" vol0 "$(seen one dev)"
	same "devices of two" "vol0 vol2" "$(seen two dev)"
	same "devices of what failed" broken "$(seen event dev)"
	same "events of what failed" namespace-failed "$(seen event event)"
	same "devices of both filters" vol1 "$(seen one-event dev)"
	same "events of both filters" \
	    "namespace-attached namespace-detached" "$(seen one-event event)"
	same "devices by [core]" vol1 "$(seen by-core dev)"
	same "devices by [monitor]" "vol0 vol2" "$(seen both.log dev)"
	same "events by [monitor]" "namespace-attached namespace-detached" \
	    "$(seen both.log event)"
	same "an option replaces the file" vol1 "$(seen replaced dev)"
	same "what comes later" none "$(seen nothing dev)"
	check "the log goes to standard output, too" test ! -s "$work/both"
	for all in "${monitors[@]}"; do
		check "a monitor has ended" is_running "$all"
		kill_child "$all"
	done
}

test_configuration() {
	printf '[core]\nnamespace = a\n[monitor]\nevnet = b\n' >"$work/bad.conf"
	same "a key that is none" 234 \
	    "$(status_of ctl monitor -c "$work/bad.conf")"
	said "a key that is none" "bad.conf:4: \[monitor\] has no key 'evnet'"
	printf '[ndctl]\nnamespace = a\n' >"$work/bad.conf"
	same "a section that is none" 234 \
	    "$(status_of ctl monitor -c "$work/bad.conf")"
	said "a section that is none" "bad.conf:1: the sections are"
	same "no file" 254 "$(status_of ctl monitor -c "$work/none.conf")"
	same "a log that cannot be" 254 \
	    "$(status_of ctl monitor -l "$work/none/log")"
}

serve_control "$shm/first" sparse
test_model
test_filters
test_configuration
umount_bttfs "$control_mnt"
for i in 0 1 2 3; do
	check "vol$i is not clean" is_clean "$shm/images/vol$i"
done
finish
