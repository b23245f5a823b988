/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * options -- what bttfs makes of a command line, whoever wrote it: a person,
 * mount(8), fstab(5).
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include <options.h>

#include "../support/check_main.h"

static char line_words[4096];
static struct options options;
static struct btt_error error;

/* Parse the words of a line after the program's name. */
static int
parse(const char *line)
{
	static char program[] = "bttfs";
	static char *argv[64];
	char *save, *word;
	int argc;

	ck_assert_uint_lt(strlen(line), sizeof(line_words));
	strcpy(line_words, line);
	argc = 0;
	argv[argc++] = program;
	for (word = strtok_r(line_words, " ", &save); word != NULL;
	     word = strtok_r(NULL, " ", &save))
		argv[argc++] = word;
	argv[argc] = NULL;
	error.text[0] = '\0';
	return options_parse(argc, argv, &options, &error);
}

static void
parse_well(const char *line)
{
	int r;

	r = parse(line);
	ck_assert_msg(r == 0, "'%s': %s", line, error.text);
	ck_assert_str_eq(error.text, "");
}

static void
forget(void)
{
	options_fini(&options);
}

START_TEST(options_parse__takes_two_arguments)
{
	parse_well("/dev/pmem0 /mnt");
	ck_assert_int_eq(options.action, OPTIONS_SERVE);
	ck_assert_str_eq(options.backing, "/dev/pmem0");
	ck_assert_str_eq(options.device.path, "/dev/pmem0");
	ck_assert_str_eq(options.mountpoint, "/mnt");
}
END_TEST

/* Private unless asked for, and as durable as the medium is good at. */
START_TEST(options_parse__defaults_are_the_safe_ones)
{
	parse_well("a b");
	ck_assert(!options.foreground);
	ck_assert(!options.debug);
	ck_assert(!options.allow_other);
	ck_assert(!options.sync);
	ck_assert_int_eq(options.confine, CONFINE_DENY);
	ck_assert_uint_eq(options.nworker, 0);
	ck_assert_ptr_null(options.fsname);
	ck_assert_ptr_null(options.device.name);
	ck_assert_uint_eq(options.device.mode, 0600);
	ck_assert_uint_eq(options.device.uid, geteuid());
	ck_assert_uint_eq(options.device.gid, getegid());
	ck_assert(!options.device.read_only);
	ck_assert(!options.device.allow_sparse);
	ck_assert_int_eq(options.device.durability, BTT_DURABLE_DEFAULT);
	ck_assert_int_eq(options.device.force, MEDIA_FORCE_NONE);
}
END_TEST

START_TEST(options_parse__each_word_does_what_it_says)
{
	parse_well("-f -o ro,name=disk,mode=0640,uid=12,gid=34,allow_other "
		   "-o durability=flush,sparse,workers=7,fsname=src,sync,debug "
		   "-o granularity=page,namespace=3,confine=no a b");
	ck_assert(options.foreground);
	ck_assert(options.debug);
	ck_assert(options.allow_other);
	ck_assert(options.sync);
	ck_assert_int_eq(options.confine, CONFINE_NO);
	ck_assert_uint_eq(options.nworker, 7);
	ck_assert_str_eq(options.fsname, "src");
	ck_assert_str_eq(options.device.name, "disk");
	ck_assert_str_eq(options.device.namespace, "3");
	ck_assert_uint_eq(options.device.mode, 0640);
	ck_assert_uint_eq(options.device.uid, 12);
	ck_assert_uint_eq(options.device.gid, 34);
	ck_assert(options.device.read_only);
	ck_assert(options.device.allow_sparse);
	ck_assert_int_eq(options.device.durability, BTT_DURABLE_FLUSH);
	ck_assert_int_eq(options.device.force, MEDIA_FORCE_PAGE);
}
END_TEST

START_TEST(options_parse__users_and_groups_have_names_too)
{
	parse_well("-o uid=root,gid=root a b");
	ck_assert_uint_eq(options.device.uid, 0);
	ck_assert_uint_eq(options.device.gid, 0);
}
END_TEST

/* What mount.fuse3(8) makes of a line of fstab. */
START_TEST(options_parse__takes_what_mount_passes_on)
{
	parse_well("/srv/a.btt /mnt -o rw,dev,suid,nosuid,nodev,noexec,noatime,"
		   "relatime,nofail,_netdev,auto,user,users,defaults,"
		   "x-systemd.automount,x-systemd.requires=/srv,comment=mine,"
		   "default_permissions,workers=3");
	ck_assert_str_eq(options.backing, "/srv/a.btt");
	ck_assert_str_eq(options.mountpoint, "/mnt");
	ck_assert(!options.device.read_only);
	ck_assert_uint_eq(options.nworker, 3);
}
END_TEST

START_TEST(options_parse__the_last_word_counts)
{
	parse_well("-o ro,rw,sync,async,name=a,durability=flush a b "
		   "-o name=c,durability=write");
	ck_assert(!options.device.read_only);
	ck_assert(!options.sync);
	ck_assert_str_eq(options.device.name, "c");
	ck_assert_int_eq(options.device.durability, BTT_DURABLE_WRITE);
}
END_TEST

