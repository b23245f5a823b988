#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# Compare the orders of locks that were seen with those that are known.
#
# usage: check_orders.sh SEEN [EXPECTED]
#
# SEEN has a line "a" -> "b"; // places for each order, as often as it was
# seen; EXPECTED, by default orders.dot beside this script, is a graph for
# dot(1) with one order a line.
#
# An order that is new is one more way to deadlock with some order of tomorrow.
# If it is meant, add its line to orders.dot, sorted, with the commit that makes
# it.  That known ones were not seen is no failure: few runs run all tests.
#
# Exit status: 0 nothing new, 1 something is, 2 the check itself failed,
# 77 nothing was seen.
set -u
export LC_ALL=C

[ $# -ge 1 ] || { echo "usage: $0 SEEN [EXPECTED]" >&2; exit 2; }
seen=$1
expected=${2:-$(dirname "$0")/orders.dot}
[ -s "$seen" ] || { echo "no orders of locks were seen"; exit 77; }
[ -r "$expected" ] || { echo "$expected: cannot be read" >&2; exit 2; }
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
trap 'exit 2' HUP INT TERM

# orders FILE: the bare edges, each once.
orders() {
	sed -nE 's|^[[:space:]]*("[^"]+" -> "[^"]+");.*|\1|p' "$1" | sort -u
}

orders "$seen" >"$work/seen" || exit 2
orders "$expected" >"$work/expected" || exit 2
# Whoever damages the file must not silence the check.
[ -s "$work/seen" ] || { echo "$seen: no order in it" >&2; exit 2; }

comm -13 "$work/seen" "$work/expected" | sed 's/^/not seen this time: /'
comm -23 "$work/seen" "$work/expected" >"$work/new"
echo "$(wc -l <"$work/seen") orders seen, $(wc -l <"$work/new") of them new"
[ -s "$work/new" ] || exit 0
while read -r order; do
	echo "new: $(grep -F -m 1 "$order;" "$seen")"
done <"$work/new"
echo "If they are meant, add their lines to $expected, sorted."
exit 1
