#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# The manuals, as mandoc -Tlint sees them; whether examples say that they can be
# run (tests/e2e/test-examples.sh); and whether libbtt(3) has the public headers
# and what <btt/btt.h> declares.
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
	{
		for header in btt/include/btt/*.h; do
			grep -q "^\.It In btt/${header##*/}" man/libbtt.3 ||
				echo "man/libbtt.3: lacks the header $header"
		done
		# What is called there, but not in comments.
		awk '
		{ gsub(/\/\*.*\*\//, "") }
		/\/\*/ { comment = 1 }
		!comment && !/typedef/ { print }
		/\*\// { comment = 0 }' btt/include/btt/btt.h |
			grep -oE '\<btt_[a-z0-9_]+\(' | tr -d '(' | sort -u |
			while read -r function; do
				grep -q "^\.Fn $function\>" man/libbtt.3 ||
					echo "man/libbtt.3: lacks $function"
			done
		# And nothing that is gone.
		sed -n 's/^\.Fn \([a-z0-9_]*\).*/\1/p' man/libbtt.3 | sort -u |
			while read -r function; do
				grep -q "\<$function(" btt/include/btt/*.h ||
					echo "man/libbtt.3: no header has" \
						"$function"
			done
	} | grep . && exit 1
fi
[ -r "$1" ] || { echo "$1: no manuals here" >&2; exit 2; }

# A display of the section EXAMPLES stands behind a mark.
awk '
/^\.Sh / { in_examples = $2 == "EXAMPLES" }
/^\.\\" example($| file: .| not run: .)/ { marked = 1; next }
/^\.(Bd|Dl) / && in_examples && !marked {
	print FILENAME ":" FNR ": an example without a mark,"
	print "see the head of tests/e2e/test-examples.sh"
	bad = 1
}
{ marked = 0 }
END { exit bad }' "$@" || exit 1

# Whether another manual is installed here says nothing about ours.
if mandoc -T lint -W style "$@" 2>&1 |
	grep -vE 'STYLE: referenced manual not found|outdated mandoc.db'; then
	exit 1
fi
exit 0
