/* SPDX-License-Identifier: BSD-3-Clause */
/* meta/run.yaml: parsing, inheritance and boot commands. */
#include "runconf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmdline.h"
#include "manifest.h"
#include "yamldoc.h"

static void config_free(struct cap_config *cfg)
{
	free(cfg->name);
	free(cfg->base);
	free(cfg->bootcmd);
	free(cfg->main);
	free(cfg->xms);
	free(cfg->xmx);
	strv_free(&cfg->env);
	strv_free(&cfg->args);
	strv_free(&cfg->tool_args);
	strv_free(&cfg->classpath);
}

void cap_runconf_free(struct cap_runconf *rc)
{
	for (size_t i = 0; i < rc->count; i++)
		config_free(&rc->configs[i]);
	free(rc->configs);
	free(rc->default_name);
	*rc = (struct cap_runconf){0};
}

struct cap_config *cap_runconf_get(const struct cap_runconf *rc, const char *name)
{
	for (size_t i = 0; i < rc->count; i++)
		if (!strcmp(rc->configs[i].name, name))
			return &rc->configs[i];
	return NULL;
}

static int parse_env(
    struct cap *c, const char *where, const struct cap_yaml_node *set, struct cap_config *cfg)
{
	const struct cap_yaml_node *env = cap_yaml_get(set, "env");
	if (!env || cap_yaml_is_null(env))
		return 0;
	if (env->type != CAP_YAML_MAP)
		return cap_fail(c, EBADMSG, "%s:%d:%d: \"env\" takes NAME: VALUE lines", where,
		    env->line, env->column);
	for (size_t i = 0; i < env->count; i++) {
		const struct cap_yaml_node *key = env->keys[i], *value = env->items[i];
		if (value->type != CAP_YAML_SCALAR || !*key->text || strchr(key->text, '='))
			return cap_fail(c, EBADMSG,
			    "%s:%d:%d: \"%s\" is no environment variable with "
			    "a plain value",
			    where, key->line, key->column, key->text);
		strv_addf(&cfg->env, "%s=%s", key->text, value->text);
	}
	strv_sort(&cfg->env);
	return 0;
}

static int parse_config(struct cap *c, const char *where, const struct cap_runtime *rt,
    const struct cap_yaml_node *set, const char *name, struct cap_config *cfg)
{
	static const char *const tool_keys[] = {"node_args", "python_args", "vmargs", "jvm_args"};
	*cfg = (struct cap_config){.name = xstrdup(name), .runtime = rt, .line = set->line};
	if (set->type != CAP_YAML_MAP)
		return cap_fail(c, EBADMSG, "%s:%d:%d: the configuration \"%s\" has no settings",
		    where, set->line, set->column, name);
	int result = cap_yaml_string(c, where, set, "bootcmd", &cfg->bootcmd);
	if (!result)
		result = cap_yaml_string(c, where, set, "main", &cfg->main);
	if (!result)
		result = cap_yaml_string(c, where, set, "base", &cfg->base);
	if (!result)
		result = cap_yaml_string(c, where, set, "xms", &cfg->xms);
	if (!result)
		result = cap_yaml_string(c, where, set, "xmx", &cfg->xmx);
	if (!result)
		result = cap_yaml_strings(c, where, set, "args", &cfg->args);
	if (!result)
		result = cap_yaml_strings(c, where, set, "classpath", &cfg->classpath);
	for (size_t i = 0; !result && i < CAP_ARRAY_SIZE(tool_keys); i++)
		result = cap_yaml_strings(c, where, set, tool_keys[i], &cfg->tool_args);
	return result ? result : parse_env(c, where, set, cfg);
}

static int add_config(struct cap *c, const char *where, struct cap_runconf *rc,
    const struct cap_yaml_node *set, const char *name, const struct cap_yaml_node *at)
{
	if (!cap_name_valid(name))
		return cap_fail(c, EBADMSG, "%s:%d:%d: \"%s\" is no name for a configuration",
		    where, at->line, at->column, name);
	rc->configs = xrealloc(rc->configs, (rc->count + 1) * sizeof(*rc->configs));
	return parse_config(c, where, rc->runtime, set, name, &rc->configs[rc->count++]);
}

