#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# usage: test-tsan.sh BUILD-DIRECTORY [SECONDS]
#
# Builds everything with ThreadSanitizer in the directory, and serves with it;
# then has clients of the control socket at it for so long (20 s).

time_limit=1700
. "$(dirname "$0")/functions.sh"
requires root fuse fio cmake ninja clang python3

build=${1:?where to build}
check "configuring" cmake -S "$top" -B "$build" --preset tsan \
    >"$work/cmake.out" 2>&1
check "building" cmake --build "$build" --target bttfs bttctl storm \
    >"$work/build.out" 2>&1
if [ "$nfail" -ne 0 ]; then
	tail -n 50 "$work/cmake.out" "$work/build.out" >&2
	finish
fi
check "the daemon was built with ThreadSanitizer" \
    grep -qF __tsan_init "$build/daemon/bttfs"
check "serving with ThreadSanitizer" \
    env -u BTTFS_BIN -u BTTFS_SUPPORT \
    bash "$(dirname "$0")/test-sanitized.sh" -b "$build"
check "being controlled with ThreadSanitizer" \
    env -u BTTFS_BIN -u BTTFS_SUPPORT \
    bash "$(dirname "$0")/test-control-stress.sh" -b "$build" "${2-20}"
finish
