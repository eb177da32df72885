/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Choosing versions: which version of each package satisfies all requirements together. libsolv
 * decides; what a range admits is decided by version.h, so that both tools of this house agree.
 */
#ifndef CAPSTAN_SOLVE_H
#define CAPSTAN_SOLVE_H

#include "hub_index.h"

/* One version of a package that could be used. */
struct cap_candidate {
	const char *name, *version; /* version may be NULL */
	const struct strv *require;
	bool preferred; /* chosen over newer versions when it fits (it is here already) */
};

/*
 * Finds one version of each package needed. picks receives "NAME VERSION" (VERSION "" for none),
 * sorted. When there is no solution the reasons are reported in words: -EBADMSG, or -ENOENT when a
 * package is not known at all.
 */
int cap_solve(struct cap *c, const char *who, const struct strv *require,
    const struct cap_candidate *candidates, size_t count, struct strv *picks);

#endif
