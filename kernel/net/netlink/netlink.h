/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * AF_NETLINK: what the protocols (route, socket diagnosis) and the socket code share.
 *
 * A request is handled in the sender's context, and its answers are on the socket's queue when
 * send() returns. Notifications go to members of a group from a worker (monitor.c).
 */
#pragma once

#include "net/netlink/message.h"
#include "net/socket.h"

struct nl_socket {
	struct socket *s;
	struct list link; /* all netlink sockets; nl_lock in netlink.c, like port and groups */
	uint32_t port;
	uint64_t groups; /* bit n-1: group n */
	uint32_t peer_port, peer_groups;
	struct mutex lock; /* what follows */
	struct list queue;
	size_t queued; /* bytes */
	struct waitq wait;
	struct poll_head poll;
	bool overrun, pktinfo, no_enobufs, cap_ack, ext_ack, strict;
};

/* One request with what its answers need. */
struct nl_request {
	struct nl_socket *from;
	const struct nlmsghdr *h; /* validated: the whole message is there */
	const void *body;	  /* behind the header */
	size_t len;
	struct nl_message *m;	   /* for the answer being built */
	struct nl_datagram *batch; /* answers of a dump that wait to be queued */
	bool dumping;
	int err; /* of queueing: no more answers are built */
};

/* Starts an answer to r in r->m: the family header. Flags NLM_F_MULTI in a dump. */
void *nl_answer(struct nl_request *r, uint16_t type, size_t extra);
/* Queues the answer. False: stop, r->err says why. */
bool nl_answer_done(struct nl_request *r);
/* Is it a request for a listing? */
static inline bool nl_is_dump(const struct nl_request *r)
{
	return (r->h->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
}

/* A finished message for the members of a group. Thread context, without locks. */
void nl_multicast(int protocol, unsigned group, struct nl_message *m);
/* Does the group have members? */
bool nl_has_members(int protocol, unsigned group);
/* Calls fn for every netlink socket until it returns false; nl_lock held. */
void nl_walk(bool (*fn)(const struct nl_socket *k, void *arg), void *arg);

/* --- protocols: 0 or -errno for the acknowledgement --- */

int rtnl_request(struct nl_request *r); /* route.c */
int diag_request(struct nl_request *r); /* diag.c */

/* link.c, address.c, routes.c, neighbour.c: requests by what they are about, and the messages that
 * describe one object (type is RTM_NEW… or RTM_DEL…; head is where its family header goes). */
struct ns_if_info;
struct ns_ifaddr;
struct ns_route;
struct ns_neigh_info;

int rtnl_link_get(struct nl_request *r);
int rtnl_link_set(struct nl_request *r);
void rtnl_link_fill(struct nl_message *m, void *head, uint32_t ifindex,
    const struct ns_if_info *info, bool deleted);
int rtnl_addr_get(struct nl_request *r);
int rtnl_addr_change(struct nl_request *r, bool add);
void rtnl_addr_fill(struct nl_message *m, void *head, uint32_t ifindex, const struct ns_ifaddr *a);
int rtnl_route_get(struct nl_request *r);
int rtnl_route_change(struct nl_request *r, bool add);
void rtnl_route_fill(struct nl_message *m, void *head, const struct ns_route *rt);
int rtnl_neigh_get(struct nl_request *r);
int rtnl_neigh_change(struct nl_request *r, bool add);
void rtnl_neigh_fill(struct nl_message *m, void *head, const struct ns_neigh_info *n);
int rtnl_rule_get(struct nl_request *r);

/* monitor.c: compares the configuration with what was last told and tells the difference. */
void rtnl_monitor_init(void);
/* Something has changed. Any thread context, also under inet.lock. */
void rtnl_changed(void);

void netlink_init(void);
