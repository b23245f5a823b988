/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * config -- what a daemon makes of its file, and whom it blames for what it
 * does not understand.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <config.h>
#include <registry.h>

#include "../support/check_main.h"

/* What the daemon's section sets, in the place of the daemon's options. */
static char daemon_said[256];

static int
set_place(void *target, const char *value, struct btt_error *error)
{
	(void)target, (void)error;
	snprintf(daemon_said, sizeof(daemon_said), "place %s", value);
	return 0;
}

static int
set_sync(void *target, const char *value, struct btt_error *error)
{
	(void)target, (void)value, (void)error;
	strcpy(daemon_said, "sync");
	return 0;
}

static int
set_async(void *target, const char *value, struct btt_error *error)
{
	(void)target, (void)value, (void)error;
	strcpy(daemon_said, "async");
	return 0;
}

static const struct word words[] = {
	WORD_ROW_CALL("place", "PATH", set_place, ""),
	WORD_ROW_CALL("sync", NULL, set_sync, ""),
	WORD_ROW_CALL("async", NULL, set_async, ""),
};
static const struct word_table table = { words, 3, NULL };

static struct config config;
static struct btt_error error;

static int
parse_bytes(const char *text, size_t size)
{
	config_fini(&config);
	daemon_said[0] = '\0';
	error.text[0] = '\0';
	return config_parse(text, size, "FILE", &table, 1, &config, &error);
}

static void
parse_well(const char *text)
{
	int r;

	r = parse_bytes(text, strlen(text));
	ck_assert_msg(r == 0, "%s: %s", text, error.text);
	ck_assert_str_eq(error.text, "");
}

/* It is refused, and this is said. */
static void
refuse(const char *text, const char *why)
{
	int r;

	r = parse_bytes(text, strlen(text));
	ck_assert_msg(r == -EINVAL, "%d: %s", r, text);
	ck_assert_str_eq(error.text, why);
}

static void
forget(void)
{
	config_fini(&config);
}

START_TEST(config_parse__has_a_section_for_each_device)
{
	parse_well("# a comment\n"
		   "[bttfs]\n"
		   "place = /mnt\n"
		   "\n"
		   "[vol0]\n"
		   "backing=/dev/pmem0\n"
		   "; another\n"
		   "[vol1] # and one more\n"
		   "  backing : /srv/a disk ; where it is\n"
		   "\tname = other\n"
		   "\tdurability = write\r\n"
		   "mode = 640\n"
		   "ro = yes\n"
		   "sparse = no");
	ck_assert_str_eq(daemon_said, "place /mnt");
	ck_assert_uint_eq(config.ndevice, 2);
	ck_assert_str_eq(config.devices[0].path, "/dev/pmem0");
	ck_assert_str_eq(config.devices[0].name, "vol0");
	ck_assert_uint_eq(config.lines[0], 5);
	ck_assert(!config.devices[0].read_only);
	ck_assert_uint_eq(config.devices[0].mode, 0600);
	ck_assert_str_eq(config.devices[1].path, "/srv/a disk");
	ck_assert_str_eq(config.devices[1].name, "other");
	ck_assert_uint_eq(config.lines[1], 8);
	ck_assert(config.devices[1].read_only);
	ck_assert(!config.devices[1].allow_sparse);
	ck_assert_int_eq(config.devices[1].durability, BTT_DURABLE_WRITE);
	ck_assert_uint_eq(config.devices[1].mode, 0640);
}
END_TEST

START_TEST(config_parse__may_be_without_devices)
{
	parse_well("[bttfs]\nplace = /mnt\n");
	ck_assert_uint_eq(config.ndevice, 0);
	parse_well("");
	ck_assert_uint_eq(config.ndevice, 0);
	parse_well("\xef\xbb\xbf[bttfs]\nplace = /mnt\n");
	ck_assert_str_eq(daemon_said, "place /mnt");
}
END_TEST

