/* SPDX-License-Identifier: BSD-3-Clause */
/* A TCP connection as a netchannel: see inet.h for who may touch what. */
#include <asm/errno.h>
#include <linux/eventpoll.h>
#include "arch/x86/percpu.h"
#include "core/trace.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "net/inet/inet.h"
#include "net/inet/time_wait.h"

#define GUARD_NS (4 * NSEC_PER_MSEC)

static void on_event(struct ns_tcp *tcp, uint32_t events);
static void timer_fired(struct timer *t);
static void timer_work(struct work *w);

void conn_attach(struct conn *c)
{
	c->tcp.on_event = on_event;
}

struct conn *conn_new(void)
{
	struct conn *c = kzalloc(sizeof *c);

	if (!c)
		return NULL;
	ns_tcp_init(&c->tcp, inet.ns);
	conn_attach(c);
	c->entry.flow = &c->tcp.flow;
	atomic_init(&c->refs, 1);
	atomic_init(&c->wanted, INT64_MAX);
	poll_head_init(&c->poll);
	timer_init(&c->timer, timer_fired);
	work_init(&c->work, timer_work);
	list_init(&c->accept_link);
	return c;
}

void conn_get(struct conn *c)
{
	atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
}

struct conn *conn_get_unless_gone(struct conn *c)
{
	int refs = atomic_load_explicit(&c->refs, memory_order_relaxed);

	while (refs > 0)
		if (atomic_compare_exchange_weak(&c->refs, &refs, refs + 1))
			return c;
	return NULL;
}

struct conn *conn_find(const struct ns_flow *flow)
{
	struct conn *c = NULL;

	rcu_read_lock();
	struct flow_entry *e = flows_find(flow);
	if (e && !e->time_wait)
		c = conn_get_unless_gone(container_of(e, struct conn, entry));
	rcu_read_unlock();
	return c;
}

static void drop_channel(struct conn *c)
{
	struct ns_pkt *p = atomic_exchange(&c->channel, NULL);

	while (p) {
		struct ns_pkt *next = p->next;
		p->next = NULL;
		ns_pkt_put(p);
		p = next;
	}
}

static void free_conn(struct rcu_head *h)
{
	struct conn *c = container_of(h, struct conn, rcu);

	drop_channel(c);
	kfree(atomic_load(&c->icmp));
	if (c->tcp.bind.bound) {
		inet_lock();
		ns_port_unbind(inet.ns, &c->tcp.bind);
		inet_unlock();
	}
	ns_tcp_destroy(&c->tcp);
	poll_head_destroy(&c->poll);
	kfree(c);
}

void conn_put(struct conn *c)
{
	if (atomic_fetch_sub(&c->refs, 1) != 1)
		return;
	rcu_defer(&c->rcu,
	    free_conn); /* the port, if it has one, is given back there: a lock is needed */
}

/* --- events --- */

static unsigned poll_bits(uint32_t ev)
{
	unsigned m = 0;

	if (ev & NS_EV_READABLE)
		m |= EPOLLIN | EPOLLRDNORM;
	if (ev & NS_EV_WRITABLE)
		m |= EPOLLOUT | EPOLLWRNORM;
	if (ev & NS_EV_RDHUP)
		m |= EPOLLRDHUP | EPOLLIN | EPOLLRDNORM;
	if (ev & NS_EV_HUP)
		m |= EPOLLHUP | EPOLLIN | EPOLLOUT;
	if (ev & NS_EV_ERROR)
		m |= EPOLLERR | EPOLLIN | EPOLLOUT;
	if (ev & NS_EV_URGENT)
		m |= EPOLLPRI;
	return m;
}

unsigned conn_ready(struct conn *c)
{
	return poll_bits(ns_tcp_ready(&c->tcp));
}

/* Does anybody wait? A look without the lock: who attaches looks at the channel afterwards, who
 * pushes looks here afterwards, so one of the two sees the other. */
