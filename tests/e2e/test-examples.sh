#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The examples of the manuals, as somebody would type them: what stands in a
# display behind a line
#
#	.\" example
#
# is run by a shell, in the order of the page, and must succeed.  A display of
# the section EXAMPLES that is not to be run says why (tests/tidy/check_manual.sh
# sees to that):
#
#	.\" example not run: REASON
#
# and one that is the content of a file which later ones use:
#
#	.\" example file: NAME
#
# /srv and /mnt are empty directories for each page, /dev/sdb1 a loop device,
# and the programs and the library are those that were built.

time_limit=250
. "$(dirname "$0")/functions.sh"
requires programs jq hexdump

export PATH=$BTTFS_BIN:$PATH

# examples MANUAL: each in a file of its own, number.sh, in this directory.
examples() {
	awk '
	/^\.\\" example$/ { marked = 1; next }
	/^\.\\" example file: / { marked = 1; given = $4; next }
	/^\.(Bd|Dl) / {
		if (marked) {
			file = given
			if (given == "") {
				file = sprintf("%03d.sh", ++n)
				print "# " FILENAME ":" FNR >file
			}
			given = ""
			open = /^\.Bd /
			if (!open)
				print substr($0, 5) >file
		}
		marked = 0
		next
	}
	/^\.Ed/ { open = 0 }
	open {
		gsub(/\\e/, "\\")
		gsub(/\\-/, "-")
		gsub(/\\&/, "")
		print >file
	}
	END {
		if (n == 0)
			print FILENAME ": no examples" >"/dev/stderr"
		exit n == 0
	}' "$1"
}

# run_examples MANUAL
run_examples() {
	local manual=$top/man/$1 script
	mkdir -p "$work/$1/srv" "$work/$1/mnt"
	cd "$work/$1" || exit 1
	check "$1: there are no examples" examples "$manual"
	for script in [0-9]*.sh; do
		sed -e "s|/srv\>|$PWD/srv|g" -e "s|/mnt\>|$PWD/mnt|g" \
		    -e "s|/dev/sdb1|$device|g" "$script" >run.sh
		case $device:$(cat "$script") in
		:*/dev/sdb1*)
			note "$(head -n 1 "$script"): needs a loop device"
			continue ;;
		esac
		if bash -e -o pipefail run.sh >out 2>&1; then
			ok
		else
			fail "$(sed 1q run.sh): an example fails"
			cat run.sh out >&2
		fi
	done
}

device=
if [ "$(id -u)" -eq 0 ] && [ -c /dev/loop-control ]; then
	truncate -s 64M "$work/sdb1"
	mkloop "$work/sdb1"
	device=$loop
fi
run_examples bttctl.8
run_examples btt.5

# give_back: what the examples of bttfs leave behind, in the order in which one
# would take it apart.
give_back() {
	local mnt=$work/bttfs.8/mnt/disk
	! is_mounted "$work/bttfs.8/srv" || umount "$work/bttfs.8/srv"
	losetup --associated "$mnt/disk" --output NAME --noheadings |
	    xargs -r losetup --detach
	! is_mounted "$mnt" || umount "$mnt" || umount -l "$mnt"
}
if [ -n "$device" ] && [ -c /dev/fuse ] && command -v mkfs.ext4 \
    fusermount3 >/dev/null; then
	defer give_back
	run_examples bttfs.8
	check "bttfs.8: nothing is mounted" is_mounted "$work/bttfs.8/srv"
else
	note "bttfs.8: needs root, loop devices, FUSE and mkfs.ext4"
fi

# The library as it would be installed.
build=$(dirname "$BTTFS_BIN")
if [ -e "$build/cmake_install.cmake" ] && command -v cc pkg-config \
    cmake >/dev/null; then
	DESTDIR=$work/root cmake --install "$build" --component development \
	    >"$work/install.out" || die "cmake --install failed"
	PKG_CONFIG_PATH=$(dirname "$(find "$work/root" -name libbtt.pc)")
	export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR=$work/root
	run_examples libbtt.3
else
	note "libbtt.3: needs cc, pkg-config, cmake and a build directory"
fi
finish
