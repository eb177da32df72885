/* SPDX-License-Identifier: BSD-3-Clause */
/* ICMP and ICMPv6: echo, errors received and sent. Neighbour discovery is in nd.c. */
#include "internal.h"

enum {
	ICMP4_ECHO_REPLY = 0,
	ICMP4_UNREACH = 3,
	ICMP4_ECHO = 8,
	ICMP4_TIME = 11,
	ICMP4_PARAM = 12,
	ICMP6_UNREACH = 1,
	ICMP6_TOO_BIG = 2,
	ICMP6_TIME = 3,
	ICMP6_PARAM = 4,
	ICMP6_ECHO = 128,
	ICMP6_ECHO_REPLY = 129,
	ICMP6_MLD_QUERY = 130,
	ICMP6_RS = 133,
	ICMP6_REDIRECT = 137,
	ICMP_QUOTE4 = 548, /* with headers stays within 576 bytes */
	ICMP_QUOTE6 = 1232,
};

static bool may_send(struct ns_instance *ns)
{
	if (ns_bucket_take(&ns->icmp_bucket, ns_now(ns), ns->cfg.rst_per_second))
		return true;
	NS_COUNT(ns, icmp_ratelimited);
	return false;
}

/* ---- errors received ---- */

static void map_v4(struct ns_icmp_error *e, uint32_t mtu)
{
	static const struct {
		uint8_t kind;
		uint8_t err;
	} unreach[] = {{NS_ICMP_NET_UNREACH, NS_ENETUNREACH},
	    {NS_ICMP_HOST_UNREACH, NS_EHOSTUNREACH}, {NS_ICMP_PROTO_UNREACH, NS_ENOPROTOOPT},
	    {NS_ICMP_PORT_UNREACH, NS_ECONNREFUSED}, {NS_ICMP_TOO_BIG, NS_EMSGSIZE}};

	e->kind = NS_ICMP_HOST_UNREACH;
	e->err = NS_EHOSTUNREACH;
	if (e->type == ICMP4_UNREACH && e->code < 5) {
		e->kind = unreach[e->code].kind;
		e->err = unreach[e->code].err;
		if (e->kind == NS_ICMP_TOO_BIG)
			e->mtu = mtu;
	} else if (e->type == ICMP4_UNREACH && (e->code == 9 || e->code == 10 || e->code == 13)) {
		e->kind = NS_ICMP_PROHIBITED;
	} else if (e->type == ICMP4_TIME) {
		e->kind = NS_ICMP_TIME_EXCEEDED;
	} else if (e->type == ICMP4_PARAM) {
		e->kind = NS_ICMP_PARAM_PROBLEM;
		e->err = NS_EPROTO;
	}
}

static void map_v6(struct ns_icmp_error *e, uint32_t arg)
{
	e->kind = NS_ICMP_HOST_UNREACH;
	e->err = NS_EHOSTUNREACH;
	if (e->type == ICMP6_TOO_BIG) {
		e->kind = NS_ICMP_TOO_BIG;
		e->err = NS_EMSGSIZE;
		e->mtu = arg;
	} else if (e->type == ICMP6_UNREACH && e->code == 0) {
		e->kind = NS_ICMP_NET_UNREACH;
		e->err = NS_ENETUNREACH;
	} else if (e->type == ICMP6_UNREACH && e->code == 4) {
		e->kind = NS_ICMP_PORT_UNREACH;
		e->err = NS_ECONNREFUSED;
	} else if (e->type == ICMP6_UNREACH && (e->code == 1 || e->code == 5 || e->code == 6)) {
		e->kind = NS_ICMP_PROHIBITED;
		e->err = NS_EACCES;
	} else if (e->type == ICMP6_TIME) {
		e->kind = NS_ICMP_TIME_EXCEEDED;
	} else if (e->type == ICMP6_PARAM) {
		e->kind = e->code == 1 ? NS_ICMP_PROTO_UNREACH : NS_ICMP_PARAM_PROBLEM;
		e->err = NS_EPROTO;
	}
}

