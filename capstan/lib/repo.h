/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The local repository below the root directory: packages/NAME.{mpm,yaml} and
 * repository/[NAMESPACE/]NAME/{NAME.qemu,index.yaml}. Every file appears by rename, the archive
 * before its manifest, so a kill at any moment leaves complete packages only.
 */
#ifndef CAPSTAN_REPO_H
#define CAPSTAN_REPO_H

#include "manifest.h"

/* Path of something in the root: packages, repository, instances/qemu, volumes, cache, lock. */
char *cap_repo_path(struct cap *c, const char *name);
/* Creates the directory (and its parents). */
int cap_repo_dir(struct cap *c, const char *name);

/* Names of the packages there are, sorted. */
int cap_repo_packages(struct cap *c, struct strv *names);
bool cap_repo_has_package(struct cap *c, const char *name);
/* Manifest of a local package; -ENOENT with an error event when there is none. */
int cap_repo_package(struct cap *c, const char *name, struct cap_package *p);
char *cap_repo_package_file(struct cap *c, const char *name);
/* Checks an archive (its manifest and entries) and copies it in. *p receives the manifest. */
int cap_repo_import(struct cap *c, const char *mpm, struct cap_package *p);
int cap_repo_remove_package(struct cap *c, const char *name);

/* One composed or imported image. */
struct cap_image_info {
	char *name, *path, *description, *version, *created, *format, *cmdline, *package;
	uint64_t bytes; /* of the file */
};
int cap_repo_images(struct cap *c, struct cap_image_info **list, size_t *count);
void cap_image_info_free(struct cap_image_info *list, size_t count);
/* Path of an image by repository name, or of a file when name has a slash and exists. */
char *cap_repo_image_file(struct cap *c, const char *name);
/* Directory of an image by name: ROOT/repository/NAME */
char *cap_repo_image_dir(struct cap *c, const char *name);
int cap_repo_write_index(struct cap *c, const char *name, const struct cap_image_info *info);
/* Checks an image file and copies it in under a name. description and version may be NULL. */
int cap_repo_import_image(struct cap *c, const char *name, const char *file,
    const char *description, const char *version);
int cap_repo_remove_image(struct cap *c, const char *name);

/* Locks ROOT/lock/NAME exclusively; waits. Returns the descriptor to close, or a negative errno. */
int cap_repo_lock(struct cap *c, const char *name);

/* Current time (or $SOURCE_DATE_EPOCH) as RFC 3339 in UTC. */
char *cap_timestamp(void);

#endif
