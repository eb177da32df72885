/* SPDX-License-Identifier: BSD-3-Clause */
/* `capstan package compose` and `capstan package collect`. */
#include "compose.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bootfile.h"
#include "repo.h"

static int parse_request(struct cap *c, const struct cap_compose *req, struct cap_image_spec *spec)
{
	const char *format = req->format ? req->format : "qcow2";
	const char *fs = req->fs ? req->fs : "erofs";
	if (!strcmp(format, "raw"))
		spec->format = CAP_FORMAT_RAW;
	else if (!strcmp(format, "qcow2"))
		spec->format = CAP_FORMAT_QCOW2;
	else
		return cap_fail(c, EINVAL, "unknown image format \"%s\" (qcow2 or raw)", format);
	if (strcmp(fs, "erofs"))
		return cap_fail(c, EINVAL, "unknown file system \"%s\" (erofs)", fs);
	if (!parse_size(req->size ? req->size : "10G", &spec->disk_bytes))
		return cap_fail(c, EINVAL, "size \"%s\" is not like 200M or 10G", req->size);
	for (size_t i = 0; req->env && i < req->env->count; i++)
		if (!strchr(req->env->items[i], '=') || req->env->items[i][0] == '=')
			return cap_fail(
			    c, EINVAL, "--env takes NAME=VALUE, not \"%s\"", req->env->items[i]);
	if (!req->output && !cap_image_name_valid(req->image))
		return cap_fail(
		    c, EINVAL, "\"%s\" is not an image name ([NAMESPACE/]NAME)", req->image);
	return 0;
}

/* A command with ${…} has to be expanded at boot: the image then names the file that holds it. */
static char *stored_cmdline(const struct cap_content *content)
{
	if (!content->boot)
		return NULL;
	if (!strstr(content->boot, "${") || !content->boot_name)
		return xstrdup(content->boot);
	return xasprintf("--boot=%s", content->boot_name);
}

static int write_index(
    struct cap *c, const struct cap_compose *req, const struct cap_content *content)
{
	char *created = cap_timestamp();
	struct cap_image_info info = {.version = content->package.version,
	    .created = created,
	    .description = content->package.title,
	    .package = content->package.name,
	    .format = (char *)(req->format ? req->format : "qcow2"),
	    .cmdline = content->boot};
	int result = cap_repo_write_index(c, req->image, &info);
	free(created);
	return result;
}

static int begin_update(
    struct cap *c, struct cap_content *content, const char *cache, const char *path)
{
	struct cap_update_counts n;
	if (!path_exists(path)) {
		cap_info(c, "No image to update, composing a new one");
		return -1;
	}
	int fd = cap_update_apply(c, &content->tree, cache, path, &n);
	if (fd >= 0)
		cap_info(c, "Updating: %zu files changed, %zu added, %zu removed, %zu the same",
		    n.changed, n.added, n.removed, n.same);
	else
		cap_info(c, "Composing the whole image");
	return fd;
}

static int write_to_repository(struct cap *c, const struct cap_compose *req,
    struct cap_content *content, const struct cap_image_spec *spec)
{
	char *dir = cap_repo_image_dir(c, req->image);
	char *path = xasprintf("%s/%s.qemu", dir, path_base(req->image));
	char *cache = xasprintf("%s/files.cache", dir);
	char *lock_name = xasprintf("image-%s", req->image);
	int result = mkdir_all(dir, 0755);
	if (result)
		cap_fail(c, -result, "cannot create %s: %s", dir, strerror(-result));
	int lock = result ? result : cap_repo_lock(c, lock_name);
	if (lock < 0)
		result = lock;
	if (!result) {
		cap_info(c, "Importing into %s", path);
		bool quiet = c->quiet_errors;
		c->quiet_errors = true;
		int old = req->update ? begin_update(c, content, cache, path) : -1;
		c->quiet_errors = quiet;
		cap_info(c, "Uploading files to %s...", path);
		/* The record describes host files as they are now, so it is made before reading
		 * them. */
		result = cap_image_write(c, &content->tree, spec, path);
		if (old >= 0)
			close(old);
	}
	if (!result)
		result = cap_update_write(c, &content->tree, cache);
	if (!result)
		result = write_index(c, req, content);
	if (lock >= 0)
		close(lock);
	free(lock_name);
	free(cache);
	free(path);
	free(dir);
	return result;
}

static int compose(struct cap *c, const struct cap_compose *req, struct cap_content *content,
    struct cap_image_spec *spec)
{
	struct cap_kernel kernel = {0};
	int result = req->no_kernel ? 0 : cap_kernel_find(c, req->kernel, &kernel);
	if (result)
		return result;
	char *cmdline = stored_cmdline(content);
	struct buf description = {0};
	cap_boot_format(content, &description);
	spec->cmdline = cmdline;
	spec->description = description.data;
	spec->kernel = kernel.lz4;
	spec->loader = kernel.loader;
	if (!req->no_kernel && !(kernel.lz4 && kernel.loader))
		cap_detail(
		    c, "no kernel for disk boot was found: the image runs with a separate kernel");
	result = req->output ? cap_image_write(c, &content->tree, spec, req->output)
			     : write_to_repository(c, req, content, spec);
	if (!result) {
		cap_info(c, "All files uploaded");
		if (content->boot)
			cap_info(c, "Command line set to: %s", content->boot);
		else
			cap_warn(c,
			    "the image has no boot command; give one with capstan run --execute");
	}
	free(cmdline);
	buf_free(&description);
	cap_kernel_free(&kernel);
	return result;
}

int cap_compose(struct cap *c, const struct cap_compose *req)
{
	struct cap_content content;
	struct cap_image_spec spec = {0};
	int result = parse_request(c, req, &spec);
	if (!result)
		result = cap_assemble(c, req, true, &content);
	if (result)
		return result;
	result = compose(c, req, &content, &spec);
	cap_content_free(&content);
	return result;
}

int cap_collect(struct cap *c, const struct cap_compose *req)
{
	struct cap_content content;
	int result = cap_assemble(c, req, true, &content);
	if (result)
		return result;
	char *final = path_join(req->dir, "mpm-pkg");
	char *fresh = xasprintf("%s.%d.tmp", final, (int)getpid());
	result = cap_tree_export(c, &content.tree, fresh);
	if (!result && (result = remove_all(final)))
		cap_fail(c, -result, "cannot remove the old %s: %s", final, strerror(-result));
	if (!result && rename(fresh, final))
		result = cap_fail_errno(c, "cannot create %s", final);
	if (result)
		remove_all(fresh);
	else
		cap_info(c, "Collected %zu files into %s", content.tree.count, final);
	cap_content_free(&content);
	free(fresh);
	free(final);
	return result;
}
