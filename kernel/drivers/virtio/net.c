/* SPDX-License-Identifier: BSD-3-Clause */
/* Virtio network cards (VIRTIO 1.2, section 5.1): negotiation, queue pairs and their threads, link
 * state. */
#include <asm/errno.h>
#include "arch/x86/cpu.h"
#include "arch/x86/percpu.h"
#include "core/log.h"
#include "core/random.h"
#include "drivers/virtio/net.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/page.h"

#define F_CSUM (1ull << 0)
#define F_GUEST_CSUM (1ull << 1)
#define F_MTU (1ull << 3)
#define F_MAC (1ull << 5)
#define F_GUEST_TSO4 (1ull << 7)
#define F_GUEST_TSO6 (1ull << 8)
#define F_GUEST_ECN (1ull << 9)
#define F_HOST_TSO4 (1ull << 11)
#define F_HOST_TSO6 (1ull << 12)
#define F_HOST_ECN (1ull << 13)
#define F_MERGEABLE (1ull << 15)
#define F_STATUS (1ull << 16)
#define F_CONTROL (1ull << 17)
#define F_MULTI_QUEUE (1ull << 22)
#define F_HOST_USO (1ull << 56)

enum {
	CONFIG_STATUS = 6,
	CONFIG_PAIRS = 8,
	CONFIG_MTU = 10,
	STATUS_LINK_UP = 1,
	CONTROL_CLASS_MQ = 4,
	CONTROL_MQ_SET = 0,
	CONTROL_OK = 0,
	MAX_PAIRS = 64, /* of the device, where the control queue's number follows from it */
	RING_LARGE = 128,
	RING_SMALL = 32,
	PAIR_BYTES = 1 << 20, /* a pair with its buffers, roughly */
	BUDGET = 64,
	MTU_DEFAULT = 1500,
	MTU_MIN = 68,
};

void net_fail(struct virtio_net *n, const char *why)
{
	if (!atomic_exchange(&n->failed, true)) {
		virtio_fail(n->virtio, why);
		atomic_store(&n->dev.link_up, false);
		work_queue(&n->link_work);
	}
}

/* One round for a pair; true if there is more to do at once. */
static bool serve(struct net_pair *p)
{
	p->stats.polls++;
	bool more = net_rx_poll(p, BUDGET) == BUDGET;
	if (!net_rx_refill(p))
		thread_sleep(10 * NSEC_PER_MSEC); /* memory is short: the ring is nearly empty */
	net_tx_attend(p);
	return more || virtq_enable(p->rx);
}

static void pair_thread(void *arg)
{
	struct net_pair *p = arg;
	while (!atomic_load(&p->net->failed)) {
		if (serve(p)) {
			virtq_disable(p->rx);
			preempt_point();
			continue;
		}
		thread_prepare_wait();
		if (!atomic_exchange(&p->signalled, false))
			schedule();
		thread_end_wait();
	}
	net_tx_attend(p); /* drops what is in flight */
	thread_exit();
}

/* An interrupt that comes while the thread works makes it go round once more: it may have been for
 * what the thread had just missed. */
static void net_interrupt(struct virtio_device *d, struct virtq *q)
{
	struct virtio_net *n = d->private;
	unsigned i = q->index / 2;
	if (!n || i >= n->npairs || !n->pair[i].thread)
		return;
	n->pair[i].stats.interrupts++;
	if (q == n->pair[i].rx)
		virtq_disable(q);
	atomic_store(&n->pair[i].signalled, true);
	thread_wake(n->pair[i].thread);
}

static void link_work(struct work *w)
{
	struct virtio_net *n = container_of(w, struct virtio_net, link_work);
	uint16_t status = STATUS_LINK_UP;
	if (n->has_status)
		virtio_config(n->virtio, CONFIG_STATUS, &status, sizeof status);
	bool up = status & STATUS_LINK_UP && !atomic_load(&n->failed);
	if (atomic_exchange(&n->dev.link_up, up) != up || atomic_load(&n->failed)) {
		pr_info("%s: link %s", n->dev.name, up ? "up" : "down");
		if (n->dev.link_changed)
			n->dev.link_changed(&n->dev);
	}
}