START_TEST(options_parse__a_backslash_keeps_a_comma)
{
	parse_well("-o name=a\\,b\\\\c,ro a b");
	ck_assert_str_eq(options.device.name, "a,b\\c");
	ck_assert(options.device.read_only);
}
END_TEST

START_TEST(options_parse__empty_words_mean_nothing)
{
	parse_well("-o ,,ro,, a b");
	ck_assert(options.device.read_only);
}
END_TEST

/* "--" ends the options, so that a name may begin with a dash. */
START_TEST(options_parse__dashes_end_the_options)
{
	parse_well("-f -- -o b");
	ck_assert_str_eq(options.backing, "-o");
}
END_TEST

START_TEST(options_parse__help_and_version_need_nothing_else)
{
	parse_well("--help");
	ck_assert_int_eq(options.action, OPTIONS_HELP);
	forget();
	parse_well("-V");
	ck_assert_int_eq(options.action, OPTIONS_VERSION);
}
END_TEST

/* What is refused, and what of the answer helps. */
static const struct {
	const char *line;
	const char *says;
} wrong[] = {
	{ "", "BACKING is missing" },
	{ "a", "MOUNTPOINT is missing" },
	{ "a b c", "unexpected argument 'c'" },
	{ "-x a b", "'-x'" },
	{ "--forground a b", "'--forground'" },
	{ "a b -o", "needs a list" },
	{ "-o durabilty=write a b", "did you mean 'durability'?" },
	{ "-o worker=3 a b", "did you mean 'workers'?" },
	{ "-o nmae=x a b", "did you mean 'name'?" },
	{ "--config", "--config needs a value" },
	{ "-o socket=x a b", "must be absolute, or 'none'" },
	{ "-o quuxquux a b", "'quuxquux'; 'bttfs --help'" },
	{ "-o =x a b", "unknown option ''" },
	{ "-o ro=1 a b", "ro takes no value" },
	{ "-o workers a b", "workers needs a value" },
	{ "-o name= a b", "name needs a value" },
	{ "-o namespace= a b", "namespace needs a value" },
	{ "-o name=a/b a b", "cannot be the name" },
	{ "-o name=.. a b", "cannot be the name" },
	{ "-o workers=0 a b", "from 1 to 252" },
	{ "-o workers=256 a b", "from 1 to 252" },
	{ "-o workers=-1 a b", "from 1 to 252" },
	{ "-o workers=99999999999999999999 a b", "from 1 to 252" },
	{ "-o workers=4x a b", "from 1 to 252" },
	{ "-o commit=0 a b", "from 1 to 3600" },
	{ "-o commit=3601 a b", "from 1 to 3600" },
	{ "-o mode=8 a b", "must be octal" },
	{ "-o mode=1777 a b", "at most 777" },
	{ "-o uid=4294967295 a b", "no such user" },
	{ "-o uid=nobody-has-this-name a b", "no such user" },
	{ "-o gid=nobody-has-this-name a b", "no such group" },
	{ "-o durability=never a b", "'write' or 'flush'" },
	{ "-o confine=yes a b", "deny, kill or no" },
	{ "-o granularity=sector a b", "'byte', 'cacheline' or 'page'" },
};
#define NWRONG ((int)(sizeof(wrong) / sizeof(wrong[0])))

START_TEST(options_parse__refuses_and_says_why)
{
	const char *line;

	line = wrong[_i].line;
	ck_assert_msg(parse(line) == -EINVAL, "'%s' was taken", line);
	ck_assert_msg(strstr(error.text, wrong[_i].says) != NULL,
	    "'%s': '%s' does not say \"%s\"", line, error.text, wrong[_i].says);
	ck_assert_msg(strchr(error.text, '\n') == NULL, "more than a line");
}
END_TEST

/* Longer than any file name: refused, not cut. */
START_TEST(options_parse__refuses_a_name_of_256_bytes)
{
	char line[300];

	strcpy(line, "-o name=");
	memset(line + 8, 'n', 256);
	strcpy(line + 8 + 256, " a b");
	ck_assert_int_eq(parse(line), -EINVAL);
	forget();
	strcpy(line + 8 + 255, " a b");
	parse_well(line);
	ck_assert_uint_eq(strlen(options.device.name), 255);
}
END_TEST

START_TEST(options_print_help__fits_and_names_every_word)
{
	static const char *const names[] = { "ro", "rw", "name=NAME",
		"namespace=NAME|UUID|N", "mode=MODE", "uid=USER", "gid=GROUP",
		"allow_other", "durability=write|flush", "commit=SECONDS",
		"sparse", "scrub", "workers=N", "fsname=NAME", "sync", "async",
		"debug", "granularity=byte|cacheline|page", "--foreground",
		"--help", "--version" };
	char *text, *line, *save;
	size_t text_bytes, i;
	FILE *file;

	ck_assert_ptr_nonnull(file = open_memstream(&text, &text_bytes));
	options_print_help(file);
	ck_assert_int_eq(fclose(file), 0);
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		ck_assert_msg(strstr(text, names[i]) != NULL,
		    "%s is not mentioned", names[i]);
	for (line = strtok_r(text, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save))
		ck_assert_msg(strlen(line) <= 80, "too long: '%s'", line);
	free(text);
}
END_TEST

