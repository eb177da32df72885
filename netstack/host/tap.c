/* SPDX-License-Identifier: BSD-3-Clause */
/* Tap device driver for the host: see tap.h. */
#define _GNU_SOURCE /* ppoll */
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define FRAME_MAX (65536 + 14)

static uint64_t tap_clock(struct hs_stack *s)
{
	struct timespec ts;

	(void)s;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

static uint64_t tap_random(struct tap *t)
{
	uint64_t z = t->rng += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	return z ^ z >> 27;
}

static bool chance(struct tap *t, uint32_t ppm)
{
	return ppm && tap_random(t) % 1000000 < ppm;
}

int tap_open(struct tap *t, const char *name, bool offload)
{
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI};
	int hdr = sizeof(struct virtio_net_hdr);

	t->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (t->fd < 0)
		return -errno;
	strncpy(ifr.ifr_name, name, IFNAMSIZ - 1);
	if (offload)
		ifr.ifr_flags |= IFF_VNET_HDR;
	if (ioctl(t->fd, TUNSETIFF, &ifr) ||
	    (offload && (ioctl(t->fd, TUNSETVNETHDRSZ, &hdr) ||
			    ioctl(t->fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6)))) {
		int e = -errno;

		close(t->fd);
		return e;
	}
	t->offload = offload;
	return 0;
}

/* ---- out ---- */

static void write_frame(struct tap *t, const struct iovec *iov, int n)
{
	ssize_t r;

	t->frames_out++;
	do
		r = writev(t->fd, iov, n);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		t->dropped++; /* device down or queue full: as on a real wire */
}

static void hold(struct tap *t, const void *data, size_t len, uint64_t at, bool to_engine)
{
	struct tap_held *h = malloc(sizeof *h + len), **p = &t->held;

	if (!h)
		return;
	h->at = at;
	h->to_engine = to_engine;
	h->len = len;
	memcpy(h->data, data, len);
	while (*p && (*p)->at <= at)
		p = &(*p)->next;
	h->next = *p;
	*p = h;
}

/* True: the frame was dropped or goes another way. data includes the virtio header if any. */
static bool impair(struct tap *t, uint8_t *data, size_t len, bool to_engine)
{
	uint64_t now = tap_clock(&t->s), at = now + t->imp.delay_ns;
	size_t skip = t->offload ? sizeof(struct virtio_net_hdr) : 0;

	if (chance(t, t->imp.loss)) {
		t->dropped++;
		return true;
	}
	if (chance(t, t->imp.corrupt) && len > skip)
		data[skip + tap_random(t) % (len - skip)] ^= (uint8_t)(1u << tap_random(t) % 8);
	if (chance(t, t->imp.reorder))
		at += 3000000 + tap_random(t) % 3000000;
	if (chance(t, t->imp.duplicate))
		hold(t, data, len, at + 100000, to_engine);
	if (at == now)
		return false;
	hold(t, data, len, at, to_engine);
	return true;
}

static bool impaired(const struct tap *t)
{
	return t->imp.loss || t->imp.duplicate || t->imp.reorder || t->imp.corrupt ||
	       t->imp.delay_ns;
}

static void fill_header(struct virtio_net_hdr *h, const struct ns_pkt *p)
{
	uint16_t base = (uint16_t)ns_pkt_headroom(p);

	memset(h, 0, sizeof *h);
	if (p->flags & NS_PKT_CSUM_PARTIAL) {
		h->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		h->csum_start = (uint16_t)(p->csum_start - base);
		h->csum_offset = p->csum_offset;
	}
	if (p->gso_type) {
		h->gso_type = p->gso_type == NS_GSO_TCPV4 ? VIRTIO_NET_HDR_GSO_TCPV4
							  : VIRTIO_NET_HDR_GSO_TCPV6;
		h->gso_size = p->gso_size;
		h->hdr_len = p->gso_hdr_len;
	}
}

