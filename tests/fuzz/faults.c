/* SPDX-License-Identifier: BSD-3-Clause */
#include "faults.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>

#include <btt/media.h>

/* Names that the linker gives (ld(1), --wrap). */
void *__real_malloc(size_t bytes);
void *__real_calloc(size_t n, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void *__real_aligned_alloc(size_t align, size_t bytes);
int __real_media_try(int (*fn)(void *arg), void *arg) BTT_MUST_CHECK;
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t n, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
void *__wrap_aligned_alloc(size_t align, size_t bytes);
int __wrap_media_try(int (*fn)(void *arg), void *arg) BTT_MUST_CHECK;

/* How many until the fault; 0: none is due.  Checks have threads. */
static _Atomic unsigned due[2];
static enum fault_kind last;
static bool armed;

static bool
is_due(enum fault_kind kind)
{
	unsigned now = atomic_load(&due[kind]);

	while (
	    now > 0 && !atomic_compare_exchange_weak(&due[kind], &now, now - 1))
		;
	return now == 1;
}

void
fault_arm(enum fault_kind kind, unsigned n)
{
	last = kind;
	armed = true;
	atomic_store(&due[kind], n);
}

bool
fault_disarm(void)
{
	armed = armed && atomic_exchange(&due[last], 0) == 0;
	return armed;
}

bool
fault_explains(int r)
{
	if (!armed || last == FAULT_MEMORY)
		return armed && r == -ENOMEM;
	return r == -EIO || r == -EMEDIUMTYPE || r == -EUCLEAN || r == -ENOTSUP;
}

void *
__wrap_malloc(size_t bytes)
{
	return is_due(FAULT_MEMORY) ? NULL : __real_malloc(bytes);
}

void *
__wrap_calloc(size_t n, size_t bytes)
{
	return is_due(FAULT_MEMORY) ? NULL : __real_calloc(n, bytes);
}

void *
__wrap_realloc(void *old, size_t bytes)
{
	return is_due(FAULT_MEMORY) ? NULL : __real_realloc(old, bytes);
}

void *
__wrap_aligned_alloc(size_t align, size_t bytes)
{
	return is_due(FAULT_MEMORY) ? NULL : __real_aligned_alloc(align, bytes);
}

int
__wrap_media_try(int (*fn)(void *arg), void *arg)
{
	return is_due(FAULT_MEDIA) ? -EIO : __real_media_try(fn, arg);
}
