#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# bttctl as people call it: create, info and check, their texts, their exit
# statuses (UI-1; fsck(8) for check), and what they must refuse to do.

time_limit=500
. "$(dirname "$0")/functions.sh"
. "$(dirname "$0")/ctl.sh"

MIB=$((1 << 20))
uuid=00112233-4455-6677-8899-aabbccddeeff

# fresh NAME: a path at which nothing is.
fresh() {
	image=$work/$1
	rm -f "$image"
}

test_command_line() {
	run 129
	said err '^usage: bttctl'
	silent out
	run 129 chek
	said err "did you mean 'check'\?"
	run 129 frobnicate
	said err "bttctl help"
	run 129 create
	said err 'PATH is missing'
	said err '^usage: bttctl create'
	run 129 create --sise 1M "$work/x"
	said err 'did you mean --size\?'
	run 129 create -s 12X "$work/x"
	said err 'not a size'
	run 129 create --layout 3.0 "$work/x"
	said err 'not one of 1.1 2.0 pool'
	run 129 info a b
	said err 'one too many: b'
	run 16 check
	said err '^usage: bttctl check'
	run 16 check --frob "$work/x"
	run 0 --version
	said out '^bttctl [0-9]+\.[0-9]+'
	run 0 help
	said out '^  check '
	run 0 help create
	said out '^usage: bttctl create'
	silent err
	run 0 check --help
	said out '--json'
	run 129 help chek
	check 'nothing was made' test ! -e "$work/x"
}

# One table makes usage, help and the lists; the manual must keep up.
test_manual_has_every_option() {
	local manual=$top/man/bttctl.8 command option commands options
	[ -r "$manual" ] || { fail "$manual is missing"; return; }
	run 0 --list-cmds
	mapfile -t commands <"$work/out"
	for command in "${commands[@]}"; do
		check "the manual lacks the command $command" \
		    grep -Eq "^\.(It|Cm|Nm).*\b$command\b" "$manual"
		case $command in
		help | version) continue ;;
		esac
		run 0 --list-opts "$command"
		mapfile -t options < <(grep -v '^--help$' "$work/out")
		for option in "${options[@]}"; do
			check "the manual lacks $command $option" \
			    grep -q -- "^\.It.* Fl -${option#--}\b" "$manual"
		done
	done
	if ! have mandoc; then
		skip_part "mandoc is missing"
		return
	fi
	for command in "${commands[@]}"; do
		case $command in
		help | version) continue ;;
		esac
		"$bttctl" "$command" --help | sed -n '1,/^$/p' |
		    sed 's/^usage: *//' | tr -s ' \n' ' ' >"$work/usage"
		check "the manual's synopsis of $command is not its usage" \
		    test -n "$(mandoc -Tascii "$manual" | sed 's/.\x08//g' |
			sed -n '/^SYNOPSIS/,/^DESCRIPTION/p' |
			tr -s ' \n' ' ' |
			grep -oF -- "$(sed 's/ $//' "$work/usage")")"
	done
}

# Every sector size in all layouts: made, shown, and clean.
test_every_format() {
	local sector layout
	for layout in 1.1 2.0 pool; do
		for sector in 512 520 528 4096 4104 4160 4224 1024 2048 \
		    8192 16384 32768; do
			fresh every.img
			run 0 create -s 33M --sector $sector \
			    --layout $layout "$image"
			said out "^  layout +$layout\$"
			said out "^  sectors .* of $sector bytes"
			silent err
			same 'size' $((33 * MIB)) "$(stat -c %s "$image")"
			same 'mode' 600 "$(stat -c %a "$image")"
			run 0 info "$image"
			said out "^  layout +$layout\$"
			said out "^  external_lbasize +$sector\$"
			said out '^  state +valid, both copies$'
			silent err
			run 0 check "$image"
			said out ': clean$'
			silent err
		done
	done
	# 65536 bytes need room for 256 free blocks
	fresh every.img
	run 228 create -s 16M --sector 65536 "$image"
	said err 'too small'
	check 'nothing was made' test ! -e "$image"
	run 0 create -s 64M --sector 65536 "$image"
	run 0 check "$image"
}

