/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FUZZ_MEDIUM_H
#define FUZZ_MEDIUM_H

/*
 * medium -- bytes of the heap as a medium that counts what is done to it, aborts
 * where it must not be done, and fails when told to.  It cannot have bad
 * ranges.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <btt/media.h>

/*
 * The claim of a target does not hold: say so and abort, which is what a
 * fuzzer calls a finding.
 */
_Noreturn void
fuzz_fail(const char *file, int line, const char *fmt, ...) BTT_PRINTF(3, 4);
#define FUZZ_CHECK(claim)                                            \
	do {                                                         \
		if (!(claim))                                        \
			fuzz_fail(__FILE__, __LINE__, "%s", #claim); \
	} while (0)
#define FUZZ_CHECK_MSG(claim, ...)                                  \
	do {                                                        \
		if (!(claim))                                       \
			fuzz_fail(__FILE__, __LINE__, __VA_ARGS__); \
	} while (0)

/* Called with each change before it is made. */
typedef void medium_watch_fn(void *arg, uint64_t off, size_t len);

struct medium {
	struct media media;
	uint8_t *bytes;   /* owned */
	bool forbidden;   /* no change may come now */
	uint64_t nstore;  /* changes so far */
	uint64_t nop;     /* changes, flushes and fences so far */
	uint64_t fail_op; /* the one that fails, counted from 1; 0: none */
	bool fail_on;     /* and so do all that follow */
	medium_watch_fn *watch; /* may be NULL */
	void *watch_arg;
};

/* bytes is malloc'ed, and the medium's from now on.  Never NULL. */
struct medium *
medium_new(uint8_t *bytes, size_t size, enum media_granularity granularity);

/*
 * An engine closes the medium that it had: this takes the bytes out of it
 * beforehand, for the next one.
 */
uint8_t *medium_keep(struct medium *medium);

#endif
