/* SPDX-License-Identifier: BSD-3-Clause */
#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "size.h"
#include "suggest.h"

/* Most options of one command, --help included. */
#define OPTION_MAX 32u
/* What getopt_long answers for option number i of the table. */
#define OPTION_BASE 256
#define OPTION_HELP (OPTION_BASE + (int)OPTION_MAX)

#define USAGE_COLUMNS 80u

static size_t
option_count(const struct ctl_command *command)
{
	size_t n;

	for (n = 0; command->options[n].name != NULL; n++)
		;
	assert(n + 1 < OPTION_MAX);
	return n;
}

static bool
takes_value(const struct ctl_option *option)
{
	return option->kind != CTL_SWITCH && option->kind != CTL_COUNT;
}

/* The tables getopt_long(3) wants, made from ours. */
struct getopt_tables {
	char letters[2 + 2 * OPTION_MAX + 2];
	struct option names[OPTION_MAX + 1];
};

static void
make_tables(const struct ctl_command *command, struct getopt_tables *ret)
{
	const struct ctl_option *option;
	size_t i, n, nletter;

	memset(ret, 0, sizeof(*ret));
	nletter = 0;
	/* Missing values are told from unknown options, and we do the talking */
	ret->letters[nletter++] = ':';
	n = option_count(command);
	for (i = 0; i < n; i++) {
		option = &command->options[i];
		ret->names[i] = (struct option){
			.name = option->name,
			.has_arg = takes_value(option) ? required_argument
						       : no_argument,
			.val = OPTION_BASE + (int)i,
		};
		if (option->letter == 0)
			continue;
		ret->letters[nletter++] = option->letter;
		if (takes_value(option))
			ret->letters[nletter++] = ':';
	}
	ret->letters[nletter++] = 'h';
	ret->names[n] = (struct option){ .name = "help", .val = OPTION_HELP };
}

static const struct ctl_option *
find_letter(const struct ctl_command *command, int letter)
{
	const struct ctl_option *option;

	for (option = command->options; option->name != NULL; option++) {
		if (option->letter != 0 && option->letter == letter)
			return option;
	}
	return NULL;
}

static int
bad_value(const struct ctl_option *option, const char *value, const char *want,
    struct btt_error *error)
{
	return btt_error_set(
	    error, -EINVAL, "--%s %s: %s", option->name, value, want);
}

static int
parse_number(const struct ctl_option *option, const char *value,
    struct ctl_number *ret, struct btt_error *error)
{
	char *end;
	unsigned long number;

	errno = 0;
	number = strtoul(value, &end, 10);
	/* strtoul takes blanks and signs too; we do not. */
	if (value[0] < '0' || value[0] > '9' || *end != '\0')
		return bad_value(option, value, "not a number", error);
	if (errno != 0 || number > UINT32_MAX)
		return bad_value(option, value, "too large", error);
	*ret = (struct ctl_number){ true, (uint32_t)number };
	return 0;
}

static int
parse_choice(const struct ctl_option *option, const char *value,
    struct ctl_choice *ret, struct btt_error *error)
{
	char known[64];
	size_t used;
	unsigned i;

	used = 0;
	known[0] = '\0';
	for (i = 0; option->choices[i] != NULL; i++) {
		if (strcmp(option->choices[i], value) == 0) {
			*ret = (struct ctl_choice){ true, i };
			return 0;
		}
		if (used < sizeof(known))
			used += (size_t)snprintf(known + used,
			    sizeof(known) - used, " %s", option->choices[i]);
	}
	return btt_error_set(error, -EINVAL, "--%s %s: not one of%s",
	    option->name, value, known);
}

static int
parse_value(const struct ctl_option *option, const char *value, void *target,
    struct btt_error *error)
{
	struct ctl_size *size;
	struct ctl_uuid *uuid;
	int r;

