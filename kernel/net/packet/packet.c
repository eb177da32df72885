/* SPDX-License-Identifier: BSD-3-Clause */
/* Packet sockets: who sees which frame, the queue or ring it is put into, sending, options. */
#include "net/packet/packet.h"
#include <asm/errno.h>
#include <asm/ioctls.h>

#include <linux/capability.h>
#include <linux/eventpoll.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/mman.h>
#include <linux/sockios.h>
#include "core/random.h"
#include "fs/proc/net.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/mm.h"
#include "mm/uaccess.h"
#include "net/inet/links.h"
#include "proc/program.h"
#include "sys/syscall.h"

#define SOL_PACKET 263
#define ETH_LEN 14

struct packet_socket {
	struct socket *s;
	struct list link; /* taps; also protects bound, protocol, ifindex, filter and ring */
	uint32_t ifindex;
	uint16_t protocol; /* network byte order; 0 sees nothing */
	int version;
	unsigned reserve;
	struct bpf_filter *filter;
	struct packet_ring *ring;
	atomic_int maps; /* areas that show the ring */
	bool auxdata, ignore_outgoing;
	struct mutex lock; /* the queue and the counters */
	struct list queue;
	size_t queued;
	unsigned packets, drops;
	struct waitq wait;
	struct poll_head poll;
};

struct queued_frame {
	struct list link;
	uint32_t len, snap; /* of the frame, of what was kept */
	uint32_t net_off;
	int64_t wall;
	bool checksum_missing;
	struct sockaddr_ll from;
	char data[];
};

_Atomic unsigned packet_taps;
static struct mutex taps;
static struct list sockets = LIST_INIT(sockets);

/* --- frames --- */

bool frame_read(const struct frame *f, uint32_t off, void *to, uint32_t n)
{
	char *p = to;

	if (off > f->len || n > f->len - off)
		return false;
	if (off < f->head_len) {
		uint32_t part = MIN(n, f->head_len - off);
		memcpy(p, f->head + off, part);
		p += part;
		off += part;
		n -= part;
	}
	return !n || ns_pkt_copy_out(f->pkt, f->skip + off - f->head_len, p, n) == n;
}

static bool filter_read(const struct bpf_packet *p, uint32_t off, void *to, uint32_t n)
{
	return frame_read(p->data, off, to, n);
}

/* How many bytes of the frame the socket wants. */
static uint32_t run_filter(const struct packet_socket *k, const struct frame *f)
{
	struct bpf_packet p = {.read = filter_read,
	    .data = f,
	    .len = f->len,
	    .net_off = f->net_off,
	    .protocol = __builtin_bswap16(f->protocol),
	    .hatype = f->hatype,
	    .type = f->type,
	    .ifindex = f->ifindex,
	    .cpu = this_cpu()->id};

	if (!k->filter)
		return ~0u;
	p.random = (uint32_t)time_now();
	return bpf_run(k->filter->prog, &p);
}

static void describe(struct sockaddr_ll *ll, const struct frame *f)
{
	*ll = (struct sockaddr_ll){.sll_family = AF_PACKET,
	    .sll_protocol = f->protocol,
	    .sll_ifindex = (int)f->ifindex,
	    .sll_hatype = f->hatype,
	    .sll_pkttype = f->type,
	    .sll_halen = 6};
	memcpy(ll->sll_addr, f->addr, 6);
}

static bool put_in_queue(struct packet_socket *k, const struct frame *f)
{
	uint32_t snap = MIN(f->keep, f->len);

	if (k->queued + snap > (size_t)k->s->receive_buffer)
		return false;
	struct queued_frame *q = kmalloc(sizeof *q + snap);
	if (!q)
		return false;
	q->len = f->len;
	q->snap = snap;
	q->net_off = f->net_off;
	q->wall = f->wall;
	q->checksum_missing = f->checksum_missing;
	describe(&q->from, f);
	frame_read(f, 0, q->data, snap);
	list_append(&k->queue, &q->link);
	k->queued += sizeof *q + snap;
	waitq_wake(&k->wait, 1);
	return true;
}

