/* SPDX-License-Identifier: BSD-3-Clause */
/* `capstan package update`: newer versions from the hub. */
#ifndef CAPSTAN_RENEW_H
#define CAPSTAN_RENEW_H

#include "cap.h"
#include "util.h"

/*
 * Chooses the requirements of the package in `dir` anew, the newest versions that fit together, and
 * writes its lock. names limits this to some of them (empty: all). Each change is reported.
 */
int cap_renew_requirements(struct cap *c, const char *dir, const struct strv *names);

/* Fetches newer versions of packages of the local repository; names empty: of all. */
int cap_renew_packages(struct cap *c, const struct strv *names);

#endif
