/* SPDX-License-Identifier: BSD-3-Clause */
/* A hub's directory: publishing packages. */
#include "hub_store.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "manifest.h"
#include "pack.h"
#include "repo.h"
#include "version.h"

char *hub_store_path(const struct hub_store *s, const char *name)
{
	return path_join(s->dir, name);
}

int hub_store_write(
    struct cap *c, const struct hub_store *s, const char *name, const char *text, mode_t mode)
{
	char *path = hub_store_path(s, name);
	int result = file_write_atomic(path, text, strlen(text), mode);
	if (result)
		cap_fail(c, -result, "cannot write %s: %s", path, strerror(-result));
	free(path);
	return result;
}

static char *read_line(const struct hub_store *s, const char *name)
{
	char *path = hub_store_path(s, name), *line = file_first_line(path);
	free(path);
	return line;
}

int hub_store_lock(struct cap *c, const struct hub_store *s)
{
	char *path = hub_store_path(s, ".hub/lock");
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || flock(fd, LOCK_EX)) {
		int error = cap_fail_errno(c, "cannot lock %s", path);
		if (fd >= 0)
			close(fd);
		fd = error;
	}
	free(path);
	return fd;
}

/* The key's seed is kept in hex, readable by its owner only. */
static int open_key(struct cap *c, struct hub_store *s)
{
	char *seed = read_line(s, ".hub/key"), hex[65];
	size_t n;
	int result = 0;
	if (!seed) {
		hub_key_create(s->seed, s->public_key);
		sodium_bin2hex(hex, sizeof(hex), s->seed, sizeof(s->seed));
		result = hub_store_write(c, s, ".hub/key", hex, 0600);
		sodium_memzero(hex, sizeof(hex));
	} else if (sodium_hex2bin(s->seed, 32, seed, strlen(seed), NULL, &n, NULL) || n != 32) {
		result = cap_fail(c, EBADMSG, "%s/.hub/key is not a key", s->dir);
	} else {
		hub_key_public(s->seed, s->public_key);
	}
	free(seed);
	return result ? result : hub_store_write(c, s, "key.pub", s->public_key, 0644);
}

static int open_token(struct cap *c, struct hub_store *s, const char *token)
{
	unsigned char random[24];
	char hex[49];
	s->token = token ? xstrdup(token) : read_line(s, ".hub/token");
	if (s->token && *s->token)
		return 0;
	free(s->token);
	if (sodium_init() < 0)
		return cap_fail(c, EIO, "no random numbers");
	randombytes_buf(random, sizeof(random));
	sodium_bin2hex(hex, sizeof(hex), random, sizeof(random));
	s->token = xstrdup(hex);
	return hub_store_write(c, s, ".hub/token", hex, 0600);
}

int hub_store_write_index(struct cap *c, const struct hub_store *s, const struct hub_index *index)
{
	char *json = hub_index_format(index), *text = hub_index_sign(json, s->seed);
	int result = hub_store_write(c, s, HUB_SIGNED_NAME, text, 0644);
	if (!result)
		result = hub_store_write(c, s, "index.json", json, 0644);
	free(json);
	free(text);
	return result;
}

int hub_store_index(struct cap *c, const struct hub_store *s, struct hub_index *index)
{
	char *path = hub_store_path(s, HUB_SIGNED_NAME);
	struct buf text = {0};
	const char *json;
	int result = file_read(path, HUB_INDEX_MAX, &text);
	if (result)
		cap_fail(c, -result, "cannot read %s: %s", path, strerror(-result));
	else
		result = hub_index_verify(c, path, text.data, text.len, s->public_key, &json);
	if (!result)
		result = hub_index_parse(c, path, json, text.data + text.len - json, index);
	buf_free(&text);
	free(path);
	return result;
}

int hub_store_open(struct cap *c, const char *dir, const char *token, struct hub_store *s)
{
	*s = (struct hub_store){.dir = path_absolute(dir)};
	char *private = hub_store_path(s, ".hub/uploads"),
	     *packages = hub_store_path(s, "packages");
	char *index = hub_store_path(s, HUB_SIGNED_NAME);
	int result = mkdir_all(packages, 0755), lock = -1;
	if (!result)
		result = mkdir_all(private, 0700);
	if (result)
		cap_fail(c, -result, "cannot create %s: %s", dir, strerror(-result));
	else if ((lock = hub_store_lock(c, s)) < 0)
		result = lock;
	if (!result)
		result = open_key(c, s);
	if (!result)
		result = open_token(c, s, token);
	if (!result && !path_exists(index))
		result = hub_store_write_index(c, s, &(struct hub_index){.serial = 1});
	if (lock >= 0)
		close(lock);
	free(private);
	free(packages);
	free(index);
	if (result)
		hub_store_close(s);
	return result;
}

void hub_store_close(struct hub_store *s)
{
	sodium_memzero(s->seed, sizeof(s->seed));
	free(s->dir);
	free(s->token);
	*s = (struct hub_store){0};
}

int hub_store_upload(struct cap *c, const struct hub_store *s, char **path)
{
	*path = hub_store_path(s, ".hub/uploads/XXXXXX");
	int fd = mkostemp(*path, O_CLOEXEC);
	return fd < 0 ? cap_fail_errno(c, "cannot store the upload") : fd;
}

