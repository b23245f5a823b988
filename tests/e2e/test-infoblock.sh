#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# bttctl read-infoblock says what ndctl says, verifies what it says it does,
# and write-infoblock brings back what was lost and replaces nothing unasked.

time_limit=250
. "$(dirname "$0")/functions.sh"
. "$(dirname "$0")/ctl.sh"
requires programs python3 script

patch=$support/patch_image.py
uuid=00112233-4455-6677-8899-aabbccddeeff
parent=ffeeddcc-bbaa-9988-7766-554433221100

fresh() {
	image=$work/$1
	rm -f "$image" "$image".*
}

# on_terminal STATUS WORDS: bttctl with a terminal for all of its streams.
on_terminal() {
	local status
	ran="bttctl $2 on a terminal"
	script -qec "'$bttctl' $2" "$work/out" >/dev/null </dev/null
	status=$?
	same "$ran" "$1" "$status"
}

# wipe OFFSET...: zeroes over a page.
wipe() {
	local off
	for off; do
		dd if=/dev/zero of="$image" bs=4096 count=1 conv=notrunc \
		    seek=$((off / 4096)) status=none
	done
}

test_read() {
	fresh read.img
	run 0 create -q -s 33M -u $uuid --parent-uuid $parent "$image"
	run 0 read-infoblock --json "$image"
	said err '^read 1 infoblock$'
	same uuid $uuid "$(json 'data[0]["uuid"]')"
	same parent $parent "$(json 'data[0]["parent_uuid"]')"
	same dataoff 4096 "$(json 'data[0]["dataoff"]')"
	same flags 0 "$(json 'data[0]["flags"]')"
	same place '4096 primary 0 valid' "$(json '" ".join(str(data[0][key])
	    for key in ("offset", "copy", "arena", "state"))' | xargs)"
	info2off=$(json 'data[0]["info2off"]')
	run 0 read-infoblock -u "$image"
	same dataoff 0x1000 "$(json 'data[0]["dataoff"]')"
	same flags 0 "$(json 'data[0]["flags"]')"
	same nextoff 0 "$(json 'data[0]["nextoff"]')"
	same nfree 256 "$(json 'data[0]["nfree"]')"
	run 0 read-infoblock --copy 2 -j "$image"
	same place $((4096 + info2off)) "$(json 'data[0]["offset"]')"

	# as they are: to a pipe or a file, and back
	run 0 read-infoblock "$image"
	check 'the bytes' cmp <(dd if="$image" bs=4096 skip=1 count=1 \
	    status=none) "$work/out"
	run 0 read-infoblock -o "$image.block" "$image"
	silent out
	same 'a block' 4096 "$(stat -c %s "$image.block")"
	run 0 read-infoblock -j -i "$image.block"
	same uuid $uuid "$(json 'data[0]["uuid"]')"
	same file "$image.block" "$(json 'data[0]["file"]')"
	"$bttctl" read-infoblock "$image" 2>/dev/null |
	    "$bttctl" read-infoblock -j >"$work/out" 2>"$work/err"
	same 'through a pipe' "$uuid <stdin>" \
	    "$(json 'data[0]["uuid"] + " " + data[0]["file"]')"
	run 0 read-infoblock -j -i "$image"
	same 'from an image' 4096 "$(json 'data[0]["offset"]')"
	run 234 read-infoblock -o "$image" "$image"
	said err 'is the medium itself'
	check 'it is whole' "$bttctl" check -q "$image"

	# numbers from 2^31 on are no negative ones
	"$patch" "$image" info primary external_nlba 0x90000000
	run 0 read-infoblock -j "$image"
	same external_nlba 2415919104 "$(json 'data[0]["external_nlba"]')"
}

test_read_nothing() {
	run 132 read-infoblock -j -i /dev/null
	said err 'there is no info block'
	same 'an empty array' '[]' "$(json data)"
	: >"$work/empty"
	run 132 read-infoblock -i "$work/empty"
	run 254 read-infoblock -i "$work/nowhere"
	run 254 read-infoblock "$work/nowhere"
	run 129 read-infoblock -i "$work/empty" "$work/empty"
	run 129 read-infoblock -i "$work/empty" --arena 1
	on_terminal 129 read-infoblock
	said out 'PATH is missing'
	fresh terminal.img
	run 0 create -q -s 33M "$image"
	on_terminal 234 "read-infoblock '$image'"
	said out 'no text for a terminal'
	on_terminal 0 "read-infoblock -j '$image'"
	on_terminal 234 'write-infoblock -s 1G -c'
	run 254 read-infoblock -j --arena 1 "$image"
	said err 'has no arena 1'
	wipe 4096
	run 139 read-infoblock -j "$image"
	said err 'copy 1 at 4096: missing'
	same state missing "$(json 'data[0]["state"]')"
	run 0 read-infoblock -j --copy 2 "$image"
	wipe $((33 * 1048576 - 4096))
	run 132 read-infoblock -j "$image"
	same 'an empty array' '[]' "$(json data)"
}

