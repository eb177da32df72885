/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The boot command line: options of the kernel first, then the program to run with its arguments.
 * Pure code; the grammar is described in docs/kernel/cmdline.md.
 */
#pragma once

#include "lib/util.h"

/* A growing NULL-terminated array of strings it owns. */
struct strings {
	char **v; /* NULL while empty */
	unsigned n, room;
};

struct boot_command {
	struct strings argv; /* at least one */
	bool background;     /* ended by the word & */
};

struct cmdline {
	struct strings env;			 /* "NAME=value", each name once */
	struct strings trace;			 /* --trace=PATTERN */
	struct strings mounts;			 /* --mount=FSTYPE:SOURCE:TARGET, as written */
	struct strings devices;			 /* values of virtio_mmio.device= */
	char *cwd, *hostname, *boot, *ip, *root; /* NULL if not given */
	bool strace;
	/* Ports of the host that the descriptors 0, 1 and 2 are, instead of the console: 0 for none. */
	uint8_t stdio[3];
	uint16_t tty_rows, tty_columns; /* of the host's terminal; 0 if not given */
	int loglevel; /* -1 if not given */
	uint32_t uid, gid;
	struct boot_command *commands;
	unsigned ncommands;
	char error[160]; /* after a failure: what is wrong, one line */
};

void cmdline_init(struct cmdline *c);
/* Parses n bytes of text and adds to what c holds: called for the boot command line, and again for
 * the contents of /run/NAME. 0, -EINVAL with c->error set, or -ENOMEM. */
int cmdline_parse(struct cmdline *c, const char *text, size_t n);
void cmdline_free(struct cmdline *c);
/* Value of an environment variable in c, or NULL. */
const char *cmdline_getenv(const struct cmdline *c, const char *name, size_t len);
/* Sets NAME=value (default variables before parsing). 0 or -ENOMEM. */
int cmdline_setenv(struct cmdline *c, const char *assignment);
/* The parts of a --mount value, cut in place: 0 or -EINVAL. */
int cmdline_split_mount(char *value, char **fstype, char **source, char **target);
/* "ROWSxCOLUMNS" of a terminal; false if it is not that. */
bool cmdline_parse_size(const char *s, uint16_t *rows, uint16_t *columns);
