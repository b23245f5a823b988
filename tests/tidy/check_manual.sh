#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# The manuals, as mandoc -Tlint sees them.
#
# usage: check_manual.sh [FILE...]	by default all of the tree
#
# Exit status: 0 clean, 1 findings, 77 without mandoc.
set -u
export LC_ALL=C

if ! command -v mandoc >/dev/null; then
	echo "skipped: mandoc is missing"
	exit 77
fi
if [ $# -eq 0 ]; then
	cd "$(dirname "$0")/../.." || exit 2
	set -- man/*.[1-9]
fi
[ -r "$1" ] || { echo "$1: no manuals here" >&2; exit 2; }

# Whether another manual is installed here says nothing about ours.
if mandoc -T lint -W style "$@" 2>&1 |
	grep -vE 'STYLE: referenced manual not found|outdated mandoc.db'; then
	exit 1
fi
exit 0
