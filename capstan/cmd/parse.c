/* SPDX-License-Identifier: BSD-3-Clause */
/* Parsing command lines by the command table. */
#include "cmd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

char *cmd_opt_name(const struct cmd_opt *opt, size_t index)
{
	const char *p = opt->names;
	while (index-- && *p) {
		p += strcspn(p, ",");
		p += strspn(p, ", ");
	}
	return *p ? xstrndup(p, strcspn(p, ",")) : NULL;
}

static bool names_match(const struct cmd_opt *opt, const char *name, size_t len)
{
	for (const char *p = opt->names; *p; p += strspn(p, ", ")) {
		size_t n = strcspn(p, ",");
		if (n == len && !strncmp(p, name, n))
			return true;
		p += n;
	}
	return false;
}

static int find_opt(const struct cmd_opt *opts, const char *name, size_t len)
{
	for (int i = 0; opts && opts[i].names; i++)
		if (names_match(&opts[i], name, len))
			return i;
	return -1;
}

static int opt_index(const struct cmd *cmd, const char *name)
{
	int i = find_opt(cmd->spec->opts, name, strlen(name));
	if (i < 0)
		abort(); /* a function asks for an option its table entry does not have */
	return i;
}

const char *cmd_value(const struct cmd *cmd, const char *name)
{
	int i = opt_index(cmd, name);
	const struct strv *v = &cmd->values[i];
	return v->count ? v->items[v->count - 1] : cmd->spec->opts[i].fallback;
}

bool cmd_flag(const struct cmd *cmd, const char *name)
{
	return cmd->values[opt_index(cmd, name)].count;
}

const struct strv *cmd_list(const struct cmd *cmd, const char *name)
{
	return &cmd->values[opt_index(cmd, name)];
}

const char *cmd_arg(const struct cmd *cmd, size_t index)
{
	return index < cmd->args.count ? cmd->args.items[index] : NULL;
}

static bool path_matches(const char *path, char *const *argv, int argc, int *words)
{
	*words = 0;
	while (*path) {
		size_t n = strcspn(path, " ");
		if (*words >= argc || strlen(argv[*words]) != n || strncmp(argv[*words], path, n))
			return false;
		++*words;
		path += n + strspn(path + n, " ");
	}
	return true;
}

const struct cmd_spec *cmd_find(char *const *argv, int argc, int *used)
{
	const struct cmd_spec *best = NULL;
	*used = 0;
	for (const struct cmd_spec *s = cmd_table; s->path; s++) {
		int words;
		if (path_matches(s->path, argv, argc, &words) && words > *used) {
			best = s;
			*used = words;
		}
	}
	return best;
}

struct parser {
	struct cmd *cmd;
	const struct cmd_opt *opts;
	struct strv *values;
	char *const *argv;
	int argc, at;
	bool global;
};

static int unknown_option(struct parser *p, const char *word)
{
	const char *names[CMD_OPTS_MAX * 3 + 1];
	size_t n = 0;
	for (int i = 0; p->opts && p->opts[i].names; i++) {
		char *name;
		for (size_t j = 0; n < CMD_OPTS_MAX * 3 && (name = cmd_opt_name(&p->opts[i], j));
		     j++)
			names[n++] = name;
	}
	names[n] = NULL;
	char *bare = xstrndup(word + strspn(word, "-"), strcspn(word + strspn(word, "-"), "="));
	const char *near = strlen(bare) > 1 ? nearest_word(bare, names) : NULL;
	int result = cap_fail(p->cmd->cap, EINVAL, "unknown option %s%s%s%s", word,
	    near ? " (did you mean --" : "", near ? near : "", near ? "?)" : "");
	free(bare);
	while (n)
		free((char *)names[--n]);
	return result;
}

static int take_value(struct parser *p, int index, const char *shown, const char *inline_value)
{
	const struct cmd_opt *opt = &p->opts[index];
	struct strv *v = &p->values[index];
	const char *value = inline_value;
	if (!opt->value) {
		if (inline_value)
			return cap_fail(p->cmd->cap, EINVAL, "option %s takes no value", shown);
		strv_add(v, "1");
		return 0;
	}
	if (!value && p->at < p->argc)
		value = p->argv[p->at++];
	if (!value)
		return cap_fail(p->cmd->cap, EINVAL, "option %s needs a value", shown);
	strv_add(v, value);
	return 0;
}

