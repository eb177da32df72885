/* SPDX-License-Identifier: BSD-3-Clause */
/* Listings of the internet sockets. */
#include "net/inet/sockets.h"
#include "net/inet/tcp_socket.h"
#include "net/inet/time_wait.h"

struct listing {
	socket_view_fn *fn;
	void *arg;
	bool stopped;
};

static bool show(struct listing *l, const struct socket_view *v)
{
	l->stopped = !l->fn(v, l->arg);
	return !l->stopped;
}

static bool see_listener(struct ns_tcp_listener *nl, void *arg)
{
	const struct tcp_listener *tl = nl->user;
	const struct file *f = tl->s->file;
	struct socket_view v = {.family = tl->s->family,
	    .proto = NS_PROTO_TCP,
	    .state = NS_TCP_LISTEN,
	    .local = nl->bind.addr,
	    .lport = nl->bind.port,
	    .ifindex = nl->bind.ifindex,
	    .rqueue = tl->queued,
	    .wqueue = tl->limit,
	    .uid = f ? f->inode->uid : 0,
	    .ino = f ? f->inode->ino : 0,
	    .cookie = (uint64_t)tl,
	    .listener = tl,
	    .v6only = nl->bind.flags & NS_BIND_V6ONLY};

	return show(arg, &v);
}

/* Which of the connection's timers comes next. The values may be a moment old. */
static void put_timer(struct socket_view *v, const struct ns_tcp *t)
{
	const struct {
		uint64_t at;
		uint8_t what;
	} all[] = {{t->t_rexmit, TIMER_RETRANSMIT}, {t->t_persist, TIMER_PROBE},
	    {t->t_wait, TIMER_TIME_WAIT}, {t->t_keep, TIMER_KEEPALIVE}};

	for (unsigned i = 0; i < ARRAY_SIZE(all); i++)
		if (all[i].at) {
			v->timer = all[i].what;
			v->timer_left = MAX((int64_t)all[i].at - time_now(), 0);
			return;
		}
}

static bool see_connection(struct flow_entry *e, void *arg)
{
	const struct ns_flow *f = e->flow;
	struct socket_view v = {.family = f->v6 ? AF_INET6 : AF_INET,
	    .proto = NS_PROTO_TCP,
	    .state = NS_TCP_TIME_WAIT,
	    .local = f->local,
	    .remote = f->remote,
	    .lport = f->lport,
	    .rport = f->rport,
	    .ifindex = ns_addr_is_linklocal(&f->remote) ? f->ifindex : 0,
	    .cookie = (uint64_t)e};

	if (e->time_wait) {
		v.timer = TIMER_TIME_WAIT;
		v.timer_left = MAX((int64_t)time_wait_state(e)->expires_ns - time_now(), 0);
		return show(arg, &v);
	}
	struct conn *c = container_of(e, struct conn, entry);
	v.state = (uint8_t)ns_tcp_get_state(&c->tcp);
	v.ino = atomic_load(&c->ino);
	v.uid = v.ino ? c->uid : 0;
	if (c->family6)
		v.family = AF_INET6;
	v.rqueue = ns_tcp_readable(&c->tcp);
	v.wqueue = ns_tcp_unacked(&c->tcp);
	v.retrans = c->tcp.backoff;
	v.conn = c;
	put_timer(&v, &c->tcp);
	return show(arg, &v);
}

void tcp_sockets(socket_view_fn *fn, void *arg)
{
	struct listing l = {fn, arg, false};

	inet_lock();
	ns_tcp_listener_walk(inet.ns, see_listener, &l);
	inet_unlock();
	if (!l.stopped)
		flows_walk(see_connection, &l);
}

static bool see_udp(struct ns_udp *udp, void *arg)
{
	struct socket_view v = {.proto = NS_PROTO_UDP,
	    .state = udp->rport ? NS_TCP_ESTABLISHED : NS_TCP_CLOSED,
	    .local = udp->bind.addr,
	    .lport = udp->bind.port,
	    .ifindex = udp->bind.ifindex,
	    .cookie = (uint64_t)udp,
	    .v6only = udp->bind.flags & NS_BIND_V6ONLY};

	if (udp->rport) {
		v.remote = udp->remote;
		v.rport = udp->rport;
	}
	return !udp_view(udp, &v) || show(arg, &v);
}

void udp_sockets(socket_view_fn *fn, void *arg)
{
	struct listing l = {fn, arg, false};

	inet_lock();
	ns_udp_walk(inet.ns, see_udp, &l);
	inet_unlock();
}
