/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Putting the content of an image together: required packages in order, then the application over
 * them, then a boot command file for each configuration.
 */
#include "compose.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmdline.h"
#include "hosttree.h"
#include "ignore.h"
#include "repo.h"

#define BASE_DEPTH 16

/* A run.yaml with the package it belongs to. */
struct source {
	const char *package;
	struct cap_runconf rc;
};

struct assembly {
	struct cap *c;
	const struct cap_compose *req;
	struct cap_content *content;
	struct source *sources; /* dependencies in order, then the application */
	size_t source_count;
	bool talk;
};

static bool skip_meta(void *arg, const char *relative, bool is_dir)
{
	(void)arg, (void)is_dir;
	return !strcmp(relative, "meta");
}

int cap_tree_runconf(
    struct cap *c, struct cap_tree *t, const char *who, struct cap_runconf *rc, bool *found)
{
	struct cap_node *n = cap_tree_lookup(t, "/meta/run.yaml");
	struct buf text = {0};
	*rc = (struct cap_runconf){0};
	*found = n && S_ISREG(n->mode) && n->size;
	if (!*found)
		return 0;
	char *where = xasprintf("%s: meta/run.yaml", who);
	int result = cap_node_read(c, n, CAP_MANIFEST_MAX, &text);
	if (!result)
		result = cap_runconf_parse(c, where, text.data, text.len, rc);
	buf_free(&text);
	free(where);
	return result;
}

static int add_source(struct assembly *a, struct cap_tree *t, const char *package)
{
	struct source s = {.package = package};
	bool found;
	int result = cap_tree_runconf(a->c, t, package, &s.rc, &found);
	if (result || !found)
		return result;
	a->sources = xrealloc(a->sources, (a->source_count + 1) * sizeof(s));
	a->sources[a->source_count++] = s;
	return 0;
}

static int read_options(struct assembly *a, struct cap_tree *t, const char *package)
{
	struct cap_node *n = cap_tree_lookup(t, "/meta/opts");
	struct buf text = {0};
	struct cap_option *list;
	size_t count;
	if (!n || !S_ISREG(n->mode))
		return 0;
	char *where = xasprintf("%s: meta/opts", package);
	int result = cap_node_read(a->c, n, CAP_MANIFEST_MAX, &text);
	if (!result)
		result = cap_options_parse(a->c, where, text.data, text.len, &list, &count);
	if (!result) {
		/* The application's options replace those of what it requires. */
		cap_options_free(a->content->options, a->content->option_count);
		a->content->options = list;
		a->content->option_count = count;
	}
	buf_free(&text);
	free(where);
	return result;
}

static int add_packages(struct assembly *a)
{
	struct cap_content *content = a->content;
	int result = 0;
	content->packs = xcalloc(content->deps.count, sizeof(*content->packs));
	for (size_t i = 0; i < content->deps.count; i++)
		content->packs[i].fd = -1;
	for (size_t i = 0; !result && i < content->deps.count; i++) {
		const char *name = content->deps.list[i].name;
		char *path = cap_repo_package_file(a->c, name);
		cap_detail(a->c, "adding package %s", name);
		result = cap_pack_open(a->c, path, &content->packs[i]);
		if (!result)
			result = cap_tree_merge(
			    a->c, &content->tree, &content->packs[i].tree, skip_meta, NULL);
		if (!result)
			result = add_source(a, &content->packs[i].tree, name);
		if (!result)
			result = read_options(a, &content->packs[i].tree, name);
		free(path);
	}
	return result;
}

/* The application itself: its directory without meta/ and ignored files. */
static int add_application(struct assembly *a, struct cap_tree *meta)
{
	struct cap_ignore ignore = {0};
	const char *name = a->content->package.name;
	cap_info(a->c, "Importing %s...", name);
	int result = cap_ignore_read(a->c, a->req->dir, &ignore);
	if (!result)
		result = cap_tree_add_host_dir(
		    a->c, &a->content->tree, a->req->dir, "/", cap_ignore_skip, &ignore);
	if (!result)
		result = add_source(a, meta, name);
	if (!result)
		result = read_options(a, meta, name);
	cap_ignore_free(&ignore);
	return result;
}

static struct cap_config *find_base(
    struct assembly *a, const char *reference, const char *where, int *error)
{
	const char *colon = strrchr(reference, ':');
	char *package = colon ? xstrndup(reference, colon - reference) : xstrdup(reference);
	struct cap_config *cfg = NULL;
	*error = 0;
	for (size_t i = 0; i < a->source_count && !cfg && !*error; i++) {
		if (strcmp(a->sources[i].package, package))
			continue;
		cfg = cap_runconf_choose(
		    a->c, package, &a->sources[i].rc, colon ? colon + 1 : NULL, error);
		if (!cfg && !*error)
			*error = cap_fail(
			    a->c, EBADMSG, "%s: package %s has no configurations", where, package);
	}
	if (!cfg && !*error)
		*error = cap_fail(a->c, EBADMSG,
		    "%s: \"base: %s\" names a package that is not required (or has no "
		    "meta/run.yaml)",
		    where, reference);
	free(package);
	return cfg;
}

