/* SPDX-License-Identifier: BSD-3-Clause */
/* Which packages an application needs, in the order in which they are put into the image. */
#ifndef CAPSTAN_DEPS_H
#define CAPSTAN_DEPS_H

#include "manifest.h"

struct cap_deps {
	struct cap_package *list; /* what a package requires comes before it */
	size_t count;
};

/*
 * Resolves requirements from the local repository, depth first, each package once. With
 * pull_missing absent packages, and ones whose version does not fit, are fetched from the hub.
 * Cycles, missing packages and versions that do not fit are explained (-EBADMSG, -ENOENT).
 */
int cap_deps_resolve(struct cap *c, const char *who, const struct strv *require, bool pull_missing,
    struct cap_deps *deps);
void cap_deps_free(struct cap_deps *deps);

#endif
