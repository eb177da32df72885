/* SPDX-License-Identifier: BSD-3-Clause */
/* /network: interfaces and routes. */
#include "network.h"
#include "calls.h"
#include "source.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static void address(int fd, const char *name, unsigned long request, char out[48])
{
	struct ifreq ifr = {0};

	snprintf(ifr.ifr_name, sizeof ifr.ifr_name, "%s", name);
	if (fd < 0 || ioctl(fd, request, &ifr) || ifr.ifr_addr.sa_family != AF_INET)
		return;
	struct sockaddr_in in;
	memcpy(&in, &ifr.ifr_addr, sizeof in);
	inet_ntop(AF_INET, &in.sin_addr, out, 48);
}

/* What the socket calls know about an interface. */
static void ask(int fd, struct interface_info *i)
{
	struct ifreq ifr = {0};

	snprintf(ifr.ifr_name, sizeof ifr.ifr_name, "%s", i->name);
	address(fd, i->name, SIOCGIFADDR, i->addr);
	address(fd, i->name, SIOCGIFNETMASK, i->mask);
	if (!ioctl(fd, SIOCGIFFLAGS, &ifr))
		i->flags = (unsigned short)ifr.ifr_flags;
	if (i->flags & IFF_BROADCAST)
		address(fd, i->name, SIOCGIFBRDADDR, i->broadcast);
	if (!ioctl(fd, SIOCGIFMTU, &ifr))
		i->mtu = ifr.ifr_mtu;
	if (!ioctl(fd, SIOCGIFHWADDR, &ifr)) {
		const unsigned char *m = (const unsigned char *)ifr.ifr_hwaddr.sa_data;
		snprintf(i->phys_addr, sizeof i->phys_addr, "%02x:%02x:%02x:%02x:%02x:%02x", m[0],
		    m[1], m[2], m[3], m[4], m[5]);
	}
}

/* A line of /proc/net/dev, changed. */
static bool parse_line(char *line, struct interface_info *i)
{
	unsigned long long v[16];
	char *colon = strchr(line, ':');

	if (!colon)
		return false;
	*colon = 0;
	if (sscanf(colon + 1,
		"%llu %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu",
		&v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &v[6], &v[7], &v[8], &v[9], &v[10],
		&v[11], &v[12], &v[13], &v[14], &v[15]) != 16)
		return false;
	*i = (struct interface_info){
	    .name = line + strspn(line, " "),
	    .rx_bytes = v[0],
	    .rx_packets = v[1],
	    .rx_errors = v[2],
	    .rx_dropped = v[3],
	    .rx_multicast = v[7],
	    .tx_bytes = v[8],
	    .tx_packets = v[9],
	    .tx_errors = v[10],
	    .tx_dropped = v[11],
	    .collisions = v[13],
	};
	return true;
}

int interfaces_walk(void (*fn)(void *arg, const struct interface_info *i), void *arg)
{
	char *text = source_read("/proc/net/dev", NULL), *rest = text, *line;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct interface_info i;

	if (!text) {
		int err = -errno;
		if (fd >= 0)
			close(fd);
		return err;
	}
	while ((line = source_line(&rest))) {
		if (!parse_line(line, &i))
			continue;
		ask(fd, &i);
		fn(arg, &i);
	}
	if (fd >= 0)
		close(fd);
	free(text);
	return 0;
}

struct listing {
	struct text *body;
	const char *only;
	bool found;
};

static void put_interface(void *arg, const struct interface_info *i)
{
	struct listing *l = arg;
	struct text *b = l->body;

	if (l->only && strcmp(l->only, i->name))
		return;
	l->found = true;
	json_next(b);
	text_puts(b, "{\"config\":{");
	json_member_string(b, "name", i->name);
	json_member_string(b, "addr", i->addr);
	json_member_string(b, "mask", i->mask);
	json_member_string(b, "broadcast", i->broadcast);
	json_member_int(b, "flags", i->flags);
	json_member_int(b, "mtu", i->mtu);
	json_member_string(b, "phys_addr", i->phys_addr);
	text_puts(b, "},\"data\":{");
	json_member_int(b, "ifi_mtu", i->mtu);
	json_member_int(b, "ifi_ipackets", (int64_t)i->rx_packets);
	json_member_int(b, "ifi_ierrors", (int64_t)i->rx_errors);
	json_member_int(b, "ifi_opackets", (int64_t)i->tx_packets);
	json_member_int(b, "ifi_oerrors", (int64_t)i->tx_errors);
	json_member_int(b, "ifi_collisions", (int64_t)i->collisions);
	json_member_int(b, "ifi_ibytes", (int64_t)i->rx_bytes);
	json_member_int(b, "ifi_obytes", (int64_t)i->tx_bytes);
	json_member_int(b, "ifi_imcasts", (int64_t)i->rx_multicast);
	json_member_int(b, "ifi_omcasts", 0);
	json_member_int(b, "ifi_iqdrops", (int64_t)i->rx_dropped);
	json_member_int(b, "ifi_oqdrops", (int64_t)i->tx_dropped);
	json_member_int(b, "ifi_noproto", 0);
	text_puts(b, "}");
	json_member_int(b, "time", api_time_ms());
	text_puts(b, "}");
}

