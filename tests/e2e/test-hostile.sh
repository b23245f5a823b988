#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Images that nobody should trust: truncated, zeroed, random, and with one
# hostile number each.  For every one of them bttctl info and check must say
# what is wrong, end with the right status, not crash (this runs on the ASan
# build, too), and change no byte.

time_limit=550
. "$(dirname "$0")/functions.sh"
. "$(dirname "$0")/ctl.sh"

requires python3
patch=$support/patch_image.py
# What a sanitizer finds must not look like one of our statuses.
export ASAN_OPTIONS="${ASAN_OPTIONS:-}:exitcode=99"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:-}:exitcode=99"
ncase=0

# Statuses of info (UI-1).
NOT_A_BTT=132    # EMEDIUMTYPE
CONTRADICTS=139  # EUCLEAN
UNSUPPORTED=161  # ENOTSUP

# case_of NAME: start a case from the base image.
case_of() {
	name=$1
	ncase=$((ncase + 1))
	image=$shm/$name.img
	cp --sparse=always "$base" "$image"
}

# damage NAME ACTION...: a case that patch_image.py makes.
damage() {
	case_of "$1"
	shift
	python3 "$patch" "$image" "$@" || die "cannot make $name"
}

# expect INFO CHECK PATTERN: the statuses of info and check, and what check
# says, on standard output for findings and on standard error for refusals.
expect() {
	cp --sparse=always "$image" "$shm/before"
	run "$1" info "$image"
	check "$name: info exits $1 but says nothing" \
	    test "$1" -eq 0 -o -s "$work/err"
	one_line
	run "$1" info --json "$image"
	keep info
	run "$2" check "$image"
	check "$name: check lacks '$3'" \
	    grep -Eqe "$3" "$work/out" "$work/err"
	one_line
	run "$2" check --quiet "$image"
	silent out
	run "$2" check --json "$image"
	keep check
	check "$name: a byte was changed" cmp "$shm/before" "$image"
	rm -f "$image"
}

# Standard error is one line, with the path and a reason, or nothing.
one_line() {
	[ -s "$work/err" ] || return
	check "$name: not a line of the form 'bttctl: PATH: REASON'" \
	    grep -Eq "^bttctl: $image: [^ ]" "$work/err"
	same "$name: lines on standard error" 1 "$(wc -l <"$work/err")"
	check "$name: no reason" \
	    sh -c "! grep -Eq 'Success|: *\$' '$work/err'"
}

# keep INFO-OR-CHECK: what it wrote is looked at in the end, all at once.
# Nothing at all is right where there is nothing to show.
mkdir "$work/info" "$work/check"
keep() {
	[ ! -s "$work/out" ] || cp "$work/out" "$work/$1/$ncase-$name"
}

