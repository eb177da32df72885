/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * meta/run.yaml: how a package's program is started. A runtime turns named settings (main, args…)
 * into a boot command; a configuration set is one choice of settings, and may build on another
 * package's set with `base: PACKAGE:SET`.
 */
#ifndef CAPSTAN_RUNCONF_H
#define CAPSTAN_RUNCONF_H

#include "tree.h"

struct cap_config;

struct cap_runtime {
	const char *name, *description;
	const char *dependencies[4]; /* packages every user of the runtime needs */
	const char *const *keys;     /* settings of a configuration set, NULL terminated */
	const char *template;	     /* commented YAML of one set, not indented */
	/* Appends the boot command without its environment. */
	int (*boot)(
	    struct cap *c, const char *where, const struct cap_config *cfg, struct buf *out);
};

extern const struct cap_runtime cap_runtimes[]; /* ended by name == NULL */
const struct cap_runtime *cap_runtime_find(struct cap *c, const char *name);

struct cap_config {
	char *name, *base;
	const struct cap_runtime *runtime;
	struct strv env; /* K=V, sorted */
	char *bootcmd, *main, *xms, *xmx;
	struct strv args, tool_args, classpath;
	int line;
};

struct cap_runconf {
	const struct cap_runtime *runtime;
	struct cap_config *configs;
	size_t count;
	char *default_name; /* config_set_default or NULL */
};

int cap_runconf_parse(
    struct cap *c, const char *where, const char *text, size_t len, struct cap_runconf *rc);
void cap_runconf_free(struct cap_runconf *rc);
struct cap_config *cap_runconf_get(const struct cap_runconf *rc, const char *name);
/*
 * The set to use: `name` when given, else config_set_default, else the only one; NULL with an error
 * event when that is not decided. With no set at all NULL and no error.
 */
struct cap_config *cap_runconf_choose(
    struct cap *c, const char *where, const struct cap_runconf *rc, const char *name, int *error);

/* Fills what cfg leaves open from base; environments merge, cfg's values win. */
void cap_config_inherit(struct cap_config *cfg, const struct cap_config *base);
/* The whole boot command: "--env=… " for the environment, then the runtime's command. */
int cap_config_boot(
    struct cap *c, const char *where, const struct cap_config *cfg, struct buf *out);

/* Text of a new run.yaml: named sets or the flat form, with or without comments. */
void cap_runtime_stub(const struct cap_runtime *rt, bool named, bool plain, struct buf *out);

#endif
