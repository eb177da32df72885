/* SPDX-License-Identifier: BSD-3-Clause */
/* Error queues of internet sockets. */
#include "net/inet/errqueue.h"
#include <asm/errno.h>
#include <linux/in.h>
#include <linux/in6.h>
#include "lib/string.h"
#include "mm/kmalloc.h"

#define QUEUE_MAX 64 /* reports; programs that ask for them read them */
#define PAYLOAD_MAX 1232u

struct entry {
	struct list link;
	struct error_report r;
	char payload[];
};

void error_queue_init(struct error_queue *q)
{
	list_init(&q->entries);
}

void error_queue_destroy(struct error_queue *q)
{
	while (!list_empty(&q->entries)) {
		struct entry *e = list_first(&q->entries, struct entry, link);
		list_remove(&e->link);
		kfree(e);
	}
}

/* Under the lock. */
static void append(struct error_queue *q, const struct error_report *r)
{
	uint32_t len = MIN(r->len, PAYLOAD_MAX);
	struct entry *e = q->n < QUEUE_MAX ? kmalloc(sizeof *e + len) : NULL;

	if (!e)
		return;
	e->r = *r;
	e->r.len = len;
	if (len)
		memcpy(e->payload, r->payload, len);
	list_append(&q->entries, &e->link);
	__atomic_store_n(&q->n, q->n + 1, __ATOMIC_RELAXED);
}

void error_queue_put(struct error_queue *q, const struct error_report *r)
{
	mutex_lock(&q->lock);
	append(q, r);
	mutex_unlock(&q->lock);
}

void error_report_icmp(struct error_report *r, const struct ns_flow *flow,
    const struct ns_icmp_error *err, uint32_t header)
{
	*r =
	    (struct error_report){.e = {.ee_errno = (uint32_t)err->err,
				      .ee_origin = err->v6 ? SO_EE_ORIGIN_ICMP6 : SO_EE_ORIGIN_ICMP,
				      .ee_type = err->type,
				      .ee_code = err->code,
				      .ee_info = err->kind == NS_ICMP_TOO_BIG ? err->mtu : 0},
		.have_offender = true,
		.offender = err->offender,
		.dest = flow->remote,
		.port = flow->rport,
		.ifindex = flow->ifindex};
	if (err->quote_len > header) {
		r->payload = err->quote + header;
		r->len = err->quote_len - header;
	}
}

void error_queue_zerocopy(struct error_queue *q, uint32_t last, bool copied)
{
	mutex_lock(&q->lock);
	struct entry *e =
	    list_empty(&q->entries) ? NULL : list_last(&q->entries, struct entry, link);
	if (e && e->r.e.ee_origin == SO_EE_ORIGIN_ZEROCOPY && e->r.e.ee_data + 1 == last &&
	    e->r.e.ee_code == (copied ? SO_EE_CODE_ZEROCOPY_COPIED : 0)) {
		e->r.e.ee_data = last;
	} else {
		struct error_report r = {.e = {.ee_origin = SO_EE_ORIGIN_ZEROCOPY,
					     .ee_code = copied ? SO_EE_CODE_ZEROCOPY_COPIED : 0,
					     .ee_info = last,
					     .ee_data = last}};
		append(q, &r);
	}
	mutex_unlock(&q->lock);
}

static void put_report(struct socket *s, struct message *m, const struct error_report *r)
{
	struct {
		struct sock_extended_err e;
		struct address offender;
	} out = {.e = r->e};
	bool v4 = s->family == AF_INET || ns_addr_is_v4(&r->dest);
	size_t len = sizeof out.e;

	if (r->have_offender)
		len += (size_t)sockaddr_fill(
		    &out.offender, v4 ? AF_INET : AF_INET6, &r->offender, 0, r->ifindex);
	else /* an empty name is there even then */
		len += v4 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
	if (v4)
		message_put_control(m, SOL_IP, IP_RECVERR, &out, len);
	else
		message_put_control(m, SOL_IPV6, IPV6_RECVERR, &out, len);
}

long error_queue_receive(struct error_queue *q, struct socket *s, struct message *m)
{
	mutex_lock(&q->lock);
	struct entry *e =
	    list_empty(&q->entries) ? NULL : list_first(&q->entries, struct entry, link);
	if (e) {
		list_remove(&e->link);
		__atomic_store_n(&q->n, q->n - 1, __ATOMIC_RELAXED);
	}
	mutex_unlock(&q->lock);
	if (!e)
		return -EAGAIN;
	size_t n = MIN(m->data.count, (size_t)e->r.len);
	long r = iter_to(&m->data, e->payload, n) == n ? (long)n : -EFAULT;
	if (n < e->r.len)
		m->out_flags |= MSG_TRUNC;
	m->out_flags |= MSG_ERRQUEUE;
	if (m->name && !ns_addr_is_any(&e->r.dest))
		m->name_len = (unsigned)sockaddr_fill(
		    m->name, s->family, &e->r.dest, e->r.port, e->r.ifindex);
	put_report(s, m, &e->r);
	/* The next error is for the next call. */
	atomic_store(&s->error, 0);
	kfree(e);
	return r;
}
