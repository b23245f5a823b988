#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# Check the sources themselves for what no compiler says.
#
# usage: check_tidy.sh [DIRECTORY]	the tree, by default the one it lies in
#
# Each finding is a line "file:line: rule: what is wrong".
# Exit status: 0 clean, 1 findings, 2 the check itself failed.
set -u
export LC_ALL=C

root=${1:-$(dirname "$0")/../..}
cd "$root" || exit 2
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
trap 'exit 2' HUP INT TERM
found=$work/found
: >"$found"

# Longest file that one still reads in one go.
max_lines=700

find . \( -name .git -o -name build \) -prune -o -type f -print |
	sed 's|^\./||' | sort >"$work/files"
grep -E '\.[ch]$' "$work/files" >"$work/c"
grep -E '\.c$' "$work/files" >"$work/modules"
[ -s "$work/c" ] || { echo "$root: no sources here" >&2; exit 2; }

# The C code without comments and string literals, as "file:line:text".
# #include lines stay as they are.
# shellcheck disable=SC2016 # the dollars are awk's
xargs awk '
FNR == 1 { in_comment = 0 }
!in_comment && /^[ \t]*#[ \t]*include/ {
	print FILENAME ":" FNR ":" $0
	next
}
{
	out = ""
	quote = ""
	for (i = 1; i <= length($0); i++) {
		ch = substr($0, i, 1)
		two = substr($0, i, 2)
		if (in_comment) {
			if (two == "*/") {
				in_comment = 0
				i++
			}
		} else if (quote != "") {
			if (ch == "\\")
				i++
			else if (ch == quote) {
				quote = ""
				out = out ch
			}
		} else if (two == "/*") {
			in_comment = 1
			i++
		} else if (two == "//") {
			break
		} else {
			if (ch == "\"" || ch == "\047")
				quote = ch
			out = out ch
		}
	}
	print FILENAME ":" FNR ":" out
}' <"$work/c" >"$work/code" || exit 2

# in_code WHERE PATTERN: lines of code of the files WHERE that match.
in_code() {
	grep -E "^$1:[0-9]+:" "$work/code" |
		grep -E "^[^:]*:[0-9]+:.*$2"
}

# report RULE TEXT: the "file:line:code" lines of stdin are findings.
report() {
	sed -E "s|^([^:]*:[0-9]+):[[:space:]]*(.*)|\\1: $1: $2: \\2|" >>"$found"
}

# Every file that is a program or part of one says its licence.
{
	grep -E '\.(c|h|sh|py)$' "$work/files"
	xargs awk 'FNR == 1 { if (/^#!/) print FILENAME; nextfile }' \
		<"$work/files"
} | sort -u | while read -r file; do
	head -n 3 "$file" |
		grep -q 'SPDX-License-Identifier: BSD-3-Clause' ||
		echo "$file:1: licence: no SPDX line at its head"
done >>"$found"

# One mutex and one condition: those of lanes/, which are checked.  The
# benchmarks compare with others.
in_code '(btt|daemon|tests)/[^:]*' \
	'(\<pthread_(mutex|cond|rwlock|spin)_[a-z]+ *\(|\<PTHREAD_(MUTEX|COND|RWLOCK)_INIT)' |
	grep -v '^tests/bench/' |
	report locks 'a lock that the validator cannot see; see lanes/sync.h'

# Whoever may sleep in the system says so, and the validator looks what is held.
in_code '(btt|daemon)/[^:]*' \
	'\<(pread|pwrite|preadv|pwritev|fsync|fdatasync|msync|nanosleep) *\(' |
	grep -v 'SYNC_SLEEPS(' |
	report locks 'a sleep that the validator cannot see: use SYNC_SLEEPS()'

# Layers: lanes < btt < daemon, and what lies outside behind one file.
include='# *include *'
in_code 'lanes/[^:]*' "$include<" |
	grep -vE '<(lanes/[a-z]+|assert|errno|limits|pthread|sched|signal|std[a-z]+|string|time|unistd|sys/[a-z]+)\.h>' |
	report layers 'lanes/ knows itself and libc only'
in_code 'btt/[^:]*' "${include}[<\"](daemon/|fuse|bsd/|json|systemd/)" |
	report layers 'btt/ does not know what lies above it'
in_code '(lanes|btt|daemon)/[^:]*' "$include\"\.\." |
	report layers 'private headers of a layer are its own'
in_code '(lanes|btt|daemon)/[^:]*' "$include<fuse" |
	grep -vE '^daemon/(fs|session)[a-z_]*\.c:' |
	report layers 'libfuse is for daemon/fs*.c and session*.c'
in_code '(lanes|btt)/[^:]*' "$include<linux/fuse" |
	report layers 'the FUSE protocol is for daemon/'
in_code '(lanes|btt|daemon)/[^:]*' "$include<libpmem2" |
	grep -v '^btt/media_pmem2\.c:' |
	report layers 'libpmem2 is for btt/media_pmem2.c'

# Results in static storage are another thread's too (CP-10).
in_code '(lanes|btt|daemon)/[^:]*' \
	'\<(strerror|strsignal|strtok|localtime|gmtime|ctime|asctime|basename|dirname|inet_ntoa|ttyname|getlogin|getpwnam|getpwuid|getgrnam|getgrgid|gethostbyname|tmpnam|setlocale|rand) *\(' |
	report static 'its result is shared by all threads'
in_code '(lanes|btt|daemon)/[^:]*' '	static ' |
	grep -E '^[^:]*:[0-9]+:	+static ' |
	grep -vE '\<(const|_Thread_local|_Static_assert)\>' |
	report static 'a variable shared by all callers'

# What nobody can read at once is read by nobody.
xargs wc -l <"$work/c" | awk -v max="$max_lines" '$2 != "total" && $1 > max {
	print $2 ":" $1 ": length: more than " max " lines"
}' >>"$found"

# A module that is built by nobody is wrong already.
while read -r file; do
	layer=${file%%/*}
	name=${file##*/}
	test=${name#check_}
	if [ ! -e "$work/cmake.$layer" ]; then
		grep -E "^$layer/(.*/)?(CMakeLists\.txt|[^/]*\.cmake)$" \
			"$work/files" | xargs cat /dev/null >"$work/cmake.$layer"
	fi
	grep -qE -e "(^|[^[:alnum:]_.-])$name([^[:alnum:]_.-]|\$)" \
		-e "bttfs_unit_test\(${test%.c}([^[:alnum:]_]|\$)" \
		"$work/cmake.$layer" ||
		echo "$file:1: build: in no CMakeLists.txt or .cmake of $layer/"
done <"$work/modules" >>"$found"

xargs grep -nIE '[[:space:]]+$' <"$work/files" |
	grep -vE '^([^:]*\.(diff|patch)|tests/fuzz/corpus/[^:]*):' |
	report space 'white space at the end of the line'

# Another version formats differently, so only 14 has a say.
format=
for name in clang-format-14 clang-format; do
	if "$name" --version 2>/dev/null | grep -q 'version 14\.'; then
		format=$name
		break
	fi
done
if [ -n "$format" ] && [ -f .clang-format ]; then
	xargs "$format" --style=file --dry-run <"$work/c" 2>&1 |
		grep -E '^[^:]*:[0-9]+:.*clang-format' | cut -d: -f1,2 |
		sort -u -t: -k1,1 | sed "s|\$|: format: run $format -i on it|" >>"$found"
else
	echo "no clang-format 14 or no .clang-format: formatting not checked"
fi

if [ -s "$found" ]; then
	cat "$found"
	exit 1
fi
