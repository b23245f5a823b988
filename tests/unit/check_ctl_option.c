/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ctl_option -- one table makes parser, usage and help of a command; what the
 * table does not allow is refused with a text that helps.
 */
#include <errno.h>
#include <stdio.h>

#include "../../daemon/ctl.h"
#include "../support/check_main.h"

struct options {
	struct ctl_common common;
	struct ctl_size size;
	struct ctl_number number;
	struct ctl_uuid uuid;
	struct ctl_choice choice;
	const char *text;
	bool force;
};

static const char *const colours[] = { "red", "green", NULL };

#define AT(member) offsetof(struct options, member)
static const struct ctl_option table[] = {
	{ 's', "size", CTL_SIZE, AT(size), "SIZE", NULL, "how much" },
	{ 0, "number", CTL_NUMBER, AT(number), "N", NULL, "how many" },
	{ 'u', "uuid", CTL_UUID, AT(uuid), "U", NULL, "who" },
	{ 0, "colour", CTL_CHOICE, AT(choice), "red|green", colours, "which" },
	{ 'n', "text", CTL_TEXT, AT(text), "NAME", NULL, "what" },
	{ 'f', "force", CTL_SWITCH, AT(force), NULL, NULL, "really" },
	CTL_OPTION_JSON,
	CTL_OPTION_QUIET,
	CTL_OPTION_END,
};

static const struct ctl_command command = {
	.name = "frob",
	.operands = "PATH",
	.summary = "Frobnicate",
	.options = table,
	.options_bytes = sizeof(struct options),
	.min_operands = 1,
	.max_operands = 1,
};

/* Parse a line of words; the result is static. */
static struct options options;
static char *operand;
static struct btt_error error;

static int
parse(const char *line)
{
	static char words[512];
	static char *argv[32];
	char *save, *word;
	int argc, first, r;

	snprintf(words, sizeof(words), "%s", line);
	argc = 0;
	argv[argc++] = (char *)(uintptr_t)command.name;
	for (word = strtok_r(words, " ", &save); word != NULL;
	     word = strtok_r(NULL, " ", &save))
		argv[argc++] = word;
	argv[argc] = NULL;
	error.text[0] = '\0';
	operand = NULL;
	r = ctl_parse(&command, argc, argv, &options, &first, &error);
	if (r == 0)
		operand = argv[first];
	return r;
}

START_TEST(ctl_parse__fills_each_kind)
{
	ck_assert_int_eq(parse("-s 1.5G --number 4096 --colour green "
			       "-u 00112233-4455-6677-8899-aabbccddeeff "
			       "--force --json -n some image"),
	    0);
	ck_assert(options.size.given);
	ck_assert_uint_eq(options.size.bytes, UINT64_C(3) << 29);
	ck_assert(options.number.given);
	ck_assert_uint_eq(options.number.value, 4096);
	ck_assert(options.choice.given);
	ck_assert_uint_eq(options.choice.index, 1);
	ck_assert(options.uuid.given);
	ck_assert_uint_eq(options.uuid.uuid[15], 0xff);
	ck_assert_str_eq(options.text, "some");
	ck_assert(options.force);
	ck_assert(options.common.json);
	ck_assert(!options.common.quiet);
	ck_assert_str_eq(operand, "image");
}
END_TEST

START_TEST(ctl_parse__gives_nothing_that_was_not_said)
{
	memset(&options, 0xff, sizeof(options));
	ck_assert_int_eq(parse("image"), 0);
	ck_assert(!options.size.given);
	ck_assert(!options.number.given);
	ck_assert(!options.uuid.given);
	ck_assert(!options.choice.given);
	ck_assert_ptr_null(options.text);
	ck_assert(!options.force);
	ck_assert(!options.common.json);
}
END_TEST

START_TEST(ctl_parse__takes_options_after_the_operand)
{
	ck_assert_int_eq(parse("image -f -s1M"), 0);
	ck_assert(options.force);
	ck_assert_uint_eq(options.size.bytes, 1 << 20);
	ck_assert_str_eq(operand, "image");
	ck_assert_int_eq(parse("-- -f"), 0);
	ck_assert(!options.force);
	ck_assert_str_eq(operand, "-f");
}
END_TEST

START_TEST(ctl_parse__tells_help_from_errors)
{
	ck_assert_int_eq(parse("--help"), -ECANCELED);
	ck_assert_int_eq(parse("-h"), -ECANCELED);
	ck_assert_int_eq(parse("image --help"), -ECANCELED);
}
END_TEST

