/* SPDX-License-Identifier: BSD-3-Clause */
/* Which packages an application needs, in the order in which they are put into the image. */
#ifndef CAPSTAN_DEPS_H
#define CAPSTAN_DEPS_H

#include "manifest.h"

struct cap_deps {
	struct cap_package *list; /* what a package requires comes before it */
	size_t count;
};

struct cap_deps_request {
	const char *who;	    /* the package that requires, for messages */
	const struct strv *require; /* "NAME" or "NAME RANGE" */
	const char *dir; /* its meta/lock.yaml binds the choice; NULL: there is no lock */
	bool pull_missing;
	/* Choose anew from the hub, whatever is locked or here: all packages, or those named. */
	bool renew;
	const struct strv *renew_names; /* NULL or empty: all */
};

/*
 * Resolves requirements from the local repository, depth first, each package once. With
 * pull_missing (or renew) absent packages, and ones whose version does not fit, are fetched from
 * the hub and the lock is written. Cycles, missing packages, versions that do not fit or are not
 * the locked ones are explained (-EBADMSG, -ENOENT).
 */
int cap_deps_resolve(struct cap *c, const struct cap_deps_request *rq, struct cap_deps *deps);
void cap_deps_free(struct cap_deps *deps);

#endif