static void interfaces(struct api_reply *r, const char *only)
{
	struct listing l = {.body = &r->body, .only = only};

	if (!only)
		text_puts(&r->body, "[");
	int err = interfaces_walk(put_interface, &l);
	if (err)
		api_fail_errno(r, err, "/proc/net/dev");
	else if (only && !l.found)
		api_fail(r, 404, "there is no interface %.40s", only);
	else if (!only)
		text_puts(&r->body, "]");
}

void call_ifconfig(struct api_request *q, struct api_reply *r)
{
	(void)q;
	interfaces(r, NULL);
}

void call_ifconfig_one(struct api_request *q, struct api_reply *r)
{
	interfaces(r, q->rest);
}

static unsigned prefix_length(uint32_t mask)
{
	return (unsigned)__builtin_popcount(mask);
}

static void put_route(struct text *b, const char *destination, const char *gateway, unsigned flags,
    const char *interface, bool ipv6)
{
	char letters[8] = "";

	snprintf(letters, sizeof letters, "%s%s%s", flags & 1 ? "U" : "", flags & 2 ? "G" : "",
	    flags & 4 ? "H" : "");
	json_next(b);
	text_puts(b, "{");
	json_member_string(b, "destination", destination);
	json_member_string(b, "gateway", gateway);
	json_member_string(b, "flags", letters);
	json_member_string(b, "netif", interface);
	json_member_bool(b, "ipv6", ipv6);
	text_puts(b, "}");
}

/* Lines "IFACE DEST GATEWAY FLAGS REFCNT USE METRIC MASK …" with addresses in memory order. */
static void put_routes4(struct text *b, char *text)
{
	char *line, name[32], where[48], net[32], gateway[32];
	unsigned destination, via, flags, mask;

	source_line(&text); /* headings */
	while ((line = source_line(&text))) {
		if (sscanf(line, "%31s %x %x %x %*d %*d %*d %x", name, &destination, &via, &flags,
			&mask) != 5)
			continue;
		inet_ntop(AF_INET, &destination, net, sizeof net);
		inet_ntop(AF_INET, &via, gateway, sizeof gateway);
		if (!destination && !mask)
			snprintf(where, sizeof where, "default");
		else if (mask == ~0u)
			snprintf(where, sizeof where, "%s", net);
		else
			snprintf(where, sizeof where, "%s/%u", net, prefix_length(mask));
		put_route(b, where, gateway, flags, name, false);
	}
}

static bool parse_hex_address(const char *hex, struct in6_addr *a)
{
	for (int i = 0; i < 16; i++) {
		unsigned v;
		if (sscanf(hex + 2 * i, "%2x", &v) != 1)
			return false;
		a->s6_addr[i] = (uint8_t)v;
	}
	return true;
}

/* Lines "DEST PREFIX SOURCE PREFIX NEXT METRIC REFCNT USE FLAGS IFACE". */
static void put_routes6(struct text *b, char *text)
{
	char *line, name[32], to[40], via[40], net[48], gateway[48], where[64];
	unsigned prefix, flags;
	struct in6_addr a, g;

	while ((line = source_line(&text))) {
		if (sscanf(line, "%32s %x %*s %*x %32s %*x %*x %*x %x %31s", to, &prefix, via,
			&flags, name) != 5 ||
		    !parse_hex_address(to, &a) || !parse_hex_address(via, &g))
			continue;
		inet_ntop(AF_INET6, &a, net, sizeof net);
		inet_ntop(AF_INET6, &g, gateway, sizeof gateway);
		snprintf(where, sizeof where, "%s/%u", net, prefix);
		put_route(b, where, gateway, flags, name, true);
	}
}

void call_route(struct api_request *q, struct api_reply *r)
{
	char *v4 = source_read("/proc/net/route", NULL), *v6;

	(void)q;
	if (!v4) {
		api_fail_errno(r, -errno, "/proc/net/route");
		return;
	}
	v6 = source_read("/proc/net/ipv6_route", NULL);
	text_puts(&r->body, "[");
	put_routes4(&r->body, v4);
	if (v6)
		put_routes6(&r->body, v6);
	text_puts(&r->body, "]");
	free(v4);
	free(v6);
}
