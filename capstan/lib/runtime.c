/* SPDX-License-Identifier: BSD-3-Clause */
/* The runtimes: their settings, their templates, and the boot commands they make. */
#include "runconf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmdline.h"

static int missing(struct cap *c, const char *where, const struct cap_config *cfg, const char *key)
{
	return cap_fail(c, EBADMSG,
	    "%s: configuration \"%s\": the required field \"%s\" is missing", where, cfg->name,
	    key);
}

static void add_all(struct buf *out, const struct strv *words)
{
	for (size_t i = 0; i < words->count; i++)
		cap_cmdline_add_template(out, words->items[i]);
}

static int native_boot(
    struct cap *c, const char *where, const struct cap_config *cfg, struct buf *out)
{
	struct strv words = {0};
	if (!cfg->bootcmd)
		return missing(c, where, cfg, "bootcmd");
	int result = cap_cmdline_split(c, where, cfg->bootcmd, &words);
	if (!result && !words.count)
		result = missing(c, where, cfg, "bootcmd");
	strv_free(&words);
	if (!result)
		buf_printf(out, "%s%s", out->len ? " " : "", cfg->bootcmd);
	return result;
}

/* node and python: TOOL [tool arguments] MAIN [arguments] */
static int script_boot(struct cap *c, const char *where, const struct cap_config *cfg,
    struct buf *out, const char *tool)
{
	if (!cfg->main)
		return missing(c, where, cfg, "main");
	cap_cmdline_add_template(out, tool);
	add_all(out, &cfg->tool_args);
	cap_cmdline_add_template(out, cfg->main);
	add_all(out, &cfg->args);
	return 0;
}

static int node_boot(
    struct cap *c, const char *where, const struct cap_config *cfg, struct buf *out)
{
	return script_boot(c, where, cfg, out, "node");
}

static int python_boot(
    struct cap *c, const char *where, const struct cap_config *cfg, struct buf *out)
{
	return script_boot(c, where, cfg, out, "python3");
}

static int lua_boot(struct cap *c, const char *where, const struct cap_config *cfg, struct buf *out)
{
	return script_boot(c, where, cfg, out, "lua5.4");
}

static int perl_boot(
    struct cap *c, const char *where, const struct cap_config *cfg, struct buf *out)
{
	return script_boot(c, where, cfg, out, "perl");
}

static int java_boot(
    struct cap *c, const char *where, const struct cap_config *cfg, struct buf *out)
{
	if (!cfg->main)
		return missing(c, where, cfg, "main");
	cap_cmdline_add_template(out, "java");
	if (cfg->xms) {
		char *word = xasprintf("-Xms%s", cfg->xms);
		cap_cmdline_add_template(out, word);
		free(word);
	}
	if (cfg->xmx) {
		char *word = xasprintf("-Xmx%s", cfg->xmx);
		cap_cmdline_add_template(out, word);
		free(word);
	}
	add_all(out, &cfg->tool_args);
	if (cfg->classpath.count) {
		char *path = strv_join(&cfg->classpath, ":");
		cap_cmdline_add_template(out, "-cp");
		cap_cmdline_add_template(out, path);
		free(path);
	}
	if (has_suffix(cfg->main, ".jar"))
		cap_cmdline_add_template(out, "-jar");
	cap_cmdline_add_template(out, cfg->main);
	add_all(out, &cfg->args);
	return 0;
}

#define ENV_TEMPLATE                                                          \
	"# OPTIONAL\n"                                                        \
	"# Environment variables.\n"                                          \
	"# A map of environment variables to be set when unikernel is run.\n" \
	"# Example value: env:\n"                                             \
	"#                  PORT: 8000\n"                                     \
	"#                  HOSTNAME: www.myserver.org\n"                     \
	"env:\n"                                                              \
	"  <key>: <value>\n"
#define LIST_TEMPLATE(key, what)                 \
	"# OPTIONAL\n# " what "\n"               \
	"# Example value: " key ":\n"            \
	"#                  - first\n" key ":\n" \
	"  - <list>\n"

static const char *const native_keys[] = {"bootcmd", NULL};
static const char *const node_keys[] = {"main", "args", "node_args", NULL};
static const char *const python_keys[] = {"main", "args", "python_args", NULL};
static const char *const script_keys[] = {"main", "args", NULL};
static const char *const java_keys[] = {
    "main", "classpath", "args", "vmargs", "jvm_args", "xms", "xmx", NULL};