/* "no" is the opposite where there is one. */
START_TEST(config_parse__takes_yes_and_no)
{
	parse_well("[bttfs]\nsync = on\n");
	ck_assert_str_eq(daemon_said, "sync");
	parse_well("[bttfs]\nsync = False\n");
	ck_assert_str_eq(daemon_said, "async");
	parse_well("[v]\nbacking = /a\nrw = no\n");
	ck_assert(config.devices[0].read_only);
	parse_well("[v]\nbacking = /a\nro = 0\n");
	ck_assert(!config.devices[0].read_only);
	refuse("[v]\nbacking = /a\nro = maybe\n",
	    "FILE:3: ro: must be 'yes' or 'no', not 'maybe'");
	refuse("[v]\nbacking = /a\nro =\n",
	    "FILE:3: ro: must be 'yes' or 'no', not ''");
}
END_TEST

START_TEST(config_parse__says_which_line_is_wrong)
{
	refuse("place = /mnt\n", "FILE:1: there is no section above");
	refuse("[v]\nbacking = /a\nmode = 999\n",
	    "FILE:3: mode=999: must be octal and at most 777");
	refuse("[v]\nbacking = /a\ndurabilty = write\n",
	    "FILE:3: unknown option 'durabilty', did you mean 'durability'?");
	refuse("\n\n[v]\nbacking = a\n", "FILE:4: backing=a: must be absolute");
	refuse("[v]\nmode = 600\n\n[w]\nbacking = /b\n",
	    "FILE:1: the device has no 'backing'");
	refuse("[v]\nbacking = /a\n[w]\nmode = 600\n",
	    "FILE:3: the device has no 'backing'");
	refuse("[v]\nbacking = /a\n[w]\n[x]\nbacking = /b\n",
	    "FILE:3: the section is empty");
	refuse("[v]\nbacking = /a\n[w]", "FILE:3: the section is empty");
	refuse(
	    "[v]\nbacking /a\n", "FILE:2: neither [SECTION] nor KEY = VALUE");
	refuse("[v]\nbacking = /a\nro = yes\nro = no\n",
	    "FILE:4: 'ro' is there for the second time");
	refuse("[bttfs]\nplace = /a\n[bttfs]\nplace = /b\n",
	    "FILE:3: the section [bttfs] is there for the second time");
	refuse("[bttfs]\nbacking = /a\n",
	    "FILE:2: unknown option 'backing'; 'bttfs --help' lists them");
}
END_TEST

START_TEST(config_parse__refuses_odd_sections)
{
	refuse("[v\nbacking = /a\n", "FILE:1: ']' is missing");
	refuse("[]\nbacking = /a\n", "FILE:1: the section has no name");
	refuse("[v] mode = 600\nbacking = /a\n",
	    "FILE:1: there is something after ']'");
	refuse("[ v]\nbacking = /a\n",
	    "FILE:1: the section's name begins or ends with a blank");
	refuse("[a/b]\nbacking = /a\n",
	    "FILE:1: the section's name cannot be the name of a file");
}
END_TEST

START_TEST(config_parse__refuses_two_devices_of_one_name)
{
	refuse("[v]\nbacking = /a\n[v]\nbacking = /b\n",
	    "FILE:3: the device of line 1 has the name 'v' already");
	refuse("[v]\nbacking = /a\nname = w\n[w]\nbacking = /b\n",
	    "FILE:4: the device of line 1 has the name 'w' already");
	parse_well("[v]\nbacking = /a\nname = w\n[w]\nbacking = /b\nname=v\n");
}
END_TEST

/* libinih would cut them, and serve something else than was meant. */
START_TEST(config_parse__refuses_what_would_be_cut)
{
	char text[600];

	snprintf(text, sizeof(text), "[v]\nbacking = /%0188d\n", 0);
	parse_well(text);
	ck_assert_uint_eq(strlen(config.devices[0].path), 189);
	snprintf(text, sizeof(text), "[v]\nbacking = /%0189d\n", 0);
	refuse(text, "FILE:2: the line is too long");
	snprintf(text, sizeof(text), "[%049d]\nbacking = /a\n", 0);
	parse_well(text);
	ck_assert_uint_eq(strlen(config.devices[0].name), 49);
	snprintf(text, sizeof(text), "[%050d]\nbacking = /a\n", 0);
	refuse(text, "FILE:1: the section's name is longer than 49 bytes");
}
END_TEST

