#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A daemon with a configuration: it begins with the devices of the file, one
# that is broken among them, or with none; it goes on with what it had when the
# file has become useless; errors name file and line.

time_limit=120
. "$(dirname "$0")/functions.sh"
. "$(dirname "$0")/control.sh"
requires root fuse programs python3

conf=$work/disks.conf
for i in 0 1 2; do
	mkdev "$work/disk$i" 17M 4096 --sparse
done
head -c 1M /dev/zero >"$work/broken"

# configured [ARGUMENT...]: a daemon of the file, as mount_bttfs has them.
configured() {
	local log=$work/daemon-mnt.log
	mkdir -p "$control_mnt"
	"$bttfs" -f --config "$conf" "$@" >"$log" 2>&1 &
	daemons[$control_mnt]=$!
	defer kill_child "${daemons[$control_mnt]}"
	daemon_logs[$control_mnt]=$log
	wait_for 60 mounted_or_ended "$control_mnt" "${daemons[$control_mnt]}"
	is_mounted "$control_mnt" || {
		cat "$log" >&2
		die "it was not mounted"
	}
	defer unmount "$control_mnt"
	connections[$control_mnt]=$(connection_of "$control_mnt")
	wait_for 30 test -S "$control" || die "there is no socket"
}

test_devices() {
	cat >"$conf" <<-END
	# What this daemon serves.
	[bttfs]
	mountpoint = $control_mnt
	socket = $control

	[disk0]
	backing = $work/disk0
	sparse = yes
	mode = 640
	[other]                 ; its file has another name
	backing = $work/disk1
	sparse = yes
	ro = yes
	[broken]
	backing = $work/broken
	sparse = yes
	END
	configured
	same "devices" "broken disk0 other" "$(ctl list --names | sort | xargs)"
	same "what the directory has" "disk0 other" \
	    "$(cd "$control_mnt" && echo *)"
	same "states" "failed live readonly" \
	    "$(state_of broken) $(state_of disk0) $(state_of other)"
	same "mode" 640 "$(stat -c %a "$control_mnt/disk0")"
	check "the broken one is not told of" \
	    grep -q "$work/broken: not a BTT" "${daemon_logs[$control_mnt]}"
	same "the mount's source" "$conf" \
	    "$(findmnt -n -o SOURCE "$control_mnt")"
	# By its name, with its options.
	same "detach" 0 "$(status_of ctl disable other)"
	same "what is listed" "broken disk0" "$(ctl list --names | sort | xargs)"
	same "what is listed with -i" "broken disk0 other" \
	    "$(ctl list -i --names | sort | xargs)"
	ctl list -i -j >"$work/json"
	conforms "list -i" devices <"$work/json"
	same "disabled" other "$(ctl list -i --names -s disabled)"
	same "attach by name" 0 "$(cd / && status_of ctl enable other)"
	same "its state" readonly "$(state_of other)"
	same "the same again, if need be" 0 \
	    "$(cd / && status_of ctl enable --idempotent other)"
	same "a name that is none" 237 "$(cd / && status_of ctl enable nothing)"
	said "a name that is none" "the configuration has no 'nothing'"
	same "disable of two" 0 "$(status_of ctl disable other disk0)"
	same "enable all" 0 "$(cd / && status_of ctl enable all)"
	said "enable all" "other: attached, .* read-only"
	same "their states" "live readonly" \
	    "$(state_of disk0) $(state_of other)"
	same "enable all of nothing" '[]' "$(cd / && ctl enable -j all | xargs)"
	same "one more" 0 "$(status_of ctl attach -o sparse "$work/disk2")"

	# A server that follows another has what that had, not what the file says.
	echo nonsense >"$conf"
	kill -KILL "$(server_of "${daemons[$control_mnt]}")"
	check "the device is gone after a crash" \
	    cmp -n 4096 "$control_mnt/disk0" /dev/zero
	wait_for 30 ctl list --names >/dev/null 2>&1
	same "devices after a crash" "disk0 disk2 other" \
	    "$(ctl list --names -s live | xargs -n 1 | cat - \
	    <(ctl list --names -s readonly) | sort | xargs)"
	umount_bttfs "$control_mnt"
	check "the socket is left behind" test ! -e "$control"
}

# Nothing to begin with; all devices come by attach, and may all go.
test_empty() {
	printf '[bttfs]\nmountpoint = /nowhere\nsocket = %s\n' "$control" \
	    >"$conf"
	configured -o allow_other "$control_mnt"
	same "devices" "" "$(ctl list --names)"
	same "what the directory has" '*' "$(cd "$control_mnt" && echo *)"
	same "attach" 0 "$(status_of ctl attach -o sparse "$work/disk0")"
	check "it cannot be written" dd if=/dev/zero of="$control_mnt/disk0" \
	    bs=4096 count=1 conv=notrunc,fsync status=none
	same "detach" 0 "$(status_of ctl detach disk0)"
	kill -KILL "$(server_of "${daemons[$control_mnt]}")"
	check "an empty mount is gone after a crash" ls "$control_mnt"
	umount_bttfs "$control_mnt"
}

# The socket of a file that does not say where it is.
test_default_socket() {
	local name=bttfs-e2e-$$
	[ ! -e /run/bttfs ] || [ -w /run/bttfs ] || return
	conf=$work/$name.conf
	printf '[bttfs]\nmountpoint = %s\n' "$control_mnt" >"$conf"
	local socket=/run/bttfs/$name.sock
	control=$socket configured
	same "list" "" "$("$bttctl" list --names --socket "$socket")"
	umount_bttfs "$control_mnt"
	check "the socket is left behind" test ! -e "$socket"
}

test_errors() {
	printf '[bttfs]\nmountpoint = %s\n[v]\nbacking = /x\nmdoe = 600\n' \
	    "$control_mnt" >"$conf"
	same "a file with an error" 1 "$(status_of "$bttfs" --config "$conf")"
	said "a file with an error" \
	    "^bttfs: $conf:5: unknown option 'mdoe', did you mean 'mode'"
	same "no file" 1 "$(status_of "$bttfs" --config "$work/none.conf")"
	said "no file" "none.conf: No such file"
	check "something was mounted" is_not_mounted "$control_mnt"
}

# The manual has each key that there is.
test_manual() {
	local manual=$top/man/bttfs.conf.5 word
	[ -r "$manual" ] || { fail "$manual is missing"; return; }
	for word in $("$bttfs" --help | sed -n '/^Options for/,/^The words/s/^  \([a-z_]\{2,\}\).*/\1/p'); do
		[ "$word" != default_permissions ] || continue
		check "the manual lacks the key $word" \
		    grep -q "^\.It Cm .*\<$word\>" "$manual"
	done
}

test_manual
test_devices
test_empty
test_errors
test_default_socket
for i in 0 1 2; do
	check "disk$i is not clean" is_clean "$work/disk$i"
done
finish
