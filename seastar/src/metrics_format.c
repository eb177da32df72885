/* SPDX-License-Identifier: BSD-3-Clause */
/* Merging the snapshots of the shards and writing them as Prometheus text or JSON. */
#include "metrics.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const type_names[] = {"counter", "gauge", "histogram"};

/* A record of a shard, or the first of several that are one metric. */
struct item {
	const struct record *r;
	const char *name, *help, *labels;
	size_t labels_len;
	const double *v;
	unsigned shard;
};

static void open_record(struct item *it, const struct record *r, unsigned shard)
{
	const char *p = r->bytes;

	it->r = r;
	it->shard = shard;
	it->name = p;
	p += strlen(p) + 1;
	it->help = p;
	p += strlen(p) + 1;
	it->labels = p;
	for (unsigned i = 0; i < 2u * r->n_labels; i++)
		p += strlen(p) + 1;
	it->labels_len = (size_t)(p - it->labels);
	it->v = (const double *)(r->bytes + r->text);
}

static int compare_labels(const struct item *a, const struct item *b)
{
	size_t n = a->labels_len < b->labels_len ? a->labels_len : b->labels_len;
	int c = n ? memcmp(a->labels, b->labels, n) : 0;

	return c ? c : (a->labels_len > b->labels_len) - (a->labels_len < b->labels_len);
}

static int compare(const void *x, const void *y)
{
	const struct item *a = x, *b = y;
	int c = strcmp(a->name, b->name);

	if (!c)
		c = (a->r->type > b->r->type) - (a->r->type < b->r->type);
	if (!c)
		c = compare_labels(a, b);
	return c ? c : (a->shard > b->shard) - (a->shard < b->shard);
}

static bool wanted(const struct record *r, const struct ss_metrics_export *how)
{
	return !how->name || strncmp(r->bytes, how->name, strlen(how->name)) == 0;
}

/* All records of all shards that are wanted; the array is to be freed. */
static struct item *gather(
    const struct text *shards, unsigned n, const struct ss_metrics_export *how, size_t *count)
{
	struct item *v = NULL;

	for (int pass = 0; pass < 2; pass++) {
		*count = 0;
		for (unsigned s = 0; s < n; s++) {
			for (size_t at = 0; at < shards[s].n;) {
				const struct record *r = (const void *)(shards[s].p + at);

				at += r->size;
				if (!wanted(r, how))
					continue;
				if (pass)
					open_record(&v[*count], r, s);
				++*count;
			}
		}
		if (!pass) {
			v = ss_alloc((*count + 1) * sizeof(*v));
			if (!v)
				return NULL;
		}
	}
	return v;
}

/* Numbers */

static void put_number(struct text *t, double v, bool json)
{
	if (isnan(v) || isinf(v))
		text_printf(t, "%s", json ? "null" : isnan(v) ? "NaN" : v > 0 ? "+Inf" : "-Inf");
	else if (v == floor(v) && fabs(v) < 9007199254740992.0)
		text_printf(t, "%.0f", v);
	else
		text_printf(t, "%.10g", v);
}

/* Prometheus */

static void put_escaped(struct text *t, const char *s, bool quotes)
{
	for (; *s; s++) {
		if (*s == '\n')
			text_add(t, "\\n", 2);
		else if (*s == '\\' || (quotes && *s == '"'))
			text_printf(t, "\\%c", *s);
		else
			text_add(t, s, 1);
	}
}

/* The labels with braces; le is a bucket's bound or NULL. */
static void put_labels(struct text *t, const struct item *it, int shard, const char *le)
{
	const char *p = it->labels, *sep = "{";

	for (unsigned i = 0; i < it->r->n_labels; i++, sep = ",") {
		text_printf(t, "%s%s=\"", sep, p);
		p += strlen(p) + 1;
		put_escaped(t, p, true);
		text_add(t, "\"", 1);
		p += strlen(p) + 1;
	}
	if (shard >= 0) {
		text_printf(t, "%sshard=\"%d\"", sep, shard);
		sep = ",";
	}
	if (le) {
		text_printf(t, "%sle=\"%s\"", sep, le);
		sep = ",";
	}
	if (*sep == ',')
		text_add(t, "}", 1);
	text_add(t, " ", 1);
}

static unsigned buckets(const struct item *it)
{
	return (it->r->numbers - 2) / 2;
}

static void put_histogram(struct text *t, const struct item *it, int shard, const double *v)
{
	unsigned n = buckets(it);
	double below = 0;
	char le[32];

	for (unsigned i = 0; i <= n; i++) {
		below += v[1 + n + i];
		if (i < n)
			snprintf(le, sizeof(le), "%.10g", v[1 + i]);
		text_printf(t, "%s_bucket", it->name);
		put_labels(t, it, shard, i < n ? le : "+Inf");
		text_printf(t, "%.0f\n", below);
	}
	text_printf(t, "%s_sum", it->name);
	put_labels(t, it, shard, NULL);
	put_number(t, v[0], false);
	text_printf(t, "\n%s_count", it->name);
	put_labels(t, it, shard, NULL);
	text_printf(t, "%.0f\n", below);
}

