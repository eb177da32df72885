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
		if (isspace((unsigned char)*word) || strchr("'\"\\&", *word))
			return true;
	return false;
}

void cap_cmdline_add(struct buf *line, const char *word)
{
	if (line->len)
		buf_putc(line, ' ');
	if (!needs_quotes(word)) {
		buf_puts(line, word);
		return;
	}
	if (!strchr(word, '\'')) {
		buf_printf(line, "'%s'", word);
		return;
	}
	buf_putc(line, '"');
	for (; *word; word++) {
		if (*word == '"' || *word == '\\')
			buf_putc(line, '\\');
		buf_putc(line, *word);
	}
	buf_putc(line, '"');
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
		} else if (*s == '\\' && s[1] && (!*quote || strchr("\"\\", s[1]))) {
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
