/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Neighbour cache for ARP and IPv6 neighbour discovery: a fixed table, each entry latched so that
 * transmitters read it without the instance lock. Packets for unresolved neighbours wait in a short
 * queue.
 */
#include "internal.h"

#define PROBE_SLOTS 8
#define MAX_PROBES 3
#define STALE_LIFETIME (600 * NS_SEC)
#define FAILED_LIFETIME (3 * NS_SEC)
#define PROBE_DELAY NS_SEC

void ns_neigh_init(struct ns_instance *ns)
{
	for (uint32_t i = 0; i <= ns->neigh_mask; i++)
		ns_pktq_init(&ns->neighs[i].queue);
}

static uint32_t slot_of(const struct ns_instance *ns, uint32_t ifindex, const struct ns_addr *addr)
{
	uint64_t in[3] = {addr->q[0], addr->q[1], ifindex};

	return (uint32_t)ns_siphash(ns->hash_key, in, sizeof in, 1, 2);
}

static struct ns_neigh_val *val(struct ns_neigh *e)
{
	return &e->v[0];
}

static void write_val(struct ns_neigh *e, const struct ns_neigh_val *v)
{
	struct ns_neigh_val copy = *v;

	latch_step(&e->latch);
	e->v[0] = copy;
	latch_step(&e->latch);
	e->v[1] = copy;
}

static void set_state(struct ns_neigh *e, uint8_t state)
{
	struct ns_neigh_val v = *val(e);

	v.state = state;
	write_val(e, &v);
}

static struct ns_neigh *find(struct ns_instance *ns, uint32_t ifindex, const struct ns_addr *addr)
{
	uint32_t h = slot_of(ns, ifindex, addr);

	for (uint32_t i = 0; i < PROBE_SLOTS; i++) {
		struct ns_neigh *e = &ns->neighs[(h + i) & ns->neigh_mask];

		if (val(e)->state && val(e)->ifindex == ifindex && ns_addr_eq(&val(e)->addr, addr))
			return e;
	}
	return NULL;
}

bool ns_neigh_lookup(
    const struct ns_instance *ns, uint32_t ifindex, const struct ns_addr *addr, uint8_t mac[6])
{
	uint32_t h = slot_of(ns, ifindex, addr);

	for (uint32_t i = 0; i < PROBE_SLOTS; i++) {
		struct ns_neigh *e = &ns->neighs[(h + i) & ns->neigh_mask];
		struct ns_neigh_val v;
		uint32_t s;

		do {
			s = latch_read(&e->latch);
			v = e->v[s & 1];
		} while (latch_changed(&e->latch, s));
		if (!v.state || v.ifindex != ifindex || !ns_addr_eq(&v.addr, addr))
			continue;
		if (v.state == NS_NEIGH_INCOMPLETE || v.state == NS_NEIGH_FAILED)
			return false;
		/* A stale entry in use: let the instance's timer probe it. */
		if (v.state == NS_NEIGH_STALE && !__atomic_load_n(&e->used, __ATOMIC_RELAXED))
			__atomic_store_n(&e->used, 1, __ATOMIC_RELAXED);
		memcpy(mac, v.mac, 6);
		return true;
	}
	return false;
}

void ns_neigh_confirm(struct ns_instance *ns, const struct ns_dst *dst)
{
	struct ns_neigh *e;

	if (dst->local || (dst->if_flags & (NS_IF_RAW | NS_IF_LOOPBACK)))
		return;
	/* Reads val() without the latch: a wrong guess only postpones a probe. */
	e = find(ns, dst->ifindex, &dst->next_hop);
	if (e)
		__atomic_store_n(&e->confirmed, ns_now(ns), __ATOMIC_RELAXED);
}

static void drop_queue(struct ns_neigh *e)
{
	struct ns_pkt *p;

	while ((p = ns_pktq_pop(&e->queue)))
		ns_pkt_put(p);
}