	switch (option->kind) {
	case CTL_SWITCH:
		*(bool *)target = true;
		return 0;
	case CTL_COUNT:
		++*(unsigned *)target;
		return 0;
	case CTL_SIZE:
		size = target;
		if ((r = size_parse(value, &size->bytes)) < 0)
			return bad_value(option, value,
			    r == -ERANGE ? "too large"
					 : "not a size such as 512M or 1.5G",
			    error);
		size->given = true;
		return 0;
	case CTL_NUMBER:
		return parse_number(option, value, target, error);
	case CTL_UUID:
		uuid = target;
		if (btt_uuid_parse(value, uuid->uuid) < 0)
			return bad_value(option, value, "not a UUID", error);
		uuid->given = true;
		return 0;
	case CTL_CHOICE:
		return parse_choice(option, value, target, error);
	case CTL_TEXT:
		if (value[0] == '\0')
			return bad_value(option, "''", "is empty", error);
		*(const char **)target = value;
		return 0;
	case CTL_PATH:
		*(const char **)target = value;
		return 0;
	}
	abort(); /* a kind that this switch does not know */
}

/* The long option that text, without its dashes, may have been meant for. */
static const char *
nearest_option(const struct ctl_command *command, const char *text)
{
	const struct ctl_option *option;
	const char *nearest;
	unsigned distance, least;

	nearest = NULL;
	least = suggest_limit(text) + 1;
	for (option = command->options; option->name != NULL; option++) {
		distance = suggest_distance(text, option->name);
		if (distance < least) {
			least = distance;
			nearest = option->name;
		}
	}
	return nearest;
}

/* What getopt_long did not like, in our words. */
static int
refuse(const struct ctl_command *command, int answer, const char *text,
    struct btt_error *error)
{
	const struct ctl_option *option;
	const char *near;
	char name[64];

	/* optopt is a letter, or what we put into val, or 0 if unknown. */
	option = NULL;
	if (optopt >= OPTION_BASE && optopt < OPTION_HELP)
		option = &command->options[optopt - OPTION_BASE];
	else if (optopt != 0)
		option = find_letter(command, optopt);
	if (answer == ':' && option != NULL)
		return btt_error_set(error, -EINVAL, "--%s needs a value (%s)",
		    option->name, option->value);
	if (option != NULL || optopt == OPTION_HELP)
		return btt_error_set(
		    error, -EINVAL, "%s: takes no value", text);
	if (optopt != 0)
		return btt_error_set(
		    error, -EINVAL, "unknown option -%c", optopt);
	snprintf(
	    name, sizeof(name), "%.*s", (int)strcspn(text + 2, "="), text + 2);
	near = nearest_option(command, name);
	return btt_error_set(error, -EINVAL, "unknown option --%s%s%s%s", name,
	    near == NULL ? "" : "; did you mean --", near == NULL ? "" : near,
	    near == NULL ? "" : "?");
}

static int
check_operands(const struct ctl_command *command, int noperand,
    const char *first_extra, struct btt_error *error)
{
	const char *missing;
	int i;

	if (noperand < command->min_operands) {
		missing = command->operands;
		for (i = 0; i < noperand; i++)
			missing += strcspn(missing, " ") + 1;
		return btt_error_set(error, -EINVAL, "%.*s is missing",
		    (int)strcspn(missing, " "), missing);
	}
	if (noperand > command->max_operands)
		return btt_error_set(
		    error, -EINVAL, "one too many: %s", first_extra);
	return 0;
}

