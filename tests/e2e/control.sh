# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# shellcheck disable=SC2154 # functions.sh sets them
#
# Sourced after functions.sh by the tests of the control socket.

# The end of a pipe counts what held and what did not: in this shell, then.
shopt -s lastpipe

control=$work/control.sock
control_mnt=$work/mnt

# serve_control IMAGE [OPTIONS]: a daemon that can be told.
serve_control() {
	mount_bttfs "$1" "$control_mnt" "socket=$control,inject${2:+,$2}"
	wait_for 30 test -S "$control" || die "there is no socket"
}

ctl() {
	"$bttctl" "$1" --socket "$control" "${@:2}"
}

# status_of COMMAND...: its exit status, its words in $work/out.
status_of() {
	"$@" >"$work/out" 2>&1
	echo $?
}

# said TEXT PATTERN: in the words of the last status_of.
said() {
	if grep -Eq -e "$2" "$work/out"; then
		ok
	else
		cat "$work/out" >&2
		fail "$1: '$2' is not said"
	fi
}

# conforms WHAT SCHEMA: standard input, one document, is as tests/schema says.
conforms() {
	check "$1 is not as its schema has it" python3 -c '
import json, sys
sys.path.insert(0, sys.argv[1])
import control
control.check(json.load(sys.stdin), sys.argv[2])' "$support" "$2"
}

# state_of NAME
state_of() {
	ctl list --json "$1" 2>/dev/null |
	    sed -n 's/.*"state": "\(.*\)",.*/\1/p' | head -n 1
}
