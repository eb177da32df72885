/* SPDX-License-Identifier: BSD-3-Clause */
/* Talking to the monitoring service of a guest, by libcurl. */
#include "watch.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "http.h"
#include "instance.h"

#define ANSWER_MAX (256u << 20)
#define CONNECT_TIMEOUT_S 10
#define STALL_S 60

/* URL of an instance's service, or NULL; the caller frees it. */
static char *instance_url(struct cap *c, const char *name)
{
	struct cap_instance in;
	if (cap_instance_read(c, name, &in))
		return NULL;
	char *url = in.running && in.watch ? xstrdup(in.watch) : NULL;
	if (!in.running)
		cap_fail(c, ESRCH, "instance %s is not running", name);
	else if (!url)
		cap_fail(c, EINVAL,
		    "instance %s was started without --watch; give the URL of its monitoring "
		    "service",
		    name);
	cap_instance_free(&in);
	return url;
}

/* The only running instance that is watched; its name goes to *name. Without one: port 8000 here.
 */
static char *default_url(struct cap *c, char **name)
{
	struct cap_instance *list;
	size_t count, found = 0, index = 0;
	if (cap_instance_list(c, &list, &count))
		return NULL;
	for (size_t i = 0; i < count; i++)
		if (list[i].running && list[i].watch) {
			index = i;
			found++;
		}
	char *url = NULL;
	if (found == 1) {
		url = xstrdup(list[index].watch);
		*name = xstrdup(list[index].name);
	} else if (!found) {
		url = xasprintf("http://127.0.0.1:%d", CAP_WATCH_PORT);
	} else {
		cap_fail(c, EINVAL, "which guest? %zu instances are watched; name one with --guest",
		    found);
	}
	cap_instance_list_free(list, count);
	return url;
}

static char *copy(const char *s)
{
	return s && *s ? xstrdup(s) : NULL;
}

int cap_guest_open(
    struct cap *c, const char *name, const struct cap_guest_access *access, struct cap_guest *g)
{
	*g = (struct cap_guest){.insecure = access->insecure};
	if (!name)
		g->url = default_url(c, &g->name);
	else if (strstr(name, "://"))
		g->url = xstrdup(name);
	else
		g->url = instance_url(c, name);
	if (!g->url)
		return -EINVAL;
	if (!has_prefix(g->url, "http://") && !has_prefix(g->url, "https://")) {
		int result = cap_fail(c, EINVAL, "\"%s\" is no URL of a guest", g->url);
		cap_guest_close(g);
		return result;
	}
	while (has_suffix(g->url, "/"))
		g->url[strlen(g->url) - 1] = 0;
	if (!g->name)
		g->name = xstrdup(name && !strstr(name, "://") ? name : strstr(g->url, "://") + 3);
	g->token = copy(access->token ? access->token : getenv("CARRARA_TOKEN"));
	g->ca = copy(access->ca);
	g->cert = copy(access->cert);
	g->key = copy(access->key);
	return 0;
}

void cap_guest_close(struct cap_guest *g)
{
	if (g->curl)
		curl_easy_cleanup(g->curl);
	free(g->name);
	free(g->url);
	free(g->token);
	free(g->ca);
	free(g->cert);
	free(g->key);
	*g = (struct cap_guest){0};
}

struct receiver {
	struct buf *memory;
	int fd;		  /* instead, if the status is good; -1 */
	struct buf error; /* body of an error then */
	CURL *curl;
	int write_error;
};

static size_t receive(char *data, size_t size, size_t count, void *arg)
{
	struct receiver *r = arg;
	size_t n = size * count;
	long code = 0;
	curl_easy_getinfo(r->curl, CURLINFO_RESPONSE_CODE, &code);
	if (r->fd >= 0 && code < 400) {
		r->write_error = write_all(r->fd, data, n);
		return r->write_error ? 0 : n;
	}
	struct buf *to = r->fd >= 0 ? &r->error : r->memory;
	if (to->len + n > ANSWER_MAX)
		return 0;
	buf_add(to, data, n);
	return n;
}

/* {"message": …} of an error. */
static char *message_of(const struct buf *body)
{
	json_t *j = body->len ? json_loadb(body->data, body->len, 0, NULL) : NULL;
	const char *text = json_string_value(json_object_get(j, "message"));
	char *message = text ? xstrdup(text) : NULL;
	json_decref(j);
	return message;
}

static int check(struct cap *c, struct cap_guest *g, const struct buf *body, long code)
{
	if (code < 400)
		return 0;
	char *message = message_of(body);
	int err = code == 404		       ? ENOENT
		  : code == 401 || code == 403 ? EACCES
		  : code < 500		       ? EINVAL
					       : EREMOTEIO;
	int result = cap_fail(
	    c, err, "%s: %s (%ld)", g->name, message ? message : "the guest refuses", code);
	free(message);
	return result;
}

