#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# As mount(8), fstab(5) and users without privileges mount: mount -t fuse.bttfs,
# a line of fstab with the words that are for others, fusermount3; options that
# show in the file; and what is said where a mount is in the way.

# In mounts of its own, since mount.fuse3(8) looks for programs where the system
# has them.
if [ "$(id -u)" -eq 0 ] && [ -z "${alone-}" ]; then
	export alone=yes
	exec unshare --mount --propagation private "$BASH" "$0" "$@"
fi

time_limit=200
. "$(dirname "$0")/functions.sh"
requires root fuse programs setpriv findmnt
[ -e /sbin/mount.fuse3 ] || [ -e /usr/sbin/mount.fuse3 ] ||
    skip "needs mount.fuse3 (package fuse3)"

[ -d /usr/local/bin ] || skip "needs /usr/local/bin"
mount --bind "$BTTFS_BIN" /usr/local/bin || die "no place for bttfs"
bttfs=/usr/local/bin/bttfs
bttctl=/usr/local/bin/bttctl
mnt=$work/mnt
mkdir "$mnt"
mkdev "$work/disk" 24M 4096
chmod 755 "$work"

# It is in the background: nobody's child.
# Of readers too, beside whom a check would find its place.
is_free() {
	flock --nonblock --exclusive "$work/disk" true
}
gone() {
	umount "$1" || fail "$1 cannot be unmounted"
	forget unmount "$1"
	# It ends once all is durable.
	wait_for 30 is_free || fail "$1: bttfs does not end"
}

note "mount -t fuse.bttfs"
mount -t fuse.bttfs -o name=vol,mode=640,uid=65534,gid=65534,allow_other \
    "$work/disk" "$mnt" || die "mount -t fuse.bttfs fails"
defer unmount "$mnt"
same "mode and owner" "640 65534 65534" "$(stat -c '%a %u %g' "$mnt/vol")"
same "source" "$work/disk" "$(findmnt -n -o SOURCE "$mnt")"
same "type" fuse.bttfs "$(findmnt -n -o FSTYPE "$mnt")"
for word in nosuid nodev noexec rw allow_other; do
	check "the mount is not $word" \
	    grep -qw "$word" <<<"$(findmnt -n -o OPTIONS "$mnt")"
done
check "its owner cannot write to it" setpriv --reuid 65534 --regid 65534 \
    --clear-groups dd if=/dev/zero of="$mnt/vol" bs=4096 count=1 \
    conv=notrunc status=none
check "others can read it" bash -c "! setpriv --reuid 1234 --regid 1234 \
    --clear-groups dd if='$mnt/vol' of=/dev/null count=1 2>/dev/null"

note "a mount in the way"
mkdev "$work/other" 24M 4096
expect_error "a file system is mounted here already" \
    mount -t fuse.bttfs "$work/other" "$mnt"
expect_error "a file system is mounted here already" \
    "$bttfs" "$work/other" "$mnt"
"$bttfs" "$work/other" "$mnt" 2>/dev/null
same "status for a mount point that is busy" 32 $?
expect_error "not a directory" "$bttfs" "$work/other" "$work/disk"
# In use: umount says so, and nothing happens to it.
exec 7<"$mnt/vol"
expect_error "busy" umount "$mnt"
check "it is gone after that" dd of=/dev/null count=1 status=none <&7
exec 7<&-
gone "$mnt"

note "read-only"
mount -t fuse.bttfs -o ro,name=vol "$work/disk" "$mnt" || die "ro fails"
defer unmount "$mnt"
check "the mount is not ro" grep -qw ro <<<"$(findmnt -n -o OPTIONS "$mnt")"
check "it can be written" bash -c "! dd if=/dev/zero of='$mnt/vol' bs=4096 \
    count=1 conv=notrunc 2>/dev/null"
gone "$mnt"

note "fstab"
cat >"$work/fstab" <<FSTAB
$work/disk $mnt fuse.bttfs name=vol,_netdev,nofail,x-systemd.device-timeout=5,x-systemd.requires=a.service,noauto,user,comment=x 0 0
FSTAB
mount --fstab "$work/fstab" "$mnt" || die "a line of fstab fails"
defer unmount "$mnt"
check "the file of fstab is not there" test -f "$mnt/vol"
gone "$mnt"
# What systemd makes of it: not one of the file systems before all services.
generator=/usr/lib/systemd/system-generators/systemd-fstab-generator
if [ -x "$generator" ]; then
	mkdir "$work/units"
	SYSTEMD_FSTAB=$work/fstab SYSTEMD_LOG_LEVEL=err \
	    "$generator" "$work/units" "$work/units" "$work/units" ||
	    fail "systemd does not read it"
	unit=$work/units/$(systemd-escape --path "$mnt").mount
	check "systemd lost the type" grep -qx 'Type=fuse.bttfs' "$unit"
	check "systemd lost _netdev" grep -q '^Options=.*_netdev' "$unit"
	check "systemd lost what is required" grep -q '^Requires=a.service\|^After=a.service' "$unit"
fi

note "a user without privileges"
user() {
	setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
}
mkdir "$work/home"
chown 65534 "$work/home"
user "$bttctl" create --quiet --size 24M "$work/home/disk" ||
    die "a user cannot make a BTT"
mkdir "$work/home/mnt"
expect_error "" user "$bttfs" "$work/home/disk" "$work/home/mnt" # root's
chown 65534 "$work/home/mnt"
user "$bttfs" -o name=mine "$work/home/disk" "$work/home/mnt" ||
    die "a user cannot mount"
defer unmount "$work/home/mnt"
check "the user cannot use it" user dd if=/dev/urandom \
    of="$work/home/mnt/mine" bs=4096 count=4 conv=notrunc,fsync status=none
check "root can, without allow_other" \
    bash -c "! stat '$work/home/mnt/mine' 2>/dev/null"
if ! grep -q '^user_allow_other' /etc/fuse.conf 2>/dev/null; then
	mkdir "$work/home/mnt2"
	chown 65534 "$work/home/mnt2"
	user "$bttctl" create --quiet --size 24M "$work/home/two"
	expect_error "user_allow_other" user "$bttfs" -o allow_other \
	    "$work/home/two" "$work/home/mnt2"
fi
# The helper says that it is busy: regression, bttfs aborted then.
keeper=$(user pgrep --full --oldest -- "$work/home/disk")
# shellcheck disable=SC2016 # for that shell
setpriv --reuid 65534 --regid 65534 --clear-groups \
    sh -c 'exec <"$1"; : >"$2"; exec sleep 100' sh "$work/home/mnt/mine" \
    "$work/home/holds" &
holder=$!
defer kill_child "$holder"
wait_for 20 test -e "$work/home/holds" || die "nobody holds it"
kill -TERM "$keeper"
sleep 1
check "it is gone while it is in use" user test -f "$work/home/mnt/mine"
kill_child "$holder"
check "it is not unmounted after that" wait_for 20 is_not_mounted \
    "$work/home/mnt"
wait_for 20 is_gone "$keeper" || fail "bttfs does not end"
user "$bttfs" -o name=mine "$work/home/disk" "$work/home/mnt" ||
    die "a user cannot mount again"
check "the user cannot unmount it" user fusermount3 -u "$work/home/mnt"
forget unmount "$work/home/mnt"
is_free_mine() {
	user "$bttctl" check --quiet "$work/home/disk" >/dev/null 2>&1
}
check "bttfs does not end" wait_for 30 is_free_mine
finish
