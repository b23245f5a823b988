#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The file is an honest disk: any offset and length, a fixed size with ENOSPC
# at its end, zeroing that zeroes, holes that are holes, truthful numbers, its
# own permissions.

time_limit=240
. "$(dirname "$0")/functions.sh"
requires root fuse programs python3 cmp setpriv
make_shm

mnt=$work/mnt
image=$work/disk

test_random_requests() {
	local sector where options
	for sector in 512 4096; do
		for where in "$work page" "$shm cacheline" "$shm byte"; do
			options=granularity=${where#* }
			note "random requests, $sector, $options"
			mkdev "${where% *}/disk" 18M "$sector"
			mount_bttfs "${where% *}/disk" "$mnt" "$options"
			check "random requests, $sector, $options" \
			    "$support/shadow.py" -n 3000 -s "$RANDOM" \
			    -t "$sector" "$file"
			cp "$file" "$work/before"
			umount_bttfs "$mnt"
			check "not clean" is_clean "${where% *}/disk"
			mount_bttfs "${where% *}/disk" "$mnt" ro
			check "other bytes after a remount" \
			    cmp "$work/before" "$file"
			umount_bttfs "$mnt"
			rm -f "${where% *}/disk" "$work/before"
		done
	done
}

# Whoever writes a part of a sector must not undo what others write into it.
test_parts() {
	local sector where
	for sector in 512 4096; do
		for where in "$work page" "$shm cacheline"; do
			mkdev "${where% *}/disk" 18M "$sector"
			mount_bttfs "${where% *}/disk" "$mnt" \
			    "granularity=${where#* },durability=flush"
			check "parts of $sector, ${where#* }" \
			    "$support/parts.py" -t "$sector" "$file"
			umount_bttfs "$mnt"
			check "not clean" is_clean "${where% *}/disk"
			rm -f "${where% *}/disk"
		done
	done
}

test_size() {
	local size
	mkdev "$image" 20M 4096
	mount_bttfs "$image" "$mnt"
	size=$(stat -c %s "$file")
	same "size of whole sectors" 0 $((size % 4096))
	same "blocks of a file without holes" $((size / 512)) \
	    "$(stat -c %b "$file")"
	same "size as statfs tells it" "$size" \
	    $(($(stat -f -c '%S * %b' "$mnt")))
	same "entries of the directory" disk "$(ls "$mnt")"

	expect_error 'No space left' dd if=/dev/zero of="$file" bs=1 count=1 \
	    oflag=seek_bytes seek="$size" conv=notrunc
	expect_error 'No space left' dd if=/dev/zero of="$file" bs=4096 \
	    count=1 oflag=seek_bytes,direct seek=$((size + 4096)) conv=notrunc
	same "bytes read at the end" 0 "$(dd if="$file" bs=4096 count=1 \
	    iflag=skip_bytes skip="$size" status=none | wc -c)"
	same "bytes read over the end" 100 "$(dd if="$file" bs=4096 count=1 \
	    iflag=skip_bytes skip=$((size - 100)) status=none | wc -c)"
	expect_error 'No space left' fallocate -l $((size + 4096)) "$file"
	check "allocating what is there" fallocate -l "$size" "$file"
	expect_error . truncate -s $((size / 2)) "$file"
	expect_error . truncate -s $((size * 2)) "$file"
	check "opening with O_TRUNC" dd if=/dev/zero of="$file" bs=4096 \
	    count=1 status=none
	same "the size after all that" "$size" "$(stat -c %s "$file")"
	expect_error . mkdir "$mnt/directory"
	expect_error . touch "$mnt/file"
	expect_error . rm "$file"
	expect_error . mv "$file" "$mnt/other"
	umount_bttfs "$mnt"
	check "not clean" is_clean "$image"
	rm -f "$image"
}

# Punched sectors are holes, written ones are not.
test_holes() {
	mkdev "$image" 20M 4096
	# With durability=flush zeroes may wait for a commit as data does.
	mount_bttfs "$image" "$mnt" durability=write
	dd if=/dev/urandom of="$file" bs=4096 seek=100 count=10 conv=notrunc \
	    status=none
	check "fallocate --punch-hole" fallocate -p -o $((104 * 4096)) \
	    -l 8192 "$file"
	same "the punched bytes" 0 "$(dd if="$file" bs=4096 skip=104 count=2 \
	    status=none | tr -d '\0' | wc -c)"
	same "data among holes" "$((100 * 4096)) $((104 * 4096))" \
	    "$(python3 -c '
import os, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
print(os.lseek(fd, 100 * 4096, os.SEEK_DATA),
      os.lseek(fd, 100 * 4096, os.SEEK_HOLE))' "$file")"
	umount_bttfs "$mnt"
	rm -f "$image"
}

# O_DIRECT wants 512 bytes, as a disk does; smaller is refused, not fixed up.
test_direct_alignment() {
	mkdev "$image" 20M 4096
	mount_bttfs "$image" "$mnt"
	check "512 bytes, O_DIRECT" dd if=/dev/zero of="$file" bs=512 seek=3 \
	    count=1 oflag=direct conv=notrunc status=none
	expect_error 'Invalid argument' python3 -c '
import mmap, os, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_DIRECT)
buffer = mmap.mmap(-1, 4096)
os.preadv(fd, [memoryview(buffer)[:100]], 0)' "$file"
	check "mmap" python3 -c '
import mmap, os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
memory = mmap.mmap(fd, 65536)
memory[10000:10005] = b"bttfs"
memory.flush()
memory.close()
assert os.pread(fd, 5, 10000) == b"bttfs", "not what was mapped"' "$file"
	umount_bttfs "$mnt"
	rm -f "$image"
}

