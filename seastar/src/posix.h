/* SPDX-License-Identifier: BSD-3-Clause */
/* The network stack on the system's sockets. */
#ifndef SS_POSIX_H
#define SS_POSIX_H

#include "reactor.h"

#include <seastar/net.h>

extern const struct ss_net_stack ss_posix_stack;

/* A connection over fd, which it takes; NULL (fd closed) if there is no memory. */
ss_conn *ss_posix_conn_new(int fd, int family);

ss_future ss_posix_udp_open(const ss_addr *a, const ss_listen_opts *opts);
ss_future ss_posix_udp_recv(ss_udp *u, ss_datagram *out);
ss_future ss_posix_udp_send(ss_udp *u, const ss_addr *to, const void *data, size_t n);
void ss_posix_udp_addr(ss_udp *u, ss_addr *out);
void ss_posix_udp_close(ss_udp *u);

/* Bind fd; failures carry a text. */
ss_result ss_posix_bind(int fd, const ss_addr *a, const ss_listen_opts *opts);

static inline int ss_watch(struct ss_fd *f, int fd, void (*event)(struct ss_fd *, uint32_t))
{
	f->fd = fd;
	f->event = event;
	return ss_re()->backend->add(ss_re(), f);
}

static inline void ss_unwatch(struct ss_fd *f)
{
	ss_re()->backend->del(ss_re(), f);
}

#endif