/* With taps held. */
static void give(struct packet_socket *k, struct frame f)
{
	bool cooked = k->s->type == SOCK_DGRAM;

	if (cooked) { /* the network header first */
		uint32_t gone = f.net_off;
		if (f.head)
			f.head_len = 0;
		else
			f.skip += gone;
		f.len -= gone;
		f.net_off = 0;
	}
	f.keep = run_filter(k, &f);
	if (!f.keep)
		return;
	mutex_lock(&k->lock);
	k->packets++;
	bool stored = k->ring ? ring_put(k->ring, &f, cooked) : put_in_queue(k, &f);
	if (!stored)
		k->drops++;
	mutex_unlock(&k->lock);
	if (stored)
		poll_notify(&k->poll, EPOLLIN | EPOLLRDNORM);
}

static uint8_t type_of(const uint8_t *mac, const struct ns_if_info *info, bool outgoing)
{
	static const uint8_t everybody[6] = {255, 255, 255, 255, 255, 255};

	if (outgoing)
		return PACKET_OUTGOING;
	if (mac[0] & 1)
		return memcmp(mac, everybody, 6) ? PACKET_MULTICAST : PACKET_BROADCAST;
	return memcmp(mac, info->mac, 6) ? PACKET_OTHERHOST : PACKET_HOST;
}

static void tap(
    const struct ns_pkt *pkt, uint32_t ifindex, bool outgoing, const struct packet_socket *sender)
{
	uint8_t eth[ETH_LEN] = {0};
	struct ns_if_info info;
	struct packet_socket *k;
	bool bare = ifindex == NS_LOOPBACK_IF;

	if (ns_if_get(inet.ns, ifindex, &info) || !pkt->len || (!bare && pkt->len < ETH_LEN))
		return;
	if (bare) /* the loopback has no link header: show an empty one */
		eth[12] = pkt->data[0] >> 4 == 6 ? 0x86 : 0x08, eth[13] = eth[12] == 8 ? 0 : 0xdd;
	else
		memcpy(eth, pkt->data, ETH_LEN);
	struct frame f = {.pkt = pkt,
	    .head = bare ? eth : NULL,
	    .head_len = bare ? ETH_LEN : 0,
	    .len = pkt->tot_len + (bare ? ETH_LEN : 0),
	    .net_off = ETH_LEN,
	    .protocol = (uint16_t)(eth[12] | eth[13] << 8),
	    .hatype = bare ? ARPHRD_LOOPBACK : ARPHRD_ETHER,
	    .type = type_of(eth, &info, outgoing),
	    .ifindex = ifindex,
	    .checksum_missing = outgoing && pkt->flags & NS_PKT_CSUM_PARTIAL,
	    .wall = time_wall()};
	memcpy(f.addr, eth + 6, 6);
	mutex_lock(&taps);
	list_for_each_entry (k, &sockets, link) {
		bool all = k->protocol == __builtin_bswap16(ETH_P_ALL);
		if (k == sender || !k->protocol || (k->ifindex && k->ifindex != ifindex) ||
		    (!all && (outgoing || k->protocol != f.protocol)) ||
		    (outgoing && k->ignore_outgoing))
			continue;
		give(k, f);
	}
	mutex_unlock(&taps);
}

void packet_tap_slow(const struct ns_pkt *pkt, uint32_t ifindex, bool outgoing)
{
	tap(pkt, ifindex, outgoing, NULL);
}

/* --- names --- */

static int parse_ll(const struct address *a, unsigned len, struct sockaddr_ll *out)
{
	if (len < 12 || len > sizeof *a)
		return -EINVAL;
	memset(out, 0, sizeof *out);
	memcpy(out, a, MIN(len, (unsigned)sizeof *out));
	return out->sll_family == AF_PACKET ? 0 : -EINVAL;
}

static int packet_bind(struct socket *s, const struct address *a, unsigned len)
{
	struct packet_socket *k = s->private;
	struct ns_if_info info;
	struct sockaddr_ll ll;
	int err = parse_ll(a, len, &ll);

	if (err)
		return err;
	if (ll.sll_ifindex < 0 || ll.sll_ifindex > NS_MAX_IFS ||
	    (ll.sll_ifindex && ns_if_get(inet.ns, (uint32_t)ll.sll_ifindex, &info)))
		return -ENODEV;
	mutex_lock(&taps);
	k->ifindex = (uint32_t)ll.sll_ifindex;
	if (ll.sll_protocol)
		k->protocol = ll.sll_protocol;
	mutex_unlock(&taps);
	return 0;
}

