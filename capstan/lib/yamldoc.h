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

enum yaml_type { YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml_node {
	enum yaml_type type;
	int line, column; /* from 1 */
	char *text;	  /* YAML_SCALAR */
	bool plain;	  /* YAML_SCALAR without quotes: may mean null, true, a number */
	size_t count;
	struct yaml_node **keys;  /* YAML_MAP, scalars */
	struct yaml_node **items; /* YAML_LIST and YAML_MAP */
};

/* Parses one document. *out is NULL for an empty one. -EBADMSG after an error event. */
int cap_yaml_parse(
    struct cap *c, const char *name, const char *text, size_t len, struct yaml_node **out);
void yaml_free(struct yaml_node *n);

/* Value of a key of a map, NULL when absent (or n is no map). */
struct yaml_node *yaml_get(const struct yaml_node *n, const char *key);
bool yaml_is_null(const struct yaml_node *n);
/* Warns about keys that are not in known (NULL terminated), suggesting the nearest one. */
void cap_yaml_check_keys(
    struct cap *c, const char *name, const struct yaml_node *map, const char *const *known);

/*
 * Typed access for manifests. Each reports -EBADMSG with the place when the value has another
 * type; a missing or null value gives NULL or leaves the result empty.
 */
int cap_yaml_string(
    struct cap *c, const char *name, const struct yaml_node *map, const char *key, char **out);
int cap_yaml_strings(struct cap *c, const char *name, const struct yaml_node *map, const char *key,
    struct strv *out);

/* Appends a scalar for a YAML file, quoted when it needs to be. */
void yaml_quote(struct buf *out, const char *text);

#endif