# verify PATTERN: it fails, and says so everywhere.
verify_fails() {
	run 139 read-infoblock --verify -j "$image"
	said err "$1"
	same 'verified' False "$(json 'all(b["verified"] for b in data)')"
	same 'problems' True "$(json 'any(b["problems"] for b in data)')"
}

test_verify() {
	fresh verify.img
	run 0 create -q -s 33M -u $uuid "$image"
	cp "$image" "$image.sound"
	run 0 read-infoblock --verify -j "$image"
	same 'verified' True "$(json 'data[0]["verified"]')"
	run 0 read-infoblock --verify --copy 2 -o "$image.block" "$image"
	run 0 read-infoblock --verify -i "$image.block" -j
	"$patch" "$image" sum primary
	verify_fails 'checksum is 0x'
	cp "$image.sound" "$image"
	"$patch" "$image" info both nfree 257
	verify_fails 'internal_nlba'
	cp "$image.sound" "$image"
	"$patch" "$image" info backup uuid0 1
	verify_fails 'the copies are not the same'
	cp "$image.sound" "$image"
	"$patch" "$image" info both info2off 0x4000000
	verify_fails 'info2off 67108864 is beyond the end'
	printf X | dd of="$image.block" bs=1 seek=60 conv=notrunc status=none
	run 139 read-infoblock -V -j -i "$image.block"
	said err 'block at 0: checksum'
	# each arena by itself is sound
	fresh verify.img
	run 0 create -q -s 513G --sparse --sector 16384 -u $uuid "$image"
	run 0 read-infoblock -V -j "$image"
	same 'arenas' 2 "$(json 'len(data)')"
	run 0 read-infoblock -o "$image.blocks" "$image"
	same 'two blocks' 8192 "$(stat -c %s "$image.blocks")"
	run 0 read-infoblock -V -j -i "$image.blocks"
	same 'two blocks' 2 "$(json 'len(data)')"
	python3 - "$image.blocks" "$support" <<-'end'
		import sys
		sys.path.insert(0, sys.argv[2])
		sys.argv[1:] = [sys.argv[1], "info", "both", "uuid0", "5"]
		blocks = bytearray(open(sys.argv[1], "rb").read())
		blocks[4096 + 16] ^= 1
		low = high = 0
		for i in range(4096, 8192 - 8, 4):
		    low = (low + int.from_bytes(blocks[i:i + 4], "little")) % 2**32
		    high = (high + low) % 2**32
		high = (high + 2 * low) % 2**32
		blocks[8184:] = (high << 32 | low).to_bytes(8, "little")
		open(sys.argv[1], "wb").write(blocks)
	end
	run 139 read-infoblock -V -j -i "$image.blocks"
	said err 'block at 4096: uuid is not that of the first block'
}

# ndctl's keys, in its words.
test_like_ndctl() {
	local option file
	have ndctl || { skip_part 'ndctl is missing'; return; }
	fresh ndctl.img
	run 0 create -q -s 33M -u $uuid --parent-uuid $parent --sector 520 \
	    "$image"
	for option in --json --human; do
		ndctl read-infoblock $option -i "$image" >"$work/ndctl" \
		    2>/dev/null || die "ndctl read-infoblock failed"
		run 0 read-infoblock $option "$image"
		same "what ndctl says, with $option" 'True' "$(json \
		    '(lambda theirs: all(data[0][key] == theirs[key]
			for key in theirs) and list(data[0])[:len(theirs)] ==
			list(theirs))(json.load(open("'"$work/ndctl"'"))[0])' |
		    tail -n 1)"
	done
	# and the block that ndctl has copied
	ndctl read-infoblock -o "$image.raw" -i "$image" >/dev/null 2>&1
	run 0 read-infoblock -j -V -i "$image.raw"
	same uuid $uuid "$(json 'data[0]["uuid"]')"
}

