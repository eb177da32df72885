/* SPDX-License-Identifier: BSD-3-Clause */
/* Commands about images: images, rmi, info, import. */
#include "commands.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/export.h"
#include "../lib/image.h"
#include "../lib/repo.h"

int cmd_images(struct cmd *cmd)
{
	static const char *const columns[] = {"Name", "Description", "Version", "Created", "Size"};
	struct cap_image_info *list;
	size_t count;
	int result = cap_repo_images(cmd->cap, &list, &count);
	struct cmd_table *t = cmd_flag(cmd, "names") ? NULL : cmd_table_new(columns, 5);
	for (size_t i = 0; i < count; i++) {
		char size[32];
		if (t)
			cmd_table_row(t, (const char *const[]){list[i].name, list[i].description,
					     list[i].version, list[i].created,
					     format_size(list[i].bytes, size)});
		else
			puts(list[i].name);
	}
	if (t)
		cmd_table_print(t, cmd->json);
	cap_image_info_free(list, count);
	return result;
}

int cmd_rmi(struct cmd *cmd)
{
	int result = 0;
	for (size_t i = 0; !result && i < cmd->args.count; i++) {
		result = cap_repo_remove_image(cmd->cap, cmd->args.items[i]);
		if (!result)
			cap_info(cmd->cap, "Removed %s", cmd->args.items[i]);
	}
	return result;
}

int cmd_info(struct cmd *cmd)
{
	static const char *const columns[] = {"KEY", "VALUE"};
	struct cap_image img;
	char *path = cap_repo_image_file(cmd->cap, cmd_arg(cmd, 0));
	if (!path)
		return -ENOENT;
	int result = cap_image_open(cmd->cap, path, &img);
	if (!result) {
		char disk[32], root[32], kernel[32];
		struct cmd_table *t = cmd_table_new(columns, 2);
		cmd_table_row(t, (const char *const[]){"file", path});
		cmd_table_row(t, (const char *const[]){
				     "format", img.format == CAP_FORMAT_QCOW2 ? "qcow2" : "raw"});
		cmd_table_row(
		    t, (const char *const[]){"disk size", format_size(img.disk_bytes, disk)});
		cmd_table_row(t, (const char *const[]){"root file system", img.header.root_fstype});
		cmd_table_row(t,
		    (const char *const[]){"root size", format_size(img.header.root_bytes, root)});
		cmd_table_row(
		    t, (const char *const[]){"kernel",
			   img.header.kernel_bytes ? format_size(img.header.kernel_bytes, kernel)
						   : "none"});
		cmd_table_row(t, (const char *const[]){"boot command", img.cmdline});
		cmd_table_print(t, cmd->json);
		cap_image_close(&img);
	}
	free(path);
	return result;
}

int cmd_import(struct cmd *cmd)
{
	int result = cap_repo_import_image(cmd->cap, cmd_arg(cmd, 0), cmd_arg(cmd, 1),
	    cmd_value(cmd, "description"), cmd_value(cmd, "version"));
	if (!result)
		cap_info(cmd->cap, "Imported %s", cmd_arg(cmd, 0));
	return result;
}

int cmd_export(struct cmd *cmd)
{
	char *path = cap_repo_image_file(cmd->cap, cmd_arg(cmd, 0));
	if (!path)
		return -ENOENT;
	int result = cap_image_export(cmd->cap, path, cmd_value(cmd, "format"), cmd_arg(cmd, 1));
	if (!result)
		cap_info(cmd->cap, "Wrote %s", cmd_arg(cmd, 1));
	free(path);
	return result;
}