static int packet_name(struct socket *s, struct address *a, bool peer)
{
	struct packet_socket *k = s->private;
	struct sockaddr_ll ll = {
	    .sll_family = AF_PACKET, .sll_protocol = k->protocol, .sll_ifindex = (int)k->ifindex};
	struct ns_if_info info;

	if (peer)
		return -EOPNOTSUPP;
	if (k->ifindex && !ns_if_get(inet.ns, k->ifindex, &info)) {
		ll.sll_hatype = info.flags & NS_IF_LOOPBACK ? ARPHRD_LOOPBACK : ARPHRD_ETHER;
		ll.sll_halen = 6;
		memcpy(ll.sll_addr, info.mac, 6);
	}
	memcpy(a, &ll, sizeof ll);
	return sizeof ll;
}

/* --- sending --- */

static void put_link_header(struct ns_pkt *p, const struct sockaddr_ll *to,
    const struct ns_if_info *info, uint16_t protocol)
{
	uint8_t *eth = ns_pkt_push(p, ETH_LEN);

	memset(eth, 0, ETH_LEN);
	memcpy(eth, to->sll_addr, MIN(to->sll_halen, 6));
	memcpy(eth + 6, info->mac, 6);
	memcpy(eth + 12, &protocol, 2);
}

static void send_frame(struct packet_socket *k, uint32_t ifindex, struct ns_pkt *p)
{
	struct net_device *d = inet.device[ifindex];
	struct ns_pktq q;

	if (ifindex == NS_LOOPBACK_IF) { /* without its link header, as all that goes there */
		ns_pkt_pull(p, ETH_LEN);
		p->flags |= NS_PKT_LOOPBACK | NS_PKT_NO_ETH;
		p->ifindex = ifindex;
		tap(p, ifindex, true, k);
		loopback_push(p);
		receive_loopback();
		return;
	}
	tap(p, ifindex, true, k);
	ns_pktq_init(&q);
	ns_pktq_push(&q, p);
	d->transmit(d, this_cpu()->id % d->nqueues, &q);
}

static long packet_send(struct socket *s, struct message *m)
{
	struct packet_socket *k = s->private;
	struct sockaddr_ll to = {.sll_ifindex = (int)k->ifindex, .sll_protocol = k->protocol};
	size_t n = m->data.count, head = s->type == SOCK_DGRAM ? ETH_LEN : 0;
	struct ns_if_info info;
	int err;

	if (m->name) {
		err = parse_ll(m->name, m->name_len, &to);
		if (err)
			return err;
		if (head && m->name_len < 12u + to.sll_halen)
			return -EINVAL;
	}
	if (to.sll_ifindex <= 0 || to.sll_ifindex > NS_MAX_IFS ||
	    ns_if_get(inet.ns, (uint32_t)to.sll_ifindex, &info))
		return -ENXIO;
	if (!(info.flags & NS_IF_UP))
		return -ENETDOWN;
	if (n + head > info.mtu + ETH_LEN)
		return -EMSGSIZE;
	if (n + head < ETH_LEN)
		return -EINVAL;
	struct ns_pkt *p = inet_pkt_alloc(NULL, NS_HEADROOM + (uint32_t)n, 0);
	if (!p)
		return -ENOBUFS;
	p->data += NS_HEADROOM;
	if (iter_from(&m->data, ns_pkt_append(p, (uint32_t)n), n) != n) {
		ns_pkt_put(p);
		return -EFAULT;
	}
	if (head)
		put_link_header(p, &to, &info, to.sll_protocol);
	send_frame(k, (uint32_t)to.sll_ifindex, p);
	return (long)n;
}

/* --- receiving --- */

static long wait_frame(struct packet_socket *k, int64_t deadline)
{
	while (list_empty(&k->queue)) {
		int e = atomic_exchange(&k->s->error, 0);
		if (e)
			return -e;
		if (!deadline)
			return -EAGAIN;
		int err = waitq_wait(&k->wait, &k->lock, deadline, WAIT_INTERRUPTIBLE);
		if (err)
			return err == -ETIMEDOUT       ? -EAGAIN
			       : k->s->receive_timeout ? -EINTR
						       : -ERESTARTSYS;
	}
	return 0;
}

