/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading OCI image layouts. */
#include "oci.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmdline.h"
#include "deb_internal.h"
#include "pack.h"

#define JSON_MAX (16u << 20)
#define LAYERS_MAX 256
#define INDEX_DEPTH 4
#define WHITEOUT ".wh."
#define OPAQUE ".wh..wh..opq"

struct layer {
	struct cap_tree tree;
	int fd;
};

struct oci {
	struct cap *c;
	const char *layout, *reference;
	struct cap_tree tree;
	struct layer *layers;
	size_t count;
	struct buf bootcmd;
};

/* Path of a blob by its digest, after checking both; NULL after an error event. */
static char *blob_path(struct oci *o, const char *digest)
{
	char actual[65];
	if (!digest || !has_prefix(digest, "sha256:") || strlen(digest) != 71 ||
	    strspn(digest + 7, "0123456789abcdef") != 64) {
		cap_fail(o->c, EBADMSG, "%s: \"%s\" is not a SHA-256 digest", o->layout,
		    digest ? digest : "");
		return NULL;
	}
	char *path = xasprintf("%s/blobs/sha256/%s", o->layout, digest + 7);
	int result = sha256_file(path, actual);
	if (result)
		cap_fail(o->c, -result, "cannot read %s: %s", path, strerror(-result));
	else if (strcmp(actual, digest + 7))
		cap_fail(o->c, EBADMSG, "%s does not have the content its name says", path);
	if (!result && !strcmp(actual, digest + 7))
		return path;
	free(path);
	return NULL;
}

static json_t *read_json(struct oci *o, const char *path)
{
	struct buf text = {0};
	json_error_t error;
	json_t *doc = NULL;
	int result = file_read(path, JSON_MAX, &text);
	if (result)
		cap_fail(o->c, -result, "cannot read %s: %s", path, strerror(-result));
	else if (!(doc = json_loadb(text.data, text.len, 0, &error)))
		cap_fail(o->c, EBADMSG, "%s:%d: %s", path, error.line, error.text);
	buf_free(&text);
	return doc;
}

static json_t *read_blob_json(struct oci *o, const json_t *descriptor)
{
	char *path = blob_path(o, json_string_value(json_object_get(descriptor, "digest")));
	json_t *doc = path ? read_json(o, path) : NULL;
	free(path);
	return doc;
}

static bool wanted(const struct oci *o, const json_t *d)
{
	const json_t *platform = json_object_get(d, "platform");
	const char *os = json_string_value(json_object_get(platform, "os"));
	const char *cpu = json_string_value(json_object_get(platform, "architecture"));
	const char *name = json_string_value(json_object_get(
	    json_object_get(d, "annotations"), "org.opencontainers.image.ref.name"));
	if ((os && strcmp(os, "linux")) || (cpu && strcmp(cpu, "amd64")))
		return false;
	return !o->reference || (name && !strcmp(name, o->reference));
}

/* Follows indexes down to the one manifest that fits. */
static json_t *find_manifest(struct oci *o, json_t *doc, int depth)
{
	const json_t *manifests = json_object_get(doc, "manifests"), *found = NULL;
	size_t matches = 0;
	if (json_is_array(json_object_get(doc, "layers")))
		return json_incref(doc);
	for (size_t i = 0; i < json_array_size(manifests); i++)
		if (wanted(o, json_array_get(manifests, i))) {
			found = json_array_get(manifests, i);
			matches++;
		}
	if (matches != 1 || depth > INDEX_DEPTH) {
		cap_fail(o->c, EBADMSG,
		    matches > 1 ? "%s has several images; choose one as %s:NAME"
				: "%s has no image for linux/amd64%s%s",
		    o->layout,
		    matches > 1	   ? o->layout
		    : o->reference ? " named "
				   : "",
		    matches > 1 || !o->reference ? "" : o->reference);
		return NULL;
	}
	json_t *next = read_blob_json(o, found), *manifest = NULL;
	/* The name was decided at the top. */
	o->reference = NULL;
	if (next)
		manifest = find_manifest(o, next, depth + 1);
	json_decref(next);
	return manifest;
}

/* Takes away what a layer's white-outs name. */
static int white_out(struct cap_node *n, void *arg)
{
	struct cap_tree *into = arg;
	if (!has_prefix(n->name, WHITEOUT))
		return 0;
	char *dir = cap_node_path(n->parent);
	bool opaque = !strcmp(n->name, OPAQUE);
	char *path = opaque ? xstrdup(dir) : path_join(dir, n->name + strlen(WHITEOUT));
	struct cap_node *old = cap_tree_lookup(into, path);
	while (opaque && old && old->children)
		cap_tree_remove(into, old->children);
	if (!opaque && old && old->parent != old)
		cap_tree_remove(into, old);
	free(dir);
	free(path);
	return 0;
}

