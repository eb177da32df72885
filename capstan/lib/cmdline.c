/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernel command line: quoting and splitting. */
#include "cmdline.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

static bool needs_quotes(const char *word)
{
	if (!*word)
		return true;
	for (; *word; word++)
		if (isspace((unsigned char)*word) || strchr("'\"\\&$", *word))
			return true;
	return false;
}

/* In double quotes; a "$" stays active only where the word is a template. */
static void add_double_quoted(struct buf *line, const char *word, bool template)
{
	buf_putc(line, '"');
	for (; *word; word++) {
		if (*word == '"' || *word == '\\' || (*word == '$' && !template))
			buf_putc(line, '\\');
		buf_putc(line, *word);
	}
	buf_putc(line, '"');
}

void cap_cmdline_add(struct buf *line, const char *word)
{
	if (line->len)
		buf_putc(line, ' ');
	if (!needs_quotes(word))
		buf_puts(line, word);
	else if (!strchr(word, '\''))
		buf_printf(line, "'%s'", word);
	else
		add_double_quoted(line, word, false);
}

void cap_cmdline_add_template(struct buf *line, const char *word)
{
	if (!strstr(word, "${")) {
		cap_cmdline_add(line, word);
		return;
	}
	if (line->len)
		buf_putc(line, ' ');
	if (strpbrk(word, " \t\n\r'\"\\&"))
		add_double_quoted(line, word, true);
	else
		buf_puts(line, word);
}

/* Reads one word from *at; returns false at an unclosed quote, naming it in *quote. */
static bool read_word(const char **at, struct buf *word, char *quote)
{
	const char *s = *at;
	*quote = 0;
	buf_add(word, "", 0);
	for (; *s && (*quote || !isspace((unsigned char)*s)); s++) {
		if (*quote == '\'') {
			if (*s == '\'')
				*quote = 0;
			else
				buf_putc(word, *s);
		} else if (*s == '\\' && s[1] && (!*quote || strchr("\"\\$", s[1]))) {
			buf_putc(word, *++s);
		} else if (*s == *quote) {
			*quote = 0;
		} else if (!*quote && (*s == '\'' || *s == '"')) {
			*quote = *s;
		} else {
			buf_putc(word, *s);
		}
	}
	*at = s;
	return !*quote;
}

int cap_cmdline_split(struct cap *c, const char *where, const char *line, struct strv *words)
{
	for (;;) {
		while (isspace((unsigned char)*line))
			line++;
		if (!*line)
			return 0;
		struct buf word = {0};
		char quote;
		bool closed = read_word(&line, &word, &quote);
		strv_take(words, buf_take(&word));
		if (!closed)
			return cap_fail(c, EBADMSG, "%s: a %c is not closed", where, quote);
	}
}

size_t cap_cmdline_program(const struct strv *words)
{
	size_t i = 0;
	while (i < words->count && has_prefix(words->items[i], "--"))
		i++;
	return i;
}

static const char *env_value(const struct strv *env, const char *name, size_t len)
{
	for (size_t i = env ? env->count : 0; i-- > 0;)
		if (!strncmp(env->items[i], name, len) && env->items[i][len] == '=')
			return env->items[i] + len + 1;
	return NULL;
}

static void expand_word(const char *word, const struct strv *env, struct buf *out)
{
	buf_add(out, "", 0);
	while (*word) {
		const char *end = has_prefix(word, "${") ? strchr(word, '}') : NULL;
		if (!end) {
			buf_putc(out, *word++);
			continue;
		}
		const char *name = word + 2;
		size_t len = strcspn(name, ":}");
		const char *value = env_value(env, name, len);
		bool fallback = name[len] == ':' && name[len + 1] == '-';
		if (value && (*value || !fallback))
			buf_puts(out, value);
		else if (fallback)
			buf_add(out, name + len + 2, end - (name + len + 2));
		word = end + 1;
	}
}

static bool overridden(const char *word, const struct strv *env)
{
	if (!has_prefix(word, "--env="))
		return false;
	return env_value(env, word + 6, strcspn(word + 6, "="));
}

int cap_cmdline_expand(
    struct cap *c, const char *where, const char *line, const struct strv *env, struct buf *out)
{
	struct strv words = {0};
	int result = cap_cmdline_split(c, where, line, &words);
	size_t program = cap_cmdline_program(&words);
	for (size_t i = 0; !result && i < words.count; i++) {
		struct buf word = {0};
		if (i < program && overridden(words.items[i], env))
			continue;
		if (!strcmp(words.items[i], "&")) { /* ends a program of the background */
			buf_puts(out, " &");
			continue;
		}
		expand_word(words.items[i], env, &word);
		cap_cmdline_add(out, word.data);
		buf_free(&word);
	}
	strv_free(&words);
	return result;
}
