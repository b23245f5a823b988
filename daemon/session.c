/* SPDX-License-Identifier: BSD-3-Clause */
#include <sys/eventfd.h>
#include <sys/mman.h>

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <fuse_lowlevel.h>
#include <lanes/clock.h>

#include "session_impl.h"
#include "system_error.h"

/* Takes a worker out of read(2); does nothing else. */
#define WAKE_SIGNAL SIGUSR1
#define WAKE_INTERVAL_MS 10

/* Workers that wait for requests: one a CPU, and this many. */
#define NWAITING_MIN 4

/* Only the worker writes it: no read-modify-write is needed. */
void
worker_take_turn(struct worker *worker)
{
	atomic_store_explicit(&worker->turn,
	    atomic_load_explicit(&worker->turn, memory_order_relaxed) + 1,
	    memory_order_relaxed);
}

/* Returns as worker_receive. */
static ssize_t
serve_one(struct worker *worker)
{
	struct session *session = worker->session;
	ssize_t n;

	if (session->has_reserve && !reserve_enter(&session->reserve))
		return 0;
	n = worker_receive(worker);
	if (session->has_reserve)
		reserve_leave(&session->reserve);
	if (n <= 0)
		return n;
	worker_take_turn(worker);
	worker_serve(worker, (size_t)n);
	worker_take_turn(worker);
	return n;
}

static void *
worker_main(void *arg)
{
	struct worker *worker;
	struct session *session;
	char name[16];
	ssize_t n;
	int none;

	worker = arg;
	session = worker->session;
	snprintf(name, sizeof(name), "bttfs/%u", worker->index);
	(void)pthread_setname_np(pthread_self(), name); /* a nicety */

	if (worker->ring != NULL)
		ring_stay(worker->ring);
	n = 0;
	while (n >= 0 && !atomic_load(&session->stopping)) {
		sync_assert_at_rest(SYNC_HERE);
		n = worker->ring != NULL ? worker_ring_turn(worker)
					 : serve_one(worker);
	}
	if (n < 0 && n != -ENODEV) {
		none = 0;
		(void)atomic_compare_exchange_strong(&session->failure, &none,
		    (int)n); /* the first one counts */
	}
	atomic_fetch_sub(&session->nrunning, 1);
	(void)eventfd_write(session->ended_fd, 1); /* cannot overflow */
	return NULL;
}

/*
 * The buffer is placed so that a WRITE's payload begins a page: copies from it
 * are as fast as they get.
 */
static int
worker_init(struct session *session, unsigned index)
{
	struct worker *worker;
	size_t bytes;

	worker = &session->workers[index];
	worker->session = session;
	worker->index = index;
	worker->btt = btt_worker_pool_get(session->pool, index);
	worker->iov = calloc(BTT_READ_IOV + 1, sizeof(*worker->iov));
	if (worker->iov == NULL)
		return -ENOMEM;

	bytes = session->page_bytes + FS_IO_MAX;
	worker->buffer = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (worker->buffer == MAP_FAILED) {
		worker->buffer = NULL;
		return -ENOMEM;
	}
	if (mlock(worker->buffer, bytes) != 0)
		session->info.buffers_locked = false;
	worker->payload = worker->buffer + session->page_bytes;
	worker->request =
	    (struct fuse_in_header *)(void *)(worker->payload - HEAD_BYTES);
	return 0;
}

static void
worker_fini(struct worker *worker)
{
	if (worker->buffer != NULL)
		(void)munmap(
		    worker->buffer, worker->session->page_bytes + FS_IO_MAX);
	free(worker->iov);
}

static void
on_wake(int signal_number)
{
	(void)signal_number;
}

/* Without SA_RESTART: the point is that read(2) returns. */
static int
install_wake(void)
{
	struct sigaction action = { .sa_handler = on_wake };

	return sigaction(WAKE_SIGNAL, &action, NULL) != 0 ? -errno : 0;
}

