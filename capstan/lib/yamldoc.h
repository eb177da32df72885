/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * YAML documents as a tree of nodes that remember where they stood, so that every complaint names
 * line and column. Built on libyaml's parser; aliases and custom tags are refused, depth and size
 * are bounded, a repeated key is an error.
 */
#ifndef CAPSTAN_YAMLDOC_H
#define CAPSTAN_YAMLDOC_H

#include "cap.h"
#include "util.h"

enum cap_yaml_type { CAP_YAML_SCALAR, CAP_YAML_LIST, CAP_YAML_MAP };

struct cap_yaml_node {
	enum cap_yaml_type type;
	int line, column; /* from 1 */
	char *text;	  /* CAP_YAML_SCALAR */
	bool plain;	  /* CAP_YAML_SCALAR without quotes: may mean null, true, a number */
	size_t count;
	struct cap_yaml_node **keys;  /* CAP_YAML_MAP, scalars */
	struct cap_yaml_node **items; /* CAP_YAML_LIST and CAP_YAML_MAP */
};

/* Parses one document. *out is NULL for an empty one. -EBADMSG after an error event. */
int cap_yaml_parse(
    struct cap *c, const char *name, const char *text, size_t len, struct cap_yaml_node **out);
void cap_yaml_free(struct cap_yaml_node *n);

/* Value of a key of a map, NULL when absent (or n is no map). */
struct cap_yaml_node *cap_yaml_get(const struct cap_yaml_node *n, const char *key);
bool cap_yaml_is_null(const struct cap_yaml_node *n);
/* Warns about keys that are not in known (NULL terminated), suggesting the nearest one. */
void cap_yaml_check_keys(
    struct cap *c, const char *name, const struct cap_yaml_node *map, const char *const *known);

/*
 * Typed access for manifests. Each reports -EBADMSG with the place when the value has another
 * type; a missing or null value gives NULL or leaves the result empty.
 */
int cap_yaml_string(
    struct cap *c, const char *name, const struct cap_yaml_node *map, const char *key, char **out);
int cap_yaml_strings(struct cap *c, const char *name, const struct cap_yaml_node *map,
    const char *key, struct strv *out);

/* Appends a scalar for a YAML file, quoted when it needs to be. */
void cap_yaml_quote(struct buf *out, const char *text);

#endif
