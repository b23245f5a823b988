/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_MANAGER_IMPL_H
#define BTTFS_MANAGER_IMPL_H

/*
 * manager_impl -- what the files of the manager share: manager.c (life),
 * manager_attach.c (probing) and manager_detach.c.
 */
#include "manager.h"

/* With nothing held. */
void manager_sleep_ms(unsigned ms);

/*
 * A worker for work in the background, to be given back; NULL if all of them
 * are busy at the moment.
 */
struct btt_worker *manager_take_worker(struct manager *manager) BTT_MUST_CHECK;
void manager_give_worker(struct manager *manager, struct btt_worker *worker);

/* As manager_detach, the device being found already. */
int manager_detach_device(struct manager *manager, struct device *device,
    const struct manager_detach_options *options, struct job **ret_job,
    bool *ret_won, struct btt_error *error) BTT_MUST_CHECK;

/*
 * The device's detaching job has been begun and the probe is over: queue what
 * is to be done, with a reference to the device.
 */
void manager_queue_detach(struct manager *manager, struct device *device);

#endif
