#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# transport=: by io_uring the file is what it is by /dev/fuse, also under a loop
# device; a crash of the server ends the mount at once, and nobody waits for
# ever; where the kernel has no io_uring for it, /dev/fuse is taken and said.

time_limit=300
. "$(dirname "$0")/functions.sh"
requires root fuse loop programs fio mkfs.ext4 e2fsck
parameter=/sys/module/fuse/parameters/enable_uring
[ -w "$parameter" ] || skip "needs a kernel with $parameter (6.14)"
. "$(dirname "$0")/fio.sh"
make_shm

# The parameter counts when a mount begins, and only for who asks.
put_parameter() {
	echo "$1" >"$parameter"
}
defer put_parameter "$(cat "$parameter")"
put_parameter Y

mnt=$work/mnt
image=$shm/disk
ring=granularity=cacheline,transport=io_uring
mkdev "$image" 64M 4096

by_ring() {
	grep -q 'requests come by io_uring$' "${daemon_logs[$mnt]}"
}
by_device() {
	! by_ring
}

test_data() {
	mount_bttfs "$image" "$mnt" "$ring"
	check "the log does not say that it is io_uring" by_ring
	fio_verify_all "by io_uring" "$file"
	fio_verify_bytes "by io_uring" "$file"
	# What libfuse answers, and what takes long.
	check "stat" test "$(stat -c %F "$file")" = "regular file"
	check "statfs" stat -f "$mnt" >"$work/out"
	check "listing" test "$(ls "$mnt")" = disk
	expect_error "No such file" stat "$mnt/none"
	expect_error "No space left" dd if=/dev/zero of="$file" bs=4096 count=1 \
	    seek=1G oflag=seek_bytes conv=notrunc
	check "punching" fallocate --punch-hole -o 1M -l 1M "$file"
	check "punched, it is not zero" cmp -n 1M -i 1M:0 "$file" /dev/zero
	check "syncing" sync "$file"
	umount_bttfs "$mnt"
	check "not clean" is_clean "$image"
}

# Two threads for each queue.
test_loop() {
	mount_bttfs "$image" "$mnt" "$ring,streaming"
	mkloop "$file" --direct-io=on --sector-size 4096
	check "mkfs" mkfs.ext4 -q "$loop"
	check "mount" mount_ext4
	head -c 8M /dev/urandom >"$work/ext4/random"
	umount "$work/ext4" && forget umount "$work/ext4"
	check "fsck" e2fsck -fn "$loop" >"$work/out" 2>&1
	rmloop "$loop"
	umount_bttfs "$mnt"
	check "not clean" is_clean "$image"
}
mount_ext4() {
	mkdir -p "$work/ext4"
	mount "$loop" "$work/ext4" && defer umount "$work/ext4"
}

# Requests are under way all the time: some are in a ring when it dies.
test_crash() {
	local pid server writer
	mount_bttfs "$image" "$mnt" "$ring"
	pid=${daemons[$mnt]}
	server=$(server_of "$pid")
	background "$work/fio.out" fio --name=x --filename="$file" --size=32m \
	    --rw=randwrite --bs=4k --direct=1 --ioengine=libaio --iodepth=16 \
	    --numjobs=2 --time_based --runtime=60
	writer=$child
	check "fio does not begin" wait_for 30 is_busy
	kill -KILL "$server"
	end_of 30 "$writer"
	check "fio did not notice" test "$child_status" -ne 0
	end_of 30 "$pid"
	check "status 0 after a crash" test "$child_status" -ne 0
	check "it does not say why it ends" \
	    grep -q 'giving up: ' "${daemon_logs[$mnt]}"
	check "it is still mounted" is_not_mounted "$mnt"
	unset "daemons[$mnt]"
	is_mounted "$mnt" || unset "connections[$mnt]"
	check "not clean" is_clean "$image"
}
is_busy() {
	pgrep -f "^fio .*filename=$file" >/dev/null && sleep 1
}

# A successor would never see what is in the rings: there is none.
test_no_successor() {
	local pid server
	mount_bttfs "$image" "$mnt" "$ring"
	pid=${daemons[$mnt]}
	server=$(server_of "$pid")
	kill -USR2 "$pid"
	check "the log does not say why not" wait_for 30 \
	    grep -q 'cannot make room for another server' "${daemon_logs[$mnt]}"
	same "the server" "$server" "$(server_of "$pid")"
	check "it does not serve any more" cmp -n 4096 "$file" "$file"
	umount_bttfs "$mnt"
}

# Unasked, nobody gives up that a mount outlives its server.
test_auto() {
	mount_bttfs "$image" "$mnt" granularity=cacheline
	check "a mount that is to survive crashes is by io_uring" by_device
	umount_bttfs "$mnt"
	mount_bttfs "$image" "$mnt" granularity=cacheline,crashes=0
	check "one that is not is by /dev/fuse" by_ring
	umount_bttfs "$mnt"
	mount_bttfs "$image" "$mnt" granularity=page,crashes=0
	check "one whose writes sleep is by io_uring" by_device
	umount_bttfs "$mnt"
	mount_bttfs "$image" "$mnt" granularity=cacheline,crashes=0,transport=dev
	check "transport=dev is by io_uring" by_device
	umount_bttfs "$mnt"
}

test_without() {
	put_parameter N
	mount_bttfs "$image" "$mnt" "$ring"
	check "it does not say that it takes /dev/fuse" \
	    grep -q 'requests come by /dev/fuse' "${daemon_logs[$mnt]}"
	check "it does not serve" cmp -n 4096 "$file" "$file"
	umount_bttfs "$mnt"
	put_parameter Y
	expect_error "must be auto, dev or io_uring" \
	    "$bttfs" -f -o transport=pigeon "$image" "$mnt"
}

test_data
test_loop
test_crash
test_no_successor
test_auto
test_without
finish
