/* SPDX-License-Identifier: BSD-3-Clause */
#include "graph.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

#include "held.h"
#include "report.h"

_Static_assert(SYNC_CLASS_MAX == 60, "the bits of GRAPH_CLASSES");

/* Where an edge was seen first: its head was held from, its tail waited at. */
struct edge {
	_Atomic(const char *) held_from;
	_Atomic(const char *) waited_at;
};

/*
 * Mutable and the process's, as an order between classes must be: each device
 * teaches it, and each is warned by it.
 */
static struct lock_node nodes[SYNC_CLASS_MAX];
static struct edge edges[SYNC_CLASS_MAX][SYNC_CLASS_MAX]; /* from, to */

static const struct lock_class gone_class = { "destroyed lock", 0,
	LOCK_MAY_SLEEP };
struct lock_node graph_gone = { .class = &gone_class };

static unsigned
number_of(const struct lock_node *node)
{
	return (unsigned)(node - nodes);
}

static uint64_t
bit_of(const struct lock_node *node)
{
	return UINT64_C(1) << number_of(node);
}

/* Number of the lowest bit, which is taken out. */
static unsigned
next_bit(uint64_t *bits)
{
	unsigned bit = (unsigned)__builtin_ctzll(*bits);

	*bits &= *bits - 1;
	return bit;
}

/*
 * Whoever finds the class in its place may come before the one who put it
 * there has done the rest: both do it, to the same effect.
 */
static void
prepare(struct lock_node *node, const struct lock_class *class)
{
	uint64_t clears = bit_of(node);

	if ((class->flags & LOCK_LEAF) != 0)
		clears |= GRAPH_NO_LEAF;
	if ((class->flags & (LOCK_MAY_SLEEP | LOCK_IDLE)) == 0)
		clears |= GRAPH_MAY_SLEEP;
	atomic_store_explicit(&node->clears, clears, memory_order_relaxed);
	atomic_fetch_or(&node->before, GRAPH_ALIVE | GRAPH_MAY_SLEEP);
}

const struct lock_node *
graph_node(const struct lock_class *class)
{
	for (unsigned i = 0; i < SYNC_CLASS_MAX; i++) {
		const struct lock_class *there = NULL;

		if (atomic_compare_exchange_strong(
			&nodes[i].class, &there, class) ||
		    there == class) {
			prepare(&nodes[i], class);
			return &nodes[i];
		}
	}
	held_die("one more class of locks", ENOSPC);
}

/*
 * The shortest way between two classes over the edges: what follows after each
 * class on it.  Goes backwards, since classes know who comes before them.
 */
static bool
find_path(unsigned from, unsigned to, uint8_t next[SYNC_CLASS_MAX])
{
	uint64_t seen = UINT64_C(1) << to;
	uint64_t level = seen;

	while (level != 0 && (seen >> from & 1) == 0) {
		uint64_t found = 0;

		while (level != 0) {
			unsigned node = next_bit(&level);
			/* Pairs with the entering of edges in enter(). */
			uint64_t before = atomic_load(&nodes[node].before) &
			    GRAPH_CLASSES & ~seen;

			seen |= before;
			found |= before;
			while (before != 0)
				next[next_bit(&before)] = (uint8_t)node;
		}
		level = found;
	}
	return (seen >> from & 1) != 0;
}

static const char *
known_place(const _Atomic(const char *) *place)
{
	const char *text = atomic_load(place);

	/* Its finder is about to write it down. */
	return text != NULL ? text : "(a place not known yet)";
}

/* Say by which edges one class comes before another, if it does. */
static void
add_path(struct report *report, unsigned from, unsigned to,
    const uint8_t next[SYNC_CLASS_MAX])
{
	report_add(report, "; the other way round before:");
	for (unsigned node = from; node != to; node = next[node]) {
		const struct edge *edge = &edges[node][next[node]];

		report_add(report, "\n  '%s' from %s on, then '%s' at %s",
		    graph_class(&nodes[node])->name,
		    known_place(&edge->held_from),
		    graph_class(&nodes[next[node]])->name,
		    known_place(&edge->waited_at));
	}
}

static bool
is_ranked(const struct lock_class *class)
{
	return (class->flags & (LOCK_UNRANKED | LOCK_IDLE)) == 0;
}

/* Another of this class, held by the thread. */
static const struct held_lock *
find_of_class(const struct held_stack *self, const struct lock_node *node)
{
	for (unsigned i = self->nlock; i-- > 0;)
		if (self->lock[i].node == node)
			return &self->lock[i];
	return NULL;
}

