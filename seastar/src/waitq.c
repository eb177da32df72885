/* SPDX-License-Identifier: BSD-3-Clause */
/* Lists of those who wait for something, with optional timeout and abort source. */
#include "shard.h"

/* A wait that may be given up carries more. */
struct timed_waitn {
	struct ss_waitn n;
	ss_timer timer;
	ss_abort_sub sub;
};

static void unlink_node(struct ss_waitn *n)
{
	ss_waitq *q = n->q;

	if (n->prev)
		n->prev->next = n->next;
	else
		q->head = n->next;
	if (n->next)
		n->next->prev = n->prev;
	else
		q->tail = n->prev;
}

/* Resolve a node that is in no list any more and free it. */
static void resolve(struct ss_waitn *n, ss_result r)
{
	ss_state *s = n->s;

	if (n->timed) {
		struct timed_waitn *t = ss_container_of(n, struct timed_waitn, n);

		ss_timer_cancel(&t->timer);
		ss_abort_unsubscribe(&t->sub);
		ss_cell_free(t, sizeof(*t));
	} else {
		ss_cell_free(n, sizeof(*n));
	}
	ss_state_set(s, r);
}

static void give_up(struct ss_waitn *n, int err)
{
	void (*gone)(ss_waitq *) = n->gone;
	ss_waitq *q = n->q;

	unlink_node(n);
	resolve(n, (ss_result){.msg = NULL, .err = err});
	if (gone)
		gone(q);
}

static void timed_out(ss_timer *timer)
{
	give_up(&ss_container_of(timer, struct timed_waitn, timer)->n, -ETIMEDOUT);
}

static void aborted(ss_abort_sub *sub)
{
	struct timed_waitn *t = ss_container_of(sub, struct timed_waitn, sub);

	give_up(&t->n, ss_abort_check(sub->source));
}

static struct ss_waitn *timed_node(const ss_wait_opts *opts)
{
	struct timed_waitn *t = ss_cell_alloc(sizeof(*t));

	if (!t)
		return NULL;
	memset(t, 0, sizeof(*t));
	t->n.timed = true;
	ss_timer_init(&t->timer, timed_out);
	if (opts->abort)
		ss_abort_subscribe(opts->abort, &t->sub, aborted);
	if (opts->timeout_ns)
		ss_timer_arm(&t->timer, opts->timeout_ns);
	return &t->n;
}

ss_future ss_waitq_wait(
    ss_waitq *q, int64_t arg, void *arg2, const ss_wait_opts *opts, void (*gone)(ss_waitq *q))
{
	struct ss_waitn *n;
	ss_state *s;
	ss_future f;

	if (opts && opts->abort && ss_abort_check(opts->abort))
		return ss_fail(ss_abort_check(opts->abort));
	f = ss_pending(&s);
	if (!s)
		return f;
	if (opts && (opts->abort || opts->timeout_ns)) {
		n = timed_node(opts);
	} else {
		n = ss_cell_alloc(sizeof(*n));
		if (n)
			n->timed = false;
	}
	if (!n) {
		ss_state_free(s);
		return ss_fail(-ENOMEM);
	}
	n->q = q;
	n->s = s;
	n->arg = arg;
	n->arg2 = arg2;
	n->gone = gone;
	n->next = NULL;
	n->prev = q->tail;
	if (q->tail)
		q->tail->next = n;
	else
		q->head = n;
	q->tail = n;
	return f;
}

void ss_waitq_wake(ss_waitq *q, ss_result r)
{
	struct ss_waitn *n = q->head;

	unlink_node(n);
	resolve(n, r);
}

void ss_waitq_wake_all(ss_waitq *q, ss_result r)
{
	while (q->head)
		ss_waitq_wake(q, r);
}

size_t ss_waitq_length(const ss_waitq *q)
{
	const struct ss_waitn *n;
	size_t len = 0;

	for (n = q->head; n; n = n->next)
		len++;
	return len;
}
