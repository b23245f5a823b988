#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# usage: test-systemd.sh
#
# The Debian package in a Debian that boots: systemd in a container.  The unit
# starts without privileges, and its mount outlives restarts, an upgrade of the
# package, crashes and a watchdog, under fio with verification on ext4 on a loop
# device: no error, fsck clean.  It stops as it should, alone and with the whole
# system, and comes back with it.
#
# Needs a network or the cache of an earlier run (BTTFS_DEBIAN_CACHE, by default
# ~/.cache/bttfs-tests).  Packages that were built already are taken from the
# directory BTTFS_PACKAGES.

time_limit=1700
. "$(dirname "$0")/functions.sh"
. "$(dirname "$0")/container.sh"
requires root fuse loop programs e2fsck dpkg-deb systemd-nspawn nsenter

# --- Two packages: as built, and the next version of it -------------------------

packages=${BTTFS_PACKAGES:-$work/debs}
if [ -z "${BTTFS_PACKAGES-}" ] &&
    ! "$top/scripts/package" "$packages" >"$work/build.log" 2>&1
then
	cat "$work/build.log" >&2
	die "scripts/package failed"
fi
deb=$(echo "$packages"/bttfs_*.deb)
version=$(dpkg-deb -f "$deb" Version)
next_version=$version.1
dpkg-deb -R "$deb" "$work/next"
sed -i "s/^Version: .*/Version: $next_version/" "$work/next/DEBIAN/control"
next_deb=$work/next.deb
dpkg-deb --root-owner-group -b "$work/next" "$next_deb" >"$work/build.log" ||
    die "no next version"

prepare_tree "$(dpkg-deb -f "$deb" Depends)" fio e2fsprogs procps
mkdir -p "$tree/root/debs" "$tree/etc/bttfs" "$tree/srv/disks" "$tree/srv/data"
cp "$deb" "$tree/root/debs/bttfs.deb"
cp "$next_deb" "$tree/root/debs/next.deb"
"$bttctl" create --quiet --size 64M "$tree/var/disk.btt" || die "no device"
cat >"$tree/etc/bttfs/x.conf" <<'CONF'
[bttfs]
mountpoint = /srv/disks
# The watchdog is to be faster than the keeper.
hang = 20
crashes = 3
inject = yes

[disk]
backing = /var/disk.btt
CONF
# In a container fstab's lines with devices count for nothing.  _netdev: not one
# of the file systems that come before all services.
cat >"$tree/etc/systemd/system/srv-data.mount" <<'UNIT'
[Unit]
Requires=bttfs-loop@x.service
After=bttfs-loop@x.service
[Mount]
What=/dev/bttfs/disk
Where=/srv/data
Type=ext4
Options=_netdev
[Install]
WantedBy=multi-user.target
UNIT
mkdir -p "$tree/etc/systemd/system/bttfs@x.service.d"
# What is called and not allowed ends the process here, not just the call.
cat >"$tree/etc/systemd/system/bttfs@x.service.d/test.conf" <<'UNIT'
[Service]
SystemCallErrorNumber=kill
WatchdogSec=4s
UNIT

# --- Looking at it ----------------------------------------------------------------

unit=bttfs@x.service
property() {
	inside systemctl show --value --property="$1" "${2-$unit}"
}
main_pid() {
	property MainPID
}
# The server's number as the container has it.
server_pid() {
	local pid child
	pid=$(main_pid)
	read -r child _ < <(inside cat "/proc/$pid/task/$pid/children")
	echo "$child"
}
is_state() {
	[ "$(property ActiveState "${2-$unit}")" = "$1" ]
}
journal() {
	inside journalctl --no-pager --output=cat --unit "$unit"
}
said() {
	journal | grep -q -- "$1"
}
status_is() {
	property StatusText | grep -q -- "$1"
}
served_times() {
	journal | grep -c 'served again'
}
served_more_than() {
	[ "$(served_times)" -gt "$1" ]
}
is_confined() {
	local status
	status=$(inside cat "/proc/$1/status")
	[ "$(awk '$1 == "Uid:" { print $2 }' <<<"$status")" != 0 ] &&
	    grep -q '^CapEff:[[:space:]]*0*$' <<<"$status" &&
	    grep -q '^CapBnd:[[:space:]]*0*$' <<<"$status" &&
	    grep -q '^NoNewPrivs:[[:space:]]*1$' <<<"$status" &&
	    grep -q '^Seccomp:[[:space:]]*2$' <<<"$status"
}

