/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A batch of requests whose keys belong to several shards. Each shard concerned gets one message,
 * runs its requests in order and gathers their replies in a buffer of its own; then the replies are
 * put together in the order of the requests.
 *
 * A shard stops when its buffer holds PART_MAX bytes. Then the batch is run again for the shards
 * whose replies have all been put out, which the shard of the first request not done always is. So
 * what a batch holds is bounded by PART_MAX and one reply for each shard.
 */
#include "server.h"

#define PART_MAX (64 * 1024)
#define PART_KEEP 8192 /* a smaller buffer stays for the next batch */

struct part {
	struct mc_outbuf out;
	unsigned shard;
	bool wanted, waiting; /* waiting: has replies that are not put out */
};

struct mc_run {
	unsigned shards;
	struct part part[];
};

/* On the shard the requests belong to. The session's shard waits and touches nothing of it. */
static void run_part(struct mc_req *reqs, unsigned n, struct part *part)
{
	struct mc_shard *sh = mc_here();

	/* All places in the table first, then all items: their cache misses overlap. */
	for (unsigned i = 0; i < n; i++)
		if (!reqs[i].done && reqs[i].shard == part->shard)
			mc_prefetch_bucket(&sh->store, reqs[i].hash);
	for (unsigned i = 0; i < n; i++)
		if (!reqs[i].done && reqs[i].shard == part->shard)
			mc_prefetch_item(&sh->store, reqs[i].hash);
	for (unsigned i = 0; i < n; i++) {
		struct mc_req *rq = &reqs[i];
		size_t before = mc_outbuf_len(&part->out);

		if (rq->done || rq->shard != part->shard)
			continue;
		if (before >= PART_MAX)
			return;
		mc_exec(&sh->store, rq, &part->out.out);
		rq->offset = (uint32_t)before;
		rq->length = (uint32_t)(mc_outbuf_len(&part->out) - before);
		rq->done = true;
	}
}

SS_CONT(part_run, struct mc_req *reqs; unsigned n; struct part * part;)
{
	run_part(self->reqs, self->n, self->part);
	return ss_ok(0);
}

static void put_out(struct mc_session *s, const struct mc_req *rq)
{
	if (!rq->key)
		mc_put(s->out, rq->val, rq->nval);
	else if (rq->length)
		mc_put(s->out, s->run->part[rq->shard].out.start + rq->offset, rq->length);
}

/* Put the replies out in order up to the first that is not there; the rest moves to the front. */
static void collect(struct mc_session *s)
{
	unsigned i = 0;

	while (i < s->n_batch && s->batch[i].done)
		put_out(s, &s->batch[i++]);
	s->n_batch -= i;
	if (!i || !s->n_batch)
		return;
	memmove(s->batch, s->batch + i, s->n_batch * sizeof(*s->batch));
	for (unsigned k = 0; s->keys && k < s->n_batch; k++)
		if (s->batch[k].key == s->keys[k + i])
			s->batch[k].key = memcpy(s->keys[k], s->keys[k + i], MC_KEYBUF);
}

/* Empty the buffers whose replies are all put out. */
static void tidy(struct mc_session *s)
{
	struct mc_run *run = s->run;

	for (unsigned i = 0; i < run->shards; i++)
		run->part[i].waiting = false;
	for (unsigned i = 0; i < s->n_batch; i++)
		if (s->batch[i].done && s->batch[i].key)
			run->part[s->batch[i].shard].waiting = true;
	for (unsigned i = 0; i < run->shards; i++) {
		struct mc_outbuf *b = &run->part[i].out;

		run->part[i].wanted = false;
		if (run->part[i].waiting)
			continue;
		if (b->start && b->out.end - b->start > PART_KEEP)
			mc_outbuf_free(b);
		b->out.p = b->start;
	}
}

void mc_batch_free(struct mc_session *s)
{
	for (unsigned i = 0; s->run && i < s->run->shards; i++)
		mc_outbuf_free(&s->run->part[i].out);
	ss_free(s->run);
	s->run = NULL;
}

SS_CONT(batch_collected, struct mc_session *s;)
{
	struct mc_session *s = self->s;

	for (unsigned i = 0; i < s->run->shards; i++)
		if (s->run->part[i].out.out.failed)
			s->out->failed = true;
	if (r.err)
		s->out->failed = true;
	if (s->out->failed) {
		s->n_batch = 0;
		s->closing = true;
	}
	collect(s);
	tidy(s);
	return ss_ok(0);
}

static bool run_new(struct mc_session *s)
{
	struct mc_run *run = ss_zalloc(sizeof(*run) + s->shards * sizeof(run->part[0]));

	if (!run)
		return false;
	run->shards = s->shards;
	for (unsigned i = 0; i < s->shards; i++) {
		mc_outbuf_init(&run->part[i].out, mc_settings.item_max * 2 + 4 * PART_MAX);
		run->part[i].shard = i;
	}
	s->run = run;
	return true;
}

ss_future mc_batch_run(struct mc_session *s)
{
	struct mc_shard *sh = mc_here();
	ss_future fs[SS_MAX_SHARDS];
	unsigned n = 0;

	if (!s->run && !run_new(s)) {
		s->out->failed = s->closing = true;
		s->n_batch = 0;
		return ss_ok(0);
	}
	sh->conns.batches++;
	for (unsigned i = 0; i < s->n_batch; i++) {
		struct part *p = &s->run->part[s->batch[i].shard];

		if (s->batch[i].done || p->waiting)
			continue;
		p->wanted = true;
		sh->conns.remote += p->shard != s->self;
	}
	for (unsigned i = 0; i < s->shards; i++)
		if (s->run->part[i].wanted && i != s->self)
			fs[n++] =
			    ss_smp_submit_to(i, part_run, s->batch, s->n_batch, &s->run->part[i]);
	if (s->run->part[s->self].wanted)
		run_part(s->batch, s->n_batch, &s->run->part[s->self]);
	return ss_then_wrapped(n == 1 ? fs[0] : ss_when_all(fs, n, NULL), batch_collected, s);
}
