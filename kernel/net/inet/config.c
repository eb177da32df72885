/* SPDX-License-Identifier: BSD-3-Clause */
/* Static configuration and DHCP, and the files that resolvers read. */
#include "net/inet/config.h"
#include <asm/errno.h>
#include <linux/fcntl.h>
#include <netstack/dhcp.h>
#include "core/log.h"
#include "core/random.h"
#include "core/version.h"
#include "drivers/console.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "net/inet/inet.h"

#define BOOT_WAIT (5 * NSEC_PER_SEC)
#define MAX_DNS 4

struct dhcp_client {
	struct ns_dhcp dhcp;
	struct ns_udp udp;
	uint32_t ifindex;
	struct mutex lock;	 /* queue, bound */
	struct waitq wait;	 /* of the client's thread */
	struct waitq bound_wait; /* of whoever waits for an address */
	struct ns_pktq queue;
	bool bound, failed, stop;
	struct ns_addr addr;
	uint8_t datagram[1536];
};

static struct dhcp_client *clients[NS_MAX_IFS + 1];
static struct ns_addr dns[MAX_DNS];
static unsigned ndns;

/* --- resolv.conf, hosts, hostname --- */

static void write_file(const char *path, const char *text, bool replace)
{
	struct file *f =
	    vfs_open(AT_FDCWD, path, O_WRONLY | O_CREAT | (replace ? O_TRUNC : O_EXCL), 0644);
	int64_t pos = 0;

	if (is_err(f))
		return;
	file_write(f, text, strlen(text), &pos);
	file_put(f);
}

static void write_files(const char *domain)
{
	char text[512], a[46], host[HOSTNAME_SIZE];
	int n = 0;

	if (*domain)
		n = snprintf(text, sizeof text, "search %s\n", domain);
	for (unsigned i = 0; i < ndns; i++)
		n += snprintf(text + n, sizeof text - (size_t)n, "nameserver %s\n",
		    ns_addr_format(&dns[i], a));
	if (ndns)
		write_file("/etc/resolv.conf", text, true);
	hostname_get(HOST_NAME, host);
	snprintf(text, sizeof text,
	    "127.0.0.1 localhost\n127.0.1.1 %s\n::1 localhost ip6-localhost\n", host);
	write_file("/etc/hosts", text, false);
	snprintf(text, sizeof text, "%s\n", host);
	write_file("/etc/hostname", text, false);
}

static void add_dns(const struct ns_addr *a)
{
	for (unsigned i = 0; i < ndns; i++)
		if (ns_addr_eq(&dns[i], a))
			return;
	if (ndns < MAX_DNS)
		dns[ndns++] = *a;
}

/* --- static --- */

/* Cuts the next word off *s at `sep`. */
static char *next_word(char **s, char sep)
{
	char *w = *s, *end = strchr(w, sep);

	if (end) {
		*end = 0;
		*s = end + 1;
	} else {
		*s = w + strlen(w);
	}
	return w;
}

static int add_default_route(uint32_t ifindex, const struct ns_addr *gw, enum ns_origin origin)
{
	struct ns_route r = {
	    .gateway = *gw, .v6 = !ns_addr_is_v4(gw), .ifindex = ifindex, .origin = origin};

	if (!r.v6)
		r.dst = ns_ip4(0, 0, 0, 0);
	return ns_route_add(inet.ns, &r);
}

static int apply_static(uint32_t ifindex, char *spec)
{
	char *rest = spec, *word = next_word(&rest, ',');
	char *slash = strchr(word, '/');
	struct ns_addr a;
	uint64_t plen;

	if (slash)
		*slash = 0;
	if (ns_addr_parse(word, &a))
		return -EINVAL;
	plen = ns_addr_is_v4(&a) ? 24 : 64;
	if (slash && *parse_u64(slash + 1, 10, &plen))
		return -EINVAL;
	inet_lock();
	int err = ns_if_addr_add(inet.ns, ifindex, &a, (uint8_t)plen, NS_ORIGIN_STATIC);
	while (!err && *rest) {
		word = next_word(&rest, ',');
		if (!strncmp(word, "gw=", 3) && !ns_addr_parse(word + 3, &a))
			err = add_default_route(ifindex, &a, NS_ORIGIN_STATIC);
		else if (!strncmp(word, "dns=", 4) && !ns_addr_parse(word + 4, &a))
			add_dns(&a);
		else
			err = -EINVAL;
	}
	inet_unlock();
	return err;
}

