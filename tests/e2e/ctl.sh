# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# Sourced after functions.sh by the tests of bttctl: running the program, and
# looking at what it said.
#
# shellcheck disable=SC2154 # work, bttctl and loop are of functions.sh

unset POSIXLY_CORRECT
requires cmp flock

# Parts of a test that cannot run here are told, the rest runs.
skip_part() {
	note "skipped: $*"
}

have() {
	command -v "$1" >/dev/null
}

# What the last run said, for who has to find out why.
show() {
	sed 's/^/  out| /' "$work/out" >&2
	sed 's/^/  err| /' "$work/err" >&2
}

# run STATUS ARGUMENT...: bttctl must end with that status.
ran=
run() {
	local want=$1 status
	shift
	ran="bttctl $*"
	"$bttctl" "$@" >"$work/out" 2>"$work/err"
	status=$?
	if [ "$status" -eq "$want" ]; then
		ok
	else
		fail "$ran: status $status, not $want"
		show
	fi
}

# said FILE PATTERN: the last run's out or err has a line like that.
said() {
	if grep -Eq -- "$2" "$work/$1"; then
		ok
	else
		fail "$ran: std$1 lacks '$2'"
		show
	fi
}

# silent FILE...: the last run wrote nothing there.
silent() {
	local name
	for name; do
		if [ -s "$work/$name" ]; then
			fail "$ran: std$name is not empty"
			show
		else
			ok
		fi
	done
}

# json EXPRESSION: a Python expression over data, the last run's output.
json() {
	python3 -c '
import json, sys
data = json.load(open(sys.argv[1]))
print(eval(sys.argv[2]))' "$work/out" "$1" 2>&1
}

# has_shape: what the last run, a check, printed is what its schema says.
has_shape() {
	check "$ran: not of the schema" "$support/json_schema.py" \
	    "$top/tests/e2e/check.schema.json" "$work/out"
}

# mount_image TYPE DIRECTORY BYTES MKFS...: a file system in a file on a loop
# device, or false where that is impossible.
mount_image() {
	local type=$1 directory=$2 bytes=$3
	shift 3
	[ "$(id -u)" -eq 0 ] && [ -c /dev/loop-control ] && have losetup &&
	    have "$1" || return 1
	truncate -s "$bytes" "$directory.fs"
	"$@" "$directory.fs" >/dev/null 2>&1 || die "$1 failed"
	mkloop "$directory.fs"
	mkdir -p "$directory"
	# A kernel need not know the type.
	mount -t "$type" "$loop" "$directory" 2>/dev/null || return 1
	defer umount "$directory"
}
