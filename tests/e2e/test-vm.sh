#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The disk of a virtual machine is a file of bttfs's: the guest (Linux under
# QEMU) makes a file system and writes files, and goes on while the server is
# killed under it; after its shutdown the host finds each file, through a loop
# device, and nothing else wrong.  With QEMU's ways of doing I/O, and both
# kinds of durability.

time_limit=850
. "$(dirname "$0")/functions.sh"
. "$(dirname "$0")/vm.sh"
requires root fuse loop programs mkfs.ext4 e2fsck
vm_find
make_shm

mnt=$work/mnt
ext4=$work/ext4
share=$work/share
mkdir "$ext4"

# sh is busybox's there.
vm_share "$share" <<'END'
failed() {
	echo "$*" >>/host/failed
	exit 1
}
# Named by the hash of what is in it.
write_file() {
	dd if=/dev/urandom of=/tmp/piece count=1 bs=$((RANDOM * 4 + 1)) \
	    2>/dev/null
	name=$(sha256sum </tmp/piece)
	name=${name%% *}
	cp /tmp/piece /mnt/$name || failed "cp $name"
	echo $name >>/host/written
}
insmod /host/virtio_blk.ko || failed insmod
mkfs.ext4 -q -F -b 4096 /dev/vda || failed mkfs.ext4
mount -t ext4 /dev/vda /mnt || failed mount
while [ ! -e /host/enough ]; do
	write_file
	sync
done
i=0
while [ $i -lt 20 ]; do
	write_file
	i=$((i + 1))
done
umount /mnt || failed umount
echo yes >/host/down
sync
poweroff -f
END

nwritten() {
	[ "$(wc -l <"$share/written")" -ge "$1" ] ||
	    [ -e "$share/failed" ] || has_ended "$machine_pid"
}
served_again() {
	[ "$(grep -c 'served again' "${daemon_logs[$mnt]}")" -ge "$1" ]
}

# machine AIO OPTIONS: from mkfs to the last file.
machine() {
	local aio=$1 options=$2 what="aio=$1, $2" image=$shm/disk name n=0 bad=0
	rm -f "$image" "$share"/{enough,down,failed}
	: >"$share/written"
	mkdev "$image" 64M 4096
	mount_bttfs "$image" "$mnt" "$options"
	vm_boot "$share" "" \
	    -drive "file=$file,format=raw,if=none,id=d,cache=none,aio=$aio,discard=unmap" \
	    -device virtio-blk-pci,drive=d,logical_block_size=4096,physical_block_size=4096
	wait_for 240 nwritten 5 || true
	kill -KILL "$(server_of "${daemons[$mnt]}")"
	check "$what: no server came back" wait_for 60 served_again 1
	wait_for 120 nwritten $(($(wc -l <"$share/written") + 5)) || true
	kill -USR2 "${daemons[$mnt]}"
	check "$what: no server took over" wait_for 60 served_again 2
	: >"$share/enough"
	end_of 240 "$machine_pid"
	if [ -e "$share/failed" ] || [ ! -e "$share/down" ] || grep -qE \
	    'I/O error|EXT4-fs (error|warning)|Oops|kernel BUG' \
	    "$work/console"; then
		cat "$share/failed" "$work/qemu.out" "$work/console" >&2
		die "$what: the guest met an error"
	fi
	mkloop "$file" --direct-io=on --sector-size 4096
	check "$what: fsck" e2fsck -fn "$loop" >"$work/out" 2>&1
	mount -t ext4 -o ro "$loop" "$ext4" || die "$what: mount"
	defer umount "$ext4"
	while read -r name; do
		n=$((n + 1))
		[ "$(sha256sum <"$ext4/$name")" = "$name  -" ] ||
		    bad=$((bad + 1))
	done <"$share/written"
	same "$what: files that differ" 0 "$bad"
	umount "$ext4" && forget umount "$ext4"
	rmloop "$loop"
	umount_bttfs "$mnt"
	check "$what: not clean" is_clean "$image"
	note "$what: $n files"
}

machine io_uring granularity=cacheline
machine threads granularity=page,durability=flush
finish
