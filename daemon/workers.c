/* SPDX-License-Identifier: BSD-3-Clause */
#include "workers.h"

#include <string.h>
#include <unistd.h>

#include "device_kept.h"
#include "ring.h"
#include <btt/media.h>

/* Requests on page granularity sleep in syncs, on others they compute. */
#define NWORKER_PAGE 32
#define NWORKER_MIN 2
#define NWORKER_MAX 8

/* Does a write of this device sleep for a disk? */
static bool
is_page_granular(
    const struct device_options *options, struct keeper_client *keeper)
{
	int fd;

	if (options->force != MEDIA_FORCE_NONE)
		return options->force == MEDIA_FORCE_PAGE;
	fd = device_kept_find_backing(keeper, device_options_name(options));
	return fd >= 0 ? !media_is_dax_fd(fd) : !media_is_dax(options->path);
}

/*
 * Of one among many.  A file system that answers nothing must not keep the
 * others from being served, so files are not looked at.
 */
static bool
is_page_granular_unseen(
    const struct device_options *options, struct keeper_client *keeper)
{
	if (options->force == MEDIA_FORCE_NONE &&
	    strncmp(options->path, "/dev/", 5) != 0)
		return true;
	return is_page_granular(options, keeper);
}

/* Of those that come later nothing is known. */
static bool
has_page_granular(const struct options *options, struct keeper_client *keeper)
{
	const struct config *config = &options->config;
	size_t i;

	if (!options->has_config)
		return is_page_granular(&options->device, keeper);
	for (i = 0; i < config->ndevice; i++) {
		if (is_page_granular_unseen(&config->devices[i], keeper))
			return true;
	}
	return config->ndevice == 0;
}

/*
 * What is in a ring when a server crashes the kernel cannot give out again
 * (fuse.md 6): unasked that is chosen only where a crash is the end anyway.
 * And a sync of one device holds up what else is in the ring.
 */
static unsigned
choose_with_ring(const struct options *options, bool page)
{
	bool wanted = options->transport == OPTIONS_TRANSPORT_RING;

	if (options->transport == OPTIONS_TRANSPORT_AUTO)
		wanted = options->ncrash == 0 && !page;
	if (!wanted)
		return 0;
	return ring_nqueue() * (options->streaming ? 2 : 1);
}

static unsigned
choose_without_ring(const struct options *options, bool page)
{
	long ncpu;

	if (options->nworker != 0)
		return options->nworker;
	if (page)
		return NWORKER_PAGE;
	ncpu = sysconf(_SC_NPROCESSORS_ONLN);
	if (ncpu < NWORKER_MIN)
		return NWORKER_MIN;
	return ncpu > NWORKER_MAX ? NWORKER_MAX : (unsigned)ncpu;
}

void
workers_choose(const struct options *options, struct keeper_client *keeper,
    struct workers *ret_workers)
{
	const bool page = has_page_granular(options, keeper);
	unsigned nring = choose_with_ring(options, page);

	ret_workers->nring = nring;
	if (nring == 0)
		ret_workers->n = choose_without_ring(options, page);
	else if (options->nworker > nring + 1)
		ret_workers->n = options->nworker;
	else
		ret_workers->n = nring + 1;
}