static void clear_entry(struct ns_neigh *e)
{
	struct ns_neigh_val none = {0};

	drop_queue(e);
	write_val(e, &none);
	e->probes = 0;
	e->expires = 0;
	e->used = 0;
	e->confirmed = 0;
}

/* Which of the candidate slots to give to a new neighbour: a free one, else the least valuable. */
static int victim_rank(const struct ns_neigh *e)
{
	switch (e->v[0].state) {
	case NS_NEIGH_NONE:
		return 5;
	case NS_NEIGH_FAILED:
		return 4;
	case NS_NEIGH_INCOMPLETE:
		return 3;
	case NS_NEIGH_STALE:
		return 2;
	case NS_NEIGH_PERMANENT:
		return 0;
	default:
		return 1;
	}
}

static struct ns_neigh *create(struct ns_instance *ns, uint32_t ifindex, const struct ns_addr *addr)
{
	uint32_t h = slot_of(ns, ifindex, addr);
	struct ns_neigh *best = NULL;
	struct ns_neigh_val v = {.addr = *addr, .ifindex = ifindex, .state = NS_NEIGH_STALE};
	int rank = 0;

	for (uint32_t i = 0; i < PROBE_SLOTS; i++) {
		struct ns_neigh *e = &ns->neighs[(h + i) & ns->neigh_mask];

		if (victim_rank(e) > rank ||
		    (best && victim_rank(e) == rank && e->expires < best->expires)) {
			best = e;
			rank = victim_rank(e);
		}
	}
	if (!best)
		return NULL;
	clear_entry(best);
	write_val(best, &v);
	best->expires = ns_now(ns) + STALE_LIFETIME;
	return best;
}

static void solicit(struct ns_instance *ns, struct ns_neigh *e)
{
	const struct ns_neigh_val *v = val(e);
	const uint8_t *mac = v->state == NS_NEIGH_PROBE ? v->mac : NULL;

	e->probes++;
	e->expires = ns_now(ns) + ns->ifs[v->ifindex].retrans_ns;
	ns_arm(ns, e->expires);
	if (ns_addr_is_v4(&v->addr))
		ns_arp_request(ns, v->ifindex, &v->addr, mac);
	else
		ns_nd_solicit(ns, v->ifindex, &v->addr, mac, false);
}

void ns_neigh_output(struct ns_instance *ns, struct ns_pkt *pkt)
{
	struct ns_neigh *e = find(ns, pkt->ifindex, &pkt->next_hop);
	uint16_t type = pkt->data[0] >> 4 == 6 ? ETH_P_IPV6 : ETH_P_IP;
	uint8_t mac[6];

	if (ns_neigh_lookup(ns, pkt->ifindex, &pkt->next_hop, mac)) {
		ns_link_output(ns, pkt->ifindex, mac, type, pkt);
		return;
	}
	if (!e)
		e = create(ns, pkt->ifindex, &pkt->next_hop);
	if (!e || val(e)->state == NS_NEIGH_FAILED) {
		ns_pkt_put(pkt);
		return;
	}
	if (e->queue.count == NEIGH_QUEUE)
		ns_pkt_put(ns_pktq_pop(&e->queue));
	ns_pktq_push(&e->queue, pkt);
	if (val(e)->state != NS_NEIGH_INCOMPLETE) {
		set_state(e, NS_NEIGH_INCOMPLETE);
		e->probes = 0;
		solicit(ns, e);
	}
}

static void send_queue(struct ns_instance *ns, struct ns_neigh *e)
{
	struct ns_pkt *p;

	while ((p = ns_pktq_pop(&e->queue)))
		ns_link_output(
		    ns, p->ifindex, val(e)->mac, p->data[0] >> 4 == 6 ? ETH_P_IPV6 : ETH_P_IP, p);
}

