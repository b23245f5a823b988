/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LANES_ANNOTATIONS_H
#define LANES_ANNOTATIONS_H

/*
 * Names for clang's thread-safety attributes (-Wthread-safety).  gcc compiles
 * them to nothing.  They stand on functions: clang 14 cannot yet name a
 * sibling member in C, so which lock guards a member is said by the key in the
 * comment above each shared structure.
 */
#if defined(__clang__)
#define LANES_TSA(x) __attribute__((x))
#else
#define LANES_TSA(x)
#endif

#define CAPABILITY(name) LANES_TSA(capability(name))
#define ACQUIRES(...) LANES_TSA(acquire_capability(__VA_ARGS__))
#define TRY_ACQUIRES(...) LANES_TSA(try_acquire_capability(__VA_ARGS__))
#define RELEASES(...) LANES_TSA(release_capability(__VA_ARGS__))
#define ACQUIRES_SHARED(...) LANES_TSA(acquire_shared_capability(__VA_ARGS__))
#define RELEASES_SHARED(...) LANES_TSA(release_shared_capability(__VA_ARGS__))
#define REQUIRES(...) LANES_TSA(requires_capability(__VA_ARGS__))
#define EXCLUDES(...) LANES_TSA(locks_excluded(__VA_ARGS__))
/* For the bodies of lock wrappers only: they are the lock. */
#define NO_TSA LANES_TSA(no_thread_safety_analysis)

#define LANES_MUST_CHECK __attribute__((warn_unused_result))

/* x86 and most ARM cores; a wrong guess costs speed, never correctness. */
#define LANES_CACHE_LINE 64

#endif
