/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Virtio disks (VIRTIO 1.2, section 5.2). A queue per CPU where the device has that many. A request
 * goes onto the queue's incoming stack (lock-free); who then finds the queue unattended - the
 * submitting thread or the interrupt - moves everything both ways (lib/combine.h): completions out,
 * requests in, one notification for the whole batch. What does not fit waits in the backlog for
 * completions.
 */
#include <asm/errno.h>
#include "arch/x86/cpu.h"
#include "arch/x86/percpu.h"
#include "core/log.h"
#include "core/trace.h"
#include "drivers/block.h"
#include "drivers/virtio/virtio.h"
#include "lib/combine.h"
#include "lib/string.h"
#include "mm/kmalloc.h"

#define F_SIZE_MAX (1ull << 1)
#define F_SEG_MAX (1ull << 2)
#define F_READ_ONLY (1ull << 5)
#define F_BLOCK_SIZE (1ull << 6)
#define F_FLUSH (1ull << 9)
#define F_TOPOLOGY (1ull << 10)
#define F_MULTI_QUEUE (1ull << 12)
#define F_DISCARD (1ull << 13)
#define F_WRITE_ZEROES (1ull << 14)

enum {
	TYPE_IN = 0,
	TYPE_OUT = 1,
	TYPE_FLUSH = 4,
	TYPE_GET_ID = 8,
	TYPE_DISCARD = 11,
	TYPE_WRITE_ZEROES = 13,
	STATUS_OK = 0,
	STATUS_UNSUPPORTED = 2,
	STATUS_PENDING = 0xff, /* ours, before the device has answered */
	ID_SIZE = 20,
	QUEUE_SIZE_SMALL = 64,
	SEGMENTS_SMALL = 30,
	QUEUE_SIZE_LARGE = 128,
	SEGMENTS_LARGE = 62,
	LARGE_MEMORY = 64 << 20,
	MAX_SEGMENT = 1 << 20,
	MAX_DISKS = 26,
	VIRTBLK_MAJOR = 254,
};

struct config {
	uint64_t capacity;
	uint32_t size_max, seg_max;
	uint8_t geometry[4];
	uint32_t blk_size;
	uint8_t physical_block_exp, alignment_offset;
	uint16_t min_io_size;
	uint32_t opt_io_size;
	uint8_t writeback, unused;
	uint16_t num_queues;
	uint32_t max_discard_sectors, max_discard_seg, discard_sector_alignment;
	uint32_t max_write_zeroes_sectors, max_write_zeroes_seg;
	uint8_t write_zeroes_may_unmap, unused1[3];
} __attribute__((packed));

/* What the device reads and writes for one request, beside the data. */
struct slot {
	struct {
		uint32_t type, reserved;
		uint64_t sector;
	} header;
	struct {
		uint64_t sector;
		uint32_t sectors, flags;
	} range; /* discard, write zeroes */
	uint8_t status;
	struct block_request *request;
	struct slot *next_free;
};

struct blk_queue {
	struct combiner attend;
	_Atomic(struct block_request *) incoming; /* newest first, linked through link.next */
	/* The rest is the attendant's. */
	struct list backlog;
	struct slot *slots, *free;
	struct virtq *q;
	struct blk *disk;
} __attribute__((aligned(CACHE_LINE)));

struct blk {
	struct block_device dev;
	struct virtio_device *virtio;
	_Atomic bool failed;
	unsigned nqueues;
	struct blk_queue queue[];
};

/* The incoming stack reuses the list link as a single link. */
static struct block_request *next_of(struct block_request *r)
{
	return (struct block_request *)r->link.next;
}

static void finish(struct blk *b, struct block_request *r, int err)
{
	atomic_fetch_sub(&b->dev.in_flight, 1);
	TRACE(block_done, "sector=%lu op=%lu err=%ld", r->sector, r->op, err);
	if (!err)
		TRACE(virtio_blk_req_ok, "sector=%lu op=%lu", r->sector, r->op);
	else if (err == -EOPNOTSUPP)
		TRACE(virtio_blk_req_unsupp, "sector=%lu op=%lu", r->sector, r->op);
	else
		TRACE(virtio_blk_req_err, "sector=%lu op=%lu err=%d", r->sector, r->op, err);
	r->done(r, err);
}

static void put_slot(struct blk_queue *q, struct slot *s)
{
	s->next_free = q->free;
	q->free = s;
}