static void net_config_changed(struct virtio_device *d)
{
	struct virtio_net *n = d->private;
	if (n)
		work_queue(&n->link_work);
}

/* Tells a multi-queue device how many pairs are in use. Polled: nothing else uses the control
 * queue. */
static int set_pairs(struct virtio_net *n)
{
	struct {
		uint8_t class, command;
		uint16_t pairs;
		uint8_t ack;
	} *c = kzalloc(sizeof *c);
	uint32_t written;
	int err = -EIO;
	if (!c)
		return -ENOMEM;
	c->class = CONTROL_CLASS_MQ;
	c->command = CONTROL_MQ_SET;
	c->pairs = (uint16_t)n->npairs;
	c->ack = 0xff;
	struct virtq_buf buf[] = {
	    {virt_phys(c), 2}, {virt_phys(&c->pairs), 2}, {virt_phys(&c->ack), 1}};
	virtq_disable(n->control);
	if (virtq_add(n->control, buf, 2, 1, c) == 0) {
		virtio_kick(n->control);
		for (int i = 0; i < 10000000 && err; i++) {
			cpu_relax();
			if (virtq_take(n->control, &written))
				err = __atomic_load_n(&c->ack, __ATOMIC_ACQUIRE) == CONTROL_OK
					  ? 0
					  : -EINVAL;
		}
	}
	if (!n->control->in_flight)
		kfree(c);
	return err;
}

static int net_start(struct net_device *d)
{
	struct virtio_net *n = container_of(d, struct virtio_net, dev);
	for (unsigned i = 0; i < n->npairs; i++) {
		struct net_pair *p = &n->pair[i];
		char name[16];
		net_rx_refill(p);
		if (!p->rx->in_flight)
			return -ENOMEM;
		snprintf(name, sizeof name, "%s/%u", d->name, i);
		p->thread = kthread_create_on(i % ncpus, name, pair_thread, p);
		if (!p->thread)
			return -ENOMEM;
	}
	return 0;
}

static void net_stats(struct net_device *d, struct netdev_stats *out)
{
	struct virtio_net *n = container_of(d, struct virtio_net, dev);
	memset(out, 0, sizeof *out);
	for (unsigned i = 0; i < n->npairs; i++) {
		const uint64_t *from = (const uint64_t *)&n->pair[i].stats;
		for (size_t k = 0; k < sizeof *out / sizeof *from; k++)
			((uint64_t *)out)[k] += from[k];
		out->notifies += n->pair[i].tx->notifies + n->pair[i].rx->notifies;
	}
}

static int init_pair(struct virtio_net *n, unsigned i, uint16_t ring)
{
	struct net_pair *p = &n->pair[i];
	p->net = n;
	p->index = i;
	p->rx = virtio_queue(n->virtio, 2 * i, ring, 0, i % ncpus);
	p->tx =
	    p->rx ? virtio_queue(n->virtio, 2 * i + 1, ring, NS_MAX_FRAGS + 2, i % ncpus) : NULL;
	return p->tx ? net_tx_init(p) : -EIO;
}

static void read_config(struct virtio_net *n)
{
	struct virtio_device *v = n->virtio;
	struct net_device *d = &n->dev;
	d->mtu = MTU_DEFAULT;
	if (virtio_has(v, F_MTU)) {
		uint16_t mtu;
		virtio_config(v, CONFIG_MTU, &mtu, sizeof mtu);
		if (mtu >= MTU_MIN)
			d->mtu = mtu;
	}
	if (virtio_has(v, F_MAC)) {
		virtio_config(v, 0, d->mac, sizeof d->mac);
	} else {
		random_bytes(d->mac, sizeof d->mac);
		d->mac[0] =
		    (uint8_t)((d->mac[0] & 0xfe) | 2); /* one station, locally administered */
	}
	d->features = (virtio_has(v, F_CSUM) ? NETDEV_CSUM : 0) |
		      (virtio_has(v, F_HOST_TSO4) ? NETDEV_TSO4 : 0) |
		      (virtio_has(v, F_HOST_TSO6) ? NETDEV_TSO6 : 0) |
		      (virtio_has(v, F_HOST_USO) ? NETDEV_USO : 0) |
		      (virtio_has(v, F_GUEST_CSUM) ? NETDEV_RXCSUM : 0) |
		      (virtio_has(v, F_GUEST_TSO4 | F_GUEST_TSO6) ? NETDEV_LRO : 0);
	n->mergeable = virtio_has(v, F_MERGEABLE);
	n->has_status = virtio_has(v, F_STATUS);
	n->header_size = v->legacy && !n->mergeable ? 10 : 12;
}