as_nobody() {
	setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
}

test_permissions() {
	# Others must get as far as the mount point, which they need not in a
	# build directory of root's.
	local mnt=$shm/mnt
	chmod 711 "$shm"
	mkdev "$image" 20M 4096
	mount_bttfs "$image" "$mnt"
	same "mode, owner and group" "600 0 0" "$(stat -c '%a %u %g' "$file")"
	expect_error denied as_nobody head -c 1 "$file"
	umount_bttfs "$mnt"

	mount_bttfs "$image" "$mnt" \
	    allow_other,mode=640,uid=65534,gid=7,name=sda
	same "mode, owner and group as asked for" "640 65534 7" \
	    "$(stat -c '%a %u %g' "$file")"
	check "its owner cannot write" as_nobody \
	    dd if=/dev/zero of="$file" bs=4096 count=1 conv=notrunc status=none
	umount_bttfs "$mnt"

	mount_bttfs "$image" "$mnt" allow_other,mode=600
	expect_error denied as_nobody head -c 1 "$file"
	umount_bttfs "$mnt"

	mount_bttfs "$image" "$mnt" ro
	expect_error 'Read-only' \
	    dd if=/dev/zero of="$file" bs=4096 count=1 conv=notrunc
	umount_bttfs "$mnt"
	rm -f "$image"
}

# Two writers and a reader, each with the file open on its own.
test_openers() {
	local half
	mkdev "$image" 20M 4096
	mount_bttfs "$image" "$mnt"
	half=$(($(stat -c %s "$file") / 2 / 1048576))
	head -c "${half}M" /dev/urandom >"$work/a"
	head -c "${half}M" /dev/urandom >"$work/b"
	background "$work/dd.out" dd if="$work/a" of="$file" bs=1M \
	    conv=notrunc,fsync status=none
	check "second writer" dd if="$work/b" of="$file" bs=1M \
	    seek="$half" conv=notrunc,fsync status=none
	end_of 60 "$child"
	same "first writer" 0 "$child_status"
	check "first half" cmp -n $((half << 20)) "$work/a" "$file"
	check "second half" cmp -n $((half << 20)) -i "0:$((half << 20))" \
	    "$work/b" "$file"
	umount_bttfs "$mnt"
	check "not clean" is_clean "$image"
	rm -f "$image"
}

test_random_requests
test_parts
test_size
test_holes
test_direct_alignment
test_permissions
test_openers
finish
