/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Watching guests: adding the monitoring service to a machine, and talking to it. A guest is named
 * by an instance, or by the URL of its service.
 */
#ifndef CAPSTAN_WATCH_H
#define CAPSTAN_WATCH_H

#include "cap.h"
#include "util.h"

#define CAP_WATCH_PORT 8000			/* of the service in the guest */
#define CAP_WATCH_PROGRAM "/usr/bin/httpserver" /* its place in an image */

/* Path of the service on this host: $CARRARA_HTTPSERVER, or beside capstan. NULL after an error
 * event; the caller frees it. */
char *cap_watch_program(struct cap *c);
/* A port of this host, from CAP_WATCH_PORT on, that nobody listens on; 0 after an error event. */
unsigned cap_watch_free_port(struct cap *c);
/* Puts the service, in the background, between the options and the program of a boot command. */
int cap_watch_prefix(struct cap *c, const char *service, const struct buf *line, struct buf *out);

struct cap_guest {
	char *name; /* as shown */
	char *url;  /* without a slash at the end */
	char *token, *ca, *cert, *key;
	bool insecure;
	void *curl; /* kept, so that connections are used again */
};

/* How to reach guests: values of options, NULL for none. */
struct cap_guest_access {
	const char *token, *ca, *cert, *key;
	bool insecure;
};

/* Finds a guest by instance name or URL; NULL: the only running instance that is watched, or else
 * port 8000 of this host. */
int cap_guest_open(
    struct cap *c, const char *name, const struct cap_guest_access *access, struct cap_guest *g);
void cap_guest_close(struct cap_guest *g);

/* One call. form: fields "name=value" already encoded (cap_form_add()), or NULL; answer gets the
 * body, whatever the status. An error event and -EIO (no connection), -ENOENT (404), -EACCES (401,
 * 403), -EINVAL (other 4xx) or -EREMOTEIO says what the guest answered. */
int cap_guest_call(struct cap *c, struct cap_guest *g, const char *method, const char *path,
    const char *form, struct buf *answer);
/* Appends "&name=value", encoded. */
void cap_form_add(struct buf *form, const char *name, const char *value);
/* Moves a file to or from the guest; the path is the guest's. */
int cap_guest_upload(
    struct cap *c, struct cap_guest *g, const char *file, const char *path, unsigned mode);
int cap_guest_download(struct cap *c, struct cap_guest *g, const char *path, const char *file);
/* Sends bytes as a body. */
int cap_guest_send(struct cap *c, struct cap_guest *g, const char *path, const void *data,
    size_t len, struct buf *answer);

#endif
