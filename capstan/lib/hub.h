/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Remote repositories. A Carrara hub has a signed index (hub_index.h), whose digests pin every
 * file. The bucket of the original tool has packages/NAME.{mpm,yaml} behind an S3 ListObjects
 * index; it is used when a URL has no signed index and never had one.
 */
#ifndef CAPSTAN_HUB_H
#define CAPSTAN_HUB_H

#include "cap.h"
#include "util.h"

struct hub_index;
struct hub_package;
/*
 * The verified index of the repository. -ENOENT without an error event when the URL is a bucket,
 * which has none.
 */
int cap_hub_load_index(struct cap *c, struct hub_index *index);

/* Downloads the newest version of a package in range ("" for any), checks it and imports it. */
int cap_hub_pull_package(struct cap *c, const char *name, const char *range);

/* The same for one entry of an index that was loaded. */
int cap_hub_pull_entry(struct cap *c, const struct hub_package *p);

struct cap_hub_entry {
	char *name, *version, *created, *title;
};
/* Packages whose name contains `part` (NULL: all), sorted by name. */
int cap_hub_search(struct cap *c, const char *part, struct cap_hub_entry **list, size_t *count);
void cap_hub_entries_free(struct cap_hub_entry *list, size_t count);

/* Uploads a package archive; needs the hub's token in the configuration. */
int cap_hub_push(struct cap *c, const char *mpm);

/*
 * Downloads an image into the local repository: what the signed index pins, or of a bucket
 * NAME/NAME.qemu.gz.
 */
int cap_hub_pull_image(struct cap *c, const char *name);
/* Compresses and uploads an image of the local repository; needs the hub's token. */
int cap_hub_push_image(struct cap *c, const char *name);
/* Images of a hub whose name contains `part` (NULL: all), sorted by name; none of a bucket. */
int cap_hub_search_images(
    struct cap *c, const char *part, struct cap_hub_entry **list, size_t *count);
/* Compares a downloaded file with what the signed index says. */
int cap_hub_check_download(struct cap *c, const char *file, const struct hub_package *p);

/* Serving a directory as a hub. */
struct cap_hub_server {
	const char *dir;
	const char *address;		/* to listen on, NULL: 127.0.0.1 */
	uint16_t port;			/* 0: any free one */
	const char *token;		/* for uploads; NULL: DIR/.hub/token, made when missing */
	const char *tls_cert, *tls_key; /* PEM files, NULL for plain HTTP */
};
/* Serves until SIGINT or SIGTERM. */
int cap_hub_serve(struct cap *c, const struct cap_hub_server *server);

#endif
