/* SPDX-License-Identifier: BSD-3-Clause */
/* Commands that concern every shard: statistics, flush_all, dumps, the memory limit, shutdown. */
#include "server.h"

#include <stdio.h>

#define DUMP_PART (32 * 1024)

/* stats */

SS_CONT(snapshot_one, struct mc_snapshot *all;)
{
	mc_snapshot(mc_here(), &self->all[ss_shard_id()]);
	return ss_ok(0);
}

static void unknown_stats(struct mc_session *s)
{
	if (s->special.proto == MC_BINARY) {
		char h[24] = {(char)0x81, (char)s->special.opcode, [7] = 1, [11] = 9};

		for (int i = 0; i < 4; i++)
			h[12 + i] = (char)(s->special.opaque >> (24 - 8 * i));
		mc_put(s->out, h, sizeof(h));
		mc_puts(s->out, "Not found");
	} else {
		mc_puts(s->out, "ERROR\r\n");
	}
}

SS_CONT(snapshots_taken, struct mc_session *s; struct mc_snapshot * all;)
{
	if (r.err)
		self->s->out->failed = true;
	else if (!mc_stats_write(&self->s->special, self->all, ss_smp_count(), self->s->out))
		unknown_stats(self->s);
	ss_free(self->all);
	return ss_ok(0);
}

static ss_future failed(struct mc_session *s)
{
	s->out->failed = true;
	return ss_ok(0);
}

static ss_future gather(struct mc_session *s)
{
	struct mc_snapshot *all = ss_alloc(ss_smp_count() * sizeof(*all));

	if (!all)
		return failed(s);
	return ss_then_wrapped(ss_smp_invoke_on_all(snapshot_one, all), snapshots_taken, s, all);
}

/* The same on every shard, then a fixed reply. */

SS_CONT(replied, struct mc_session *s; const char *text;)
{
	struct mc_special *sp = &self->s->special;

	if (sp->quiet)
		return ss_ok(0);
	if (sp->proto == MC_BINARY)
		mc_stats_end(sp, self->s->out); /* a header without a body */
	else
		mc_puts(self->s->out, self->text);
	return ss_ok(0);
}

SS_CONT(reset_one)
{
	mc_stats_reset(mc_here());
	return ss_ok(0);
}

SS_CONT(flush_one, uint32_t when; unsigned home;)
{
	struct mc_shard *sh = mc_here();

	sh->store.stats.cmd_flush += ss_shard_id() == self->home;
	mc_store_flush(&sh->store, self->when);
	return ss_ok(0);
}

SS_CONT(limit_one, uint64_t bytes;)
{
	mc_slab_set_limit(&mc_here()->store.slab, self->bytes);
	return ss_ok(0);
}

static ss_future set_limit(struct mc_session *s)
{
	uint64_t n = s->special.number;

	/* The arena was reserved at the start: it can only become smaller. */
	if (n > mc_settings.bytes) {
		if (!s->special.quiet)
			mc_puts(
			    s->out, "MEMLIMIT_ADJUST_FAILED out of bounds or unable to adjust\r\n");
		return ss_ok(0);
	}
	return ss_then(ss_smp_invoke_on_all(limit_one, n / ss_smp_count()), replied, s, "OK\r\n");
}

/* Description of connections: text is gathered on each shard in turn. */

struct gather {
	struct mc_session *s;
	struct mc_outbuf *bufs;
};

SS_CONT(describe_one, struct mc_outbuf *bufs;)
{
	struct mc_outbuf *b = &self->bufs[ss_shard_id()];

	mc_outbuf_init(b, 4 << 20);
	mc_conns_describe(mc_here(), &b->out);
	return ss_ok(0);
}

SS_CONT(described, struct mc_session *s; struct mc_outbuf * bufs;)
{
	for (unsigned i = 0; i < ss_smp_count(); i++) {
		mc_put(self->s->out, self->bufs[i].start, mc_outbuf_len(&self->bufs[i]));
		mc_outbuf_free(&self->bufs[i]);
	}
	mc_puts(self->s->out, "END\r\n");
	ss_free(self->bufs);
	return ss_ok(0);
}

static ss_future describe(struct mc_session *s)
{
	struct mc_outbuf *bufs = ss_zalloc(ss_smp_count() * sizeof(*bufs));

	if (!bufs)
		return failed(s);
	return ss_then_wrapped(ss_smp_invoke_on_all(describe_one, bufs), described, s, bufs);
}

/* Dumps: page by page, shard by shard, with the output sent in between. */

struct dump {
	struct mc_session *s;
	ss_future (*drain)(void *);
	void *arg;
	struct mc_outbuf buf;
	unsigned shard, cls;
	uint32_t page, slot;
	uint64_t left; /* items still wanted */
	bool over;     /* of this shard */
};

static void dump_key(struct mc_out *o, const struct mc_item *it)
{
	for (unsigned i = 0; i < it->nkey; i++) {
		unsigned char c = (unsigned char)it->data[i];

		if (c > ' ' && c < 127 && c != '%')
			mc_put(o, (const char *)&c, 1);
		else
			mc_printf(o, "%%%02X", c);
	}
}

