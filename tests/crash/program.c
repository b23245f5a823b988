/* SPDX-License-Identifier: BSD-3-Clause */
/* program -- what the threads do, as text and back. */
#include <ctype.h>
#include <string.h>

#include "replay.h"
#include "world.h"

/* By enum lost_part. */
static const char lost_letters[] = "mnlijk";

static bool
parse_number(const char **text, uint8_t *ret_n)
{
	const char *p = *text;
	unsigned n = 0;

	if (!isdigit((unsigned char)*p))
		return false;
	while (isdigit((unsigned char)*p) && n < SPEC_LBAS)
		n = 10 * n + (unsigned)(*p++ - '0');
	*text = p;
	*ret_n = (uint8_t)n;
	return n <= SPEC_LBAS;
}

static bool
parse_step(const char **text, struct step *step)
{
	const char *p = *text;

	*step = (struct step){ STEP_WRITE, 3, 0, 1 };
	switch (*p++) {
	case 'w':
		break;
	case 'p':
		step->part = 1;
		break;
	case 'q':
		step->part = 2;
		break;
	case 'z':
		step->kind = STEP_ZERO;
		break;
	case 'y':
		step->kind = STEP_ZERO;
		step->part = 1;
		break;
	case 'r':
		step->kind = STEP_READ;
		break;
	case 'b':
		step->kind = STEP_SPOIL;
		break;
	case 'f':
		step->kind = STEP_FLUSH;
		*text = p;
		return true;
	case 'c':
		step->kind = STEP_CLEAR;
		*text = p;
		return true;
	case 's':
		step->kind = STEP_SCRUB;
		*text = p;
		return true;
	case 'm':
	case 'n':
	case 'l':
	case 'i':
	case 'j':
	case 'k':
		step->kind = STEP_LOSE;
		step->lba =
		    (uint8_t)(strchr(lost_letters, p[-1]) - lost_letters);
		*text = p;
		return true;
	case 'o':
		step->kind = STEP_REOPEN;
		*text = p;
		return true;
	default:
		return false;
	}
	if (!parse_number(&p, &step->lba))
		return false;
	if (*p == '+') {
		p++;
		if (!parse_number(&p, &step->n))
			return false;
	}
	*text = p;
	return true;
}

/* Threads are separated by '|' or '/', steps by spaces or commas. */
bool
program_parse(const char *text, struct program *program)
{
	unsigned thread = 0;

	memset(program, 0, sizeof(*program));
	for (; *text != '\0'; text++) {
		unsigned *n = &program->thread[thread].nstep;

		if (*text == ' ' || *text == ',')
			continue;
		if (*text == '|' || *text == '/') {
			if (++thread == SCHED_THREADS)
				return false;
			continue;
		}
		if (*n == STEPS_MAX_THREAD ||
		    !parse_step(&text, &program->thread[thread].step[*n]))
			return false;
		++*n;
		text--;
	}
	program->nthread = thread + 1;
	return true;
}

static void
print_step(const struct step *step, struct text *out)
{
	static const char letters[][5] = {
		[STEP_WRITE] = "?pqw",
		[STEP_ZERO] = "?y?z",
		[STEP_READ] = "???r",
		[STEP_FLUSH] = "???f",
		[STEP_REOPEN] = "???o",
		[STEP_SPOIL] = "???b",
		[STEP_CLEAR] = "???c",
		[STEP_SCRUB] = "???s",
	};

	if (step->kind == STEP_LOSE) {
		text_add(out, "%c", lost_letters[step->lba]);
		return;
	}
	text_add(out, "%c", letters[step->kind][step->part]);
	if (step->kind == STEP_FLUSH || step->kind == STEP_REOPEN ||
	    step->kind == STEP_CLEAR || step->kind == STEP_SCRUB)
		return;
	text_add(out, "%u", step->lba);
	if (step->n > 1)
		text_add(out, "+%u", step->n);
}

void
program_print(const struct program *program, struct text *out)
{
	for (unsigned t = 0; t < program->nthread; t++) {
		if (t > 0)
			text_add(out, "|");
		for (unsigned i = 0; i < program->thread[t].nstep; i++) {
			if (i > 0)
				text_add(out, " ");
			print_step(&program->thread[t].step[i], out);
		}
	}
}
