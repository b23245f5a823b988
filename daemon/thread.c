/* SPDX-License-Identifier: BSD-3-Clause */
#include <signal.h>

#include "thread.h"

int
thread_spawn(const char *name, void *(*thread_main)(void *arg), void *arg,
    pthread_t *ret_thread)
{
	sigset_t all, old;
	int r;

	(void)sigfillset(&all);
	(void)sigdelset(&all, SIGBUS);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old); /* is inherited */
	r = pthread_create(ret_thread, NULL, thread_main, arg);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r == 0)
		(void)pthread_setname_np(*ret_thread, name); /* a nicety */
	return -r;
}
