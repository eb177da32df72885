/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * meta/lock.yaml: the versions that were chosen for a package's requirements, so that the same
 * ones are used wherever it is composed. It is written when packages are chosen from a hub
 * (--pull-missing, package update) and binds every later choice until `package update`.
 */
#ifndef CAPSTAN_LOCK_H
#define CAPSTAN_LOCK_H

#include "cap.h"
#include "util.h"

struct cap_lock_entry {
	char *name;
	char *version; /* NULL: the package has none */
	char *sha256;  /* of the archive; NULL: made on this machine, any content will do */
};

struct cap_lock {
	struct cap_lock_entry *list; /* sorted by name when it was written by capstan */
	size_t count;
};

/* Reads DIR/meta/lock.yaml; an empty lock when there is none. -EBADMSG when it makes no sense. */
int cap_lock_read(struct cap *c, const char *dir, struct cap_lock *lock);
/* The same from text; `where` names it in messages. */
int cap_lock_parse(
    struct cap *c, const char *where, const char *text, size_t len, struct cap_lock *lock);
/* Writes it, sorted; an empty lock removes the file. */
int cap_lock_write(struct cap *c, const char *dir, const struct cap_lock *lock);
void cap_lock_free(struct cap_lock *lock);

/* Adds an entry; the strings are copied, version and sha256 may be NULL. */
void cap_lock_add(struct cap_lock *lock, const char *name, const char *version, const char *sha256);
const struct cap_lock_entry *cap_lock_find(const struct cap_lock *lock, const char *name);
/* Forgets one name. */
void cap_lock_remove(struct cap_lock *lock, const char *name);

#endif