static bool has_watchers(struct conn *c)
{
	return __atomic_load_n(&c->poll.entries.next, __ATOMIC_RELAXED) != &c->poll.entries;
}

static void on_event(struct ns_tcp *tcp, uint32_t events)
{
	struct conn *c = container_of(tcp, struct conn, tcp);
	unsigned m = poll_bits(events);

	if (events & NS_EV_STATE)
		TRACE(tcp_state, "conn=%p state=%u", c, tcp->state);
	if (c->quiet)
		m &= EPOLLOUT | EPOLLWRNORM | EPOLLHUP | EPOLLERR;
	if (m && has_watchers(c))
		poll_notify(&c->poll, m);
}

/* --- the channel --- */

bool conn_push(struct conn *c, struct ns_pkt *pkt)
{
	struct ns_pkt *head = atomic_load_explicit(&c->channel, memory_order_relaxed);

	do
		pkt->next = head;
	while (!atomic_compare_exchange_weak(&c->channel, &head, pkt));
	return !head;
}

/* Processes what lies on the channel, oldest first. By the owner. */
static void drain(struct conn *c)
{
	if (unlikely(atomic_load_explicit(&c->icmp, memory_order_relaxed))) {
		struct ns_icmp_error *err = atomic_exchange(&c->icmp, NULL);
		if (err)
			ns_tcp_icmp(&c->tcp, err);
		kfree(err);
	}
	struct ns_pkt *list = atomic_exchange(&c->channel, NULL), *in_order = NULL;

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
		TRACE(tcp_input, "conn=%p len=%u", c, p->tot_len);
		if (ns_tcp_input(&c->tcp, p) ==
		    NS_TCP_REUSE) { /* a new connection takes the flow */
			if (c->in_table) {
				c->in_table = false;
				flows_remove(&c->entry);
				timer_cancel(&c->timer);
				conn_put(c); /* not the last: the caller has one */
			}
			p->user[0] = 0;
			loopback_push(
			    p); /* comes back through the receive path, finds the listener */
		}
	}
	TRACE(tcp_output, "conn=%p", c);
	ns_tcp_flush(&c->tcp);
}

/* Is there anything to process? */
static bool has_packets(struct conn *c)
{
	return atomic_load_explicit(&c->channel, memory_order_acquire) ||
	       atomic_load_explicit(&c->icmp, memory_order_relaxed);
}

void conn_icmp(struct conn *c, const struct ns_icmp_error *err)
{
	struct ns_icmp_error *copy = kmalloc(sizeof *copy);

	if (!copy) /* as if it had been lost on the way */
		return;
	*copy = *err;
	copy->quote = NULL;
	copy->quote_len = 0;
	kfree(atomic_exchange(&c->icmp, copy));
	conn_kick(c, false);
}

/* The protocol has nothing more to do: out of the table. TIME_WAIT goes on as a small record. By
 * the owner. */
static void leave_table_if_done(struct conn *c)
{
	if (!c->in_table || !c->released)
		return;
	enum ns_tcp_state state = ns_tcp_get_state(&c->tcp);
	if (state == NS_TCP_TIME_WAIT && !time_wait_take_over(c))
		return;
	if (state != NS_TCP_TIME_WAIT && state != NS_TCP_CLOSED)
		return;
	if (state == NS_TCP_CLOSED)
		flows_remove(&c->entry);
	c->in_table = false;
	timer_cancel(&c->timer);
	conn_put(c); /* the table's; the caller has one of its own */
}

void conn_lock(struct conn *c)
{
	mutex_lock(&c->owner);
	if (has_packets(c)) {
		c->quiet = true;
		drain(c);
		c->quiet = false;
	}
}

void conn_unlock(struct conn *c)
{
	for (;;) {
		if (has_packets(c))
			drain(c);
		leave_table_if_done(c);
		mutex_unlock(&c->owner);
		if (!has_packets(c) || !mutex_trylock(&c->owner))
			return; /* a new owner has it, or will see it before it goes */
	}
}