int
ctl_parse(const struct ctl_command *command, int argc, char *argv[],
    void *ret_options, int *ret_first_operand, struct btt_error *error)
{
	const struct ctl_option *option;
	struct getopt_tables tables;
	int answer, r;

	assert(command->options_bytes <= CTL_OPTIONS_MAX);
	memset(ret_options, 0, command->options_bytes);
	make_tables(command, &tables);
	opterr = 0;
	optind = 0; /* start afresh, also in a second call */
	while ((answer = getopt_long(
		    argc, argv, tables.letters, tables.names, NULL)) != -1) {
		if (answer == 'h' || answer == OPTION_HELP)
			return -ECANCELED;
		if (answer == '?' || answer == ':')
			return refuse(command, answer, argv[optind - 1], error);
		option = answer >= OPTION_BASE
		    ? &command->options[answer - OPTION_BASE]
		    : find_letter(command, answer);
		assert(option != NULL);
		if ((r = parse_value(option, optarg,
			 (char *)ret_options + option->at, error)) < 0)
			return r;
	}
	*ret_first_operand = optind;
	return check_operands(command, argc - optind,
	    argv[optind + command->max_operands < argc
		    ? optind + command->max_operands
		    : argc],
	    error);
}

void
ctl_print_usage(const struct ctl_command *command, FILE *file)
{
	const struct ctl_option *option;
	char text[64];
	size_t column, indent, n;

	indent = strlen("usage: bttctl ") + strlen(command->name);
	column = indent;
	fprintf(file, "usage: bttctl %s", command->name);
	for (option = command->options;; option++) {
		if (option->name == NULL)
			snprintf(text, sizeof(text), "%s", command->operands);
		else if (option->letter != 0)
			snprintf(text, sizeof(text), "[-%c%s%s]",
			    option->letter, takes_value(option) ? " " : "",
			    takes_value(option) ? option->value : "");
		else
			snprintf(text, sizeof(text), "[--%s%s%s]", option->name,
			    takes_value(option) ? " " : "",
			    takes_value(option) ? option->value : "");
		n = 1 + strlen(text);
		if (column + n > USAGE_COLUMNS) {
			fprintf(file, "\n%*s", (int)indent, "");
			column = indent;
		}
		fprintf(file, " %s", text);
		column += n;
		if (option->name == NULL)
			break;
	}
	fputc('\n', file);
}

static void
print_option(char letter, const char *name, const char *value, const char *help,
    FILE *file)
{
	char text[64];

	snprintf(text, sizeof(text), "--%s%s%s", name, value == NULL ? "" : " ",
	    value == NULL ? "" : value);
	if (letter != 0)
		fprintf(file, "  -%c, %-24s %s\n", letter, text, help);
	else
		fprintf(file, "      %-24s %s\n", text, help);
}

void
ctl_print_help(const struct ctl_command *command, FILE *file)
{
	const struct ctl_option *option;

	ctl_print_usage(command, file);
	fprintf(file, "\n%s.\n\n", command->summary);
	for (option = command->options; option->name != NULL; option++)
		print_option(option->letter, option->name, option->value,
		    option->help, file);
	print_option('h', "help", NULL, "print this", file);
}

/* Is text the option, as -s or --size? */
static bool
is_typed(const struct ctl_option *option, const char *text)
{
	if (strncmp(text, "--", 2) == 0)
		return strcmp(text + 2, option->name) == 0;
	return text[0] == '-' && text[1] != '\0' && text[1] == option->letter &&
	    text[2] == '\0';
}

void
ctl_list_options(const struct ctl_command *command)
{
	const struct ctl_option *option;

	for (option = command->options; option->name != NULL; option++)
		printf("--%s\n", option->name);
	puts("--help");
}

bool
ctl_list_values(const struct ctl_command *command, const char *name)
{
	const struct ctl_option *option;
	unsigned i;

	if (name == NULL) {
		if (strstr(command->operands, "NAME") != NULL)
			puts("<device>");
		if (strstr(command->operands, "PATH") != NULL)
			puts("<file>");
		return true;
	}
	for (option = command->options; option->name != NULL; option++) {
		if (is_typed(option, name))
			break;
	}
	if (option->name == NULL)
		return false;
	if (option->kind == CTL_CHOICE) {
		for (i = 0; option->choices[i] != NULL; i++)
			puts(option->choices[i]);
	} else if (option->kind == CTL_PATH) {
		puts("<file>");
	} else if (takes_value(option)) {
		puts("<value>");
	}
	return true;
}