/* What to ask for: large received packets need mergeable buffers, and each offload needs checksums.
 */
static uint64_t wanted_features(struct virtio_device *v, uint16_t device_pairs)
{
	uint64_t offered = v->ops->features(v);
	uint64_t want = F_CSUM | F_GUEST_CSUM | F_MTU | F_MAC | F_MERGEABLE | F_STATUS;
	if (offered & F_CSUM)
		want |= F_HOST_TSO4 | F_HOST_TSO6 | F_HOST_ECN | F_HOST_USO;
	if (offered & F_MERGEABLE && offered & F_GUEST_CSUM)
		want |= F_GUEST_TSO4 | F_GUEST_TSO6 | F_GUEST_ECN;
	if (offered & F_CONTROL && device_pairs > 1 && device_pairs <= MAX_PAIRS && ncpus > 1)
		want |= F_CONTROL | F_MULTI_QUEUE;
	return want;
}

static int net_probe(struct virtio_device *v)
{
	uint16_t device_pairs = 1;
	if (v->ops->features(v) & F_MULTI_QUEUE)
		virtio_config(v, CONFIG_PAIRS, &device_pairs, sizeof device_pairs);
	int err = virtio_negotiate(v, wanted_features(v, device_pairs));
	if (err)
		return err;
	uint64_t memory = memstats.total * PAGE_SIZE;
	unsigned pairs = virtio_has(v, F_MULTI_QUEUE) ? MIN((unsigned)device_pairs, ncpus) : 1;
	pairs = (unsigned)MIN((uint64_t)pairs, MAX(memory / 16 / PAIR_BYTES, 1ul));
	struct virtio_net *n = kzalloc(sizeof *n + pairs * sizeof n->pair[0]);
	if (!n)
		return -ENOMEM;
	n->virtio = v;
	work_init(&n->link_work, link_work);
	read_config(n);
	for (; n->npairs < pairs; n->npairs++) {
		err = init_pair(n, n->npairs, memory >= 64 << 20 ? RING_LARGE : RING_SMALL);
		if (err && n->npairs == 0)
			return err;
		if (err)
			break; /* fewer pairs work too */
	}
	if (virtio_has(v, F_MULTI_QUEUE) &&
	    !(n->control = virtio_queue(v, 2u * device_pairs, 4, 0, 0)))
		return -EIO;
	virtio_go(v);
	if (n->npairs > 1 && set_pairs(n)) {
		pr_warn("%s: the device refuses %u queue pairs; one is used", v->name, n->npairs);
		n->npairs = 1;
	}
	n->dev.nqueues = n->npairs;
	n->dev.start = net_start;
	n->dev.transmit = net_tx_transmit;
	n->dev.stats = net_stats;
	uint16_t status = STATUS_LINK_UP;
	if (n->has_status)
		virtio_config(v, CONFIG_STATUS, &status, sizeof status);
	atomic_store(&n->dev.link_up, status & STATUS_LINK_UP);
	v->private = n;
	netdev_register(&n->dev);
	return 0;
}

const struct virtio_driver virtio_net_driver = {
    .type = VIRTIO_NET,
    .name = "virtio-net",
    .probe = net_probe,
    .interrupt = net_interrupt,
    .config_changed = net_config_changed,
};
