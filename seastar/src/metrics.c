/* SPDX-License-Identifier: BSD-3-Clause */
/* The registry of metrics of a shard, histograms, and snapshots. */
#include "metrics.h"

#include <seastar/loop.h>

#include <stdarg.h>
#include <stdio.h>

struct ss_metric {
	struct ss_metric *next;
	enum ss_metric_type type;
	unsigned n_labels;
	const char *name, *help, *labels; /* in text */
	size_t labels_len;
	const uint64_t *counter;
	const int64_t *gauge;
	const ss_histogram *histogram;
	double (*fn)(void *);
	void *arg;
	char text[];
};

/* Groups of each shard; touched on that shard only. */
static ss_metrics *groups[SS_MAX_SHARDS];

/* Texts */

void text_add(struct text *t, const void *data, size_t n)
{
	if (t->err)
		return;
	if (n > t->room - t->n) {
		size_t room = t->room * 2 + n + 1024;
		char *p = ss_realloc(t->p, room);

		if (!p) {
			t->err = -ENOMEM;
			return;
		}
		t->p = p;
		t->room = room;
	}
	if (n)
		memcpy(t->p + t->n, data, n);
	t->n += n;
}

void text_printf(struct text *t, const char *fmt, ...)
{
	char line[512];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	text_add(t, line, n < (int)sizeof(line) ? (size_t)n : sizeof(line) - 1);
}

/* Histograms */

int ss_histogram_init(ss_histogram *h, double first, double factor, unsigned n)
{
	if (!(first > 0) || !(factor > 1) || !n || n > SS_HISTOGRAM_MAX)
		return -EINVAL;
	*h = (ss_histogram){.n = n};
	for (unsigned i = 0; i < n; i++, first *= factor)
		h->bound[i] = first;
	return 0;
}

void ss_histogram_add(ss_histogram *h, double v)
{
	unsigned lo = 0, hi = h->n;

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;

		if (v <= h->bound[mid])
			hi = mid;
		else
			lo = mid + 1;
	}
	h->count[lo]++;
	h->sum += v;
}

double ss_histogram_quantile(const ss_histogram *h, double q)
{
	uint64_t all = 0;
	double want, below = 0;

	for (unsigned i = 0; i <= h->n; i++)
		all += h->count[i];
	want = q * (double)all;
	for (unsigned i = 0; i < h->n; i++) {
		double low = i ? h->bound[i - 1] : 0, n = (double)h->count[i];

		if (n > 0 && below + n >= want)
			return low + (h->bound[i] - low) * (want - below) / n;
		below += n;
	}
	return h->n ? h->bound[h->n - 1] : 0;
}

/* Registering */

static bool is_name(const char *s)
{
	if (!s || !*s || (*s >= '0' && *s <= '9'))
		return false;
	for (; *s; s++)
		if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
			(*s >= '0' && *s <= '9') || *s == '_'))
			return false;
	return true;
}

/* Bytes of the labels, or -EINVAL. */
static int64_t measure(const ss_label *labels, unsigned *n)
{
	int64_t bytes = 0;

	*n = 0;
	for (; labels && labels->name; labels++, ++*n) {
		if (!is_name(labels->name) || !labels->value)
			return -EINVAL;
		bytes += (int64_t)(strlen(labels->name) + strlen(labels->value) + 2);
	}
	return bytes;
}

static bool same_labels(const struct ss_metric *a, const struct ss_metric *b)
{
	return a->labels_len == b->labels_len && memcmp(a->labels, b->labels, a->labels_len) == 0;
}

static bool clashes(const struct ss_metric *m)
{
	for (const ss_metrics *g = groups[ss_shard_id()]; g; g = g->next)
		for (const struct ss_metric *o = g->head; o; o = o->next)
			if (strcmp(o->name, m->name) == 0 &&
			    (o->type != m->type || same_labels(o, m)))
				return true;
	return false;
}

static char *add(char *p, const char *s)
{
	size_t n = strlen(s) + 1;

	memcpy(p, s, n);
	return p + n;
}

static void link_group(ss_metrics *g)
{
	ss_metrics **list = &groups[ss_shard_id()];

	g->prev = NULL;
	g->next = *list;
	if (g->next)
		g->next->prev = g;
	*list = g;
}

static int add_metric(ss_metrics *g, const struct ss_metric *what, const char *name,
    const char *help, const ss_label *labels)
{
	unsigned n;
	int64_t bytes = measure(labels, &n);
	struct ss_metric *m;
	char *p;

	if (!is_name(name) || !help || bytes < 0)
		return -EINVAL;
	m = ss_alloc(sizeof(*m) + strlen(name) + strlen(help) + 2 + (size_t)bytes);
	if (!m)
		return -ENOMEM;
	*m = *what;
	m->n_labels = n;
	m->labels_len = (size_t)bytes;
	m->name = m->text;
	m->help = p = add(m->text, name);
	m->labels = p = add(p, help);
	for (unsigned i = 0; i < n; i++)
		p = add(add(p, labels[i].name), labels[i].value);
	if (clashes(m)) {
		ss_free(m);
		return -EEXIST;
	}
	if (!g->head)
		link_group(g);
	m->next = g->head;
	g->head = m;
	return 0;
}

