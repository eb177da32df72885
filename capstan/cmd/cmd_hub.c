/* SPDX-License-Identifier: BSD-3-Clause */
/* Commands that talk to remote repositories, and the hub itself. */
#include "commands.h"

#include <errno.h>
#include <stdio.h>

#include "../lib/hub.h"

int cmd_package_search(struct cmd *cmd)
{
	static const char *const columns[] = {"Name", "Version", "Created", "Description"};
	struct cap_hub_entry *list;
	size_t count;
	int result = cap_hub_search(cmd->cap, cmd_arg(cmd, 0), &list, &count);
	if (result)
		return result;
	struct cmd_table *t = cmd_table_new(columns, 4);
	for (size_t i = 0; i < count; i++)
		cmd_table_row(t, (const char *const[]){list[i].name, list[i].version,
				     list[i].created, list[i].title});
	cmd_table_print(t, cmd->json);
	cap_hub_entries_free(list, count);
	return 0;
}

/* Packages and images in one table. */
int cmd_search(struct cmd *cmd)
{
	static const char *const columns[] = {"Name", "Kind", "Version", "Created", "Description"};
	struct {
		const char *kind;
		struct cap_hub_entry *list;
		size_t count;
	} found[] = {{"package", NULL, 0}, {"image", NULL, 0}};
	int result = cap_hub_search(cmd->cap, cmd_arg(cmd, 0), &found[0].list, &found[0].count);
	if (!result)
		result = cap_hub_search_images(
		    cmd->cap, cmd_arg(cmd, 0), &found[1].list, &found[1].count);
	struct cmd_table *t = result ? NULL : cmd_table_new(columns, 5);
	for (size_t k = 0; k < CAP_ARRAY_SIZE(found); k++) {
		for (size_t i = 0; t && i < found[k].count; i++) {
			const struct cap_hub_entry *e = &found[k].list[i];
			cmd_table_row(t, (const char *const[]){e->name, found[k].kind, e->version,
					     e->created, e->title});
		}
		cap_hub_entries_free(found[k].list, found[k].count);
	}
	if (t)
		cmd_table_print(t, cmd->json);
	return result;
}

int cmd_push(struct cmd *cmd)
{
	int result = 0;
	for (size_t i = 0; !result && i < cmd->args.count; i++)
		result = cap_hub_push_image(cmd->cap, cmd->args.items[i]);
	return result;
}

int cmd_package_push(struct cmd *cmd)
{
	int result = 0;
	for (size_t i = 0; !result && i < cmd->args.count; i++)
		result = cap_hub_push(cmd->cap, cmd->args.items[i]);
	return result;
}

int cmd_pull(struct cmd *cmd)
{
	int result = 0;
	for (size_t i = 0; !result && i < cmd->args.count; i++) {
		result = cap_hub_pull_image(cmd->cap, cmd->args.items[i]);
		if (!result)
			cap_info(cmd->cap, "Image %s was imported", cmd->args.items[i]);
	}
	return result;
}

int cmd_hub_serve(struct cmd *cmd)
{
	uint64_t port;
	if (!parse_uint(cmd_value(cmd, "port"), 65535, &port))
		return cap_fail(cmd->cap, EINVAL, "\"%s\" is not a port", cmd_value(cmd, "port"));
	struct cap_hub_server server = {
	    .dir = cmd_arg(cmd, 0),
	    .address = cmd_value(cmd, "address"),
	    .port = port,
	    .token = cmd_value(cmd, "token"),
	    .tls_cert = cmd_value(cmd, "tls-cert"),
	    .tls_key = cmd_value(cmd, "tls-key"),
	};
	return cap_hub_serve(cmd->cap, &server);
}
