/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The description in an image: its boot commands by configuration name and the options of its
 * package, so that `capstan run` knows them without reading the image's file system.
 */
#ifndef CAPSTAN_BOOTFILE_H
#define CAPSTAN_BOOTFILE_H

#include "compose.h"

struct cap_boot {
	char *fallback; /* default boot command, or NULL */
	struct strv names, commands;
	struct cap_option *options;
	size_t option_count;
};

/* Parses an image's description; where names the image in messages. Empty text is an empty one. */
int cap_boot_parse(struct cap *c, const char *where, const char *text, struct cap_boot *b);
void cap_boot_free(struct cap_boot *b);
const char *cap_boot_command(const struct cap_boot *b, const char *name);
/*
 * Turns "--name=value" and "--name" "value" words into environment entries of the image's options,
 * and adds the defaults of the others. An unknown option is an error that lists what there is.
 */
int cap_boot_options(
    struct cap *c, const struct cap_boot *b, const struct strv *words, struct strv *env);
/* The description of what was assembled, as YAML. */
void cap_boot_format(const struct cap_content *content, struct buf *out);

#endif
