#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# usage: test-control-many.sh [-b BUILD-DIRECTORY] [ROUNDS]
#
# A thousand devices: attached side by side, listed, found, used, detached; and
# those of a configuration, from a start to a stop.  And T-A1: eight who detach
# the same device, one who detaches all, and SIGTERM, at once: everybody is told
# the same, and nothing is left.

time_limit=${e2e_many_limit:-280}
. "$(dirname "$0")/functions.sh"
. "$(dirname "$0")/control.sh"
requires root fuse programs python3
make_shm

rounds=${1-5}
mkdev "$shm/first" 17M 4096 --sparse

test_thousand() {
	mkdev "$shm/template" 17M 4096 --sparse
	serve_control "$shm/first" sparse
	check "a thousand devices" python3 - "$support" "$control" \
	    "$control_mnt" "$shm" <<'PY'
import os, struct, sys, time
sys.path.insert(0, sys.argv[1])
import control
link = control.Control(sys.argv[2], timeout=120)
mount, shm = sys.argv[3:5]
N = 1000
begin = time.monotonic()
def took(what):
    global begin
    now = time.monotonic()
    print(f"-- {what}: {now - begin:.2f} s")
    begin = now
# Copies of an image, all that is not a hole, each with a UUID of its own.
os.mkdir(shm + "/many")
template = os.open(shm + "/template", os.O_RDONLY)
size = os.fstat(template).st_size
pieces, at = {}, 0
while at < size:
    try:
        at = os.lseek(template, at, os.SEEK_DATA)
    except OSError:
        break
    end = os.lseek(template, at, os.SEEK_HOLE)
    for off in range(at, end, 4096):
        pieces[off] = os.pread(template, 4096, off)
    at = end
def with_uuid(block, number):
    block = block[:16] + struct.pack("<Q", number) + block[24:-8]
    low = high = 0
    for (word,) in struct.iter_unpack("<I", block + bytes(8)):
        low = (low + word) & 0xffffffff
        high = (high + low) & 0xffffffff
    return block + struct.pack("<Q", high << 32 | low)
for i in range(N):
    with open(f"{shm}/many/vol{i}", "wb", buffering=0) as file:
        file.truncate(size)
        for off, piece in pieces.items():
            if piece.startswith(b"BTT_ARENA_INFO"):
                piece = with_uuid(piece, i)
            os.pwrite(file.fileno(), piece, off)
took("make")
waiting = []
for i in range(N):
    waiting.append(link.ask("attach", path=f"{shm}/many/vol{i}",
                            options="sparse", wait=False))
for number in waiting:
    link.answer(number)
link.call("settle")
took("attach")
devices = link.list()
took("list")
assert len(devices) == N + 1, len(devices)
for device in devices.values():
    assert device["state"] == "live", device
names = os.listdir(mount)
assert len(names) == N + 1, len(names)
for i in range(0, N, 7):
    with open(f"{mount}/vol{i}", "r+b", buffering=0) as file:
        file.write(b"%04d" % i)
took("look and write")
for i in range(0, N, 7):
    with open(f"{mount}/vol{i}", "rb", buffering=0) as file:
        assert file.read(4) == b"%04d" % i
took("read")
for i in range(0, N, 2):
    waiting = link.ask("detach", name=f"vol{i}", wait=False)
    link.answer(waiting)
link.call("settle")
took("detach of half of them")
assert len(os.listdir(mount)) == N // 2 + 1
assert len(link.list()) == N // 2 + 1
PY
	local begin=$SECONDS
	umount_bttfs "$control_mnt"
	note "stop with half of them: $((SECONDS - begin)) s"
	for i in 0 1 7 998 999; do
		check "vol$i is not clean" is_clean "$shm/many/vol$i"
	done
}

# A start with all of them: the mount is announced when each can be used.
test_thousand_from_file() {
	local begin i log=$work/daemon-many.log
	{
		printf '[bttfs]\nmountpoint = %s\nsocket = %s\n' \
		    "$control_mnt" "$control"
		for ((i = 0; i < 1000; i++)); do
			printf '[vol%d]\nbacking = %s\nsparse = yes\n' \
			    "$i" "$shm/many/vol$i"
		done
	} >"$work/many.conf"
	begin=$(date +%s%N)
	background "$log" "$bttfs" -f --config "$work/many.conf"
	daemons[$control_mnt]=$child
	daemon_logs[$control_mnt]=$log
	defer unmount "$control_mnt"
	wait_for 60 is_mounted "$control_mnt" || die "it was not mounted"
	connections[$control_mnt]=$(connection_of "$control_mnt")
	wait_for 60 test -S "$control" || die "there is no socket"
	note "start with a thousand: $((($(date +%s%N) - begin) / 1000000)) ms"
	same "devices of the file" 1000 "$(ctl list --names -s live | wc -l)"
	same "files" 1000 "$(find "$control_mnt" -type f | wc -l)"
	same "what was written before" 0007 \
	    "$(head -c 4 "$control_mnt/vol7")"
	begin=$(date +%s%N)
	umount_bttfs "$control_mnt"
	note "stop with a thousand: $((($(date +%s%N) - begin) / 1000000)) ms"
	check "vol999 is not clean" is_clean "$shm/many/vol999"
	rm -rf "$shm/many"
}

# Each round with a new daemon; what all are told is compared.
test_all_at_once() {
	local round pid others njob
	for i in 0 1 2 3; do
		mkdev "$shm/vol$i" 17M 4096 --sparse
	done
	for ((round = 0; round < rounds; round++)); do
		serve_control "$shm/first" sparse
		pid=${daemons[$control_mnt]}
		ctl attach -q -o sparse "$shm"/vol[0-3] || die "attach failed"
		background "$work/events" "$bttctl" monitor --socket \
		    "$control" -j --snapshot -n vol0 \
		    -e namespace-detached,namespace-detaching
		wait_for 30 test -s "$work/events" || die "no monitor"
		others=()
		for ((i = 0; i < 8; i++)); do
			ctl detach -f -j vol0 >"$work/told$i" 2>&1 &
			others+=($!)
		done
		ctl detach -f -j all >"$work/told-all" 2>&1 &
		others+=($!)
		[ $((round % 2)) -eq 0 ] || sleep 0.0$((round % 10))
		kill -TERM "$pid"
		wait "${others[@]}"
		end_of 60 "$pid"
		same "status of the daemon, round $round" 0 "$child_status"
		forget unmount "$control_mnt"
		unset "daemons[$control_mnt]" "connections[$control_mnt]"
		kill_child "$child"
		# Of vol0: by one job, or it was over before one came.
		njob=$(cat "$work"/told[0-7] | grep -o '"job": [0-9]*,' |
		    sort -u | grep -c .)
		check "$njob jobs detached vol0, round $round" \
		    test "$njob" -le 1
		same "failures that somebody was told, round $round" '' "$(
			grep -h bttctl: "$work"/told[0-7] | grep -v \
			    -e 'no device named' -e 'Connection re' \
			    -e 'has gone' -e 'no daemon' -e 'No such file')"
		same "detached events" 1 \
		    "$(grep -c detached\":true "$work/events")"
		for i in 0 1 2 3; do
			check "vol$i is not clean" is_clean "$shm/vol$i"
		done
	done
}

test_thousand
test_thousand_from_file
test_all_at_once
finish