/* The path cannot be smaller than the protocol allows; an old router may not tell the size. */
static uint32_t sane_mtu(const struct ns_icmp_error *e, uint32_t quoted_len)
{
	static const uint16_t plateaus[] = {32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296};
	uint32_t floor = e->v6 ? IP6_MIN_MTU : 552;

	if (e->mtu)
		return NS_MAX(e->mtu, floor);
	for (unsigned i = 0; i < sizeof plateaus / sizeof *plateaus; i++)
		if (plateaus[i] < quoted_len)
			return NS_MAX(plateaus[i], floor);
	return floor;
}

static void error_input(struct ns_instance *ns, const struct ns_pkt *pkt,
    const struct ns_flow *outer, const uint8_t *icmp, uint32_t len)
{
	const uint8_t *q = icmp + 8;
	uint32_t n = len - 8, hlen;
	struct ns_icmp_error e = {
	    .type = icmp[0], .code = icmp[1], .v6 = outer->v6, .offender = outer->remote};
	struct ns_flow f = {.v6 = outer->v6, .ifindex = pkt->ifindex};

	if (len < 8 || n < (outer->v6 ? IP6_HLEN : IP4_HLEN) || q[0] >> 4 != (outer->v6 ? 6 : 4))
		goto bad;
	if (outer->v6) {
		hlen = IP6_HLEN;
		f.proto = q[6];
		f.local = ns_addr_v6(q + 8);
		f.remote = ns_addr_v6(q + 24);
		map_v6(&e, get32(icmp + 4));
	} else {
		hlen = (q[0] & 15u) * 4;
		f.proto = q[9];
		f.local = ns_addr_v4(q + 12);
		f.remote = ns_addr_v4(q + 16);
		map_v4(&e, get16(icmp + 6));
		if (get16(q + 6) & 0x1fff)
			return; /* not the first fragment: no ports to see */
	}
	if (hlen < IP4_HLEN || n < hlen + 8 || !ns_addr_is_local(ns, &f.local, 0))
		goto bad;
	if (e.kind == NS_ICMP_TOO_BIG)
		e.mtu = sane_mtu(&e, get16(q + (outer->v6 ? 4 : 2)));
	e.quote = q + hlen;
	e.quote_len = n - hlen;
	f.lport = get16(q + hlen);
	f.rport = get16(q + hlen + 2);
	if (f.proto == NS_PROTO_TCP) {
		/* The connection checks the sequence number before it believes anything, the path
		 * MTU included. */
		e.tcp_seq = get32(q + hlen + 4);
		ns->ops->tcp_icmp(ns->ctx, &f, &e);
	} else if (f.proto == NS_PROTO_UDP) {
		if (e.kind == NS_ICMP_TOO_BIG && ns_udp_lookup(ns, &f))
			ns_pmtu_set(ns, &f.remote, e.mtu);
		ns_udp_icmp(ns, &f, &e);
	} else if (ns->ops->raw_error) {
		ns->ops->raw_error(ns->ctx, &f, &e);
	}
	return;
bad:
	NS_COUNT(ns, icmp_in_err);
}

/* ---- echo ---- */

static void echo_reply(
    struct ns_instance *ns, struct ns_pkt *pkt, const struct ns_flow *flow, uint32_t len)
{
	bool multicast = !ns_addr_is_local(ns, &flow->local, 0);
	uint32_t off = (uint32_t)(pkt->head + pkt->l4_off - pkt->data);
	struct ns_pkt *r;
	struct ns_dst dst;
	uint8_t *h;

	if (multicast && !flow->v6 && !ns->cfg.forward_broadcast_ping)
		return;
	if (ns_route_lookup(ns, &flow->remote, multicast ? NULL : &flow->local,
		ns_addr_is_linklocal(&flow->remote) ? flow->ifindex : 0, &dst) ||
	    !may_send(ns))
		return;
	r = ns_pkt_new(ns, len, 0);
	if (!r)
		return;
	h = ns_pkt_append(r, len);
	ns_pkt_copy_out(pkt, off, h, len);
	NS_COUNT(ns, icmp_out);
	if (flow->v6) {
		h[0] = ICMP6_ECHO_REPLY;
		put16(h + 2, 0);
		put_csum(h + 2,
		    ns_csum_fold(ns_csum_add(
			ns_pseudo_sum(&dst.src, &flow->remote, NS_PROTO_ICMPV6, len), h, len)));
		ns_ip_send(ns, &dst, &dst.src, &flow->remote, NS_PROTO_ICMPV6, 0, 0, false, r);
	} else {
		h[0] = ICMP4_ECHO_REPLY;
		put16(h + 2, 0);
		put_csum(h + 2, ns_csum_fold(ns_csum_add(0, h, len)));
		ns_ip_send(
		    ns, &dst, &dst.src, &flow->remote, NS_PROTO_ICMP, 0, pkt->tos & 0xfc, false, r);
	}
}

