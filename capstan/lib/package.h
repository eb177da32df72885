/* SPDX-License-Identifier: BSD-3-Clause */
/* Working on one package's directory: init, validate, build, test, describe. */
#ifndef CAPSTAN_PACKAGE_H
#define CAPSTAN_PACKAGE_H

#include "manifest.h"

/* Creates DIR/meta/package.yaml, and meta/run.yaml for a runtime (NULL: none). */
int cap_package_init(
    struct cap *c, const char *dir, const struct cap_package *p, const char *runtime);
/*
 * Checks everything that can be checked without running: manifest, run.yaml, options, hooks, ELF
 * objects and their libraries. Reports every finding, then one summary; -EBADMSG when any is an
 * error.
 */
int cap_package_validate(struct cap *c, const char *dir);
/* Runs meta/hooks/build and writes DIR/NAME.mpm, whose path the caller frees. */
int cap_package_build(struct cap *c, const char *dir, char **file);
/* Runs meta/hooks/test with the composed image in $CAPSTAN_IMAGE; without a hook boots it. */
int cap_package_test(struct cap *c, const char *dir, bool pull_missing, int *status);
/* What a local package is: manifest, configurations, options, documentation, files. */
int cap_package_describe(struct cap *c, const char *name, bool content, bool json, struct buf *out);
/* Runs DIR/meta/hooks/NAME in DIR if it exists; *ran says whether it did. */
int cap_run_hook(struct cap *c, const char *dir, const char *name, const struct strv *env,
    bool *ran, int *status);

#endif