# What libpmemblk asks of a pool beyond its BTT.
test_pool() {
	fresh pool.img
	run 234 create -s 64M --layout pool --nfree 512 "$image"
	said err 'a pool has 256 free blocks'
	run 234 create -s 64M --layout pool --parent-uuid \
	    00000000-0000-0000-0000-000000000000 "$image"
	said err "the pool's, is null"
	run 228 create -s 16785404 --layout pool "$image"
	said err '16785408 bytes at least'
	check 'nothing was made' test ! -e "$image"
	# by default as many free blocks as libpmemblk knows, and uuids
	run 0 create -s 300M --layout pool --json "$image"
	same 'free blocks' 256 "$(json 'data[0]["nfree"]')"
	same 'a pool has a uuid' False \
	    "$(json 'set(data[0]["raw_uuid"]) <= set("0-")')"
	run 0 create --force --layout pool --parent-uuid $uuid "$image"
	same 'uuid of the pool' "${uuid//-/}" \
	    "$(od -An -tx1 -j24 -N16 "$image" | tr -d ' \n')"
	if have pmempool; then
		check 'pmempool check' pmempool check -q "$image"
		pmempool info "$image" >"$work/out" 2>"$work/err"
		said out 'Checksum .* \[OK\]'
		said out '^Block size +: 4096$'
		said out '^\[ARENA 0\]$'
		silent err
	else
		skip_part "no pmempool"
	fi
	# one that was never written to is not made so unasked
	dd if=/dev/zero of="$image" bs=4096 count=1 seek=2 conv=notrunc \
	    status=none
	dd if=/dev/zero of="$image" bs=4096 count=1 conv=notrunc status=none \
	    seek=$((300 * MIB / 4096 - 1))
	run 132 info "$image"
	said err 'nothing was ever written to it'
	said err 'bttctl create --force --layout pool'
}

# The label area goes with all the rest, but not unasked.
test_labels() {
	have xz || { skip_part "no xz"; return; }
	image=$work/labels.img
	xz -dc "$top/tests/fixtures/labels-v12.img.xz" >"$image"
	run 180 info "$image"
	said out '^ +0 +alpha '
	said out '^ +1 +beta '
	said err "choose one: 0 'alpha', 1 'beta'"
	run 0 info -n beta "$image"
	said out "^  namespace +1 'beta'"
	said out '^  sectors +32202 of 512 bytes'
	run 0 info --json --namespace 0 "$image"
	same 'name' alpha "$(json 'data[0]["namespace"]["name"]')"
	same 'namespaces' 3 "$(json 'len(data[0]["labels"]["namespaces"])')"
	run 254 info -n delta "$image"
	said err "no namespace has the name, uuid or number 'delta'"
	run 132 info -n gamma "$image"
	run 8 check "$image"
	said err 'choose one'
	run 0 check -n alpha "$image"
	run 239 create "$image"
	said err "holds a BTT \(2 namespaces"
	run 0 create --force "$image"
	run 0 info "$image"
	check 'labels are left' sh -c "! grep -q namespace '$work/out'"
}

# Numbers that the Linux driver gave for the same sizes (btt-format.md 13.2).
test_geometry_of_the_kernel() {
	local size sector layout nsector
	while read -r size sector layout nsector; do
		fresh geometry.img
		run 0 create -s "$size" --sector "$sector" \
		    --layout "$layout" "$image"
		said out "^  sectors +$nsector of $sector bytes\$"
	done <<-end
		16781312 4096 1.1 3829
		33554432 520 1.1 57539
		33554432 528 1.1 57539
		33554432 4096 1.1 7920
		33554432 4104 1.1 7794
		33554432 4160 1.1 7794
		33554432 4224 1.1 7672
		67108864 512 1.1 129736
		50331648 4096 2.0 12013
	end
	# whole pages, however the size was written
	fresh geometry.img
	run 0 create -s 20.3M "$image"
	same 'size' $((203 * MIB / 10 / 4096 * 4096)) \
	    "$(stat -c %s "$image")"
	fresh geometry.img
	run 228 create -s 16777216 "$image"
	run 0 create -s 16777216 --layout 2.0 "$image"
}