static long deliver(struct packet_socket *k, struct message *m, const struct queued_frame *q)
{
	size_t n = MIN(m->data.count, (size_t)q->snap);

	if (iter_to(&m->data, q->data, n) != n)
		return -EFAULT;
	if (m->name) {
		memcpy(m->name, &q->from, sizeof q->from);
		m->name_len = sizeof q->from;
	}
	socket_put_stamp(k->s, m, q->wall);
	if (k->auxdata) {
		struct tpacket_auxdata x = {
		    .tp_status =
			TP_STATUS_USER | (q->checksum_missing ? TP_STATUS_CSUMNOTREADY : 0),
		    .tp_len = q->len,
		    .tp_snaplen = q->snap,
		    .tp_net = (uint16_t)q->net_off};
		message_put_control(m, SOL_PACKET, PACKET_AUXDATA, &x, sizeof x);
	}
	if (q->snap > n)
		m->out_flags |= MSG_TRUNC;
	return m->flags & MSG_TRUNC ? (long)q->len : (long)n;
}

static long packet_receive(struct socket *s, struct message *m)
{
	struct packet_socket *k = s->private;
	int64_t deadline = socket_deadline(s->receive_timeout, m->flags & MSG_DONTWAIT);

	if (m->flags & (MSG_ERRQUEUE | MSG_OOB))
		return m->flags & MSG_OOB ? -EINVAL : -EAGAIN;
	mutex_lock(&k->lock);
	long r = wait_frame(k, deadline);
	if (!r) {
		struct queued_frame *q = list_first(&k->queue, struct queued_frame, link);
		r = deliver(k, m, q); /* under the lock: a peeked one could go otherwise */
		if (!(m->flags & MSG_PEEK)) {
			list_remove(&q->link);
			k->queued -= sizeof *q + q->snap;
			kfree(q);
		}
	}
	mutex_unlock(&k->lock);
	return r;
}

static unsigned packet_poll(struct socket *s)
{
	struct packet_socket *k = s->private;
	unsigned m = EPOLLOUT | EPOLLWRNORM;

	mutex_lock(&k->lock);
	if (!list_empty(&k->queue) || (k->ring && ring_ready(k->ring)))
		m |= EPOLLIN | EPOLLRDNORM;
	mutex_unlock(&k->lock);
	return m | (atomic_load(&s->error) ? EPOLLERR : 0);
}

static struct poll_head *packet_poll_head(struct socket *s)
{
	return &((struct packet_socket *)s->private)->poll;
}

/* --- the ring in the application's memory --- */

static void map_open(struct vma *v)
{
	struct packet_socket *k = file_socket(v->file)->private;

	atomic_fetch_add(&k->maps, 1);
}

static void map_close(struct vma *v)
{
	struct packet_socket *k = file_socket(v->file)->private;

	atomic_fetch_sub(&k->maps, 1);
}

static struct page *map_fault(struct vma *v, uint64_t pgoff, bool write)
{
	struct packet_socket *k = file_socket(v->file)->private;

	(void)write;
	mutex_lock(&k->lock);
	struct page *p = k->ring ? ring_page(k->ring, pgoff) : NULL;
	mutex_unlock(&k->lock);
	return p ? p : err_ptr(-EFAULT);
}

static const struct vma_ops ring_vma_ops = {
    .open = map_open, .close = map_close, .fault = map_fault};

static int packet_mmap(struct socket *s, struct vma *v)
{
	struct packet_socket *k = s->private;

	mutex_lock(&k->lock);
	bool ok = k->ring && !v->pgoff && v->end - v->start == ring_size(k->ring);
	mutex_unlock(&k->lock);
	if (!ok || !(v->flags & MAP_SHARED))
		return -EINVAL;
	v->ops = &ring_vma_ops;
	return 0;
}

static int set_ring(struct packet_socket *k, const void *value, unsigned len)
{
	struct packet_ring *ring, *old;
	int err = ring_new(&ring, value, len, k->version, k->reserve);

	if (err)
		return err;
	mutex_lock(&k->lock);
	if (atomic_load(&k->maps) || (ring && k->ring)) {
		mutex_unlock(&k->lock);
		ring_free(ring);
		return -EBUSY;
	}
	old = k->ring;
	k->ring = ring;
	mutex_unlock(&k->lock);
	ring_free(old);
	return 0;
}

