# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# Sourced by the end-to-end tests: where the programs are, what is given back
# when the test ends however it ends, counting what held and what did not.
#
# A test sets time_limit (seconds for the whole script), sources this file and
# ends with finish.  It is called as
#
#	test-X.sh [-b BUILD-DIRECTORY] [ARGUMENT...]
#
# and looks at these variables, which ctest sets:
#
#	BTTFS_BIN      where bttfs and bttctl are
#	BTTFS_SUPPORT  where the tests' own programs are
#	BTTFS_SCRATCH  a directory on a disk
#	BTTFS_TIME_LIMIT  seconds, if those are fewer
#
# Exit status: 0 all held, 1 something did not, 77 cannot be run here, 124 out
# of time.

set -u
export LC_ALL=C

# The limit is kept by a process that sends SIGTERM to this one and all that it
# started: so it ends even while it waits for a program that does not.
if [ -z "${e2e_limited-}" ]; then
	export e2e_limited=yes
	if [ "${BTTFS_TIME_LIMIT:-$time_limit}" -lt "${time_limit:?}" ]; then
		time_limit=$BTTFS_TIME_LIMIT
	fi
	exec timeout -k 25 "$time_limit" "$BASH" "$0" "$@"
fi
unset e2e_limited

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
shared=$top/../shared
# shellcheck disable=SC2034 # for those who source this
support=$top/tests/support
if [ "${1-}" = -b ]; then
	BTTFS_BIN=$(realpath "$2")/daemon
	BTTFS_SUPPORT=$(realpath "$2")/tests
	shift 2
fi
: "${BTTFS_BIN:=$top/build/release/daemon}"
: "${BTTFS_SUPPORT:=$top/build/release/tests}"
export BTTFS_BIN BTTFS_SUPPORT
bttfs=$BTTFS_BIN/bttfs
bttctl=$BTTFS_BIN/bttctl
test_name=$(basename "$0" .sh)

nok=0
nfail=0

# Everything that a test makes has this in its name, so that e2e-clean can tell
# ours from what others do on the machine at the same time.
scratch_tag=bttfs-e2e-$(printf %s "$BTTFS_BIN" | cksum | cut -d' ' -f1)

skip() {
	echo "$test_name: skipped: $*"
	exit 77
}

# requires WHAT...: programs, or root, fuse, loop, shared, support programs
# as support/NAME.
requires() {
	local what
	for what; do
		case $what in
		root)
			[ "$(id -u)" -eq 0 ] || skip "needs root" ;;
		fuse)
			[ -c /dev/fuse ] || skip "needs /dev/fuse"
			command -v fusermount3 >/dev/null ||
			    skip "needs fusermount3 (package fuse3)" ;;
		loop)
			[ -c /dev/loop-control ] || skip "needs loop devices"
			command -v losetup >/dev/null ||
			    skip "needs losetup (package mount)" ;;
		shared)
			[ -d "$shared" ] || skip "needs $shared" ;;
		programs)
			[ -x "$bttfs" ] || skip "$bttfs is not built"
			[ -x "$bttctl" ] || skip "$bttctl is not built" ;;
		support/*)
			[ -x "$BTTFS_SUPPORT/${what#*/}" ] ||
			    skip "$BTTFS_SUPPORT/${what#*/} is not built" ;;
		*)
			command -v "$what" >/dev/null || skip "needs $what" ;;
		esac
	done
}

ok() {
	nok=$((nok + 1))
}

fail() {
	nfail=$((nfail + 1))
	echo "FAIL: $* (${BASH_SOURCE[-1]##*/}:${BASH_LINENO[-2]})" >&2
}

# die TEXT: what follows would make no sense.
die() {
	fail "$@"
	exit 1
}

note() {
	echo "-- $*"
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

# same WHAT WANTED FOUND
same() {
	if [ "$2" = "$3" ]; then
		ok
	else
		fail "$1: '$3', not '$2'"
	fi
}

# expect_error TEXT COMMAND...: it must fail, and say so.
expect_error() {
	local text=$1
	shift
	if "$@" >"$work/out" 2>&1; then
		fail "$* succeeds, though $text is due"
	elif ! grep -q "$text" "$work/out"; then
		cat "$work/out" >&2
		fail "$* does not fail with $text"
	else
		ok
	fi
}

finish() {
	echo "$test_name: $nok ok, $nfail failed"
	[ "$nfail" -eq 0 ] && [ "$nok" -gt 0 ]
	exit
}

# wait_for SECONDS COMMAND...: until it succeeds; false if it never does.
wait_for() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.02
	done
}