/* The settings of one set, and at the top level also runtime and the default. */
static void check_keys(struct cap *c, const char *where, const struct cap_runtime *rt,
    const struct cap_yaml_node *map, bool top)
{
	const char *known[32];
	size_t n = 0;
	if (top) {
		known[n++] = "runtime";
		known[n++] = "config_set";
		known[n++] = "config_set_default";
	}
	if (!top || !cap_yaml_get(map, "config_set"))
		for (const char *const *k = rt->keys; *k; k++)
			known[n++] = *k;
	known[n++] = "env";
	known[n++] = "base";
	known[n] = NULL;
	cap_yaml_check_keys(c, where, map, known);
}

/* Accepts keys with dashes for those with underscores, as older files have them. */
static void normalise_keys(struct cap_yaml_node *map)
{
	static const char *const keys[] = {"config-set", "config-set-default"};
	for (size_t i = 0; map->type == CAP_YAML_MAP && i < map->count; i++)
		for (size_t k = 0; k < CAP_ARRAY_SIZE(keys); k++)
			if (!strcmp(map->keys[i]->text, keys[k]))
				for (char *p = map->keys[i]->text; *p; p++)
					if (*p == '-')
						*p = '_';
}

/* A value such as "<filepath>" is what `runtime init` left for the user to fill in. */
static bool is_placeholder(const struct cap_yaml_node *n)
{
	size_t len = n->type == CAP_YAML_SCALAR && n->plain ? strlen(n->text) : 0;
	return len > 2 && n->text[0] == '<' && n->text[len - 1] == '>' &&
	       strspn(n->text + 1, "abcdefghijklmnopqrstuvwxyz") == len - 2;
}

static void remove_placeholders(struct cap_yaml_node *n)
{
	for (size_t i = 0; i < n->count;) {
		if (!is_placeholder(n->items[i])) {
			remove_placeholders(n->items[i++]);
			continue;
		}
		cap_yaml_free(n->items[i]);
		memmove(n->items + i, n->items + i + 1, (n->count - i - 1) * sizeof(*n->items));
		if (n->type == CAP_YAML_MAP) {
			cap_yaml_free(n->keys[i]);
			memmove(
			    n->keys + i, n->keys + i + 1, (n->count - i - 1) * sizeof(*n->keys));
		}
		n->count--;
	}
}

static int parse_sets(
    struct cap *c, const char *where, const struct cap_yaml_node *doc, struct cap_runconf *rc)
{
	const struct cap_yaml_node *sets = cap_yaml_get(doc, "config_set");
	int result = 0;
	if (!sets || cap_yaml_is_null(sets)) {
		bool any = false;
		for (const char *const *k = rc->runtime->keys; *k; k++)
			any |= cap_yaml_get(doc, *k) != NULL;
		if (any || cap_yaml_get(doc, "base"))
			result = add_config(c, where, rc, doc, "default", doc);
		return result;
	}
	if (sets->type != CAP_YAML_MAP)
		return cap_fail(c, EBADMSG, "%s:%d:%d: \"config_set\" takes named configurations",
		    where, sets->line, sets->column);
	for (size_t i = 0; !result && i < sets->count; i++) {
		check_keys(c, where, rc->runtime, sets->items[i], false);
		result =
		    add_config(c, where, rc, sets->items[i], sets->keys[i]->text, sets->keys[i]);
	}
	return result;
}

