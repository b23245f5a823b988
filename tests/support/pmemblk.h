/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_SUPPORT_PMEMBLK_H
#define TESTS_SUPPORT_PMEMBLK_H

/*
 * pmemblk -- libpmemblk where it is installed, found at run time so that the
 * build needs nothing of it.  The prototypes are its public ones.
 */
#include <check.h>
#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

struct pmemblk {
	void *library;
	void *(*open)(const char *path, size_t block_bytes);
	void (*close)(void *pool);
	int (*check)(const char *path, size_t block_bytes);
	size_t (*nblock)(void *pool);
	int (*read)(void *pool, void *buf, long long block);
	int (*write)(void *pool, const void *buf, long long block);
	int (*set_zero)(void *pool, long long block);
	int (*set_error)(void *pool, long long block);
	const char *(*errormsg)(void);
};

static inline bool
pmemblk_is_there(void)
{
	void *library = dlopen("libpmemblk.so.1", RTLD_NOW | RTLD_LOCAL);

	if (library == NULL)
		return false;
	(void)dlclose(library);
	return true;
}

/* In a test only: the process keeps it. */
static inline void
pmemblk_load(struct pmemblk *ret)
{
	const struct {
		const char *name;
		void *fn;
	} symbols[] = {
		{ "pmemblk_open", &ret->open },
		{ "pmemblk_close", &ret->close },
		{ "pmemblk_check", &ret->check },
		{ "pmemblk_nblock", &ret->nblock },
		{ "pmemblk_read", &ret->read },
		{ "pmemblk_write", &ret->write },
		{ "pmemblk_set_zero", &ret->set_zero },
		{ "pmemblk_set_error", &ret->set_error },
		{ "pmemblk_errormsg", &ret->errormsg },
	};

	/* No sync for each write; read once, when the library is loaded. */
	(void)setenv("PMEM_IS_PMEM_FORCE", "1", 1);
	ret->library = dlopen("libpmemblk.so.1", RTLD_NOW | RTLD_LOCAL);
	ck_assert_ptr_nonnull(ret->library);
	for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
		void *symbol = dlsym(ret->library, symbols[i].name);

		ck_assert_msg(symbol != NULL, "no %s", symbols[i].name);
		/* dlsym's way of returning functions. */
		*(void **)symbols[i].fn = symbol;
	}
}

#endif