/* --- DHCP: a thread for each interface --- */

static void on_recv(struct ns_udp *udp, const struct ns_flow *flow, struct ns_pkt *pkt)
{
	struct dhcp_client *c = container_of(udp, struct dhcp_client, udp);

	(void)flow;
	mutex_lock(&c->lock);
	if (c->queue.count < 16)
		ns_pktq_push(&c->queue, pkt);
	else
		ns_pkt_put(pkt);
	waitq_wake(&c->wait, 1);
	mutex_unlock(&c->lock);
}

static void on_error(struct ns_udp *udp, const struct ns_flow *flow, const struct ns_icmp_error *e)
{
	(void)udp;
	(void)flow;
	(void)e;
}

static void dhcp_send(void *arg, uint32_t src, uint32_t dst, const uint8_t *data, size_t n)
{
	struct dhcp_client *c = arg;
	struct ns_pkt *p = inet_pkt_alloc(NULL, NS_HEADROOM + (uint32_t)n, 0);

	(void)src;
	if (!p)
		return;
	p->data += NS_HEADROOM;
	memcpy(ns_pkt_append(p, (uint32_t)n), data, n);
	struct ns_addr to = ns_addr_v4(&dst);
	ns_udp_send(inet.ns, &c->udp, &to, NS_DHCP_SERVER_PORT, NULL, c->ifindex, p);
}

static uint32_t dhcp_random(void *arg)
{
	(void)arg;
	return (uint32_t)random_u64();
}

static unsigned prefix_length(uint32_t mask_be)
{
	return popcount64(mask_be);
}

static void lose_address(struct dhcp_client *c)
{
	if (c->addr.q[1]) {
		inet_lock();
		ns_if_addr_del(inet.ns, c->ifindex, &c->addr);
		inet_unlock();
	}
	memset(&c->addr, 0, sizeof c->addr);
}

static void take_lease(struct dhcp_client *c)
{
	const struct ns_dhcp_lease *l = &c->dhcp.lease;
	struct ns_addr a = ns_addr_v4(&l->addr);
	char text[46];

	lose_address(c);
	inet_lock();
	ns_if_addr_add(inet.ns, c->ifindex, &a, (uint8_t)prefix_length(l->netmask), NS_ORIGIN_DHCP);
	if (l->mtu >= 576)
		ns_if_set_mtu(inet.ns, c->ifindex, l->mtu);
	for (unsigned i = 0; i < l->nroutes; i++) {
		struct ns_route r = {.dst = ns_addr_v4(&l->routes[i].dst),
		    .plen = l->routes[i].plen,
		    .ifindex = c->ifindex,
		    .origin = NS_ORIGIN_DHCP};
		if (l->routes[i].gateway)
			r.gateway = ns_addr_v4(&l->routes[i].gateway);
		ns_route_add(inet.ns, &r);
	}
	inet_unlock();
	c->addr = a;
	for (unsigned i = 0; i < l->ndns; i++) {
		struct ns_addr d = ns_addr_v4(&l->dns[i]);
		add_dns(&d);
	}
	if (l->hostname[0])
		hostname_set(HOST_NAME, l->hostname, strlen(l->hostname));
	pr_info("dhcp: %s/%u for %u s", ns_addr_format(&a, text), prefix_length(l->netmask),
	    l->lease_s);
	host_report("address %s", text);
	write_files(l->domain);
	mutex_lock(&c->lock);
	c->bound = true;
	waitq_wake_all(&c->bound_wait);
	mutex_unlock(&c->lock);
}

static void handle(struct dhcp_client *c, enum ns_dhcp_event ev)
{
	if (ev == NS_DHCP_LEASE)
		take_lease(c);
	if (ev == NS_DHCP_LOST)
		lose_address(c);
}

static void dhcp_thread(void *arg)
{
	struct dhcp_client *c = arg;

	ns_dhcp_start(&c->dhcp, (uint64_t)time_now());
	for (;;) {
		mutex_lock(&c->lock);
		if (!c->queue.head && !c->stop)
			waitq_wait(&c->wait, &c->lock, (int64_t)c->dhcp.deadline, 0);
		struct ns_pkt *p = ns_pktq_pop(&c->queue);
		bool stop = c->stop;
		mutex_unlock(&c->lock);
		if (stop)
			return;
		if (p) {
			uint32_t n = ns_pkt_copy_out(p, 0, c->datagram, sizeof c->datagram);
			handle(c, ns_dhcp_input(&c->dhcp, c->datagram, n, (uint64_t)time_now()));
			ns_pkt_put(p);
		}
		if ((uint64_t)time_now() >= c->dhcp.deadline)
			handle(c, ns_dhcp_timer(&c->dhcp, (uint64_t)time_now()));
	}
}