static int inherit(struct assembly *a, const char *where, struct cap_config *cfg, int depth)
{
	int error;
	if (!cfg->base)
		return 0;
	if (depth > BASE_DEPTH)
		return cap_fail(a->c, EBADMSG,
		    "%s: \"base\" of configuration \"%s\" leads in a circle", where, cfg->name);
	struct cap_config *base = find_base(a, cfg->base, where, &error);
	if (!base)
		return error;
	if (base == cfg)
		return inherit(a, where, cfg, BASE_DEPTH + 1);
	error = inherit(a, where, base, depth + 1);
	if (!error)
		cap_config_inherit(cfg, base);
	return error;
}

/* Programs without a slash are looked up as a shell would in the image. */
static void locate_program(struct assembly *a, const char *where, char **word)
{
	static const char *const dirs[] = {
	    "/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin", "/"};
	if (strstr(*word, "${"))
		return;
	for (size_t i = 0; !strchr(*word, '/') && i < CAP_ARRAY_SIZE(dirs); i++) {
		char *path = path_join(dirs[i], *word);
		struct cap_node *n = cap_tree_resolve(&a->content->tree, path);
		if (n && S_ISREG(n->mode)) {
			free(*word);
			*word = path;
			return;
		}
		free(path);
	}
	if (strchr(*word, '/') && (*word)[0] == '/' && cap_tree_resolve(&a->content->tree, *word))
		return;
	cap_warn(a->c, "%s starts %s, which is not in the image", where, *word);
}

static int absolute_command(
    struct assembly *a, const char *where, const char *line, struct buf *out)
{
	struct strv words = {0};
	int result = cap_cmdline_split(a->c, where, line, &words);
	size_t program = cap_cmdline_program(&words);
	if (!result && program < words.count)
		locate_program(a, where, &words.items[program]);
	for (size_t i = 0; !result && i < words.count; i++)
		cap_cmdline_add_template(out, words.items[i]);
	strv_free(&words);
	return result;
}

/* Sets (or replaces) the command of a configuration name. */
static void set_command(struct cap_content *content, const char *name, const char *command)
{
	for (size_t i = 0; i < content->boot_names.count; i++)
		if (!strcmp(content->boot_names.items[i], name)) {
			free(content->boot_commands.items[i]);
			content->boot_commands.items[i] = xstrdup(command);
			return;
		}
	strv_add(&content->boot_names, name);
	strv_add(&content->boot_commands, command);
}

static const char *get_command(const struct cap_content *content, const char *name)
{
	for (size_t i = 0; i < content->boot_names.count; i++)
		if (!strcmp(content->boot_names.items[i], name))
			return content->boot_commands.items[i];
	return NULL;
}

/* Boot commands of every set; those of a required package may be incomplete templates. */
static int commands_of(struct assembly *a, struct source *s, bool own)
{
	char *where = xasprintf("%s: meta/run.yaml", s->package);
	int result = 0;
	for (size_t i = 0; !result && i < s->rc.count; i++) {
		struct cap_config *cfg = &s->rc.configs[i];
		struct buf line = {0};
		bool quiet = a->c->quiet_errors;
		a->c->quiet_errors = quiet || !own;
		int one = inherit(a, where, cfg, 0);
		if (!one)
			one = cap_config_boot(a->c, where, cfg, &line);
		a->c->quiet_errors = quiet;
		if (!one) {
			struct buf absolute = {0};
			char *what = xasprintf("configuration \"%s\"", cfg->name);
			one = absolute_command(a, what, line.data, &absolute);
			if (!one)
				set_command(a->content, cfg->name, absolute.data);
			free(what);
			buf_free(&absolute);
		} else if (!own) {
			cap_detail(a->c, "left out configuration %s of %s: %s", cfg->name,
			    s->package, a->c->last_error);
			one = 0;
		}
		result = one;
		buf_free(&line);
	}
	free(where);
	return result;
}

/* --run, then --runconfig, then config_set_default, then the only set; then what is inherited. */
static int choose_boot(struct assembly *a)
{
	struct cap_content *content = a->content;
	const struct cap_compose *req = a->req;
	const char *app = content->package.name;
	int error = 0;
	if (req->run) {
		struct buf line = {0};
		error = absolute_command(a, "--run", req->run, &line);
		content->boot = buf_take(&line);
		return error;
	}
	for (size_t i = a->source_count; i-- > 0;) {
		struct source *s = &a->sources[i];
		bool own = !strcmp(s->package, app);
		const char *wanted = req->runconfig;
		if (wanted && !cap_runconf_get(&s->rc, wanted) && i > 0)
			continue;
		struct cap_config *cfg =
		    cap_runconf_choose(a->c, s->package, &s->rc, wanted, &error);
		if (error && own)
			return error;
		if (!cfg || !get_command(content, cfg->name))
			continue;
		if (a->talk) {
			cap_info(a->c, "Using named configuration: '%s'", cfg->name);
		}
		content->boot_name = xstrdup(cfg->name);
		content->boot = xstrdup(get_command(content, cfg->name));
		return 0;
	}
	if (req->runconfig)
		return cap_fail(a->c, EBADMSG, "there is no configuration \"%s\"", req->runconfig);
	return 0;
}

