/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LANES_GRAPH_H
#define LANES_GRAPH_H

/*
 * graph -- the order in which classes of locks are taken, learned while the
 * program runs (LK-1, LK-2 and LK-4 of control-plane.md E.4).
 *
 * Nodes are classes, so what one device teaches holds for a thousand.  An edge
 * from A to B says that a thread which held an A waited for a B.  A thread
 * about to wait for a B needs an edge from every class it holds; what is
 * missing is looked at, and entered if no rule is broken.  So the graph is also
 * the memory of what has been allowed: the question costs two loads, and asks
 * for rank, order, recursion, leaf and depth at once.
 *
 * There is no lock.  Whoever enters an edge does so first and looks for the way
 * back after: of two threads that enter the two halves of a cycle at the same
 * moment at least one finds it.  The edge that closes a cycle is taken out
 * again, so the graph has none, and each further use is reported as well.
 */
#include <lanes/sync.h>

struct held_stack;
struct report;

/*
 * What a class lacks and a thread has, as bits.  A thread says which classes
 * it does not hold, a class which may be held when it is waited for: the wait
 * is fine if each bit is in one of them.  A thread that was never seen has
 * none, a class whose lock is gone neither.
 */
#define GRAPH_ALIVE (UINT64_C(1) << 63)   /* never with threads */
#define GRAPH_ROOM (UINT64_C(1) << 62)    /* the stack is not full */
#define GRAPH_NO_LEAF (UINT64_C(1) << 61) /* no leaf is held */
#define GRAPH_MAY_SLEEP (UINT64_C(1) << 60)
#define GRAPH_CLASSES (GRAPH_MAY_SLEEP - 1)

/* A class as the process knows it.  Keys: a atomic, F fixed at first sight. */
struct lock_node {
	/* [a] Classes from which an edge leads here, and what else may be. */
	_Alignas(LANES_CACHE_LINE) _Atomic(uint64_t) before;
	_Atomic(const struct lock_class *) class; /* [F] NULL: unused */
	_Atomic(uint64_t) clears; /* [F] what a thread lacks that holds one */
};

/* That of destroyed locks. */
extern struct lock_node graph_gone __attribute__((visibility("hidden")));

/* The node of a class; a new one for a class that was never seen. */
const struct lock_node *graph_node(const struct lock_class *class);

static inline const struct lock_class *
graph_class(const struct lock_node *node)
{
	return atomic_load_explicit(&node->class, memory_order_relaxed);
}

static inline uint64_t
graph_before(const struct lock_node *node)
{
	return atomic_load_explicit(&node->before, memory_order_relaxed);
}

static inline uint64_t
graph_clears(const struct lock_node *node)
{
	return atomic_load_explicit(&node->clears, memory_order_relaxed);
}

/*
 * A thread is about to wait for node at a place.  Enters the edges that are
 * missing, or reports why one must not be and returns false.
 */
bool graph_learn(
    struct held_stack *self, const struct lock_node *node, const char *here);

#endif
