#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# bttctl upgrade puts the program that is installed by now to work under a mount
# that is in use; bttctl top goes on meanwhile, and says what is done.

time_limit=200
. "$(dirname "$0")/functions.sh"
requires root fuse programs jq dd

# What is installed, and a later version of the same length.
mkdir "$work/bin"
cp "$bttfs" "$work/bin/bttfs"
version=$("$bttfs" --version | cut -d' ' -f2)
later=${version%.*}.9
sed "s/${version//./\\.}/$later/g" "$bttfs" >"$work/bin/later"
chmod +x "$work/bin/later"
[ "$("$work/bin/later" --version)" = "bttfs $later" ] || die "no later version"
bttfs_command=("$work/bin/bttfs")

socket=$work/socket
mnt=$work/mnt
mkdev "$work/disk" 24M 4096
mount_bttfs "$work/disk" "$mnt" "socket=$socket"
exec 7<>"$file"

# shellcheck disable=SC2016 # for that shell
background "$work/load.log" bash -c 'while [ ! -e "$1/stop" ]; do
	dd if=/dev/zero of="$2" bs=4096 count=64 conv=notrunc,fdatasync \
	    status=none || exit 1
	dd if="$2" of=/dev/null bs=4096 count=64 iflag=direct status=none || exit 1
    done' load "$work" "$file"
load=$child
background "$work/top.json" "$bttctl" top --socket "$socket" --json --delay 1 \
    --count 5
top_process=$child

server=$(server_of "${daemons[$mnt]}")
mv "$work/bin/later" "$work/bin/bttfs"
"$bttctl" upgrade --socket "$socket" >"$work/out" 2>&1
same "status of upgrade" 0 $?
new_server=$(server_of "${daemons[$mnt]}")
same "what upgrade says" \
    "bttfs $later (pid $new_server) goes on after bttfs $version (pid $server)" \
    "$(cat "$work/out")"
check "it is the same server" [ "$server" != "$new_server" ]
same "version by JSON" "$later $later" "$("$bttctl" upgrade --json \
    --socket "$socket" | jq -r '.[0] | "\(.before.server) \(.after.server)"')"

end_of 60 "$top_process"
same "status of top" 0 "$child_status"
same "tables of top" 5 "$(jq -s length "$work/top.json")"
check "top sees no load" jq -e -s 'map(.[0]) | (map(.write.requests_s) | max) > 0
    and (map(.read.p99_us) | max) > 0 and (map(.errors) | add) == 0' \
    "$work/top.json" >"$work/out"
"$bttctl" top --socket "$socket" --count 2 --delay 1 >"$work/table"
same "lines of two tables" 4 "$(wc -l <"$work/table")"
check "no escape belongs into a file" bash -c "! grep -q $'\\033' '$work/table'"
# Ending it is what one does with it.
background "$work/out" "$bttctl" top --socket "$socket"
wait_for 20 test -s "$work/out" || fail "top shows nothing"
kill -TERM "$child"
end_of 10 "$child"
same "status of top after SIGTERM" 0 "$child_status"
expect_error "no device named" "$bttctl" top --socket "$socket" nobody

touch "$work/stop"
end_of 30 "$load"
cat "$work/load.log" >&2
same "status of the load" 0 "$child_status"
check "an open handle is of no use" dd bs=4096 count=1 of=/dev/null \
    status=none <&7
exec 7>&-

# Who may only look may not do this.
chmod 755 "$work"
chmod 666 "$socket"
check "anybody can upgrade" bash -c "! setpriv --reuid 65534 --clear-groups \
    '$bttctl' upgrade --socket '$socket' 2>/dev/null"
umount_bttfs "$mnt"
is_clean "$work/disk" || fail "not clean"
finish
