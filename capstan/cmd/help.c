/* SPDX-License-Identifier: BSD-3-Clause */
/* --help, manual pages and shell completions, all made from the command table. */
#include "cmd.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HELP_WIDTH 100

/* "--name value, -n value" */
static char *opt_label(const struct cmd_opt *opt)
{
	struct buf b = {0};
	char *name;
	for (size_t i = 0; (name = cmd_opt_name(opt, i)); i++) {
		buf_printf(&b, "%s%s%s%s%s", i ? ", " : "", name[1] ? "--" : "-", name,
		    opt->value ? " " : "", opt->value ? opt->value : "");
		free(name);
	}
	return buf_take(&b);
}

static void wrapped(struct buf *out, const char *text, size_t column, size_t indent)
{
	bool first = true;
	while (*(text += strspn(text, " "))) {
		size_t n = strcspn(text, " ");
		if (!first && column + 1 + n > HELP_WIDTH) {
			buf_printf(out, "\n%*s", (int)indent, "");
			column = indent;
		} else if (!first) {
			buf_putc(out, ' ');
			column++;
		}
		buf_add(out, text, n);
		text += n;
		column += n;
		first = false;
	}
	buf_putc(out, '\n');
}

static void help_options(struct buf *out, const struct cmd_opt *opts)
{
	size_t width = 0;
	for (const struct cmd_opt *o = opts; o && o->names; o++) {
		char *label = opt_label(o);
		if (!(o->flags & OPT_HIDDEN))
			width = cap_max(width, cap_min(strlen(label), (size_t)30));
		free(label);
	}
	for (const struct cmd_opt *o = opts; o && o->names; o++) {
		if (o->flags & OPT_HIDDEN)
			continue;
		char *label = opt_label(o);
		char *text = o->fallback ? xasprintf("%s (default: %s)", o->help, o->fallback)
					 : xstrdup(o->help);
		buf_printf(out, "   %-*s  ", (int)width, label);
		if (strlen(label) > width)
			buf_printf(out, "\n%*s", (int)width + 5, "");
		wrapped(out, text, width + 5, width + 5);
		free(text);
		free(label);
	}
}

static bool is_child(const struct cmd_spec *s, const char *path)
{
	size_t n = strlen(path);
	if (s->flags & CMD_HIDDEN || (n && (strncmp(s->path, path, n) || s->path[n] != ' ')))
		return false;
	const char *rest = s->path + n + (n ? 1 : 0);
	return *rest && !strchr(rest, ' ');
}

static void help_group(struct buf *out, const char *path, const char *summary)
{
	buf_printf(out, "NAME:\n   capstan%s%s - %s\n\nUSAGE:\n   capstan %s%s%s\n\nCOMMANDS:\n",
	    *path ? " " : "", path, summary, *path ? path : "[global options]", *path ? "" : "",
	    " command [command options] [arguments...]");
	for (const struct cmd_spec *s = cmd_table; s->path; s++)
		if (is_child(s, path)) {
			const char *name = strrchr(s->path, ' ');
			buf_printf(out, "   %-12s  %s\n", name ? name + 1 : s->path, s->summary);
		}
	if (*path)
		return;
	buf_puts(out, "\nGLOBAL OPTIONS:\n");
	help_options(out, cmd_global_opts);
	buf_puts(out,
	    "\nEXIT STATUS:\n   0 success, 64 wrong usage, 65 wrong data, 1 other failures; "
	    "capstan run: the program's own\n");
}

void cmd_help(struct buf *out, const char *path)
{
	if (!*path) {
		help_group(out, path, "package, compose, run and share applications for Carrara");
		return;
	}
	for (const struct cmd_spec *s = cmd_table; s->path; s++) {
		if (strcmp(s->path, path))
			continue;
		if (!s->fn) {
			help_group(out, path, s->summary);
			return;
		}
		buf_printf(out, "NAME:\n   capstan %s - %s\n\nUSAGE:\n   capstan %s%s%s%s\n",
		    s->path, s->summary, s->path, s->opts ? " [command options]" : "",
		    s->args ? " " : "", s->args ? s->args : "");
		if (s->description) {
			buf_puts(out, "\nDESCRIPTION:\n   ");
			wrapped(out, s->description, 3, 3);
		}
		if (s->opts) {
			buf_puts(out, "\nOPTIONS:\n");
			help_options(out, s->opts);
		}
	}
}

