/* SPDX-License-Identifier: BSD-3-Clause */
/* A hub's directory: publishing images. */
#include "hub_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "image.h"
#include "manifest.h"
#include "repo.h"
#include "version.h"
#include "yamldoc.h"

#define FRONT_BYTES (8u << 20) /* of an image; its header and command line are well within */
#define UNPACKED_MAX (1ull << 40)
#define CHUNK (1 << 18)

/* Decompresses everything to see that it is whole, and keeps its front in a file. */
static int unpack_front(struct cap *c, const char *upload, int front)
{
	gzFile in = gzopen(upload, "rbe");
	char *chunk = xmalloc(CHUNK);
	uint64_t total = 0;
	int n = 0, result = in ? 0 : cap_fail_errno(c, "cannot read the upload");
	while (!result && (n = gzread(in, chunk, CHUNK)) > 0) {
		if (total < FRONT_BYTES && write_all(front, chunk, n))
			result = cap_fail(c, ENOSPC, "the hub has no space to check the image");
		if ((total += n) > UNPACKED_MAX)
			result = cap_fail(c, EBADMSG, "the image is larger than a hub takes");
	}
	bool bare = in && gzdirect(in);
	if (!result && (n < 0 || bare))
		result = cap_fail(c, EBADMSG, "the upload is not a whole gzip file");
	if (in)
		gzclose(in);
	free(chunk);
	return result;
}

static int check_image(struct cap *c, const char *upload)
{
	char *path = xasprintf("%s.front", upload);
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct cap_image img;
	int result =
	    fd < 0 ? cap_fail_errno(c, "cannot check the upload") : unpack_front(c, upload, fd);
	if (fd >= 0)
		close(fd);
	if (!result && !(result = cap_image_open(c, path, &img)))
		cap_image_close(&img);
	if (result == -EBADMSG && c->last_error && strstr(c->last_error, path))
		cap_fail(c, EBADMSG, "the upload is not a Carrara image");
	unlink(path);
	free(path);
	return result;
}

static struct hub_package *same_version(
    struct hub_index *index, const struct hub_image_upload *image)
{
	for (size_t i = 0; i < index->image_count; i++) {
		struct hub_package *e = &index->images[i];
		if (!strcmp(e->name, image->name) &&
		    !strcmp(e->version ? e->version : "", image->version ? image->version : ""))
			return e;
	}
	return NULL;
}

/* NAME/NAME.qemu.gz and NAME/index.yaml for clients that know nothing of the index. */
static int link_newest(
    struct cap *c, const struct hub_store *s, const char *stored, const struct hub_package *e)
{
	char *name = xasprintf("%s/%s.qemu.gz", e->name, path_base(e->name));
	char *path = hub_store_path(s, name), *tmp = xasprintf("%s.tmp", path);
	char *yaml = xasprintf("%s/index.yaml", e->name);
	struct buf text = {0};
	struct {
		const char *key, *value;
	} fields[] = {{"format_version", "1"}, {"version", e->version}, {"created", e->created},
	    {"description", e->title}};
	for (size_t i = 0; i < CAP_ARRAY_SIZE(fields); i++)
		if (fields[i].value) {
			buf_printf(&text, "%s: ", fields[i].key);
			cap_yaml_quote(&text, fields[i].value);
			buf_putc(&text, '\n');
		}
	unlink(tmp);
	int result = 0;
	if (link(stored, tmp) || rename(tmp, path))
		result = cap_fail_errno(c, "cannot publish %s", path);
	if (!result)
		result = hub_store_write(c, s, yaml, text.data, 0644);
	buf_free(&text);
	free(name);
	free(path);
	free(tmp);
	free(yaml);
	return result;
}

static char *copy(const char *s)
{
	return s && *s ? xstrdup(s) : NULL;
}

/* Moves the upload to its place and makes its entry. */
static int store_image(struct cap *c, const struct hub_store *s, const char *upload,
    const struct hub_image_upload *image, const char *digest, struct hub_package *e)
{
	struct stat st;
	char *created = cap_timestamp(), *dir = hub_store_path(s, image->name);
	*e = (struct hub_package){.name = xstrdup(image->name),
	    .version = copy(image->version),
	    .title = copy(image->description),
	    .created = copy(image->created),
	    .file = xasprintf("%s/%s-%.12s.qemu.gz", image->name, path_base(image->name), digest),
	    .sha256 = xstrdup(digest)};
	if (!e->created)
		e->created = xstrdup(created);
	char *path = hub_store_path(s, e->file);
	int result = mkdir_all(dir, 0755);
	if (result)
		cap_fail(c, -result, "cannot create %s: %s", dir, strerror(-result));
	else if (stat(upload, &st) || chmod(upload, 0644) || rename(upload, path))
		result = cap_fail_errno(c, "cannot publish %s", path);
	else
		e->bytes = st.st_size;
	free(created);
	free(path);
	free(dir);
	if (result)
		hub_package_free(e);
	return result;
}

static int add_image(struct cap *c, const struct hub_store *s, const char *upload,
    const struct hub_image_upload *image, const char *digest, struct hub_index *index)
{
	struct hub_package e, *same = same_version(index, image);
	int result = store_image(c, s, upload, image, digest, &e);
	if (result)
		return result;
	if (same) {
		hub_package_free(same);
		*same = index->images[--index->image_count];
	}
	index->images = xrealloc(index->images, (index->image_count + 1) * sizeof(*index->images));
	index->images[index->image_count++] = e;
	index->serial++;
	if (hub_index_find_image(index, image->name) == &index->images[index->image_count - 1]) {
		char *path = hub_store_path(s, e.file);
		result = link_newest(c, s, path, &e);
		free(path);
	}
	return result ? result : hub_store_write_index(c, s, index);
}

static int publish_locked(struct cap *c, const struct hub_store *s, const char *upload,
    const struct hub_image_upload *image, char **message)
{
	struct hub_index index;
	char digest[65];
	const char *version = image->version ? image->version : "";
	if (sha256_file(upload, digest))
		return cap_fail(c, EIO, "cannot read the upload");
	int result = hub_store_index(c, s, &index);
	if (result)
		return result;
	const struct hub_package *same = same_version(&index, image);
	if (same && !strcmp(same->sha256, digest))
		*message = xasprintf("image %s %s is published already", image->name, version);
	else if (same && *version)
		result = cap_fail(c, EEXIST,
		    "image %s %s is published with other content; a changed image needs a new "
		    "version",
		    image->name, version);
	else if (!(result = add_image(c, s, upload, image, digest, &index)))
		*message = xasprintf("Published image %s %s", image->name, version);
	hub_index_free(&index);
	return result;
}

int hub_store_publish_image(struct cap *c, const struct hub_store *s, const char *upload,
    const struct hub_image_upload *image, char **message)
{
	int result = 0;
	*message = NULL;
	if (!cap_image_name_valid(image->name) || has_prefix(image->name, "packages/") ||
	    !strcmp(image->name, "packages"))
		result = cap_fail(c, EBADMSG, "\"%s\" is not a name for an image", image->name);
	else if (image->version && *image->version && !cap_name_valid(image->version))
		result =
		    cap_fail(c, EBADMSG, "\"%s\" is not a version a hub can keep", image->version);
	else
		result = check_image(c, upload);
	if (!result) {
		int lock = hub_store_lock(c, s);
		result = lock < 0 ? lock : publish_locked(c, s, upload, image, message);
		if (lock >= 0)
			close(lock);
	}
	unlink(upload);
	return result;
}