test_restore() {
	local copy off
	fresh restore.img
	run 0 create -q -s 33M --nfree 300 "$image"
	cp "$image" "$image.sound"
	run 0 read-infoblock -o "$image.block" "$image"
	for copy in 1 2; do
		off=4096
		[ $copy = 1 ] || off=$((33 * 1048576 - 4096))
		wipe $off
		run 4 check -q "$image"
		run 0 write-infoblock --copy $copy --from-copy "$image"
		said out " at $off written\$"
		said err '^wrote 1 infoblock$'
		check 'it is as it was' cmp "$image" "$image.sound"
		# damaged in any way: a flipped bit in the signature
		printf x | dd of="$image" bs=1 seek=$off conv=notrunc \
		    status=none
		run 0 write-infoblock -q --copy $copy --from-copy "$image"
		silent out err
		check 'it is as it was' cmp "$image" "$image.sound"
		wipe $off
		run 0 write-infoblock -i "$image.block" "$image"
		said err '^wrote 1 infoblock$'
		said out 'is this already'
		check 'it is as it was' cmp "$image" "$image.sound"
	done
	run 0 write-infoblock --copy 1 --from-copy "$image"
	said err '^wrote 0 infoblocks$'
	# from numbers: those that are known need not be said
	wipe 4096
	run 0 write-infoblock "$image"
	check 'it is as it was' cmp "$image" "$image.sound"
	wipe 4096 $((33 * 1048576 - 4096))
	run 254 write-infoblock --copy 1 --from-copy "$image"
	said err 'has no arena 0'
	run 0 write-infoblock --nfree 300 -u "$("$bttctl" info \
	    "$image.sound" | sed -n 's/^  uuid *//p' | head -n 1)" "$image"
	check 'it is as it was' cmp "$image" "$image.sound"
}

# A crash must not find both copies half new: each is durable before the next.
test_order() {
	have strace || { skip_part 'strace is missing'; return; }
	fresh order.img
	run 0 create -q -s 33M "$image"
	strace -qq -e trace=pwrite64,pwritev,pwritev2,fdatasync,fsync,msync \
	    -o "$work/trace" "$bttctl" write-infoblock -qf -u $uuid "$image"
	same 'the order of writes and syncs' \
	    "write $((33 * 1048576 - 4096)) sync write 4096 sync" \
	    "$(sed -nE 's/^pwrite.*, 4096, ([0-9]+)\) .*/write \1/p
		s/^(fdatasync|fsync|msync).*/sync/p' "$work/trace" |
		xargs | sed 's/^\(sync \)*//')" # of opening it
}

# The kernel's own, from numbers alone.
test_like_the_kernel() {
	local name=fresh-4104-33554432
	fresh kernel.img
	xz -dc "$top/tests/fixtures/$name.img.xz" >"$image"
	cp "$image" "$image.sound"
	wipe 4096 $((33554432 - 4096))
	run 0 write-infoblock --sector 4104 -u "$("$bttctl" info \
	    "$image.sound" | sed -n 's/^  uuid *//p' | head -n 1)" "$image"
	check 'it is as the kernel made it' cmp "$image" "$image.sound"
}

test_arenas() {
	fresh arenas.img
	run 0 create -q -s 513G --sparse --sector 16384 "$image"
	run 0 read-infoblock -j --arena 1 --copy 1 "$image"
	off=$(json 'data[0]["offset"]')
	same 'its place' $((4096 + (512 << 30))) "$off"
	info2off=$(json 'data[0]["info2off"]')
	run 0 read-infoblock -o "$image.one" --arena 1 "$image"
	wipe "$off" $((off + info2off))
	run 4 check -q "$image"
	# what the other arena says
	run 0 write-infoblock --arena 1 "$image"
	said err '^wrote 2 infoblocks$'
	run 0 read-infoblock --arena 1 "$image"
	check 'it is as it was' cmp "$work/out" "$image.one"
	run 0 check -q "$image"
	run 222 write-infoblock --arena 2 "$image"
	said err 'hold 2 arenas'
	run 222 write-infoblock --arena 4096 "$image"
	run 222 write-infoblock --arena 4294967295 -i "$image.one" "$image"
}

# unchanged STATUS ARGUMENT...: refused, with not a byte changed.
unchanged() {
	local status=$1 before
	shift
	before=$(sha256sum <"$image")
	run "$status" write-infoblock "$@" "$image"
	same 'its bytes' "$before" "$(sha256sum <"$image")"
}