/* --- who processes --- */

struct guard {
	_Atomic(struct conn *) list;
	struct timer timer;
	struct work work;
} __attribute__((aligned(CACHE_LINE)));
static struct guard guards[MAX_CPUS];

static void guard_fired(struct timer *t)
{
	work_queue(&container_of(t, struct guard, timer)->work);
}

/* Connections whose consumers were told a while ago: process what they left. */
static void guard_run(struct work *w)
{
	struct guard *g = container_of(w, struct guard, work);
	struct conn *c = atomic_exchange(&g->list, NULL);

	while (c) {
		struct conn *next = c->guard_next;
		atomic_store(&c->guarded, false);
		if (has_packets(c) && mutex_trylock(&c->owner))
			conn_unlock(c);
		conn_put(c);
		c = next;
	}
	receive_loopback();
}

static void guard(struct conn *c)
{
	if (atomic_exchange(&c->guarded, true))
		return;
	struct guard *g = &guards[this_cpu()->id];
	struct conn *head = atomic_load_explicit(&g->list, memory_order_relaxed);
	conn_get(c);
	do
		c->guard_next = head;
	while (!atomic_compare_exchange_weak(&g->list, &head, c));
	if (!head)
		timer_arm(&g->timer, time_now() + GUARD_NS);
}

void conn_kick(struct conn *c, bool data)
{
	if (data && has_watchers(c)) {
		guard(c);
		poll_notify(&c->poll, EPOLLIN | EPOLLRDNORM);
		return;
	}
	if (mutex_trylock(&c->owner))
		conn_unlock(c);
}

/* --- the engine's timer --- */

/* The table has a reference while the timer is armed, but a timer that has just gone off on this
 * CPU counts as not armed on others: they may have put the last one by now. The memory stays until
 * this interrupt is over (a reader's section, as far as RCU is concerned). */
static void timer_fired(struct timer *t)
{
	struct conn *c = conn_get_unless_gone(container_of(t, struct conn, timer));

	if (c && !work_queue(&c->work)) /* otherwise the work has the reference */
		conn_put(c);
}

static void timer_work(struct work *w)
{
	struct conn *c = container_of(w, struct conn, work);

	mutex_lock(&c->owner);
	atomic_store(&c->wanted, INT64_MAX);
	ns_tcp_timer(&c->tcp, (uint64_t)time_now());
	conn_unlock(c);
	receive_loopback();
	conn_put(c);
}

/* A connection outside the table is about to go. */
void conn_arm(struct ns_tcp *tcp, uint64_t deadline)
{
	struct conn *c = container_of(tcp, struct conn, tcp);

	if (!c->in_table || (int64_t)deadline >= atomic_load(&c->wanted))
		return;
	atomic_store(&c->wanted, (int64_t)deadline);
	timer_arm(&c->timer, (int64_t)deadline);
}

int conn_publish(struct conn *c)
{
	conn_get(c);
	c->in_table = true;
	int err = flows_add(&c->entry);
	if (err) {
		c->in_table = false;
		conn_put(c);
	}
	return err;
}

/* --- waiting --- */

struct sleeper {
	struct poll_entry entry;
	struct thread *thread;
	_Atomic bool woken;
};

static bool wake_sleeper(struct poll_entry *e, unsigned events)
{
	struct sleeper *s = container_of(e, struct sleeper, entry);

	(void)events;
	atomic_store(&s->woken, true);
	return thread_wake(s->thread);
}

