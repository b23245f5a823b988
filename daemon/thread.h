/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_THREAD_H
#define BTTFS_THREAD_H

/*
 * thread -- starts the threads that do not serve requests.
 */
#include <pthread.h>

#include <btt/error.h>

/*
 * Start a thread that takes no signals: they are the main thread's, but for
 * faults on the medium.  name has at most 15 bytes.  Returns 0 or a negative
 * errno.
 */
int thread_spawn(const char *name, void *(*thread_main)(void *arg), void *arg,
    pthread_t *ret_thread) BTT_MUST_CHECK;

#endif
