/* SPDX-License-Identifier: BSD-3-Clause */
/* capstan run */
#include "commands.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../lib/run.h"
#include "../lib/watch.h"

static void fill_request(struct cmd *cmd, struct cap_run *r, struct strv *env)
{
	*r = (struct cap_run){
	    .hypervisor = cmd_value(cmd, "p"),
	    .image = cmd_value(cmd, "i"),
	    .memory = cmd_value(cmd, "memory"),
	    .cpus = cmd_value(cmd, "cpus"),
	    .net = cmd_value(cmd, "network"),
	    .net_device = cmd_value(cmd, "b"),
	    .forwards = cmd_list(cmd, "forward"),
	    .mac = cmd_value(cmd, "mac"),
	    .execute = cmd_value(cmd, "execute"),
	    .boot = cmd_value(cmd, "runconfig"),
	    .env = env,
	    .cwd = cmd_value(cmd, "cwd"),
	    .hostname = cmd_value(cmd, "hostname"),
	    .user = cmd_value(cmd, "user"),
	    .files = cmd_list(cmd, "file"),
	    .dirs = cmd_list(cmd, "dir"),
	    .no_auto_files = cmd_flag(cmd, "no-auto-files"),
	    .disks = cmd_list(cmd, "disk"),
	    .mounts = cmd_list(cmd, "mount"),
	    .machine = cmd_value(cmd, "machine"),
	    .kernel = cmd_value(cmd, "kernel"),
	    .kernel_args = cmd_list(cmd, "kernel-arg"),
	    .qemu_args = cmd_list(cmd, "qemu-arg"),
	    .loglevel = cmd_value(cmd, "loglevel"),
	    .strace = cmd_flag(cmd, "strace"),
	    .trace = cmd_list(cmd, "trace"),
	    .gdb = cmd_flag(cmd, "gdb"),
	    .verbose = cmd->verbose,
	    .options = &cmd->unknown,
	    .volumes = cmd_list(cmd, "volume"),
	    .persist = cmd_flag(cmd, "persist"),
	    .detach = cmd_flag(cmd, "detach"),
	    .argv = cmd->args.items,
	    .argc = cmd->args.count,
	};
}

/* Programs on a terminal ask for its type; give the guest the one it is really on. */
static void terminal_env(struct strv *env)
{
	const char *term = getenv("TERM");
	for (size_t i = 0; i < env->count; i++)
		if (has_prefix(env->items[i], "TERM="))
			return;
	if (term && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))
		strv_addf(env, "TERM=%s", term);
}

/* The monitoring service of the guest gets a port of this host. */
static int add_watch(struct cmd *cmd, struct cap_run *r, struct strv *forwards, char **url)
{
	unsigned port = cap_watch_free_port(cmd->cap);
	if (!port)
		return -EADDRINUSE;
	if (r->net && strcmp(r->net, "nat"))
		return cap_fail(cmd->cap, EINVAL,
		    "--watch forwards a port, which needs -n nat; on %s the guest's own address has port %d",
		    r->net, CAP_WATCH_PORT);
	if (r->forwards)
		strv_add_all(forwards, r->forwards);
	strv_addf(forwards, "127.0.0.1:%u:%d", port, CAP_WATCH_PORT);
	r->forwards = forwards;
	r->watch = *url = xasprintf("http://127.0.0.1:%u", port);
	cap_info(cmd->cap, "Dashboard: %s/", *url);
	return 0;
}

int cmd_run(struct cmd *cmd)
{
	struct cap_run r;
	struct strv env = {0};
	strv_add_all(&env, cmd_list(cmd, "env"));
	for (size_t i = 0; i < env.count; i++)
		if (!strchr(env.items[i], '=') || env.items[i][0] == '=') {
			int result = cap_fail(
			    cmd->cap, EINVAL, "--env takes NAME=VALUE, not \"%s\"", env.items[i]);
			strv_free(&env);
			return result;
		}
	bool names_image = cmd_value(cmd, "i") || cmd->args.count;
	if (cmd->unknown.count && (cmd_flag(cmd, "host") || !names_image)) {
		strv_free(&env);
		return cap_fail(cmd->cap, EINVAL, "unknown option %s", cmd->unknown.items[0]);
	}
	terminal_env(&env);
	fill_request(cmd, &r, &env);
	struct strv forwards = {0};
	char *url = NULL;
	int result = cmd_flag(cmd, "watch") ? add_watch(cmd, &r, &forwards, &url) : 0;
	if (!result)
		result = cmd_flag(cmd, "host") ? cap_run_host(cmd->cap, &r, &cmd->status)
					       : cap_run_image(cmd->cap, &r, &cmd->status);
	strv_free(&forwards);
	free(url);
	strv_free(&env);
	return result;
}
