/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Paths of the /file calls. A path is taken from the root the service shows; ".." is refused, and
 * below another root than "/" no symbolic link leads out of it.
 */
#ifndef HTTPSERVER_FILES_H
#define HTTPSERVER_FILES_H

#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "api.h"

/* A name in an open directory. */
struct place {
	int dir;
	char name[NAME_MAX + 1]; /* "." for the root itself */
};

/* Finds the directory of a path; 0 or a negative errno (-EINVAL for one that may not be asked for).
 */
int place_open(const char *path, struct place *p);
void place_close(struct place *p);
/* Opens what a path names, following links. A descriptor or a negative errno. */
int file_open(const char *path, int flags, mode_t mode);
/* fstatat() of a path. 0 or a negative errno. */
int file_stat(const char *path, struct stat *st, bool follow);
/* Makes the directories above a path's last name. 0 or a negative errno. */
int file_make_parents(const char *path);
/* Copies the contents. 0 or a negative errno. */
int file_copy_contents(int from, int to);

/* A file being written under a temporary name beside its place. */
struct upload {
	struct place place;
	char temporary[NAME_MAX + 1];
	int fd;
};
int upload_begin(
    struct upload *u, const char *path, bool overwrite, bool make_parents, mode_t mode);
int upload_write(struct upload *u, const void *p, size_t n);
/* Puts the file in its place if err is 0, else removes it; returns err or the failure. */
int upload_end(struct upload *u, int err);

#endif
