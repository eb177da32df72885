/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Command-line options of the framework and the application in one parser. Where both define a
 * name or a letter, the application's meaning wins.
 */
#include "reactor.h"

#include <stdio.h>
#include <stdlib.h>

const struct ss_option ss_framework_options[] = {
    {"help", 'h', SS_OPT_FLAG, NULL, "show this help and exit"},
    {"smp", 'c', SS_OPT_INT, NULL, "number of threads (default: one per CPU)", 1, SS_MAX_SHARDS},
    {"memory", 'm', SS_OPT_SIZE, NULL, "memory to use, in bytes (ex: 4G) (default: all)"},
    {"reserve-memory", 0, SS_OPT_SIZE, NULL, "memory reserved to the OS (default: 512M)"},
    {"cpuset", 0, SS_OPT_STRING, NULL, "CPUs to use (ex: 0-3,7) (default: all allowed)"},
    {"reactor-backend", 0, SS_OPT_STRING, "auto", "io_uring, linux-aio, epoll or auto"},
    {"network-stack", 0, SS_OPT_STRING, "posix", "network stack"},
    {"poll-mode", 0, SS_OPT_FLAG, NULL, "poll continuously (100% CPU use)"},
    {"idle-poll-time-us", 0, SS_OPT_INT, "0", "poll this long before going to sleep", 0, 60000000},
    {"smp-spin-us", 0, SS_OPT_INT, "30",
	"longest wait for messages of other shards before going to sleep", 0, 1000},
    {"task-quota-ms", 0, SS_OPT_DOUBLE, "0.5", "longest time between polls"},
    {"blocked-reactor-notify-ms", 0, SS_OPT_INT, "200",
	"report tasks that block the reactor for longer (0: never)", 0, 3600000},
    {"thread-affinity", 0, SS_OPT_FLAG, "true", "pin threads to their CPUs"},
    {"overprovisioned", 0, SS_OPT_FLAG, NULL,
	"run in an overprovisioned environment: no pinning, no idle polling"},
    {"lock-memory", 0, SS_OPT_FLAG, NULL, "lock all memory (needs the rlimit)"},
    {"io-properties-file", 0, SS_OPT_STRING, NULL, "what the disks can do, as iotune writes it"},
    {"default-log-level", 0, SS_OPT_STRING, "info", "error, warn, info, debug or trace"},
    {"debug-preempt", 0, SS_OPT_FLAG, NULL, "suspend at every occasion (to find bugs)"},
    {NULL},
};

struct value {
	const struct ss_option *opt;
	bool given;
	int64_t number;
	double real;
	const char *text;
	char **items;
	size_t n_items;
};

struct ss_config {
	struct value *values;
	size_t n;
};

int ss_parse_size(const char *text, uint64_t *out)
{
	char *end;
	unsigned shift = 0;
	unsigned long long n;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno)
		return -EINVAL;
	switch (*end) {
	case 'k':
	case 'K':
		shift = 10;
		break;
	case 'M':
		shift = 20;
		break;
	case 'G':
		shift = 30;
		break;
	case 'T':
		shift = 40;
		break;
	case '\0':
		break;
	default:
		return -EINVAL;
	}
	if (shift)
		end++;
	if (*end || (shift && n >> (63 - shift)))
		return -EINVAL;
	*out = n << shift;
	return 0;
}

static struct value *find(const ss_config *c, const char *name, size_t len)
{
	for (size_t i = 0; i < c->n; i++)
		if (strncmp(c->values[i].opt->name, name, len) == 0 && !c->values[i].opt->name[len])
			return &c->values[i];
	return NULL;
}

static struct value *find_letter(const ss_config *c, char letter)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->values[i].opt->letter == letter)
			return &c->values[i];
	return NULL;
}

static int in_range(const struct ss_option *o, int64_t v)
{
	return (!o->min && !o->max) || (v >= o->min && v <= o->max);
}

static int set_int(struct value *v, const char *text)
{
	char *end;

	errno = 0;
	v->number = strtoll(text, &end, 10);
	return errno || end == text || *end || !in_range(v->opt, v->number) ? -EINVAL : 0;
}