# --- Start --------------------------------------------------------------------------

boot
check "the package does not install" inside dpkg -i /root/debs/bttfs.deb \
    >"$work/dpkg.log" 2>&1
check "there is no user bttfs" inside id bttfs >/dev/null
check "$unit does not start" inside systemctl start "$unit"
is_state active || { journal >&2; die "$unit is not active"; }
same "status" "Serving 1 device in /srv/disks" "$(property StatusText)"
check "the mount cannot be seen in the system" \
    inside test -f /srv/disks/disk
check "the keeper has privileges" is_confined "$(main_pid)"
check "the server has privileges" is_confined "$(server_pid)"
filters_of() {
	inside awk '$1 == "Seccomp_filters:" { print $2 }' "/proc/$1/status"
}
check "the server has no filter of its own" \
    test "$(filters_of "$(server_pid)")" -gt "$(filters_of "$(main_pid)")"
score=$(inside systemd-analyze security --no-pager "$unit" |
    sed -n 's/.*exposure level for .*: \([0-9.]*\).*/\1/p')
note "exposure by systemd-analyze security: ${score:-none}"
check "that is more than 1.0" awk -v "score=${score:-10}" \
    'BEGIN { exit !(score <= 1.0) }'

inside systemctl start bttfs-loop@x.service || die "no loop device"
loop_device=$(inside readlink -f /dev/bttfs/disk)
defer losetup -d "$loop_device"
same "sector size of the loop device" 4096 \
    "$(inside blockdev --getss "$loop_device")"
same "direct I/O of the loop device" 1 \
    "$(inside losetup --noheadings --output DIO "$loop_device" | tr -d ' ')"
inside mkfs.ext4 -q "$loop_device" || die "no file system"
check "the file system is not mounted" inside systemctl start srv-data.mount

# --- What it outlives ------------------------------------------------------------------

: >"$tree/root/run-fio"
inside sh -c 'cd /root; while [ -e run-fio ]; do
	fio --name=x --filename=/srv/data/file --size=4m --rw=randwrite --bs=4k \
	    --direct=1 --ioengine=psync --fsync=32 --verify=crc32c \
	    --verify_fatal=1 >fio.out 2>&1 || exit 1
    done' &
load=$!
defer kill_child "$load"
defer rm -f "$tree/root/run-fio"

# survives TEXT COMMAND...: it is done, another one serves, fio goes on.
survives() {
	local text=$1 before
	shift
	before=$(served_times)
	sleep "0.$((RANDOM % 9 + 1))"
	inside "$@" >"$work/survives.log" 2>&1 || {
		cat "$work/survives.log" >&2
		fail "$text"
	}
	wait_for 60 served_more_than "$before" ||
	    { journal | tail -n 30 >&2; die "$text: no other server"; }
	wait_for 10 is_state active || fail "$text: $unit is not active"
	is_running "$load" || { cat "$tree/root/fio.out" >&2
	    die "$text: fio saw an error"; }
	ok
}

for _ in 1 2 3; do
	survives "systemctl restart" systemctl restart "$unit"
	survives "systemctl reload" systemctl reload "$unit"
	survives "a crash of the server" sh -c "kill -KILL $(server_pid)"
	survives "a crash of the keeper" sh -c "kill -KILL $(main_pid)"
done
same "the loop device" "$loop_device" "$(inside readlink -f /dev/bttfs/disk)"
survives "an upgrade of the package" dpkg -i /root/debs/next.deb
same "version" "$next_version" \
    "$(inside dpkg-query --status bttfs | sed -n 's/^Version: //p')"
survives "a watchdog" sh -c "kill -STOP $(server_pid)"
check "the watchdog has not fired" said "Watchdog timeout"

rm "$tree/root/run-fio"
if wait "$load"; then ok; else
	cat "$tree/root/fio.out" >&2
	fail "fio saw an error"