static void complete(struct blk_queue *q, struct slot *s)
{
	struct block_request *r = s->request;
	uint8_t status = __atomic_load_n(&s->status, __ATOMIC_ACQUIRE);
	put_slot(q, s);
	if (!r) /* the serial number, later than anybody waited */
		return;
	if (status == STATUS_OK && r->op == BLOCK_WRITE && r->fua && q->disk->dev.has_flush) {
		/* Forced unit access is a write and a flush of what it wrote. */
		r->op = BLOCK_FLUSH;
		list_append(&q->backlog, &r->link);
		return;
	}
	finish(q->disk, r,
	    status == STATUS_OK		   ? 0
	    : status == STATUS_UNSUPPORTED ? -EOPNOTSUPP
					   : -EIO);
}

static void run(void *arg);

static void take_completions(struct blk_queue *q)
{
	struct slot *s;
	uint32_t written;
	while ((s = virtq_take(q->q, &written)))
		complete(q, s);
	if (q->q->broken && !atomic_exchange(&q->disk->failed, true)) {
		struct blk *b = q->disk;
		virtio_fail(b->virtio, q->q->broken);
		for (unsigned i = 0; i < b->nqueues;
		     i++) /* the reset took the other queues' requests too */
			if (&b->queue[i] != q)
				combine(&b->queue[i].attend, run, &b->queue[i]);
	}
}

static void take_incoming(struct blk_queue *q)
{
	struct block_request *r = atomic_exchange(&q->incoming, NULL);
	struct list *end = &q->backlog;
	struct list *at = end->prev; /* newest first: each goes before the ones taken earlier */
	while (r) {
		struct block_request *next = next_of(r);
		list_push(at, &r->link);
		r = next;
	}
}

static const uint32_t types[] = {
    [BLOCK_READ] = TYPE_IN,
    [BLOCK_WRITE] = TYPE_OUT,
    [BLOCK_FLUSH] = TYPE_FLUSH,
    [BLOCK_DISCARD] = TYPE_DISCARD,
    [BLOCK_WRITE_ZEROES] = TYPE_WRITE_ZEROES,
};

/* Puts one request on the ring; false: no room now. */
static bool start(struct blk_queue *q, struct block_request *r)
{
	struct virtq_buf buf[SEGMENTS_LARGE + 2];
	struct slot *s = q->free;
	unsigned n = 0, in = 1;
	if (!s)
		return false;
	s->header.type = types[r->op];
	s->header.reserved = 0;
	s->header.sector = r->op == BLOCK_READ || r->op == BLOCK_WRITE ? r->sector : 0;
	s->status = STATUS_PENDING;
	s->request = r;
	buf[n++] = (struct virtq_buf){virt_phys(&s->header), sizeof s->header};
	if (r->op == BLOCK_READ || r->op == BLOCK_WRITE) {
		for (unsigned i = 0; i < r->nseg; i++)
			buf[n++] = (struct virtq_buf){r->seg[i].phys, r->seg[i].len};
		if (r->op == BLOCK_READ)
			in += r->nseg;
	} else if (r->op != BLOCK_FLUSH) {
		s->range.sector = r->sector;
		s->range.sectors = r->sectors;
		s->range.flags = 0;
		buf[n++] = (struct virtq_buf){virt_phys(&s->range), sizeof s->range};
	}
	buf[n++] = (struct virtq_buf){virt_phys(&s->status), 1};
	if (virtq_add(q->q, buf, n - in, in, s))
		return false;
	q->free = s->next_free;
	return true;
}

/* After a failure everything ends with an error; the device was reset and has nothing any more. */
static void fail_all(struct blk_queue *q)
{
	struct slot *s;
	while ((s = virtq_abandon(q->q))) {
		struct block_request *r = s->request;
		put_slot(q, s);
		if (r)
			finish(q->disk, r, -EIO);
	}
	while (!list_empty(&q->backlog)) {
		struct block_request *r = list_first(&q->backlog, struct block_request, link);
		list_remove(&r->link);
		finish(q->disk, r, -EIO);
	}
}

static void run(void *arg)
{
	struct blk_queue *q = arg;
	do {
		virtq_disable(q->q);
		if (!atomic_load(&q->disk->failed))
			take_completions(q);
		take_incoming(q);
		if (atomic_load(&q->disk->failed)) {
			fail_all(q);
			return;
		}
		while (!list_empty(&q->backlog)) {
			struct block_request *r =
			    list_first(&q->backlog, struct block_request, link);
			if (!start(q, r))
				break;
			list_remove(&r->link);
		}
		virtio_kick(q->q);
	} while (virtq_enable(q->q));
}

static void blk_interrupt(struct virtio_device *d, struct virtq *vq)
{
	struct blk *b = d->private;
	TRACE(virtio_blk_wake, "");
	for (unsigned i = 0; b && i < b->nqueues; i++)
		if (b->queue[i].q == vq || atomic_load(&b->failed))
			combine(&b->queue[i].attend, run, &b->queue[i]);
}

