#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# bttctl check --repair and bttctl undo as people call them: what they say, how
# they end (fsck(8)), what they ask, the file that brings everything back, and
# SIGKILL in the middle of it.
#
# usage: test-repair.sh [-b BUILD] [KILLS]

time_limit=3500
. "$(dirname "$0")/functions.sh"
. "$(dirname "$0")/ctl.sh"

requires python3 cmp
patch=$support/patch_image.py
kills=${1:-4}
MIB=$((1 << 20))

# broken ACTION...: an image with that damage, and a copy of it.
broken() {
	rm -f "$work"/*.undo
	cp --sparse=always "$work/base.img" "$image"
	python3 "$patch" "$image" "$@" || die "patch_image.py $*"
	cp --sparse=always "$image" "$work/broken.img"
}

is_broken_still() {
	check "$ran: bytes were changed" cmp "$image" "$work/broken.img"
}

image=$work/image.img
mkdev "$work/base.img" 17M 4096 -u 00112233-4455-6677-8899-aabbccddeeff

test_command_line() {
	local option
	broken map 5 0xffffffff
	for option in --yes --undo=x --rewrite-log --clear-error-flag \
	    --allow-data-loss; do
		run 16 check $option "$image"
		said err "check: ${option%=*} goes with --repair only"
	done
	run 129 undo "$image"
	said err 'PATH is missing'
	run 8 check --repair --yes "$work/nowhere"
	run 254 undo "$work/nowhere" "$image"
	is_broken_still
}

# Every finding that there is has a line in the manual.
test_manual_has_every_finding() {
	local kind
	for kind in $(python3 -c '
import json, sys
print(*json.load(open(sys.argv[1]))["definitions"]["kind"]["enum"])' \
	    "$top/tests/e2e/check.schema.json"); do
		check "the manual lacks the finding $kind" \
		    grep -Eq "^\.It Cm ([a-z0-9-]+ , )*$kind( ,|\$)" \
		    "$top/man/bttctl.8"
		check "no source has the finding $kind" \
		    grep -q "\"$kind\", BTT_" "$top/btt/check.c"
	done
	same 'kinds in the schema' \
	    "$(grep -o '{ "[a-z0-9-]*", BTT_' "$top/btt/check.c" | sort -u |
		sed 's/.*"\(.*\)".*/\1/' | sort -u | tr '\n' ' ')" \
	    "$(python3 -c '
import json, sys
print(*sorted(json.load(open(sys.argv[1]))["definitions"]["kind"]["enum"]))' \
		"$top/tests/e2e/check.schema.json") "
}

# Nothing is written unless somebody says so.
test_dry_run() {
	broken map 5 0xffffffff zero -4096 4096
	run 4 check --repair "$image" </dev/null
	said out '^info2 +mend +0 +- '
	said out '^map-range +mend +0 +5 .*sector 5 gets block 5'
	said out ': nothing was written; --yes carries out 2 changes$'
	is_broken_still
	run 4 check --repair --json "$image"
	has_shape
	same written False "$(json 'data[0]["repair"]["written"]')"
	same changes "['info2', 'map-range']" \
	    "$(json '[c["kind"] for c in data[0]["repair"]["changes"]]')"
	same verdict damaged "$(json 'data[0]["verdict"]')"
	run 4 check --repair --quiet "$image"
	silent out err
	is_broken_still
	run 0 check --repair "$work/base.img"
	said out ': nothing is to be repaired$'
	run 0 check --repair --yes --undo "$work/none.undo" "$work/base.img"
	check 'an undo file of nothing' test ! -e "$work/none.undo"
}

