/* SPDX-License-Identifier: BSD-3-Clause */
/* The handler of /metrics, and the metrics of a server. */
#include "server.h"

#include <seastar/metrics.h>

SS_CONT(collected, ss_http_req *q; ss_buf * text; bool json;)
{
	return ss_http_reply_buf(self->q, 200,
	    self->json ? "application/json" : "text/plain; version=0.0.4; charset=utf-8",
	    self->text);
}

ss_future ss_metrics_handler(ss_http_req *q, void *arg)
{
	const char *format = ss_http_query(q, "format");
	struct ss_metrics_export how = {
	    .json = format ? strcmp(format, "json") == 0
			   : ss_http_has_token(ss_http_field_of(q, "Accept"), "application/json"),
	    .shards = ss_http_arg_flag(q, "shards", false),
	    .name = ss_http_query(q, "name"),
	};
	ss_buf *text = ss_http_alloc(q, sizeof(*text));

	(void)arg;
	if (!text)
		return ss_fail(-ENOMEM);
	return ss_then(ss_metrics_collect(&how, text), collected, q, text, how.json);
}

static double open_now(void *arg)
{
	return (double)((ss_http_server *)arg)->n_conns;
}

static double rejected(void *arg)
{
	struct ss_http_stats st;

	ss_http_server_stats(arg, &st);
	return (double)st.rejected;
}

static int add_statuses(ss_http_server *s, ss_metrics *group)
{
	static const char *const names[] = {"1xx", "2xx", "3xx", "4xx", "5xx"};
	int err = 0;

	for (int i = 0; i < 5 && !err; i++) {
		ss_label label[] = {{"status", names[i]}, {NULL}};

		err = ss_metrics_counter(
		    group, "http_responses", "Replies by status", label, &s->stats.status[i + 1]);
	}
	return err;
}

int ss_http_server_metrics(ss_http_server *s, ss_metrics *group)
{
	const struct {
		const char *name, *help;
		const uint64_t *value;
	} counters[] = {
	    {"http_requests", "Requests understood", &s->stats.requests},
	    {"http_bad_requests", "Requests not understood", &s->stats.bad},
	    {"http_timeouts", "Connections ended for a time limit", &s->stats.timeouts},
	    {"http_connections_accepted", "Connections accepted", &s->stats.connections},
	};
	int err = add_statuses(s, group);

	for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]) && !err; i++)
		err = ss_metrics_counter(
		    group, counters[i].name, counters[i].help, NULL, counters[i].value);
	if (!err)
		err = ss_metrics_function(group, SS_METRIC_GAUGE, "http_connections",
		    "Connections that are open", NULL, open_now, s);
	if (!err)
		err = ss_metrics_function(group, SS_METRIC_COUNTER, "http_connections_rejected",
		    "Connections closed for the limit", NULL, rejected, s);
	return err;
}
