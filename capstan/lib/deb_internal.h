/* SPDX-License-Identifier: BSD-3-Clause */
/* What the parts of package making share. */
#ifndef CAPSTAN_DEB_INTERNAL_H
#define CAPSTAN_DEB_INTERNAL_H

#include "deb.h"
#include "tree.h"

/* One package of Debian's, as apt knows it. */
struct deb_info {
	char *name, *version, *title, *depends, *section;
	bool base;	/* belongs to every Debian system */
	bool installed; /* its files are on this host */
	bool requested; /* named by the user */
};

struct deb_set {
	struct deb_info *list;
	size_t count;
};

/* Names and everything they depend on, in no particular order. Unknown names are an error. */
int deb_closure(struct cap *c, const struct strv *names, struct deb_set *set);
void deb_set_free(struct deb_set *set);
/* Downloads a package's archive into DIR and unpacks it into a tree whose contents go to fd. */
int deb_fetch(struct cap *c, const char *name, const char *dir, int fd, struct cap_tree *t);

/* Runs a program and reads its output. -ENOENT when it cannot run; *status its exit status. */
int deb_run(struct cap *c, const char *dir, const struct strv *args, struct buf *out, int *status);

/* Writes the package and imports it. name, title and version are used where made has none. */
int cap_made_publish(struct cap *c, struct cap_tree *t, const struct cap_made *made,
    const char *name, const char *title, const char *version);

#endif