# What the Linux driver makes of an empty namespace, byte by byte.
test_bytes_of_the_kernel() {
	local fixture name sector
	if ! ls "$shared"/fixtures/kernel/fresh-*.img.xz >/dev/null 2>&1; then
		skip_part "../shared/fixtures is absent"
		return
	fi
	for fixture in "$shared"/fixtures/kernel/fresh-*.img.xz; do
		name=$(basename "$fixture" .img.xz)
		sector=${name#fresh-}
		sector=${sector%-*}
		xz -dc "$fixture" >"$work/kernel.img"
		fresh ours.img
		run 0 create -s "${name##*-}" --sector "$sector" --nfree 256 \
		    -u "$(sed -n 's/.* uuid \([^ ]*\).*/\1/p' \
			"${fixture%.img.xz}.geometry.txt")" "$image"
		check "$name differs from the kernel's" \
		    cmp "$work/kernel.img" "$image"
		run 0 check "$work/kernel.img"
		said out ': clean$'
	done
	rm -f "$work/kernel.img"
}

test_identity() {
	fresh identity.img
	run 0 create -s 17M -u $uuid \
	    --parent-uuid ffeeddcc-bbaa-9988-7766-554433221100 "$image"
	said out "^  uuid +$uuid\$"
	run 0 info "$image"
	said out "^  uuid +$uuid\$"
	said out '^  parent_uuid +ffeeddcc-bbaa-9988-7766-554433221100$'
	# two made one after the other are not the same
	fresh identity.img
	run 0 create -s 17M "$image"
	mv "$work/out" "$work/first"
	rm "$image"
	run 0 create -s 17M "$image"
	check 'two BTTs have the same uuid' \
	    test "$(grep uuid "$work/out")" != "$(grep uuid "$work/first")"
}

test_nfree() {
	fresh nfree.img
	run 0 create -s 64M "$image"
	said out '^  free blocks +256 \(default\)'
	fresh nfree.img
	run 0 create -s 256M --sector 512 "$image"
	said out '^  free blocks +4096 \('
	run 0 check "$image"
	fresh nfree.img
	run 0 create -s 256M --nfree 300 "$image"
	said out '^  free blocks +300 \(as asked\)'
	run 0 info "$image"
	said out '^  nfree +300$'
	# 4096 blocks of 16 KiB are a quarter of it
	fresh nfree.img
	run 0 create -s 256M --sector 16384 "$image"
	said out '^  free blocks +256 '
	# a last arena that has no room for as many is left out
	fresh nfree.img
	run 0 create --sparse -s $(((512 << 30) + 16 * MIB + 8192)) "$image"
	said out '^  free blocks +4096 '
	run 0 check "$image"
	fresh nfree.img
	run 234 create -s 64M --nfree 255 "$image"
	said err '255 free blocks'
	run 234 create -s 64M --sector 1000 "$image"
	said err 'sectors of 1000 bytes'
	run 228 create -s 17M --nfree 65536 "$image"
	check 'nothing was made' test ! -e "$image"
}

test_json() {
	if ! have python3; then
		skip_part "python3 is missing"
		return
	fi
	fresh json.img
	run 0 create --json -s 33554432 -u $uuid "$image"
	silent err
	same file "$image" "$(json 'data[0]["file"]')"
	same 'size is what users see' $((7920 * 4096)) \
	    "$(json 'data[0]["size"]')"
	same uuid $uuid "$(json 'data[0]["uuid"]')"
	same 'keys' "['backing_size', 'file', 'layout', 'mode', 'narenas', \
'nfree', 'overhead_size', 'raw_uuid', 'sector_size', 'sectors', 'size', \
'uuid']" "$(json 'sorted(data[0])')"
	run 0 info --json "$image"
	silent err
	same state ok "$(json 'data[0]["state"]')"
	same mode sector "$(json 'data[0]["mode"]')"
	same arenas 1 "$(json 'len(data[0]["arenas"])')"
	same copies "['primary', 'backup']" "$(json \
	    '[c["copy"] for c in data[0]["arenas"][0]["infoblocks"]]')"
	same 'ndctl keys' "[]" "$(json '[key for key in "signature uuid \
parent_uuid flags version external_lbasize external_nlba internal_lbasize \
internal_nlba nfree infosize nextoff dataoff mapoff logoff info2off".split() \
for copy in data[0]["arenas"][0]["infoblocks"] if key not in copy]')"
	same mapoff 33497088 \
	    "$(json 'data[0]["arenas"][0]["infoblocks"][1]["mapoff"]')"
	run 0 check --json "$image"
	silent err
	same verdict clean "$(json 'data[0]["verdict"]')"
	same sectors 7920 "$(json 'data[0]["sectors"]')"
	same initial 7920 "$(json 'data[0]["map_initial"]')"
	# a name that must be escaped
	fresh $'a "quoted\\ name\nof two lines'
	run 0 create -q -s 17M "$image"
	run 0 info --json "$image"
	same 'odd name' "$(printf '%s' "$image" | od -An -tx1)" \
	    "$(printf '%s' "$(json 'data[0]["file"]')" | od -An -tx1)"
	rm -f "$image"
}

test_refuses_what_holds_something() {
	fresh full.img
	run 254 create "$image"
	said err 'does not exist'
	run 0 create -q -s 64M -u $uuid "$image"
	silent out err
	run 239 create "$image"
	said err "holds a BTT of .*, uuid $uuid; --force"
	run 239 create -s 32M "$image"
	run 0 create --force "$image"
	said out ': created$'
	check 'a new uuid' test -z "$(grep $uuid "$work/out")"

	# its primary info block is gone: the backup still shows
	dd if=/dev/zero of="$image" bs=1M count=1 conv=notrunc status=none
	run 239 create "$image"
	said err 'holds a BTT'

	fresh full.img
	truncate -s 64M "$image"
	printf x | dd of="$image" bs=1 seek=$((40 * MIB + 4321)) \
	    conv=notrunc status=none
	run 239 create "$image"
	said err "holds data \(the byte at $((40 * MIB + 4321)) is 0x78\)"
	fresh full.img
	truncate -s 64M "$image"
	printf y | dd of="$image" bs=1 seek=$((64 * MIB - 1)) \
	    conv=notrunc status=none
	run 239 create "$image"
	said err "the byte at $((64 * MIB - 1)) is 0x79"
	same 'it is untouched' y "$(tail -c 1 "$image")"

	# nothing but zeroes is nothing
	fresh full.img
	truncate -s 64M "$image"
	run 0 create "$image"
	fresh full.img
	: >"$image"
	run 234 create "$image"
	said err 'is empty; give a size'
	run 0 create -s 64M "$image"

	# growing and cutting
	fresh full.img
	truncate -s 32M "$image"
	run 0 create -s 64M "$image"
	same 'grown' $((64 * MIB)) "$(stat -c %s "$image")"
	fresh full.img
	truncate -s 64M "$image"
	run 239 create -s 32M "$image"
	said err 'is longer, 64 MiB .*--force'
	run 0 create -f -s 32M "$image"
	same 'cut' $((32 * MIB)) "$(stat -c %s "$image")"

	if have mkfs.ext4; then
		mkfs.ext4 -q -F -L mylabel "$image"
		run 239 create "$image"
		said err "holds a file system, ext4 'mylabel'; --force"
		run 0 create --force "$image"
		run 0 check "$image"
	else
		skip_part "mkfs.ext4 is missing"
	fi
	# a master boot record with one partition
	fresh full.img
	truncate -s 64M "$image"
	printf '\x80\0\0\0\x83\0\0\0\0\x08\0\0\0\x80\0\0' | dd of="$image" \
	    bs=1 seek=446 conv=notrunc status=none
	printf '\x55\xaa' | dd of="$image" bs=1 seek=510 conv=notrunc \
	    status=none
	run 239 create "$image"
	said err 'holds a partition table \(dos\)'
}

test_refuses_what_is_no_backing() {
	run 234 create -s 64M "$work"
	said err "$work: neither a file nor a block device"
	run 234 create -s 64M /dev/null
	said err 'neither a file nor a block device'
	mkfifo "$work/fifo"
	run 234 create -s 64M "$work/fifo"
	run 254 create -s 64M "$work/nowhere/x"
	run 254 info "$work/nowhere"
	said err "nowhere: No such file"
	run 8 check "$work/nowhere"
	run 8 check "$work"
	run 8 check "$work/fifo"
	run 234 info /dev/zero
	run 8 check /dev/zero
}

# Old data must not show through sectors that were never written.
test_old_data_is_gone() {
	fresh old.img
	yes 'old secret' | head -c $((40 * MIB)) >"$image"
	run 239 create "$image"
	said err 'holds data'
	run 0 create -v --force "$image"
	said out '^  backing +(zeroed in place|freed|written)'
	check 'old data shows' sh -c "! grep -aq secret '$image'"
	run 0 check "$image"
	# of a pool, whose sectors read as zeroes whatever is there
	yes 'old secret' | head -c $((40 * MIB)) >"$image"
	run 0 create -v --force --layout pool "$image"
	check 'old data shows' sh -c "! grep -aq secret '$image'"
	run 0 check "$image"
	# sparse: its blocks are given back
	yes 'old secret' | head -c $((40 * MIB)) >"$image"
	run 0 create -v --force --sparse "$image"
	check 'old data shows' sh -c "! grep -aq secret '$image'"

	[ "$(id -u)" -eq 0 ] || { skip_part "no root, no loop device"; return; }
	yes 'old secret' | head -c $((40 * MIB)) >"$image"
	[ -c /dev/loop-control ] || { skip_part "no loop device"; return; }
	mkloop "$image"
	run 239 create "$loop"
	said err 'holds data'
	run 234 create --force -s 20M "$loop"
	said err "has $((40 * MIB)) bytes, not $((20 * MIB))"
	run 0 create --force -v -s 40M "$loop"
	said out '^  backing +(zeroed by the device|written)'
	run 0 check "$loop"
	run 0 info "$loop"
	sync -f "$image"
	check 'old data shows' sh -c "! grep -aq secret '$image'"
	run 0 check "$image"
}

test_block_device_in_use() {
	if ! mount_image ext4 "$work/held" 64M mkfs.ext4 -q -F; then
		skip_part "no root, no loop device or no mkfs.ext4"
		return
	fi
	run 240 create --force "$loop"
	said err 'in use: mounted'
	run 8 check "$loop"
	run 240 info "$loop"
}

# hold COMMAND...: start what locks the image, and wait until it has.  It tells
# so by a line into one FIFO, and ends when there is one in the other.
hold() {
	"$@" &
	holder=$!
	defer kill_child "$holder"
	read -r _ <"$work/locked"
}

# refused PATTERN: by create, check and info alike, while it is held.
refused() {
	run 240 create --force "$image"
	said err "$image: $1"
	run 8 check "$image"
	said err "$image: $1"
	run 240 info "$image"
	said err "$image: $1"
	echo >"$work/done"
	end_of 60 "$holder"
	run 0 check "$image"
}

test_held_file() {
	local holder
	fresh locked.img
	run 0 create -q -s 17M "$image"
	mkfifo "$work/locked" "$work/done"
	# shellcheck disable=SC2016 # the inner shell expands them
	hold flock -x "$image" sh -c 'echo >"$0"; read -r _ <"$1"' \
	    "$work/locked" "$work/done"
	refused "in use by flock \\(process $holder\\)"
	if ! have python3; then
		skip_part "python3 is missing"
		return
	fi
	# locks of the other kind, which flock(2) does not see
	hold python3 -c '
import fcntl, sys
with open(sys.argv[1], "r+b") as image:
    fcntl.lockf(image, fcntl.LOCK_EX)
    open(sys.argv[2], "w").write("\n")
    open(sys.argv[3]).readline()' "$image" "$work/locked" "$work/done"
	refused "in use by .* \\(process $holder\\)"
}

test_allocation() {
	fresh allocated.img
	run 0 create -s 64M -v "$image"
	said out '^  backing +(allocated|written with zeroes)'
	check 'it has holes' \
	    test "$(($(stat -c %b "$image") * 512))" -ge $((64 * MIB))
	fresh sparse.img
	run 0 create -s 64M --sparse -v "$image"
	said out '^  backing +left sparse'
	check 'it was allocated' \
	    test "$(($(stat -c %b "$image") * 512))" -lt $((8 * MIB))
	run 0 check "$image"
	# a limit of the shell is an error, not a death
	fresh limited.img
	(
		ulimit -f 4096
		"$bttctl" create -s 64M "$image" >"$work/out" 2>"$work/err"
	)
	same 'file size limit' 229 $?
	check 'the file stayed' test ! -e "$image"
}

test_no_space() {
	if ! mount_image ext4 "$work/small" 48M mkfs.ext4 -q -F; then
		skip_part "no root, no loop device or no mkfs.ext4"
		return
	fi
	run 228 create -s 64M "$work/small/x"
	said err 'more are needed, the file system has .* free'
	check 'the file stayed' test ! -e "$work/small/x"
	run 0 create -s 20M "$work/small/x"
	run 228 create --force -s 64M "$work/small/x"
	same 'its size is as before' $((20 * MIB)) \
	    "$(stat -c %s "$work/small/x")"
	run 0 check "$work/small/x"
}

# ext2 cannot allocate without writing; posix_fallocate would do it badly.
test_file_system_without_fallocate() {
	if ! mount_image ext2 "$work/ext2" 160M mkfs.ext2 -q -F; then
		skip_part "no root, no loop device or no ext2"
		return
	fi
	run 0 create -s 64M -v "$work/ext2/x"
	said out '^  backing +written with zeroes'
	check 'it has holes' test \
	    "$(($(stat -c %b "$work/ext2/x") * 512))" -ge $((64 * MIB))
	run 0 check "$work/ext2/x"
	run 228 create -s 128M "$work/ext2/y"
	check 'the file stayed' test ! -e "$work/ext2/y"
}

test_copy_on_write() {
	if ! mount_image btrfs "$work/btrfs" 160M mkfs.btrfs -q -f; then
		skip_part "no root, no loop device or no btrfs"
		return
	fi
	run 0 create -s 32M "$work/btrfs/x"
	check 'copy-on-write is on' \
	    sh -c "lsattr '$work/btrfs/x' | grep -q '^[^ ]*C'"
	run 0 check "$work/btrfs/x"
	# one that was made without is refused before it is touched
	yes precious | head -c $((32 * MIB)) >"$work/btrfs/y"
	cp "$work/btrfs/y" "$work/y"
	run 161 create --force "$work/btrfs/y"
	said err 'is copy-on-write'
	check 'it was changed' cmp "$work/y" "$work/btrfs/y"
	run 0 create --force --sparse "$work/btrfs/y"
}

test_interrupt() {
	local name status
	if ! have python3; then
		skip_part "python3 is missing"
		return
	fi
	for name in SIGINT SIGTERM SIGHUP; do
		fresh interrupted.img
		python3 "$support/interrupt_create.py" $name \
		    "$image" "$bttctl" create -s 64M "$image" \
		    >"$work/out" 2>"$work/err"
		status=$?
		case $status in
		0) ok ;;
		77) skip_part "/proc/PID/syscall is missing" ;;
		*) fail "$name while allocating: $(cat "$work/err")" ;;
		esac
	done
}

# An existing file is not ours to remove, whatever goes wrong.
test_failure_keeps_old_files() {
	fresh mine.img
	echo precious >"$image"
	run 228 create --force "$image"
	same 'content' precious "$(cat "$image")"
	run 239 create -s 64M "$image"
	same 'content' precious "$(cat "$image")"
}

test_lost_output() {
	[ -w /dev/full ] || { skip_part "/dev/full is missing"; return; }
	fresh output.img
	run 0 create -q -s 17M "$image"
	"$bttctl" info "$image" >/dev/full 2>"$work/err"
	same 'info on a full disk' 251 $?
	"$bttctl" check "$image" >/dev/full 2>"$work/err"
	same 'check on a full disk' 8 $?
}

test_command_line
test_manual_has_every_option
test_every_format
test_pool
test_labels
test_geometry_of_the_kernel
test_bytes_of_the_kernel
test_identity
test_nfree
test_json
test_refuses_what_holds_something
test_refuses_what_is_no_backing
test_old_data_is_gone
test_block_device_in_use
test_held_file
test_allocation
test_no_space
test_file_system_without_fallocate
test_copy_on_write
test_interrupt
test_failure_keeps_old_files
test_lost_output
finish