/* Text for man(7): a backslash and a leading dot mean something there. */
static void man_text(struct buf *out, const char *text)
{
	if (*text == '.' || *text == '\'')
		buf_puts(out, "\\&");
	for (; *text; text++) {
		if (*text == '\\')
			buf_puts(out, "\\e");
		else if (*text == '-')
			buf_puts(out, "\\-");
		else
			buf_putc(out, *text);
	}
	buf_putc(out, '\n');
}

static void man_options(struct buf *out, const struct cmd_opt *opts)
{
	for (const struct cmd_opt *o = opts; o && o->names; o++) {
		if (o->flags & OPT_HIDDEN)
			continue;
		char *label = opt_label(o);
		buf_puts(out, ".TP\n.B ");
		man_text(out, label);
		man_text(out, o->help);
		if (o->fallback) {
			char *text = xasprintf("Default: %s.", o->fallback);
			man_text(out, text);
			free(text);
		}
		free(label);
	}
}

void cmd_man(struct buf *out, const struct cmd_spec *spec)
{
	const char *path = spec ? spec->path : "";
	char *name = xasprintf("capstan%s%s", *path ? "-" : "", path);
	for (char *p = name; *p; p++)
		if (*p == ' ')
			*p = '-';
	buf_puts(out, ".TH ");
	for (const char *p = name; *p; p++)
		buf_putc(out, toupper((unsigned char)*p));
	buf_puts(out, " 1 \"\" Carrara \"Capstan manual\"\n.SH NAME\n");
	char *line = xasprintf("%s \\- ", name);
	buf_puts(out, line);
	free(line);
	man_text(
	    out, spec ? spec->summary : "package, compose, run and share applications for Carrara");
	buf_puts(out, ".SH SYNOPSIS\n.B ");
	char *usage = xasprintf("capstan %s%s%s%s", spec ? path : "[global options] command",
	    spec && spec->opts ? " [options]" : "", spec && spec->args ? " " : "",
	    spec && spec->args ? spec->args : "");
	man_text(out, usage);
	free(usage);
	free(name);
	if (spec && spec->description) {
		buf_puts(out, ".SH DESCRIPTION\n");
		man_text(out, spec->description);
	}
	if (!spec || !spec->fn) {
		buf_puts(out, ".SH COMMANDS\n");
		for (const struct cmd_spec *s = cmd_table; s->path; s++)
			if (is_child(s, path)) {
				buf_puts(out, ".TP\n.B ");
				man_text(out, s->path);
				man_text(out, s->summary);
			}
	}
	if (spec && spec->opts) {
		buf_puts(out, ".SH OPTIONS\n");
		man_options(out, spec->opts);
	}
	if (!spec) {
		buf_puts(out, ".SH GLOBAL OPTIONS\n");
		man_options(out, cmd_global_opts);
	}
	buf_puts(out,
	    ".SH EXIT STATUS\n0 on success, 64 for wrong usage, 65 for wrong data, 1 for other "
	    "failures.\n.B capstan run\nends with the program's own exit status.\n");
}

static void complete_words(struct buf *out, const char *path)
{
	for (const struct cmd_spec *s = cmd_table; s->path; s++)
		if (is_child(s, path)) {
			const char *name = strrchr(s->path, ' ');
			buf_printf(out, "%s ", name ? name + 1 : s->path);
		}
}

static void complete_opts(struct buf *out, const struct cmd_opt *opts)
{
	for (const struct cmd_opt *o = opts; o && o->names; o++) {
		char *name;
		for (size_t i = 0; (name = cmd_opt_name(o, i)); i++) {
			if (!(o->flags & OPT_HIDDEN))
				buf_printf(out, "%s%s ", name[1] ? "--" : "-", name);
			free(name);
		}
	}
}

static const char *kind_command(enum cmd_kind kind)
{
	switch (kind) {
	case KIND_IMAGE:
		return "capstan images --names";
	case KIND_INSTANCE:
		return "capstan instances --names";
	case KIND_PACKAGE:
		return "capstan package list --names";
	case KIND_VOLUME:
		return "capstan volume list --names";
	case KIND_RUNTIME:
		return "capstan runtime list --names";
	default:
		return NULL;
	}
}

