/* SPDX-License-Identifier: BSD-3-Clause */
/* What a shard of the server consists of. */
#ifndef MC_SERVER_H
#define MC_SERVER_H

#include "session.h"

#include <seastar/metrics.h>
#include <seastar/seastar.h>

struct mc_conn;

struct mc_conn_stats {
	uint64_t current, total, rejected, bytes_read, bytes_written, yields, batches, remote;
};

struct mc_shard {
	struct mc_store store;
	struct mc_budget budget;
	struct mc_conn_stats conns;
	struct mc_conn *first; /* connections */
	ss_timer tick;
	ss_server *servers; /* one per address, and the UNIX socket's on shard 0 */
	unsigned n_servers;
	struct mc_udp *udp[MC_LISTEN_MAX];
	unsigned n_udp;
	uint64_t next_id;
	ss_metrics metrics;
	ss_http_server *http; /* shard 0: shows the metrics, or NULL */
};

extern ss_sharded mc_shards;

static inline struct mc_shard *mc_here(void)
{
	return ss_sharded_local(&mc_shards);
}

/* main.c: the addresses to listen on */
struct mc_address {
	ss_addr addr;
	bool udp;
};
extern struct mc_address mc_addresses[2 * MC_LISTEN_MAX + 2];
extern unsigned mc_n_addresses;

/* conn.c: serve a connection; the future is ready when it has ended. */
ss_future mc_serve(ss_conn *c, void *shard);
/* End all connections of this shard. */
void mc_conns_abort(struct mc_shard *sh);
/* Describe the connections of this shard (stats conns). */
void mc_conns_describe(struct mc_shard *sh, struct mc_out *o);

/* batch.c: run the batch of a session; replies go to its output in order. If requests are left
 * afterwards, send what there is and run it again. */
ss_future mc_batch_run(struct mc_session *s);
void mc_batch_free(struct mc_session *s);

/* special.c: run s->special; the reply goes to s->out. `drain` sends what has gathered. */
ss_future mc_special_run(struct mc_session *s, ss_future (*drain)(void *), void *arg);

/* stats.c */
struct mc_snapshot {
	struct mc_stats stats;
	struct mc_conn_stats conns;
	struct mc_class_stats cls[MC_CLASSES + 1];
	struct mc_class classes[MC_CLASSES + 1];
	uint32_t tail_time[MC_CLASSES + 1]; /* of the least recently used item */
	unsigned n_classes, hash_power;
	uint64_t items, bytes, pages_free, hash_bytes;
	uint32_t now;
	bool growing;
};
void mc_snapshot(struct mc_shard *sh, struct mc_snapshot *out);
/* Write the statistics called `what`; false if there are none of that name. */
bool mc_stats_write(
    const struct mc_special *sp, const struct mc_snapshot *snaps, unsigned n, struct mc_out *o);
/* One value in the protocol of the request. */
void mc_stat(const struct mc_special *sp, struct mc_out *o, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void mc_stats_end(const struct mc_special *sp, struct mc_out *o);
void mc_stats_reset(struct mc_shard *sh);

/* metrics.c: register this shard's counters; show them if -o metrics asks for it. */
int mc_metrics_register(struct mc_shard *sh);
ss_future mc_metrics_start(struct mc_shard *sh);
ss_future mc_metrics_stop(struct mc_shard *sh);

/* udp.c */
ss_future mc_udp_start(struct mc_shard *sh, const ss_addr *a);
ss_future mc_udp_stop(struct mc_shard *sh);

/* log to standard error if -v is at least `level` */
void mc_log(int level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

extern _Atomic uint64_t mc_connections; /* open, over all shards */

#endif
