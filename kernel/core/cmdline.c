/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Parsing of the boot command line. Text is cut into words first (white space, quotes, backslash,
 * ${NAME}), and each word is used as soon as it is complete, so that ${NAME} sees the --env options
 * before it.
 */
#include "core/cmdline.h"

#include <asm/errno.h>

#include "lib/string.h"
#include "mm/kmalloc.h"

#define LINE_MAX 65536
#define WORD_MAX 65536 /* after expansion */
#define DEVICE_PREFIX "virtio_mmio.device="

/* Where the reading is, and the word being put together. */
struct reader {
	struct cmdline *c;
	const char *p, *end;
	char *word;
	size_t len, room;
	bool quoted; /* part of the word was quoted: it is no operator and no option */
};

/* What the words so far make of the next one. */
struct parser {
	struct cmdline *c;
	bool in_program;
	bool options_done;
};

static int fail(struct cmdline *c, const char *fmt, ...) PRINTF_LIKE(2, 3);
static int fail(struct cmdline *c, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(c->error, sizeof c->error, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static char *duplicate(const char *s, size_t n)
{
	char *d = kmalloc(n + 1);
	if (!d)
		return NULL;
	memcpy(d, s, n);
	d[n] = 0;
	return d;
}

/* Takes over s, also when it fails. */
static int strings_add(struct strings *l, char *s)
{
	if (!s)
		return -ENOMEM;
	if (l->n + 2 > l->room) {
		unsigned room = l->room ? l->room * 2 : 8;
		char **v = krealloc(l->v, room * sizeof *v);
		if (!v) {
			kfree(s);
			return -ENOMEM;
		}
		l->v = v;
		l->room = room;
	}
	l->v[l->n++] = s;
	l->v[l->n] = NULL;
	return 0;
}

static void strings_free(struct strings *l)
{
	for (unsigned i = 0; i < l->n; i++)
		kfree(l->v[i]);
	kfree(l->v);
	*l = (struct strings){0};
}

void cmdline_init(struct cmdline *c)
{
	memset(c, 0, sizeof *c);
	c->loglevel = -1;
}

void cmdline_free(struct cmdline *c)
{
	strings_free(&c->env);
	strings_free(&c->trace);
	strings_free(&c->mounts);
	strings_free(&c->devices);
	for (unsigned i = 0; i < c->ncommands; i++)
		strings_free(&c->commands[i].argv);
	kfree(c->commands);
	kfree(c->cwd);
	kfree(c->hostname);
	kfree(c->boot);
	kfree(c->ip);
	kfree(c->root);
	cmdline_init(c);
}

static int env_index(const struct cmdline *c, const char *name, size_t len)
{
	for (unsigned i = 0; i < c->env.n; i++)
		if (!strncmp(c->env.v[i], name, len) && c->env.v[i][len] == '=')
			return (int)i;
	return -1;
}

const char *cmdline_getenv(const struct cmdline *c, const char *name, size_t len)
{
	int i = env_index(c, name, len);
	return i < 0 ? NULL : c->env.v[i] + len + 1;
}

int cmdline_setenv(struct cmdline *c, const char *assignment)
{
	const char *eq = strchr(assignment, '=');
	if (!eq || eq == assignment)
		return fail(c, "--env=%.80s: expected NAME=VALUE", assignment);
	int i = env_index(c, assignment, (size_t)(eq - assignment));
	char *copy = duplicate(assignment, strlen(assignment));
	if (i < 0)
		return strings_add(&c->env, copy);
	if (!copy)
		return -ENOMEM;
	kfree(c->env.v[i]);
	c->env.v[i] = copy;
	return 0;
}

int cmdline_split_mount(char *value, char **fstype, char **source, char **target)
{
	char *first = strchr(value, ':'), *last = strrchr(value, ':');
	if (!first || first == last || first == value || last[1] != '/')
		return -EINVAL;
	*first = *last = 0;
	*fstype = value;
	*source = first + 1;
	*target = last + 1;
	return 0;
}

bool cmdline_parse_size(const char *s, uint16_t *rows, uint16_t *columns)
{
	uint64_t r = 0, k = 0;
	const char *p = *s >= '0' && *s <= '9' ? parse_u64(s, 10, &r) : s;
	if (*p != 'x' || p[1] < '0' || p[1] > '9' || *parse_u64(p + 1, 10, &k) || r > UINT16_MAX ||
	    k > UINT16_MAX)
		return false;
	*rows = (uint16_t)r;
	*columns = (uint16_t)k;
	return true;
}

/* ---- words ---- */

static bool is_space(char ch)
{
	return ch == ' ' || ch == '\t' || ch == '\n' || ch == '\r' || ch == 0;
}

static bool is_name_char(char ch)
{
	return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') ||
	       ch == '_';
}

static int put(struct reader *r, const char *s, size_t n)
{
	if (r->len + n > WORD_MAX)
		return fail(
		    r->c, "a word of the boot command line is longer than %d bytes", WORD_MAX);
	if (r->len + n + 1 > r->room) {
		size_t room = (r->len + n + 1) * 2;
		char *w = krealloc(r->word, room);
		if (!w)
			return -ENOMEM;
		r->word = w;
		r->room = room;
	}
	memcpy(r->word + r->len, s, n);
	r->len += n;
	r->word[r->len] = 0;
	return 0;
}

/* At "${": puts the variable's value or the default. */
static int expand(struct reader *r)
{
	const char *start = r->p + 2, *p = start;
	while (p < r->end && is_name_char(*p))
		p++;
	size_t len = (size_t)(p - start);
	const char *fallback = "";
	size_t fallback_len = 0;
	if (p + 1 < r->end && p[0] == ':' && p[1] == '-') {
		fallback = p += 2;
		while (p < r->end && *p != '}')
			p++;
		fallback_len = (size_t)(p - fallback);
	}
	if (!len || p >= r->end || *p != '}')
		return fail(
		    r->c, "bad variable reference: %.*s", (int)MIN(r->end - r->p, 60l), r->p);
	const char *value = cmdline_getenv(r->c, start, len);
	r->p = p + 1;
	if (value && *value)
		return put(r, value, strlen(value));
	return put(r, fallback, fallback_len);
}

static int single_quoted(struct reader *r)
{
	const char *start = ++r->p;
	while (r->p < r->end && *r->p != '\'')
		r->p++;
	if (r->p == r->end)
		return fail(r->c, "a quote ' is not closed: '%.*s",
		    (int)MIN((size_t)(r->p - start), (size_t)60), start);
	int err = put(r, start, (size_t)(r->p - start));
	r->p++;
	return err;
}

static int double_quoted(struct reader *r)
{
	const char *start = ++r->p;
	int err = put(r, "", 0);
	while (!err && r->p < r->end && *r->p != '"') {
		if (*r->p == '$' && r->p + 1 < r->end && r->p[1] == '{') {
			err = expand(r);
			continue;
		}
		if (*r->p == '\\' && r->p + 1 < r->end && strchr("\\\"$", r->p[1]) && r->p[1])
			r->p++;
		err = put(r, r->p++, 1);
	}
	if (!err && r->p == r->end)
		return fail(r->c, "a quote \" is not closed: \"%.*s",
		    (int)MIN((size_t)(r->p - start), (size_t)60), start);
	r->p++;
	return err;
}

/* Reads the next word. 1, 0 at the end, or negative. */
static int next_word(struct reader *r)
{
	while (r->p < r->end && is_space(*r->p))
		r->p++;
	if (r->p == r->end)
		return 0;
	r->len = 0;
	r->quoted = false;
	int err = put(r, "", 0);
	while (!err && r->p < r->end && !is_space(*r->p)) {
		char ch = *r->p;
		if (ch == '\'' || ch == '"') {
			r->quoted = true;
			err = ch == '"' ? double_quoted(r) : single_quoted(r);
		} else if (ch == '$' && r->p + 1 < r->end && r->p[1] == '{') {
			err = expand(r);
		} else {
			if (ch == '\\' && r->p + 1 < r->end) {
				r->p++;
				r->quoted = true;
			}
			err = put(r, r->p++, 1);
		}
	}
	return err ? err : 1;
}

/* ---- meaning ---- */

static int set_string(struct cmdline *c, char **field, const char *name, const char *value)
{
	if (!*value)
		return fail(c, "--%s= needs a value", name);
	char *copy = duplicate(value, strlen(value));
	if (!copy)
		return -ENOMEM;
	kfree(*field);
	*field = copy;
	return 0;
}

static int set_number(
    struct cmdline *c, const char *name, const char *value, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;
	const char *end = *value >= '0' && *value <= '9' ? parse_u64(value, 10, &v) : value;
	if (end == value || *end || v > max)
		return fail(c, "--%s=%.60s: expected a number from 0 to %lu", name, value,
		    (unsigned long)max);
	*out = v;
	return 0;
}

static int set_user(struct cmdline *c, const char *value)
{
	uint64_t uid, gid;
	char first[24];
	const char *colon = strchr(value, ':');
	size_t n = colon ? (size_t)(colon - value) : strlen(value);
	strlcpy(first, value, MIN(n + 1, sizeof first));
	int err = set_number(c, "user", first, UINT32_MAX - 1, &uid);
	gid = uid;
	if (!err && colon)
		err = set_number(c, "user", colon + 1, UINT32_MAX - 1, &gid);
	if (err)
		return err;
	c->uid = (uint32_t)uid;
	c->gid = (uint32_t)gid;
	return 0;
}

static int add_mount(struct cmdline *c, const char *value)
{
	char *fstype, *source, *target, *copy = duplicate(value, strlen(value));
	if (!copy)
		return -ENOMEM;
	int err = cmdline_split_mount(copy, &fstype, &source, &target);
	kfree(copy);
	if (err)
		return fail(c, "--mount=%.80s: expected FSTYPE:SOURCE:/TARGET", value);
	return strings_add(&c->mounts, duplicate(value, strlen(value)));
}

/* A list of in, out, err and both (standard output and error on the port of out). */
static int set_stdio(struct cmdline *c, const char *value)
{
	static const struct {
		const char *word;
		uint8_t port[3];
	} words[] = {
	    {"in", {1, 0, 0}}, {"out", {0, 2, 0}}, {"err", {0, 0, 3}}, {"both", {0, 2, 2}}};
	for (const char *p = value;;) {
		const char *end = strchr(p, ',');
		size_t n = end ? (size_t)(end - p) : strlen(p);
		unsigned i = 0;
		while (i < ARRAY_SIZE(words) &&
		       (strlen(words[i].word) != n || strncmp(words[i].word, p, n)))
			i++;
		if (i == ARRAY_SIZE(words))
			return fail(c, "--stdio=%.60s: expected in, out, err or both", value);
		for (unsigned fd = 0; fd < 3; fd++)
			if (words[i].port[fd])
				c->stdio[fd] = words[i].port[fd];
		if (!end)
			return 0;
		p = end + 1;
	}
}

static int set_tty_size(struct cmdline *c, const char *value)
{
	if (!cmdline_parse_size(value, &c->tty_rows, &c->tty_columns))
		return fail(c, "--tty-size=%.60s: expected ROWSxCOLUMNS", value);
	return 0;
}

static int add_to(struct cmdline *c, struct strings *l, const char *name, const char *value)
{
	if (!*value)
		return fail(c, "--%s= needs a value", name);
	return strings_add(l, duplicate(value, strlen(value)));
}

static int option(struct cmdline *c, const char *word)
{
	char name[32];
	uint64_t n;
	const char *eq = strchr(word, '='), *value = eq ? eq + 1 : NULL;
	size_t len = eq ? (size_t)(eq - word) : strlen(word);
	strlcpy(name, word, MIN(len + 1, sizeof name));
	if (!strcmp(name, "strace") && !value) {
		c->strace = true;
		return 0;
	}
	static const char *const known[] = {"env", "cwd", "hostname", "boot", "ip", "root", "user",
	    "loglevel", "trace", "stdio", "tty-size", "mount", "strace"};
	unsigned i = 0;
	while (i < ARRAY_SIZE(known) && strcmp(name, known[i]))
		i++;
	if (i == ARRAY_SIZE(known))
		return fail(c, "unknown option --%.80s", word);
	if (!strcmp(name, "strace"))
		return fail(c, "--strace takes no value");
	if (!value)
		return fail(c, "--%s needs a value: --%s=...", name, name);
	switch (i) {
	case 0:
		return cmdline_setenv(c, value);
	case 1:
		return *value == '/' ? set_string(c, &c->cwd, name, value)
				     : fail(c, "--cwd=%.80s: not an absolute path", value);
	case 2:
		return strlen(value) <= 64 ? set_string(c, &c->hostname, name, value)
					   : fail(c, "--hostname: longer than 64 bytes");
	case 3:
		return strchr(value, '/') ? fail(c, "--boot=%.80s: a name, not a path", value)
					  : set_string(c, &c->boot, name, value);
	case 4:
		return set_string(c, &c->ip, name, value);
	case 5:
		return set_string(c, &c->root, name, value);
	case 6:
		return set_user(c, value);
	case 7: {
		int err = set_number(c, name, value, 7, &n);
		if (!err)
			c->loglevel = (int)n;
		return err;
	}
	case 8:
		return add_to(c, &c->trace, name, value);
	case 9:
		return set_stdio(c, value);
	case 10:
		return set_tty_size(c, value);
	}
	return add_mount(c, value);
}

static int begin_command(struct cmdline *c)
{
	struct boot_command *v = krealloc(c->commands, (c->ncommands + 1) * sizeof *v);
	if (!v)
		return -ENOMEM;
	c->commands = v;
	v[c->ncommands++] = (struct boot_command){0};
	return 0;
}

static int take_word(struct parser *ps, const struct reader *r)
{
	struct cmdline *c = ps->c;
	size_t prefix = sizeof DEVICE_PREFIX - 1;
	if (!r->quoted && !strncmp(r->word, DEVICE_PREFIX, prefix))
		return strings_add(&c->devices, duplicate(r->word + prefix, r->len - prefix));
	if (!ps->in_program && !ps->options_done && !strncmp(r->word, "--", 2)) {
		if (r->len > 2)
			return option(c, r->word + 2);
		ps->options_done = true;
		return 0;
	}
	if (!r->quoted && !strcmp(r->word, "&")) {
		if (!ps->in_program)
			return fail(c, "& without a program before it");
		c->commands[c->ncommands - 1].background = true;
		ps->in_program = false;
		ps->options_done = true;
		return 0;
	}
	if (!ps->in_program) {
		if (!r->len)
			return fail(c, "the program's name is empty");
		int err = begin_command(c);
		if (err)
			return err;
		ps->in_program = true;
	}
	return strings_add(&c->commands[c->ncommands - 1].argv, duplicate(r->word, r->len));
}

int cmdline_parse(struct cmdline *c, const char *text, size_t n)
{
	struct reader r = {.c = c, .p = text, .end = text + n};
	struct parser ps = {.c = c};
	int got, err = 0;
	if (n > LINE_MAX)
		return fail(c, "the boot command line is longer than %d bytes", LINE_MAX);
	while (!err && (got = next_word(&r)) != 0)
		err = got < 0 ? got : take_word(&ps, &r);
	kfree(r.word);
	return err;
}
