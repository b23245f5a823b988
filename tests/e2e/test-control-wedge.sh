#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# T-A5: a backing store that answers nothing, once while it is attached and
# once while it is in use.  Everybody else is served in the meantime: other
# devices' data, list, stats, jobs, monitor, attach and detach of others.  When
# it answers again everything that waited for it ends well.

time_limit=200
. "$(dirname "$0")/functions.sh"
. "$(dirname "$0")/control.sh"
requires root fuse programs support/volatile_disk python3
make_shm

disk=$work/slow
# In memory: how long a disk takes is not what is asked here.
for i in 0 1; do
	mkdev "$shm/disk$i" 20M 4096 --sparse
done
mkdev "$work/base" 20M 4096

stoppable_store "$work/base" "$disk"

# The answers of others, and their data: each within 100 ms.  Whoever was late
# may try twice more, since the machine may have been busy; a daemon that waits
# for the store is late each time.
quick='
import os, sys, time
sys.path.insert(0, sys.argv[1])
import control
link = control.Control(sys.argv[2])
mount, image = sys.argv[3], sys.argv[4]
LIMIT_MS = 100
longest = {}
def timed(what, call, undo=None):
    for attempt in range(3):
        begin = time.monotonic()
        call()
        took = (time.monotonic() - begin) * 1000
        if took < LIMIT_MS or attempt == 2:
            break
        if undo:
            undo()
    longest[what] = max(longest.get(what, 0), took)
def data():
    fd = os.open(mount + "/disk0", os.O_RDWR)
    os.pwrite(fd, b"x" * 4096, 0)
    assert os.pread(fd, 4096, 0) == b"x" * 4096
    os.close(fd)
def watch():
    other = control.Control(sys.argv[2])
    number = other.ask("monitor")
    assert "snapshot" in other.hear()
    other.close()
for i in range(20):
    timed("list", lambda: link.call("list", media_errors=True, arenas=True))
    timed("stats", lambda: link.call("stats"))
    timed("jobs", lambda: link.call("jobs"))
    timed("monitor", watch)
    timed("ls", lambda: os.listdir(mount))
    timed("data", data)
    attach = lambda: link.call("attach", path=image, options="sparse")
    detach = lambda: link.call("detach", name="disk1")
    timed("attach", attach, detach)
    timed("detach", detach, attach)
print({what: round(took, 1) for what, took in longest.items()})
late = [what for what, took in longest.items() if took >= LIMIT_MS]
sys.exit("late: %s" % late if late else 0)
'
others_are_served() {
	note "while $1, the longest answers in ms:"
	check "others are not served while $1" timeout 60 python3 -c "$quick" \
	    "$support" "$control" "$control_mnt" "$shm/disk1" >"$work/quick"
	note "$(cat "$work/quick")"
}

is_stage() {
	ctl jobs | grep -q "attach .* slow: $1"
}

serve_control "$shm/disk0" sparse

# While it is attached, from the first look at its path on.
kill -STOP "$slow"
# Not by bttctl, which would hang in resolving the path itself.
check "a store that hangs cannot be attached" python3 -c '
import sys
sys.path.insert(0, sys.argv[1])
import control
control.Control(sys.argv[2]).call("attach", path=sys.argv[3], name="slow",
                                  options="sparse", wait=False)' \
    "$support" "$control" "$disk/disk"
wait_for 30 is_stage find || die "it is not stuck in the first step"
others_are_served "a store hangs when it is attached"
same "its state" probing "$(state_of slow)"
same "its name is taken" 239 \
    "$(status_of ctl attach -n slow "$shm/disk1")"
kill -CONT "$slow"
same "settle" 0 "$(status_of ctl settle -t 30)"
same "its state when it answers" live "$(state_of slow)"

# While it is in use: readers and writers hang in it, and so does the flush.
check "it cannot be written" dd if=/dev/zero of="$control_mnt/slow" bs=4096 \
    count=64 conv=notrunc,fsync status=none
kill -STOP "$slow"
writers=()
for ((i = 0; i < 8; i++)); do
	dd if=/dev/zero of="$control_mnt/slow" bs=4096 seek=$((i * 8)) count=8 \
	    conv=notrunc,fsync status=none 2>/dev/null &
	writers+=($!)
done
sleep 1
others_are_served "a store hangs in use"
# It is told to go: nobody new gets in, and who is inside is named.
same "detach, which waits" 0 \
    "$(status_of ctl detach -f --no-wait slow)"
same "its state" draining "$(state_of slow)"
expect_error "No such" cat "$control_mnt/slow"
others_are_served "it is being detached"
wait_for 30 eval 'ctl jobs | grep -q "drain: waiting for"'
said_by_jobs=$(ctl jobs)
check "who is inside is not said: $said_by_jobs" \
    grep -Eq 'waiting for .*by worker' <<<"$said_by_jobs"
kill -CONT "$slow"
same "settle" 0 "$(status_of ctl settle -t 60)"
same "its state when it answers" '' "$(state_of slow)"
wait "${writers[@]}"
umount_bttfs "$control_mnt"
check "it is not clean" is_clean "$disk/disk"
finish
