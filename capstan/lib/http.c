/* SPDX-License-Identifier: BSD-3-Clause */
/* HTTP(S) requests through libcurl. */
#include "http.h"

#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONNECT_TIMEOUT_S 15
#define STALL_SPEED 1 /* bytes a second, over STALL_S seconds, is a dead connection */
#define STALL_S 30
#define RETRIES 3

struct transfer {
	struct cap *c;
	CURL *curl;
	struct buf *memory;
	size_t max;
	int fd;
	const char *task;
	uint64_t resumed;
	char error[CURL_ERROR_SIZE];
	int write_error;
};

static size_t receive(char *data, size_t size, size_t count, void *arg)
{
	struct transfer *t = arg;
	size_t n = size * count;
	long code = 0;
	curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &code);
	if (t->fd >= 0) {
		if (code >= 400)
			return n;		 /* an error page is not the file */
		if (t->resumed && code == 200) { /* the server starts over */
			if (ftruncate(t->fd, 0) || lseek(t->fd, 0, SEEK_SET))
				return 0;
			t->resumed = 0;
		}
		t->write_error = write_all(t->fd, data, n);
		return t->write_error ? 0 : n;
	}
	if (t->memory->len + n > t->max)
		return 0;
	buf_add(t->memory, data, n);
	return n;
}

static int progress(
    void *arg, curl_off_t total, curl_off_t done, curl_off_t up_total, curl_off_t up_done)
{
	struct transfer *t = arg;
	if (t->task && total > 0)
		cap_progress(t->c, t->task, t->resumed + done, t->resumed + total);
	else if (t->task && up_total > 0)
		cap_progress(t->c, t->task, up_done, up_total);
	return 0;
}

static CURL *new_request(struct transfer *t, const char *url)
{
	static bool ready;
	if (!ready)
		curl_global_init(CURL_GLOBAL_DEFAULT);
	ready = true;
	CURL *curl = t->curl = curl_easy_init();
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
	curl_easy_setopt(curl, CURLOPT_MAXREDIRS, 5L);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, (long)STALL_SPEED);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)STALL_S);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	const char *authorities = getenv("SSL_CERT_FILE"); /* as for other programs on OpenSSL */
	if (authorities && *authorities)
		curl_easy_setopt(curl, CURLOPT_CAINFO, authorities);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "capstan/" CAPSTAN_VERSION);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, t->error);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, receive);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, progress);
	curl_easy_setopt(curl, CURLOPT_XFERINFODATA, t);
	return curl;
}

static int status_error(struct cap *c, const char *url, long code)
{
	if (code == 404)
		return cap_fail(c, ENOENT, "%s does not exist (404)", url);
	if (code == 401 || code == 403)
		return cap_fail(c, EACCES, "%s: access denied (%ld)", url, code);
	if (code >= 400)
		return cap_fail(c, EIO, "%s: the server answered %ld", url, code);
	return 0;
}

static int judge(struct transfer *t, const char *url, CURLcode result)
{
	long code = 0;
	curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &code);
	if (t->write_error)
		return cap_fail(
		    t->c, -t->write_error, "cannot store %s: %s", url, strerror(-t->write_error));
	if (result == CURLE_WRITE_ERROR)
		return cap_fail(t->c, EBADMSG, "%s is larger than expected", url);
	if (result == CURLE_PARTIAL_FILE)
		return cap_fail(t->c, EIO, "%s: the connection broke before the end", url);
	if (result)
		return cap_fail(t->c, EIO, "cannot fetch %s: %s", url,
		    t->error[0] ? t->error : curl_easy_strerror(result));
	return status_error(t->c, url, code);
}

int cap_http_get(struct cap *c, const char *url, size_t max, struct buf *out)
{
	struct transfer t = {.c = c, .memory = out, .max = max, .fd = -1};
	new_request(&t, url);
	CURLcode code = curl_easy_perform(t.curl);
	int result = judge(&t, url, code);
	curl_easy_cleanup(t.curl);
	buf_add(out, "", 0);
	return result;
}