static int set_size(struct value *v, const char *text)
{
	uint64_t n;

	if (ss_parse_size(text, &n) || n > INT64_MAX)
		return -EINVAL;
	v->number = (int64_t)n;
	return in_range(v->opt, v->number) ? 0 : -EINVAL;
}

static int set_flag(struct value *v, const char *text)
{
	if (strcmp(text, "true") == 0 || strcmp(text, "1") == 0)
		v->number = 1;
	else if (strcmp(text, "false") == 0 || strcmp(text, "0") == 0)
		v->number = 0;
	else
		return -EINVAL;
	return 0;
}

static int set_double(struct value *v, const char *text)
{
	char *end;

	errno = 0;
	v->real = strtod(text, &end);
	return errno || end == text || *end || !(v->real >= 0) ? -EINVAL : 0;
}

static int add_item(struct value *v, const char *text)
{
	char **items = realloc(v->items, (v->n_items + 1) * sizeof(*items));

	if (!items)
		return -ENOMEM;
	v->items = items;
	items[v->n_items++] = (char *)(uintptr_t)text;
	return 0;
}

static int set_value(struct value *v, const char *text)
{
	switch (v->opt->type) {
	case SS_OPT_FLAG:
		return set_flag(v, text);
	case SS_OPT_INT:
		return set_int(v, text);
	case SS_OPT_SIZE:
		return set_size(v, text);
	case SS_OPT_DOUBLE:
		return set_double(v, text);
	case SS_OPT_LIST:
		return add_item(v, text);
	case SS_OPT_STRING:
		break;
	}
	v->text = text;
	return 0;
}

struct parse {
	ss_config *c;
	int argc, at;
	char *const *argv;
	char *error;
	size_t n;
};

static int bad(struct parse *p, const char *what, const char *arg, int len)
{
	snprintf(p->error, p->n, "%s '%.*s'", what, len, arg);
	return -EINVAL;
}

/* The value of v: attached text, or the next argument. */
static int take_value(struct parse *p, struct value *v, const char *shown, const char *attached)
{
	int err;

	v->given = true;
	if (!attached && v->opt->type == SS_OPT_FLAG) {
		v->number = 1;
		return 0;
	}
	if (!attached) {
		if (p->at + 1 >= p->argc)
			return bad(p, "the required argument is missing for option", shown,
			    (int)strlen(shown));
		attached = p->argv[++p->at];
	}
	err = set_value(v, attached);
	if (err == -EINVAL)
		snprintf(p->error, p->n, "the argument ('%s') for option '--%s' is invalid",
		    attached, v->opt->name);
	return err;
}

static int parse_long(struct parse *p, const char *arg)
{
	const char *name = arg + 2, *eq = strchr(name, '=');
	size_t len = eq ? (size_t)(eq - name) : strlen(name);
	struct value *v = find(p->c, name, len);

	if (!len || !v)
		return bad(p, "unrecognised option", arg, (int)len + 2);
	return take_value(p, v, arg, eq ? eq + 1 : NULL);
}

static int parse_letters(struct parse *p, const char *arg)
{
	for (const char *a = arg + 1; *a; a++) {
		struct value *v = find_letter(p->c, *a);

		if (!v)
			return bad(p, "unrecognised option", arg, (int)strlen(arg));
		if (v->opt->type == SS_OPT_FLAG) {
			v->given = true;
			v->number = 1;
			continue;
		}
		return take_value(p, v, arg, a[1] ? a + 1 : NULL);
	}
	return 0;
}

static int parse_positional(struct parse *p, const char *arg)
{
	for (size_t i = 0; i < p->c->n; i++) {
		struct value *v = &p->c->values[i];

		if (!v->opt->positional)
			continue;
		v->given = true;
		return set_value(v, arg);
	}
	return bad(p, "unexpected argument", arg, (int)strlen(arg));
}