void ns_icmp4_input(struct ns_instance *ns, struct ns_pkt *pkt, struct ns_flow *flow)
{
	uint32_t off = (uint32_t)(pkt->head + pkt->l4_off - pkt->data);
	uint32_t len = pkt->tot_len - off;
	const uint8_t *h;

	NS_COUNT(ns, icmp_in);
	if (len < 8 || !ns_pkt_linearize(pkt, off + NS_MIN(len, 600u)) ||
	    (!(pkt->flags & NS_PKT_CSUM_OK) && ns_csum_fold(ns_pkt_csum(pkt, off, len, 0)) != 0)) {
		NS_COUNT(ns, icmp_in_err);
		ns_pkt_put(pkt);
		return;
	}
	h = pkt->data + off;
	if (ns->ops->raw_input)
		ns->ops->raw_input(ns->ctx, flow, pkt);
	if (h[0] == ICMP4_ECHO)
		echo_reply(ns, pkt, flow, len);
	else if (h[0] == ICMP4_UNREACH || h[0] == ICMP4_TIME || h[0] == ICMP4_PARAM)
		error_input(ns, pkt, flow, h, NS_MIN(len, pkt->len - off));
	ns_pkt_put(pkt);
}

void ns_icmp6_input(struct ns_instance *ns, struct ns_pkt *pkt, struct ns_flow *flow)
{
	uint32_t off = (uint32_t)(pkt->head + pkt->l4_off - pkt->data);
	uint32_t len = pkt->tot_len - off;
	const uint8_t *h;

	NS_COUNT(ns, icmp_in);
	if (len < 4 || !ns_pkt_linearize(pkt, off + NS_MIN(len, 1500u)) ||
	    !ns_l4_csum_ok(pkt, len)) {
		NS_COUNT(ns, icmp_in_err);
		ns_pkt_put(pkt);
		return;
	}
	h = pkt->data + off;
	if (ns->ops->raw_input && h[0] != ICMP6_ECHO)
		ns->ops->raw_input(ns->ctx, flow, pkt);
	if (h[0] == ICMP6_ECHO && len >= 8)
		echo_reply(ns, pkt, flow, len);
	else if (h[0] >= ICMP6_UNREACH && h[0] <= ICMP6_PARAM)
		error_input(ns, pkt, flow, h, NS_MIN(len, pkt->len - off));
	else if (h[0] == ICMP6_MLD_QUERY)
		ns_mld_query(ns, pkt, flow);
	else if (h[0] >= ICMP6_RS && h[0] <= ICMP6_REDIRECT)
		ns_nd_input(ns, pkt, flow, h[0]);
	ns_pkt_put(pkt);
}

/* ---- errors sent ---- */

static void error_type(enum ns_icmp_kind kind, bool v6, uint32_t arg, uint8_t *type, uint8_t *code)
{
	switch (kind) {
	case NS_ICMP_PORT_UNREACH:
		*type = v6 ? ICMP6_UNREACH : ICMP4_UNREACH;
		*code = v6 ? 4 : 3;
		break;
	case NS_ICMP_PROTO_UNREACH:
		*type = v6 ? ICMP6_PARAM : ICMP4_UNREACH;
		*code = v6 ? 1 : 2;
		break;
	case NS_ICMP_TIME_EXCEEDED:
		*type = v6 ? ICMP6_TIME : ICMP4_TIME;
		*code = (uint8_t)arg;
		break;
	case NS_ICMP_PARAM_PROBLEM:
		*type = v6 ? ICMP6_PARAM : ICMP4_PARAM;
		*code = v6 ? 2 : 0;
		break;
	default:
		*type = v6 ? ICMP6_UNREACH : ICMP4_UNREACH;
		*code = v6 ? 3 : 1;
		break;
	}
}

