/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_SUPPORT_DAMAGE_FIXTURE_H
#define TESTS_SUPPORT_DAMAGE_FIXTURE_H

/*
 * damage_fixture -- one image to damage, and what a check must find in it.
 *
 * It has 3829 sectors of 4096 bytes and 4085 blocks: block n is sector n's,
 * pair p has free block 3829 + p.
 */
#include <check.h>
#include <string.h>

#include "findings_fixture.h"

#define NSECTOR 3829u
#define NBLOCK 4085u
#define NORMAL(block) (MAP_NORMAL | (block))

static struct findings findings;
static struct media_fake *fake;
static struct btt_info info;

static inline void
set_up(void)
{
	fake = image_small(&info);
}

static inline void
tear_down(void)
{
	media_close(&fake->media);
}

/* Check, and have exactly these findings. */
#define ck_assert_check(names, damage)                               \
	do {                                                         \
		int check_r = findings_of(fake, &findings);          \
		ck_assert_msg(check_r == 0, "check: %d %s", check_r, \
		    findings.error.text);                            \
		ck_assert_findings(&findings, (names), (damage));    \
	} while (0)

static inline void
assert_at(const char *name, uint64_t entry, uint64_t off, const char *text)
{
	const struct btt_finding *finding = findings_first(&findings, name);

	ck_assert_uint_eq(finding->arena, 0);
	ck_assert_uint_eq(finding->entry, entry);
	ck_assert_uint_eq(finding->off, off);
	ck_assert_msg(strstr(finding->text, text) != NULL, "no '%s' in '%s'",
	    text, finding->text);
}

static inline uint64_t
map_off(uint32_t premap)
{
	return BTT_V11_OFFSET + info.mapoff + premap * 4ull;
}

static inline uint64_t
log_off(uint32_t pair)
{
	return BTT_V11_OFFSET + info.logoff + pair * 64ull;
}

static inline uint64_t
block_off(uint32_t block)
{
	return BTT_V11_OFFSET + info.dataoff + block * 4096ull;
}

static inline uint64_t
backup_off(void)
{
	return BTT_V11_OFFSET + info.info2off;
}

/*
 * A write as the engine leaves it: sector gets the pair's free block, and its
 * own becomes free.
 */
static inline void
write_sector(uint32_t pair, uint32_t sector)
{
	image_put_log(
	    fake, &info, pair, 1, LOG_ENTRY(sector, sector, NSECTOR + pair, 2));
	image_put_map(fake, &info, sector, NORMAL(NSECTOR + pair));
}

#endif
