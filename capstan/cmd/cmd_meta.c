/* SPDX-License-Identifier: BSD-3-Clause */
/* Commands about capstan itself: completion, manual pages. */
#include "commands.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int cmd_do_completion(struct cmd *cmd)
{
	struct buf out = {0};
	if (cmd_completion(&out, cmd_arg(cmd, 0)))
		return cap_fail(cmd->cap, EINVAL, "no completion for \"%s\" (bash, zsh or fish)",
		    cmd_arg(cmd, 0));
	fputs(out.data, stdout);
	buf_free(&out);
	return 0;
}

static int man_page(struct cmd *cmd, const struct cmd_spec *spec, const char *dir)
{
	struct buf out = {0};
	cmd_man(&out, spec);
	if (!dir) {
		fputs(out.data, stdout);
		buf_free(&out);
		return 0;
	}
	char *path = xasprintf("%s/capstan%s%s.1", dir, spec ? "-" : "", spec ? spec->path : "");
	for (char *p = path + strlen(dir); *p; p++)
		if (*p == ' ')
			*p = '-';
	int result = file_write_atomic(path, out.data, out.len, 0644);
	if (result)
		cap_fail(cmd->cap, -result, "cannot write %s: %s", path, strerror(-result));
	free(path);
	buf_free(&out);
	return result;
}

int cmd_do_man(struct cmd *cmd)
{
	const char *dir = cmd_arg(cmd, 0);
	int result = dir ? mkdir_all(dir, 0755) : 0;
	if (result)
		return cap_fail(cmd->cap, -result, "cannot create %s: %s", dir, strerror(-result));
	result = man_page(cmd, NULL, dir);
	for (const struct cmd_spec *s = cmd_table; dir && !result && s->path; s++)
		if (!(s->flags & CMD_HIDDEN))
			result = man_page(cmd, s, dir);
	return result;
}
