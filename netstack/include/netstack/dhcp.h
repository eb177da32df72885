/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DHCPv4 client (RFC 2131, 2132, 3442) as a state machine without I/O: bytes of received datagrams
 * and the time go in, datagrams to send and a lease come out. One object per interface; one caller
 * at a time. The embedder sends by UDP from port 68 to port 67: broadcast from 0.0.0.0 until bound,
 * then as `send` says.
 */
#ifndef NETSTACK_DHCP_H
#define NETSTACK_DHCP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NS_DHCP_CLIENT_PORT 68
#define NS_DHCP_SERVER_PORT 67
#define NS_DHCP_MAX_DNS 4
#define NS_DHCP_MAX_NTP 4
#define NS_DHCP_MAX_ROUTES 16

/* Addresses are in network byte order (as in struct in_addr). */
struct ns_dhcp_route {
	uint32_t dst, gateway; /* gateway 0: on link */
	uint8_t plen;
};

struct ns_dhcp_lease {
	uint32_t addr, netmask, broadcast, server;
	struct ns_dhcp_route routes[NS_DHCP_MAX_ROUTES]; /* option 121, else the router option */
	uint32_t dns[NS_DHCP_MAX_DNS], ntp[NS_DHCP_MAX_NTP];
	uint8_t nroutes, ndns, nntp;
	uint16_t mtu;	   /* 0: not told */
	char hostname[64]; /* from the server, "" if none; letters, digits, - and . only */
	char domain[128];
	uint32_t lease_s, renew_s, rebind_s;
	uint64_t bound_ns; /* when the request that gave the lease was sent */
};

enum ns_dhcp_state {
	NS_DHCP_INIT,
	NS_DHCP_SELECTING,
	NS_DHCP_REQUESTING,
	NS_DHCP_BOUND,
	NS_DHCP_RENEWING,
	NS_DHCP_REBINDING,
	NS_DHCP_STOPPED,
};

enum ns_dhcp_event {
	NS_DHCP_NOTHING,
	NS_DHCP_LEASE,	 /* new or changed lease: configure d->lease */
	NS_DHCP_RENEWED, /* same address, new times (and maybe options) */
	NS_DHCP_LOST,	 /* lease ended or refused: remove the address; discovery restarts */
};

struct ns_dhcp {
	/* Sends a datagram. src/dst in network order; dst 0xffffffff: broadcast. */
	void (*send)(void *arg, uint32_t src, uint32_t dst, const uint8_t *data, size_t n);
	uint32_t (*random)(void *arg);
	void *arg;
	uint8_t mac[6];
	char hostname[64]; /* sent to the server if not empty */
	enum ns_dhcp_state state;
	struct ns_dhcp_lease lease;
	uint64_t deadline; /* ns; call ns_dhcp_timer then */
	/* private */
	struct ns_dhcp_lease offer;
	uint32_t xid;
	uint64_t started_ns, request_ns;
	unsigned tries;
	uint32_t discards; /* datagrams that were malformed or not for us */
};

/* Fills in a client; nothing is sent. `hostname` may be NULL. */
void ns_dhcp_init(struct ns_dhcp *d, const uint8_t mac[6], const char *hostname,
    void (*send)(void *, uint32_t, uint32_t, const uint8_t *, size_t), uint32_t (*random)(void *),
    void *arg);
/* Starts (or restarts) discovery at time now (ns). */
void ns_dhcp_start(struct ns_dhcp *d, uint64_t now);
/* A datagram that arrived on port 68 (UDP payload). */
enum ns_dhcp_event ns_dhcp_input(struct ns_dhcp *d, const uint8_t *data, size_t n, uint64_t now);
/* Time passed. */
enum ns_dhcp_event ns_dhcp_timer(struct ns_dhcp *d, uint64_t now);
/* The address turned out to be in use by somebody else: DHCPDECLINE, discovery restarts. */
void ns_dhcp_decline(struct ns_dhcp *d, uint64_t now);
/* Gives the lease back (shutdown). */
void ns_dhcp_release(struct ns_dhcp *d);

#endif
