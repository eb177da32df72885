/* SPDX-License-Identifier: BSD-3-Clause */
/* capstan package … */
#include "commands.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../lib/compose.h"
#include "../lib/hub.h"
#include "../lib/package.h"
#include "../lib/renew.h"
#include "../lib/repo.h"

int cmd_package_init(struct cmd *cmd)
{
	struct cap_package p = {
	    .name = (char *)cmd_value(cmd, "name"),
	    .title = (char *)cmd_value(cmd, "title"),
	    .author = (char *)cmd_value(cmd, "author"),
	    .version = (char *)cmd_value(cmd, "version"),
	    .require = *cmd_list(cmd, "require"),
	};
	struct {
		const char *value, *option;
	} needed[] = {{p.name, "--name"}, {p.title, "--title"}, {p.author, "--author"}};
	for (size_t i = 0; i < CAP_ARRAY_SIZE(needed); i++)
		if (!needed[i].value || !*needed[i].value)
			return cap_fail(
			    cmd->cap, EINVAL, "capstan package init needs %s", needed[i].option);
	return cap_package_init(
	    cmd->cap, cmd_arg(cmd, 0) ? cmd_arg(cmd, 0) : ".", &p, cmd_value(cmd, "runtime"));
}

static void fill_compose(struct cmd *cmd, struct cap_compose *req)
{
	*req = (struct cap_compose){
	    .dir = ".",
	    .runconfig = cmd_value(cmd, "runconfig"),
	    .pull_missing = cmd_flag(cmd, "pull-missing"),
	    .require = cmd_list(cmd, "require"),
	};
}

int cmd_package_compose(struct cmd *cmd)
{
	struct cap_compose req;
	fill_compose(cmd, &req);
	req.image = cmd_arg(cmd, 0);
	req.size = cmd_value(cmd, "size");
	req.run = cmd_value(cmd, "run");
	req.format = cmd_value(cmd, "format");
	req.fs = cmd_value(cmd, "fs");
	req.env = cmd_list(cmd, "env");
	req.update = cmd_flag(cmd, "update");
	req.kernel = cmd_value(cmd, "kernel");
	req.output = cmd_value(cmd, "output");
	if (!req.image && !req.output)
		return cap_fail(cmd->cap, EINVAL, "capstan package compose needs image-name");
	return cap_compose(cmd->cap, &req);
}

int cmd_package_collect(struct cmd *cmd)
{
	struct cap_compose req;
	fill_compose(cmd, &req);
	return cap_collect(cmd->cap, &req);
}

int cmd_package_build(struct cmd *cmd)
{
	char *file;
	int result = cap_package_build(cmd->cap, cmd_arg(cmd, 0) ? cmd_arg(cmd, 0) : ".", &file);
	if (!result)
		cap_info(cmd->cap, "Package built: %s", file);
	free(file);
	return result;
}

int cmd_package_validate(struct cmd *cmd)
{
	return cap_package_validate(cmd->cap, cmd_arg(cmd, 0) ? cmd_arg(cmd, 0) : ".");
}

int cmd_package_test(struct cmd *cmd)
{
	return cap_package_test(cmd->cap, cmd_arg(cmd, 0) ? cmd_arg(cmd, 0) : ".",
	    cmd_flag(cmd, "pull-missing"), &cmd->status);
}

int cmd_package_list(struct cmd *cmd)
{
	static const char *const columns[] = {"Name", "Version", "Created", "Description"};
	struct strv names = {0};
	int result = cap_repo_packages(cmd->cap, &names);
	struct cmd_table *t = cmd_flag(cmd, "names") ? NULL : cmd_table_new(columns, 4);
	for (size_t i = 0; i < names.count; i++) {
		struct cap_package p;
		if (!t) {
			puts(names.items[i]);
		} else if (!cap_repo_package(cmd->cap, names.items[i], &p)) {
			cmd_table_row(
			    t, (const char *const[]){p.name, p.version, p.created, p.title});
			cap_package_free(&p);
		}
	}
	if (t)
		cmd_table_print(t, cmd->json);
	strv_free(&names);
	return result;
}

static int import_one(struct cmd *cmd, const char *path)
{
	struct cap_package p;
	int result = cap_repo_import(cmd->cap, path, &p);
	if (result)
		return result;
	cap_info(
	    cmd->cap, "Imported %s%s%s", p.name, p.version ? " " : "", p.version ? p.version : "");
	cap_package_free(&p);
	return 0;
}

int cmd_package_import(struct cmd *cmd)
{
	const char *path = cmd_arg(cmd, 0);
	char *file = NULL;
	int result = 0;
	/* A package directory (the default) is built first. */
	if (!path || path_is_dir(path)) {
		result = cap_package_build(cmd->cap, path ? path : ".", &file);
		path = file;
	}
	if (!result)
		result = import_one(cmd, path);
	free(file);
	return result;
}

int cmd_package_remove(struct cmd *cmd)
{
	int result = cap_repo_remove_package(cmd->cap, cmd_arg(cmd, 0));
	if (!result)
		cap_info(cmd->cap, "Removed %s", cmd_arg(cmd, 0));
	return result;
}

int cmd_package_describe(struct cmd *cmd)
{
	struct buf out = {0};
	int result = cap_package_describe(
	    cmd->cap, cmd_arg(cmd, 0), cmd_flag(cmd, "content"), cmd->json, &out);
	if (!result)
		fputs(out.data, stdout);
	buf_free(&out);
	return result;
}

int cmd_package_pull(struct cmd *cmd)
{
	char *name, *range;
	int result = 0;
	for (size_t i = 0; !result && i < cmd->args.count; i++) {
		result = cap_require_split(cmd->cap, cmd->args.items[i], &name, &range);
		if (!result)
			result = cap_hub_pull_package(cmd->cap, name, range);
		if (!result)
			cap_info(cmd->cap, "Package %s was imported", name);
		free(name);
		free(range);
	}
	return result;
}

int cmd_package_update(struct cmd *cmd)
{
	return path_exists("meta/package.yaml") ? cap_renew_requirements(cmd->cap, ".", &cmd->args)
						: cap_renew_packages(cmd->cap, &cmd->args);
}
