/* SPDX-License-Identifier: BSD-3-Clause */
/* Services with one instance per shard, and pointers that are destroyed where they belong. */
#include "shard.h"

#include <seastar/loop.h>

/* Each shard writes only its own slot; the result travels back before anybody else reads it. */
SS_CONT(instance_made, ss_sharded *s;)
{
	self->s->instance[ss_shard_id()] = r.p;
	return ss_ok(0);
}

SS_CONT(instance_start, ss_sharded *s;)
{
	ss_sharded *s = self->s;

	s->instance[ss_shard_id()] = NULL;
	return ss_then(s->ops->start(s->arg), instance_made, s);
}

SS_CONT(instance_stop, ss_sharded *s;)
{
	void *p = self->s->instance[ss_shard_id()];

	if (!p)
		return ss_ok(0);
	self->s->instance[ss_shard_id()] = NULL;
	return self->s->ops->stop ? self->s->ops->stop(p) : ss_ok(0);
}

SS_CONT(start_undone, ss_result why;)
{
	return ss_ready(self->why);
}

SS_CONT(start_failed, ss_sharded *s;)
{
	self->s->started = false;
	return ss_then_wrapped(
	    ss_smp_invoke_on_all(instance_stop, self->s), start_undone, .why = r);
}

ss_future ss_sharded_start(ss_sharded *s, const struct ss_service_ops *ops, void *arg)
{
	if (s->started)
		return ss_fail_msg(-EALREADY, "the service is started");
	s->ops = ops;
	s->arg = arg;
	s->started = true;
	return ss_handle_error(ss_smp_invoke_on_all(instance_start, s), start_failed, s);
}

ss_future ss_sharded_stop(ss_sharded *s)
{
	if (!s->started)
		return ss_ok(0);
	s->started = false;
	return ss_smp_invoke_on_all(instance_stop, s);
}

/* What a call on an instance carries to the other shard; fits a few captures. */
struct call {
	ss_sharded *s;
	ss_cont_fn fn;
	_Alignas(16) char cap[];
};

static ss_future call_run(void *self, ss_result r)
{
	struct call *c = self;

	(void)r;
	return c->fn(c->cap, (ss_result){.p = c->s->instance[ss_shard_id()], .err = 0});
}

static struct call *call_make(ss_sharded *s, ss_cont_fn fn, const void *cap, size_t size)
{
	struct call *c = ss_cell_alloc(sizeof(*c) + size);

	if (!c)
		return NULL;
	c->s = s;
	c->fn = fn;
	memcpy(c->cap, cap, size);
	return c;
}

ss_future ss_sharded_invoke_on_(
    ss_sharded *s, unsigned shard, ss_cont_fn fn, const void *cap, size_t size)
{
	struct call *c = call_make(s, fn, cap, size);
	ss_future f;

	if (!c)
		return ss_fail(-ENOMEM);
	f = ss_smp_submit_(shard, call_run, c, sizeof(*c) + size);
	ss_cell_free(c, sizeof(*c) + size);
	return f;
}

ss_future ss_sharded_invoke_all_(ss_sharded *s, ss_cont_fn fn, const void *cap, size_t size)
{
	struct call *c = call_make(s, fn, cap, size);
	ss_future f;

	if (!c)
		return ss_fail(-ENOMEM);
	f = ss_smp_invoke_all_(call_run, c, sizeof(*c) + size);
	ss_cell_free(c, sizeof(*c) + size);
	return f;
}

struct sum {
	unsigned n;
	ss_result results[SS_MAX_SHARDS];
};

SS_CONT(sum_up, struct sum *sum;)
{
	int64_t total = 0;
	ss_result first = {.i = 0, .err = 0};

	for (unsigned i = 0; i < self->sum->n; i++) {
		if (self->sum->results[i].err && !first.err)
			first = self->sum->results[i];
		else if (!self->sum->results[i].err)
			total += self->sum->results[i].i;
	}
	ss_free(self->sum);
	return first.err ? ss_ready(first) : ss_ok(total);
}

ss_future ss_sharded_sum_(ss_sharded *s, ss_cont_fn fn, const void *cap, size_t size)
{
	struct sum *sum = ss_alloc(sizeof(*sum));
	struct call *c = call_make(s, fn, cap, size);
	ss_future fs[SS_MAX_SHARDS];

	if (!sum || !c) {
		ss_free(sum);
		if (c)
			ss_cell_free(c, sizeof(*c) + size);
		return ss_fail(-ENOMEM);
	}
	sum->n = ss_smp_count();
	for (unsigned i = 0; i < sum->n; i++)
		fs[i] = ss_smp_submit_(i, call_run, c, sizeof(*c) + size);
	ss_cell_free(c, sizeof(*c) + size);
	return ss_then_wrapped(ss_when_all(fs, sum->n, sum->results), sum_up, sum);
}

SS_CONT(foreign_destroy, void *p; void (*destroy)(void *);)
{
	self->destroy(self->p);
	return ss_ok(0);
}

void ss_foreign_release(ss_foreign *f)
{
	void *p = f->p;

	f->p = NULL;
	if (!p || !f->destroy)
		return;
	if (f->owner == ss_shard_id())
		f->destroy(p);
	else
		ss_detach(ss_smp_submit_to(f->owner, foreign_destroy, p, f->destroy));
}