static int parse_all(struct parse *p)
{
	bool rest = false;
	int err = 0;

	for (p->at = 1; !err && p->at < p->argc; p->at++) {
		const char *arg = p->argv[p->at];

		if (rest || arg[0] != '-' || !arg[1])
			err = parse_positional(p, arg);
		else if (strcmp(arg, "--") == 0)
			rest = true;
		else if (arg[1] == '-')
			err = parse_long(p, arg);
		else
			err = parse_letters(p, arg);
	}
	return err;
}

static size_t count(const struct ss_option *o)
{
	size_t n = 0;

	while (o && o[n].name)
		n++;
	return n;
}

static int add_options(ss_config *c, const struct ss_option *o)
{
	for (; o && o->name; o++) {
		if (find(c, o->name, strlen(o->name)))
			continue;
		c->values[c->n] = (struct value){.opt = o};
		if (o->def && set_value(&c->values[c->n], o->def))
			return -EINVAL;
		c->n++;
	}
	return 0;
}

int ss_config_parse(
    int argc, char *const *argv, const struct ss_app *app, ss_config **out, char *error, size_t n)
{
	const struct ss_option *mine = app ? app->options : NULL;
	ss_config *c = calloc(1, sizeof(*c));
	struct parse p = {.c = c, .argc = argc, .argv = argv, .error = error, .n = n};
	int err;

	snprintf(error, n, "not enough memory");
	*out = NULL;
	if (!c)
		return -ENOMEM;
	c->values = calloc(count(mine) + count(ss_framework_options), sizeof(*c->values));
	err = c->values ? add_options(c, mine) : -ENOMEM;
	if (!err)
		err = add_options(c, ss_framework_options);
	if (err == -EINVAL)
		snprintf(error, n, "an option's default is not valid");
	if (!err)
		err = parse_all(&p);
	if (err) {
		ss_config_free(c);
		return err;
	}
	*out = c;
	return 0;
}

void ss_config_free(ss_config *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->n; i++)
		free(c->values[i].items);
	free(c->values);
	free(c);
}

static const struct value *get(const ss_config *c, const char *name)
{
	static const struct value none;
	const struct value *v = find(c, name, strlen(name));

	return v ? v : &none;
}

bool ss_config_has(const ss_config *c, const char *name)
{
	const struct value *v = get(c, name);

	return v->opt && (v->given || v->opt->def);
}

bool ss_config_given(const ss_config *c, const char *name)
{
	return get(c, name)->given;
}

bool ss_config_flag(const ss_config *c, const char *name)
{
	return get(c, name)->number != 0;
}

int64_t ss_config_int(const ss_config *c, const char *name)
{
	return get(c, name)->number;
}

double ss_config_double(const ss_config *c, const char *name)
{
	return get(c, name)->real;
}

const char *ss_config_string(const ss_config *c, const char *name)
{
	return get(c, name)->text;
}

size_t ss_config_count(const ss_config *c, const char *name)
{
	return get(c, name)->n_items;
}

const char *ss_config_item(const ss_config *c, const char *name, size_t i)
{
	const struct value *v = get(c, name);

	return i < v->n_items ? v->items[i] : NULL;
}

static void help_list(const ss_config *c, const struct ss_option *o, const char *title)
{
	static const char *const args[] = {"", " arg", " arg", " arg", " arg", " arg"};

	printf("%s:\n", title);
	for (; o && o->name; o++) {
		char left[64], def[64] = "";

		if (find(c, o->name, strlen(o->name))->opt != o)
			continue;
		if (o->letter)
			snprintf(left, sizeof(left), "-%c [ --%s ]%s", o->letter, o->name,
			    args[o->type]);
		else
			snprintf(left, sizeof(left), "--%s%s", o->name, args[o->type]);
		if (o->def)
			snprintf(def, sizeof(def), " (=%s)", o->def);
		printf("  %-34s %s%s\n", left, o->help ? o->help : "", def);
	}
}

void ss_config_help(const ss_config *c, const struct ss_app *app)
{
	if (app && app->description)
		printf("%s\n", app->description);
	if (app && app->options)
		help_list(c, app->options, "App options");
	help_list(c, ss_framework_options, "Core options");
}
