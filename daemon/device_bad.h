/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_DEVICE_BAD_H
#define BTTFS_DEVICE_BAD_H

/*
 * device_bad -- what is known to be bad of a device: loading it (device.h),
 * events of it, and keeping the list over a crash of the server.  What was
 * found lives as long as the medium says so, or as the device is attached; what
 * was planted, as the device is attached.
 */
#include "device.h"

/*
 * From now on changes of the list are events, and kept if anything of the
 * device is.  By the probe, when it is known whether that is so.
 */
void device_watch_bad(struct device *device);

#endif