test_repair_and_undo() {
	broken map 5 0xffffffff zero 4096 4096 log 3 0 seq 9
	run 1 check --repair --yes --undo "$work/1.undo" "$image"
	said out ': repaired, 3 changes$'
	silent err
	run 0 check "$image"
	said out ': clean, 1 note$'
	same 'mode of the undo file' 600 "$(stat -c %a "$work/1.undo")"
	# once is enough
	cp --sparse=always "$image" "$work/repaired.img"
	run 0 check --repair --yes "$image"
	check 'a second repair changes something' \
	    cmp "$image" "$work/repaired.img"
	run 0 undo -v "$work/1.undo" "$image"
	said out ': as before the repair, [0-9]+ places put back$'
	said out '^  uuid +00112233-'
	is_broken_still
	run 0 undo --json "$work/1.undo" "$image"
	same restored 0 "$(json 'data[0]["restored"]')"
	# an undo file that is there already is not written over
	run 8 check --repair --yes --undo "$work/1.undo" "$image"
	said err '1.undo: File exists'
	is_broken_still
	run 8 check --repair --yes --undo "$work/none/x.undo" "$image"
	is_broken_still
	run 1 check --repair --yes --json --undo "$work/2.undo" "$image"
	has_shape
	same verdict repaired "$(json 'data[0]["verdict"]')"
	same left 0 "$(json 'data[0]["repair"]["damage_left"]')"
}

# A sector that can be read is given up only if that is allowed.
test_data_loss() {
	broken map 9 0xc000000c log 3 0 seq 9
	run 4 check --repair --yes --undo "$work/1.undo" "$image"
	said out '^bitmap +withheld +0 +12 .* yes +sector 12 gets block 9'
	said out '^log-seq +withheld '
	said out '^--allow-data-loss mends that as well$'
	is_broken_still
	check 'an undo file of nothing' test ! -e "$work/1.undo"
	run 4 check --repair --json "$image"
	has_shape
	same withheld 2 "$(json 'data[0]["repair"]["withheld"]')"
	run 1 check --repair --yes --allow-data-loss --undo "$work/1.undo" \
	    "$image"
	run 0 check "$image"
	said out '1 error$'
	run 0 undo "$work/1.undo" "$image"
	is_broken_still
}

test_error_flag() {
	broken info both flags 1
	run 4 check --repair --yes "$image"
	said out 'the error flag stays: nobody asked'
	is_broken_still
	run 1 check --repair --yes --clear-error-flag "$image"
	run 0 check "$image"
	check 'not as it was made' cmp "$image" "$work/base.img"
}

test_rewrite_log() {
	broken log 4 2 lba 50 log 4 2 old 50 log 4 2 new 4087 \
	    log 4 2 seq 2 map 50 0xc0000ff7
	run 0 check "$image"
	said out '^log-pad +note '
	# what is legal is left alone, also when it is old
	run 0 check --repair --yes "$image"
	is_broken_still
	run 1 check --repair --yes --rewrite-log --undo "$work/1.undo" "$image"
	said out '1 pairs are rewritten'
	run 0 check "$image"
	said out ': clean$'
	run 0 undo "$work/1.undo" "$image"
	is_broken_still
}

test_cannot() {
	broken sum both
	run 4 check --repair --yes "$image"
	said out '^arena 0: info: .*wrong checksum'
	said out ': nothing can be repaired$'
	is_broken_still
	run 4 check --repair --json "$image"
	has_shape
	broken info both nextoff 4096
	run 4 check --repair --yes --json "$image"
	has_shape
	is_broken_still
	truncate -s 1M "$work/none.img"
	run 8 check --repair --yes "$work/none.img"
	said err 'not a BTT'
}

# What the undo file is not of.
test_undo_refuses() {
	broken map 5 0xffffffff
	run 1 check --repair --yes --undo "$work/1.undo" "$image"
	# the same bytes elsewhere are another image
	cp --sparse=always "$image" "$work/copy.img"
	run 140 undo "$work/1.undo" "$work/copy.img"
	said err 'not the file or device that was repaired'
	run 0 undo --force "$work/1.undo" "$work/copy.img"
	check 'the copy is not as before' cmp "$work/copy.img" \
	    "$work/broken.img"
	rm "$work/copy.img"
	# somebody has written a sector since
	python3 "$patch" "$image" log 9 1 lba 3 log 9 1 old 3 \
	    log 9 1 new 4092 log 9 1 seq 2 map 3 0xc0000ffc
	cp --sparse=always "$image" "$work/used.img"
	run 140 undo "$work/1.undo" "$image"
	said err 'sectors were written since the repair'
	check 'a used image was changed' cmp "$image" "$work/used.img"
	# half a file, another file
	head -c 100 "$work/1.undo" >"$work/half.undo"
	run 132 undo "$work/half.undo" "$image"
	head -c 150 "$work/1.undo" >"$work/half.undo"
	run 139 undo "$work/half.undo" "$image"
	run 132 undo "$work/base.img" "$image"
	said err 'not an undo file'
	check 'a used image was changed' cmp "$image" "$work/used.img"
	rm -f "$work/used.img"
}

