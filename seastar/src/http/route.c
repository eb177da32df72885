/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Routes: a tree with one level per segment of the path. At each node text comes before a
 * parameter and a parameter before a rest; a branch that leads nowhere is left again.
 */
#include "server.h"

#include <stdio.h>
#include <stdlib.h>

struct http_node {
	char *text; /* NULL: a parameter */
	size_t n;
	struct http_node *next, *children, *param;
	struct http_route *routes, *rests;
};

struct http_node *http_node_new(void)
{
	return ss_zalloc(sizeof(struct http_node));
}

static void routes_free(struct http_route *r)
{
	while (r) {
		struct http_route *next = r->next;

		for (unsigned i = 0; i < r->n_names; i++)
			ss_free((char *)(uintptr_t)r->names[i]);
		ss_free((char *)(uintptr_t)r->method);
		ss_free(r);
		r = next;
	}
}

void http_node_free(struct http_node *n)
{
	while (n) {
		struct http_node *next = n->next;

		http_node_free(n->children);
		http_node_free(n->param);
		routes_free(n->routes);
		routes_free(n->rests);
		ss_free(n->text);
		ss_free(n);
		n = next;
	}
}

static char *copy(ss_str s)
{
	char *c = ss_alloc(s.n + 1);

	if (c) {
		memcpy(c, s.p, s.n);
		c[s.n] = '\0';
	}
	return c;
}

/* Cut the next segment off a path; false at its end. Slashes at the ends do not count. */
static bool next_segment(ss_str *path, ss_str *seg)
{
	const char *slash;

	while (path->n && *path->p == '/') {
		path->p++;
		path->n--;
	}
	if (!path->n)
		return false;
	slash = memchr(path->p, '/', path->n);
	*seg = (ss_str){path->p, slash ? (size_t)(slash - path->p) : path->n};
	path->p += seg->n;
	path->n -= seg->n;
	return true;
}

static struct http_node *find_text(const struct http_node *n, ss_str seg)
{
	for (struct http_node *c = n->children; c; c = c->next)
		if (c->n == seg.n && memcmp(c->text, seg.p, seg.n) == 0)
			return c;
	return NULL;
}

static struct http_node *child_text(struct http_node *n, ss_str seg)
{
	struct http_node *c = find_text(n, seg);

	if (c)
		return c;
	c = http_node_new();
	if (!c)
		return NULL;
	c->text = copy(seg);
	if (!c->text) {
		ss_free(c);
		return NULL;
	}
	c->n = seg.n;
	c->next = n->children;
	n->children = c;
	return c;
}

static int add_name(struct http_route *r, ss_str seg)
{
	ss_str name = {seg.p + 1, seg.n - 2};

	if (r->rest || r->n_names == MAX_PARAMS || seg.p[seg.n - 1] != '}')
		return -EINVAL;
	if (name.n > 3 && memcmp(name.p + name.n - 3, "...", 3) == 0) {
		name.n -= 3;
		r->rest = true;
	}
	if (!name.n || memchr(name.p, '{', name.n))
		return -EINVAL;
	r->names[r->n_names] = copy(name);
	if (!r->names[r->n_names])
		return -ENOMEM;
	r->n_names++;
	return 0;
}

/* Go to the node of the pattern, making what is missing; its names go to r. */
static int place(struct http_node **at, const char *pattern, struct http_route *r)
{
	ss_str path = {pattern, strlen(pattern)}, seg;

	if (*pattern != '/' && strcmp(pattern, "*") != 0)
		return -EINVAL;
	while (next_segment(&path, &seg)) {
		struct http_node *n = *at;
		int err;

		if (r->rest)
			return -EINVAL;
		if (seg.n < 2 || *seg.p != '{') {
			*at = child_text(n, seg);
			if (!*at)
				return -ENOMEM;
			continue;
		}
		err = add_name(r, seg);
		if (err)
			return err;
		if (r->rest)
			continue;
		if (!n->param)
			n->param = http_node_new();
		if (!n->param)
			return -ENOMEM;
		*at = n->param;
	}
	return 0;
}

static bool same_method(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

int http_node_add(struct http_node *root, const char *method, const char *pattern,
    ss_http_handler handler, void *arg)
{
	struct http_route *r = ss_zalloc(sizeof(*r)), **list;
	int err;

	if (!r)
		return -ENOMEM;
	r->handler = handler;
	r->arg = arg;
	if (method)
		r->method = ss_strdup(method);
	r->method_len = method ? strlen(method) : 0;
	err = method && !r->method ? -ENOMEM : place(&root, pattern, r);
	if (err) {
		routes_free(r);
		return err;
	}
	for (list = r->rest ? &root->rests : &root->routes; *list; list = &(*list)->next) {
		if (same_method((*list)->method, r->method)) {
			routes_free(r);
			return -EEXIST;
		}
	}
	*list = r;
	return 0;
}

static void allow(struct http_match *m, const char *method)
{
	size_t n = strlen(m->allow);

	m->path_known = true;
	if (method && !strstr(m->allow, method) && n < sizeof(m->allow))
		snprintf(m->allow + n, sizeof(m->allow) - n, "%s%s", n ? ", " : "", method);
}

static inline bool is(ss_str s, const char *text, size_t n)
{
	return s.n == n && memcmp(s.p, text, n) == 0;
}

static bool suits(const struct http_route *r, ss_str method)
{
	return is(method, r->method, r->method_len) ||
	       (is(method, "HEAD", 4) && is((ss_str){r->method, r->method_len}, "GET", 3));
}

/* A route of one list for the method; a route for any method comes after the others. */
static bool choose(const struct http_route *list, ss_str method, struct http_match *m)
{
	const struct http_route *any = NULL;

	for (const struct http_route *r = list; r; r = r->next) {
		if (r->method && suits(r, method)) {
			m->route = r;
			/* HEAD of its own goes before that of GET. */
			if (is(method, r->method, r->method_len))
				return true;
		} else if (!r->method) {
			any = r;
		}
	}
	if (!m->route)
		m->route = any;
	if (m->route)
		return true;
	for (const struct http_route *r = list; r; r = r->next) {
		allow(m, r->method);
		if (strcmp(r->method, "GET") == 0)
			allow(m, "HEAD");
	}
	return false;
}

static bool find(
    const struct http_node *n, ss_str method, ss_str path, struct http_match *m, unsigned at)
{
	ss_str left = path, seg;
	const struct http_node *c;

	if (!next_segment(&left, &seg)) {
		if (choose(n->routes, method, m))
			return true;
	} else {
		c = find_text(n, seg);
		if (c && find(c, method, left, m, at))
			return true;
		if (n->param && at < MAX_PARAMS) {
			m->values[at] = seg;
			if (find(n->param, method, left, m, at + 1))
				return true;
		}
	}
	if (n->rests && at < MAX_PARAMS) {
		while (path.n && *path.p == '/') {
			path.p++;
			path.n--;
		}
		m->values[at] = path;
		return choose(n->rests, method, m);
	}
	return false;
}

void http_node_find(const struct http_node *root, ss_str method, ss_str path, struct http_match *m)
{
	m->route = NULL;
	m->path_known = false;
	m->allow[0] = '\0';
	find(root, method, path, m, 0);
}
