/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * control_upgrade -- "upgrade": somebody wants another server in our place.  The
 * answer is who we are; that another one has come is seen by its number.
 */
#include <errno.h>
#include <unistd.h>

#include "control_verbs.h"
#include "keeper_client.h"

int
control_upgrade(const struct request *request, struct failure *failure)
{
	struct keeper_client *keeper = request->control->manager->keeper;
	const char *why = request->control->options.no_upgrade;
	struct jsonb jsonb = { false };
	struct json_object *result;

	if (keeper == NULL)
		why = "this daemon has no keeper";
	if (why != NULL)
		return failure->r = btt_error_set(
			   &failure->error, -EOPNOTSUPP, "%s", why);
	result = jsonb_object(&jsonb);
	jsonb_add_text(&jsonb, result, "server", BTTFS_VERSION);
	jsonb_add_number(&jsonb, result, "pid", (uint64_t)getpid());
	client_answer(request->client, request->id, &jsonb, result);
	keeper_client_upgrade(keeper);
	return 0;
}
