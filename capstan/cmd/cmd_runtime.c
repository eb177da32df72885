/* SPDX-License-Identifier: BSD-3-Clause */
/* capstan runtime … and capstan config … */
#include "commands.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "../lib/runconf.h"

int cmd_runtime_list(struct cmd *cmd)
{
	static const char *const columns[] = {"RUNTIME", "DESCRIPTION", "DEPENDENCIES"};
	struct cmd_table *t = cmd_flag(cmd, "names") ? NULL : cmd_table_new(columns, 3);
	for (const struct cap_runtime *rt = cap_runtimes; rt->name; rt++) {
		struct buf deps = {0};
		buf_putc(&deps, '[');
		for (size_t i = 0; i < CAP_ARRAY_SIZE(rt->dependencies) && rt->dependencies[i]; i++)
			buf_printf(&deps, "%s%s", i ? " " : "", rt->dependencies[i]);
		buf_putc(&deps, ']');
		if (t)
			cmd_table_row(
			    t, (const char *const[]){rt->name, rt->description, deps.data});
		else
			puts(rt->name);
		buf_free(&deps);
	}
	if (t)
		cmd_table_print(t, cmd->json);
	return 0;
}

static const struct cap_runtime *chosen(struct cmd *cmd)
{
	const char *name = cmd_value(cmd, "runtime");
	if (name)
		return cap_runtime_find(cmd->cap, name);
	cap_fail(cmd->cap, EINVAL, "which runtime? Give --runtime NAME (`capstan runtime list`)");
	return NULL;
}

int cmd_runtime_preview(struct cmd *cmd)
{
	const struct cap_runtime *rt = chosen(cmd);
	struct buf out = {0};
	if (!rt)
		return -EINVAL;
	cap_runtime_stub(rt, false, cmd_flag(cmd, "plain"), &out);
	printf("----- meta/run.yaml -----\n%s-----\n", out.data);
	buf_free(&out);
	return 0;
}

int cmd_runtime_init(struct cmd *cmd)
{
	const struct cap_runtime *rt = chosen(cmd);
	struct buf out = {0};
	if (!rt)
		return -EINVAL;
	if (path_exists("meta/run.yaml") && !cmd_flag(cmd, "force"))
		return cap_fail(
		    cmd->cap, EEXIST, "meta/run.yaml exists already; --force replaces it");
	cap_runtime_stub(rt, true, cmd_flag(cmd, "plain"), &out);
	int result = mkdir_all("meta", 0755);
	if (!result)
		result = file_write_atomic("meta/run.yaml", out.data, out.len, 0644);
	if (result)
		cap_fail(cmd->cap, -result, "cannot write meta/run.yaml: %s", strerror(-result));
	else
		cap_info(cmd->cap, "meta/run.yaml stub successfully added to your package. Please "
				   "customize it in editor.");
	buf_free(&out);
	return result;
}

int cmd_config_print(struct cmd *cmd)
{
	static const char *const columns[] = {"KEY", "VALUE", "FROM"};
	const struct cap *c = cmd->cap;
	struct cmd_table *t = cmd_table_new(columns, 3);
	bool kvm = !strcmp(c->kvm.value, "true");
	cmd_table_row(t, (const char *const[]){"root", c->root, ""});
	cmd_table_row(t, (const char *const[]){"repo_url", c->repo_url.value, c->repo_url.origin});
	cmd_table_row(
	    t, (const char *const[]){"disable_kvm", kvm ? "false" : "true", c->kvm.origin});
	cmd_table_row(t, (const char *const[]){"qemu_aio_type", c->aio.value, c->aio.origin});
	cmd_table_row(t, (const char *const[]){"hub_key", c->hub_key.value, c->hub_key.origin});
	cmd_table_row(t, (const char *const[]){
			     "hub_token", c->hub_token.value ? "(set)" : "", c->hub_token.origin});
	cmd_table_print(t, cmd->json);
	return 0;
}
