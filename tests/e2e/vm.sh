# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# Sourced by the tests with a guest of kernel-vm, after functions.sh: Linux
# under QEMU's software emulation, in a moment, with a busybox that runs a
# script of ours.
# shellcheck disable=SC2154

# vm_find: the guest's parts; skips where they cannot be had.
vm_find() {
	local vm=$shared/kernel-vm
	requires shared qemu-system-x86_64 gcc
	[ -x "$vm/build-initramfs" ] || skip "needs $vm"
	# It says where the kernel, its modules and the guest's root are.
	vm_cache=$("$vm/build-initramfs" 2>"$work/initramfs.err") || {
		cat "$work/initramfs.err" >&2
		skip "the kernel's package cannot be had"
	}
	vm_virtio=$vm_cache/img/lib/modules/$(<"$vm_cache/kver")/kernel/drivers/block/virtio_blk.ko
	# shellcheck disable=SC2034 # for those who source this
	bttool=$vm_cache/root/bin/bttool
	[ -f "$vm_virtio" ] || skip "needs $vm_virtio"
	[ -x "$bttool" ] || skip "needs $bttool"
}

# vm_share DIRECTORY: what the guest sees as /host; its script comes from
# standard input.
vm_share() {
	mkdir "$1"
	cp "$vm_virtio" "$1/virtio_blk.ko"
	cat >"$1/.script"
}

# vm_boot SHARE ARGUMENTS OPTION...: in the background, with QEMU's options;
# machine_pid is its.
vm_boot() {
	local share=$1 kernel
	echo "$2" >"$share/.args"
	shift 2
	kernel="console=ttyS0 rdinit=/init panic=-1 mitigations=off audit=0"
	background "$work/qemu.out" qemu-system-x86_64 \
	    -accel tcg,thread=multi -cpu max -machine q35 -smp 2 -m 512M \
	    -nodefaults -no-user-config -no-reboot -display none \
	    -monitor none -serial "file:$work/console" \
	    -kernel "$vm_cache/vmlinuz" -initrd "$vm_cache/initramfs.cpio" \
	    -append "$kernel tsc=reliable no_timer_check" \
	    -fsdev "local,id=h,path=$share,security_model=none" \
	    -device virtio-9p-pci,fsdev=h,mount_tag=host "$@"
	# shellcheck disable=SC2034 # for those who source this
	machine_pid=$child
}
