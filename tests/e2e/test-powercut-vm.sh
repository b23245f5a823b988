#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# usage: test-powercut-vm.sh [CUTS]
#
# A whole computer loses its power.  Its disks are the device that bttfs shows:
#
#	guest (Linux under QEMU): ext4, and bare sectors
#	  virtio disks
#	    bttfs
#	      a disk with a volatile cache (tests/powercut/volatile_disk.c)
#	        the image
#
# In the guest several processes write files and record each in a directory of
# the host's once fsync has returned, and a storm writes self-identifying
# sectors and keeps, in memory shared with the host, what it sent and what was
# answered.  At a random moment QEMU is killed, then the daemon, then the disk,
# which loses a random part of what was not synced.  Afterwards the metadata is
# clean, ext4 replays its journal, has every recorded file and passes fsck, and
# each sector is whole and not older than what was answered.
#
# The cuts take turns at two images, of 4096- and 512-byte sectors, and at
# both modes of durability; what one cut has left is what the next one hits.

case ${!#} in
*[!0-9]*) time_limit=850 ;;
*) time_limit=$((550 + ${!#} * 100)) ;;
esac
. "$(dirname "$0")/functions.sh"
. "$(dirname "$0")/vm.sh"
requires root fuse loop programs support/volatile_disk mkfs.ext4 e2fsck
vm_find

cuts=${1-3}
seed=${SEED:-$(date +%s)}
note "$cuts cuts, SEED=$seed"
RANDOM=$((seed % 32768))
mnt=$work/mnt
power=$work/power
ext4=$work/ext4
mkdir "$power" "$ext4"
writers=3

# The device: a file system, and behind it the sectors of the storm.
fs_bytes=$((48 << 20))
storm_bytes=$((4 << 20))
image_bytes=64M
# For the largest number of sectors: 4096 + 8 bytes for each, a power of two.
shared_bytes=$((128 << 10))
# Files are removed once there are so many, or the disk would fill up.
files_kept=200

# What the guest runs; sh is busybox's there.
guest_script() {
	cat <<-'END'
	sector=$1 seed=$2 writers=$3 new=$4
	failed() {
		echo "$*" >>/host/failed
		exit 1
	}
	# Named by the hash of what is in it.
	writer() {
		while :; do
			dd if=/dev/urandom of=/tmp/piece.$1 count=1 \
			    bs=$((RANDOM * 2 + 1)) 2>/dev/null
			name=$(sha256sum </tmp/piece.$1)
			name=${name%% *}
			cp /tmp/piece.$1 /mnt/$name || failed "cp $name"
			sync /mnt/$name || failed "fsync $name"
			sync /mnt || failed "fsync of the directory"
			echo $name >>/host/fsynced.$1 || failed "record $name"
		done
	}
	insmod /host/virtio_blk.ko || failed insmod
	if [ "$new" = new ]; then
		mkfs.ext4 -q -F -b 4096 /dev/vda || failed mkfs.ext4
	fi
	mount -t ext4 /dev/vda /mnt || failed mount
	for device in /sys/bus/pci/devices/*; do
		read id <$device/device
		[ $id = 0x1110 ] && table=$device/resource2
	done
	[ -n "$table" ] || failed "no shared memory"
	bttool storm /dev/vdb $sector 4 $seed $table 0 64 \
	    >/host/storm.out 2>&1 &
	i=0
	while [ $i -lt $writers ]; do
		writer $i &
		i=$((i + 1))
	done
	wait
	failed "all have ended"
	END
}

# make_image SECTOR: it, the table of the storm and what the guest is to see
# are in a directory of that name.
make_image() {
	local dir=$work/$1
	mkdir "$dir"
	mkdev "$dir/base" "$image_bytes" "$1"
	truncate -s "$shared_bytes" "$dir/table"
	guest_script | vm_share "$dir/share"
	echo new >"$dir/state"
}

# The disk with the image in it; its name is $power/disk.
disk_on() {
	background "$work/disk.out" "$BTTFS_SUPPORT/volatile_disk" "$1" \
	    "$power" $((seed + cut))
	disk_pid=$child
	wait_for 30 mounted_or_ended "$power" "$disk_pid" ||
	    die "the disk does not start"
	defer unmount "$power"
	wait_for 30 test -f "$power/disk" || die "the disk does not answer"
}

# part NODE OFFSET BYTES OPTIONS: QEMU's options for a part of the device as a
# disk; added to parts.
part() {
	local below="driver=file,node-name=$1-file,filename=$file"
	local node="driver=raw,node-name=$1,file=$1-file,offset=$2,size=$3"
	local both=cache.direct=on,discard=unmap
	parts+=(-blockdev "$below,locking=off,aio=threads,$both"
	    -blockdev "$node,$both"
	    -device "virtio-blk-pci,drive=$1,$4")
}

# machine_on DIRECTORY SECTOR MODE: vda, the file system, has a write cache:
# the guest flushes.  vdb has one only if bttfs acknowledges nothing before it
# is durable; else QEMU syncs after each write, so that the storm has, in
# either mode, answers that count.
machine_on() {
	local share=$1/share blocks cache_mode=on parts=() memory

	[ "$3" = write ] || cache_mode=off
	rm -f "$share"/fsynced.* "$share/storm.out" "$share/failed"
	blocks=logical_block_size=$2,physical_block_size=$2
	part fs 0 "$fs_bytes" "$blocks,write-cache=on"
	part storm "$fs_bytes" "$storm_bytes" \
	    "$blocks,write-cache=$cache_mode,config-wce=off"
	memory="id=table,share=on,mem-path=$1/table,size=$shared_bytes"
	vm_boot "$share" "$2 $((seed + cut)) $writers $(<"$1/state")" \
	    -object "memory-backend-file,$memory" \
	    -device ivshmem-plain,memdev=table "${parts[@]}"
}

# Has each writer recorded a file, and the storm begun?
under_way() {
	local i
	for ((i = 0; i < writers; i++)); do
		[ -s "$1/share/fsynced.$i" ] || return 1
	done
	grep -q '^STORM writes=[1-9]' "$1/share/storm.out" 2>/dev/null
}
under_way_or_ended() {
	under_way "$1" || [ -e "$1/share/failed" ] || has_ended "$machine_pid"
}

# The machine and its disks die in mid-write.  The shell would tell of it.
power_off() {
	{
		kill -KILL "$machine_pid"
		kill_bttfs "$mnt"
		kill -USR1 "$disk_pid"
		kill_child "$machine_pid"
	} 2>/dev/null
	forget kill_child "$machine_pid"
	end_of 30 "$disk_pid"
	same "the disk at its power cut" 0 "$child_status"
	umount_dead "$mnt"
	unmount "$power"
	forget unmount "$power"
}

# What the guest met before the cut: nothing is wrong below it yet.
guest_was_well() {
	local bad='I/O error|EXT4-fs (error|warning)|Oops|kernel BUG'
	if [ -e "$2/share/failed" ] ||
	    grep -q '^storm:' "$2/share/storm.out" ||
	    grep -qE "$bad" "$work/console"; then
		tail -n 30 "$2/share/failed" "$2/share/storm.out" \
		    "$work/console" >&2
		fail "$1: the guest met an error"
	else
		ok
	fi
}

# Every recorded file, of this cut and of those before.
files_survived() {
	local what=$1 dir=$2 name missing=0 nfile=0
	mkloop "$file" --direct-io=on --sizelimit "$fs_bytes"
	mount -t ext4 "$loop" "$ext4" || die "$what: the journal's replay"
	defer umount "$ext4"
	cat "$dir"/share/fsynced.[0-9]* >"$dir/new"
	cat "$dir/new" >>"$dir/known"
	while read -r name; do
		nfile=$((nfile + 1))
		[ "$(sha256sum <"$ext4/$name")" = "$name  -" ] ||
		    missing=$((missing + 1))
	done <"$dir/known"
	same "$what: fsynced files lost or damaged" 0 "$missing"
	if [ "$nfile" -gt "$files_kept" ]; then
		rm -f "$ext4"/[0-9a-f]*
		: >"$dir/known"
	fi
	umount "$ext4" || die "$what: umount"
	forget umount "$ext4"
	if e2fsck -fn "$loop" >"$work/fsck.out" 2>&1; then
		ok
	else
		cat "$work/fsck.out" >&2
		fail "$what: fsck"
	fi
	rmloop "$loop"
	figures="$(wc -l <"$dir/new") files fsynced, $nfile looked for"
}

sectors_survived() {
	mkloop "$file" --direct-io=on --sector-size "$3" \
	    --offset "$fs_bytes" --sizelimit "$storm_bytes"
	if "$bttool" shmcheck "$loop" "$3" "$2/table" >"$work/sectors.out"; then
		ok
	else
		grep -v '^inflight' "$work/sectors.out" | tail -n 30 >&2
		fail "$1: sectors are wrong"
	fi
	rmloop "$loop"
	figures="$figures; $(sed -n 's/.*\(writes .*\)/\1/p' \
	    "$work/sectors.out")"
}

cut_power() {
	local sector=$1 mode=$2 what="cut $cut, $1, $2" dir=$work/$1
	local options=granularity=page,durability=$2

	disk_on "$dir/base"
	mount_bttfs "$power/disk" "$mnt" "$options"
	machine_on "$dir" "$sector" "$mode"
	wait_for 240 under_way_or_ended "$dir" || true
	if ! under_way "$dir"; then
		cat "$work/qemu.out" "$work/console" >&2
		cat "$dir/share/failed" >&2
		die "$what: the guest does not write"
	fi
	sleep "$((RANDOM % 3)).$((RANDOM % 900 + 100))"
	check "$what: QEMU has ended by itself" is_running "$machine_pid"
	power_off
	echo old >"$dir/state"
	guest_was_well "$what" "$dir"

	check "$what: not clean after the cut" is_clean "$dir/base"
	mount_bttfs "$dir/base" "$mnt" "$options"
	files_survived "$what" "$dir"
	sectors_survived "$what" "$dir" "$sector"
	umount_bttfs "$mnt"
	check "$what: not clean after recovery" is_clean "$dir/base"
	note "$what: $figures"
	[ "$nfail" -eq 0 ] || die "stopped; SEED=$seed"
}

make_image 4096
make_image 512
for ((cut = 1; cut <= cuts; cut++)); do
	mode="flush"
	[ $((cut / 2 % 2)) -eq 0 ] || mode="write"
	if [ $((cut % 2)) -eq 1 ]; then
		cut_power 4096 "$mode"
	else
		cut_power 512 "$mode"
	fi
done
finish
