/* SPDX-License-Identifier: BSD-3-Clause */
/* The one netstack instance of the kernel: its operations, lock, timer and devices. */
#include "arch/x86/percpu.h"
#include "core/log.h"
#include "core/random.h"
#include "core/trace.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/page.h"
#include "net/inet/inet.h"
#include "net/inet/links.h"
#include "net/inet/proc.h"
#include "net/inet/time_wait.h"
#include "net/netlink/netlink.h"
#include "net/packet/packet.h"

struct inet inet;

static struct timer instance_timer;
static struct work instance_work, deferred_work;
static _Atomic int64_t instance_deadline = INT64_MAX;
static _Atomic(struct ns_pkt *) deferred; /* packets that wait for inet.lock to be sent */

/* --- operations --- */

/*
 * Memory in packets. Each CPU counts what it allocates and frees (its own number may be negative);
 * now and then the sum is compared with what the machine has. While it is too much, whoever asks
 * (inet_memory_low) has it compared again.
 */
static struct {
	_Atomic int64_t bytes;
	unsigned allocations;
} __attribute__((aligned(CACHE_LINE))) packet_memory[MAX_CPUS];
static _Atomic bool memory_low;

#define CHECK_EVERY 64 /* allocations */

static bool check_memory(void)
{
	int64_t bytes = 0, cached = atomic_load(&memstats.cached),
		shmem = atomic_load(&memstats.shmem);

	for (unsigned i = 0; i < ncpus; i++)
		bytes += atomic_load_explicit(&packet_memory[i].bytes, memory_order_relaxed);
	int64_t total = (int64_t)memstats.total, available = (int64_t)pages_free();
	if (cached > shmem)
		available += cached - shmem;
	bool low = bytes / (int64_t)PAGE_SIZE > total / 4 || available < total / 16;
	atomic_store_explicit(&memory_low, low, memory_order_relaxed);
	return low;
}

bool inet_memory_low(void)
{
	return unlikely(atomic_load_explicit(&memory_low, memory_order_relaxed)) && check_memory();
}

static bool memory_low_op(void *ctx)
{
	(void)ctx;
	return inet_memory_low();
}

static void count_memory(int64_t n)
{
	unsigned cpu = this_cpu()->id;

	/* Nothing else runs on this CPU in between, so a plain read and write will do. */
	atomic_store_explicit(&packet_memory[cpu].bytes,
	    atomic_load_explicit(&packet_memory[cpu].bytes, memory_order_relaxed) + n,
	    memory_order_relaxed);
	if (n > 0 && ++packet_memory[cpu].allocations % CHECK_EVERY == 0)
		check_memory();
}

static void pkt_free(struct ns_pkt *p)
{
	count_memory(-(int64_t)p->block);
	kfree(p);
}

struct ns_pkt *inet_pkt_alloc(void *ctx, uint32_t linear, uint32_t nfrags)
{
	size_t n = ns_pkt_block_size(linear, nfrags);
	void *block = kmalloc(n);

	(void)ctx;
	if (!block)
		return NULL;
	struct ns_pkt *p = ns_pkt_init(block, n, nfrags, 0, pkt_free);
	count_memory(p->block);
	return p;
}

static void *mem_alloc(void *ctx, size_t n)
{
	(void)ctx;
	return kmalloc(n);
}

static void mem_free(void *ctx, void *p, size_t n)
{
	(void)ctx;
	(void)n;
	kfree(p);
}

static uint64_t now(void *ctx)
{
	(void)ctx;
	return (uint64_t)time_now();
}

static void random_bytes_op(void *ctx, void *buf, size_t n)
{
	(void)ctx;
	random_bytes(buf, n);
}

static void transmit(void *ctx, uint32_t ifindex, struct ns_pkt *pkt)
{
	(void)ctx;
	TRACE(net_packet_out, "len=%u if=%u", pkt->tot_len, ifindex);
	packet_tap(pkt, ifindex, true);
	if (ifindex == NS_LOOPBACK_IF) {
		pkt->ifindex = NS_LOOPBACK_IF;
		loopback_push(pkt);
		return;
	}
	struct net_device *d = ifindex <= NS_MAX_IFS ? inet.device[ifindex] : NULL;
	if (!d) {
		ns_pkt_put(pkt);
		return;
	}
	struct ns_pktq q;
	ns_pktq_init(&q);
	ns_pktq_push(&q, pkt);
	d->transmit(d, this_cpu()->id % d->nqueues, &q);
}

static void defer_output(void *ctx, struct ns_pkt *pkt)
{
	struct ns_pkt *head = atomic_load_explicit(&deferred, memory_order_relaxed);

	(void)ctx;
	do
		pkt->next = head;
	while (!atomic_compare_exchange_weak(&deferred, &head, pkt));
	if (!head)
		work_queue(&deferred_work);
}

static void arm(void *ctx, uint64_t deadline)
{
	(void)ctx;
	if ((int64_t)deadline >= atomic_load(&instance_deadline))
		return;
	atomic_store(&instance_deadline, (int64_t)deadline);
	timer_arm(&instance_timer, (int64_t)deadline);
}

static void tcp_arm(void *ctx, struct ns_tcp *tcp, uint64_t deadline)
{
	(void)ctx;
	conn_arm(tcp, deadline);
}

