/* SPDX-License-Identifier: BSD-3-Clause */
/* From a collected tree to a package in the repository; packages from programs of this host. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "deb_internal.h"
#include "hosttree.h"
#include "pack.h"
#include "repo.h"
#include "run.h"
#include "yamldoc.h"

static int add_run_yaml(struct cap *c, struct cap_tree *t, const char *bootcmd)
{
	struct buf text = {0};
	if (!bootcmd)
		return 0;
	buf_puts(&text, "runtime: native\nconfig_set:\n  default:\n    bootcmd: ");
	cap_yaml_quote(&text, bootcmd);
	buf_puts(&text, "\nconfig_set_default: default\n");
	int result = cap_tree_add_mem(c, t, "/meta/run.yaml", 0644, text.data, text.len);
	buf_free(&text);
	return result;
}

static int add_manifest(struct cap *c, struct cap_tree *t, const struct cap_package *p)
{
	struct buf text = {0};
	cap_package_format(p, &text);
	int result = cap_tree_add_mem(c, t, "/meta/package.yaml", 0644, text.data, text.len);
	buf_free(&text);
	return result;
}

static int add_links(struct cap *c, struct cap_tree *t, const struct strv *links)
{
	int result = 0;
	for (size_t i = 0; !result && links && i < links->count; i++) {
		const char *colon = strchr(links->items[i], ':');
		if (!colon || links->items[i][0] != '/' || !colon[1])
			return cap_fail(
			    c, EINVAL, "--link \"%s\" is not /PATH:TARGET", links->items[i]);
		char *path = xstrndup(links->items[i], colon - links->items[i]);
		result = cap_tree_add_link(c, t, path, colon + 1);
		free(path);
	}
	return result;
}

int cap_made_publish(struct cap *c, struct cap_tree *t, const struct cap_made *made,
    const char *name, const char *title, const char *version)
{
	char *created = cap_timestamp();
	struct cap_package p = {.name = (char *)(made->name ? made->name : name),
	    .title = (char *)(made->title ? made->title : title),
	    .author = (char *)(made->author ? made->author : "capstan"),
	    .version = (char *)(made->version ? made->version : version),
	    .packaging = (char *)"1.0.0",
	    .created = created,
	    .platform = (char *)"x86_64"};
	struct cap_run extra = {.files = made->files, .dirs = made->dirs};
	struct cap_package imported = {0};
	if (made->require)
		p.require = *made->require;
	int result =
	    cap_name_valid(p.name)
		? cap_add_extra_files(c, &extra, t)
		: cap_fail(c, EINVAL, "\"%s\" is not a package name; give one with --name", p.name);
	if (!result)
		result = add_links(c, t, made->links);
	if (!result)
		result = add_run_yaml(c, t, made->bootcmd);
	if (!result)
		result = add_manifest(c, t, &p);
	if (!result && !made->output)
		result = cap_repo_dir(c, "cache");
	char *dir = made->output ? xstrdup(made->output) : cap_repo_path(c, "cache");
	char *file = xasprintf("%s/%s.mpm", dir, p.name ? p.name : "");
	size_t files = t->count;
	if (!result)
		result = cap_archive_write(c, t, file, CAP_COMPRESS_ZSTD);
	if (!result && !made->output) {
		result = cap_repo_import(c, file, &imported);
		unlink(file);
	}
	if (!result)
		cap_info(
		    c, "Made package %s %s (%zu files)", p.name, p.version ? p.version : "", files);
	cap_package_free(&imported);
	free(created);
	free(dir);
	free(file);
	return result;
}

int cap_package_from_host(struct cap *c, const struct strv *programs, const struct cap_made *made)
{
	struct cap_tree tree;
	struct cap_collector col;
	int result = 0;
	cap_tree_init(&tree);
	cap_collector_init(&col, c, &tree);
	for (size_t i = 0; !result && i < programs->count; i++) {
		const char *guest = strstr(programs->items[i], ":/");
		char *name = guest ? xstrndup(programs->items[i], guest - programs->items[i])
				   : xstrdup(programs->items[i]);
		char *path = cap_find_program(c, name);
		result = !path	 ? -ENOENT
			 : guest ? cap_collect_as(&col, path, guest + 1)
				 : cap_collect_path(&col, path);
		free(name);
		free(path);
	}
	if (!result)
		result = cap_collect_finish(&col);
	if (!result) {
		const char *name = path_base(programs->items[0]);
		char *title = xasprintf("%s from this host", name);
		result = cap_made_publish(c, &tree, made, name, title, NULL);
		free(title);
	}
	cap_collector_free(&col);
	cap_tree_free(&tree);
	return result;
}
