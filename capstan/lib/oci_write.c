/* SPDX-License-Identifier: BSD-3-Clause */
/* Writing OCI image layouts. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmdline.h"
#include "oci.h"

#define MEDIA "application/vnd.oci.image."

/* Writes JSON as a blob and returns its descriptor, NULL after an error event. */
static json_t *write_blob(struct cap *c, const char *dir, const char *type, json_t *doc)
{
	char digest[65], *text = json_dumps(doc, JSON_COMPACT | JSON_SORT_KEYS);
	sha256_hex(text, strlen(text), digest);
	char *path = xasprintf("%s/blobs/sha256/%s", dir, digest);
	int result = file_write_atomic(path, text, strlen(text), 0644);
	if (result)
		cap_fail(c, -result, "cannot write %s: %s", path, strerror(-result));
	char *full = xasprintf("sha256:%s", digest);
	json_t *descriptor = result ? NULL
				    : json_pack("{s:s,s:s,s:I}", "mediaType", type, "digest", full,
					  "size", (json_int_t)strlen(text));
	free(full);
	free(path);
	free(text);
	json_decref(doc);
	return descriptor;
}

/* The one layer: a plain tar, so that its digest is the diff id as well. */
static json_t *write_layer(struct cap *c, const char *dir, struct cap_tree *t, char digest[65])
{
	char *tmp = xasprintf("%s/layer.tmp", dir);
	struct stat st;
	json_t *descriptor = NULL;
	if (!cap_archive_write(c, t, tmp, CAP_COMPRESS_NONE) && !sha256_file(tmp, digest) &&
	    !stat(tmp, &st)) {
		char *path = xasprintf("%s/blobs/sha256/%s", dir, digest);
		char *full = xasprintf("sha256:%s", digest);
		if (rename(tmp, path))
			cap_fail_errno(c, "cannot create %s", path);
		else
			descriptor = json_pack("{s:s,s:s,s:I}", "mediaType", MEDIA "layer.v1.tar",
			    "digest", full, "size", (json_int_t)st.st_size);
		free(full);
		free(path);
	}
	free(tmp);
	return descriptor;
}

/* The boot command as the container's environment, directory and command. */
static int container_config(struct cap *c, const char *boot, json_t *config)
{
	struct strv words = {0};
	json_t *env = json_array(), *command = json_array();
	int result = boot ? cap_cmdline_split(c, "boot command", boot, &words) : 0;
	size_t program = cap_cmdline_program(&words);
	for (size_t i = 0; i < words.count; i++) {
		const char *w = words.items[i];
		if (i >= program)
			json_array_append_new(command, json_string(w));
		else if (has_prefix(w, "--env="))
			json_array_append_new(env, json_string(w + 6));
		else if (has_prefix(w, "--cwd="))
			json_object_set_new(config, "WorkingDir", json_string(w + 6));
		else
			cap_warn(c, "an OCI image cannot say %s", w);
	}
	json_object_set_new(config, "Env", env);
	json_object_set_new(config, "Cmd", command);
	strv_free(&words);
	return result;
}

static int write_layout(struct cap *c, struct cap_content *content, const char *dir)
{
	char digest[65], *full;
	json_t *config = json_object();
	int result = container_config(c, content->boot, config);
	json_t *layer = result ? NULL : write_layer(c, dir, &content->tree, digest);
	if (!layer) {
		json_decref(config);
		return result ? result : -EIO;
	}
	full = xasprintf("sha256:%s", digest);
	json_t *image = write_blob(c, dir, MEDIA "config.v1+json",
	    json_pack("{s:s,s:s,s:o,s:{s:s,s:[s]}}", "architecture", "amd64", "os", "linux",
		"config", config, "rootfs", "type", "layers", "diff_ids", full));
	free(full);
	json_t *manifest =
	    image ? write_blob(c, dir, MEDIA "manifest.v1+json",
			json_pack("{s:i,s:s,s:o,s:[o]}", "schemaVersion", 2, "mediaType",
			    MEDIA "manifest.v1+json", "config", image, "layers", layer))
		  : NULL;
	if (!manifest)
		return -EIO;
	json_object_set_new(manifest, "annotations",
	    json_pack("{s:s}", "org.opencontainers.image.ref.name",
		content->package.version ? content->package.version : "latest"));
	json_t *index = json_pack("{s:i,s:[o]}", "schemaVersion", 2, "manifests", manifest);
	char *text = json_dumps(index, JSON_INDENT(1) | JSON_SORT_KEYS);
	char *index_path = path_join(dir, "index.json"), *mark = path_join(dir, "oci-layout");
	static const char version[] = "{\"imageLayoutVersion\":\"1.0.0\"}";
	result = file_write_atomic(mark, version, strlen(version), 0644);
	if (!result)
		result = file_write_atomic(index_path, text, strlen(text), 0644);
	if (result)
		cap_fail(c, -result, "cannot write %s: %s", index_path, strerror(-result));
	free(index_path);
	free(mark);
	free(text);
	json_decref(index);
	return result;
}

int cap_package_to_oci(struct cap *c, const struct cap_compose *req, const char *layout)
{
	struct cap_content content;
	if (path_exists(layout))
		return cap_fail(c, EEXIST, "%s exists already", layout);
	int result = cap_assemble(c, req, false, &content);
	if (result)
		return result;
	char *tmp = xasprintf("%s.%d.tmp", layout, (int)getpid());
	char *blobs = path_join(tmp, "blobs/sha256");
	result = mkdir_all(blobs, 0755);
	if (result)
		cap_fail(c, -result, "cannot create %s: %s", blobs, strerror(-result));
	else
		result = write_layout(c, &content, tmp);
	if (!result && rename(tmp, layout))
		result = cap_fail_errno(c, "cannot create %s", layout);
	if (result)
		remove_all(tmp);
	else
		cap_info(c, "Wrote the OCI layout %s", layout);
	cap_content_free(&content);
	free(blobs);
	free(tmp);
	return result;
}
