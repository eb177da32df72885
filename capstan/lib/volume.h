/* SPDX-License-Identifier: BSD-3-Clause */
/* Volumes: disks with a name and a life of their own, ROOT/volumes/NAME.{raw,qcow2}. */
#ifndef CAPSTAN_VOLUME_H
#define CAPSTAN_VOLUME_H

#include "cap.h"
#include "util.h"

struct cap_volume {
	char *name, *path;
	const char *format; /* "raw" or "qcow2" */
	uint64_t bytes;	    /* of the disk */
	bool in_use;
};

/* Creates an empty volume; format is raw or qcow2. */
int cap_volume_create(struct cap *c, const char *name, const char *size, const char *format);
int cap_volume_delete(struct cap *c, const char *name);
int cap_volume_list(struct cap *c, struct cap_volume **list, size_t *count);
void cap_volume_list_free(struct cap_volume *list, size_t count);
/*
 * Locks a volume for one machine and gives its path, which the caller frees. Returns the descriptor
 * that holds the lock.
 */
int cap_volume_claim(struct cap *c, const char *name, char **path);

#endif