# On a terminal there is a question, and only y is a yes.
test_question() {
	if ! have script; then
		skip_part "script is missing"
		return
	fi
	broken map 5 0xffffffff
	echo n | script -qec "$bttctl check --repair $image" "$work/out" \
	    >/dev/null
	ran='a repair that is not wanted'
	said out 'Carry out this 1 change\? \[y/N\]'
	is_broken_still
	echo y | script -qec "$bttctl check --repair $image" "$work/out" \
	    >/dev/null
	ran='a repair that is wanted'
	said out ': repaired, 1 change'
	run 0 check "$image"
}

test_in_use() {
	broken map 5 0xffffffff
	run 1 check --repair --yes --undo "$work/1.undo" "$image"
	cp --sparse=always "$image" "$work/broken.img"
	flock "$image" sleep 30 &
	defer kill_child $!
	wait_for 10 is_locked "$image"
	run 8 check --repair --yes "$image"
	said err 'in use|held|busy|lock'
	run 240 undo "$work/1.undo" "$image"
	kill_child $!
	is_broken_still
}
is_locked() {
	! flock -n "$1" true
}

# A large repair, killed somewhere: the next one ends as one that was left
# alone, and the undo file brings back what was there.
test_kill() {
	local i child undone=0 cut=0 most_ms=64
	local repair=(check --repair --yes --quiet --allow-data-loss
	    --rewrite-log)
	image=$work/large.img
	rm "$work/base.img"
	mkdev "$work/base.img" 64M 512 --nfree 4096
	broken random $((64 * MIB - 4096 - 256 * 1024 - 128 * 1024)) \
	    $((128 * 1024)) log 7 0 seq 9 zero 4096 4096
	run 1 "${repair[@]}" --undo "$work/whole.undo" "$image"
	mv "$image" "$work/whole.img"
	for ((i = 0; i < 10 * kills && cut < kills; i++)); do
		rm -f "$work/1.undo"
		cp --sparse=always "$work/broken.img" "$image"
		"$bttctl" "${repair[@]}" --undo "$work/1.undo" "$image" &
		child=$!
		# The undo file is there right before the first change.
		wait_for 30 has_undo_file "$child"
		sleep "0.$(printf %03d $((RANDOM % most_ms)))"
		! is_running "$child" || kill -KILL "$child" 2>/dev/null
		wait "$child" 2>/dev/null
		# How long it takes is the machine's: search for its middle.
		if cmp -s "$image" "$work/whole.img"; then
			most_ms=$((most_ms / 2 + 1))
		elif cmp -s "$image" "$work/broken.img"; then
			most_ms=$((most_ms < 400 ? most_ms * 2 : 400))
		else
			cut=$((cut + 1))
		fi
		if ((i % 2 == 0)); then
			# Half an undo file: then nothing was changed yet.
			"$bttctl" undo --quiet "$work/1.undo" "$image" ||
			    note "kill $i: undo ends with $?"
			check "kill $i: not undone" \
			    cmp "$image" "$work/broken.img"
			undone=$((undone + 1))
		fi
		"$bttctl" "${repair[@]}" "$image"
		check "kill $i: the second repair ends otherwise" \
		    cmp "$image" "$work/whole.img"
	done
	note "$i kills, $cut in the middle of it, $undone undone"
	same 'kills in the middle' "$kills" "$cut"
	run 0 check "$image"
}
has_undo_file() {
	[ -s "$work/1.undo" ] || has_ended "$1"
}

test_command_line
test_manual_has_every_finding
test_dry_run
test_repair_and_undo
test_data_loss
test_error_flag
test_rewrite_log
test_cannot
test_undo_refuses
test_question
test_in_use
test_kill
finish