/* The words of this file's command lines are never empty. */
START_TEST(ctl_parse__refuses_an_empty_text)
{
	char *argv[] = { (char *)(uintptr_t) "frob",
		(char *)(uintptr_t) "--text=", (char *)(uintptr_t) "image",
		NULL };
	int first;

	ck_assert_int_eq(
	    ctl_parse(&command, 3, argv, &options, &first, &error), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error.text, "--text '': is empty"));
}
END_TEST

static const struct {
	const char *line;
	const char *text;
} wrong[] = {
	{ "", "PATH is missing" },
	{ "-f", "PATH is missing" },
	{ "a b", "one too many: b" },
	{ "a b c", "one too many: b" },
	{ "-s", "--size needs a value (SIZE)" },
	{ "a --size", "--size needs a value (SIZE)" },
	{ "-s 1X a", "--size 1X: not a size such as 512M or 1.5G" },
	{ "-s 99E a", "--size 99E: too large" },
	{ "--size=-1 a", "--size -1: not a size such as 512M or 1.5G" },
	{ "--number 4k a", "--number 4k: not a number" },
	{ "--number -1 a", "--number -1: not a number" },
	{ "--number 4294967296 a", "--number 4294967296: too large" },
	{ "--number 99999999999999999999 a",
	    "--number 99999999999999999999: too large" },
	{ "--uuid 0011 a", "--uuid 0011: not a UUID" },
	{ "--colour blue a", "--colour blue: not one of red green" },
	{ "--force=yes a", "--force=yes: takes no value" },
	{ "--help=yes a", "--help=yes: takes no value" },
	{ "-x a", "unknown option -x" },
	{ "--sise 4 a", "unknown option --sise; did you mean --size?" },
	{ "--sise=4 a", "unknown option --sise; did you mean --size?" },
	{ "--frobnicate a", "unknown option --frobnicate" },
};

START_TEST(ctl_parse__says_what_is_wrong)
{
	ck_assert_int_eq(parse(wrong[_i].line), -EINVAL);
	ck_assert_str_eq(error.text, wrong[_i].text);
}
END_TEST

static void
read_back(FILE *file, char *text, size_t size)
{
	size_t n;

	rewind(file);
	n = fread(text, 1, size - 1, file);
	text[n] = '\0';
	fclose(file);
}

START_TEST(ctl_print_usage__names_every_option_in_80_columns)
{
	char text[4096], *line, *save;
	FILE *file;

	ck_assert_ptr_nonnull(file = tmpfile());
	ctl_print_usage(&command, file);
	read_back(file, text, sizeof(text));
	ck_assert_str_eq(text,
	    "usage: bttctl frob [-s SIZE] [--number N] [-u U] "
	    "[--colour red|green] [-n NAME]\n"
	    "                   [-f] [-j] [-q] PATH\n");
	ck_assert_ptr_nonnull(file = tmpfile());
	ctl_print_help(&command, file);
	read_back(file, text, sizeof(text));
	for (line = strtok_r(text, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save))
		ck_assert_uint_le(strlen(line), 80);
}
END_TEST

/* UI-1: a failure never looks like success, and EBUSY is 240 as in ndctl. */
START_TEST(ctl_exit_status__is_the_low_byte_of_the_errno)
{
	int number;

	ck_assert_int_eq(ctl_exit_status(0), 0);
	ck_assert_int_eq(ctl_exit_status(-EBUSY), 240);
	ck_assert_int_eq(ctl_exit_status(-ENXIO), 250);
	ck_assert_int_eq(ctl_exit_status(-ENOENT), 254);
	for (number = 1; number <= 4096; number++) {
		ck_assert_int_gt(ctl_exit_status(-number), 0);
		ck_assert_int_lt(ctl_exit_status(-number), 256);
	}
}
END_TEST

int
main(void)
{
	Suite *suite;
	TCase *tcase;

	suite = suite_create("ctl_option");
	tcase = tcase_create("parse");
	tcase_add_test(tcase, ctl_parse__fills_each_kind);
	tcase_add_test(tcase, ctl_parse__gives_nothing_that_was_not_said);
	tcase_add_test(tcase, ctl_parse__takes_options_after_the_operand);
	tcase_add_test(tcase, ctl_parse__tells_help_from_errors);
	tcase_add_loop_test(tcase, ctl_parse__says_what_is_wrong, 0,
	    (int)(sizeof(wrong) / sizeof(wrong[0])));
	suite_add_tcase(suite, tcase);
	tcase = tcase_create("output");
	tcase_add_test(tcase, ctl_parse__refuses_an_empty_text);
	tcase_add_test(
	    tcase, ctl_print_usage__names_every_option_in_80_columns);
	tcase_add_test(tcase, ctl_exit_status__is_the_low_byte_of_the_errno);
	suite_add_tcase(suite, tcase);
	return check_main(suite);
}
