/* SPDX-License-Identifier: BSD-3-Clause */
/* meta/package.yaml: what a package is called, which version it is, and what it requires. */
#ifndef CAPSTAN_MANIFEST_H
#define CAPSTAN_MANIFEST_H

#include "tree.h"

#define CAP_MANIFEST_MAX (1 << 20)

struct cap_package {
	char *name, *title, *author; /* required */
	char *version;		     /* of the packaged software, NULL when not given */
	char *packaging;	     /* of the packaging, NULL when not given */
	char *created;		     /* RFC 3339, NULL when not given */
	char *platform;		     /* NULL: any */
	struct strv require;	     /* "NAME" or "NAME RANGE", e.g. "carrara.node >=18 <21" */
	struct strv binaries;	     /* "NAME=PATH" of the manual's binary map */
};

/* Parses a manifest; where names it in messages. Checks the required fields and the name. */
int cap_package_parse(
    struct cap *c, const char *where, const char *text, size_t len, struct cap_package *p);
/* Reads DIR/meta/package.yaml. */
int cap_package_read(struct cap *c, const char *dir, struct cap_package *p);
void cap_package_free(struct cap_package *p);
/* Writes the manifest as YAML. */
void cap_package_format(const struct cap_package *p, struct buf *out);

/* Names are letters, digits, ".", "-", "_", "+" and start with a letter or digit. */
bool cap_name_valid(const char *name);
/* An image name may also have a namespace: "team/name". */
bool cap_image_name_valid(const char *name);
/* The name in a requirement, and the version range after it ("" for any); the caller frees both. */
int cap_require_split(struct cap *c, const char *require, char **name, char **range);

#endif
