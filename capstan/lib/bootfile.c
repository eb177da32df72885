/* SPDX-License-Identifier: BSD-3-Clause */
/* The description in an image. */
#include "bootfile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "yamldoc.h"

static void option_line(struct buf *out, const char *key, const char *value)
{
	if (!value)
		return;
	buf_printf(out, "    %s: ", key);
	cap_yaml_quote(out, value);
	buf_putc(out, '\n');
}

void cap_boot_format(const struct cap_content *content, struct buf *out)
{
	buf_add(out, "", 0);
	if (content->boot) {
		buf_puts(out, "default: ");
		cap_yaml_quote(out, content->boot);
		buf_putc(out, '\n');
	}
	for (size_t i = 0; i < content->boot_names.count; i++) {
		buf_printf(out, "%s  %s: ", i ? "" : "configs:\n", content->boot_names.items[i]);
		cap_yaml_quote(out, content->boot_commands.items[i]);
		buf_putc(out, '\n');
	}
	for (size_t i = 0; i < content->option_count; i++) {
		const struct cap_option *o = &content->options[i];
		buf_printf(out, "%s  %s:\n", i ? "" : "options:\n", o->variable);
		option_line(out, "name", o->name);
		option_line(out, "short", o->letter);
		option_line(out, "description", o->description);
		option_line(out, "default", o->fallback);
	}
}

static int read_configs(
    struct cap *c, const char *path, const struct cap_yaml_node *doc, struct cap_boot *b)
{
	const struct cap_yaml_node *configs = cap_yaml_get(doc, "configs"),
				   *options = cap_yaml_get(doc, "options");
	int result = cap_yaml_string(c, path, doc, "default", &b->fallback);
	for (size_t i = 0;
	     !result && configs && configs->type == CAP_YAML_MAP && i < configs->count; i++) {
		if (configs->items[i]->type != CAP_YAML_SCALAR)
			return cap_fail(c, EBADMSG, "%s: a configuration is no command", path);
		strv_add(&b->names, configs->keys[i]->text);
		strv_add(&b->commands, configs->items[i]->text);
	}
	return result || !options
		   ? result
		   : cap_options_from_yaml(c, path, options, &b->options, &b->option_count);
}

int cap_boot_parse(struct cap *c, const char *where, const char *text, struct cap_boot *b)
{
	struct cap_yaml_node *doc = NULL;
	*b = (struct cap_boot){0};
	int result = *text ? cap_yaml_parse(c, where, text, strlen(text), &doc) : 0;
	if (!result && doc && (result = read_configs(c, where, doc, b)))
		cap_boot_free(b);
	cap_yaml_free(doc);
	return result;
}

void cap_boot_free(struct cap_boot *b)
{
	free(b->fallback);
	strv_free(&b->names);
	strv_free(&b->commands);
	cap_options_free(b->options, b->option_count);
	*b = (struct cap_boot){0};
}

const char *cap_boot_command(const struct cap_boot *b, const char *name)
{
	for (size_t i = 0; i < b->names.count; i++)
		if (!strcmp(b->names.items[i], name))
			return b->commands.items[i];
	return NULL;
}

static const struct cap_option *find_option(const struct cap_boot *b, const char *word, size_t len)
{
	const char *name = word + strspn(word, "-");
	size_t n = len - (name - word);
	for (size_t i = 0; i < b->option_count; i++) {
		const struct cap_option *o = &b->options[i];
		if (strlen(o->name) == n && !strncmp(o->name, name, n))
			return o;
		if (o->letter && n == 1 && *o->letter == *name && word[1] != '-')
			return o;
	}
	return NULL;
}

static int unknown(struct cap *c, const struct cap_boot *b, const char *word)
{
	struct strv names = {0};
	for (size_t i = 0; i < b->option_count; i++)
		strv_addf(&names, "--%s (%s)", b->options[i].name,
		    b->options[i].description ? b->options[i].description : b->options[i].variable);
	char *list = strv_join(&names, ", ");
	int result = cap_fail(c, EINVAL, "unknown option %s%s%s", word,
	    names.count ? "; the image's own options are: " : "", list);
	free(list);
	strv_free(&names);
	return result;
}

int cap_boot_options(
    struct cap *c, const struct cap_boot *b, const struct strv *words, struct strv *env)
{
	struct strv given = {0};
	int result = 0;
	for (size_t i = 0; !result && words && i < words->count; i++) {
		const char *word = words->items[i], *value = strchr(word, '=');
		const struct cap_option *o =
		    find_option(b, word, value ? (size_t)(value - word) : strlen(word));
		if (!o)
			result = unknown(c, b, word);
		else if (value)
			value++;
		else if (i + 1 < words->count && words->items[i + 1][0] != '-')
			value = words->items[++i];
		else
			result = cap_fail(c, EINVAL, "option %s needs a value", word);
		if (!result)
			strv_addf(&given, "%s=%s", o->variable, value);
	}
	for (size_t i = 0; !result && i < b->option_count; i++)
		if (b->options[i].fallback)
			strv_addf(env, "%s=%s", b->options[i].variable, b->options[i].fallback);
	strv_add_all(env, &given);
	strv_free(&given);
	return result;
}