static int write_commands(struct assembly *a)
{
	struct cap_content *content = a->content;
	int result = 0;
	if (content->boot)
		set_command(content, "default", content->boot);
	for (size_t i = 0; !result && i < content->boot_names.count; i++) {
		char *path = xasprintf("/run/%s", content->boot_names.items[i]);
		char *text = xasprintf("%s\n", content->boot_commands.items[i]);
		result = cap_tree_add_mem(a->c, &content->tree, path, 0644, text, strlen(text));
		free(path);
		free(text);
	}
	return result;
}

static void prepend_env(struct assembly *a)
{
	struct buf line = {0};
	for (size_t i = 0; a->req->env && i < a->req->env->count; i++) {
		char *word = xasprintf("--env=%s", a->req->env->items[i]);
		cap_cmdline_add_template(&line, word);
		free(word);
	}
	if (!line.len || !a->content->boot)
		return;
	buf_printf(&line, " %s", a->content->boot);
	free(a->content->boot);
	a->content->boot = buf_take(&line);
}

/* The runtime's own dependencies come first, then --require, then the manifest's. */
static int resolve(struct assembly *a, const struct cap_runtime *rt)
{
	struct strv require = {0}, runtime = {0};
	for (size_t i = 0; rt && i < CAP_ARRAY_SIZE(rt->dependencies) && rt->dependencies[i]; i++)
		strv_add(&runtime, rt->dependencies[i]);
	if (runtime.count && a->talk) {
		char *list = strv_join(&runtime, " ");
		cap_info(
		    a->c, "Prepending '%s' runtime dependencies to dep list: [%s]", rt->name, list);
		free(list);
	}
	strv_add_all(&require, &runtime);
	if (a->req->require)
		strv_add_all(&require, a->req->require);
	strv_add_all(&require, &a->content->package.require);
	struct cap_deps_request rq = {.who = a->content->package.name,
	    .require = &require,
	    .dir = a->req->dir ? a->req->dir : ".",
	    .pull_missing = a->req->pull_missing,
	    .renew = a->req->renew,
	    .renew_names = a->req->renew_names};
	int result = cap_deps_resolve(a->c, &rq, &a->content->deps);
	strv_free(&require);
	strv_free(&runtime);
	return result;
}

static int assemble(struct assembly *a)
{
	struct cap_content *content = a->content;
	const struct cap_compose *req = a->req;
	struct cap_tree meta; /* the application's meta/ alone */
	struct cap_runconf rc = {0};
	bool found = false;
	int result = cap_package_read(a->c, req->dir, &content->package);
	if (result)
		return result;
	char *meta_dir = path_join(req->dir, "meta");
	cap_tree_init(&meta);
	result = cap_tree_add_host_dir(a->c, &meta, meta_dir, "/meta", NULL, NULL);
	if (!result)
		result = cap_tree_runconf(a->c, &meta, content->package.name, &rc, &found);
	if (!result && found && a->talk)
		cap_info(a->c, "Resolved runtime into: %s", rc.runtime->name);
	if (!result)
		result = resolve(a, found ? rc.runtime : NULL);
	if (!result)
		result = add_packages(a);
	if (!result)
		result = add_application(a, &meta);
	for (size_t i = 0; !result && i < a->source_count; i++)
		result = commands_of(
		    a, &a->sources[i], !strcmp(a->sources[i].package, content->package.name));
	if (!result)
		result = choose_boot(a);
	if (!result)
		result = cap_tree_add_base(a->c, &content->tree);
	if (!result)
		result = write_commands(a);
	if (!result)
		prepend_env(a);
	cap_runconf_free(&rc);
	cap_tree_free(&meta);
	free(meta_dir);
	return result;
}

int cap_assemble(
    struct cap *c, const struct cap_compose *req, bool talk, struct cap_content *content)
{
	struct assembly a = {.c = c, .req = req, .content = content, .talk = talk};
	*content = (struct cap_content){0};
	cap_tree_init(&content->tree);
	int result = assemble(&a);
	for (size_t i = 0; i < a.source_count; i++)
		cap_runconf_free(&a.sources[i].rc);
	free(a.sources);
	if (result)
		cap_content_free(content);
	return result;
}

void cap_content_free(struct cap_content *content)
{
	cap_tree_free(&content->tree);
	for (size_t i = 0; content->packs && i < content->deps.count; i++)
		cap_pack_close(&content->packs[i]);
	free(content->packs);
	cap_deps_free(&content->deps);
	cap_package_free(&content->package);
	strv_free(&content->boot_names);
	strv_free(&content->boot_commands);
	free(content->boot);
	free(content->boot_name);
	cap_options_free(content->options, content->option_count);
	*content = (struct cap_content){0};
}