static void dump_item(struct dump *d, const struct mc_store *st, const struct mc_item *it)
{
	struct mc_out *o = &d->buf.out;
	long long exp = it->exptime ? (long long)it->exptime + mc_settings.started : -1;

	if (d->cls) {
		mc_printf(o, "ITEM %.*s [%u b; %lld s]\r\n", it->nkey, it->data, it->size,
		    it->exptime ? exp : 0);
		return;
	}
	mc_puts(o, "key=");
	dump_key(o, it);
	mc_printf(o, " exp=%lld la=%lld cas=%llu fetch=%s cls=%u size=%llu\r\n", exp,
	    (long long)it->time + mc_settings.started, (unsigned long long)it->cas,
	    it->flags & MC_IT_FETCHED ? "yes" : "no", it->cls,
	    (unsigned long long)mc_item_bytes(st, it));
}

static void dump_some(struct dump *d)
{
	struct mc_store *st = &mc_here()->store;
	const struct mc_slab *sl = &st->slab;

	for (; d->page < sl->fresh && d->left; d->page++, d->slot = 0) {
		const struct mc_page *pg = &sl->pages[d->page];

		if (!pg->cls || (d->cls && pg->cls != d->cls))
			continue;
		for (; d->slot < pg->cut && d->left; d->slot++) {
			const struct mc_item *it =
			    mc_slab_at(sl, mc_slab_slot(sl, d->page, d->slot));

			if (!(it->flags & MC_IT_LINKED) ||
			    (st->oldest_cas && it->cas <= st->oldest_cas) ||
			    (it->exptime && it->exptime <= st->now))
				continue;
			if (mc_outbuf_len(&d->buf) > DUMP_PART)
				return;
			dump_item(d, st, it);
			d->left--;
		}
	}
	d->over = true;
}

SS_CONT(dump_part, struct dump *d;)
{
	dump_some(self->d);
	return ss_ok(0);
}

SS_CONT(dump_sent)
{
	return SS_AGAIN;
}

SS_CONT(dump_written, struct dump *d;)
{
	struct dump *d = self->d;

	mc_put(d->s->out, d->buf.start, mc_outbuf_len(&d->buf));
	mc_outbuf_free(&d->buf);
	if (d->over) {
		d->over = false;
		d->page = d->slot = 0;
		d->shard++;
	}
	return ss_then(d->drain(d->arg), dump_sent);
}

SS_CONT(dump_step, struct dump *d;)
{
	struct dump *d = self->d;

	if (d->shard == ss_smp_count() || !d->left || d->s->out->failed)
		return SS_STOP;
	return ss_then(ss_smp_submit_to(d->shard, dump_part, d), dump_written, d);
}

SS_CONT(dump_end, struct dump *d;)
{
	struct dump *d = self->d;

	mc_puts(d->s->out, "END\r\n");
	mc_outbuf_free(&d->buf);
	ss_free(d);
	return r.err ? ss_ready(r) : ss_ok(0);
}

static ss_future dump(
    struct mc_session *s, unsigned cls, uint64_t most, ss_future (*drain)(void *), void *arg)
{
	struct dump *d = ss_zalloc(sizeof(*d));

	if (!d)
		return failed(s);
	*d = (struct dump){.s = s, .drain = drain, .arg = arg, .cls = cls, .left = most};
	mc_outbuf_init(&d->buf, 1 << 20);
	return ss_then_wrapped(ss_repeat(dump_step, d), dump_end, d);
}

static ss_future cachedump(struct mc_session *s, ss_future (*drain)(void *), void *arg)
{
	unsigned cls = 0, most = 0;

	if (!mc_settings.dump) {
		mc_puts(s->out, "CLIENT_ERROR stats cachedump not allowed\r\n");
		return ss_ok(0);
	}
	if (sscanf(s->special.arg, "cachedump %u %u", &cls, &most) != 2) {
		mc_puts(s->out, "CLIENT_ERROR bad command line format\r\n");
		return ss_ok(0);
	}
	if (!cls || cls > MC_CLASSES) {
		mc_puts(s->out, "CLIENT_ERROR Illegal slab id\r\n");
		return ss_ok(0);
	}
	return dump(s, cls, most ? most : UINT64_MAX, drain, arg);
}

static ss_future stats(struct mc_session *s, ss_future (*drain)(void *), void *arg)
{
	const char *what = s->special.arg;

	if (strcmp(what, "reset") == 0)
		return ss_then(ss_smp_invoke_on_all(reset_one), replied, s, "RESET\r\n");
	if (s->special.proto == MC_TEXT && strcmp(what, "conns") == 0)
		return describe(s);
	if (s->special.proto == MC_TEXT && strncmp(what, "cachedump", 9) == 0)
		return cachedump(s, drain, arg);
	return gather(s);
}

ss_future mc_special_run(struct mc_session *s, ss_future (*drain)(void *), void *arg)
{
	switch (s->special.kind) {
	case MC_SP_STATS:
		return stats(s, drain, arg);
	case MC_SP_FLUSH:
		return ss_then(ss_smp_invoke_on_all(flush_one, s->special.when, ss_shard_id()),
		    replied, s, "OK\r\n");
	case MC_SP_METADUMP:
		return dump(s, 0, UINT64_MAX, drain, arg);
	case MC_SP_LIMIT:
		return set_limit(s);
	default:
		ss_app_stop();
		s->closing = true;
		return ss_ok(0);
	}
}