fi
forget kill_child "$load"

# --- What it says ------------------------------------------------------------------------

inside bttctl create --quiet -s 24M /srv/more.btt
inside chown bttfs /srv/more.btt
check "a device of user bttfs's cannot be attached" \
    inside bttctl attach /srv/more.btt
check "the status does not follow" wait_for 20 status_is "^Serving 2 devices"
# No call is missing for what else bttctl asks for.
for words in "start-scrub -w more.btt" "top --count 1 --delay 1" "list -v" \
    "stats --prometheus" "inject-error -B 3 -N more.btt" \
    "clear-errors more.btt" "jobs" "upgrade"; do
	# shellcheck disable=SC2086 # words are meant
	inside bttctl $words >"$work/words.out" 2>&1 || {
		cat "$work/words.out" >&2
		fail "bttctl $words"
	}
done
check "a device cannot be detached" inside bttctl detach more.btt
check "it was killed for a system call" inside sh -c '! journalctl --no-pager \
    --unit bttfs@x.service | grep -qi "SIGSYS\|bad system call"'

# What is on top goes first.
check "$unit does not stop" inside systemctl stop "$unit"
check "the loop device is there still" is_free_loop "$loop_device"
forget losetup -d "$loop_device"
check "the file system is mounted" \
    is_state inactive srv-data.mount

# Users are waited for, and named.
inside systemctl start "$unit" || die "$unit does not start again"
inside sh -c 'exec 7</srv/disks/disk; : >/run/holds; sleep 300' &
holder=$!
defer kill_child "$holder"
wait_for 10 inside test -e /run/holds || die "nobody holds the mount"
inside systemctl stop --no-block "$unit"
check "the status does not say who is in the way" \
    wait_for 20 status_is "^Waiting to unmount: in use by sleep\|by sh"
inside pkill -f 'sleep 300'
check "it does not stop" wait_for 40 is_state inactive
check "it has left its mount" inside sh -c '! grep -q fuse.bttfs /proc/mounts'
check "the medium is not clean" is_clean "$tree/var/disk.btt"

# Crashes that do not end.
inside systemctl start "$unit" || die "$unit does not start again"
for _ in 1 2 3; do
	before=$(served_times)
	inside sh -c "kill -KILL $(server_pid)"
	wait_for 30 served_more_than "$before" || die "no server came back"
done
inside sh -c "kill -KILL $(server_pid)"
check "too many crashes do not end it" wait_for 30 is_state failed
check "nobody says why" said "giving up: too many crashes"
check "a dead mount is left" inside sh -c '! grep -q fuse.bttfs /proc/mounts'
check "it cannot be started after that" inside systemctl start "$unit"

# --- With the system ----------------------------------------------------------------------

inside systemctl enable --quiet "$unit" bttfs-loop@x.service srv-data.mount
inside systemctl start srv-data.mount || die "the file system is not mounted"
inside sh -c 'echo here >/srv/data/note'
power_off
boot
check "it does not come back with the system" \
    wait_for 60 is_state active srv-data.mount
same "what was written" here "$(inside cat /srv/data/note)"
check "the end of the system was not orderly" \
    inside sh -c 'journalctl --no-pager --boot=-1 --output=cat --unit bttfs@x.service |
	tail -n 5 | grep -q Deactivated'
check "a mount was taken away from its users" \
    inside sh -c '! journalctl --no-pager --boot=-1 --output=cat |
	grep -q "taking it away"'
# The same, from outside.
power_off
mkdir -p "$work/mnt"
mount_bttfs "$tree/var/disk.btt" "$work/mnt" name=disk
mkloop "$file" --direct-io=on --sector-size 4096
check "fsck finds something" e2fsck -fn "$loop" >"$work/fsck.out" 2>&1
rmloop "$loop"
umount_bttfs "$work/mnt"
check "the medium is not clean at the end" is_clean "$tree/var/disk.btt"

boot
check "the package cannot be removed" inside dpkg -r bttfs >"$work/dpkg.log" 2>&1
check "it was removed and runs" inside sh -c '! pgrep -x bttfs'
power_off
finish