static void
report_class(struct held_stack *self, const struct held_lock *held,
    const struct lock_class *class, const char *here)
{
	held_report(self,
	    "class: '%s' locked at %s with another of its class held, "
	    "taken at %s",
	    class->name, here, held->place); /* LK-4 */
}

static void
report_rank(struct held_stack *self, const struct held_lock *held,
    const struct lock_node *node, const char *here)
{
	unsigned from = number_of(node);
	unsigned to = number_of(held->node);
	uint8_t next[SYNC_CLASS_MAX];
	struct report report;

	report_begin(&report,
	    "rank: '%s' (rank %u) locked at %s "
	    "after '%s' (rank %u) taken at %s",
	    graph_class(node)->name, graph_class(node)->rank, here,
	    held_class(held)->name, held_class(held)->rank, held->place);
	if (find_path(from, to, next))
		add_path(&report, from, to, next);
	report_end(&report, self); /* LK-9 */
}

static void
report_cycle(struct held_stack *self, const struct held_lock *held,
    const struct lock_node *node, const char *here,
    const uint8_t next[SYNC_CLASS_MAX])
{
	struct report report;

	report_begin(&report,
	    "order: '%s' waited for at %s after '%s' taken at %s",
	    graph_class(node)->name, here, held_class(held)->name, held->place);
	add_path(&report, number_of(node), number_of(held->node), next);
	report_end(&report, self); /* LK-1, LK-2 */
}

/* Write the places down before the edge: whoever follows it finds them. */
static void
note_places(struct edge *edge, const char *held_from, const char *waited_at)
{
	const char *none = NULL;

	if (atomic_compare_exchange_strong(&edge->waited_at, &none, waited_at))
		atomic_store(&edge->held_from, held_from);
}

/* Enter the edge from what is held; false after a report that it is none. */
static bool
enter(struct held_stack *self, const struct held_lock *held,
    const struct lock_node *node, const char *here)
{
	unsigned from = number_of(held->node);
	unsigned to = number_of(node);
	uint8_t next[SYNC_CLASS_MAX];

	note_places(&edges[from][to], held->place, here);
	/* First the edge, then the search: see the head of graph.h. */
	atomic_fetch_or(&nodes[to].before, UINT64_C(1) << from);
	if (!find_path(to, from, next))
		return true;
	atomic_fetch_and(&nodes[to].before, ~(UINT64_C(1) << from));
	report_cycle(self, held, node, here, next);
	return false;
}

bool
graph_learn(
    struct held_stack *self, const struct lock_node *node, const char *here)
{
	const struct lock_class *class = graph_class(node);
	const struct held_lock *held;

	if ((held = find_of_class(self, node)) != NULL) {
		report_class(self, held, class, here);
		return false;
	}
	for (unsigned i = self->nlock; i-- > 0;) {
		held = &self->lock[i];
		if ((graph_before(node) & bit_of(held->node)) != 0)
			continue;
		if (is_ranked(class) && is_ranked(held_class(held)) &&
		    held_class(held)->rank >= class->rank) {
			report_rank(self, held, node, here);
			return false;
		}
		if (!enter(self, held, node, here))
			return false;
	}
	return true;
}

void
sync_order_visit(sync_order_fn *fn, void *arg)
{
	for (unsigned to = 0; to < SYNC_CLASS_MAX; to++) {
		uint64_t before = graph_before(&nodes[to]) & GRAPH_CLASSES;

		while (before != 0) {
			unsigned from = next_bit(&before);

			fn(arg, graph_class(&nodes[from]),
			    graph_class(&nodes[to]),
			    known_place(&edges[from][to].held_from),
			    known_place(&edges[from][to].waited_at));
		}
	}
}

struct order_text {
	char *text;
	size_t len;
	size_t room;
};

static void
add_line(void *arg, const struct lock_class *from, const struct lock_class *to,
    const char *held_from, const char *waited_at)
{
	struct order_text *out = arg;
	int n;

	n = snprintf(out->text + out->len, out->room - out->len,
	    "\"%s\" -> \"%s\"; // %s, %s\n", from->name, to->name, held_from,
	    waited_at);
	if (n > 0 && (size_t)n < out->room - out->len)
		out->len += (size_t)n;
}

size_t
sync_order_format(char *text, size_t room)
{
	struct order_text out = { text, 0, room };

	sync_order_visit(add_line, &out);
	return out.len;
}
