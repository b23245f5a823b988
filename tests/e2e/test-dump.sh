#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# bttctl map and dump: what they say is on the medium is there, and all of it,
# whoever wrote it and however damaged it is.

time_limit=250
. "$(dirname "$0")/functions.sh"
. "$(dirname "$0")/ctl.sh"
requires programs python3 xz

model=$support/inspect_model.py
patch=$support/patch_image.py

# agrees WHAT IMAGE [NAMESPACE OFFSET]: with an independent reading?
agrees() {
	local what=$1
	shift
	check "$what: differs from the model" python3 "$model" "$bttctl" "$@" \
	    >"$work/model" 2>&1
	grep -q ': 0 differ$' "$work/model" || cat "$work/model" >&2
}

fresh() {
	image=$work/$1
	rm -f "$image"
}

test_map() {
	fresh map.img
	run 0 create -q -s 33M --nfree 300 "$image"
	"$patch" "$image" map 5 $((0xc0000000 | 7000)) \
	    map 6 $((0xc0000000 | 7001)) map 7 $((0x80000000 | 7002)) \
	    map 8 $((0x40000000 | 7003)) map 9 $((0xc0000000 | 0x3fffffff)) \
	    log 3 1 lba 12 log 3 1 old 12 log 3 1 new 8200 log 3 1 seq 2
	agrees 'patched' "$image"
	run 0 map "$image"
	said out '^ +FIRST +LAST +SECTORS +STATE +BLOCK +BYTE$'
	said out '^ +0 +4 +5 initial +0 +8192$'
	said out "^ +5 +6 +2 normal +7000 +$((8192 + 7000 * 4096))\$"
	said out '^ +7 +7 +1 zero +7002 '
	said out '^ +8 +8 +1 error +7003 '
	said out '^ +9 +9 +1 normal +1073741823 +out of range$'
	said out '^ +12 +12 +1 initial +12 .*  pending: block 8200 at +[0-9]+$'
	said out '^[0-9]+ sectors in 8 runs: 3 normal, [0-9]+ initial, 1 zero, 1 error$'
	said out '^1 interrupted write, completed'
	said out '^1 block out of range$'
	silent err
	run 0 map "$image" 7 5-6 0x0c
	said out '^ +LBA +ARENA +PREMAP '
	same 'lines of single sectors' '7 5 6 12' \
	    "$(awk 'NR > 1 { print $1 }' "$work/out" | xargs)"
	run 0 map --json "$image" 0-99
	same 'sectors of a range' 100 "$(json 'len(data[0]["map"])')"
	# beyond the end: said so, and the rest is shown
	run 222 map "$image" 5 99999999 6
	said err 'sector 99999999 is beyond the last one'
	same 'lines' 3 "$(wc -l <"$work/out")"
	for words in x 5- -5 5-4 '' 5-6-7 1e3 '5 6' 99999999999999999999; do
		run 129 map "$image" -- "$words"
		said err 'not a sector number'
		silent out
	done
	run 129 map
	said err 'PATH is missing'
}

test_dump() {
	run 0 dump "$image"
	said out '^arena 0 at 4096 \(layout 1.1\)$'
	said out '^  nfree +300$'
	said out '^log of arena 0 at [0-9]+, 300 pairs in slots 0 and 1$'
	said out '^ +3 pending +12 +0 +3 '
	said out '^ +\*1 +12 +12 +8200 +2$'
	said out '^map of arena 0$'
	silent err
	run 0 dump --log "$image"
	same 'only the log' 0 "$(grep -c '^map\|mapoff' "$work/out")"
	run 0 dump --map --json "$image"
	same 'only the map' "['id', 'in_sequence', 'layout', 'map', 'offset', \
'total']" "$(json 'sorted(data[0]["arenas"][0])')"
	run 0 dump --info --json "$image"
	same 'only info blocks' 2 \
	    "$(json 'len(data[0]["arenas"][0]["infoblocks"])')"
	run 254 dump --arena 1 "$image"
	said err 'has no arena 1'
	run 254 dump "$work/nowhere"
	head -c 1M /dev/zero >"$work/zeroes"
	run 132 dump "$work/zeroes"
	silent out
	run 132 map "$work/zeroes" 0
	silent out
}

# Neither is stopped by what stops everything else.
test_damaged() {
	fresh damaged.img
	run 0 create -q -s 33M "$image"
	# a pair that is empty, one in other slots, one without a newer half
	"$patch" "$image" log 1 0 lba 0 log 1 0 old 0 log 1 0 new 0 \
	    log 1 0 seq 0 log 2 3 seq 1 log 4 1 seq 1
	agrees 'damaged log' "$image"
	run 0 dump --log "$image"
	said out '^ +1 damaged +- '
	said out '^ +empty$'
	said out '^ +slots$'
	said out '^ +seq$'
	said out 'most of them$'
	# numbers that contradict each other: the map is where it says
	"$patch" "$image" info both nfree 255
	run 139 dump "$image"
	said err 'internal_nlba'
	said out '^log of arena 0 at [0-9]+, 255 pairs'
	said out '^map of arena 0$'
	run 139 map "$image"
	silent out
	# both checksums
	"$patch" "$image" info both nfree 256 sum both
	run 139 dump --json "$image"
	same 'state' "['bad-checksum', 'bad-checksum']" "$(json \
	    '[c["state"] for c in data[0]["arenas"][0]["infoblocks"]]')"
	same 'sequence' False "$(json 'data[0]["arenas"][0]["in_sequence"]')"
	same 'pairs' 256 "$(json 'len(data[0]["arenas"][0]["log"]["pairs"])')"
	# cut off in the map, after 3000 entries
	fresh cut.img
	run 0 create -q -s 33M --sparse "$image"
	run 0 info --json "$image"
	mapoff=$(json 'data[0]["arenas"][0]["infoblocks"][0]["mapoff"]')
	truncate -s $((4096 + mapoff + 3000 * 4)) "$image"
	run 139 dump "$image"
	said err 'too short'
	said err 'log .* is beyond the medium'
	said err 'sectors 3000 to 3000 .* beyond the medium'
	said out '^ +0 +2999 +3000 initial'
	run 139 map "$image" 0
	said err 'too short'
	said out '^ +0 +0 +0 initial'
}