static void prometheus_head(struct text *t, const struct item *it)
{
	text_printf(t, "# HELP %s ", it->name);
	put_escaped(t, it->help, false);
	text_printf(t, "\n# TYPE %s %s\n", it->name, type_names[it->r->type]);
}

static void prometheus_sample(struct text *t, const struct item *it, int shard, const double *v)
{
	if (it->r->type == SS_METRIC_HISTOGRAM) {
		put_histogram(t, it, shard, v);
		return;
	}
	text_printf(t, "%s", it->name);
	put_labels(t, it, shard, NULL);
	put_number(t, v[0], false);
	text_add(t, "\n", 1);
}

/* JSON */

static void put_json(struct text *t, const char *s)
{
	ss_str all = {s, strlen(s)};
	size_t n = ss_json_quote(NULL, 0, all);
	char *out = ss_alloc(n + 1);

	if (!out) {
		t->err = -ENOMEM;
		return;
	}
	ss_json_quote(out, n + 1, all);
	text_add(t, out, n);
	ss_free(out);
}

static void json_head(struct text *t, const struct item *it, bool first)
{
	text_printf(t, "%s\n{\"name\": \"%s\", \"type\": \"%s\", \"help\": ", first ? "" : "]},",
	    it->name, type_names[it->r->type]);
	put_json(t, it->help);
	text_printf(t, ", \"samples\": [");
}

static void json_sample(
    struct text *t, const struct item *it, int shard, const double *v, bool first)
{
	const char *p = it->labels, *sep = "";
	unsigned n;

	text_printf(t, "%s{\"labels\": {", first ? "" : ", ");
	for (unsigned i = 0; i < it->r->n_labels; i++, sep = ", ") {
		text_printf(t, "%s\"%s\": ", sep, p);
		p += strlen(p) + 1;
		put_json(t, p);
		p += strlen(p) + 1;
	}
	if (shard >= 0)
		text_printf(t, "%s\"shard\": \"%d\"", sep, shard);
	text_printf(t, "}, ");
	if (it->r->type != SS_METRIC_HISTOGRAM) {
		text_printf(t, "\"value\": ");
		put_number(t, v[0], true);
		text_add(t, "}", 1);
		return;
	}
	n = buckets(it);
	text_printf(t, "\"sum\": ");
	put_number(t, v[0], true);
	text_printf(t, ", \"buckets\": [");
	for (unsigned i = 0; i <= n; i++) {
		text_printf(t, "%s{\"le\": ", i ? ", " : "");
		put_number(t, i < n ? v[1 + i] : INFINITY, true);
		text_printf(t, ", \"count\": %.0f}", v[1 + n + i]);
	}
	text_printf(t, "]}");
}

/* Merging */

/* Histograms add up only if their bounds are the same. */
static bool one_metric(const struct item *a, const struct item *b)
{
	size_t n;

	if (strcmp(a->name, b->name) != 0 || a->r->type != b->r->type ||
	    compare_labels(a, b) != 0 || a->r->numbers != b->r->numbers)
		return false;
	n = a->r->type == SS_METRIC_HISTOGRAM ? buckets(a) : 0;
	return memcmp(a->v + 1, b->v + 1, n * sizeof(double)) == 0;
}

static void add_up(double *sum, const struct item *it)
{
	unsigned bounds = it->r->type == SS_METRIC_HISTOGRAM ? buckets(it) : 0;

	sum[0] += it->v[0];
	for (unsigned i = 1 + bounds; i < it->r->numbers; i++)
		sum[i] += it->v[i];
}

void metrics_format(
    struct text *out, const struct text *shards, unsigned n, const struct ss_metrics_export *how)
{
	double sum[2 * SS_HISTOGRAM_MAX + 2];
	size_t count, k;
	struct item *v = gather(shards, n, how, &count);
	const struct item *family = NULL;

	if (!v) {
		out->err = -ENOMEM;
		return;
	}
	qsort(v, count, sizeof(*v), compare);
	if (how->json)
		text_printf(out, "{\"metrics\": [");
	for (size_t i = 0; i < count; i = k) {
		bool new = !family || strcmp(family->name, v[i].name) != 0;
		int shard = how->shards ? (int)v[i].shard : -1;

		memcpy(sum, v[i].v, v[i].r->numbers * sizeof(*sum));
		for (k = i + 1; !how->shards && k < count && one_metric(&v[i], &v[k]); k++)
			add_up(sum, &v[k]);
		if (how->json) {
			if (new)
				json_head(out, &v[i], !family);
			json_sample(out, &v[i], shard, sum, new);
		} else {
			if (new)
				prometheus_head(out, &v[i]);
			prometheus_sample(out, &v[i], shard, sum);
		}
		family = &v[i];
	}
	if (how->json)
		text_printf(out, "%s\n]}\n", family ? "]}" : "");
	ss_free(v);
}
