/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The kernel command line: words split on white space, quoted with '…', "…" or a backslash; options
 * starting with "--" first, then the program and its arguments.
 */
#ifndef CAPSTAN_CMDLINE_H
#define CAPSTAN_CMDLINE_H

#include "cap.h"
#include "util.h"

/*
 * Appends one word, with a space before it when line is not empty, quoted as far as needed for the
 * guest to see exactly this word.
 */
void cap_cmdline_add(struct buf *line, const char *word);
/* The same, but ${NAME} in the word stays to be replaced. */
void cap_cmdline_add_template(struct buf *line, const char *word);
/*
 * Splits a line into words. -EBADMSG with a message when a quote is not closed. `where` names the
 * line's origin in the message.
 */
int cap_cmdline_split(struct cap *c, const char *where, const char *line, struct strv *words);

/* Index of the program among split words (after the options); words->count when there is none. */
size_t cap_cmdline_program(const struct strv *words);
/*
 * Replaces ${NAME} and ${NAME:-default} in every word by values of env ("K=V", the last one
 * counts); an unknown name without default becomes nothing. Options --env=K=V in the line whose K
 * is in env are dropped: what is given at run time wins.
 */
int cap_cmdline_expand(
    struct cap *c, const char *where, const char *line, const struct strv *env, struct buf *out);

#endif
