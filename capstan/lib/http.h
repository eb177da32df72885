/* SPDX-License-Identifier: BSD-3-Clause */
/* HTTP(S) requests through libcurl, with progress, resumption and clear errors. */
#ifndef CAPSTAN_HTTP_H
#define CAPSTAN_HTTP_H

#include "cap.h"
#include "util.h"

/* Fetches a URL into memory, at most max bytes. -ENOENT for 404, -EACCES for 401 and 403. */
int cap_http_get(struct cap *c, const char *url, size_t max, struct buf *out);
/*
 * Downloads a URL to a file; what an earlier, broken download left in PATH.part is continued.
 * The file appears when it is complete. task names the progress.
 */
int cap_http_download(struct cap *c, const char *url, const char *path, const char *task);
/* Uploads a file with PUT and the token as bearer; answer receives the body of the response. */
int cap_http_upload(struct cap *c, const char *url, const char *path, const char *token,
    const char *task, struct buf *answer);
/* Appends text to a URL path, percent-encoded; slashes stay. */
void cap_url_encode(struct buf *url, const char *text);

#endif