/* bash and zsh (through bashcompinit) share one function: the longest command path decides. */
static void bash_completion(struct buf *out)
{
	buf_puts(out, "_capstan() {\n\tlocal cur=${COMP_WORDS[COMP_CWORD]} path= w i words= list=\n"
		      "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n\t\tw=${COMP_WORDS[i]}\n"
		      "\t\tcase \"$path $w\" in\n");
	for (const struct cmd_spec *s = cmd_table; s->path; s++)
		buf_printf(out, "\t\t\" %s\") path=\" %s\" ;;\n", s->path, s->path);
	buf_puts(out, "\t\tesac\n\tdone\n\tcase \"$path\" in\n\t\"\") words=\"");
	complete_words(out, "");
	complete_opts(out, cmd_global_opts);
	buf_puts(out, "\" ;;\n");
	for (const struct cmd_spec *s = cmd_table; s->path; s++) {
		buf_printf(out, "\t\" %s\") words=\"", s->path);
		complete_words(out, s->path);
		complete_opts(out, s->opts);
		buf_puts(out, "--help\"");
		if (kind_command(s->kind))
			buf_printf(out, "; list=$(%s 2>/dev/null)", kind_command(s->kind));
		buf_puts(out, " ;;\n");
	}
	buf_puts(out, "\tesac\n\tcase $cur in\n"
		      "\t-*) COMPREPLY=($(compgen -W \"$words\" -- \"$cur\")) ;;\n"
		      "\t*) COMPREPLY=($(compgen -W \"${words//--help/} $list\" -- \"$cur\")\n"
		      "\t\t$([ -n \"$path\" ] && compgen -f -- \"$cur\")) ;;\n\tesac\n}\n"
		      "complete -o filenames -F _capstan capstan\n");
}

static void fish_quote(struct buf *out, const char *text)
{
	buf_putc(out, '\'');
	for (; *text; text++) {
		if (*text == '\'' || *text == '\\')
			buf_putc(out, '\\');
		buf_putc(out, *text);
	}
	buf_putc(out, '\'');
}

/* The condition under which a command's words are offered: all its words were typed. */
static void fish_condition(struct buf *out, const char *path)
{
	if (!*path) {
		buf_puts(out, " -n __fish_use_subcommand");
		return;
	}
	buf_puts(out, " -n '");
	while (*path) {
		size_t n = strcspn(path, " ");
		buf_printf(out, "__fish_seen_subcommand_from %.*s", (int)n, path);
		path += n + strspn(path + n, " ");
		if (*path)
			buf_puts(out, "; and ");
	}
	buf_putc(out, '\'');
}

static void fish_opts(struct buf *out, const char *path, const struct cmd_opt *opts)
{
	for (const struct cmd_opt *o = opts; o && o->names; o++) {
		char *name;
		if (o->flags & OPT_HIDDEN)
			continue;
		buf_puts(out, "complete -c capstan");
		fish_condition(out, path);
		for (size_t i = 0; (name = cmd_opt_name(o, i)); i++) {
			buf_printf(out, " -%c %s", name[1] ? 'l' : 's', name);
			free(name);
		}
		if (o->value)
			buf_puts(out, " -r");
		buf_puts(out, " -d ");
		fish_quote(out, o->help);
		buf_putc(out, '\n');
	}
}

static void fish_completion(struct buf *out)
{
	fish_opts(out, "", cmd_global_opts);
	for (const struct cmd_spec *s = cmd_table; s->path; s++) {
		const char *name = strrchr(s->path, ' ');
		char *parent = name ? xstrndup(s->path, name - s->path) : xstrdup("");
		buf_puts(out, "complete -c capstan");
		fish_condition(out, parent);
		buf_printf(out, " -a %s -d ", name ? name + 1 : s->path);
		fish_quote(out, s->summary);
		buf_putc(out, '\n');
		if (kind_command(s->kind)) {
			buf_puts(out, "complete -c capstan");
			fish_condition(out, s->path);
			buf_printf(out, " -a '(%s 2>/dev/null)'\n", kind_command(s->kind));
		}
		fish_opts(out, s->path, s->opts);
		free(parent);
	}
}

int cmd_completion(struct buf *out, const char *shell)
{
	if (!strcmp(shell, "zsh"))
		buf_puts(out, "#compdef capstan\nautoload -U +X bashcompinit && bashcompinit\n");
	if (!strcmp(shell, "bash") || !strcmp(shell, "zsh"))
		bash_completion(out);
	else if (!strcmp(shell, "fish"))
		fish_completion(out);
	else
		return -EINVAL;
	return 0;
}
