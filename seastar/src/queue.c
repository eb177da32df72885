/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bounded queue and pipe. A waiting popper is handed its item when one is pushed, and a waiting
 * pusher's item moves into the ring when there is room, so neither has to look again.
 */
#include "shard.h"

#include <seastar/queue.h>

int ss_queue_init(ss_queue *q, size_t capacity)
{
	*q = (ss_queue){.capacity = capacity ? capacity : 1};
	q->ring = ss_alloc(q->capacity * sizeof(void *));
	return q->ring ? 0 : -ENOMEM;
}

void ss_queue_destroy(ss_queue *q)
{
	ss_free(q->ring);
	q->ring = NULL;
}

int ss_queue_try_push(ss_queue *q, void *item)
{
	if (q->aborted)
		return q->aborted;
	if (q->poppers.head) {
		ss_waitq_wake(&q->poppers, (ss_result){.p = item, .err = 0});
		return 0;
	}
	if (q->size == q->capacity)
		return -EAGAIN;
	q->ring[(q->first + q->size++) % q->capacity] = item;
	return 0;
}

ss_future ss_queue_push(ss_queue *q, void *item)
{
	int err = ss_queue_try_push(q, item);

	if (err == -EAGAIN)
		return ss_waitq_wait(&q->pushers, 0, item, NULL, NULL);
	return err ? ss_fail(err) : ss_ok(0);
}

bool ss_queue_try_pop(ss_queue *q, void **out)
{
	if (!q->size)
		return false;
	*out = q->ring[q->first];
	q->first = (q->first + 1) % q->capacity;
	q->size--;
	if (q->pushers.head) {
		q->ring[(q->first + q->size++) % q->capacity] = q->pushers.head->arg2;
		ss_waitq_wake(&q->pushers, (ss_result){.i = 0, .err = 0});
	}
	return true;
}

ss_future ss_queue_pop(ss_queue *q)
{
	void *item;

	if (q->aborted)
		return ss_fail(q->aborted);
	if (ss_queue_try_pop(q, &item))
		return ss_okp(item);
	return ss_waitq_wait(&q->poppers, 0, NULL, NULL, NULL);
}

void ss_queue_abort(ss_queue *q, int err)
{
	ss_result r = {.msg = NULL, .err = err};

	q->aborted = err;
	ss_waitq_wake_all(&q->poppers, r);
	ss_waitq_wake_all(&q->pushers, r);
}

/* Both ends point to one object; the last to close frees it. */
struct pipe {
	ss_queue q;
	void (*drop)(void *);
	void *unread;
	bool reader_gone, writer_gone;
};

int ss_pipe(size_t capacity, void (*drop)(void *), ss_pipe_reader **rd, ss_pipe_writer **wr)
{
	struct pipe *p = ss_alloc(sizeof(*p));

	if (!p)
		return -ENOMEM;
	*p = (struct pipe){.drop = drop};
	if (ss_queue_init(&p->q, capacity)) {
		ss_free(p);
		return -ENOMEM;
	}
	*rd = (ss_pipe_reader *)p;
	*wr = (ss_pipe_writer *)p;
	return 0;
}

static void pipe_free(struct pipe *p)
{
	ss_queue_destroy(&p->q);
	ss_free(p);
}

ss_future ss_pipe_write(ss_pipe_writer *w, void *item)
{
	struct pipe *p = (struct pipe *)w;

	if (p->reader_gone)
		return ss_fail(-EPIPE);
	return ss_queue_push(&p->q, item);
}

ss_future ss_pipe_read(ss_pipe_reader *r)
{
	struct pipe *p = (struct pipe *)r;
	void *item = p->unread;

	if (item) {
		p->unread = NULL;
		return ss_okp(item);
	}
	if (!p->q.size && p->writer_gone)
		return ss_okp(NULL);
	return ss_queue_pop(&p->q);
}

void ss_pipe_unread(ss_pipe_reader *r, void *item)
{
	((struct pipe *)r)->unread = item;
}

void ss_pipe_close_reader(ss_pipe_reader *r)
{
	struct pipe *p = (struct pipe *)r;
	void *item;

	/* A write that waits must fail, not slip in while the ring is emptied. */
	p->reader_gone = true;
	ss_waitq_wake_all(&p->q.pushers, (ss_result){.msg = NULL, .err = -EPIPE});
	if (p->unread && p->drop)
		p->drop(p->unread);
	while (ss_queue_try_pop(&p->q, &item))
		if (p->drop)
			p->drop(item);
	if (p->writer_gone)
		pipe_free(p);
}

void ss_pipe_close_writer(ss_pipe_writer *w)
{
	struct pipe *p = (struct pipe *)w;

	p->writer_gone = true;
	ss_waitq_wake_all(&p->q.poppers, (ss_result){.p = NULL, .err = 0});
	if (p->reader_gone)
		pipe_free(p);
}
