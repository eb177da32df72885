/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The server's counters in the framework's registry, and -o metrics=ADDRESS, where shard 0 shows
 * them over HTTP (/metrics, Prometheus or JSON). The counters are those of `stats`, by shard.
 */
#include "server.h"

#include <seastar/http_server.h>
#include <seastar/metrics.h>

#include <stdio.h>

struct row {
	const char *name, *help;
	size_t offset; /* in struct mc_shard */
	enum ss_metric_type type;
};

#define COUNTER(field, name, help)                                                           \
	{                                                                                    \
		"memcached_" name, help, offsetof(struct mc_shard, field), SS_METRIC_COUNTER \
	}
#define GAUGE(field, name, help)                                                           \
	{                                                                                  \
		"memcached_" name, help, offsetof(struct mc_shard, field), SS_METRIC_GAUGE \
	}

static const struct row rows[] = {
    COUNTER(store.stats.cmd_get, "commands_get", "Keys asked for"),
    COUNTER(store.stats.cmd_set, "commands_set", "Values to be stored"),
    COUNTER(store.stats.cmd_touch, "commands_touch", "Expiry times to be changed"),
    COUNTER(store.stats.cmd_flush, "commands_flush", "Requests to drop everything"),
    COUNTER(store.stats.get_hits, "get_hits", "Keys found"),
    COUNTER(store.stats.get_misses, "get_misses", "Keys not found"),
    COUNTER(store.stats.delete_hits, "delete_hits", "Items deleted"),
    COUNTER(store.stats.evictions, "evictions", "Items given up for others"),
    COUNTER(store.stats.reclaimed, "reclaimed", "Expired items removed"),
    COUNTER(store.stats.total_items, "items_stored", "Items stored since the start"),
    GAUGE(store.items, "items", "Items held"),
    GAUGE(store.bytes, "item_bytes", "Bytes of the items held, as memcached counts them"),
    GAUGE(conns.current, "connections", "Connections open"),
    COUNTER(conns.total, "connections_accepted", "Connections accepted"),
    COUNTER(conns.rejected, "connections_rejected", "Connections refused for the limit"),
    COUNTER(conns.bytes_read, "bytes_read", "Bytes received"),
    COUNTER(conns.bytes_written, "bytes_written", "Bytes sent"),
    COUNTER(conns.batches, "cross_shard_batches", "Batches with keys of other shards"),
    COUNTER(conns.remote, "cross_shard_requests", "Requests for keys of other shards"),
};

static double read_number(void *arg)
{
	return (double)*(const uint64_t *)arg;
}

int mc_metrics_register(struct mc_shard *sh)
{
	int err = 0;

	for (size_t i = 0; !err && i < sizeof(rows) / sizeof(rows[0]); i++)
		err = ss_metrics_function(&sh->metrics, rows[i].type, rows[i].name, rows[i].help,
		    NULL, read_number, (char *)sh + rows[i].offset);
	return err;
}

SS_CONT(cannot_listen)
{
	fprintf(stderr, "failed to listen on %s for metrics: %s\n", mc_settings.metrics,
	    r.msg ? r.msg : strerror(-r.err));
	return ss_ready(r);
}

ss_future mc_metrics_start(struct mc_shard *sh)
{
	ss_listen_opts lo = {.reuse_address = true, .one_shard = true};
	ss_http_server_opts o = {.max_connections = 64};
	ss_addr a;

	if (!mc_settings.metrics || ss_shard_id())
		return ss_ok(0);
	if (ss_addr_parse(&a, mc_settings.metrics, 9150))
		return cannot_listen(NULL, (ss_result){.msg = "not an address", .err = -EINVAL});
	sh->http = ss_http_server_new(&o);
	if (!sh->http || ss_http_route(sh->http, "GET", "/metrics", ss_metrics_handler, NULL))
		return ss_fail(-ENOMEM);
	return ss_handle_error(ss_http_server_listen(sh->http, &a, &lo), cannot_listen);
}

ss_future mc_metrics_stop(struct mc_shard *sh)
{
	ss_http_server *http = sh->http;

	ss_metrics_clear(&sh->metrics);
	sh->http = NULL;
	return http ? ss_http_server_stop(http) : ss_ok(0);
}