/* Reads the manifest out of an archive after all its entries were checked. */
static int read_manifest(
    struct cap *c, const char *path, struct cap_package *p, struct buf *manifest)
{
	struct cap_tree tree;
	int archive = open(path, O_RDONLY | O_CLOEXEC), result = 0;
	/* The contents go to a file beside the upload: a large package must not fill the memory. */
	char *name = xasprintf("%s.data", path);
	int contents = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	unlink(name);
	free(name);
	cap_tree_init(&tree);
	if (archive < 0 || contents < 0)
		result = cap_fail_errno(c, "cannot read the upload");
	if (!result)
		result = cap_archive_read_fd(c, "the package", archive, contents, &tree);
	struct cap_node *n = result ? NULL : cap_tree_lookup(&tree, "/meta/package.yaml");
	if (!result && !n)
		result = cap_fail(c, EBADMSG, "the archive has no meta/package.yaml");
	if (!result)
		result = cap_node_read(c, n, CAP_MANIFEST_MAX, manifest);
	if (!result)
		result =
		    cap_package_parse(c, "meta/package.yaml", manifest->data, manifest->len, p);
	if (!result && p->version && !cap_name_valid(p->version)) {
		result = cap_fail(c, EBADMSG, "\"%s\" is not a version a hub can keep", p->version);
		cap_package_free(p);
	}
	cap_tree_free(&tree);
	if (archive >= 0)
		close(archive);
	if (contents >= 0)
		close(contents);
	return result;
}

static void add_entry(struct hub_index *index, const struct cap_package *p, const char *file,
    const char *digest, uint64_t bytes)
{
	char *now = cap_timestamp();
	index->list = xrealloc(index->list, (index->count + 1) * sizeof(*index->list));
	struct hub_package *e = &index->list[index->count++];
	*e = (struct hub_package){.name = xstrdup(p->name),
	    .version = p->version ? xstrdup(p->version) : NULL,
	    .packaging = p->packaging ? xstrdup(p->packaging) : NULL,
	    .title = xstrdup(p->title),
	    .author = xstrdup(p->author),
	    .created = p->created ? xstrdup(p->created) : xstrdup(now),
	    .file = xstrdup(file),
	    .sha256 = xstrdup(digest),
	    .bytes = bytes};
	strv_add_all(&e->require, &p->require);
	free(now);
}

/* The entry of the same version, or NULL. Two packagings of one version are two versions. */
static struct hub_package *same_version(struct hub_index *index, const struct cap_package *p)
{
	for (size_t i = 0; i < index->count; i++) {
		struct hub_package *e = &index->list[i];
		if (!strcmp(e->name, p->name) &&
		    !strcmp(e->version ? e->version : "", p->version ? p->version : "") &&
		    !strcmp(e->packaging ? e->packaging : "", p->packaging ? p->packaging : ""))
			return e;
	}
	return NULL;
}

static bool is_newest(const struct hub_index *index, const struct cap_package *p)
{
	const struct hub_package *newest = hub_index_find(index, p->name, "");
	return !newest || cap_version_prefer(p->version ? p->version : "",
			      newest->version ? newest->version : "") >= 0;
}

/* packages/NAME.{mpm,yaml} for clients that know nothing of the index. */
static int link_newest(struct cap *c, const struct hub_store *s, const struct cap_package *p,
    const char *stored, const struct buf *manifest)
{
	char *name = xasprintf("packages/%s.mpm", p->name), *path = hub_store_path(s, name);
	char *tmp = xasprintf("%s.tmp", path), *yaml = xasprintf("packages/%s.yaml", p->name);
	unlink(tmp);
	int result = 0;
	if (link(stored, tmp) || rename(tmp, path))
		result = cap_fail_errno(c, "cannot publish %s", path);
	if (!result)
		result = hub_store_write(c, s, yaml, manifest->data, 0644);
	free(name);
	free(path);
	free(tmp);
	free(yaml);
	return result;
}

static int publish_locked(struct cap *c, const struct hub_store *s, const char *upload,
    const struct cap_package *p, const struct buf *manifest, char **message)
{
	struct hub_index index;
	char digest[65];
	struct stat st;
	int result = sha256_file(upload, digest);
	if (result || stat(upload, &st))
		return cap_fail(c, EIO, "cannot read the upload");
	result = hub_store_index(c, s, &index);
	if (result)
		return result;
	struct hub_package *same = same_version(&index, p);
	const char *version = p->version ? p->version : "";
	if (same && !strcmp(same->sha256, digest)) {
		*message = xasprintf("%s %s is published already", p->name, version);
	} else if (same && p->version) {
		result = cap_fail(c, EEXIST,
		    "%s %s is published with other content; a changed package "
		    "needs a new version or packaging",
		    p->name, version);
	} else {
		char *file = xasprintf(
		    "packages/%s%s%s-%.12s.mpm", p->name, *version ? "-" : "", version, digest);
		char *path = hub_store_path(s, file);
		bool newest = is_newest(&index, p);
		if (same) {
			hub_package_free(same);
			*same = index.list[--index.count];
		}
		if (chmod(upload, 0644) || rename(upload, path))
			result = cap_fail_errno(c, "cannot publish %s", path);
		if (!result && newest)
			result = link_newest(c, s, p, path, manifest);
		add_entry(&index, p, file, digest, st.st_size);
		index.serial++;
		if (!result)
			result = hub_store_write_index(c, s, &index);
		*message = xasprintf("Published %s %s", p->name, version);
		free(file);
		free(path);
	}
	hub_index_free(&index);
	return result;
}

int hub_store_publish(struct cap *c, const struct hub_store *s, const char *upload, char **message)
{
	struct cap_package p;
	struct buf manifest = {0};
	*message = NULL;
	int result = read_manifest(c, upload, &p, &manifest);
	if (!result) {
		int lock = hub_store_lock(c, s);
		result = lock < 0 ? lock : publish_locked(c, s, upload, &p, &manifest, message);
		if (lock >= 0)
			close(lock);
		cap_package_free(&p);
	}
	unlink(upload);
	buf_free(&manifest);
	return result;
}
