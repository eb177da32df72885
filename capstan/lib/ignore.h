/* SPDX-License-Identifier: BSD-3-Clause */
/* .capstanignore: which files of a directory never enter a package or an image. */
#ifndef CAPSTAN_IGNORE_H
#define CAPSTAN_IGNORE_H

#include "tree.h"

struct cap_ignore {
	struct strv patterns;
	bool keep_meta; /* meta/ stays (packages), instead of being left out (images) */
};

/* Reads DIR/.capstanignore if there is one. */
int cap_ignore_read(struct cap *c, const char *dir, struct cap_ignore *ig);
void cap_ignore_free(struct cap_ignore *ig);
/* A cap_skip_fn; arg is the struct cap_ignore. */
bool cap_ignore_skip(void *arg, const char *relative, bool is_dir);

#endif
