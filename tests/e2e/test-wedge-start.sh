#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A store that answers nothing when a daemon starts: the only one of a command
# line, one of several in a configuration, and one of those of a server that has
# crashed.  A signal ends the first; the others go without it, and have it when
# it answers again.

time_limit=250
. "$(dirname "$0")/functions.sh"
. "$(dirname "$0")/control.sh"
requires root fuse programs support/volatile_disk
make_shm

disk=$work/slow
mkdev "$shm/disk0" 20M 4096 --sparse
mkdev "$work/base" 20M 4096
stoppable_store "$work/base" "$disk"

test_signal() {
	local pid
	mkdir -p "$work/alone"
	kill -STOP "$slow"
	background "$work/alone.log" "$bttfs" -f -o sparse,granularity=page \
	    "$disk/disk" "$work/alone"
	pid=$child
	sleep 1
	check "it does not wait for the store" is_running "$pid"
	kill -TERM "$pid"
	end_of 20 "$pid"
	check "it ends as if all were well" test "$child_status" -ne 0
	kill -CONT "$slow"
	check "something was mounted" is_not_mounted "$work/alone"
}

is_listed() {
	ctl list --names 2>/dev/null | grep -qx "$1"
}

test_configuration() {
	local begin=$SECONDS
	cat >"$work/some.conf" <<-END
	[bttfs]
	mountpoint = $control_mnt
	socket = $control
	[disk0]
	backing = $shm/disk0
	sparse = yes
	[slow]
	backing = $disk/disk
	sparse = yes
	END
	mkdir -p "$control_mnt"
	kill -STOP "$slow"
	background "$work/daemon-mnt.log" "$bttfs" -f --config "$work/some.conf"
	daemons[$control_mnt]=$child
	daemon_logs[$control_mnt]=$work/daemon-mnt.log
	defer unmount "$control_mnt"
	wait_for 60 is_mounted "$control_mnt" ||
	    die "nothing is served since one hangs"
	connections[$control_mnt]=$(connection_of "$control_mnt")
	wait_for 30 is_listed disk0 || die "disk0 is not listed"
	note "others are served after $((SECONDS - begin)) s"
	check "what does not hang cannot be read" \
	    dd if="$control_mnt/disk0" of=/dev/null bs=4096 count=1 status=none
	same "state of what hangs" probing "$(state_of slow)"
	kill -CONT "$slow"
	same "settle" 0 "$(status_of ctl settle -t 30)"
	same "its state when it answers" live "$(state_of slow)"
}

# The store is stopped when the server has ended, which closes its files, and
# before the next one has opened them.
test_crash() {
	local begin=$SECONDS server
	exec 9<"$control_mnt/disk0"
	server=$(server_of "${daemons[$control_mnt]}")
	kill -KILL "$server"
	# Its last thread closes them, which need not be the first one.
	until is_gone "$server" &&
	    [ "$(find "/proc/$server/task" -mindepth 1 -maxdepth 1 2>/dev/null |
	        wc -l)" -le 1 ]; do
		:
	done
	kill -STOP "$slow"
	check "what does not hang is gone after a crash" timeout 60 \
	    dd if=/dev/fd/9 of=/dev/null bs=4096 count=1 status=none
	note "others are served again after $((SECONDS - begin)) s"
	exec 9<&-
	kill -CONT "$slow"
	wait_for 30 is_listed slow
	same "settle after the crash" 0 "$(status_of ctl settle -t 30)"
	same "its state after the crash" live "$(state_of slow)"
	check "it cannot be read" \
	    dd if="$control_mnt/slow" of=/dev/null bs=4096 count=1 status=none
}

test_signal
test_configuration
test_crash
umount_bttfs "$control_mnt"
check "disk0 is not clean" is_clean "$shm/disk0"
check "slow is not clean" is_clean "$disk/disk"
finish
