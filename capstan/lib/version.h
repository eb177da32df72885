/* SPDX-License-Identifier: BSD-3-Clause */
/* Versions and ranges of versions, by the rules of semantic versioning where they apply. */
#ifndef CAPSTAN_VERSION_H
#define CAPSTAN_VERSION_H

#include "cap.h"

/*
 * Orders two versions: numbers by value, a pre-release ("1.0-rc1") before its release, anything
 * after "+" ignored. Returns <0, 0 or >0.
 */
int cap_version_compare(const char *a, const char *b);
/* Orders by preference: releases over pre-releases, then the newer over the older. */
int cap_version_prefer(const char *a, const char *b);
/*
 * Whether a version lies in a range: comparators ("=1.2", "==1.2", "!=1", ">=1.2", "<2", "^1.2",
 * "~1.2", "1.x", "*") separated by spaces or commas, all of which must hold; alternatives
 * separated by "||". "" admits everything, "<2" no pre-release of 2. A plain "1.2" means 1.2 and its refinements (1.2.x).
 * Returns 1, 0, or a negative value for a range that cannot be read.
 */
int cap_version_matches(const char *version, const char *range);

#endif
