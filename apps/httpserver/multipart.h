/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading multipart/form-data (RFC 7578) as it comes: the first part that is a file goes to `data`,
 * the others are skipped.
 */
#ifndef HTTPSERVER_MULTIPART_H
#define HTTPSERVER_MULTIPART_H

#include <stdbool.h>
#include <stddef.h>

#define MULTIPART_BUFFER 8192

struct multipart {
	char boundary[80]; /* with the line feed and hyphens in front */
	size_t nboundary;
	int state;
	bool is_file, done; /* of the current part; a file was complete */
	char name[256];	    /* the file's name as the client has it; "" if it did not say */
	char buf[MULTIPART_BUFFER];
	size_t n;
	/* Gets the file's bytes; a negative errno ends the reading. */
	int (*data)(void *arg, const void *p, size_t n);
	void *arg;
};

/* 0, or -EINVAL if the content type is not multipart/form-data with a boundary. */
int multipart_init(struct multipart *m, const char *content_type, size_t n);
/* Takes the next bytes. 0, -EBADMSG if they are malformed, or what data returned. */
int multipart_feed(struct multipart *m, const char *p, size_t n);

#endif
