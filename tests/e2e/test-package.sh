#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The Debian packages: the same bytes from another directory, no error of
# lintian's, they come and go without a trace, what they hold works, and a
# program builds against the library in them.

time_limit=900
. "$(dirname "$0")/functions.sh"
requires dpkg-deb lintian pkg-config gcc cmake ninja

build_packages() {
	"$1/scripts/package" "$2" >"$work/build.log" 2>&1 && return
	cat "$work/build.log" >&2
	die "scripts/package failed in $1"
}

# As it would be cloned: what is tracked, with what has been changed.
copy_tree() {
	mkdir -p "$1"
	(cd "$top" && git ls-files -z --cached --others --exclude-standard |
	    tar --null -T - -cf -) | tar -C "$1" -xf -
}

# Both have no history: they are dated by a file.
copy_tree "$work/here"
copy_tree "$work/elsewhere/and/deeper"
build_packages "$work/here" "$work/one"
build_packages "$work/elsewhere/and/deeper" "$work/two"
for package in "$work"/one/*.deb; do
	check "$(basename "$package") is not the same twice" \
	    cmp "$package" "$work/two/$(basename "$package")"
done

lintian --no-user-dirs --allow-root --fail-on error "$work"/one/*.deb \
    >"$work/lintian" 2>&1
same "status of lintian" 0 $?
grep '^E:' "$work/lintian" >&2

# A system of its own, without the packages that ours need and without root's
# directories: what is there afterwards is what was there before, but for logs.
system=$work/system
mkdir -p "$system/var/lib/dpkg/info" "$system/var/lib/dpkg/updates" \
    "$system/var/log"
: >"$system/var/lib/dpkg/status"
in_system() {
	dpkg --root="$system" --force-depends --force-not-root \
	    --force-script-chrootless "$@" >"$work/dpkg.log" 2>&1 && return
	cat "$work/dpkg.log" >&2
	return 1
}
files_of_system() {
	find "$system" -path "$system/var" -prune -o -print | sort
}
before=$(files_of_system)
check "the packages do not install" in_system --install "$work"/one/*.deb
same "version" "bttfs $(sed -n 's/^project(bttfs VERSION \([0-9.]*\).*/\1/p' \
    "$top/CMakeLists.txt")" "$("$system/usr/bin/bttfs" --version)"
"$system/usr/bin/bttctl" create --quiet --size 20M "$work/disk" ||
    fail "the bttctl of the package does not create"
check "the bttctl of the package does not check" \
    "$system/usr/bin/bttctl" check --quiet "$work/disk"
for page in man5/bttfs.conf.5 man8/bttfs.8 man8/bttctl.8; do
	check "no manual $page" test -s "$system/usr/share/man/$page.gz"
done

cat >"$work/user.c" <<'C'
#include <btt/btt.h>
#include <stdio.h>

int
main(int argc, char *argv[])
{
	struct btt_geometry_info geometry;
	struct btt_worker_pool *pool;
	struct btt_error error = { "" };
	struct media_options options = { .read_only = true };
	struct btt_open_options how = { .read_only = true };
	struct media *media;
	struct btt *btt;

	if (argc != 2 || media_install_sigbus() < 0 ||
	    btt_worker_pool_new(1, &pool) < 0)
		return 1;
	if (media_open(argv[1], &options, &media, &error) < 0 ||
	    btt_open(media, pool, &how, &btt, &error) < 0) {
		fprintf(stderr, "%s\n", error.text);
		return 1;
	}
	btt_get_geometry(btt, &geometry);
	printf("%u\n", geometry.sector_bytes);
	return btt_close(btt) < 0;
}
C
PKG_CONFIG_PATH=$system/usr/lib/$(gcc -print-multiarch)/pkgconfig
export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR=$system
# shellcheck disable=SC2046 # words are meant
check "nothing builds against libbtt-dev" \
    gcc -Wall -Werror -o "$work/user" "$work/user.c" \
    $(pkg-config --cflags --libs libbtt)
same "sector size by libbtt" 4096 "$("$work/user" "$work/disk")"

check "the packages cannot be removed" in_system --purge bttfs libbtt-dev
same "what is left of the packages" "$before" "$(files_of_system)"
finish