int ss_metrics_counter(ss_metrics *g, const char *name, const char *help, const ss_label *labels,
    const uint64_t *value)
{
	return add_metric(g, &(struct ss_metric){.type = SS_METRIC_COUNTER, .counter = value}, name,
	    help, labels);
}

int ss_metrics_gauge(
    ss_metrics *g, const char *name, const char *help, const ss_label *labels, const int64_t *value)
{
	return add_metric(
	    g, &(struct ss_metric){.type = SS_METRIC_GAUGE, .gauge = value}, name, help, labels);
}

int ss_metrics_histogram(ss_metrics *g, const char *name, const char *help, const ss_label *labels,
    const ss_histogram *h)
{
	return add_metric(g, &(struct ss_metric){.type = SS_METRIC_HISTOGRAM, .histogram = h}, name,
	    help, labels);
}

int ss_metrics_function(ss_metrics *g, enum ss_metric_type type, const char *name, const char *help,
    const ss_label *labels, double (*fn)(void *), void *arg)
{
	if (type == SS_METRIC_HISTOGRAM || !fn)
		return -EINVAL;
	return add_metric(
	    g, &(struct ss_metric){.type = type, .fn = fn, .arg = arg}, name, help, labels);
}

void ss_metrics_clear(ss_metrics *g)
{
	if (!g->head)
		return;
	if (g->prev)
		g->prev->next = g->next;
	else
		groups[ss_shard_id()] = g->next;
	if (g->next)
		g->next->prev = g->prev;
	while (g->head) {
		struct ss_metric *m = g->head;

		g->head = m->next;
		ss_free(m);
	}
}

/* Snapshots */

void snapshot_record(struct text *t, enum ss_metric_type type, const char *name, const char *help,
    const char *labels, size_t labels_len, unsigned n_labels, const double *v, unsigned n)
{
	static const char zeros[8];
	size_t name_len = strlen(name) + 1, help_len = strlen(help) + 1;
	size_t text = name_len + help_len + labels_len, pad = -text & 7;
	struct record r = {.size = (uint32_t)(sizeof(r) + text + pad + n * sizeof(*v)),
	    .text = (uint32_t)(text + pad),
	    .type = (uint16_t)type,
	    .n_labels = (uint16_t)n_labels,
	    .numbers = n};

	text_add(t, &r, sizeof(r));
	text_add(t, name, name_len);
	text_add(t, help, help_len);
	text_add(t, labels, labels_len);
	text_add(t, zeros, pad);
	text_add(t, v, n * sizeof(*v));
}

static unsigned read_value(const struct ss_metric *m, double *v)
{
	const ss_histogram *h = m->histogram;
	unsigned n = 0;

	if (m->type != SS_METRIC_HISTOGRAM) {
		v[0] = m->fn ? m->fn(m->arg) : m->counter ? (double)*m->counter : (double)*m->gauge;
		return 1;
	}
	v[n++] = h->sum;
	for (unsigned i = 0; i < h->n; i++)
		v[n++] = h->bound[i];
	for (unsigned i = 0; i <= h->n; i++)
		v[n++] = (double)h->count[i];
	return n;
}

static void snapshot(struct text *t)
{
	double v[2 * SS_HISTOGRAM_MAX + 2];

	for (const ss_metrics *g = groups[ss_shard_id()]; g; g = g->next) {
		for (const struct ss_metric *m = g->head; m; m = m->next) {
			unsigned n = read_value(m, v);

			snapshot_record(t, m->type, m->name, m->help, m->labels, m->labels_len,
			    m->n_labels, v, n);
		}
	}
	snapshot_core(t);
}

/* Collecting */

struct collect {
	struct ss_metrics_export how;
	ss_buf *out;
	char name[64];
	struct text text[]; /* of each shard */
};

SS_CONT(take_snapshot, struct text *text;)
{
	snapshot(self->text);
	return self->text->err ? ss_fail(self->text->err) : ss_ok(0);
}

SS_CONT(ask_shard, struct collect *c;)
{
	unsigned shard = (unsigned)r.i;

	return ss_smp_submit_to(shard, take_snapshot, &self->c->text[shard]);
}

static ss_future format(struct collect *c)
{
	struct text out = {0};

	metrics_format(&out, c->text, ss_smp_count(), &c->how);
	if (!out.err)
		out.err = ss_buf_wrap(c->out, out.p, out.n, ss_free, out.p);
	if (out.err) {
		ss_free(out.p);
		return ss_fail(out.err);
	}
	return ss_ok((int64_t)out.n);
}

SS_CONT(collected, struct collect *c;)
{
	struct collect *c = self->c;
	ss_future f = r.err ? ss_ready(r) : format(c);

	for (unsigned i = 0; i < ss_smp_count(); i++)
		ss_free(c->text[i].p);
	ss_free(c);
	return f;
}

ss_future ss_metrics_collect(const struct ss_metrics_export *how, ss_buf *out)
{
	unsigned n = ss_smp_count();
	struct collect *c = ss_zalloc(sizeof(*c) + n * sizeof(c->text[0]));

	*out = (ss_buf){NULL, 0, NULL};
	if (!c)
		return ss_fail(-ENOMEM);
	c->out = out;
	if (how) {
		c->how = *how;
		snprintf(c->name, sizeof(c->name), "%s", how->name ? how->name : "");
		c->how.name = c->name;
	}
	return ss_then_wrapped(ss_parallel_for_each(0, n, ask_shard, c), collected, c);
}
