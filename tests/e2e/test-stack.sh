#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# bttfs between other people's programs.  Above: QEMU's tools, its storage
# daemon and nbdkit read and write the file and serve it on.  Below: a disk that
# comes over a network, which goes, and comes back.

time_limit=280
. "$(dirname "$0")/functions.sh"
requires root fuse programs qemu-img qemu-storage-daemon nbdkit nbdfuse \
    nbdcopy nbdinfo

mnt=$work/mnt
image=$work/disk
socket=$work/socket
size=$((24 << 20))
mkdev "$image" 32M 4096
head -c "$size" /dev/urandom >"$work/data"

raw() {
	echo "driver=raw,file.driver=file,file.filename=$1,file.locking=off"
}

test_qemu_img() {
	local aio direct=cache.direct=on
	mount_bttfs "$image" "$mnt"
	check "convert" qemu-img convert -n -t none -T none -O raw -f raw \
	    "$work/data" "$file"
	check "what was converted differs" cmp -n "$size" "$work/data" "$file"
	check "compare" qemu-img compare -q --image-opts \
	    "driver=raw,size=$size,file.driver=file,file.filename=$file" \
	    "driver=raw,file.driver=file,file.filename=$work/data"
	for aio in threads native io_uring; do
		check "bench of writes, $aio" qemu-img bench -q -w -c 500 -d 16 \
		    -s 4096 -t none --image-opts \
		    "$(raw "$file"),file.aio=$aio,file.$direct" \
		    >"$work/out"
		check "bench of reads of 512 bytes, $aio" qemu-img bench -q \
		    -c 500 -d 16 -s 512 -t none --image-opts \
		    "$(raw "$file"),file.aio=$aio,file.$direct" >"$work/out"
	done
	# Written by parts, a hole is a hole: the map says so.
	check "discard" fallocate --punch-hole -o 8M -l 8M "$file"
	qemu-img map -f raw --output=json "$file" >"$work/map"
	check "qemu-img does not see the hole" grep -q '"data": false' "$work/map"
	umount_bttfs "$mnt"
	check "not clean" is_clean "$image"
}

# served WHAT COMMAND...: it serves the file at $socket; written and read so.
served() {
	local what=$1
	shift
	rm -f "$socket"
	background "$work/server.out" "$@"
	check "$what does not listen" wait_for 30 test -S "$socket"
	check "$what: writing" nbdcopy --flush "$work/data" \
	    "nbd+unix:///disk?socket=$socket"
	check "$what: reading" nbdcopy "nbd+unix:///disk?socket=$socket" \
	    "$work/copy"
	check "$what: not what was written" cmp -n "$size" "$work/data" \
	    "$work/copy"
	kill -TERM "$child"
	end_of 30 "$child"
	check "$what: not in the file" cmp -n "$size" "$work/data" "$file"
}

test_above() {
	mount_bttfs "$image" "$mnt" durability=write
	served "qemu-storage-daemon" qemu-storage-daemon \
	    --blockdev "node-name=d,$(raw "$file"),file.cache.direct=on" \
	    --nbd-server "addr.type=unix,addr.path=$socket" \
	    --export type=nbd,id=e,node-name=d,name=disk,writable=on
	head -c "$size" /dev/urandom >"$work/data"
	served "nbdkit" nbdkit -f --exit-with-parent -U "$socket" -e disk \
	    file "$file"
	umount_bttfs "$mnt"
	check "not clean" is_clean "$image"
}

# For a virtual machine; what speaks to the socket is a guest's driver, here
# there is none.
test_vhost_user() {
	mount_bttfs "$image" "$mnt"
	rm -f "$socket"
	background "$work/server.out" qemu-storage-daemon \
	    --blockdev "node-name=d,$(raw "$file"),file.cache.direct=on" \
	    --export "type=vhost-user-blk,id=e,node-name=d,writable=on,addr.type=unix,addr.path=$socket,logical-block-size=4096"
	check "no vhost-user-blk" wait_for 30 test -S "$socket"
	{
		kill_child "$child" # nicely, it does not end
	} 2>/dev/null
	forget kill_child "$child"
	umount_bttfs "$mnt"
}

# --- Below ------------------------------------------------------------------

remote=$work/remote
far=$work/far.sock

far_begins() {
	rm -f "$far"
	background "$work/far.out" nbdkit -f --exit-with-parent -U "$far" \
	    file "$work/far"
	far_server=$child
	wait_for 30 test -S "$far" || die "nbdkit does not listen"
	background "$work/near.out" nbdfuse "$remote" --unix "$far"
	near=$child
	wait_for 30 test -s "$remote/nbd" || die "nbdfuse shows nothing"
	defer unmount "$remote"
}
far_ends() {
	unmount "$remote"
	forget unmount "$remote"
	end_of 30 "$near"
	kill_child "$far_server"
	forget kill_child "$far_server"
}

write_at() {
	dd if="$work/data" of="$file" bs=4096 count=1 seek="$1" conv=notrunc \
	    oflag=direct,dsync status=none 2>>"$work/dd.err"
}

test_below() {
	mkdir "$remote"
	truncate -s 40M "$work/far"
	far_begins
	# It is not ours to know that there are no holes far away.
	check "create" "$bttctl" create --quiet --force --sparse "$remote/nbd"
	mount_bttfs "$remote/nbd" "$mnt" sparse,name=disk
	check "writing" dd if="$work/data" of="$file" bs=1M conv=notrunc \
	    oflag=direct status=none
	check "syncing" sync "$file"
	check "not what was written" cmp -n "$size" "$work/data" "$file"

	# The network goes away: errors, not silence; the daemon stays.
	kill -KILL "$far_server"
	wait "$far_server" 2>/dev/null
	forget kill_child "$far_server"
	check "a write is durable without its disk" eval '! write_at 1'
	check "the daemon ends with its disk" is_running "${daemons[$mnt]}"
	check "the file is gone" test -f "$file"
	end_after_loss
	unmount "$remote"
	forget unmount "$remote"
	end_of 30 "$near"

	# It comes back, and everything that was durable with it.
	far_begins
	mount_bttfs "$remote/nbd" "$mnt" sparse,name=disk
	check "what was durable is not there" cmp -n $((size - 8192)) \
	    -i 8192 "$work/data" "$file"
	check "writing after its return" write_at 2
	umount_bttfs "$mnt"
	check "not clean" is_clean "$remote/nbd"
	far_ends
}
# Its status may tell of what it could not make durable.
end_after_loss() {
	local pid=${daemons[$mnt]}
	umount "$mnt" || fail "$mnt cannot be unmounted"
	end_of 60 "$pid"
	unset "daemons[$mnt]" "connections[$mnt]"
	forget unmount "$mnt"
}

test_qemu_img
test_above
test_vhost_user
test_below
finish
