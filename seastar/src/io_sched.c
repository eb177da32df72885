/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The I/O scheduler of a shard. Requests wait in a queue per class. A request costs tokens of two
 * buckets of its direction, operations and bytes, which fill at the rates the disk can do (this
 * shard's part); at most `depth` are on the device. Among classes that have requests the one with
 * the least cost divided by shares goes next. Requests leave in one batch per turn of the loop.
 */
#include "pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CLASSES 16
#define DEFAULT_DEPTH 128
#define COST_BYTES 65536.0     /* a request of this size costs two units, an empty one costs one */
#define BURST_NS (2 * SS_MSEC) /* a bucket holds what flows in in this time, or one request */

struct bucket {
	double rate; /* per ns; 0: no limit */
	double level;
};

struct io_class {
	struct ss_io *head, **tail;
	bool used;
	unsigned shares;
	double vtime;
	char name[24];
	uint64_t requests, bytes, queued_ns, device_ns;
};

struct io_shard {
	struct ss_poller poller;
	struct io_class classes[CLASSES];
	unsigned queued, in_flight, depth;
	double min_vtime;
	struct bucket ops[2], bytes[2]; /* by direction: read, write */
	uint64_t filled;
	ss_timer refill;
};

static __thread struct io_shard *this_io;

static void refill_due(ss_timer *t)
{
	(void)t; /* it only has to wake the loop */
}

static bool io_poll(struct ss_poller *p);

static struct io_shard *io_get(void)
{
	struct io_shard *io = this_io;

	if (io)
		return io;
	io = calloc(1, sizeof(*io));
	if (!io)
		return NULL;
	io->poller.poll = io_poll;
	io->depth = DEFAULT_DEPTH;
	for (int i = 0; i < CLASSES; i++)
		io->classes[i].tail = &io->classes[i].head;
	io->classes[0].used = true;
	io->classes[0].shares = 100;
	strcpy(io->classes[0].name, "default");
	ss_timer_init(&io->refill, refill_due);
	ss_poller_add(&io->poller);
	this_io = io;
	return io;
}

void ss_io_fini(struct ss_reactor *re)
{
	(void)re;
	free(this_io);
	this_io = NULL;
}

static void bucket_fill(struct bucket *b, uint64_t ns)
{
	double most = b->rate * (double)BURST_NS;

	b->level += b->rate * (double)ns;
	if (b->level > most)
		b->level = most;
}

static void fill_all(struct io_shard *io)
{
	uint64_t now = ss_now(), ns = now - io->filled;

	io->filled = now;
	for (int d = 0; d < 2; d++) {
		bucket_fill(&io->ops[d], ns);
		bucket_fill(&io->bytes[d], ns);
	}
}

/* A bucket lets something through while it is not in debt; 0, or ns until it is out of it. */
static uint64_t bucket_wait(const struct bucket *b)
{
	if (b->rate <= 0 || b->level >= 0)
		return 0;
	return (uint64_t)(-b->level / b->rate) + 1;
}

static void bucket_take(struct bucket *b, double n)
{
	if (b->rate > 0)
		b->level -= n;
}

static struct io_class *pick(struct io_shard *io)
{
	struct io_class *best = NULL;

	for (int i = 0; i < CLASSES; i++)
		if (io->classes[i].head && (!best || io->classes[i].vtime < best->vtime))
			best = &io->classes[i];
	return best;
}

static int direction(const struct ss_io *r)
{
	return r->op != SS_IO_READ;
}

static uint64_t blocked_for(struct io_shard *io, const struct ss_io *r)
{
	uint64_t a = bucket_wait(&io->ops[direction(r)]);
	uint64_t b = bucket_wait(&io->bytes[direction(r)]);

	return a > b ? a : b;
}

static struct ss_io *pop(struct io_shard *io, struct io_class *c, uint64_t now)
{
	struct ss_io *r = c->head;
	double cost = 1 + (double)r->len / COST_BYTES;

	c->head = r->next;
	if (!c->head)
		c->tail = &c->head;
	c->vtime += cost / c->shares;
	io->min_vtime = c->vtime;
	c->queued_ns += now - r->submitted;
	r->submitted = now;
	r->next = NULL;
	io->queued--;
	io->in_flight++;
	bucket_take(&io->ops[direction(r)], 1);
	bucket_take(&io->bytes[direction(r)], r->len);
	return r;
}

/* Where the back end can't do disk requests, threads do them. */
struct io_job {
	struct ss_job job;
	struct ss_io *io;
};

static int64_t io_call(struct ss_io *r)
{
	int64_t k;

	switch (r->op) {
	case SS_IO_READ:
		k = pread(r->fd, r->buf, r->len, (off_t)r->offset);
		break;
	case SS_IO_WRITE:
		k = pwrite(r->fd, r->buf, r->len, (off_t)r->offset);
		break;
	default:
		k = fdatasync(r->fd);
	}
	return k < 0 ? -errno : k;
}

static void io_job_run(struct ss_job *j)
{
	struct io_job *x = ss_container_of(j, struct io_job, job);

	x->io->result = io_call(x->io);
}

static void io_job_done(struct ss_job *j)
{
	struct io_job *x = ss_container_of(j, struct io_job, job);
	struct ss_io *io = x->io;

	ss_cell_free(x, sizeof(*x));
	io->done(io);
}

static void io_by_thread(struct ss_io *r)
{
	struct io_job *x = ss_cell_alloc(sizeof(*x));

	if (x) {
		x->io = r;
		x->job.run = io_job_run;
		x->job.done = io_job_done;
		if (!ss_pool_submit(&x->job))
			return;
		ss_cell_free(x, sizeof(*x));
	}
	r->result = -ENOMEM;
	r->done(r);
}

static void dispatch(struct ss_io *list)
{
	const struct ss_backend *b = ss_re()->backend;

	if (b->submit) {
		unsigned taken = b->submit(ss_re(), list);

		while (taken-- && list)
			list = list->next;
	}
	while (list) {
		struct ss_io *next = list->next;

		io_by_thread(list);
		list = next;
	}
}

static bool io_poll(struct ss_poller *p)
{
	struct io_shard *io = ss_container_of(p, struct io_shard, poller);
	struct ss_io *batch = NULL, **end = &batch;
	uint64_t now, wait = 0;

	if (!io->queued)
		return false;
	fill_all(io);
	now = io->filled;
	while (io->queued && io->in_flight < io->depth) {
		struct io_class *c = pick(io);

		wait = blocked_for(io, c->head);
		if (wait)
			break;
		*end = pop(io, c, now);
		end = &(*end)->next;
	}
	if (wait)
		ss_timer_arm(&io->refill, wait);
	if (!batch)
		return false;
	dispatch(batch);
	return true;
}

void ss_io_enqueue(struct ss_io *r, ss_io_class c)
{
	struct io_shard *io = io_get();
	struct io_class *k;

	if (!io) {
		r->result = -ENOMEM;
		r->done(r);
		return;
	}
	k = &io->classes[c < CLASSES && io->classes[c].used ? c : 0];
	if (!k->head && k->vtime < io->min_vtime)
		k->vtime = io->min_vtime;
	r->submitted = ss_now();
	r->io_class = (unsigned)(k - io->classes);
	r->next = NULL;
	*k->tail = r;
	k->tail = &r->next;
	io->queued++;
}

/* Called by the owner's done(): the device is free for another. */
void ss_io_finished(struct ss_io *r)
{
	struct io_shard *io = this_io;
	struct io_class *k = &io->classes[r->io_class];

	io->in_flight--;
	k->requests++;
	k->device_ns += ss_now() - r->submitted;
	if (r->result > 0)
		k->bytes += (uint64_t)r->result;
}

bool ss_io_class_stats(ss_io_class c, struct ss_io_stats *out)
{
	struct io_shard *io = io_get();

	if (!io || c >= CLASSES || !io->classes[c].used)
		return false;
	*out = (struct ss_io_stats){.name = io->classes[c].name,
	    .shares = io->classes[c].shares,
	    .requests = io->classes[c].requests,
	    .bytes = io->classes[c].bytes,
	    .queued_ns = io->classes[c].queued_ns,
	    .device_ns = io->classes[c].device_ns};
	return true;
}

void ss_io_set_properties(const struct ss_io_properties *p)
{
	struct io_shard *io = io_get();
	double part = 1e9 * ss_smp_count();

	if (!io)
		return;
	io->ops[0].rate = (double)p->read_iops / part;
	io->ops[1].rate = (double)p->write_iops / part;
	io->bytes[0].rate = (double)p->read_bandwidth / part;
	io->bytes[1].rate = (double)p->write_bandwidth / part;
	io->depth = p->depth ? p->depth : DEFAULT_DEPTH;
	io->filled = ss_now();
}

SS_CONT(class_set, unsigned c; unsigned shares; char name[24];)
{
	struct io_shard *io = io_get();

	if (!io)
		return ss_fail(-ENOMEM);
	io->classes[self->c].used = true;
	io->classes[self->c].shares = self->shares;
	memcpy(io->classes[self->c].name, self->name, sizeof(self->name));
	return ss_ok(0);
}

SS_CONT(class_number, unsigned c;)
{
	return ss_ok(self->c);
}

/* Shard 0 hands out the numbers. */
SS_CONT(class_reserve, unsigned shares; char name[24];)
{
	struct class_set_cap cap = {.shares = self->shares};
	struct io_shard *io = io_get();

	for (unsigned c = 1; io && c < CLASSES; c++) {
		if (io->classes[c].used)
			continue;
		io->classes[c].used = true;
		cap.c = c;
		memcpy(cap.name, self->name, sizeof(cap.name));
		return ss_then(ss_smp_invoke_all_(class_set, &cap, sizeof(cap)), class_number, c);
	}
	return ss_fail_msg(-ENOSPC, "too many I/O classes");
}

ss_future ss_io_class_create(const char *name, unsigned shares)
{
	struct class_reserve_cap cap = {.shares = shares};

	if (!shares || shares > 100000)
		return ss_fail_msg(-EINVAL, "shares must be from 1 to 100000");
	strncpy(cap.name, name, sizeof(cap.name) - 1);
	return ss_smp_submit_(0, class_reserve, &cap, sizeof(cap));
}
