/* SPDX-License-Identifier: BSD-3-Clause */
/* capstan package from-deb, from-host */
#include "commands.h"

#include <stdlib.h>
#include <string.h>

#include "../lib/deb.h"
#include "../lib/oci.h"

static struct cap_made made_options(struct cmd *cmd)
{
	return (struct cap_made){
	    .name = cmd_value(cmd, "name"),
	    .title = cmd_value(cmd, "title"),
	    .author = cmd_value(cmd, "author"),
	    .version = cmd_value(cmd, "version"),
	    .bootcmd = cmd_value(cmd, "run"),
	    .files = cmd_list(cmd, "file"),
	    .dirs = cmd_list(cmd, "dir"),
	    .links = cmd_list(cmd, "link"),
	    .require = cmd_list(cmd, "require"),
	    .output = cmd_value(cmd, "output"),
	};
}

int cmd_package_from_deb(struct cmd *cmd)
{
	struct cap_made made = made_options(cmd);
	return cap_package_from_deb(cmd->cap, &cmd->args, &made);
}

int cmd_package_from_host(struct cmd *cmd)
{
	struct cap_made made = made_options(cmd);
	return cap_package_from_host(cmd->cap, &cmd->args, &made);
}

int cmd_package_from_oci(struct cmd *cmd)
{
	struct cap_made made = made_options(cmd);
	const char *arg = cmd_arg(cmd, 0), *colon = path_is_dir(arg) ? NULL : strrchr(arg, ':');
	char *layout = colon ? xstrndup(arg, colon - arg) : xstrdup(arg);
	int result = cap_package_from_oci(cmd->cap, layout, colon ? colon + 1 : NULL, &made);
	free(layout);
	return result;
}

int cmd_package_export_oci(struct cmd *cmd)
{
	struct cap_compose req = {
	    .dir = ".",
	    .runconfig = cmd_value(cmd, "runconfig"),
	    .pull_missing = cmd_flag(cmd, "pull-missing"),
	    .require = cmd_list(cmd, "require"),
	};
	return cap_package_to_oci(cmd->cap, &req, cmd_arg(cmd, 0));
}
