/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTT_HOOK_H
#define BTT_HOOK_H

/*
 * hook -- what the crash explorer needs of the engine, and nothing in any
 * other build.
 *
 * BTT_TEST_HOOKS is defined for one library only, that of tests/crash: there
 * every access that other threads can see is a point where the scheduler may
 * switch, and MUTANT(n) is true while defect number n of the table in
 * tests/crash/mutants.h is switched on.  Elsewhere both vanish.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef BTT_TEST_HOOKS
extern unsigned btt_hook_mutant;
void btt_hook_point(const char *what);
/* Sectors are about to be read: here they may turn out to be poisoned. */
void btt_hook_load(const void *bytes, size_t len);
/* The explorer keeps these stores in a buffer that it drains when it likes. */
void btt_hook_store32(_Atomic uint32_t *word, uint32_t value);
void btt_hook_store64(_Atomic uint64_t *word, uint64_t value);
void btt_hook_drain(void);
/*
 * The word of a map is about to be stored to, for which others may have to wait
 * until we drain; and what a thread that loads it now sees of it.
 */
void btt_hook_hide32(const void *word);
uint32_t btt_hook_seen32(const void *word, uint32_t value);

#define HOOK_POINT(what) btt_hook_point(what)
#define HOOK_LOAD(bytes, len) btt_hook_load(bytes, len)
#define HOOK_STORE32(word, value) btt_hook_store32((word), (value))
#define HOOK_STORE64(word, value) btt_hook_store64((word), (value))
#define HOOK_DRAIN() btt_hook_drain()
#define HOOK_HIDE32(word) btt_hook_hide32(word)
#define HOOK_SEEN32(word, value) btt_hook_seen32((word), (value))
#define MUTANT(n) (btt_hook_mutant == (n))
#else
#define HOOK_POINT(what) ((void)0)
#define HOOK_LOAD(bytes, len) ((void)0)
#define HOOK_STORE32(word, value) atomic_store((word), (value))
#define HOOK_STORE64(word, value) atomic_store((word), (value))
#define HOOK_DRAIN() ((void)0) /* atomic_store has done it */
#define HOOK_HIDE32(word) ((void)0)
#define HOOK_SEEN32(word, value) (value)
#define MUTANT(n) false
#endif

/* right, but for mutant n */
#define MUTATE(n, right, wrong) (MUTANT(n) ? (wrong) : (right))

#endif
