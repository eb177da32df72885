/* SPDX-License-Identifier: BSD-3-Clause */
/* Commands about instances and volumes. */
#include "commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../lib/instance.h"
#include "../lib/volume.h"

int cmd_instances(struct cmd *cmd)
{
	static const char *const columns[] = {
	    "Name", "Platform", "Status", "Image", "Started", "Outcome"};
	struct cap_instance *list;
	size_t count;
	int result = cap_instance_list(cmd->cap, &list, &count);
	struct cmd_table *t = cmd_flag(cmd, "names") ? NULL : cmd_table_new(columns, 6);
	for (size_t i = 0; i < count; i++)
		if (t)
			cmd_table_row(
			    t, (const char *const[]){list[i].name, "qemu",
				   list[i].running ? "Running" : "Stopped", list[i].image,
				   list[i].started, list[i].running ? "" : list[i].outcome});
		else
			puts(list[i].name);
	if (t)
		cmd_table_print(t, cmd->json);
	cap_instance_list_free(list, count);
	return result;
}

int cmd_stop(struct cmd *cmd)
{
	int result = 0;
	for (size_t i = 0; !result && i < cmd->args.count; i++) {
		result = cap_instance_stop(cmd->cap, cmd->args.items[i], cmd_flag(cmd, "force"));
		if (!result)
			cap_info(cmd->cap, "Stopped instance: %s", cmd->args.items[i]);
	}
	return result;
}

int cmd_delete(struct cmd *cmd)
{
	int result = 0;
	for (size_t i = 0; !result && i < cmd->args.count; i++) {
		result = cap_instance_delete(cmd->cap, cmd->args.items[i]);
		if (!result)
			cap_info(cmd->cap, "Deleted instance: %s", cmd->args.items[i]);
	}
	return result;
}

int cmd_logs(struct cmd *cmd)
{
	return cap_instance_logs(cmd->cap, cmd_arg(cmd, 0), cmd_flag(cmd, "follow"), STDOUT_FILENO);
}

int cmd_volume_create(struct cmd *cmd)
{
	int result = cap_volume_create(
	    cmd->cap, cmd_arg(cmd, 0), cmd_value(cmd, "size"), cmd_value(cmd, "format"));
	if (!result)
		cap_info(cmd->cap, "Created volume: %s", cmd_arg(cmd, 0));
	return result;
}

int cmd_volume_delete(struct cmd *cmd)
{
	int result = 0;
	for (size_t i = 0; !result && i < cmd->args.count; i++) {
		result = cap_volume_delete(cmd->cap, cmd->args.items[i]);
		if (!result)
			cap_info(cmd->cap, "Deleted volume: %s", cmd->args.items[i]);
	}
	return result;
}

int cmd_volume_list(struct cmd *cmd)
{
	static const char *const columns[] = {"Name", "Size", "Format", "Used"};
	struct cap_volume *list;
	size_t count;
	int result = cap_volume_list(cmd->cap, &list, &count);
	struct cmd_table *t = cmd_flag(cmd, "names") ? NULL : cmd_table_new(columns, 4);
	for (size_t i = 0; i < count; i++) {
		char size[32];
		if (t)
			cmd_table_row(
			    t, (const char *const[]){list[i].name, format_size(list[i].bytes, size),
				   list[i].format, list[i].in_use ? "yes" : "no"});
		else
			puts(list[i].name);
	}
	if (t)
		cmd_table_print(t, cmd->json);
	cap_volume_list_free(list, count);
	return result;
}
