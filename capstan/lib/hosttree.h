/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Collecting a program of this host with all it needs into a tree: its interpreter, the shared
 * libraries found as ld.so would find them, scripts' interpreters, and for well-known language
 * runtimes their standard library.
 */
#ifndef CAPSTAN_HOSTTREE_H
#define CAPSTAN_HOSTTREE_H

#include "tree.h"

struct cap_collector {
	struct cap *c;
	struct cap_tree *tree;
	struct strv queue; /* host files to examine, each after '!' (needed) or '?' (optional) */
	bool optional;	   /* what is being added is not needed by the program itself */
	struct strv library_dirs; /* from ld.so.conf, then the defaults */
	struct strv musl_dirs;
	bool musl;	     /* the program at hand uses musl's loader */
	bool needs_cache;    /* a library came from a directory only ld.so.cache knows */
	struct strv missing; /* "LIBRARY (needed by FILE)" */
	void *seen;	     /* search tree of examined host paths */
	size_t next;	     /* position in queue */
};

void cap_collector_init(struct cap_collector *col, struct cap *c, struct cap_tree *tree);
void cap_collector_free(struct cap_collector *col);

/* Adds a host path at the same guest path, with every link on the way to it, and queues it. */
int cap_collect_path(struct cap_collector *col, const char *host);
/* Adds a program of this host at another guest path, and queues it. */
int cap_collect_as(struct cap_collector *col, const char *host, const char *guest);
/* Adds a directory with its content; links that lead out of it are followed. */
int cap_collect_dir(struct cap_collector *col, const char *host);
/*
 * Examines everything queued: adds interpreters, libraries and well-known directories until nothing
 * new appears. A missing library of the program is an error, one of a plug-in in a well-known
 * directory (a module for a toolkit that is not installed) a detail.
 */
int cap_collect_finish(struct cap_collector *col);
/* Adds /etc/passwd and its kind where the tree has none yet, and the usual empty directories. */
int cap_tree_add_base(struct cap *c, struct cap_tree *t);

/* Finds a program by name in $PATH or by path; NULL after an error event. The caller frees it. */
char *cap_find_program(struct cap *c, const char *name);

#endif
