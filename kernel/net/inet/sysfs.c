/* SPDX-License-Identifier: BSD-3-Clause */
/* /sys/class/net: a directory for each interface. */
#include <asm/errno.h>
#include "lib/string.h"
#include "net/inet/links.h"
#include "net/inet/proc.h"
#include "net/netlink/netlink.h"

enum { KEY_IF };

static int next_if(const struct pseudo_key *k, int from)
{
	struct ns_if_info info;

	(void)k;
	for (int i = MAX(from, 1); i <= NS_MAX_IFS; i++)
		if (!ns_if_get(inet.ns, (uint32_t)i, &info))
			return i;
	return -1;
}

static int label_if(const struct pseudo_key *k, int n, char *buf, size_t size)
{
	struct ns_if_info info;

	(void)k;
	return ns_if_get(inet.ns, (uint32_t)n, &info) ? -1 : snprintf(buf, size, "%s", info.name);
}

#define IF_SHOW(name, fmt, ...)                                              \
	static int show_##name(struct seqbuf *s, const struct pseudo_key *k) \
	{                                                                    \
		uint32_t i = (uint32_t)k->n[KEY_IF];                         \
		struct ns_if_info info;                                      \
		if (ns_if_get(inet.ns, i, &info))                            \
			return -ENOENT;                                      \
		bool lo = info.flags & NS_IF_LOOPBACK;                       \
		const struct net_device *d = inet.device[i];                 \
		(void)lo;                                                    \
		(void)d;                                                     \
		seq_printf(s, fmt "\n", __VA_ARGS__);                        \
		return 0;                                                    \
	}
IF_SHOW(address, "%02x:%02x:%02x:%02x:%02x:%02x", info.mac[0], info.mac[1], info.mac[2],
    info.mac[3], info.mac[4], info.mac[5])
IF_SHOW(broadcast, "%s", lo ? "00:00:00:00:00:00" : "ff:ff:ff:ff:ff:ff")
IF_SHOW(mtu, "%u", info.mtu)
IF_SHOW(flags, "0x%x", link_flags(i, &info) & 0xffff & ~(unsigned)IFF_RUNNING)
IF_SHOW(ifindex, "%u", i)
IF_SHOW(type, "%d", lo ? ARPHRD_LOOPBACK : ARPHRD_ETHER)
IF_SHOW(operstate, "%s",
    lo							       ? "unknown"
    : info.flags &NS_IF_UP && (!d || atomic_load(&d->link_up)) ? "up"
							       : "down")
IF_SHOW(carrier, "%d", !d || atomic_load(&d->link_up))
IF_SHOW(uevent, "INTERFACE=%s\nIFINDEX=%u", info.name, i)

/* Rate and duplex: a virtual device has none. */
static int show_unknown(struct seqbuf *s, const struct pseudo_key *k)
{
	(void)s;
	(void)k;
	return -EINVAL;
}

static int store_mtu(const struct pseudo_key *k, char *text, size_t n)
{
	uint64_t mtu;

	(void)n;
	if (*parse_u64(text, 10, &mtu) || mtu > NS_LOOPBACK_MTU)
		return -EINVAL;
	inet_lock();
	int err = link_set_mtu((uint32_t)k->n[KEY_IF], (uint32_t)mtu);
	inet_unlock();
	return err;
}

#define STAT_SHOW(name, value)                                                    \
	static int show_stat_##name(struct seqbuf *s, const struct pseudo_key *k) \
	{                                                                         \
		struct ns_if_info info;                                           \
		struct netdev_stats n;                                            \
		if (ns_if_get(inet.ns, (uint32_t)k->n[KEY_IF], &info))            \
			return -ENOENT;                                           \
		link_stats((uint32_t)k->n[KEY_IF], &info, &n);                    \
		seq_printf(s, "%lu\n", (unsigned long)(value));                   \
		return 0;                                                         \
	}
STAT_SHOW(rx_bytes, n.rx_bytes)
STAT_SHOW(rx_packets, n.rx_packets)
STAT_SHOW(rx_errors, n.rx_errors)
STAT_SHOW(rx_dropped, n.rx_dropped + n.rx_no_memory)
STAT_SHOW(tx_bytes, n.tx_bytes)
STAT_SHOW(tx_packets, n.tx_packets)
STAT_SHOW(tx_errors, n.tx_errors)
STAT_SHOW(tx_dropped, n.tx_dropped)

static const struct pseudo_entry statistics_dir[] = {
    {.name = "rx_bytes", .show = show_stat_rx_bytes},
    {.name = "rx_packets", .show = show_stat_rx_packets},
    {.name = "rx_errors", .show = show_stat_rx_errors},
    {.name = "rx_dropped", .show = show_stat_rx_dropped},
    {.name = "tx_bytes", .show = show_stat_tx_bytes},
    {.name = "tx_packets", .show = show_stat_tx_packets},
    {.name = "tx_errors", .show = show_stat_tx_errors},
    {.name = "tx_dropped", .show = show_stat_tx_dropped},
    {.name = "collisions", .text = "0"},
    {.name = "multicast", .text = "0"},
    {},
};

static const struct pseudo_entry interface_dir[] = {
    {.name = "address", .show = show_address},
    {.name = "addr_len", .text = "6"},
    {.name = "broadcast", .show = show_broadcast},
    {.name = "carrier", .show = show_carrier},
    {.name = "dev_id", .text = "0x0"},
    {.name = "dormant", .text = "0"},
    {.name = "duplex", .show = show_unknown},
    {.name = "flags", .show = show_flags},
    {.name = "ifindex", .show = show_ifindex},
    {.name = "iflink", .show = show_ifindex},
    {.name = "link_mode", .text = "0"},
    {.name = "mtu", .show = show_mtu, .store = store_mtu},
    {.name = "operstate", .show = show_operstate},
    {.name = "speed", .show = show_unknown},
    {.name = "tx_queue_len", .text = "1000"},
    {.name = "type", .show = show_type},
    {.name = "uevent", .show = show_uevent},
    {.name = "statistics", .children = statistics_dir},
    {},
};

const struct pseudo_entry sysfs_net_dir[] = {
    {.name = "", .next = next_if, .label = label_if, .slot = KEY_IF, .children = interface_dir},
    {},
};
