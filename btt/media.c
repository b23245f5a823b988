/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * media -- what all media have in common: their end, and surviving a page that
 * the medium cannot supply.
 *
 * A guard is the place to which a thread returns when it touches such a page.
 * It is thread-local, and so are SIGBUS faults: each is delivered to the
 * thread that caused it, so no two guards are ever confused.
 */
#ifdef BTTFS_TSAN
/*
 * The checked siglongjmp is unknown to ThreadSanitizer: each fault would look
 * to it like a call that never returns, until its stack is full.
 */
#undef _FORTIFY_SOURCE
#endif
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>

#include "media_impl.h"

/*
 * Where this thread returns to; NULL: it dies.  The handler reads it too, and
 * must not be the one who makes the loader allocate thread-local storage:
 * hence the initial-exec model, which has it from the thread's start.
 */
static _Thread_local _Atomic(sigjmp_buf *) guard
    __attribute__((tls_model("initial-exec")));

/* Where the last guarded fault was, 0 unless it was poison. */
static _Thread_local _Atomic uintptr_t poison
    __attribute__((tls_model("initial-exec")));

void
media_close(struct media *media)
{
	if (media == NULL)
		return;
	media_bad_fini(media);
	media->ops->close(media);
}

bool
media_was_poison(const struct media *media, uint64_t *ret_off)
{
	uintptr_t at = atomic_load_explicit(&poison, memory_order_relaxed);
	uintptr_t base = (uintptr_t)media->base;

	if (at < base || at - base >= media->size)
		return false;
	*ret_off = at - base;
	return true;
}

bool
media_identity(const struct media *media, struct media_identity *ret_id)
{
	if (media->ops != &media_page_ops && media->ops != &media_pmem2_ops)
		return false;
	*ret_id = ((const struct media_file *)media)->backing.identity;
	return true;
}

/* Async-signal-safe: lock-free atomics, siglongjmp out of a fault, signal. */
static void
on_sigbus(int signo, siginfo_t *info, void *context)
{
	/* What another process sends us has a code of 0 or less. */
	bool is_fault = info->si_code > 0;
	sigjmp_buf *env;

	(void)context;
	env = atomic_load_explicit(&guard, memory_order_relaxed);
	if (env != NULL && is_fault) {
		atomic_store_explicit(&poison,
		    info->si_code == BUS_MCEERR_AR ? (uintptr_t)info->si_addr
						   : 0,
		    memory_order_relaxed);
		siglongjmp(*env, 1);
	}
	/*
	 * Not ours.  A fault happens again when we return, now with nobody in
	 * the way, so that the core file shows it as it was.
	 */
	(void)signal(signo, SIG_DFL); /* a valid signal: cannot fail */
	if (!is_fault)
		(void)raise(signo); /* pending until we return */
}

int
media_install_sigbus(void)
{
	struct sigaction action = { .sa_flags = SA_SIGINFO };

	action.sa_sigaction = on_sigbus;
	(void)sigemptyset(&action.sa_mask); /* cannot fail */
	return sigaction(SIGBUS, &action, NULL) < 0 ? -errno : 0;
}

/* A handler that is left by a jump leaves its signal blocked. */
static void
unblock_sigbus(void)
{
	sigset_t set;

	(void)sigemptyset(&set); /* neither of them can fail */
	(void)sigaddset(&set, SIGBUS);
	(void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/*
 * Signal masks are not saved: that would be a system call for each request
 * (150 ns against 4).  The price is paid after a fault instead.
 *
 * The signal fences order nothing between threads; they keep the compiler from
 * moving accesses of an inlined fn out of the guarded stretch.
 */
int
media_try(int (*fn)(void *arg), void *arg)
{
	sigjmp_buf env;
	int r;

	assert(atomic_load_explicit(&guard, memory_order_relaxed) == NULL);
	if (sigsetjmp(env, 0) != 0) {
		atomic_store_explicit(&guard, NULL, memory_order_relaxed);
		unblock_sigbus();
		return -EIO;
	}
	atomic_store_explicit(&guard, &env, memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst);
	r = fn(arg);
	atomic_signal_fence(memory_order_seq_cst);
	atomic_store_explicit(&guard, NULL, memory_order_relaxed);
	return r;
}
