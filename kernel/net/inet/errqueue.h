/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Error queues (IP_RECVERR, IPV6_RECVERR, MSG_ZEROCOPY): what recvmsg(MSG_ERRQUEUE) reads. A queue
 * has its own lock, which is taken last.
 */
#pragma once

#include <linux/time_types.h>
#define timespec __kernel_timespec /* the header expects the C library's */
#include <linux/errqueue.h>
#undef timespec
#include "net/inet/inet.h"

struct error_queue {
	struct mutex lock;
	struct list entries;
	unsigned n;
};

struct error_report {
	struct sock_extended_err e;
	bool have_offender;
	struct ns_addr offender;
	struct ns_addr dest; /* where the packet was going; unspecified: no name is told */
	uint16_t port;
	uint32_t ifindex;
	const void *payload; /* of the packet, as far as known */
	uint32_t len;
};

void error_queue_init(struct error_queue *q);
void error_queue_destroy(struct error_queue *q);
static inline bool error_queue_empty(const struct error_queue *q)
{
	return !__atomic_load_n(&q->n, __ATOMIC_RELAXED);
}
/* Copies the report. A full queue loses it. Any thread context. */
void error_queue_put(struct error_queue *q, const struct error_report *r);
/* Fills in a report from what the engine says. header: bytes of the quote before the payload. */
void error_report_icmp(struct error_report *r, const struct ns_flow *flow,
    const struct ns_icmp_error *err, uint32_t header);
/* Zero-copy sends up to number `last` are done (the program may use its memory again): joins the
 * report of those before it, if that is still there. copied: they were copied after all. */
void error_queue_zerocopy(struct error_queue *q, uint32_t last, bool copied);
/* recvmsg(MSG_ERRQUEUE): bytes of the payload or -EAGAIN. cmsg level and type follow the family of
 * the packet. */
long error_queue_receive(struct error_queue *q, struct socket *s, struct message *m);
