/* SPDX-License-Identifier: BSD-3-Clause */
/* Statistics: each shard copies its counters, the asking one adds and writes them. */
#include "server.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

typedef unsigned long long ull;

void mc_snapshot(struct mc_shard *sh, struct mc_snapshot *out)
{
	const struct mc_store *st = &sh->store;

	*out = (struct mc_snapshot){.stats = st->stats,
	    .conns = sh->conns,
	    .n_classes = st->slab.n_classes,
	    .hash_power = st->power,
	    .items = st->items,
	    .bytes = st->bytes,
	    .pages_free = st->slab.n_free,
	    .hash_bytes = (UINT64_C(4) << st->power) + (st->old ? UINT64_C(4) << st->old_power : 0),
	    .now = st->now,
	    .growing = st->old != NULL};
	memcpy(out->cls, st->cls, sizeof(out->cls));
	memcpy(out->classes, st->slab.classes, sizeof(out->classes));
	for (unsigned i = 1; i <= st->slab.n_classes; i++) {
		const struct mc_item *it =
		    st->lru[i].tail ? mc_slab_at(&st->slab, st->lru[i].tail) : NULL;

		out->tail_time[i] = it ? it->time : st->now;
	}
}

void mc_stats_reset(struct mc_shard *sh)
{
	struct mc_store *st = &sh->store;

	memset(&st->stats, 0, sizeof(st->stats));
	for (unsigned i = 0; i <= MC_CLASSES; i++) {
		uint64_t items = st->cls[i].items, requested = st->cls[i].requested;

		memset(&st->cls[i], 0, sizeof(st->cls[i]));
		st->cls[i].items = items;
		st->cls[i].requested = requested;
	}
	sh->conns.total = sh->conns.rejected = 0;
	sh->conns.bytes_read = sh->conns.bytes_written = sh->conns.yields = 0;
}

static void binary_head(const struct mc_special *sp, struct mc_out *o, size_t nkey, size_t body)
{
	char h[24] = {(char)0x81, (char)sp->opcode, (char)(nkey >> 8), (char)nkey};

	for (int i = 0; i < 4; i++) {
		h[8 + i] = (char)(body >> (24 - 8 * i));
		h[12 + i] = (char)(sp->opaque >> (24 - 8 * i));
	}
	mc_put(o, h, sizeof(h));
}

