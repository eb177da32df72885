/* SPDX-License-Identifier: BSD-3-Clause */
/* Local ports: explicit binding with Linux's sharing rules, ephemeral ports (RFC 6056, algorithm
 * 3). */
#include "internal.h"

static bool families_overlap(const struct ns_bind *a, const struct ns_bind *b)
{
	bool a4 = !a->v6 || ns_addr_is_v4(&a->addr) ||
		  (ns_addr_is_any(&a->addr) && !(a->flags & NS_BIND_V6ONLY));
	bool b4 = !b->v6 || ns_addr_is_v4(&b->addr) ||
		  (ns_addr_is_any(&b->addr) && !(b->flags & NS_BIND_V6ONLY));
	bool a6 = a->v6 && !(ns_addr_is_v4(&a->addr) && !ns_addr_is_any(&a->addr));
	bool b6 = b->v6 && !(ns_addr_is_v4(&b->addr) && !ns_addr_is_any(&b->addr));

	return (a4 && b4) || (a6 && b6);
}

bool ns_bind_conflict(const struct ns_bind *a, const struct ns_bind *b)
{
	if (a->proto != b->proto || a->port != b->port || !families_overlap(a, b))
		return false;
	if (a->ifindex && b->ifindex && a->ifindex != b->ifindex)
		return false;
	if (!ns_addr_is_any(&a->addr) && !ns_addr_is_any(&b->addr) &&
	    !ns_addr_eq(&a->addr, &b->addr))
		return false;
	if ((a->flags & b->flags & NS_BIND_REUSEPORT) && a->owner == b->owner)
		return false;
	if ((a->flags & b->flags & NS_BIND_REUSEADDR) &&
	    (a->proto == NS_PROTO_UDP || (!a->listening && !b->listening)))
		return false;
	return true;
}

static bool taken(struct ns_instance *ns, const struct ns_bind *b)
{
	for (struct ns_bind *o = ns->binds[port_hash(b->port)]; o; o = o->next)
		if (o != b && ns_bind_conflict(o, b))
			return true;
	return false;
}

static void enter(struct ns_instance *ns, struct ns_bind *b)
{
	struct ns_bind **head = &ns->binds[port_hash(b->port)];

	b->next = *head;
	b->pprev = head;
	if (b->next)
		b->next->pprev = &b->next;
	*head = b;
	b->bound = true;
}

int ns_port_bind(struct ns_instance *ns, struct ns_bind *b, uint8_t proto, uint16_t port)
{
	uint32_t range = (uint32_t)(ns->cfg.port_max - ns->cfg.port_min) + 1, start;

	if (b->bound)
		return -NS_EINVAL;
	b->proto = proto;
	b->listening = false;
	if (!(b->flags & NS_BIND_FOREIGN) && !ns_addr_is_any(&b->addr) && !ns_addr_is_local(ns, &b->addr, 0) &&
	    !ns_addr_is_multicast(&b->addr) &&
	    !(ns_addr_is_v4(&b->addr) && proto == NS_PROTO_UDP && b->addr.w[3] == 0xffffffffu))
		return -NS_EADDRNOTAVAIL;
	if (port) {
		b->port = port;
		if (taken(ns, b))
			return -NS_EADDRINUSE;
		enter(ns, b);
		return 0;
	}
	start = ns_random32(ns) % range;
	for (uint32_t i = 0; i < range; i++) {
		uint8_t flags = b->flags;
		bool busy;

		b->port = (uint16_t)(ns->cfg.port_min + (start + i) % range);
		/* A port nobody asked for must not be shared by accident. */
		b->flags &= NS_BIND_V6ONLY;
		busy = taken(ns, b);
		b->flags = flags;
		if (!busy) {
			enter(ns, b);
			return 0;
		}
	}
	b->port = 0;
	return -NS_EADDRINUSE;
}

void ns_port_unbind(struct ns_instance *ns, struct ns_bind *b)
{
	(void)ns;
	if (!b->bound)
		return;
	*b->pprev = b->next;
	if (b->next)
		b->next->pprev = b->pprev;
	b->bound = false;
	b->listening = false;
}

int ns_port_ephemeral(struct ns_instance *ns, struct ns_flow *flow)
{
	uint32_t range = (uint32_t)(ns->cfg.port_max - ns->cfg.port_min) + 1;
	struct {
		struct ns_addr l, r;
		uint32_t port;
	} in = {flow->local, flow->remote, flow->rport};
	uint32_t offset = (uint32_t)ns_siphash(ns->port_key, &in, sizeof in, 2, 4);
	struct ns_bind probe = {.addr = flow->local, .proto = flow->proto, .v6 = flow->v6};

	for (uint32_t i = 0; i < range; i++) {
		flow->lport = (uint16_t)(ns->cfg.port_min + (offset + ns->port_counter++) % range);
		probe.port = flow->lport;
		if (!taken(ns, &probe) && !ns->ops->tcp_in_use(ns->ctx, flow))
			return 0;
	}
	flow->lport = 0;
	return -NS_EADDRNOTAVAIL;
}

int ns_bind_score(const struct ns_bind *b, const struct ns_flow *flow)
{
	int score = 0;

	if (b->port != flow->lport || (b->ifindex && b->ifindex != flow->ifindex))
		return -1;
	if (!flow->v6 && b->v6 && (b->flags & NS_BIND_V6ONLY))
		return -1;
	if (flow->v6 && !b->v6)
		return -1;
	if (!ns_addr_is_any(&b->addr)) {
		if (!ns_addr_eq(&b->addr, &flow->local))
			return -1;
		score += 4;
	} else if (b->v6 && ns_addr_is_v4(&b->addr) && flow->v6) {
		return -1; /* bound to ::ffff:0.0.0.0 */
	}
	if (b->ifindex)
		score += 2;
	if (b->v6 == flow->v6)
		score += 1;
	return score;
}