const struct cap_runtime cap_runtimes[] = {
    {"native", "Run arbitrary command inside Carrara", {NULL}, native_keys,
	"# REQUIRED\n"
	"# Command to be executed in the unikernel.\n"
	"# Note that package root will correspond to filesystem root (/) in the image.\n"
	"# Example value: /usr/bin/simpleFoam -help\n"
	"bootcmd: <command>\n" ENV_TEMPLATE,
	native_boot},
    {"node", "Run JavaScript NodeJS application", {"carrara.node"}, node_keys,
	"# REQUIRED\n"
	"# Filepath of the NodeJS entrypoint (where server is defined).\n"
	"# Note that package root will correspond to filesystem root (/) in the image.\n"
	"# Example value: /server.js\n"
	"main: <filepath>\n" LIST_TEMPLATE("args", "Command line arguments of the application.")
	    LIST_TEMPLATE("node_args", "Arguments for node itself.") ENV_TEMPLATE,
	node_boot},
    {"java", "Run Java application", {"carrara.java"}, java_keys,
	"# REQUIRED\n"
	"# Fully classified name of the main class, or path of a JAR file.\n"
	"# Example value: main.Hello\n"
	"main: <name>\n" LIST_TEMPLATE("classpath", "Where the classes are.")
	    LIST_TEMPLATE("args", "Command line arguments of the application.") LIST_TEMPLATE(
		"vmargs", "Arguments for the JVM.") "# OPTIONAL\n"
						    "# Initial and maximum heap size.\n"
						    "# Example value: 512m\n"
						    "xms: <size>\n"
						    "xmx: <size>\n" ENV_TEMPLATE,
	java_boot},
    {"python", "Run Python 3 application", {"carrara.python3"}, python_keys,
	"# REQUIRED\n"
	"# Filepath of the script to start.\n"
	"# Note that package root will correspond to filesystem root (/) in the image.\n"
	"# Example value: /server.py\n"
	"main: <filepath>\n" LIST_TEMPLATE("args", "Command line arguments of the application.")
	    LIST_TEMPLATE("python_args", "Arguments for python3 itself.") ENV_TEMPLATE,
	python_boot},
    {"perl", "Run Perl application", {"carrara.perl"}, script_keys,
	"# REQUIRED\n"
	"# Filepath of the script to start.\n"
	"# Example value: /server.pl\n"
	"main: <filepath>\n" LIST_TEMPLATE("args", "Command line arguments of the application.")
	    ENV_TEMPLATE,
	perl_boot},
    {"lua", "Run Lua application", {"carrara.lua"}, script_keys,
	"# REQUIRED\n"
	"# Filepath of the script to start.\n"
	"# Example value: /main.lua\n"
	"main: <filepath>\n" LIST_TEMPLATE("args", "Command line arguments of the application.")
	    ENV_TEMPLATE,
	lua_boot},
    {NULL},
};

const struct cap_runtime *cap_runtime_find(struct cap *c, const char *name)
{
	struct strv names = {0};
	for (const struct cap_runtime *rt = cap_runtimes; rt->name; rt++) {
		if (!strcmp(rt->name, name)) {
			strv_free(&names);
			return rt;
		}
		strv_add(&names, rt->name);
	}
	char *list = strv_join(&names, ", ");
	cap_fail(c, EBADMSG, "unknown runtime \"%s\" (there is: %s)", name, list);
	free(list);
	strv_free(&names);
	return NULL;
}

static void add_template(struct buf *out, const char *text, int indent, bool plain)
{
	while (*text) {
		size_t n = strcspn(text, "\n") + 1;
		if (!(plain && *text == '#'))
			buf_printf(out, "%*s%.*s", indent, "", (int)n, text);
		text += n;
	}
}

void cap_runtime_stub(const struct cap_runtime *rt, bool named, bool plain, struct buf *out)
{
	buf_printf(out, "runtime: %s\n", rt->name);
	if (!named) {
		buf_puts(out, plain ? "" : "\n");
		add_template(out, rt->template, 0, plain);
		return;
	}
	buf_puts(out, plain ? "config_set:\n" : "\nconfig_set:\n\n");
	add_template(out,
	    "#####\n### This is one configuration set (feel free to rename it). ###\n"
	    "#####\n",
	    2, plain);
	buf_puts(out, "  myconfig1:\n");
	add_template(out, rt->template, 4, plain);
	add_template(out, "# Add as many named configurations as you need\n", 2, plain);
	buf_puts(out, plain ? "" : "\n");
	add_template(out,
	    "# OPTIONAL\n# What config_set should be used as default.\n"
	    "# This value can be overwritten with --runconfig argument.\n",
	    0, plain);
	buf_puts(out, "config_set_default: myconfig1\n");
}
