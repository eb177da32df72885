/* SPDX-License-Identifier: BSD-3-Clause */
/* From a package directory to the content of an image, and to the image itself. */
#ifndef CAPSTAN_COMPOSE_H
#define CAPSTAN_COMPOSE_H

#include "deps.h"
#include "image.h"
#include "pack.h"
#include "runconf.h"

struct cap_compose {
	const char *dir;	/* of the package; NULL: working directory */
	const char *image;	/* name in the repository */
	const char *size;	/* of the disk, "10G" */
	const char *run;	/* boot command instead of a configuration's */
	const char *runconfig;	/* configuration to use */
	const char *format;	/* qcow2, raw */
	const char *fs;		/* erofs */
	const char *kernel;	/* see cap_kernel_find */
	const char *output;	/* write to this file instead of the repository; NULL */
	const struct strv *env; /* K=V in front of the boot command */
	const struct strv *require;
	bool update, pull_missing, no_kernel;
	bool renew;			/* choose packages anew, see cap_deps_request */
	const struct strv *renew_names; /* NULL or empty: all */
};

/* One option of a package, from meta/opts. */
struct cap_option {
	char *variable, *name, *letter, *description, *fallback;
};

/* Everything that goes into an image. */
struct cap_content {
	struct cap_package package;
	struct cap_deps deps;
	struct cap_pack *packs; /* one for each dependency; the tree uses their data */
	struct cap_tree tree;
	struct strv boot_names, boot_commands; /* /run/NAME files */
	char *boot;			       /* the boot command, NULL when there is none */
	char *boot_name;		       /* the configuration it comes from, or NULL */
	struct cap_option *options;
	size_t option_count;
};

/*
 * Assembles a package and all it requires. Messages as the manual shows when `talk` is set. With
 * for_package false, meta/ and ignored files stay out and boot commands are decided.
 */
int cap_assemble(
    struct cap *c, const struct cap_compose *req, bool talk, struct cap_content *content);
void cap_content_free(struct cap_content *content);

/* `capstan package compose`. */
int cap_compose(struct cap *c, const struct cap_compose *req);
/* `capstan package collect`: the content as a host directory DIR/mpm-pkg. */
int cap_collect(struct cap *c, const struct cap_compose *req);

/* Reads meta/opts (YAML: VARIABLE: {name, short, description, default}). */
int cap_options_parse(struct cap *c, const char *where, const char *text, size_t len,
    struct cap_option **list, size_t *count);
/* The same from a parsed map. */
struct cap_yaml_node;
int cap_options_from_yaml(struct cap *c, const char *where, const struct cap_yaml_node *map,
    struct cap_option **list, size_t *count);
void cap_options_free(struct cap_option *list, size_t count);

/* Reads a run.yaml out of a tree; *found says whether there is one. */
int cap_tree_runconf(
    struct cap *c, struct cap_tree *t, const char *who, struct cap_runconf *rc, bool *found);

/* Cache of a composed image: which host file lies where in it. */
int cap_update_write(struct cap *c, struct cap_tree *t, const char *path);
/*
 * Points nodes whose host files are the same as when `image` was made at the data in it. Counts
 * what changed. Returns the open image (to close after writing) or a negative errno.
 */
struct cap_update_counts {
	size_t same, changed, added, removed;
};
int cap_update_apply(struct cap *c, struct cap_tree *t, const char *cache, const char *image,
    struct cap_update_counts *counts);

#endif