void ns_neigh_learn(struct ns_instance *ns, uint32_t ifindex, const struct ns_addr *addr,
    const uint8_t mac[6], bool solicited, bool override, bool make, int router)
{
	struct ns_neigh *e = find(ns, ifindex, addr);
	struct ns_neigh_val v;
	bool same;

	if (mac[0] & 1) /* a group address is nobody's own */
		return;
	if (!e && make)
		e = create(ns, ifindex, addr);
	if (!e || val(e)->state == NS_NEIGH_PERMANENT)
		return;
	v = *val(e);
	same = memcmp(v.mac, mac, 6) == 0;
	if (v.state == NS_NEIGH_INCOMPLETE || v.state == NS_NEIGH_FAILED || override || same) {
		memcpy(v.mac, mac, 6);
		if (solicited)
			v.state = NS_NEIGH_REACHABLE;
		else if (!same || v.state == NS_NEIGH_INCOMPLETE || v.state == NS_NEIGH_FAILED)
			v.state = NS_NEIGH_STALE;
	} else if (v.state == NS_NEIGH_REACHABLE) {
		v.state = NS_NEIGH_STALE; /* RFC 4861 7.2.5: conflicting claim, verify */
	}
	if (router >= 0)
		v.router = router != 0;
	write_val(e, &v);
	e->probes = 0;
	e->expires =
	    ns_now(ns) + (v.state == NS_NEIGH_REACHABLE ? ns->ifs[ifindex].reach_ns : PROBE_DELAY);
	ns_arm(ns, e->expires);
	send_queue(ns, e);
	if (!same)
		ns_notify(ns, NS_CHANGE_NEIGH, ifindex);
}

/* Tell whoever waits that the host does not answer. */
static void fail(struct ns_instance *ns, struct ns_neigh *e, uint64_t now)
{
	struct ns_pkt *p;

	NS_COUNT(ns, neigh_failed);
	while ((p = ns_pktq_pop(&e->queue))) {
		/* The sender is this host: deliver the error as if a router had sent it. */
		const uint8_t *h = p->data;
		bool v6 = h[0] >> 4 == 6;
		const uint8_t *l4 = h + (v6 ? IP6_HLEN : (h[0] & 15) * 4);
		struct ns_icmp_error err = {.kind = NS_ICMP_HOST_UNREACH,
		    .v6 = v6,
		    .type = v6 ? 1 : 3,
		    .code = v6 ? 3 : 1,
		    .err = NS_EHOSTUNREACH};
		struct ns_flow f = {.v6 = v6,
		    .ifindex = p->ifindex,
		    .local = v6 ? ns_addr_v6(h + 8) : ns_addr_v4(h + 12),
		    .remote = v6 ? ns_addr_v6(h + 24) : ns_addr_v4(h + 16),
		    .proto = v6 ? h[6] : h[9]};

		err.offender = f.local;
		if (p->len >= (uint32_t)(l4 - h) + 8 && (v6 || !(get16(h + 6) & 0x1fff)) &&
		    (f.proto == NS_PROTO_TCP || f.proto == NS_PROTO_UDP)) {
			err.quote = l4;
			err.quote_len = p->len - (uint32_t)(l4 - h);
			f.lport = get16(l4);
			f.rport = get16(l4 + 2);
			err.tcp_seq = get32(l4 + 4);
			if (f.proto == NS_PROTO_TCP)
				ns->ops->tcp_icmp(ns->ctx, &f, &err);
			else
				ns_udp_icmp(ns, &f, &err);
		}
		ns_pkt_put(p);
	}
	set_state(e, NS_NEIGH_FAILED);
	e->expires = now + FAILED_LIFETIME;
}

