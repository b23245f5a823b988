/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_LABEL_LIST_H
#define BTTFS_LABEL_LIST_H

/*
 * label_list -- the namespaces of an image and its label area, for people and
 * for scripts.
 */
#include <json-c/json.h>

#include <btt/label.h>

/* Both index blocks, a line each, and a table of the namespaces. */
void label_list_print(const struct btt_labels *labels);
struct json_object *label_list_json(const struct btt_labels *labels);

/* One of them. */
struct json_object *label_namespace_json(const struct btt_namespace *ns);

#endif