test_refuses() {
	local holder
	fresh refuse.img
	run 0 create -q -s 33M "$image"
	unchanged 239 -u $uuid
	said err 'is valid; --force'
	unchanged 239 --copy 1 -u $uuid
	unchanged 239 --copy 2 -u $uuid
	# in the middle of its map, if it were as small as this
	unchanged 239 -s 32M --copy 2
	said err 'would be within a valid BTT'
	unchanged 239 --layout 2.0 --copy 1
	unchanged 222 --arena 1
	unchanged 228 --sector 65536 --nfree 65536
	unchanged 234 --sector 1000
	unchanged 129 --from-copy
	unchanged 129 --from-copy --copy 1 -i "$image"
	unchanged 129 -c -o "$work/x"
	unchanged 254 -i "$work/nowhere"
	unchanged 129 --mode fsdax
	said err 'not one of sector'
	run 129 write-infoblock
	run 129 write-infoblock -o "$work/x"
	said err '--size is missing'
	run 129 write-infoblock -c --from-copy --copy 1
	# a block that lies about itself
	run 0 read-infoblock -o "$image.block" "$image"
	printf x | dd of="$image.block" bs=1 seek=60 conv=notrunc status=none
	unchanged 139 -i "$image.block"
	said err 'wrong checksum; --force'
	cat "$image.block" "$image.block" >"$image.blocks"
	unchanged 234 -i "$image.blocks"
	said err 'has 2 info blocks'
	# nothing valid, but something
	wipe 4096 $((33 * 1048576 - 4096))
	yes precious | head -c 4096 | dd of="$image" bs=4096 seek=1 \
	    conv=notrunc status=none
	unchanged 239 -u $uuid
	said err 'would replace what is no info block'
	run 0 write-infoblock --force -u $uuid "$image"
	run 0 check -q "$image"
	run 0 write-infoblock --force -u $parent "$image"
	said err '^wrote 2 infoblocks$'
	run 0 check -q "$image"
	# somebody has it
	mkfifo "$work/locked" "$work/done"
	# shellcheck disable=SC2016 # the inner shell expands them
	flock -x "$image" sh -c 'echo >"$0"; read -r _ <"$1"' \
	    "$work/locked" "$work/done" &
	holder=$!
	defer kill_child "$holder"
	read -r _ <"$work/locked"
	unchanged 240 --force -u $uuid
	said err 'in use by'
	run 240 read-infoblock -j "$image"
	echo >"$work/done"
	end_of 60 "$holder"
}

# Without a medium, or to see what would be written.
test_output() {
	fresh output.img
	"$bttctl" write-infoblock -s 1T -c -u $uuid 2>"$work/err" |
	    "$bttctl" read-infoblock -V -j >"$work/out" 2>/dev/null
	same uuid $uuid "$(json 'data[0]["uuid"]')"
	same nextoff $((512 << 30)) "$(json 'data[0]["nextoff"]')"
	run 0 write-infoblock -s 33M -u $uuid --mode sector \
	    -o "$work/block"
	run 239 write-infoblock -s 33M -o "$work/block"
	said err 'File exists'
	run 0 write-infoblock -s 33M -u $parent -f -o "$work/block"
	run 0 read-infoblock -j -i "$work/block"
	same uuid $parent "$(json 'data[0]["uuid"]')"
	run 0 create -q -s 33M "$image"
	run 0 write-infoblock -c --nfree 999 "$image"
	cp "$work/out" "$work/block"
	run 0 read-infoblock -j -i "$work/block"
	same nfree 999 "$(json 'data[0]["nfree"]')"
	run 0 read-infoblock -j "$image"
	same 'it is as it was' 256 "$(json 'data[0]["nfree"]')"
}

# In a namespace that is not the first, of version 2.0.
test_labels() {
	local off
	fresh labels.img
	xz -dc "$top/tests/fixtures/labels-v12.img.xz" >"$image"
	cp "$image" "$image.sound"
	run 0 read-infoblock -V -j -n beta "$image"
	off=$(json 'data[0]["offset"]')
	same 'its place' 33554432 "$off"
	wipe "$off"
	run 0 write-infoblock -n beta --copy 1 --from-copy "$image"
	check 'it is as it was' cmp "$image" "$image.sound"
	wipe "$off" $((off + 16777216 - 4096))
	run 0 write-infoblock -n beta --sector 512 -u "$("$bttctl" info -n beta \
	    "$image.sound" | sed -n 's/^  uuid *//p' | tail -n 1)" "$image"
	check 'it is as it was' cmp "$image" "$image.sound"
	"$patch" "$image" info primary uuid0 1
	run 139 read-infoblock -V -j -n alpha "$image"
}

test_read
test_read_nothing
test_verify
test_like_ndctl
test_restore
test_order
test_like_the_kernel
test_arenas
test_refuses
test_output
test_labels
finish
