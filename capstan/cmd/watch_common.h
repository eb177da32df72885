/* SPDX-License-Identifier: BSD-3-Clause */
/* What the commands about running guests share. */
#ifndef CAPSTAN_WATCH_COMMON_H
#define CAPSTAN_WATCH_COMMON_H

#include <jansson.h>

#include "../lib/watch.h"
#include "cmd.h"

/* The guests a command is for. */
struct watch {
	struct cap_guest *guests;
	size_t count;
};

/* Opens the guests of --guest and of `more`, or the default one. */
int watch_open(struct cmd *cmd, const struct strv *more, struct watch *w);
void watch_close(struct watch *w);
/* A call whose answer is JSON; *out is the caller's. */
int watch_json(struct cap *c, struct cap_guest *g, const char *method, const char *path,
    const char *form, json_t **out);

#endif