/* Under inet.lock. */
static void tcp_icmp(void *ctx, const struct ns_flow *flow, const struct ns_icmp_error *err)
{
	struct conn *c = conn_find(flow);

	(void)ctx;
	if (!c)
		return;
	conn_icmp(c, err);
	conn_put(c);
}

/* The slow path found a TCP packet (a reassembled one). Under inet.lock, so processing is left to a
 * worker. */
static bool tcp_deliver(void *ctx, const struct ns_flow *flow, struct ns_pkt *pkt)
{
	struct conn *c = conn_find(flow);

	(void)ctx;
	if (!c)
		return false;
	if (!conn_push(c, pkt) || !work_queue(&c->work))
		conn_put(c); /* otherwise the work has the reference */
	return true;
}

static bool tcp_in_use(void *ctx, const struct ns_flow *flow)
{
	(void)ctx;
	rcu_read_lock();
	const struct flow_entry *e = flows_find(flow);
	bool used = e && !(e->time_wait && time_wait_reusable(e));
	rcu_read_unlock();
	return used;
}

static void log_line(void *ctx, enum ns_log_level level, const char *text,
    const struct ns_addr *addr, uint64_t value)
{
	static const enum log_level map[] = {LOG_ERR, LOG_WARN, LOG_INFO, LOG_DEBUG};
	char a[46] = "";

	(void)ctx;
	if (addr)
		ns_addr_format(addr, a);
	klog(map[level], "net: %s%s%s (%lu)", text, addr ? " " : "", a, value);
}

/* Under inet.lock. */
static void notify(void *ctx, enum ns_change what, uint32_t ifindex)
{
	(void)ctx;
	(void)what;
	(void)ifindex;
	rtnl_changed();
}

static const struct ns_ops ops = {
    .pkt_alloc = inet_pkt_alloc,
    .mem_alloc = mem_alloc,
    .mem_free = mem_free,
    .now = now,
    .random = random_bytes_op,
    .transmit = transmit,
    .defer_output = defer_output,
    .arm = arm,
    .tcp_arm = tcp_arm,
    .tcp_deliver = tcp_deliver,
    .tcp_icmp = tcp_icmp,
    .tcp_in_use = tcp_in_use,
    .raw_input = raw_input,
    .raw_error = raw_error,
    .memory_low = memory_low_op,
    .notify = notify,
    .log = log_line,
};

/* --- lock and deferred work --- */

void inet_lock(void)
{
	mutex_lock(&inet.lock);
}

void inet_unlock(void)
{
	mutex_unlock(&inet.lock);
}

static void run_deferred(struct work *w)
{
	struct ns_pkt *list = atomic_exchange(&deferred, NULL), *in_order = NULL;

	(void)w;
	while (list) {
		struct ns_pkt *next = list->next;
		list->next = in_order;
		in_order = list;
		list = next;
	}
	while (in_order) {
		struct ns_pkt *p = in_order;
		in_order = p->next;
		p->next = NULL;
		inet_lock();
		ns_output_deferred(inet.ns, p);
		inet_unlock();
	}
	receive_loopback();
}

static void timer_fired(struct timer *t)
{
	(void)t;
	work_queue(&instance_work);
}

static void run_timer(struct work *w)
{
	(void)w;
	inet_lock();
	atomic_store(&instance_deadline, INT64_MAX);
	ns_timer(inet.ns);
	inet_unlock();
	receive_loopback();
}

/* --- devices --- */

static void link_changed(struct net_device *d)
{
	uint32_t ifindex = (uint32_t)(uintptr_t)d->user;

	inet_lock();
	link_apply(ifindex);
	inet_unlock();
}

static void device_added(struct net_device *d)
{
	uint32_t flags = (d->features & NETDEV_CSUM ? NS_IF_CSUM : 0) |
			 (d->features & NETDEV_TSO4 ? NS_IF_TSO4 : 0) |
			 (d->features & NETDEV_TSO6 ? NS_IF_TSO6 : 0);

	inet_lock();
	int ifindex = ns_if_add(inet.ns, d->name, d->mac, d->mtu, flags);
	inet_unlock();
	if (ifindex < 0) {
		pr_err("net: %s: cannot be added (error %d)", d->name, -ifindex);
		return;
	}
	inet.device[ifindex] = d;
	d->user = (void *)(uintptr_t)ifindex;
	d->receive = receive_frames;
	d->link_changed = link_changed;
	int err = d->start(d);
	if (err) {
		pr_err("net: %s: cannot be started (error %d)", d->name, -err);
		return;
	}
	link_changed(d);
}

static struct netdev_observer observer = {.fn = device_added};

static const struct socket_family inet4 = {AF_INET, inet_socket_create};
static const struct socket_family inet6 = {AF_INET6, inet_socket_create};

void inet_init(void)
{
	void *mem = kmalloc(ns_instance_size(NULL) + 64);

	if (!mem)
		panic("no memory for the network stack");
	timer_init(&instance_timer, timer_fired);
	work_init(&instance_work, run_timer);
	work_init(&deferred_work, run_deferred);
	conn_init();
	inet.ns = ns_create((void *)ALIGN_UP((uint64_t)mem, 64), NULL, &ops, NULL);
	if (flows_init())
		panic("no memory for the connection table");
	time_wait_init();
	socket_family_register(&inet4);
	socket_family_register(&inet6);
	netlink_init();
	packet_init();
	inet_proc_init();
	netdev_observe(&observer);
}
