/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * one_thread -- programs that are linked with it have one thread.
 *
 * ThreadSanitizer has nothing to find in them, and does not run them.  Whoever
 * adds a thread to such a program learns it here: there is none to be had.
 * The check of a map goes on without; check_check and check_check_map look at
 * what its threads do.
 */
#include <errno.h>
#include <pthread.h>

int __wrap_pthread_create(pthread_t *ret_thread, const pthread_attr_t *attr,
    void *(*run)(void *), void *argument);

int
__wrap_pthread_create(pthread_t *ret_thread, const pthread_attr_t *attr,
    void *(*run)(void *), void *argument)
{
	(void)ret_thread;
	(void)attr;
	(void)run;
	(void)argument;
	return EAGAIN;
}
