/* SPDX-License-Identifier: BSD-3-Clause */
/* The receive path: from a device's batch (or the loopback) to channels and the slow path. */
#include "arch/x86/cpu.h"
#include "arch/x86/percpu.h"
#include "core/trace.h"
#include "net/inet/inet.h"
#include "net/inet/time_wait.h"
#include "net/packet/packet.h"

/* A TCP packet with bytes or flags that the application may wait for, as opposed to a bare
 * acknowledgement. */
static bool carries_data(const struct ns_pkt *p)
{
	const uint8_t *l4 = p->head + p->l4_off;
	uint32_t end = (uint32_t)(p->data - p->head) + p->tot_len;

	return end > p->payload_off || (l4[13] & 0x07); /* FIN SYN RST */
}

/* Finds the connection and hands over. False: nobody's packet. */
static bool deliver(const struct ns_flow *flow, struct ns_pkt *pkt)
{
	rcu_read_lock();
	struct flow_entry *e = flows_find(flow);
	if (!e) {
		rcu_read_unlock();
		return false;
	}
	if (e->time_wait) {
		struct time_wait *t = time_wait_get(e);
		rcu_read_unlock();
		if (t)
			time_wait_input(t, pkt);
		else
			ns_pkt_put(pkt);
		return true;
	}
	struct conn *c = conn_get_unless_gone(container_of(e, struct conn, entry));
	rcu_read_unlock();
	if (!c)
		return false;
	if (unlikely(pkt->ttl < (flow->v6 ? c->min_hops : c->min_ttl))) {
		ns_pkt_put(pkt);
		conn_put(c);
		return true;
	}
	c->cpu = (uint8_t)this_cpu()->id;
	bool data = carries_data(pkt);
	if (conn_push(c, pkt))
		conn_kick(c, data);
	else if (data)
		conn_kick(c, true); /* an earlier bare acknowledgement may have told nobody */
	conn_put(c);
	return true;
}

static void dispatch(struct ns_pkt *pkt, struct ns_flow *flow, enum ns_class cls)
{
	if (cls == NS_CLASS_DROP) {
		TRACE(net_packet_drop, "len=%u", pkt->tot_len);
		ns_input_drop(inet.ns, pkt);
		return;
	}
	if (cls == NS_CLASS_TCP && deliver(flow, pkt))
		return;
	TRACE(net_packet_handling, "len=%u class=%u", pkt->tot_len, cls);
	inet_lock();
	ns_input_slow(inet.ns, pkt, flow, cls);
	inet_unlock();
}

void receive_packet(struct ns_pkt *pkt)
{
	struct ns_flow flow;
	enum ns_class cls = ns_classify(pkt, &flow);

	dispatch(pkt, &flow, cls);
}

static void deliver_coalesced(struct ns_pkt *p, const struct ns_flow *flow)
{
	while (p) {
		struct ns_pkt *next = p->next;
		struct ns_flow copy = *flow;
		p->next = NULL;
		dispatch(p, &copy, NS_CLASS_TCP);
		p = next;
	}
}

void receive_frames(struct net_device *d, unsigned queue, struct ns_pktq *batch)
{
	uint32_t ifindex = (uint32_t)(uintptr_t)d->user;
	struct ns_gro gro = {.count = 0};
	struct ns_flow flow;
	struct ns_pkt *p;

	(void)queue;
	while ((p = ns_pktq_pop(batch))) {
		p->ifindex = ifindex;
		TRACE(net_packet_in, "len=%u if=%u", p->tot_len, ifindex);
		packet_tap(p, ifindex, false);
		enum ns_class cls = ns_classify(p, &flow);
		if (cls == NS_CLASS_TCP)
			deliver_coalesced(ns_gro_receive(&gro, p, &flow), &flow);
		else
			dispatch(p, &flow, cls);
	}
	while ((p = ns_gro_flush(&gro, &flow)))
		deliver_coalesced(p, &flow);
	receive_loopback();
}

/*
 * --- loopback: a queue for each CPU; who sent empties it as soon as it holds no lock ---
 *
 * The thread that empties a queue may sleep in the middle (receive_packet) and go on on another
 * CPU, while the queue's own CPU sends more. So the queue belongs to no CPU: anybody pushes, with
 * one compare-and-exchange; who raised `running` takes everything with one exchange and keeps it to
 * itself. `running` keeps the packets in order. It is lowered before the last look at the queue,
 * and a pusher looks at it after its push, so one of the two sees the other.
 */

struct backlog {
	_Atomic(struct ns_pkt *) queue; /* newest first */
	_Atomic bool running;
	bool ready;
	struct work work;
} __attribute__((aligned(CACHE_LINE)));
static struct backlog backlogs[MAX_CPUS];

static void backlog_work(struct work *w)
{
	(void)w;
	receive_loopback();
}

static struct backlog *own_backlog(void)
{
	struct backlog *b = &backlogs[this_cpu()->id];

	if (unlikely(!b->ready)) {
		work_init(&b->work, backlog_work);
		b->ready = true;
	}
	return b;
}

void loopback_push(struct ns_pkt *pkt)
{
	struct backlog *b = own_backlog();
	struct ns_pkt *head = atomic_load_explicit(&b->queue, memory_order_relaxed);

	do
		pkt->next = head;
	while (!atomic_compare_exchange_weak(&b->queue, &head, pkt));
	if (!head)
		work_queue(&b->work); /* in case the sender's context does not come to it */
}

/* Delivers what lies in the queue, oldest first. */
static void deliver_backlog(struct backlog *b)
{
	struct ns_pkt *list = atomic_exchange(&b->queue, NULL), *in_order = NULL;

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
		if (p->flags & NS_PKT_LOOPBACK)
			packet_tap(p, NS_LOOPBACK_IF, false);
		receive_packet(p); /* may sleep: this thread may go on on another CPU */
	}
}

void receive_loopback(void)
{
	struct backlog *b = own_backlog();

	while (atomic_load(&b->queue) && !atomic_exchange(&b->running, true)) {
		deliver_backlog(b);
		atomic_store(&b->running, false);
	}
}