static uint32_t
choose_nwaiting(void)
{
	long ncpu = sysconf(_SC_NPROCESSORS_ONLN);

	return ncpu < NWAITING_MIN ? NWAITING_MIN : (uint32_t)ncpu;
}

static int
open_agreed(struct session *session, int agreed_fd)
{
	if (agreed_fd < 0)
		return session_kept_new(&session->agreed, &session->agreed_fd);
	return session_kept_map(agreed_fd, &session->agreed);
}

static int
agree(struct session *session, int agreed_fd, struct btt_error *error)
{
	int r;

	r = agreed_fd < 0 ? session_negotiate(session, error)
			  : session_renegotiate(session, error);
	if (r == 0)
		tree_share_elided(
		    session->context.tree, &session->agreed->fsync_elided);
	return r;
}

int
session_open(int fd, int agreed_fd, const struct fs_context *context,
    struct btt_worker_pool *pool, unsigned nworker, unsigned nring,
    struct session **ret_session, struct btt_error *error)
{
	struct session *session;
	unsigned i;
	int r;

	session =
	    calloc(1, sizeof(*session) + nworker * sizeof(session->workers[0]));
	if (session == NULL) {
		(void)close(fd); /* nothing was written to it */
		return btt_error_set(error, -ENOMEM, "out of memory");
	}
	session->context = *context;
	session->pool = pool;
	session->fd = fd;
	session->nworker = nworker;
	session->nring = nring;
	session->has_reserve = nworker > choose_nwaiting();
	reserve_init(&session->reserve, choose_nwaiting());
	session->page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	session->info.buffers_locked = true;
	session->agreed_fd = -1;
	session->ended_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (session->ended_fd < 0) {
		r = system_error(error, -errno, "eventfd");
		goto fail;
	}
	if ((r = open_agreed(session, agreed_fd)) < 0) {
		(void)system_error(error, r, "what was agreed on");
		goto fail;
	}
	if ((r = install_wake()) < 0) {
		(void)system_error(error, r, "sigaction");
		goto fail;
	}
	for (i = 0; i < nworker; i++) {
		if ((r = worker_init(session, i)) < 0) {
			(void)btt_error_set(error, r,
			    "no memory for the buffers of %u workers", nworker);
			goto fail;
		}
	}
	if ((r = session_new_fuse(session, error)) < 0)
		goto fail;
	if ((r = agree(session, agreed_fd, error)) < 0)
		goto fail;
	*ret_session = session;
	return 0;

fail:
	session_close(session);
	return r;
}

void
session_get_info(const struct session *session, struct session_info *ret_info)
{
	*ret_info = session->info;
}

/*
 * Workers take no signal but the one that wakes them, and those by which the
 * processor reports a fault.
 */
static void
worker_signals(sigset_t *ret_set)
{
	static const int open[] = { SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGABRT,
		SIGTRAP, SIGSYS, WAKE_SIGNAL };
	size_t i;

	(void)sigfillset(ret_set);
	for (i = 0; i < sizeof(open) / sizeof(open[0]); i++)
		(void)sigdelset(ret_set, open[i]);
}

int
session_start(struct session *session, struct btt_error *error)
{
	struct worker *worker;
	sigset_t blocked, old;
	int r;

	/*
	 * Before anybody reads: the kernel gives out all that was read and not
	 * answered, by whomever.  A request that a worker of ours had at that
	 * moment would be done by a second one, answered, and followed by what
	 * comes after it, while the first may be about to write still.
	 */
	if (session->is_resumed && (r = session_ask_again(session, error)) < 0)
		return r;
	worker_signals(&blocked);
	(void)pthread_sigmask(SIG_SETMASK, &blocked, &old); /* inherited */
	r = 0;
	while (r == 0 && session->nstarted < session->nworker) {
		worker = &session->workers[session->nstarted];
		atomic_fetch_add(&session->nrunning, 1);
		r = pthread_create(&worker->thread, NULL, worker_main, worker);
		if (r == 0)
			session->nstarted++;
		else
			atomic_fetch_sub(&session->nrunning, 1);
	}
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r == 0)
		return 0;
	(void)session_stop(session, 0); /* the error is the one of above */
	return system_error(error, -r, "starting the workers");
}