# One interpreter for all of them: each names the case that it fails at.
documents() {
	echo '{}' >"$work/any.json"
	check 'info: no JSON' \
	    "$support/json_schema.py" "$work/any.json" "$work"/info/*
	check 'check: not of the schema' "$support/json_schema.py" \
	    "$top/tests/e2e/check.schema.json" "$work"/check/*
	note "$(find "$work/info" "$work/check" -type f | wc -l) documents"
}

make_shm
base=$shm/base
mkdev "$base" 16781312 4096 # an arena of 16 MiB
SIZE=16781312
EXTERNAL=3829
INTERNAL=4085

same_as_clean() {
	case_of clean
	expect 0 0 ': clean$'
}

truncated() {
	local size
	for size in 0 1 511 4095 4096 4111 8191; do
		case_of truncated-$size
		truncate -s $size "$image"
		if [ $size -eq 0 ]; then
			expect 234 8 'empty|size'
		else
			expect $NOT_A_BTT 8 'BTT'
		fi
	done
	for size in 8192 12288 65536 8388608 $((SIZE - 12288)) \
	    $((SIZE - 4096)) $((SIZE - 1)); do
		case_of truncated-$size
		truncate -s $size "$image"
		expect $CONTRADICTS 4 'beyond|short|long|small|space|end'
	done
	case_of longer
	truncate -s $((SIZE * 2)) "$image"
	expect 0 0 ': clean'
}

emptied() {
	damage zeroed zero 0 $SIZE
	expect $NOT_A_BTT 8 'BTT'
	damage zeroed-info zero 4096 4096 zero -4096 4096
	expect $NOT_A_BTT 8 'BTT'
	damage zeroed-primary zero 4096 4096
	expect 0 4 'info'
	damage zeroed-backup zero -4096 4096
	expect 0 4 'info2'
	damage zeroed-start zero 0 1048576
	expect 0 4 'info'
	damage zeroed-log zero -20480 16384
	expect 0 4 'log'
	damage random random 0 $SIZE
	expect $NOT_A_BTT 8 'BTT'
	damage random-primary random 4096 4096
	expect 0 4 'info'
	damage random-map random 16744448 16384
	expect 0 4 'map-range'
	damage random-log random -20480 16384
	expect 0 4 'log'
	damage bad-sums sum both
	expect $CONTRADICTS 4 'wrong checksum'
	damage bad-sum sum primary
	expect 0 4 'info'
	damage random-tail random 5120 2048 random -3000 2000
	expect $CONTRADICTS 4 'wrong checksum'
	damage signature-only zero 0 $SIZE signature 4096
	expect $CONTRADICTS 4 'wrong checksum'
}

# A right checksum over a wrong number, in both copies.
fields() {
	local field value
	while read -r field value; do
		damage "field-$field-$value" info both "$field" "$value"
		expect $CONTRADICTS 4 "${field/_/.}|arena"
	done <<-end
		external_nlba 0
		external_nlba 1
		external_nlba $((EXTERNAL + 1))
		external_nlba 0xffffffff
		internal_lbasize 0
		internal_lbasize 64
		internal_lbasize 4095
		internal_lbasize 8192
		internal_lbasize 0xffffffff
		internal_nlba 0
		internal_nlba $((INTERNAL + 1))
		internal_nlba 0x40000000
		internal_nlba 0xffffffff
		nfree 0
		nfree 1
		nfree 255
		nfree 257
		nfree 0xffffffff
		nextoff 1
		nextoff 4096
		nextoff 0x1000000
		nextoff 0x8000000000
		nextoff 0xfffffffffffff000
		nextoff 0xffffffffffffffff
		dataoff 0
		dataoff 1
		dataoff 0x1000000
		dataoff 0xfffffffffffff000
		mapoff 0
		mapoff 4096
		mapoff 16740353
		mapoff 0x7ffffffffffff000
		mapoff 0xffffffffffffffff
		logoff 0
		logoff 16740352
		logoff 0xfffffffffffff000
		info2off 0
		info2off 4096
		info2off 0x1000000
		info2off 0xffffffffffffffff
	end
	for value in 0 1 0xffff; do
		damage "field-major-$value" info both major $value \
		    info both minor 7
		expect $UNSUPPORTED 8 'version'
	done
	for value in 0 1 511 1000 131072 0xffffffff; do
		damage "field-external_lbasize-$value" info both \
		    external_lbasize $value
		expect $UNSUPPORTED 8 'sector'
	done
	# legal, but a reason not to write
	damage error-flag info both flags 1
	expect 0 4 'flag|error'
}

map_entries() {
	damage map-range map 7 0xffffffff
	expect 0 4 'map-range +damage +0 +7 '
	damage map-range-edge map 0 $((0xc0000000 + INTERNAL))
	expect 0 4 'map-range +damage +0 +0 '
	damage map-twice map 5 0xc0000006
	expect 0 4 'damage +0 '
	damage map-takes-free-block map 5 $((0xc0000000 + EXTERNAL))
	expect 0 4 'damage +0 '
	damage map-error-of-another map 9 0x40000001
	expect 0 4 'damage +0 '
	damage map-zero-out-of-range map 9 0xbfffffff
	expect 0 4 'map-range'
	# states that are none of damage
	damage map-zero map 9 0x80000009
	expect 0 0 ', 1 zero'
	damage map-error map 9 0x40000009
	expect 0 0 ', 1 error'
}

log_entries() {
	damage log-seq-equal log 3 1 seq 1
	expect 0 4 'log-seq +damage +0 +3 '
	damage log-seq-large log 3 0 seq 4
	expect 0 4 'log-seq +damage +0 +3 '
	damage log-seq-huge log 255 0 seq 0xffffffff
	expect 0 4 'log-seq +damage +0 +255 '
	damage log-lba log 8 0 lba $EXTERNAL
	expect 0 4 'log-range +damage +0 +8 '
	damage log-lba-huge log 8 0 lba 0xffffffff
	expect 0 4 'log-range +damage +0 +8 '
	damage log-old log 9 0 old $INTERNAL
	expect 0 4 'log-range +damage +0 +9 '
	damage log-old-huge log 9 0 old 0x3fffffff
	expect 0 4 'log-range +damage +0 +9 '
	damage log-new log 10 0 new $INTERNAL
	expect 0 4 'log-range +damage +0 +10 '
	damage log-same-free-block log 11 0 old $((EXTERNAL + 12)) \
	    log 11 0 new $((EXTERNAL + 12))
	expect 0 4 'damage +0 '
	# pair 3 in the old way, in slots 0 and 2, pair 4 in the new one
	damage log-mixed-padding log 3 2 new 3 log 3 2 seq 3 \
	    log 4 1 new 3 log 4 1 seq 3
	expect 0 4 'log'
}

copies() {
	damage copies-differ info backup uuid0 1
	expect 0 4 'info'
	damage backup-other-size info backup external_nlba 5
	expect 0 4 'info'
	damage primary-hostile info primary mapoff 4096
	expect $CONTRADICTS 4 'mapoff|map'
}

# Whatever 64 KiB say, looking at them takes little memory and no time.  With
# small arenas some are a BTT, and are opened and written.  A sanitizer has
# figures of its own, and its errors are looked for in the same images by
# fuzz-open, fuzz-check and fuzz-inspect, which need no process for each.
limits() {
	local opener=$BTTFS_SUPPORT/fuzz/fuzz_open
	local programs=("$bttctl info {}" "$bttctl check {}"
	    "$bttfs -f -o sparse {} $shm/mnt")
	if grep -q -e __asan_init -e __tsan_init "$bttctl"; then
		skip_part 'limits are for programs without a sanitizer'
		return
	fi
	[ ! -x "$opener" ] || programs+=("$opener {packed}")
	mkdir "$shm/mnt"
	python3 "$support/attach_limits.py" \
	    "$top/tests/fuzz/corpus/image" "$shm" "${programs[@]}" \
	    >"$work/limits" 2>&1
	check '64 KiB ask for too much' test $? -eq 0
	cat "$work/limits"
}

same_as_clean
truncated
emptied
fields
map_entries
log_entries
copies
documents
limits
note "$ncase images"
same 'enough images' 1 $((ncase >= 30))
finish