/* --- options --- */

struct bpf_filter *bpf_filter_new(const void *fprog, unsigned len)
{
	struct sock_fprog p;

	if (len < sizeof p)
		return err_ptr(-EINVAL);
	memcpy(&p, fprog, sizeof p);
	if (!p.len || p.len > BPF_MAXINSNS)
		return err_ptr(-EINVAL);
	struct bpf_filter *f = kmalloc(sizeof *f + p.len * sizeof f->prog[0]);
	if (!f)
		return err_ptr(-ENOMEM);
	f->n = p.len;
	int err = copy_from_user(f->prog, (void __user *)p.filter, p.len * sizeof f->prog[0]);
	if (!err)
		err = bpf_check(f->prog, f->n);
	if (!err)
		return f;
	kfree(f);
	return err_ptr(err);
}

static void exchange_filter(struct packet_socket *k, struct bpf_filter *f)
{
	mutex_lock(&taps);
	struct bpf_filter *old = k->filter;
	k->filter = f;
	mutex_unlock(&taps);
	kfree(old);
}

static int set_filter(struct packet_socket *k, int name, const void *value, unsigned len)
{
	if (name == SO_DETACH_FILTER) {
		if (!k->filter)
			return -ENOENT;
		exchange_filter(k, NULL);
		return 0;
	}
	struct bpf_filter *f = bpf_filter_new(value, len);
	if (is_err(f))
		return (int)ptr_err(f);
	exchange_filter(k, f);
	return 0;
}

static int set_number(struct packet_socket *k, int name, int v)
{
	switch (name) {
	case PACKET_VERSION:
		if (v != TPACKET_V1 && v != TPACKET_V2)
			return -EINVAL; /* programs fall back from V3 to V2 */
		if (k->ring)
			return -EBUSY;
		k->version = v;
		return 0;
	case PACKET_RESERVE:
		if (v < 0 || v > 4096)
			return -EINVAL;
		if (k->ring)
			return -EBUSY;
		k->reserve = (unsigned)v;
		return 0;
	case PACKET_AUXDATA:
		k->auxdata = v;
		return 0;
	case PACKET_IGNORE_OUTGOING:
		if (v < 0 || v > 1)
			return -EINVAL;
		k->ignore_outgoing = v;
		return 0;
	case PACKET_TIMESTAMP:	  /* only software's are taken */
	case PACKET_QDISC_BYPASS: /* there is no queueing discipline to go around */
	case PACKET_COPY_THRESH:
		return 0;
	}
	return -ENOPROTOOPT;
}

/* Devices receive every frame anyway. */
static int set_membership(const void *value, unsigned len)
{
	struct packet_mreq r;
	struct ns_if_info info;

	if (len < sizeof r)
		return -EINVAL;
	memcpy(&r, value, sizeof r);
	if (r.mr_ifindex <= 0 || r.mr_ifindex > NS_MAX_IFS ||
	    ns_if_get(inet.ns, (uint32_t)r.mr_ifindex, &info))
		return -ENODEV;
	return r.mr_type <= PACKET_MR_UNICAST ? 0 : -EINVAL;
}

static int packet_set_option(struct socket *s, int level, int name, const void *value, unsigned len)
{
	struct packet_socket *k = s->private;
	int v;

	if (level == SOL_SOCKET && (name == SO_ATTACH_FILTER || name == SO_DETACH_FILTER))
		return set_filter(k, name, value, len);
	if (level == SOL_SOCKET && name == SO_BINDTODEVICE)
		return -ENOPROTOOPT;
	if (level != SOL_PACKET)
		return -ENOPROTOOPT;
	if (name == PACKET_RX_RING)
		return set_ring(k, value, len);
	if (name == PACKET_ADD_MEMBERSHIP || name == PACKET_DROP_MEMBERSHIP)
		return set_membership(value, len);
	if (len < sizeof v)
		return -EINVAL;
	memcpy(&v, value, sizeof v);
	return set_number(k, name, v);
}