static CURL *prepare(struct cap_guest *g, const char *method, const char *path, struct receiver *r)
{
	static bool ready;
	if (!ready)
		curl_global_init(CURL_GLOBAL_DEFAULT);
	ready = true;
	if (!g->curl)
		g->curl = curl_easy_init();
	else
		curl_easy_reset(g->curl); /* its connections stay */
	CURL *curl = r->curl = g->curl;
	char *url = xasprintf("%s%s", g->url, path);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)STALL_S);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "capstan/" CAPSTAN_VERSION);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, receive);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, r);
	if (g->token) {
		curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
		curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, g->token);
	}
	if (g->ca)
		curl_easy_setopt(curl, CURLOPT_CAINFO, g->ca);
	if (g->cert)
		curl_easy_setopt(curl, CURLOPT_SSLCERT, g->cert);
	if (g->key)
		curl_easy_setopt(curl, CURLOPT_SSLKEY, g->key);
	if (g->insecure) {
		curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	free(url);
	return curl;
}

static int perform(struct cap *c, struct cap_guest *g, struct receiver *r)
{
	char text[CURL_ERROR_SIZE] = "";
	long code = 0;
	curl_easy_setopt(r->curl, CURLOPT_ERRORBUFFER, text);
	CURLcode result = curl_easy_perform(r->curl);
	curl_easy_getinfo(r->curl, CURLINFO_RESPONSE_CODE, &code);
	curl_easy_setopt(r->curl, CURLOPT_ERRORBUFFER, NULL);
	if (r->write_error)
		return cap_fail(c, -r->write_error, "cannot write: %s", strerror(-r->write_error));
	if (result != CURLE_OK)
		return cap_fail(
		    c, EIO, "%s: %s", g->name, *text ? text : curl_easy_strerror(result));
	int err = check(c, g, r->fd >= 0 ? &r->error : r->memory, code);
	buf_free(&r->error);
	return err;
}

int cap_guest_call(struct cap *c, struct cap_guest *g, const char *method, const char *path,
    const char *form, struct buf *answer)
{
	struct receiver r = {.memory = answer, .fd = -1};
	CURL *curl = prepare(g, method, path, &r);
	answer->len = 0;
	if (form)
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, form + (*form == '&'));
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
	return perform(c, g, &r);
}

void cap_form_add(struct buf *form, const char *name, const char *value)
{
	char *text = curl_easy_escape(NULL, value, 0);
	buf_printf(form, "&%s=%s", name, text ? text : "");
	curl_free(text);
}

/* "/file" and the guest's path, encoded. */
static void file_path(struct buf *out, const char *path)
{
	buf_puts(out, *path == '/' ? "/file" : "/file/");
	cap_url_encode(out, path);
}

int cap_guest_upload(
    struct cap *c, struct cap_guest *g, const char *file, const char *path, unsigned mode)
{
	struct stat st;
	struct buf url = {0}, answer = {0};
	struct receiver r = {.memory = &answer, .fd = -1};
	FILE *f = fopen(file, "re");
	if (!f || fstat(fileno(f), &st)) {
		int result = cap_fail_errno(c, "cannot read %s", file);
		if (f)
			fclose(f);
		return result;
	}
	file_path(&url, path);
	buf_printf(&url, "?op=CREATE&createParent=true&permission=%o", mode & 07777);
	CURL *curl = prepare(g, "PUT", url.data, &r);
	struct curl_slist *headers =
	    curl_slist_append(NULL, "Content-Type: application/octet-stream");
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(curl, CURLOPT_READDATA, f);
	curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)st.st_size);
	int result = perform(c, g, &r);
	curl_slist_free_all(headers);
	fclose(f);
	buf_free(&url);
	buf_free(&answer);
	return result;
}

int cap_guest_download(struct cap *c, struct cap_guest *g, const char *path, const char *file)
{
	struct buf url = {0}, answer = {0};
	char *part = xasprintf("%s.part", file);
	struct receiver r = {
	    .memory = &answer, .fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)};
	int result = r.fd < 0 ? cap_fail_errno(c, "cannot create %s", part) : 0;
	if (!result) {
		file_path(&url, path);
		prepare(g, "GET", url.data, &r);
		result = perform(c, g, &r);
		close(r.fd);
	}
	if (!result && rename(part, file))
		result = cap_fail_errno(c, "cannot create %s", file);
	if (result && r.fd >= 0)
		unlink(part);
	free(part);
	buf_free(&url);
	buf_free(&answer);
	return result;
}

int cap_guest_send(struct cap *c, struct cap_guest *g, const char *path, const void *data,
    size_t len, struct buf *answer)
{
	struct receiver r = {.memory = answer, .fd = -1};
	CURL *curl = prepare(g, "POST", path, &r);
	struct curl_slist *headers =
	    curl_slist_append(NULL, "Content-Type: application/octet-stream");
	answer->len = 0;
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, data);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
	int result = perform(c, g, &r);
	curl_slist_free_all(headers);
	return result;
}
