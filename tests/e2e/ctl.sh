# SPDX-License-Identifier: BSD-3-Clause
# Sourced by the tests of bttctl: a directory that goes away, running the
# program, counting what held and what did not.
#
# usage: test-X.sh BTTCTL [SOURCE-DIRECTORY]

set -u
export LC_ALL=C
unset POSIXLY_CORRECT

bttctl=${1:?the program to test}
top=${2:-$(cd "$(dirname "$0")/../.." && pwd)}
shared=$top/../shared
work=$(mktemp -d "${TMPDIR:-/tmp}/bttctl-test.XXXXXX") || exit 1
nok=0
nfail=0
nskip=0
mounts=()
loops=()

cleanup() {
	local i
	for ((i = ${#mounts[@]} - 1; i >= 0; i--)); do
		umount "${mounts[i]}"
	done
	for ((i = ${#loops[@]} - 1; i >= 0; i--)); do
		losetup -d "${loops[i]}"
	done
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

ok() {
	nok=$((nok + 1))
}

# fail TEXT: counts, and shows what the last run said.
fail() {
	nfail=$((nfail + 1))
	echo "FAIL: $*" >&2
	sed 's/^/  out| /' "$work/out" >&2
	sed 's/^/  err| /' "$work/err" >&2
}

# skip TEXT: one part cannot be tested here.
skip() {
	nskip=$((nskip + 1))
	echo "skipped: $*"
}

have() {
	command -v "$1" >/dev/null 2>&1
}

# run STATUS ARGUMENT...: bttctl must end with that status.
run() {
	local want=$1 status
	shift
	command_line="bttctl $*"
	"$bttctl" "$@" >"$work/out" 2>"$work/err"
	status=$?
	if [ "$status" -eq "$want" ]; then
		ok
	else
		fail "$command_line: status $status, not $want"
	fi
}

# said FILE PATTERN: the last run's out or err has a line like that.
said() {
	if grep -Eq -- "$2" "$work/$1"; then
		ok
	else
		fail "$command_line: std$1 lacks '$2'"
	fi
}

# silent FILE...: the last run wrote nothing there.
silent() {
	local file
	for file; do
		if [ -s "$work/$file" ]; then
			fail "$command_line: std$file is not empty"
		else
			ok
		fi
	done
}

# same WHAT WANTED FOUND
same() {
	if [ "$2" = "$3" ]; then
		ok
	else
		fail "$1: '$3', not '$2'"
	fi
}

# check TEXT COMMAND...: the command must succeed.
check() {
	local text=$1
	shift
	if "$@"; then
		ok
	else
		fail "$text"
	fi
}

# json EXPRESSION: a Python expression over data, the last run's output.
json() {
	python3 -c '
import json, sys
data = json.load(open(sys.argv[1]))
print(eval(sys.argv[2]))' "$work/out" "$1" 2>&1
}

# mount_image FILE TYPE DIRECTORY MKFS...: a file system in a file, or false.
mount_image() {
	local image=$1 type=$2 directory=$3 loop
	shift 3
	[ "$(id -u)" -eq 0 ] && have losetup && have "$1" || return 1
	"$@" "$image" >/dev/null 2>&1 || return 1
	loop=$(losetup -f --show "$image" 2>/dev/null) || return 1
	loops+=("$loop")
	mkdir -p "$directory"
	mount -t "$type" "$loop" "$directory" 2>/dev/null || return 1
	mounts+=("$directory")
}

finish() {
	echo "$(basename "$0"): $nok ok, $nfail failed, $nskip skipped"
	[ "$nfail" -eq 0 ] && [ "$nok" -gt 0 ]
	exit
}
