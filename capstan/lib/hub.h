/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Remote repositories: the bucket layout of the original tool (packages/NAME.{mpm,yaml} behind an
 * S3 ListObjects index) and Carrara's own signed index.json.
 */
#ifndef CAPSTAN_HUB_H
#define CAPSTAN_HUB_H

#include "cap.h"
#include "util.h"

/* Downloads the newest version of a package in range ("" for any), checks it and imports it. */
int cap_hub_pull_package(struct cap *c, const char *name, const char *range);

struct cap_hub_entry {
	char *name, *version, *created, *title;
};
/* Packages whose name contains `part` (NULL: all), sorted by name. */
int cap_hub_search(struct cap *c, const char *part, struct cap_hub_entry **list, size_t *count);
void cap_hub_entries_free(struct cap_hub_entry *list, size_t count);

/* Uploads a package archive; needs the hub's token in the configuration. */
int cap_hub_push(struct cap *c, const char *mpm);

/* Downloads an image NAME into the local repository. */
int cap_hub_pull_image(struct cap *c, const char *name);

#endif