static void tap_xmit(struct hs_stack *s, uint32_t ifindex, struct ns_pkt *p)
{
	struct tap *t = (struct tap *)s;
	struct virtio_net_hdr h;
	struct iovec iov[NS_MAX_FRAGS + 4];
	int n = 0;

	(void)ifindex;
	if (t->offload) {
		fill_header(&h, p);
		iov[n++] = (struct iovec){&h, sizeof h};
	}
	if (impaired(t)) {
		uint8_t buf[FRAME_MAX + sizeof h];
		size_t off = t->offload ? sizeof h : 0;

		memcpy(buf, &h, off);
		off += ns_pkt_copy_out(p, 0, buf + off, FRAME_MAX);
		if (!impair(t, buf, off, false)) {
			iov[0] = (struct iovec){buf, off};
			write_frame(t, iov, 1);
		}
	} else {
		iov[n++] = (struct iovec){p->data, p->len};
		for (unsigned i = 0; i < p->nfrags; i++)
			iov[n++] = (struct iovec){p->frags[i].data, p->frags[i].len};
		write_frame(t, iov, n);
	}
	ns_pkt_put(p);
}

int tap_attach(struct tap *t, const uint8_t mac[6], uint32_t mtu)
{
	uint32_t flags = NS_IF_UP | (t->offload ? NS_IF_CSUM | NS_IF_TSO4 | NS_IF_TSO6 : 0);
	int r;

	t->s.clock = tap_clock;
	t->s.xmit = tap_xmit;
	r = hs_init(&t->s, NULL, tap_clock(&t->s) ^ t->rng);
	if (r)
		return r;
	r = ns_if_add(t->s.ns, "tap0", mac, mtu, flags);
	if (r < 0)
		return r;
	t->ifindex = (uint32_t)r;
	return 0;
}

/* ---- in ---- */

static void to_engine(struct tap *t, const uint8_t *data, size_t len)
{
	struct virtio_net_hdr h = {0};
	struct ns_pkt *p;

	if (t->offload) {
		if (len < sizeof h)
			return;
		memcpy(&h, data, sizeof h);
		data += sizeof h;
		len -= sizeof h;
	}
	p = hs_pkt_from(&t->s, data, len);
	if (!p)
		return;
	if (h.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		p->flags |= NS_PKT_CSUM_PARTIAL;
	if (h.flags & VIRTIO_NET_HDR_F_DATA_VALID)
		p->flags |= NS_PKT_CSUM_OK;
	if (h.gso_type != VIRTIO_NET_HDR_GSO_NONE) {
		p->gso_type =
		    (h.gso_type & 0x7f) == VIRTIO_NET_HDR_GSO_TCPV4 ? NS_GSO_TCPV4 : NS_GSO_TCPV6;
		p->gso_size = h.gso_size;
	}
	hs_input(&t->s, t->ifindex, p);
}

static void release_held(struct tap *t)
{
	uint64_t now = tap_clock(&t->s);

	while (t->held && t->held->at <= now) {
		struct tap_held *h = t->held;
		struct iovec iov = {h->data, h->len};

		t->held = h->next;
		if (h->to_engine)
			to_engine(t, h->data, h->len);
		else
			write_frame(t, &iov, 1);
		free(h);
	}
}

static void read_frames(struct tap *t)
{
	uint8_t buf[FRAME_MAX + sizeof(struct virtio_net_hdr)];

	for (int i = 0; i < 64; i++) {
		ssize_t n = read(t->fd, buf, sizeof buf);

		if (n <= 0)
			return;
		t->frames_in++;
		if (!impaired(t) || !impair(t, buf, (size_t)n, true))
			to_engine(t, buf, (size_t)n);
	}
}

void tap_poll(struct tap *t, int max_ms)
{
	struct pollfd p = {.fd = t->fd, .events = POLLIN};
	uint64_t now, next = hs_poll(&t->s);
	struct timespec ts;
	uint64_t wait = (uint64_t)max_ms * 1000000;

	if (t->held && (!next || t->held->at < next))
		next = t->held->at;
	now = tap_clock(&t->s);
	if (next && next < now + wait)
		wait = next > now ? next - now : 0;
	ts = (struct timespec){
	    .tv_sec = (time_t)(wait / 1000000000), .tv_nsec = (long)(wait % 1000000000)};
	ppoll(&p, 1, &ts, NULL);
	read_frames(t);
	release_held(t);
	hs_poll(&t->s);
}