int cap_runconf_parse(
    struct cap *c, const char *where, const char *text, size_t len, struct cap_runconf *rc)
{
	struct cap_yaml_node *doc;
	char *runtime = NULL;
	*rc = (struct cap_runconf){0};
	int result = cap_yaml_parse(c, where, text, len, &doc);
	if (result)
		return result;
	if (!doc || doc->type != CAP_YAML_MAP) {
		cap_yaml_free(doc);
		return cap_fail(c, EBADMSG, "%s: expected \"runtime: NAME\" and settings", where);
	}
	normalise_keys(doc);
	remove_placeholders(doc);
	result = cap_yaml_string(c, where, doc, "runtime", &runtime);
	if (!result && !runtime)
		result =
		    cap_fail(c, EBADMSG, "%s: the required field \"runtime\" is missing", where);
	if (!result && !(rc->runtime = cap_runtime_find(c, runtime)))
		result = -EBADMSG;
	if (!result) {
		check_keys(c, where, rc->runtime, doc, true);
		result = parse_sets(c, where, doc, rc);
	}
	if (!result)
		result = cap_yaml_string(c, where, doc, "config_set_default", &rc->default_name);
	if (!result && rc->default_name && !cap_runconf_get(rc, rc->default_name))
		result = cap_fail(c, EBADMSG,
		    "%s: config_set_default names \"%s\", which is not defined", where,
		    rc->default_name);
	free(runtime);
	cap_yaml_free(doc);
	if (result)
		cap_runconf_free(rc);
	return result;
}

static char *config_names(const struct cap_runconf *rc)
{
	struct strv names = {0};
	for (size_t i = 0; i < rc->count; i++)
		strv_add(&names, rc->configs[i].name);
	char *list = strv_join(&names, ", ");
	strv_free(&names);
	return list;
}

struct cap_config *cap_runconf_choose(
    struct cap *c, const char *where, const struct cap_runconf *rc, const char *name, int *error)
{
	struct cap_config *cfg = NULL;
	*error = 0;
	if (!name)
		name = rc->default_name;
	if (name)
		cfg = cap_runconf_get(rc, name);
	else if (rc->count == 1)
		cfg = &rc->configs[0];
	if (cfg || (!name && !rc->count))
		return cfg;
	char *list = config_names(rc);
	if (name)
		*error = cap_fail(c, EBADMSG, "%s: there is no configuration \"%s\" (there is: %s)",
		    where, name, list);
	else
		*error = cap_fail(c, EBADMSG,
		    "%s: several configurations and no config_set_default; choose with "
		    "--runconfig: %s",
		    where, list);
	free(list);
	return NULL;
}

static void inherit_string(char **own, const char *base)
{
	if (!*own && base)
		*own = xstrdup(base);
}

static void inherit_list(struct strv *own, const struct strv *base)
{
	if (!own->count)
		strv_add_all(own, base);
}

void cap_config_inherit(struct cap_config *cfg, const struct cap_config *base)
{
	if (!cfg->bootcmd && !cfg->main)
		cfg->runtime = base->runtime;
	inherit_string(&cfg->bootcmd, base->bootcmd);
	inherit_string(&cfg->main, base->main);
	inherit_string(&cfg->xms, base->xms);
	inherit_string(&cfg->xmx, base->xmx);
	inherit_list(&cfg->args, &base->args);
	inherit_list(&cfg->tool_args, &base->tool_args);
	inherit_list(&cfg->classpath, &base->classpath);
	for (size_t i = 0; i < base->env.count; i++) {
		size_t n = strcspn(base->env.items[i], "=") + 1;
		bool own = false;
		for (size_t j = 0; j < cfg->env.count; j++)
			own |= !strncmp(cfg->env.items[j], base->env.items[i], n);
		if (!own)
			strv_add(&cfg->env, base->env.items[i]);
	}
	strv_sort(&cfg->env);
}

int cap_config_boot(struct cap *c, const char *where, const struct cap_config *cfg, struct buf *out)
{
	for (size_t i = 0; i < cfg->env.count; i++) {
		char *word = xasprintf("--env=%s", cfg->env.items[i]);
		cap_cmdline_add_template(out, word);
		free(word);
	}
	return cfg->runtime->boot(c, where, cfg, out);
}