/* 0, or why the request cannot be sent. */
static int check(struct blk *b, struct block_request *r)
{
	uint64_t sectors = r->sectors;
	if (r->op == BLOCK_FLUSH)
		return b->dev.has_flush ? 0 : -EOPNOTSUPP;
	if (b->dev.read_only && r->op != BLOCK_READ) {
		TRACE(virtio_blk_make_request_readonly, "sector=%lu", r->sector);
		return -EROFS;
	}
	if (r->op == BLOCK_DISCARD || r->op == BLOCK_WRITE_ZEROES) {
		if (!(r->op == BLOCK_DISCARD ? b->dev.has_discard : b->dev.has_write_zeroes))
			return -EOPNOTSUPP;
	} else {
		sectors = 0;
		if (!r->nseg || r->nseg > b->dev.max_segments) {
			TRACE(virtio_blk_make_request_seg_max, "segments=%lu max=%u", r->nseg,
			    b->dev.max_segments);
			return -EINVAL;
		}
		for (unsigned i = 0; i < r->nseg; i++) {
			if (!r->seg[i].len || r->seg[i].len % SECTOR_SIZE ||
			    r->seg[i].len > b->dev.max_segment_size)
				return -EINVAL;
			sectors += r->seg[i].len / SECTOR_SIZE;
		}
		if (r->op == BLOCK_READ) {
			atomic_fetch_add(&b->dev.reads, 1);
			atomic_fetch_add(&b->dev.read_sectors, sectors);
		} else {
			atomic_fetch_add(&b->dev.writes, 1);
			atomic_fetch_add(&b->dev.write_sectors, sectors);
		}
	}
	return r->sector > b->dev.sectors || sectors > b->dev.sectors - r->sector ? -EIO : 0;
}

static void blk_submit(struct block_device *d, struct list *requests)
{
	struct blk *b = container_of(d, struct blk, dev);
	struct blk_queue *q = &b->queue[this_cpu()->id % b->nqueues];
	struct block_request *newest = NULL, *oldest = NULL;
	while (!list_empty(requests)) {
		struct block_request *r = list_first(requests, struct block_request, link);
		list_remove(&r->link);
		r->dev = d;
		atomic_fetch_add(&d->in_flight, 1);
		TRACE(virtio_blk_strategy, "%p", r);
		TRACE(block_submit, "sector=%lu op=%lu segments=%lu", r->sector, r->op, r->nseg);
		int err = check(b, r);
		if (err) {
			finish(b, r, err);
			continue;
		}
		r->link.next = (struct list *)newest;
		newest = r;
		if (!oldest)
			oldest = r;
	}
	if (!newest)
		return;
	struct block_request *head = atomic_load_explicit(&q->incoming, memory_order_relaxed);
	do
		oldest->link.next = (struct list *)head;
	while (!atomic_compare_exchange_weak(&q->incoming, &head, newest));
	combine(&q->attend, run, q);
}

static int init_queue(struct blk *b, unsigned i, uint16_t size, uint16_t segments)
{
	struct blk_queue *q = &b->queue[i];
	q->disk = b;
	list_init(&q->backlog);
	q->q = virtio_queue(b->virtio, i, size, segments + 2, i % ncpus);
	if (!q->q)
		return -EIO;
	q->slots = kzalloc(q->q->size * sizeof *q->slots);
	if (!q->slots)
		return -ENOMEM;
	for (unsigned s = 0; s < q->q->size; s++)
		put_slot(q, &q->slots[s]);
	return 0;
}

static void read_config(struct blk *b, const struct config *c, uint16_t segments)
{
	struct virtio_device *v = b->virtio;
	struct block_device *d = &b->dev;
	TRACE(virtio_blk_read_config_capacity, "capacity=%lu", c->capacity);
	TRACE(virtio_blk_read_config_blk_size, "blk_size=%u", c->blk_size);
	TRACE(virtio_blk_read_config_seg_max, "seg_max=%u", c->seg_max);
	TRACE(virtio_blk_read_config_ro, "readonly=%u", virtio_has(v, F_READ_ONLY));
	TRACE(virtio_blk_read_config_wce, "write_cache=%u", virtio_has(v, F_FLUSH));
	TRACE(virtio_blk_read_config_topology, "physical_block_exp=%u", c->physical_block_exp);
	d->sectors = c->capacity;
	d->logical_size = virtio_has(v, F_BLOCK_SIZE) ? c->blk_size : SECTOR_SIZE;
	if (d->logical_size < SECTOR_SIZE || d->logical_size & (d->logical_size - 1)) {
		pr_warn("%s: impossible block size %u; 512 is used", d->name, d->logical_size);
		d->logical_size = SECTOR_SIZE;
	}
	d->physical_size = d->logical_size;
	if (virtio_has(v, F_TOPOLOGY) && c->physical_block_exp <= 12)
		d->physical_size <<= c->physical_block_exp;
	d->max_segments = virtio_has(v, F_SEG_MAX) ? MIN(MAX(c->seg_max, 1u), segments) : 1;
	d->max_segment_size = virtio_has(v, F_SIZE_MAX)
				  ? MIN(MAX(c->size_max, 4096u), (uint32_t)MAX_SEGMENT)
				  : (uint32_t)MAX_SEGMENT;
	d->read_only = virtio_has(v, F_READ_ONLY);
	d->has_flush = virtio_has(v, F_FLUSH);
	d->has_discard = virtio_has(v, F_DISCARD);
	d->has_write_zeroes = virtio_has(v, F_WRITE_ZEROES);
}

