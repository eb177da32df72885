/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Programs: start of the reactor on all shards, command-line options of the framework and of the
 * application, signals, orderly stop.
 */
#ifndef SEASTAR_APP_H
#define SEASTAR_APP_H

#include <seastar/abort.h>
#include <seastar/future.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Type of an option's value. */
enum ss_option_type {
	SS_OPT_FLAG,   /**< No value; true when given. Accepts =true, =false, =1, =0 too. */
	SS_OPT_INT,    /**< Decimal number. */
	SS_OPT_DOUBLE, /**< Number with a fraction. */
	SS_OPT_SIZE,   /**< Bytes; units k, M, G, T are powers of 1024. */
	SS_OPT_STRING, /**< Text. */
	SS_OPT_LIST,   /**< Text, may be given many times. */
};

/** One option of the command line. */
struct ss_option {
	const char *name;	  /**< Long name, without dashes. */
	char letter;		  /**< Short name, or 0. */
	enum ss_option_type type; /**< Of the value. */
	const char *def;	  /**< Default value as text, or NULL for none. */
	const char *help;	  /**< One line. */
	int64_t min;		  /**< Smallest number allowed (with max). */
	int64_t max;		  /**< Largest number allowed; 0 with min 0 for any. */
	bool positional;	  /**< Arguments without a dash go to this list. */
};

typedef struct ss_config ss_config; /**< The options of a program as given. */

/** Description of a program. */
struct ss_app {
	const char *name;	 /**< Shown by --help. */
	const char *description; /**< Shown by --help; may be NULL. */
	const struct ss_option
	    *options;	   /**< Application's options, ended by a NULL name; or NULL. */
	bool keep_signals; /**< Leave SIGINT and SIGTERM to the application. */
};

/** A program's first function: runs on shard 0; the program ends when its future is ready. */
typedef ss_future (*ss_main_fn)(const ss_config *config, void *arg);

/**
 * Run a program: parse the options, start the shards, call @p fn, stop in order.
 * @return exit status: 0 (or the future's value, up to 255), 1 if the program could not start or
 *         its future failed, 2 for bad options. Messages go to standard error.
 */
int ss_app_run(int argc, char **argv, const struct ss_app *app, ss_main_fn fn, void *arg);

/** The options of the running program. */
const ss_config *ss_app_config(void);

/** True if the option was given or has a default. */
bool ss_config_has(const ss_config *c, const char *name);

/** True if the option was on the command line. */
bool ss_config_given(const ss_config *c, const char *name);

/** Value of a flag. */
bool ss_config_flag(const ss_config *c, const char *name);

/** Value of a number or size; 0 if it has none. */
int64_t ss_config_int(const ss_config *c, const char *name);

/** Value of a number with a fraction. */
double ss_config_double(const ss_config *c, const char *name);

/** Value of a text; NULL if it has none. Lives as long as the configuration. */
const char *ss_config_string(const ss_config *c, const char *name);

/** How many values a list has. */
size_t ss_config_count(const ss_config *c, const char *name);

/** Value @p i of a list. */
const char *ss_config_item(const ss_config *c, const char *name, size_t i);

/**
 * Parse a size such as "512", "64k", "10G".
 * @return 0 or -EINVAL (no number, unknown unit, too large).
 */
int ss_parse_size(const char *text, uint64_t *out);

/**
 * Parse options without running anything (for tests and tools).
 * @param argc   arguments, as of main().
 * @param argv   arguments.
 * @param app    the program, or NULL for the framework's options only.
 * @param out    gets the configuration, to be freed with ss_config_free().
 * @param error  gets the message on failure.
 * @param n      bytes at @p error.
 * @return 0, -EINVAL, or -ENOMEM.
 */
int ss_config_parse(
    int argc, char *const *argv, const struct ss_app *app, ss_config **out, char *error, size_t n);

/** Free a configuration. */
void ss_config_free(ss_config *c);

/** The source aborted when the program is asked to stop (SIGINT, SIGTERM, ss_app_stop()). */
ss_abort *ss_app_stop_source(void);

/** Ready when the program is asked to stop. Shard 0 only. */
SS_MUST_USE ss_future ss_app_wait_stop(void);

/** Ask the program to stop, as a signal does. Any shard. */
void ss_app_stop(void);

/**
 * Have @p fn(@p arg) called on shard 0 when the program ends, last registered first, each after
 * the future of the one before. Returns 0 or -ENOMEM.
 */
int ss_app_at_exit(ss_future (*fn)(void *arg), void *arg);

/** Call @p fn(@p arg) on shard 0 for each signal @p signo. Returns 0 or a negative errno. */
int ss_signal_handle(int signo, void (*fn)(void *arg), void *arg);

#ifdef __cplusplus
}
#endif
#endif
