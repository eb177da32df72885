/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A hub's directory:
 *   packages/NAME-VERSION.mpm   immutable, named by the index
 *   packages/NAME.{mpm,yaml}    the newest version, as the original tool reads it
 *   [NS/]NAME/NAME-DIGEST.qemu.gz        immutable, an image named by the index
 *   [NS/]NAME/{NAME.qemu.gz,index.yaml}  the newest version of it, as the original tool reads it
 *   index.signed, index.json    the index, with and without signature
 *   key.pub                     the public key in hex
 *   .hub/                       never served: seed of the key, token, uploads, lock
 *
 * Publishing writes the package first and the index last, each by rename, under a lock that also
 * holds against other processes: a kill at any moment leaves the old or the new state.
 */
#ifndef CAPSTAN_HUB_STORE_H
#define CAPSTAN_HUB_STORE_H

#include <sys/types.h>

#include "hub_index.h"

struct hub_store {
	char *dir;
	unsigned char seed[32];
	char public_key[HUB_KEY_HEX + 1];
	char *token;
};

/* Opens a directory as a hub, making key, token and index where they are missing. */
int hub_store_open(struct cap *c, const char *dir, const char *token, struct hub_store *s);
void hub_store_close(struct hub_store *s);
/* The current index. */
int hub_store_index(struct cap *c, const struct hub_store *s, struct hub_index *index);
/* A new file for an upload; its path is freed by the caller. */
int hub_store_upload(struct cap *c, const struct hub_store *s, char **path);
/*
 * Checks an uploaded archive and publishes it. The file is moved or removed. -EEXIST when the same
 * version is there with other content. *message says what happened; the caller frees it.
 */
int hub_store_publish(struct cap *c, const struct hub_store *s, const char *upload, char **message);

/*
 * The same for a compressed image; version, description and created may be NULL. Images without a
 * version replace each other.
 */
struct hub_image_upload {
	const char *name, *version, *description, *created;
};
int hub_store_publish_image(struct cap *c, const struct hub_store *s, const char *upload,
    const struct hub_image_upload *image, char **message);

/* Steps of publishing. */
char *hub_store_path(const struct hub_store *s, const char *name); /* the caller frees it */
/* Replaces a small file of the store. */
int hub_store_write(
    struct cap *c, const struct hub_store *s, const char *name, const char *text, mode_t mode);
/* Locks the store against other publishers; the descriptor to close, or a negative errno. */
int hub_store_lock(struct cap *c, const struct hub_store *s);
int hub_store_write_index(struct cap *c, const struct hub_store *s, const struct hub_index *index);

#endif