int conn_wait(struct conn *c, int64_t deadline)
{
	struct sleeper me = {.entry = {.fn = wake_sleeper}, .thread = current_thread()};
	int err = 0;

	poll_attach(&c->poll, &me.entry);
	conn_unlock(c);
	receive_loopback();
	for (;;) {
		thread_prepare_wait();
		if (atomic_load(&me.woken))
			break;
		if (signal_pending() || kill_pending()) {
			err = -EINTR;
			break;
		}
		if (deadline == 0 || (schedule_until(deadline) && time_now() >= deadline)) {
			err = -ETIMEDOUT;
			break;
		}
	}
	thread_end_wait();
	poll_detach(&me.entry);
	conn_lock(c);
	return atomic_load(&me.woken) ? 0 : err;
}

void conn_release(struct conn *c, bool abort)
{
	c->released = true;
	atomic_store(&c->ino, 0);
	if (abort)
		ns_tcp_abort(&c->tcp);
	else
		ns_tcp_close(&c->tcp);
	conn_unlock(c);
	receive_loopback();
	conn_put(c);
}

/* What of the engine's state survives. */
struct kept {
	struct ns_bind bind;
	const struct ns_cc_ops *cc;
	int64_t options[NS_OPT_ECN + 1];
};

static void keep_options(struct kept *k, const struct ns_tcp *tcp)
{
	for (int i = 0; i <= NS_OPT_ECN; i++)
		k->options[i] = ns_tcp_getopt(tcp, (enum ns_tcp_opt)i);
	k->cc = tcp->cc;
}

static void give_back_options(const struct kept *k, struct ns_tcp *tcp, const struct ns_tcp *old)
{
	for (int i = 0; i <= NS_OPT_ECN; i++) {
		bool buffer = i == NS_OPT_SNDBUF || i == NS_OPT_RCVBUF;
		if (i == NS_OPT_MAXSEG || /* the current one, not a wish */
		    (buffer && !(i == NS_OPT_SNDBUF ? old->sndbuf_locked : old->rcvbuf_locked)))
			continue;
		if (ns_tcp_getopt(tcp, (enum ns_tcp_opt)i) != k->options[i])
			ns_tcp_setopt(tcp, (enum ns_tcp_opt)i, k->options[i]);
	}
	tcp->cc = k->cc;
}

void conn_renew(struct conn *c)
{
	struct kept k;
	struct ns_tcp old = {.sndbuf_locked = c->tcp.sndbuf_locked,
	    .rcvbuf_locked = c->tcp.rcvbuf_locked,
	    .user_mss = c->tcp.user_mss};

	if (ns_tcp_get_state(&c->tcp) != NS_TCP_CLOSED)
		ns_tcp_abort(&c->tcp);
	if (c->in_table) {
		flows_remove(&c->entry);
		c->in_table = false;
		timer_cancel(&c->timer);
		conn_put(c); /* the table's */
	}
	rcu_synchronize(); /* readers of the table may still look at the flow */
	drop_channel(c);
	keep_options(&k, &c->tcp);
	ns_tcp_destroy(&c->tcp);
	inet_lock();
	k.bind = c->tcp.bind;
	if (k.bind.bound)
		ns_port_unbind(inet.ns, &c->tcp.bind);
	ns_tcp_init(&c->tcp, inet.ns);
	if (k.bind.bound) { /* nobody else can have taken it */
		struct ns_bind *b = &c->tcp.bind;
		b->addr = k.bind.addr;
		b->flags = k.bind.flags;
		b->v6 = k.bind.v6;
		b->ifindex = k.bind.ifindex;
		b->owner = k.bind.owner;
		ns_port_bind(inet.ns, b, NS_PROTO_TCP, k.bind.port);
	}
	inet_unlock();
	conn_attach(c);
	atomic_store(&c->wanted, INT64_MAX);
	c->tcp.user_mss = old.user_mss;
	give_back_options(&k, &c->tcp, &old);
}

void conn_init(void)
{
	for (unsigned i = 0; i < MAX_CPUS; i++) {
		timer_init(&guards[i].timer, guard_fired);
		work_init(&guards[i].work, guard_run);
	}
}