START_TEST(config_parse__refuses_control_characters)
{
	static const char nul[] = "[v]\nbacking = /a\0b\n";

	ck_assert_int_eq(parse_bytes(nul, sizeof(nul) - 1), -EINVAL);
	ck_assert_str_eq(error.text, "FILE:2: there is a control character");
	refuse("[v]\nbacking = /a\x1b[2J\n",
	    "FILE:2: there is a control character");
}
END_TEST

/* What nobody looks at any more is not told of. */
START_TEST(config_parse__ends_with_the_first_error)
{
	refuse("[v]\nbacking = a\nmode = 999\n[\n",
	    "FILE:2: backing=a: must be absolute");
}
END_TEST

START_TEST(config_parse__refuses_more_devices_than_there_can_be)
{
	const size_t room = 64 * (REGISTRY_DEVICE_MAX + 1);
	size_t used = 0;
	char *text;
	unsigned i;

	ck_assert_ptr_nonnull(text = malloc(room));
	for (i = 0; i <= REGISTRY_DEVICE_MAX; i++)
		used += (size_t)snprintf(text + used, room - used,
		    "[vol%u]\nbacking=/vol%u\n", i, i);
	ck_assert_int_eq(parse_bytes(text, used), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error.text, "more devices than"));
	free(text);
}
END_TEST

START_TEST(config_read__tells_why_it_cannot)
{
	config_fini(&config);
	ck_assert_int_eq(
	    config_read("/nowhere/it.conf", -1, &table, 1, &config, &error),
	    -ENOENT);
	ck_assert_str_eq(
	    error.text, "/nowhere/it.conf: No such file or directory");
	config_fini(&config);
	ck_assert_int_eq(
	    config_read("/", -1, &table, 1, &config, &error), -EISDIR);
}
END_TEST

/* A server reads what its keeper has read, each time from the beginning. */
START_TEST(config_share__has_the_same_text)
{
	struct config again;
	int fd, i;

	parse_well("[v]\nbacking = /a\nmode = 640\n");
	fd = config_share(&config);
	ck_assert_int_ge(fd, 0);
	for (i = 0; i < 2; i++) {
		ck_assert_int_eq(
		    config_read("FILE", fd, &table, 1, &again, &error), 0);
		ck_assert_uint_eq(again.ndevice, 1);
		ck_assert_uint_eq(again.devices[0].mode, 0640);
		config_fini(&again);
	}
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

static void
check_name(const char *path, const char *name)
{
	const char *found;
	size_t len;

	found = config_name(path, &len);
	ck_assert_uint_eq(len, strlen(name));
	ck_assert_int_eq(strncmp(found, name, len), 0);
}

START_TEST(config_name__is_that_of_the_file)
{
	check_name("/etc/bttfs/disks.conf", "disks");
	check_name("disks.conf", "disks");
	check_name("./disks", "disks");
	check_name("/etc/.conf", ".conf");
}
END_TEST

int
main(void)
{
	Suite *suite;
	TCase *tcase;

	suite = suite_create("config");
	tcase = tcase_create("config");
	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, NULL, forget);
	tcase_add_test(tcase, config_parse__has_a_section_for_each_device);
	tcase_add_test(tcase, config_parse__may_be_without_devices);
	tcase_add_test(tcase, config_parse__takes_yes_and_no);
	tcase_add_test(tcase, config_parse__says_which_line_is_wrong);
	tcase_add_test(tcase, config_parse__refuses_odd_sections);
	tcase_add_test(tcase, config_parse__refuses_two_devices_of_one_name);
	tcase_add_test(tcase, config_parse__refuses_what_would_be_cut);
	tcase_add_test(tcase, config_parse__refuses_control_characters);
	tcase_add_test(tcase, config_parse__ends_with_the_first_error);
	tcase_add_test(
	    tcase, config_parse__refuses_more_devices_than_there_can_be);
	tcase_add_test(tcase, config_read__tells_why_it_cannot);
	tcase_add_test(tcase, config_share__has_the_same_text);
	tcase_add_test(tcase, config_name__is_that_of_the_file);
	suite_add_tcase(suite, tcase);
	return check_main(suite);
}