static bool skip_white_outs(void *arg, const char *relative, bool is_dir)
{
	(void)arg, (void)is_dir;
	return has_prefix(path_base(relative), WHITEOUT);
}

static int add_layer(struct oci *o, const json_t *descriptor)
{
	char *path = blob_path(o, json_string_value(json_object_get(descriptor, "digest")));
	if (!path)
		return -EBADMSG;
	o->layers = xrealloc(o->layers, (o->count + 1) * sizeof(*o->layers));
	struct layer *l = &o->layers[o->count++];
	cap_tree_init(&l->tree);
	FILE *contents = tmpfile();
	l->fd = contents ? fcntl(fileno(contents), F_DUPFD_CLOEXEC, 0) : -1;
	if (contents)
		fclose(contents);
	int archive = open(path, O_RDONLY | O_CLOEXEC), result = 0;
	if (archive < 0 || l->fd < 0)
		result = cap_fail_errno(o->c, "cannot read %s", path);
	if (!result)
		result = cap_archive_read_fd(o->c, path_base(path), archive, l->fd, &l->tree);
	if (archive >= 0)
		close(archive);
	if (!result)
		result = cap_tree_walk(&l->tree, white_out, &o->tree);
	if (!result)
		result = cap_tree_merge(o->c, &o->tree, &l->tree, skip_white_outs, NULL);
	free(path);
	return result;
}

static void add_words(struct buf *line, const json_t *list)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		if (json_is_string(json_array_get(list, i)))
			cap_cmdline_add(line, json_string_value(json_array_get(list, i)));
}

static int read_config(struct oci *o, const json_t *manifest)
{
	json_t *doc = read_blob_json(o, json_object_get(manifest, "config"));
	const json_t *config = json_object_get(doc, "config"),
		     *env = json_object_get(config, "Env");
	const char *dir = json_string_value(json_object_get(config, "WorkingDir"));
	if (!doc)
		return -EBADMSG;
	for (size_t i = 0; i < json_array_size(env); i++) {
		char *word = xasprintf("--env=%s", json_string_value(json_array_get(env, i)));
		cap_cmdline_add(&o->bootcmd, word);
		free(word);
	}
	if (dir && dir[0] == '/') {
		char *word = xasprintf("--cwd=%s", dir);
		cap_cmdline_add(&o->bootcmd, word);
		free(word);
	}
	size_t before = o->bootcmd.len;
	add_words(&o->bootcmd, json_object_get(config, "Entrypoint"));
	add_words(&o->bootcmd, json_object_get(config, "Cmd"));
	if (o->bootcmd.len == before)
		buf_free(&o->bootcmd); /* options alone are no command */
	json_decref(doc);
	return 0;
}

static int read_image(struct oci *o)
{
	char *path = path_join(o->layout, "index.json");
	json_t *index = read_json(o, path);
	free(path);
	if (!index)
		return -EBADMSG;
	json_t *manifest = find_manifest(o, index, 0);
	json_decref(index);
	if (!manifest)
		return -EBADMSG;
	const json_t *layers = json_object_get(manifest, "layers");
	int result = read_config(o, manifest);
	if (!result && json_array_size(layers) > LAYERS_MAX)
		result = cap_fail(o->c, EBADMSG, "%s: more than %d layers", o->layout, LAYERS_MAX);
	for (size_t i = 0; !result && i < json_array_size(layers); i++)
		result = add_layer(o, json_array_get(layers, i));
	json_decref(manifest);
	return result;
}

int cap_package_from_oci(
    struct cap *c, const char *layout, const char *reference, const struct cap_made *made)
{
	struct oci o = {.c = c, .layout = layout, .reference = reference};
	struct cap_made with_command = *made;
	cap_tree_init(&o.tree);
	int result = read_image(&o);
	if (!result) {
		char *full = path_absolute(layout);
		const char *name =
		    reference && cap_name_valid(reference) ? reference : path_base(full);
		char *title = xasprintf("OCI image %s", name);
		if (!made->bootcmd)
			with_command.bootcmd = o.bootcmd.data;
		result = cap_made_publish(c, &o.tree, &with_command, name, title, NULL);
		free(title);
		free(full);
	}
	for (size_t i = 0; i < o.count; i++) {
		cap_tree_free(&o.layers[i].tree);
		if (o.layers[i].fd >= 0)
			close(o.layers[i].fd);
	}
	free(o.layers);
	cap_tree_free(&o.tree);
	buf_free(&o.bootcmd);
	return result;
}
