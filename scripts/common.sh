# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# Sourced by the scripts here: talking to people, being root, packages.

export LC_ALL=C
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

if [ -t 1 ]; then
	bold=$(printf '\033[1m') plain=$(printf '\033[0m')
else
	bold='' plain=''
fi

step() {
	printf '\n%s== %s%s\n' "$bold" "$*" "$plain"
}

# show COMMAND...: run it, and say so as one would type it.
show() {
	local words=$*
	if [ "$(id -u)" -eq 0 ]; then
		words=${words#as_root }
	else
		words=${words/#as_root /sudo }
	fi
	printf '%s$ %s%s\n' "$bold" "$words" "$plain"
	"$@"
}

give_up() {
	echo "$(basename "$0"): $*" >&2
	exit 1
}

as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		# sudo has a path of its own.
		sudo env PATH="$PATH" "$@"
	else
		give_up "this needs root, or sudo: $*"
	fi
}

# packages_of GROUP...
packages_of() {
	local group
	for group; do
		sed -n "/^\[$group\]/,/^\[/p" "$top/scripts/packages" |
		    grep -v -e '^\[' -e '^#' -e '^$'
	done
}

is_installed() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = \
	    installed ]
}

# install_packages GROUP...: those that are missing.
install_packages() {
	local package missing=()
	command -v dpkg-query >/dev/null ||
	    give_up "this is not Debian: install what scripts/packages lists"
	for package in $(packages_of "$@"); do
		is_installed "$package" || missing+=("$package")
	done
	if [ ${#missing[@]} -eq 0 ]; then
		echo "all are installed"
		return
	fi
	echo "installing ${missing[*]}"
	as_root apt-get -qq update || give_up "apt-get update failed"
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y \
	    -o Dpkg::Use-Pty=0 install --no-install-recommends \
	    "${missing[@]}" >"$top/build/apt.log" 2>&1 || {
		tail -n 20 "$top/build/apt.log" >&2
		give_up "apt-get install failed"
	}
}

# build_preset PRESET [TARGET...]: quiet unless it fails.  With tests or without
# is said each time: the same directory serves both.
with_tests=ON
build_preset() {
	local preset=$1 log=$top/build/$1.log
	shift
	if ! (cd "$top" && cmake --preset "$preset" "-DBUILD_TESTING=$with_tests" &&
	    cmake --build --preset "$preset" ${1:+--target "$@"}) \
	    >"$log" 2>&1; then
		tail -n 50 "$log" >&2
		return 1
	fi
}

mkdir -p "$top/build"