# --- What must be given back -------------------------------------------------

deferred=()

# defer COMMAND...: run it at the end, last one first.
defer() {
	deferred+=("$(printf '%q ' "$@")")
}

# forget COMMAND...: it is not to be run any more.
forget() {
	local text i
	text=$(printf '%q ' "$@")
	for ((i = ${#deferred[@]} - 1; i >= 0; i--)); do
		if [ "${deferred[i]}" = "$text" ]; then
			deferred=("${deferred[@]:0:i}" "${deferred[@]:i+1}")
			return
		fi
	done
}

# A request that is never answered makes whoever asked unkillable, and with it
# this clean-up; abort the connection then.
abort_connections() {
	local minor sleeper=
	trap '[ -z "$sleeper" ] || kill "$sleeper"; exit' TERM
	sleep 30 &
	sleeper=$!
	wait
	for minor; do
		echo 1 >"/sys/fs/fuse/connections/$minor/abort"
	done
}

cleanup() {
	local status=$? i rescue=
	trap '' INT TERM HUP
	trap - EXIT
	if [ ${#connections[@]} -gt 0 ]; then
		abort_connections "${connections[@]}" >/dev/null 2>&1 &
		rescue=$!
	fi
	for ((i = ${#deferred[@]} - 1; i >= 0; i--)); do
		eval "${deferred[i]}"
	done
	if [ -n "$rescue" ]; then
		! is_running "$rescue" || kill "$rescue"
	fi
	exit "$status"
}
trap cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# Two places for images: a disk, and memory.
work=
shm=
make_work() {
	work=$(mktemp -d "${BTTFS_SCRATCH:-${TMPDIR:-/var/tmp}}/$scratch_tag.XXXXXX") ||
	    exit 1
	defer rm -rf "$work"
}
make_shm() {
	[ -d /dev/shm ] || skip "needs /dev/shm"
	shm=$(mktemp -d "/dev/shm/$scratch_tag.XXXXXX") || exit 1
	defer rm -rf "$shm"
}
make_work

# --- Processes ---------------------------------------------------------------

# is_running PID: a child of ours?  The shell knows; the system does not, since
# the number of a child that has ended is free for others at once.
is_running() {
	local pid
	for pid in $(jobs -r -p); do
		[ "$pid" != "$1" ] || return 0
	done
	return 1
}
has_ended() {
	! is_running "$1"
}

kill_child() {
	! is_running "$1" || kill -KILL "$1"
	wait "$1" 2>/dev/null
}

# background LOG COMMAND...: start it; child is its number.  The log is empty
# from the start: nobody must take what an earlier child said for this one's.
child=
background() {
	local log=$1
	shift
	: >"$log"
	"$@" >"$log" 2>&1 &
	child=$!
	defer kill_child "$child"
}

# end_of SECONDS PID: wait for a child; child_status is how it ended.
child_status=
end_of() {
	if ! wait_for "$1" has_ended "$2"; then
		fail "process $2 did not end within $1 s"
		! is_running "$2" || kill -KILL "$2"
	fi
	wait "$2"
	child_status=$?
	forget kill_child "$2"
}

# --- Devices -----------------------------------------------------------------

# mkdev PATH SIZE SECTOR [OPTION...]: a new BTT.
mkdev() {
	local path=$1 size=$2 sector=$3
	shift 3
	"$bttctl" create --quiet --size "$size" --sector "$sector" "$@" \
	    "$path" || die "bttctl create $path failed"
}

# is_clean PATH [OPTION...]: does bttctl check say so?
is_clean() {
	local status
	"$bttctl" check "$@" >"$work/check.out" 2>&1
	status=$?
	if [ "$status" -ne 0 ]; then
		echo "bttctl check $1: status $status" >&2
		cat "$work/check.out" >&2
		return 1
	fi
}

# How the daemon is called, for tests that put something before it.
bttfs_command=("$bttfs")
declare -A daemons=() # these by mount point
declare -A daemon_logs=()
declare -A connections=()

# Asks the system's table, not the mount point: one whose server is gone
# answers nothing, and one whose server hangs never answers.
is_mounted() {
	awk -v dir="$1" '$5 == dir { found = 1 } END { exit !found }' \
	    /proc/self/mountinfo
}
is_not_mounted() {
	! is_mounted "$1"
}
mounted_or_ended() {
	is_mounted "$1" || has_ended "$2"
}
connection_of() {
	awk -v dir="$1" '$5 == dir { sub(".*:", "", $3); print $3 }' \
	    /proc/self/mountinfo
}

unmount() {
	is_mounted "$1" || return 0
	umount "$1" 2>/dev/null || umount -l "$1"
}

# stoppable_store IMAGE DIR: IMAGE as DIR/disk, a file of another FUSE file
# system.  slow is who serves it, to be stopped and continued; nobody hangs on it
# for good, however this ends.
slow=
stoppable_store() {
	mkdir "$2"
	background "$work/slow.out" "$BTTFS_SUPPORT/volatile_disk" "$1" "$2" 1
	slow=$child
	defer unmount "$2"
	wait_for 30 is_mounted "$2" || die "the store is not mounted"
	defer kill -CONT "$slow"
}

# mount_bttfs IMAGE MOUNTPOINT [OPTIONS]: with the daemon as our child.  Sets
# file to the device in it.
file=
mount_bttfs() {
	local image=$1 mountpoint=$2 options=confine=kill${3:+,$3} log pid
	mkdir -p "$mountpoint"
	log=$work/daemon-${mountpoint##*/}.log
	"${bttfs_command[@]}" -f ${options:+-o "$options"} "$image" \
	    "$mountpoint" >"$log" 2>&1 &
	pid=$!
	defer kill_child "$pid"
	daemons[$mountpoint]=$pid
	daemon_logs[$mountpoint]=$log
	wait_for 60 mounted_or_ended "$mountpoint" "$pid" ||
	    die "$image was not mounted in time"
	if has_ended "$pid"; then
		cat "$log" >&2
		die "$image: bttfs ended without mounting"
	fi
	defer unmount "$mountpoint"
	connections[$mountpoint]=$(connection_of "$mountpoint")
	file=$(sed -n 's/.*\<name=\([^,]*\).*/\1/p' <<<"$options")
	file=$mountpoint/${file:-${image##*/}}
	[ -f "$file" ] || die "$file is not there"
}

# umount_bttfs MOUNTPOINT: the daemon must then end, with 0.
umount_bttfs() {
	local mountpoint=$1 pid=${daemons[$1]}
	umount "$mountpoint" || fail "$mountpoint cannot be unmounted"
	end_of 60 "$pid"
	if [ "$child_status" -ne 0 ]; then
		cat "${daemon_logs[$mountpoint]}" >&2
		fail "bttfs ended with $child_status"
	else
		ok
	fi
	unset "daemons[$mountpoint]" "connections[$mountpoint]"
	forget unmount "$mountpoint"
}

# The daemon is a keeper and its server; the latter ends with the former, but
# not in the same moment.
# server_of PID: of that keeper; nothing while there is none.
server_of() {
	local child
	read -r child _ <"/proc/$1/task/$1/children"
	echo "$child"
}
# is_gone PID: of any process; one that nobody has waited for has gone too.
is_gone() {
	! grep -q '^State:[[:space:]]*[^ZX[:space:]]' "/proc/$1/status" \
	    2>/dev/null
}

# kill_bttfs MOUNTPOINT: all of it, as by a crash of everything.  Who has files
# of it open must go before umount_dead.
kill_bttfs() {
	local pid=${daemons[$1]} server
	is_running "$pid" || die "bttfs has ended before it was killed"
	server=$(server_of "$pid")
	kill -KILL "$pid"
	wait "$pid" 2>/dev/null
	[ -z "$server" ] || wait_for 30 is_gone "$server" ||
	    die "the server outlives its keeper"
	forget kill_child "$pid"
	unset "daemons[$1]"
}
umount_dead() {
	umount "$1" || fail "the dead $1 cannot be unmounted"
	unset "connections[$1]"
	forget unmount "$1"
}

# mkloop FILE [OPTION...]: loop is its name.
loop=
mkloop() {
	local file=$1
	shift
	loop=$(losetup --find --show "$@" "$file") ||
	    die "no loop device on $file"
	defer losetup -d "$loop"
}
rmloop() {
	local what
	what=$(loop_file "$1")
	losetup -d "$1" || fail "$1 cannot be detached"
	forget losetup -d "$1"
	# It goes away once its last user has let go, udev perhaps; and may be
	# another test's at once.
	wait_for 30 has_let_go "$1" "$what" || fail "$1 is still attached"
}
# loop_file LOOP: the inode and the device of what it shows, or nothing.
loop_file() {
	losetup -n -O BACK-INO,BACK-MAJ:MIN "$1" 2>/dev/null | xargs
}
has_let_go() {
	[ "$(loop_file "$1")" != "$2" ]
}
is_free_loop() {
	! losetup "$1" >/dev/null 2>&1
}