static int start_dhcp(uint32_t ifindex)
{
	struct dhcp_client *c = kzalloc(sizeof *c);
	char host[HOSTNAME_SIZE];

	if (!c)
		return -ENOMEM;
	c->ifindex = ifindex;
	waitq_init(&c->wait);
	waitq_init(&c->bound_wait);
	ns_pktq_init(&c->queue);
	hostname_get(HOST_NAME, host);
	ns_dhcp_init(&c->dhcp, inet.device[ifindex]->mac, host, dhcp_send, dhcp_random, c);
	c->udp.on_recv = on_recv;
	c->udp.on_error = on_error;
	c->udp.broadcast = true;
	c->udp.bind.addr = ns_ip4(0, 0, 0, 0);
	c->udp.bind.ifindex = ifindex;
	inet_lock();
	int err = ns_udp_bind(inet.ns, &c->udp, NS_DHCP_CLIENT_PORT);
	inet_unlock();
	if (err)
		return err;
	clients[ifindex] = c;
	return kthread_create("dhcp", dhcp_thread, c) ? 0 : -ENOMEM;
}

static void wait_for_leases(void)
{
	int64_t deadline = time_now() + BOOT_WAIT;

	for (uint32_t i = 2; i <= NS_MAX_IFS; i++) {
		struct dhcp_client *c = clients[i];
		if (!c)
			continue;
		mutex_lock(&c->lock);
		while (!c->bound && waitq_wait(&c->bound_wait, &c->lock, deadline, 0) == 0)
			;
		bool bound = c->bound;
		mutex_unlock(&c->lock);
		if (!bound)
			pr_err("%s: no DHCP server answered in %d s; going on without an address "
			       "(still trying)",
			    inet.device[i]->name, (int)(BOOT_WAIT / NSEC_PER_SEC));
	}
}

/* --- the whole --- */

/* The interface a part of the specification is for: "IF:" in front, else the first device. */
static uint32_t interface_of(char **part)
{
	for (uint32_t i = 2; i <= NS_MAX_IFS; i++) {
		struct net_device *d = inet.device[i];
		size_t n = d ? strlen(d->name) : 0;
		if (d && !strncmp(*part, d->name, n) && (*part)[n] == ':') {
			*part += n + 1;
			return i;
		}
	}
	return inet.device[2] ? 2 : 0;
}

static int configure_part(char *part, bool *done)
{
	uint32_t ifindex = interface_of(&part);

	if (!strcmp(part, "none") && !ifindex)
		return 0;
	if (!ifindex)
		return -ENODEV;
	done[ifindex] = true;
	if (!strcmp(part, "none"))
		return 0;
	if (!strcmp(part, "dhcp"))
		return start_dhcp(ifindex);
	return apply_static(ifindex, part);
}

int net_configure(const char *spec)
{
	bool done[NS_MAX_IFS + 1] = {false};
	char *copy = kstrdup(spec ? spec : ""), *rest = copy;
	int err = 0;

	if (!copy)
		return -ENOMEM;
	while (*rest && !err) {
		char part[160];
		strlcpy(part, next_word(&rest, ';'), sizeof part);
		err = configure_part(part, done);
		if (err)
			pr_err("--ip=%s: %s", spec,
			    err == -ENODEV
				? "no such network interface"
				: "want dhcp, none or ADDRESS/LENGTH[,gw=ADDRESS][,dns=ADDRESS]");
	}
	kfree(copy);
	for (uint32_t i = 2; i <= NS_MAX_IFS && !err && !spec; i++)
		if (inet.device[i] && !done[i])
			err = start_dhcp(i);
	if (err)
		return err;
	write_files("");
	wait_for_leases();
	return 0;
}

void net_shutdown(void)
{
	for (uint32_t i = 2; i <= NS_MAX_IFS; i++)
		if (clients[i] && clients[i]->bound)
			ns_dhcp_release(&clients[i]->dhcp);
}
