# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# Sourced after functions.sh by tests that boot a Debian in a container: a tree
# that is made once and kept, with what a test adds in a layer on top.

debian=bookworm
mirror=${BTTFS_DEBIAN_MIRROR:-http://deb.debian.org/debian}
cache=${BTTFS_DEBIAN_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/bttfs-tests}
tree=$work/tree

# prepare_tree DEPENDS PACKAGE...: a tree with systemd, what DEPENDS (as in a
# package's control file) names, and the packages.
prepare_tree() {
	local depends=$1 base packages
	shift
	packages=$(tr , '\n' <<<"$depends" | sed 's/ *|.*//; s/(.*//; s/ //g')
	packages=$(printf '%s\n' systemd systemd-sysv dbus kmod udev util-linux \
	    mount $packages "$@" | grep -v '^libc6$' | sort -u | paste -sd,)
	base=$cache/$debian-$(cksum <<<"$packages" | cut -d' ' -f1)
	grep -q overlay /proc/filesystems || modprobe overlay 2>/dev/null ||
	    skip "needs overlayfs"
	if [ ! -d "$base" ]; then
		command -v debootstrap >/dev/null || skip "needs debootstrap"
		note "making a Debian tree in $base"
		mkdir -p "$cache"
		rm -rf "$base.new"
		if ! debootstrap --variant=minbase --include="$packages" \
		    "$debian" "$base.new" "$mirror" >"$work/debootstrap.log" 2>&1
		then
			tail -n 3 "$work/debootstrap.log"
			rm -rf "$base.new"
			skip "debootstrap failed: no network?"
		fi
		mv "$base.new" "$base"
	fi
	mkdir "$tree" "$work/upper" "$work/overlay"
	mount -t overlay -o \
	    "lowerdir=$base,upperdir=$work/upper,workdir=$work/overlay" \
	    bttfs-test "$tree" || skip "overlayfs cannot be mounted"
	defer umount -l "$tree"
	# There is no udev in a container to make these.
	cat >"$tree/etc/systemd/system/loop-nodes.service" <<'UNIT'
[Unit]
DefaultDependencies=no
Before=sysinit.target
[Service]
Type=oneshot
ExecStart=sh -c 'for i in $(seq 0 63); do mknod -m 660 /dev/loop$$i b 7 $$i; done'
UNIT
	mkdir -p "$tree/etc/systemd/system/sysinit.target.wants"
	ln -s ../loop-nodes.service \
	    "$tree/etc/systemd/system/sysinit.target.wants"
}

# Its first process, as this system has it.
init=

in_container() {
	local child
	read -r child _ <"/proc/$nspawn/task/$nspawn/children" || : no line break
	[ -n "$child" ] && init=$child &&
	    [ "$(cat "/proc/$init/comm" 2>/dev/null)" = systemd ]
}

# inside COMMAND...
inside() {
	nsenter -t "$init" -m -u -i -n -p -r -w env -i LC_ALL=C HOME=/root \
	    PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@" </dev/null
}

has_booted() {
	in_container && [[ $(inside systemctl is-system-running 2>/dev/null) =~ \
	    ^(running|degraded)$ ]]
}

# Copies of other mounts must not come along: where they are private, their file
# systems would be in use as long as the container runs.
alone() {
	exec unshare --mount --propagation private "$BASH" -c '
		tree=$1
		shift
		awk "{ print \$5 }" /proc/self/mountinfo | sort -r |
		while read -r at; do
			case $at in
			/ | /proc* | /sys* | /dev | /dev/* | /run* | "$tree"*) ;;
			*) umount -l "$(printf %b "$at")" 2>/dev/null ;;
			esac
		done
		exec "$@"' alone "$tree" "$@"
}

boot() {
	background "$work/console" alone systemd-nspawn --quiet --directory="$tree" \
	    --boot --keep-unit --register=no --console=pipe \
	    --machine="bttfs-test-$$" --bind=/dev/fuse \
	    --bind=/dev/loop-control --link-journal=no
	nspawn=$child
	if ! wait_for 90 has_booted; then
		is_running "$nspawn" || { cat "$work/console" >&2
		    skip "no container can be booted here"; }
		inside systemctl list-jobs >&2
		die "the container has not come up"
	fi
}

power_off() {
	inside systemctl poweroff 2>/dev/null
	end_of 120 "$nspawn"
	same "status of the container" 0 "$child_status"
}
