/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * NETLINK_SOCK_DIAG: listings of internet sockets for ss. Programs' filter programs are not run
 * here (they look at the answers again themselves); other families are refused, for which programs
 * read /proc/net.
 */
#include <asm/errno.h>
#include <linux/in.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include "lib/string.h"
#include "net/inet/sockets.h"
#include "net/inet/tcp_socket.h"
#include "net/netlink/netlink.h"

struct listing {
	struct nl_request *r;
	const struct inet_diag_req_v2 *q;
};

static void put_end(uint32_t *to, const struct ns_addr *a, bool v6)
{
	if (v6)
		memcpy(to, a->b, 16);
	else
		memcpy(to, a->b + 12, 4);
}

static bool wanted(const struct inet_diag_req_v2 *q, uint8_t ext)
{
	return q->idiag_ext & 1u << (ext - 1);
}

static void put_connection(struct listing *l, const struct conn *c)
{
	struct nl_message *m = l->r->m;
	struct tcp_info info;

	if (wanted(l->q, INET_DIAG_INFO)) {
		tcp_fill_info(&c->tcp, &info);
		nl_put(m, INET_DIAG_INFO, &info, sizeof info);
	}
	if (wanted(l->q, INET_DIAG_CONG))
		nl_put_string(m, INET_DIAG_CONG, c->tcp.cc->name);
	if (wanted(l->q, INET_DIAG_TOS))
		nl_put_u8(m, INET_DIAG_TOS, c->tcp.tos);
}

static void put_memory(struct listing *l, const struct socket_view *v)
{
	uint32_t m[SK_MEMINFO_VARS] = {0};

	m[SK_MEMINFO_DROPS] = v->drops;
	if (v->conn) {
		m[SK_MEMINFO_RMEM_ALLOC] = v->conn->tcp.rq_mem + v->conn->tcp.ooo_mem;
		m[SK_MEMINFO_RCVBUF] = v->conn->tcp.rcvbuf;
		m[SK_MEMINFO_WMEM_QUEUED] = v->conn->tcp.sq_bytes;
		m[SK_MEMINFO_SNDBUF] = v->conn->tcp.sndbuf;
	} else if (!v->listener) {
		m[SK_MEMINFO_RMEM_ALLOC] = v->rqueue;
	}
	if (wanted(l->q, INET_DIAG_SKMEMINFO))
		nl_put(l->r->m, INET_DIAG_SKMEMINFO, m, sizeof m);
	if (wanted(l->q, INET_DIAG_MEMINFO)) {
		struct inet_diag_meminfo i = {.idiag_rmem = m[SK_MEMINFO_RMEM_ALLOC],
		    .idiag_wmem = m[SK_MEMINFO_WMEM_QUEUED],
		    .idiag_tmem = m[SK_MEMINFO_WMEM_ALLOC]};
		nl_put(l->r->m, INET_DIAG_MEMINFO, &i, sizeof i);
	}
}

static bool put_socket(const struct socket_view *v, void *arg)
{
	struct listing *l = arg;
	bool v6 = v->family == AF_INET6;

	if (v->family != l->q->sdiag_family || !(l->q->idiag_states & 1u << v->state))
		return true;
	struct inet_diag_msg *h = nl_answer(l->r, SOCK_DIAG_BY_FAMILY, sizeof *h);
	h->idiag_family = (uint8_t)v->family;
	h->idiag_state = v->state;
	h->idiag_timer = v->timer;
	h->idiag_retrans = (uint8_t)v->retrans;
	h->id.idiag_sport = __builtin_bswap16(v->lport);
	h->id.idiag_dport = __builtin_bswap16(v->rport);
	put_end(h->id.idiag_src, &v->local, v6);
	put_end(h->id.idiag_dst, &v->remote, v6);
	h->id.idiag_if = v->ifindex;
	h->id.idiag_cookie[0] = (uint32_t)v->cookie;
	h->id.idiag_cookie[1] = (uint32_t)(v->cookie >> 32);
	h->idiag_expires = (uint32_t)(v->timer_left / NSEC_PER_MSEC);
	h->idiag_rqueue = v->rqueue;
	h->idiag_wqueue = v->wqueue;
	h->idiag_uid = v->uid;
	h->idiag_inode = (uint32_t)v->ino;
	if (v6 && (v->listener || !v->conn))
		nl_put_u8(l->r->m, INET_DIAG_SKV6ONLY, v->v6only);
	if (v->conn)
		put_connection(l, v->conn);
	put_memory(l, v);
	return nl_answer_done(l->r);
}

int diag_request(struct nl_request *r)
{
	struct listing l = {r, r->body};

	if (r->h->nlmsg_type != SOCK_DIAG_BY_FAMILY)
		return -EOPNOTSUPP;
	if (!r->len ||
	    (*(const uint8_t *)r->body != AF_INET && *(const uint8_t *)r->body != AF_INET6))
		return -ENOENT;
	if (r->len < sizeof *l.q)
		return -EINVAL;
	if (!nl_is_dump(r))
		return -EOPNOTSUPP;
	r->dumping = true;
	switch (l.q->sdiag_protocol) {
	case IPPROTO_TCP:
		tcp_sockets(put_socket, &l);
		return 0;
	case IPPROTO_UDP:
		udp_sockets(put_socket, &l);
		return 0;
	case IPPROTO_RAW:
		raw_sockets(put_socket, &l, false);
		return 0;
	}
	r->dumping = false;
	return -ENOENT;
}
