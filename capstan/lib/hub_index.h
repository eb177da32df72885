/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The index of a Carrara hub: every package with size, digest and requirements, signed as a whole
 * with Ed25519. On the wire it is index.signed: the signature in hex, a newline, then the JSON text
 * that was signed; one file, so that the two cannot be read in different states.
 */
#ifndef CAPSTAN_HUB_INDEX_H
#define CAPSTAN_HUB_INDEX_H

#include "cap.h"
#include "util.h"

#define HUB_KEY_HEX 64 /* characters of a public key */
#define HUB_INDEX_MAX (64u << 20)
#define HUB_SIGNED_NAME "index.signed"

struct hub_package {
	char *name, *version, *packaging, *title, *author, *created;
	char *file; /* path below the hub's URL */
	char *sha256;
	uint64_t bytes;
	struct strv require;
};

struct hub_index {
	uint64_t serial; /* grows with every publication */
	struct hub_package *list;
	size_t count;
	/* Images: title is the description, nothing is required, and a name may have a namespace.
	 */
	struct hub_package *images;
	size_t image_count;
};

void hub_index_free(struct hub_index *index);
void hub_package_free(struct hub_package *p);
/* The JSON text of an index, sorted, deterministic. */
char *hub_index_format(const struct hub_index *index);
/* Parses and checks JSON text: names, digests, paths that stay below the hub. */
int hub_index_parse(
    struct cap *c, const char *where, const char *text, size_t len, struct hub_index *index);

/* A new key pair: 32-byte seed and public key in hex. */
void hub_key_create(unsigned char seed[32], char public_hex[HUB_KEY_HEX + 1]);
void hub_key_public(const unsigned char seed[32], char public_hex[HUB_KEY_HEX + 1]);
/* The signed form of an index. */
char *hub_index_sign(const char *json, const unsigned char seed[32]);
/* Splits the signed form and checks the signature; *json points into text. */
int hub_index_verify(struct cap *c, const char *where, const char *text, size_t len,
    const char *public_hex, const char **json);

/* The newest version of an image, or NULL. */
const struct hub_package *hub_index_find_image(const struct hub_index *index, const char *name);
/* The newest version (of it, the newest packaging) of a package in range, or NULL. */
const struct hub_package *hub_index_find(
    const struct hub_index *index, const char *name, const char *range);

#endif