# Colours are for terminals.
test_colours() {
	have script || { skip_part 'script is missing'; return; }
	fresh colours.img
	run 0 create -q -s 33M "$image"
	"$patch" "$image" map 8 0x40000008
	run 0 map "$image"
	check 'colours in a file' sh -c "! grep -q '\x1b' '$work/out'"
	TERM=xterm script -qec "'$bttctl' map '$image'" "$work/typescript" \
	    >/dev/null </dev/null
	check 'no colour on a terminal' \
	    grep -q $'^\x1b\\[1;31m .* 8 .* error .*\x1b\\[0m' \
	    "$work/typescript"
	NO_COLOR=1 TERM=xterm script -qec "'$bttctl' map '$image'" \
	    "$work/typescript" >/dev/null </dev/null
	check 'NO_COLOR' sh -c "! grep -q '\x1b' '$work/typescript'"
	check 'it was shown' grep -q ' error ' "$work/typescript"
	for words in info check; do
		TERM=xterm script -qec "'$bttctl' $words '$image'" \
		    "$work/typescript" >/dev/null </dev/null
		check "no colour from $words" \
		    grep -qE $'\x1b\\[32m(ok|clean)\x1b\\[0m' \
		    "$work/typescript"
		run 0 $words "$image"
		check "colours in a file, from $words" \
		    sh -c "! grep -q '\x1b' '$work/out'"
	done
}

# An arena border, and one that cannot be passed.
test_arenas() {
	fresh arenas.img
	run 0 create -q -s 1030G --sector 65536 --sparse "$image"
	run 0 dump --json "$image"
	same 'arenas' '[0, 1, 2]' "$(json '[a["id"] for a in data[0]["arenas"]]')"
	last=$(($(json 'data[0]["arenas"][1]["map"][0]["lba"]') - 1))
	run 0 map --json "$image" "$last-$((last + 1))"
	same 'the border' "[(0, $last), (1, 0)]" \
	    "$(json '[(m["arena"], m["premap"]) for m in data[0]["map"]]')"
	second=$(json 'data[0]["map"][1]["offset"]')
	same 'first block of the second arena' \
	    $((4096 + (512 << 30) + 4096)) "$second"
	dd if=/dev/zero of="$image" bs=4096 count=1 conv=notrunc status=none \
	    seek=$(((4096 + (512 << 30)) / 4096))
	dd if=/dev/zero of="$image" bs=4096 count=1 conv=notrunc status=none \
	    seek=$(((1024 << 30) / 4096))
	run 139 map "$image" 0 "$last" "$((last + 1))"
	said out "^ +$last "
	said err 'arena 1'
	run 139 dump --arena 2 --map "$image"
	said out '^ +0 +[0-9]+ +[0-9]+ initial'
}

# Whoever wrote it.
test_foreign() {
	local file
	for file in "$shared"/fixtures/kernel/*.img.xz \
	    "$shared"/fixtures/pmemblk/*.pool.xz "$top"/tests/fixtures/*.xz; do
		case $file in
		*manifest*) continue ;;
		*labels-v1*) continue ;;
		esac
		[ -e "$file" ] || continue
		xz -dc "$file" >"$work/foreign"
		agrees "$(basename "$file")" "$work/foreign"
	done
	# the second namespace, and both without a choice
	xz -dc "$top"/tests/fixtures/labels-v12.img.xz >"$work/foreign"
	agrees 'alpha' "$work/foreign" alpha 0
	agrees 'beta' "$work/foreign" 1 33554432
	run 180 map "$work/foreign" 0
	said err 'choose one'
	run 180 dump --info "$work/foreign"
	said out '^arena 0 at 33554432 '
	[ -e "$shared/fixtures/damaged/apply.py" ] || {
		skip_part '../shared/fixtures is absent'
		return
	}
	xz -dc "$shared"/fixtures/kernel/b-4096-64M.img.xz >"$work/base"
	for file in log-all-zero log-equal-seq log-free-oob-lanes01 \
	    log-lba-oob-pending log-mixed-padding log-old-E log-old-oob \
	    log-pad-slot2 log-seq-4 map-initial-bits map-oob-1 \
	    map-points-at-free map-Z pend-map pend-map-two torn-virgin \
	    flags-error info2-other-uuid; do
		python3 "$shared/fixtures/damaged/apply.py" \
		    "$shared/fixtures/damaged/$file.patch" "$work/base" \
		    "$work/foreign"
		agrees "$file" "$work/foreign"
	done
}

test_map
test_dump
test_damaged
test_colours
test_arenas
test_foreign
finish