void mc_stat(const struct mc_special *sp, struct mc_out *o, const char *name, const char *fmt, ...)
{
	char value[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	if (sp->proto == MC_BINARY) {
		size_t k = strlen(name), v = strlen(value);

		binary_head(sp, o, k, k + v);
		mc_put(o, name, k);
		mc_put(o, value, v);
	} else {
		mc_printf(o, "STAT %s %s\r\n", name, value);
	}
}

void mc_stats_end(const struct mc_special *sp, struct mc_out *o)
{
	if (sp->proto == MC_BINARY)
		binary_head(sp, o, 0, 0);
	else
		mc_puts(o, "END\r\n");
}

static void add(void *to, const void *from, size_t bytes)
{
	uint64_t *a = to;
	const uint64_t *b = from;

	for (size_t i = 0; i < bytes / sizeof(*a); i++)
		a[i] += b[i];
}

static void sum_up(struct mc_snapshot *t, const struct mc_snapshot *snaps, unsigned n)
{
	*t = snaps[0];
	for (unsigned i = 1; i < n; i++) {
		const struct mc_snapshot *s = &snaps[i];

		add(&t->stats, &s->stats, sizeof(t->stats));
		add(&t->conns, &s->conns, sizeof(t->conns));
		add(t->cls, s->cls, sizeof(t->cls));
		for (unsigned c = 1; c <= t->n_classes; c++) {
			t->classes[c].pages += s->classes[c].pages;
			t->classes[c].used += s->classes[c].used;
			if (s->tail_time[c] < t->tail_time[c])
				t->tail_time[c] = s->tail_time[c];
		}
		t->items += s->items;
		t->bytes += s->bytes;
		t->pages_free += s->pages_free;
		t->hash_bytes += s->hash_bytes;
		t->growing |= s->growing;
		if (s->hash_power > t->hash_power)
			t->hash_power = s->hash_power;
	}
}

#define N(name, value) mc_stat(sp, o, name, "%llu", (ull)(value))
#define T(name, value) mc_stat(sp, o, name, "%s", (value))
#define YES(name, value) T(name, (value) ? "yes" : "no")

static void process(const struct mc_special *sp, const struct mc_snapshot *t, struct mc_out *o)
{
	struct rusage ru;

	getrusage(RUSAGE_SELF, &ru);
	N("pid", getpid());
	N("uptime", t->now - MC_TIME_START);
	N("time", mc_settings.started + t->now);
	T("version", MC_VERSION);
	N("pointer_size", sizeof(void *) * 8);
	mc_stat(
	    sp, o, "rusage_user", "%ld.%06ld", (long)ru.ru_utime.tv_sec, (long)ru.ru_utime.tv_usec);
	mc_stat(sp, o, "rusage_system", "%ld.%06ld", (long)ru.ru_stime.tv_sec,
	    (long)ru.ru_stime.tv_usec);
	N("max_connections", mc_settings.connections);
	N("curr_connections", t->conns.current);
	N("total_connections", t->conns.total);
	N("rejected_connections", t->conns.rejected);
}

static void commands(const struct mc_special *sp, const struct mc_snapshot *t, struct mc_out *o)
{
	const struct mc_stats *s = &t->stats;

	N("cmd_get", s->cmd_get);
	N("cmd_set", s->cmd_set);
	N("cmd_flush", s->cmd_flush);
	N("cmd_touch", s->cmd_touch);
	N("cmd_meta", s->cmd_meta);
	N("get_hits", s->get_hits);
	N("get_misses", s->get_misses);
	N("get_expired", s->get_expired);
	N("get_flushed", s->get_flushed);
	N("delete_misses", s->delete_misses);
	N("delete_hits", s->delete_hits);
	N("incr_misses", s->incr_misses);
	N("incr_hits", s->incr_hits);
	N("decr_misses", s->decr_misses);
	N("decr_hits", s->decr_hits);
	N("cas_misses", s->cas_misses);
	N("cas_hits", s->cas_hits);
	N("cas_badval", s->cas_badval);
	N("touch_hits", s->touch_hits);
	N("touch_misses", s->touch_misses);
	N("store_too_large", s->store_too_large);
	N("store_no_memory", s->store_no_memory);
	N("auth_cmds", 0);
	N("auth_errors", 0);
}

static void general(const struct mc_special *sp, const struct mc_snapshot *t, struct mc_out *o)
{
	const struct mc_stats *s = &t->stats;
	uint64_t malloced = 0;

	process(sp, t, o);
	commands(sp, t, o);
	N("bytes_read", t->conns.bytes_read);
	N("bytes_written", t->conns.bytes_written);
	N("limit_maxbytes", mc_settings.bytes);
	N("accepting_conns", 1);
	N("threads", mc_settings.threads);
	N("conn_yields", t->conns.yields);
	N("cross_shard_batches", t->conns.batches);
	N("cross_shard_requests", t->conns.remote);
	N("hash_power_level", t->hash_power);
	N("hash_bytes", t->hash_bytes);
	N("hash_is_expanding", t->growing);
	N("slabs_moved", s->slabs_moved);
	N("bytes", t->bytes);
	N("curr_items", t->items);
	N("total_items", s->total_items);
	N("slab_global_page_pool", t->pages_free);
	N("expired_unfetched", s->expired_unfetched);
	N("evicted_unfetched", s->evicted_unfetched);
	N("evicted_active", s->evicted_active);
	N("evictions", s->evictions);
	N("reclaimed", s->reclaimed);
	N("crawler_reclaimed", s->crawler_reclaimed);
	N("crawler_items_checked", s->crawler_checked);
	N("direct_reclaims", s->direct_reclaims);
	for (unsigned i = 1; i <= t->n_classes; i++)
		malloced += (uint64_t)t->classes[i].pages * MC_PAGE;
	N("total_malloced", malloced);
}

static void settings(const struct mc_special *sp, struct mc_out *o)
{
	const struct mc_settings *m = &mc_settings;
	static const char *const protocols[] = {"auto-negotiate", "ascii", "binary"};

	N("maxbytes", m->bytes);
	N("maxconns", m->connections);
	N("tcpport", m->port);
	N("udpport", m->udp_port);
	T("inter", m->n_listen ? m->listen[0] : "NULL");
	N("verbosity", m->verbose);
	N("oldest", 0);
	T("evictions", m->evict ? "on" : "off");
	T("domain_socket", m->socket ? m->socket : "NULL");
	mc_stat(sp, o, "umask", "%o", (unsigned)m->socket_mode);
	YES("shutdown_command", m->shutdown);
	mc_stat(sp, o, "growth_factor", "%.2f", m->factor);
	N("chunk_size", m->smallest);
	N("num_threads", m->threads);
	N("num_threads_per_udp", m->threads);
	T("detail_enabled", "no");
	N("reqs_per_event", m->requests_per_event);
	YES("cas_enabled", m->cas);
	N("tcp_backlog", m->backlog);
	T("binding_protocol", protocols[m->protocol]);
	T("auth_enabled_sasl", "no");
	T("auth_enabled_ascii", "no");
	N("item_size_max", m->item_max);
	YES("maxconns_fast", m->maxconns_fast);
	N("hashpower_init", m->hash_power);
	T("slab_reassign", "yes");
	N("slab_automove", 1);
	N("slab_chunk_max", MC_SLOT_MAX);
	YES("lru_crawler", m->crawler);
	YES("flush_enabled", m->flush);
	YES("dump_enabled", m->dump);
	T("hash_algorithm", "mum");
	N("idle_timeout", m->idle_timeout);
	T("ssl_enabled", "no");
}

static void named(const struct mc_special *sp, struct mc_out *o, const char *prefix, unsigned cls,
    const char *name, uint64_t v)
{
	char full[80];

	snprintf(full, sizeof(full), "%s%u:%s", prefix, cls, name);
	N(full, v);
}

static void items(const struct mc_special *sp, const struct mc_snapshot *t, struct mc_out *o)
{
	for (unsigned i = 1; i <= t->n_classes; i++) {
		const struct mc_class_stats *c = &t->cls[i];

		if (!c->items && !c->evicted && !c->reclaimed)
			continue;
#define I(name, value) named(sp, o, "items:", i, name, (value))
		I("number", c->items);
		I("number_hot", 0);
		I("number_warm", 0);
		I("number_cold", c->items);
		I("age_hot", 0);
		I("age_warm", 0);
		I("age", c->items ? t->now - t->tail_time[i] : 0);
		I("mem_requested", c->requested);
		I("evicted", c->evicted);
		I("evicted_nonzero", c->evicted_nonzero);
		I("evicted_time", c->evicted_time);
		I("outofmemory", c->outofmemory);
		I("tailrepairs", 0);
		I("reclaimed", c->reclaimed);
		I("expired_unfetched", c->expired_unfetched);
		I("evicted_unfetched", c->evicted_unfetched);
		I("evicted_active", c->evicted_active);
		I("pages_moved", c->moved);
	}
}

static void slabs(const struct mc_special *sp, const struct mc_snapshot *t, struct mc_out *o)
{
	uint64_t malloced = 0;
	unsigned active = 0;

	for (unsigned i = 1; i <= t->n_classes; i++) {
		const struct mc_class *k = &t->classes[i];
		const struct mc_class_stats *c = &t->cls[i];
		uint64_t chunks = (uint64_t)k->pages * k->per_page;

		if (!k->pages)
			continue;
		active++;
		malloced += (uint64_t)k->pages * MC_PAGE;
#define K(name, value) named(sp, o, "", i, name, (value))
		K("chunk_size", k->size);
		K("chunks_per_page", k->per_page);
		K("total_pages", k->pages);
		K("total_chunks", chunks);
		K("used_chunks", k->used);
		K("free_chunks", chunks > k->used ? chunks - k->used : 0);
		K("free_chunks_end", 0);
		K("get_hits", c->get_hits);
		K("cmd_set", c->cmd_set);
		K("delete_hits", c->delete_hits);
		K("incr_hits", c->incr_hits);
		K("decr_hits", c->decr_hits);
		K("cas_hits", c->cas_hits);
		K("cas_badval", c->cas_badval);
		K("touch_hits", c->touch_hits);
	}
	N("active_slabs", active);
	N("total_malloced", malloced);
}

/* Items by class, as sizes: the classes are finer than stock's. */
static void sizes(const struct mc_special *sp, const struct mc_snapshot *t, struct mc_out *o)
{
	for (unsigned i = 1; i <= t->n_classes; i++) {
		char name[24];

		if (!t->cls[i].items)
			continue;
		snprintf(name, sizeof(name), "%u", t->classes[i].size);
		N(name, t->cls[i].items);
	}
}

bool mc_stats_write(
    const struct mc_special *sp, const struct mc_snapshot *snaps, unsigned n, struct mc_out *o)
{
	struct mc_snapshot *t = ss_alloc(sizeof(*t));
	bool known = true;

	if (!t) {
		o->failed = true;
		return true;
	}
	sum_up(t, snaps, n);
	if (!sp->arg[0])
		general(sp, t, o);
	else if (strcmp(sp->arg, "settings") == 0)
		settings(sp, o);
	else if (strcmp(sp->arg, "items") == 0)
		items(sp, t, o);
	else if (strcmp(sp->arg, "slabs") == 0)
		slabs(sp, t, o);
	else if (strcmp(sp->arg, "sizes") == 0)
		sizes(sp, t, o);
	else
		known = false;
	ss_free(t);
	if (known)
		mc_stats_end(sp, o);
	return known;
}