/* That the kernel does not know it, or has no mount any more, is as good. */
void
session_forget_name(struct session *session, const char *name)
{
	sync_assert_none_held(SYNC_HERE);
	(void)fuse_lowlevel_notify_inval_entry(
	    session->fuse, FUSE_ROOT_ID, name, strlen(name));
}

void
session_forget_data(struct session *session, uint64_t nodeid)
{
	sync_assert_none_held(SYNC_HERE);
	(void)fuse_lowlevel_notify_inval_inode(session->fuse, nodeid, 0, 0);
}

int
session_agreed_fd(const struct session *session)
{
	return session->agreed_fd;
}

unsigned
session_stuck_ms(struct session *session)
{
	const uint64_t now_ms = clock_ms();
	uint64_t longest_ms = 0, turn;
	unsigned i;

	for (i = 0; i < session->nworker; i++) {
		struct worker *worker = &session->workers[i];

		turn =
		    atomic_load_explicit(&worker->turn, memory_order_relaxed);
		if (turn != worker->seen_turn || turn % 2 == 0) {
			worker->seen_turn = turn;
			worker->seen_ms = now_ms;
		} else if (longest_ms < now_ms - worker->seen_ms)
			longest_ms = now_ms - worker->seen_ms;
	}
	return longest_ms > UINT_MAX ? UINT_MAX : (unsigned)longest_ms;
}

int
session_fd(const struct session *session)
{
	return session->ended_fd;
}

/* Has everybody left?  Waits for at most timeout_ms. */
static bool
all_left(struct session *session, int timeout_ms)
{
	struct pollfd ended = { .fd = session->ended_fd, .events = POLLIN };
	const uint64_t until_ms = clock_ms() + (uint64_t)timeout_ms;
	eventfd_t count;
	uint64_t now_ms;

	while (atomic_load(&session->nrunning) > 0) {
		if ((now_ms = clock_ms()) >= until_ms)
			return false;
		/* Each worker that leaves makes it readable again. */
		(void)poll(&ended, 1, (int)(until_ms - now_ms));
		(void)eventfd_read(session->ended_fd, &count);
	}
	return true;
}

int
session_stop(struct session *session, int timeout_ms)
{
	unsigned i;

	if (!all_left(session, timeout_ms)) {
		atomic_store(&session->stopping, true);
		reserve_end(&session->reserve);
		/* A signal that comes just before read(2) is lost: repeat. */
		do {
			for (i = 0; i < session->nstarted; i++)
				(void)pthread_kill(
				    session->workers[i].thread, WAKE_SIGNAL);
		} while (!all_left(session, WAKE_INTERVAL_MS));
	}
	for (i = 0; i < session->nstarted; i++)
		(void)pthread_join(session->workers[i].thread, NULL);
	session->nstarted = 0;
	return atomic_load(&session->failure);
}

void
session_close(struct session *session)
{
	unsigned i;

	if (session == NULL)
		return;
	assert(session->nstarted == 0);
	session_free_rings(session);
	if (session->fuse != NULL)
		fuse_session_destroy(session->fuse); /* closes fd */
	else
		(void)close(session->fd); /* nothing was written to it */
	for (i = 0; i < session->nworker; i++)
		worker_fini(&session->workers[i]);
	if (session->ended_fd >= 0)
		(void)close(session->ended_fd);
	reserve_fini(&session->reserve);
	session_kept_unmap(session->agreed);
	if (session->agreed_fd >= 0)
		(void)close(session->agreed_fd); /* memory */
	free(session);
}