static int packet_get_option(struct socket *s, int level, int name, void *value, unsigned *len)
{
	struct packet_socket *k = s->private;
	int v;

	if (level != SOL_PACKET)
		return -ENOPROTOOPT;
	switch (name) {
	case PACKET_STATISTICS: {
		mutex_lock(&k->lock);
		struct tpacket_stats st = {k->packets, k->drops};
		k->packets = k->drops = 0;
		mutex_unlock(&k->lock);
		*len = MIN(*len, (unsigned)sizeof st);
		memcpy(value, &st, *len);
		return 0;
	}
	case PACKET_HDRLEN: /* the version comes in the value's room */
		if (*len < sizeof v)
			return -EINVAL;
		memcpy(&v, value, sizeof v);
		if (v != TPACKET_V1 && v != TPACKET_V2)
			return -EINVAL;
		v = v == TPACKET_V1 ? sizeof(struct tpacket_hdr) : sizeof(struct tpacket2_hdr);
		break;
	case PACKET_VERSION:
		v = k->version;
		break;
	case PACKET_RESERVE:
		v = (int)k->reserve;
		break;
	case PACKET_AUXDATA:
		v = k->auxdata;
		break;
	case PACKET_IGNORE_OUTGOING:
		v = k->ignore_outgoing;
		break;
	default:
		return -ENOPROTOOPT;
	}
	*len = MIN(*len, (unsigned)sizeof v);
	memcpy(value, &v, *len);
	return 0;
}

static long packet_ioctl(struct socket *s, unsigned cmd, unsigned long arg)
{
	struct packet_socket *k = s->private;
	int v = 0;

	switch (cmd) {
	case SIOCINQ:
		mutex_lock(&k->lock);
		if (!list_empty(&k->queue))
			v = (int)list_first(&k->queue, struct queued_frame, link)->snap;
		mutex_unlock(&k->lock);
		return put_user(v, (int __user *)arg);
	case SIOCOUTQ:
		return put_user(v, (int __user *)arg);
	}
	return -ENOTTY;
}

static void packet_release(struct socket *s)
{
	struct packet_socket *k = s->private;

	mutex_lock(&taps);
	list_remove(&k->link);
	atomic_fetch_sub(&packet_taps, 1);
	mutex_unlock(&taps);
	while (!list_empty(&k->queue)) {
		struct queued_frame *q = list_first(&k->queue, struct queued_frame, link);
		list_remove(&q->link);
		kfree(q);
	}
	ring_free(k->ring);
	kfree(k->filter);
	poll_head_destroy(&k->poll);
	kfree(k);
}

static const struct socket_ops packet_ops = {
    .bind = packet_bind,
    .name = packet_name,
    .send = packet_send,
    .receive = packet_receive,
    .poll = packet_poll,
    .poll_head = packet_poll_head,
    .set_option = packet_set_option,
    .get_option = packet_get_option,
    .ioctl = packet_ioctl,
    .mmap = packet_mmap,
    .release = packet_release,
};

static int packet_create(struct socket *s)
{
	if (s->type != SOCK_RAW && s->type != SOCK_DGRAM)
		return -ESOCKTNOSUPPORT;
	if (!capable(CAP_NET_RAW))
		return -EPERM;
	struct packet_socket *k = kzalloc(sizeof *k);
	if (!k)
		return -ENOMEM;
	k->s = s;
	k->protocol = (uint16_t)s->protocol;
	list_init(&k->queue);
	waitq_init(&k->wait);
	poll_head_init(&k->poll);
	s->ops = &packet_ops;
	s->private = k;
	mutex_lock(&taps);
	list_append(&sockets, &k->link);
	atomic_fetch_add(&packet_taps, 1);
	mutex_unlock(&taps);
	return 0;
}

static int show_sockets(struct seqbuf *s)
{
	struct packet_socket *k;

	mutex_lock(&taps);
	list_for_each_entry (k, &sockets, link)
		seq_printf(s, "%016lx %-6d %-4d %04x   %-5u %-1d %-6lu %-6u %-6lu\n",
		    (unsigned long)k, 3, k->s->type, __builtin_bswap16(k->protocol), k->ifindex,
		    k->protocol != 0, (unsigned long)k->queued,
		    k->s->file ? k->s->file->inode->uid : 0,
		    k->s->file ? (unsigned long)k->s->file->inode->ino : 0);
	mutex_unlock(&taps);
	return 0;
}

static const struct socket_family family = {AF_PACKET, packet_create};

void packet_init(void)
{
	socket_family_register(&family);
	proc_net_register(PROC_NET_PACKET, show_sockets);
}