/* RFC 1122 3.2.2, RFC 4443 2.4: never about errors, broadcasts, multicasts, later fragments. */
static bool answerable(struct ns_instance *ns, const struct ns_pkt *pkt, const struct ns_flow *flow)
{
	const uint8_t *l4 = pkt->head + pkt->l4_off;

	if ((pkt->flags & NS_PKT_LLCAST) || ns_addr_is_any(&flow->remote) ||
	    ns_addr_is_multicast(&flow->remote) || !ns_addr_is_local(ns, &flow->local, 0))
		return false;
	if (l4 >= pkt->data + pkt->len)
		return false;
	if (flow->proto == NS_PROTO_ICMP && *l4 != ICMP4_ECHO)
		return false;
	return flow->proto != NS_PROTO_ICMPV6 || (*l4 & 0x80);
}

void ns_icmp_send_error(struct ns_instance *ns, const struct ns_pkt *pkt,
    const struct ns_flow *flow, enum ns_icmp_kind kind, uint32_t arg)
{
	uint32_t off = (uint32_t)(pkt->head + pkt->l3_off - pkt->data);
	uint32_t quote = NS_MIN(pkt->tot_len - off,
	    (uint32_t)(flow->v6 ? ICMP_QUOTE6 - IP6_HLEN : ICMP_QUOTE4 - IP4_HLEN));
	struct ns_pkt *r;
	struct ns_dst dst;
	uint8_t *h;

	if (!answerable(ns, pkt, flow) || !may_send(ns) ||
	    ns_route_lookup(ns, &flow->remote, &flow->local,
		ns_addr_is_linklocal(&flow->remote) ? flow->ifindex : 0, &dst))
		return;
	r = ns_pkt_new(ns, 8 + quote, 0);
	if (!r)
		return;
	h = ns_pkt_append(r, 8 + quote);
	error_type(kind, flow->v6, arg, &h[0], &h[1]);
	put16(h + 2, 0);
	put32(
	    h + 4, flow->v6 && h[0] == ICMP6_PARAM ? (kind == NS_ICMP_PROTO_UNREACH ? 6 : arg) : 0);
	ns_pkt_copy_out(pkt, off, h + 8, quote);
	put_csum(h + 2,
	    ns_csum_fold(ns_csum_add(
		flow->v6 ? ns_pseudo_sum(&dst.src, &flow->remote, NS_PROTO_ICMPV6, 8 + quote) : 0,
		h, 8 + quote)));
	NS_COUNT(ns, icmp_out);
	ns_ip_send(ns, &dst, &dst.src, &flow->remote, flow->v6 ? NS_PROTO_ICMPV6 : NS_PROTO_ICMP, 0,
	    flow->v6 ? 0 : 0xc0, false, r);
}

void ns_icmp6_output(struct ns_instance *ns, uint32_t ifindex, const struct ns_addr *src,
    const struct ns_addr *daddr, uint8_t hops, bool router_alert, struct ns_pkt *p)
{
	struct ns_dst dst = {.ifindex = ifindex, .next_hop = *daddr, .mtu = if_mtu(ns, ifindex)};
	uint32_t len = p->tot_len;
	uint8_t *h = p->data;

	put16(h + 2, 0);
	put_csum(h + 2,
	    ns_csum_fold(ns_csum_add(ns_pseudo_sum(src, daddr, NS_PROTO_ICMPV6, len), h, len)));
	NS_COUNT(ns, icmp_out);
	if (router_alert) { /* hop-by-hop: router alert for MLD, PadN */
		h = ns_pkt_push(p, 8);
		memcpy(h, (uint8_t[8]){NS_PROTO_ICMPV6, 0, 5, 2, 0, 0, 1, 0}, 8);
	}
	len = p->tot_len;
	ns_ip_header(ns_pkt_push(p, IP6_HLEN), src, daddr,
	    router_alert ? IPX_HOPOPT : NS_PROTO_ICMPV6, hops, 0, len, true, 0);
	ns_output(ns, &dst, p);
}
