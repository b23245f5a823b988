#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# Check the check: a clean tree passes, and each rule finds what it is for.
set -u
tidy=$(cd "$(dirname "$0")" && pwd)/check_tidy.sh
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
trap 'exit 2' HUP INT TERM
nfailed=0

# A small tree with one clean file in each layer.
plant() {
	rm -rf "$work/tree"
	mkdir -p "$work/tree/lanes" "$work/tree/btt" "$work/tree/daemon" \
		"$work/tree/tests/unit" "$work/tree/tests/bench"
	cd "$work/tree" || exit 2
	for layer in lanes btt daemon; do
		cat >$layer/good.c <<'END'
/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

/* strtok(), pthread_mutex_lock() and "../x.h" in a comment are nothing. */
static const char *const text = "strerror(1) /* pthread_cond_wait() ";

const char *good(void);

const char *
good(void)
{
	static const char quote = '"';

	return strchr(text, quote) ? text : "localtime(0)";
}
END
		echo "add_library($layer good.c)" >$layer/CMakeLists.txt
	done
	printf '/* SPDX-License-Identifier: BSD-3-Clause */\n' \
		>tests/unit/check_good.c
	echo 'bttfs_unit_test(good)' >tests/good.cmake
}

# expect WHAT PATTERN: the tree has one finding, and it matches.
expect() {
	output=$(sh "$tidy" "$work/tree" 2>&1)
	status=$?
	if [ $status -ne 1 ] || [ "$(echo "$output" | grep -vc '^no clang-')" -ne 1 ] ||
		! echo "$output" | grep -qE "$2"; then
		echo "$1: expected '$2', got status $status and:"
		echo "$output"
		nfailed=$((nfailed + 1))
	fi
}

# expect_line FILE LINE RULE: a line more in that file is that finding.
expect_line() {
	plant
	printf '%s\n' "$2" >>"$1"
	expect "$2" "^$1:[0-9]+: $3: "
}

plant
if ! sh "$tidy" "$work/tree"; then
	echo "a clean tree has findings"
	nfailed=$((nfailed + 1))
fi

expect_line btt/good.c 'int f(void) { return pthread_mutex_lock(0); }' locks
expect_line daemon/good.c 'int f(void) { return pthread_cond_wait (0, 0); }' locks
expect_line tests/unit/check_good.c 'pthread_rwlock_wrlock(0);' locks
expect_line daemon/good.c 'void *m = PTHREAD_MUTEX_INITIALIZER;' locks
expect_line btt/good.c 'int f(void) { return fdatasync(1); }' locks
expect_line daemon/good.c 'int f(void) { return !pread (1, 0, 0, 0); }' locks
expect_line lanes/good.c '#include <btt/btt.h>' layers
expect_line lanes/good.c '#include <bsd/string.h>' layers
expect_line btt/good.c '#include <json-c/json.h>' layers
expect_line btt/good.c '#include "../daemon/fs.h"' layers
expect_line daemon/good.c '#include <fuse_lowlevel.h>' layers
expect_line btt/good.c '#include <linux/fuse.h>' layers
expect_line btt/good.c '#  include <libpmem2.h>' layers
expect_line btt/good.c 'void *f(void) { return strerror(1); }' static
expect_line daemon/good.c 'void *f(void) { return localtime (0); }' static
expect_line daemon/good.c '	static int counter;' static
expect_line daemon/good.c 'int x; ' space
expect_line lanes/CMakeLists.txt '# tab	' space

plant
sed -i 1d btt/good.c
expect 'no licence' '^btt/good.c:1: licence: '
plant
printf '#!/bin/sh\n' >tests/bench/run
expect 'no licence in a script' '^tests/bench/run:1: licence: '
plant
cp lanes/good.c lanes/lost.c
expect 'a module nobody builds' '^lanes/lost.c:1: build: '
plant
cp tests/unit/check_good.c tests/unit/check_goo.c
expect 'a test nobody builds' '^tests/unit/check_goo.c:1: build: '
plant
yes '/* a line */' | head -n 700 >>btt/good.c
expect 'a long file' '^btt/good.c:[0-9]+: length: '

# Allowed where they belong.
plant
echo '#include <fuse_lowlevel.h>' | cat daemon/good.c - >daemon/fs_io.c
echo 'int f(void) { return pthread_mutex_lock(0); }' >>lanes/good.c
echo 'int f(void) { return SYNC_SLEEPS(fdatasync(1)); }' >>btt/good.c
echo '#include <libpmem2.h>' | cat btt/good.c - >btt/media_pmem2.c
{ cat tests/unit/check_good.c; echo 'pthread_mutex_lock(0);'; } \
	>tests/bench/bench.c
echo 'fs_io.c' >>daemon/CMakeLists.txt
echo 'media_pmem2.c' >>btt/CMakeLists.txt
echo 'add_executable(bench bench/bench.c)' >>tests/good.cmake
if ! sh "$tidy" "$work/tree"; then
	echo "what is allowed has findings"
	nfailed=$((nfailed + 1))
fi

if clang-format-14 --version >/dev/null 2>&1; then
	plant
	cp "$(dirname "$tidy")/../../.clang-format" .clang-format
	expect_format() {
		printf 'int f(void){return 1;}\n' >>btt/good.c
		expect 'bad format' '^btt/good.c:[0-9]+: format: '
	}
	expect_format
fi

[ $nfailed -eq 0 ]
