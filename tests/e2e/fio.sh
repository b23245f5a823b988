# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# Sourced by the tests that use fio, after functions.sh, which sets work.
# shellcheck disable=SC2154

# fio_verify WHAT TARGET OPTION...: four jobs, each in its quarter of the
# target, write blocks of random sizes that hold their own checksum, and read
# them back: those just written at once, and all of them in the end.
fio_verify() {
	local what=$1 target=$2 size quarter
	shift 2
	size=$(blockdev --getsize64 "$target" 2>/dev/null ||
	    stat -c %s "$target")
	quarter=$((size / 4 / 65536 * 65536))
	if fio --name=verify --filename="$target" --allow_file_create=0 \
	    --numjobs=4 --size="$quarter" --offset_increment="$quarter" \
	    --io_size="${fio_bytes:-$quarter}" --rw=randwrite \
	    --verify=crc32c --verify_fatal=1 --verify_backlog=256 --verify_state_save=0 \
	    --randseed="${fio_seed:-1}" --group_reporting --output-format=terse \
	    "$@" >"$work/fio.out" 2>&1; then
		ok
	else
		cat "$work/fio.out" >&2
		fail "fio: $what"
	fi
}

# fio_verify_all WHAT TARGET: the ways in which programs read and write.
fio_verify_all() {
	local what=$1 target=$2
	fio_verify "$what, direct, sizes 512 to 64K" "$target" \
	    --direct=1 --ioengine=libaio --iodepth=8 --bsrange=512-64k
	fio_verify "$what, direct, 4K, synced now and then" "$target" \
	    --direct=1 --ioengine=psync --bs=4k --fdatasync=32 --rw=randrw
	fio_verify "$what, cached" "$target" \
	    --direct=0 --ioengine=psync --bsrange=512-128k --fsync=64
}

# Of a file, not of a block device: any offset, any length.
fio_verify_bytes() {
	fio_verify "$1, at any byte" "$2" --direct=0 --ioengine=psync \
	    --bsrange=100-9000 --bs_unaligned --blockalign=1
}
