/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The command line: one table of commands, from which parsing, --help at every level, the manual
 * pages and the shell completions all come.
 */
#ifndef CAPSTAN_CMD_H
#define CAPSTAN_CMD_H

#include "../lib/cap.h"
#include "../lib/util.h"

#define CMD_OPTS_MAX 48

enum cmd_opt_flags {
	OPT_REPEAT = 1, /* may be given several times */
	OPT_HIDDEN = 2, /* accepted, not shown */
};

/* What shell completion offers for a value or an argument. */
enum cmd_kind {
	KIND_NONE,
	KIND_FILE,
	KIND_DIR,
	KIND_IMAGE,
	KIND_INSTANCE,
	KIND_PACKAGE,
	KIND_VOLUME,
	KIND_RUNTIME
};

struct cmd_opt {
	const char
	    *names; /* "name, n, alias": one letter is short; the first long one is the key */
	const char *value; /* name of the value in help; NULL for a switch */
	const char *help;
	const char *fallback; /* default as shown and used, NULL for none */
	unsigned flags;
	enum cmd_kind kind;
};

struct cmd;
typedef int cmd_fn(struct cmd *cmd);

enum cmd_flags {
	CMD_STOP_AT_ARGS = 1, /* with --host, words from the first argument on belong to it */
	CMD_UNKNOWN_OPTS = 2, /* keeps unknown --options for the function */
	CMD_HIDDEN = 4,
	CMD_STOP_ALWAYS = 8, /* words from the first argument on belong to it */
};

struct cmd_spec {
	const char *path;	/* "package compose"; a group has no fn */
	const char *summary;	/* one line, lower case, no full stop */
	const char *args;	/* "image-name", "[path]", NULL for none */
	int min_args, max_args; /* max -1: any number */
	cmd_fn *fn;
	const struct cmd_opt *opts; /* ended by names == NULL */
	const char *description;    /* more text, or NULL */
	unsigned flags;
	enum cmd_kind kind; /* of the arguments */
};

/* One parsed command. */
struct cmd {
	struct cap *cap;
	const struct cmd_spec *spec;
	struct strv values[CMD_OPTS_MAX]; /* by index in spec->opts */
	struct strv args, unknown;
	bool json, verbose, progress;
	int status; /* exit status when the function succeeds */
};

extern const struct cmd_spec cmd_table[];
extern const struct cmd_opt cmd_global_opts[];

/* Value of an option by its first long name (or letter): the last one given, else the default. */
const char *cmd_value(const struct cmd *cmd, const char *name);
bool cmd_flag(const struct cmd *cmd, const char *name);
const struct strv *cmd_list(const struct cmd *cmd, const char *name);
/* First argument or NULL. */
const char *cmd_arg(const struct cmd *cmd, size_t index);

/* Finds the command that argv starts with; *used words name it. */
const struct cmd_spec *cmd_find(char *const *argv, int argc, int *used);
/* Parses options and arguments behind the command's name. */
int cmd_parse(struct cmd *cmd, char *const *argv, int argc);
/* Parses the global options in front of the command; returns how many words they took or < 0. */
int cmd_parse_global(struct cmd *cmd, char *const *argv, int argc);

/* "NAME / USAGE / OPTIONS" of a command or a group; path "" is capstan itself. */
void cmd_help(struct buf *out, const char *path);
/* A manual page in man(7) format. */
void cmd_man(struct buf *out, const struct cmd_spec *spec);
int cmd_completion(struct buf *out, const char *shell);

/* One letter or long name of an option, by position; NULL after the last. */
char *cmd_opt_name(const struct cmd_opt *opt, size_t index);

/* Output shared by commands: a table with aligned columns, or JSON with --json. */
struct cmd_table;
struct cmd_table *cmd_table_new(const char *const *columns, size_t count);
void cmd_table_row(struct cmd_table *t, const char *const *cells);
void cmd_table_print(struct cmd_table *t, bool json);

#endif
