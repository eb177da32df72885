/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Metrics: named numbers that a program shows to its operators. Each shard has a registry of its
 * own; an export adds up the shards. The framework's own metrics are always there (reactor_,
 * memory_, smp_, network_, scheduler_ and io_queue_).
 *
 *     static ss_metrics group;
 *     ss_metrics_counter(&group, "cache_hits", "Lookups that found something", NULL, &cache->hits);
 *     ...
 *     ss_http_route(server, "GET", "/metrics", ss_metrics_handler, NULL);
 */
#ifndef SEASTAR_METRICS_H
#define SEASTAR_METRICS_H

#include <seastar/http_server.h>
#include <seastar/stream.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What kind of number a metric is. */
enum ss_metric_type {
	SS_METRIC_COUNTER,   /**< Only grows; shards are added up. */
	SS_METRIC_GAUGE,     /**< Goes up and down; shards are added up. */
	SS_METRIC_HISTOGRAM, /**< Distribution of many numbers. */
};

/** A label: what tells metrics of one name apart. */
typedef struct ss_label {
	const char *name;  /**< Letters, digits and underscores; NULL ends a list. */
	const char *value; /**< Any text. */
} ss_label;

/** The metrics of one owner. Zero-initialise; one shard's; must not move while it has metrics. */
typedef struct ss_metrics {
	struct ss_metric *head;	 /**< Its metrics. */
	struct ss_metrics *next; /**< In the shard's list. */
	struct ss_metrics *prev; /**< In the shard's list. */
} ss_metrics;

#define SS_HISTOGRAM_MAX 40 /**< Most buckets of a histogram. */

/** A histogram. One shard's. */
typedef struct ss_histogram {
	unsigned n;			      /**< Buckets with an upper bound. */
	double bound[SS_HISTOGRAM_MAX];	      /**< Upper bounds, growing. */
	uint64_t count[SS_HISTOGRAM_MAX + 1]; /**< Numbers up to each bound, and those above. */
	double sum;			      /**< Of all numbers. */
} ss_histogram;

/**
 * Prepare a histogram whose first bucket goes up to @p first and each further one to @p factor
 * times as much.
 * @return 0, or -EINVAL unless first > 0, factor > 1 and 1 <= n <= SS_HISTOGRAM_MAX.
 */
int ss_histogram_init(ss_histogram *h, double first, double factor, unsigned n);

/** Count a number. */
void ss_histogram_add(ss_histogram *h, double v);

/** The value below which the share @p q (0 to 1) of the numbers lies, by interpolation. */
double ss_histogram_quantile(const ss_histogram *h, double q);

/**
 * Register a metric that is read from @p value when it is exported.
 * @param group   owner.
 * @param name    letters, digits and underscores, not beginning with a digit; copied.
 * @param help    one line; copied.
 * @param labels  ended by a NULL name, or NULL; copied.
 * @param value   must live as long as the group has it.
 * @return 0; -ENOMEM; -EINVAL for a bad name; -EEXIST if the shard has this name with these labels,
 *         or this name with another type.
 */
int ss_metrics_counter(ss_metrics *group, const char *name, const char *help,
    const ss_label *labels, const uint64_t *value);

/** As ss_metrics_counter(), for a number that goes up and down. */
int ss_metrics_gauge(ss_metrics *group, const char *name, const char *help, const ss_label *labels,
    const int64_t *value);

/** As ss_metrics_counter(), for a distribution. */
int ss_metrics_histogram(ss_metrics *group, const char *name, const char *help,
    const ss_label *labels, const ss_histogram *h);

/** As ss_metrics_counter(), for what @p fn(@p arg) returns (counter or gauge). */
int ss_metrics_function(ss_metrics *group, enum ss_metric_type type, const char *name,
    const char *help, const ss_label *labels, double (*fn)(void *arg), void *arg);

/** Remove all metrics of a group. */
void ss_metrics_clear(ss_metrics *group);

/** How to export. */
struct ss_metrics_export {
	bool json;	  /**< JSON; else Prometheus text (version 0.0.4). */
	bool shards;	  /**< Each shard by itself, with the label "shard", not the sum. */
	const char *name; /**< Only metrics whose name begins so; NULL for all. */
};

/**
 * Collect the metrics of all shards.
 * @param how  format; NULL for all metrics as Prometheus text. Copied.
 * @param out  gets the text; must live until the future is ready.
 */
SS_MUST_USE ss_future ss_metrics_collect(const struct ss_metrics_export *how, ss_buf *out);

/**
 * HTTP handler that replies with the metrics. Query: format=json (or an Accept field with
 * application/json), shards=1, name=prefix.
 */
ss_future ss_metrics_handler(ss_http_req *q, void *arg);

/**
 * Register what @p s did: http_requests, http_responses (label "status": "2xx" ...),
 * http_connections, http_connections_accepted, http_connections_rejected, http_bad_requests and
 * http_timeouts. @p group must be cleared before the server stops.
 * @return 0 or the error of ss_metrics_counter().
 */
int ss_http_server_metrics(ss_http_server *s, ss_metrics *group);

#ifdef __cplusplus
}
#endif
#endif
