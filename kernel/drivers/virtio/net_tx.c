/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sending. Packets go onto the pair's incoming stack; who finds the pair unattended moves
 * everything (lib/combine.h). Completions are taken when something is sent, and by the pair's
 * thread: the device is asked for an interrupt only when most of what is in flight is done, or at
 * once if packets wait for room.
 */
#include <asm/errno.h>
#include "core/trace.h"
#include "drivers/virtio/net.h"
#include "mm/kmalloc.h"
#include "mm/page.h"

enum { BACKLOG_LIMIT = 2048 };

static void put_slot(struct net_pair *p, struct tx_slot *s)
{
	s->next_free = p->free;
	p->free = s;
}

int net_tx_init(struct net_pair *p)
{
	p->slots = kzalloc(p->tx->size * sizeof *p->slots);
	if (!p->slots)
		return -ENOMEM;
	for (unsigned i = 0; i < p->tx->size; i++)
		put_slot(p, &p->slots[i]);
	ns_pktq_init(&p->backlog);
	return 0;
}

static struct net_header header_for(const struct ns_pkt *pkt)
{
	static const uint8_t types[] = {
	    [NS_GSO_NONE] = GSO_NONE,
	    [NS_GSO_TCPV4] = GSO_TCPV4,
	    [NS_GSO_TCPV6] = GSO_TCPV6,
	    [NS_GSO_UDP] = GSO_UDP_L4,
	};
	struct net_header h = {.gso_type = GSO_NONE};
	if (pkt->flags & NS_PKT_CSUM_PARTIAL) {
		h.flags = HEADER_NEEDS_CSUM;
		h.csum_start = (uint16_t)(pkt->csum_start - (pkt->data - pkt->head));
		h.csum_offset = pkt->csum_offset;
	}
	if (pkt->gso_size && pkt->gso_type < ARRAY_SIZE(types)) {
		h.gso_type = types[pkt->gso_type];
		h.gso_size = pkt->gso_size;
		h.header_len = pkt->gso_hdr_len;
	}
	return h;
}

/* Puts one packet on the ring. 0, -ENOSPC: no room now, -EINVAL: it never fits. */
static int start(struct net_pair *p, struct ns_pkt *pkt)
{
	struct virtq_buf buf[NS_MAX_FRAGS + 2];
	struct tx_slot *s = p->free;
	unsigned n = 0;
	if (!s)
		return -ENOSPC;
	if (pkt->nfrags > NS_MAX_FRAGS)
		return -EINVAL;
	s->header = header_for(pkt);
	s->pkt = pkt;
	buf[n++] = (struct virtq_buf){virt_phys(&s->header), p->net->header_size};
	if (pkt->len)
		buf[n++] = (struct virtq_buf){virt_phys(pkt->data), pkt->len};
	for (unsigned i = 0; i < pkt->nfrags; i++)
		if (pkt->frags[i].len)
			buf[n++] =
			    (struct virtq_buf){virt_phys(pkt->frags[i].data), pkt->frags[i].len};
	TRACE(virtio_net_tx_packet, "queue=%lu packet=%p fragments=%u", p->index, pkt, n);
	TRACE(virtio_net_tx_packet_size, "queue=%lu len=%u", p->index, pkt->tot_len);
	int err = virtq_add(p->tx, buf, n, 0, s);
	if (!err)
		p->free = s->next_free;
	else
		TRACE(virtio_net_tx_failed_add_buf, "queue=%lu packet=%p", p->index, pkt);
	return err;
}

static void take_completions(struct net_pair *p)
{
	struct tx_slot *s;
	uint32_t written;
	while ((s = virtq_take(p->tx, &written))) {
		ns_pkt_put(s->pkt);
		put_slot(p, s);
	}
	if (p->tx->broken)
		net_fail(p->net, p->tx->broken);
}

static void drop(struct net_pair *p, struct ns_pkt *pkt)
{
	p->stats.tx_dropped++;
	ns_pkt_put(pkt);
}

static void take_incoming(struct net_pair *p)
{
	struct ns_pkt *pkt = atomic_exchange(&p->incoming, NULL), *oldest = NULL;
	while (pkt) { /* newest first: turned round */
		struct ns_pkt *next = pkt->next;
		pkt->next = oldest;
		oldest = pkt;
		pkt = next;
	}
	while (oldest) {
		struct ns_pkt *next = oldest->next;
		if (p->backlog.count < BACKLOG_LIMIT)
			ns_pktq_push(&p->backlog, oldest);
		else
			drop(p, oldest);
		oldest = next;
	}
}

static void send_backlog(struct net_pair *p)
{
	while (p->backlog.head) {
		uint32_t bytes = p->backlog.head->tot_len;
		int err = start(p, p->backlog.head);
		if (err == -ENOSPC) {
			TRACE(virtio_net_tx_no_space_calling_gc, "queue=%lu", p->index);
			break;
		}
		struct ns_pkt *pkt = ns_pktq_pop(&p->backlog);
		if (err) {
			drop(p, pkt);
			continue;
		}
		p->stats.tx_packets++;
		p->stats.tx_bytes += bytes;
	}
	virtio_kick(p->tx);
}

static void fail_all(struct net_pair *p)
{
	struct tx_slot *s;
	struct ns_pkt *pkt;
	while ((s = virtq_abandon(p->tx))) {
		drop(p, s->pkt);
		put_slot(p, s);
	}
	while ((pkt = ns_pktq_pop(&p->backlog)))
		drop(p, pkt);
}

static void run(void *arg)
{
	struct net_pair *p = arg;
	do {
		take_completions(p);
		take_incoming(p);
		if (atomic_load(&p->net->failed)) {
			fail_all(p);
			return;
		}
		send_backlog(p);
	} while (p->backlog.head ? virtq_enable(p->tx) : virtq_enable_late(p->tx));
}

void net_tx_attend(struct net_pair *p)
{
	combine(&p->attend, run, p);
}

void net_tx_transmit(struct net_device *d, unsigned queue, struct ns_pktq *packets)
{
	struct virtio_net *n = container_of(d, struct virtio_net, dev);
	struct net_pair *p = &n->pair[queue % n->npairs];
	struct ns_pkt *newest = NULL, *oldest = packets->head, *pkt;
	if (!oldest)
		return;
	while ((pkt = ns_pktq_pop(packets))) {
		pkt->next = newest;
		newest = pkt;
	}
	TRACE(virtio_net_tx, "queue=%lu", queue);
	struct ns_pkt *head = atomic_load_explicit(&p->incoming, memory_order_relaxed);
	do
		oldest->next = head;
	while (!atomic_compare_exchange_weak(&p->incoming, &head, newest));
	combine(&p->attend, run, p);
}