/* The serial number comes by a request of its own, polled, before the queue is open to others. */
static void read_serial(struct blk *b)
{
	struct blk_queue *q = &b->queue[0];
	char *id = kzalloc(ID_SIZE + 1);
	struct slot *s = q->free;
	uint32_t written;
	if (!id)
		return;
	s->header.type = TYPE_GET_ID;
	s->status = STATUS_PENDING;
	s->request = NULL;
	struct virtq_buf buf[] = {{virt_phys(&s->header), sizeof s->header},
	    {virt_phys(id), ID_SIZE}, {virt_phys(&s->status), 1}};
	virtq_disable(q->q);
	if (virtq_add(q->q, buf, 1, 2, s)) {
		kfree(id);
		return;
	}
	q->free = s->next_free;
	virtio_kick(q->q);
	/* Bounded, as nothing depends on it: a later answer finds its buffer still there. */
	for (int i = 0; i < 10000000; i++) {
		if (!virtq_take(q->q, &written)) {
			cpu_relax();
			continue;
		}
		if (__atomic_load_n(&s->status, __ATOMIC_ACQUIRE) == STATUS_OK)
			strlcpy(b->dev.serial, id, sizeof b->dev.serial);
		put_slot(q, s);
		kfree(id);
		return;
	}
	pr_warn("%s: no answer to the request for the serial number", b->virtio->name);
}

static int blk_probe(struct virtio_device *v)
{
	static unsigned disks;
	struct config c;
	int err =
	    virtio_negotiate(v, F_SIZE_MAX | F_SEG_MAX | F_READ_ONLY | F_BLOCK_SIZE | F_FLUSH |
				    F_TOPOLOGY | F_MULTI_QUEUE | F_DISCARD | F_WRITE_ZEROES);
	if (err)
		return err;
	if (disks == MAX_DISKS) {
		pr_err("%s: more than %u disks", v->name, MAX_DISKS);
		return -ENOSPC;
	}
	virtio_config(v, 0, &c, sizeof c);
	bool large = memstats.total * PAGE_SIZE >= LARGE_MEMORY;
	uint16_t segments = large ? SEGMENTS_LARGE : SEGMENTS_SMALL;
	unsigned n = virtio_has(v, F_MULTI_QUEUE) ? MIN(MAX((unsigned)c.num_queues, 1u), ncpus) : 1;
	struct blk *b = kzalloc(sizeof *b + n * sizeof b->queue[0]);
	if (!b)
		return -ENOMEM;
	b->virtio = v;
	snprintf(b->dev.name, sizeof b->dev.name, "vd%c", 'a' + disks);
	b->dev.rdev = (uint64_t)VIRTBLK_MAJOR << 8 | disks * 16;
	b->dev.private = b;
	b->dev.submit = blk_submit;
	read_config(b, &c, segments);
	for (unsigned i = 0; i < n; i++) {
		err = init_queue(b, i, large ? QUEUE_SIZE_LARGE : QUEUE_SIZE_SMALL, segments);
		if (err && i == 0)
			return err;
		if (err)
			break; /* fewer queues work too */
		b->nqueues = i + 1;
	}
	if (!b->queue[0].q->indirect)
		b->dev.max_segments =
		    MIN(b->dev.max_segments, (uint32_t)MAX(b->queue[0].q->size, 3) - 2);
	disks++;
	virtio_go(v);
	read_serial(b);
	v->private = b; /* from here on interrupts are taken */
	block_register(&b->dev);
	return 0;
}

const struct virtio_driver virtio_blk_driver = {
    .type = VIRTIO_BLOCK,
    .name = "virtio-blk",
    .probe = blk_probe,
    .interrupt = blk_interrupt,
};