static void tick(struct ns_instance *ns, struct ns_neigh *e, uint64_t now)
{
	uint64_t confirmed = __atomic_load_n(&e->confirmed, __ATOMIC_RELAXED);
	uint64_t reach = ns->ifs[val(e)->ifindex].reach_ns;

	switch (val(e)->state) {
	case NS_NEIGH_REACHABLE:
	case NS_NEIGH_PROBE:
		if (confirmed && now - confirmed < reach) {
			if (val(e)->state != NS_NEIGH_REACHABLE)
				set_state(e, NS_NEIGH_REACHABLE);
			e->expires = confirmed + reach;
			break;
		}
		if (val(e)->state == NS_NEIGH_REACHABLE) {
			set_state(e, NS_NEIGH_STALE);
			__atomic_store_n(&e->used, 0, __ATOMIC_RELAXED);
			e->expires = now + PROBE_DELAY;
			e->probes = 0;
		} else if (e->probes < MAX_PROBES) {
			solicit(ns, e);
		} else {
			/* Silent: start from scratch by broadcast, keep sending meanwhile off. */
			clear_entry(e);
		}
		break;
	case NS_NEIGH_STALE:
		if (__atomic_exchange_n(&e->used, 0, __ATOMIC_RELAXED)) {
			if (confirmed && now - confirmed < reach) {
				set_state(e, NS_NEIGH_REACHABLE);
				e->expires = confirmed + reach;
				break;
			}
			set_state(e, NS_NEIGH_PROBE);
			e->probes = 0;
			solicit(ns, e);
		} else if (e->probes++ > STALE_LIFETIME / (30 * NS_SEC)) {
			clear_entry(e);
		} else {
			e->expires = now + 30 * NS_SEC;
		}
		break;
	case NS_NEIGH_INCOMPLETE:
		if (e->probes < MAX_PROBES)
			solicit(ns, e);
		else
			fail(ns, e, now);
		break;
	case NS_NEIGH_FAILED:
		clear_entry(e);
		break;
	default:
		break;
	}
}

uint64_t ns_neigh_timer(struct ns_instance *ns, uint64_t now)
{
	uint64_t next = 0;

	for (uint32_t i = 0; i <= ns->neigh_mask; i++) {
		struct ns_neigh *e = &ns->neighs[i];

		if (!val(e)->state || val(e)->state == NS_NEIGH_PERMANENT)
			continue;
		if (e->expires <= now)
			tick(ns, e, now);
		if (val(e)->state && (!next || e->expires < next))
			next = e->expires;
	}
	return next;
}

void ns_neigh_flush(struct ns_instance *ns, uint32_t ifindex)
{
	for (uint32_t i = 0; i <= ns->neigh_mask; i++)
		if (val(&ns->neighs[i])->state && val(&ns->neighs[i])->ifindex == ifindex)
			clear_entry(&ns->neighs[i]);
}

bool ns_neigh_get(const struct ns_instance *ns, unsigned i, struct ns_neigh_info *out, bool *more)
{
	const struct ns_neigh *e;
	struct ns_neigh_val v;
	uint32_t s;

	*more = i <= ns->neigh_mask;
	if (!*more)
		return false;
	e = &ns->neighs[i];
	do {
		s = latch_read(&e->latch);
		v = e->v[s & 1];
	} while (latch_changed(&e->latch, s));
	*out = (struct ns_neigh_info){
	    .addr = v.addr, .ifindex = v.ifindex, .state = v.state, .router = v.router};
	memcpy(out->mac, v.mac, 6);
	return v.state != NS_NEIGH_NONE;
}

int ns_neigh_set(
    struct ns_instance *ns, uint32_t ifindex, const struct ns_addr *addr, const uint8_t mac[6])
{
	struct ns_neigh *e;
	struct ns_neigh_val v;

	if (!if_valid(ns, ifindex))
		return -NS_ENODEV;
	e = find(ns, ifindex, addr);
	if (!e)
		e = create(ns, ifindex, addr);
	if (!e)
		return -NS_ENOSPC;
	v = *val(e);
	memcpy(v.mac, mac, 6);
	v.state = NS_NEIGH_PERMANENT;
	write_val(e, &v);
	send_queue(ns, e);
	return 0;
}

int ns_neigh_del(struct ns_instance *ns, uint32_t ifindex, const struct ns_addr *addr)
{
	struct ns_neigh *e = find(ns, ifindex, addr);

	if (!e)
		return -NS_ESRCH;
	clear_entry(e);
	return 0;
}