/* Files of these texts, of which each test makes one. */
static char config_path[64];

static void
make_config(const char *text)
{
	FILE *file;

	snprintf(config_path, sizeof(config_path), "/tmp/check-options-%d.conf",
	    getpid());
	ck_assert_ptr_nonnull(file = fopen(config_path, "w"));
	fputs(text, file);
	ck_assert_int_eq(fclose(file), 0);
}

static void
forget_config(void)
{
	unlink(config_path);
	forget();
}

static int
parse_config(const char *before, const char *after)
{
	char line[200];

	snprintf(line, sizeof(line), "%s --config=%s %s", before, config_path,
	    after);
	return parse(line);
}

START_TEST(options_parse__takes_a_configuration)
{
	char socket[100];

	make_config("[bttfs]\nmountpoint=/srv\nworkers=7\nallow_other=yes\n"
		    "[vol]\nbacking=/dev/pmem0\n");
	ck_assert_int_eq(parse_config("", ""), 0);
	ck_assert(options.has_config);
	ck_assert_str_eq(options.backing, config_path);
	ck_assert_str_eq(options.mountpoint, "/srv");
	ck_assert_uint_eq(options.nworker, 7);
	ck_assert(options.allow_other);
	ck_assert_uint_eq(options.config.ndevice, 1);
	snprintf(socket, sizeof(socket), "/run/bttfs/check-options-%d.sock",
	    getpid());
	ck_assert_str_eq(options.control.path, socket);
}
END_TEST

/* UI-11: what the command line says replaces what the file does. */
START_TEST(options_parse__the_command_line_replaces_the_file)
{
	make_config("[bttfs]\nmountpoint=/srv\nworkers=7\n"
		    "socket=/run/other.sock\n");
	ck_assert_int_eq(parse_config("", ""), 0);
	ck_assert_str_eq(options.control.path, "/run/other.sock");
	forget();
	ck_assert_int_eq(
	    parse_config("-o workers=3,socket=none", "/elsewhere"), 0);
	ck_assert_str_eq(options.mountpoint, "/elsewhere");
	ck_assert_uint_eq(options.nworker, 3);
	ck_assert_ptr_null(options.control.path);
	ck_assert_uint_eq(options.config.ndevice, 0);
}
END_TEST

START_TEST(options_parse__refuses_what_a_configuration_lacks)
{
	char says[120];

	make_config("[bttfs]\nworkers=7\n");
	ck_assert_int_eq(parse_config("", ""), -EINVAL);
	snprintf(says, sizeof(says), "%s: section [bttfs] has no 'mountpoint'",
	    config_path);
	ck_assert_str_eq(error.text, says);
	forget();
	ck_assert_int_eq(parse_config("-o ro", "/m"), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error.text, "is said of a device"));
	forget();
	ck_assert_int_eq(parse_config("", "/dev/pmem0 /m"), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error.text, "unexpected argument '/m'"));
	forget();
	ck_assert_int_eq(parse("--config /nowhere/x.conf"), -ENOENT);
	ck_assert_str_eq(
	    error.text, "/nowhere/x.conf: No such file or directory");
}
END_TEST

int
main(void)
{
	Suite *suite;
	TCase *tcase;

	suite = suite_create("options");
	tcase = tcase_create("parse");
	tcase_add_checked_fixture(tcase, NULL, forget);
	tcase_add_test(tcase, options_parse__takes_two_arguments);
	tcase_add_test(tcase, options_parse__defaults_are_the_safe_ones);
	tcase_add_test(tcase, options_parse__each_word_does_what_it_says);
	tcase_add_test(tcase, options_parse__users_and_groups_have_names_too);
	tcase_add_test(tcase, options_parse__takes_what_mount_passes_on);
	tcase_add_test(tcase, options_parse__the_last_word_counts);
	tcase_add_test(tcase, options_parse__a_backslash_keeps_a_comma);
	tcase_add_test(tcase, options_parse__empty_words_mean_nothing);
	tcase_add_test(tcase, options_parse__dashes_end_the_options);
	tcase_add_test(
	    tcase, options_parse__help_and_version_need_nothing_else);
	tcase_add_loop_test(
	    tcase, options_parse__refuses_and_says_why, 0, NWRONG);
	tcase_add_test(tcase, options_parse__refuses_a_name_of_256_bytes);
	suite_add_tcase(suite, tcase);
	tcase = tcase_create("config");
	tcase_add_checked_fixture(tcase, NULL, forget_config);
	tcase_add_test(tcase, options_parse__takes_a_configuration);
	tcase_add_test(
	    tcase, options_parse__the_command_line_replaces_the_file);
	tcase_add_test(
	    tcase, options_parse__refuses_what_a_configuration_lacks);
	suite_add_tcase(suite, tcase);
	tcase = tcase_create("help");
	tcase_add_test(tcase, options_print_help__fits_and_names_every_word);
	suite_add_tcase(suite, tcase);
	return check_main(suite);
}
