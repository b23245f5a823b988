/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * control_config -- devices that the configuration has, whether they are
 * attached or not: ndctl's word for those that are not is "disabled".
 */
#include <string.h>

#include "control_impl.h"

const struct device_options *
control_find_configured(const struct control *control, const char *name)
{
	const struct config *config = control->options.config;
	size_t i;

	for (i = 0; config != NULL && i < config->ndevice; i++) {
		if (strcmp(config->devices[i].name, name) == 0)
			return &config->devices[i];
	}
	return NULL;
}

/* With the keys that every device has. */
static struct json_object *
disabled_json(struct jsonb *jsonb, const struct device_options *options)
{
	struct json_object *object;

	object = jsonb_object(jsonb);
	jsonb_add_text(jsonb, object, "dev", options->name);
	jsonb_add_text(jsonb, object, "mode", "sector");
	jsonb_add_text(jsonb, object, "state", "disabled");
	jsonb_add_bool(jsonb, object, "read_only", options->read_only);
	jsonb_add_text(jsonb, object, "backing", options->path);
	jsonb_add_number(jsonb, object, "open_handles", 0);
	jsonb_add_number(jsonb, object, "generation", 0);
	jsonb_add_number(jsonb, object, "job", 0);
	return object;
}

void
control_append_disabled(
    struct control *control, struct jsonb *jsonb, struct json_object *array)
{
	const struct config *config = control->options.config;
	struct device *device;
	size_t i;

	for (i = 0; config != NULL && i < config->ndevice; i++) {
		device = registry_find(
		    control->manager->registry, config->devices[i].name);
		if (device == NULL)
			jsonb_append(jsonb, array,
			    disabled_json(jsonb, &config->devices[i]));
		device_unref(device);
	}
}