/* Broken connections are worth another try from where they broke. */
static bool worth_retrying(CURLcode code)
{
	return code == CURLE_PARTIAL_FILE || code == CURLE_RECV_ERROR ||
	       code == CURLE_GOT_NOTHING || code == CURLE_OPERATION_TIMEDOUT;
}

static int download_once(
    struct cap *c, const char *url, int fd, const char *task, bool last, bool *again)
{
	struct transfer t = {.c = c, .fd = fd, .task = task};
	off_t have = lseek(fd, 0, SEEK_END);
	t.resumed = have > 0 ? have : 0;
	new_request(&t, url);
	curl_easy_setopt(t.curl, CURLOPT_RESUME_FROM_LARGE, (curl_off_t)t.resumed);
	CURLcode code = curl_easy_perform(t.curl);
	long status = 0;
	curl_easy_getinfo(t.curl, CURLINFO_RESPONSE_CODE, &status);
	*again = !last && worth_retrying(code);
	int result = 0;
	if (t.resumed && (status == 416 || code == CURLE_RANGE_ERROR)) {
		/* What is there does not fit the file any more: start over. */
		*again = !last;
		if (ftruncate(fd, 0))
			result = cap_fail_errno(c, "cannot restart the download");
	}
	if (!*again && !result)
		result = judge(&t, url, code);
	curl_easy_cleanup(t.curl);
	return result;
}

int cap_http_download(struct cap *c, const char *url, const char *path, const char *task)
{
	char *part = xasprintf("%s.part", path);
	int fd = open(part, O_WRONLY | O_CREAT | O_CLOEXEC, 0644), result = 0;
	bool again = true;
	if (fd < 0)
		result = cap_fail_errno(c, "cannot create %s", part);
	for (int i = 0; !result && again && i < RETRIES; i++)
		result = download_once(c, url, fd, task, i == RETRIES - 1, &again);
	if (!result && (fsync(fd) || rename(part, path)))
		result = cap_fail_errno(c, "cannot create %s", path);
	/* An answer that is no part of the file leaves nothing worth continuing. */
	if (result == -ENOENT || result == -EACCES)
		unlink(part);
	if (fd >= 0)
		close(fd);
	free(part);
	return result;
}

int cap_http_upload(struct cap *c, const char *url, const char *path, const char *token,
    const char *task, struct buf *answer)
{
	struct transfer t = {.c = c, .memory = answer, .max = 1 << 20, .fd = -1, .task = task};
	struct stat st;
	FILE *f = fopen(path, "re");
	if (!f || fstat(fileno(f), &st)) {
		if (f)
			fclose(f);
		return cap_fail_errno(c, "cannot read %s", path);
	}
	char *header = xasprintf("Authorization: Bearer %s", token);
	struct curl_slist *headers = curl_slist_append(NULL, header);
	new_request(&t, url);
	curl_easy_setopt(t.curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(t.curl, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(t.curl, CURLOPT_READDATA, f);
	curl_easy_setopt(t.curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)st.st_size);
	CURLcode code = curl_easy_perform(t.curl);
	long status = 0;
	curl_easy_getinfo(t.curl, CURLINFO_RESPONSE_CODE, &status);
	buf_add(answer, "", 0);
	int result = 0;
	for (size_t n = answer->len; n && isspace((unsigned char)answer->data[n - 1]);)
		answer->data[answer->len = --n] = 0;
	if (!code && status >= 400 && status != 404)
		result = cap_fail(c,
		    status == 401 || status == 403 ? EACCES
		    : status < 500		   ? EBADMSG
						   : EIO,
		    "the hub refused %s: %s (%ld)", path_base(path),
		    answer->len ? answer->data : "no reason given", status);
	else
		result = judge(&t, url, code);
	curl_easy_cleanup(t.curl);
	curl_slist_free_all(headers);
	free(header);
	fclose(f);
	return result;
}

void cap_url_encode(struct buf *url, const char *text)
{
	for (; *text; text++) {
		if (isalnum((unsigned char)*text) || strchr("-._~/", *text))
			buf_putc(url, *text);
		else
			buf_printf(url, "%%%02X", (unsigned char)*text);
	}
}
