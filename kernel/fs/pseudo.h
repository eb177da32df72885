/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * File systems that are made of tables: /proc, /sys, /dev/pts. A table describes one directory; an
 * entry is a fixed name or a family of numbered ones (PIDs, "cpu3", disks in order). The numbers
 * met on the way down a path are what a show function gets; nothing is referenced, so it must look
 * its object up and answer -ESRCH or -ENOENT when it has gone.
 */
#pragma once

#include "fs/vfs.h"
#include "lib/seqbuf.h"

#define PSEUDO_NUMBERS 4

struct pseudo_key {
	int n[PSEUDO_NUMBERS];
};

/* A number that can be read and, with max > min, set. */
struct pseudo_value {
	_Atomic int64_t *v;
	int64_t min, max;
};

struct pseudo_entry {
	const char *name; /* or what stands before the number */
	uint32_t mode;	  /* S_IF* and permissions; 0: from what the entry can do */

	/* Regular files. show writes the text; store gets a terminated copy without the last
	 * newline. */
	int (*show)(struct seqbuf *s, const struct pseudo_key *k);
	int (*store)(const struct pseudo_key *k, char *text, size_t n);
	const char *text;		  /* instead of show: a constant, without its newline */
	const struct pseudo_value *value; /* instead of show and store: a number */
	const struct file_ops
	    *fops; /* instead of both; f->private is the inode's key (pseudo_key_of) */

	/* Symbolic links: the text goes to s. follow makes a magic link. */
	int (*link)(struct seqbuf *s, const struct pseudo_key *k);
	int (*follow)(const struct pseudo_key *k, struct dentry **out);

	/* Directories: entries up to one without a name. */
	const struct pseudo_entry *children;

	/* Families: the first existing number >= from, or -1; slot says where it goes in the key.
	 * label (optional) gives number n a name of its own instead of NAMEn. */
	int (*next)(const struct pseudo_key *k, int from);
	unsigned slot;
	int (*label)(const struct pseudo_key *k, int n, char *buf, size_t size);
	/* A fixed name that is there only sometimes. */
	bool (*present)(const struct pseudo_key *k);
	/* Owner and permissions that depend on the object; may be NULL. */
	void (*own)(const struct pseudo_key *k, struct inode *i);
};

/* A super block whose root directory is the table. err_ptr() on failure. */
struct super *pseudo_mount(
    const struct fs_type *type, const struct pseudo_entry *root, unsigned flags);
/* The numbers that lead to a file or directory of such a file system. */
const struct pseudo_key *pseudo_key_of(const struct inode *i);
