/* SPDX-License-Identifier: BSD-3-Clause */
/* The original tool's repository: files in an S3 bucket, listed by its ListObjects XML. */
#ifndef CAPSTAN_HUB_BUCKET_H
#define CAPSTAN_HUB_BUCKET_H

#include "hub.h"

/* Full URL of a path below the repository's URL; the caller frees it. */
char *cap_hub_url(struct cap *c, const char *path);

int cap_bucket_pull(struct cap *c, const char *name, const char *range);
int cap_bucket_search(struct cap *c, const char *part, struct cap_hub_entry **list, size_t *count);

/*
 * Takes the keys out of one page of a listing. *marker receives where the next page starts, or NULL
 * after the last. -EBADMSG for what is no listing.
 */
int cap_bucket_parse(
    struct cap *c, const char *where, const char *xml, struct strv *keys, char **marker);

#endif