static bool keeps_unknown(const struct parser *p)
{
	return !p->global && p->cmd->spec->flags & CMD_UNKNOWN_OPTS;
}

/* Leaves an option to the function, with the word after it as its value. */
static int keep_unknown(struct parser *p, const char *word, bool has_value)
{
	strv_add(&p->cmd->unknown, word);
	if (!has_value && p->at < p->argc && p->argv[p->at][0] != '-')
		strv_add(&p->cmd->unknown, p->argv[p->at++]);
	return 0;
}

static int long_option(struct parser *p, const char *word)
{
	const char *name = word + strspn(word, "-");
	size_t len = strcspn(name, "=");
	int index = find_opt(p->opts, name, len);
	if (index < 0 && keeps_unknown(p))
		return keep_unknown(p, word, name[len]);
	if (index < 0)
		return unknown_option(p, word);
	char *shown = xstrndup(word, name + len - word);
	int result = take_value(p, index, shown, name[len] ? name + len + 1 : NULL);
	free(shown);
	return result;
}

/* "-n value", "-nvalue" and bundled switches "-pv". */
static int short_options(struct parser *p, const char *word)
{
	for (const char *s = word + 1; *s; s++) {
		int index = find_opt(p->opts, s, 1);
		if (index < 0 && s == word + 1 && keeps_unknown(p))
			return keep_unknown(p, word, strchr(word, '='));
		if (index < 0)
			return unknown_option(p, word);
		char shown[3] = {'-', *s, 0};
		if (!p->opts[index].value) {
			strv_add(&p->values[index], "1");
			continue;
		}
		return take_value(p, index, shown, s[1] ? s + 1 + (s[1] == '=') : NULL);
	}
	return 0;
}

static int one_option(struct parser *p, const char *word)
{
	if (word[1] == '-')
		return long_option(p, word);
	return short_options(p, word);
}

int cmd_parse_global(struct cmd *cmd, char *const *argv, int argc)
{
	struct parser p = {.cmd = cmd,
	    .opts = cmd_global_opts,
	    .values = cmd->values,
	    .argv = argv,
	    .argc = argc,
	    .global = true};
	while (p.at < argc && argv[p.at][0] == '-' && argv[p.at][1]) {
		int result = one_option(&p, argv[p.at++]);
		if (result)
			return result;
	}
	return p.at;
}

static bool arguments_end_options(const struct cmd *cmd)
{
	return cmd->spec->flags & CMD_STOP_ALWAYS ||
	       (cmd->spec->flags & CMD_STOP_AT_ARGS && cmd_flag(cmd, "host"));
}

int cmd_parse(struct cmd *cmd, char *const *argv, int argc)
{
	const struct cmd_spec *spec = cmd->spec;
	struct parser p = {
	    .cmd = cmd, .opts = spec->opts, .values = cmd->values, .argv = argv, .argc = argc};
	bool literal = false;
	while (p.at < argc) {
		const char *word = argv[p.at++];
		int result = 0;
		if (!literal && !strcmp(word, "--")) {
			literal = true;
		} else if (!literal && word[0] == '-' && word[1]) {
			result = one_option(&p, word);
		} else {
			strv_add(&cmd->args, word);
			literal |= arguments_end_options(cmd);
		}
		if (result)
			return result;
	}
	for (int i = 0; spec->opts && spec->opts[i].names; i++)
		if (cmd->values[i].count > 1 && spec->opts[i].value &&
		    !(spec->opts[i].flags & OPT_REPEAT)) {
			char *name = cmd_opt_name(&spec->opts[i], 0);
			cap_warn(cmd->cap,
			    "option %s%s was given more than once; the last one counts",
			    name[1] ? "--" : "-", name);
			free(name);
		}
	int count = cmd->args.count;
	if (count < spec->min_args)
		return cap_fail(cmd->cap, EINVAL, "capstan %s needs %s", spec->path, spec->args);
	if (spec->max_args >= 0 && count > spec->max_args && !arguments_end_options(cmd))
		return cap_fail(cmd->cap, EINVAL, "capstan %s: unexpected argument \"%s\"",
		    spec->path, cmd->args.items[spec->max_args]);
	return 0;
}
