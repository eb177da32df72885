/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * /proc/net. The files of the IP family are there when the network has registered what fills them;
 * until then they show only their headings, as on a machine without interfaces.
 */
#include <asm/errno.h>
#include "fs/proc/net.h"
#include "fs/proc/proc.h"
#include "net/unix.h"

static int (*_Atomic shows[PROC_NET_COUNT])(struct seqbuf *s);

void proc_net_register(enum proc_net_file which, int (*show)(struct seqbuf *s))
{
	atomic_store(&shows[which], show);
}

static int show(struct seqbuf *s, enum proc_net_file which, const char *heading)
{
	seq_puts(s, heading);
	int (*fn)(struct seqbuf *) = atomic_load(&shows[which]);
	return fn ? fn(s) : 0;
}

#define SOCKET_HEADING                                                                        \
	"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  " \
	"timeout inode\n"
#define SOCKET6_HEADING                                                                         \
	"  sl  local_address                         remote_address                        st " \
	"tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"

#define FILE_SHOW(name, which, heading)                                      \
	static int show_##name(struct seqbuf *s, const struct pseudo_key *k) \
	{                                                                    \
		(void)k;                                                     \
		return show(s, which, heading);                              \
	}
FILE_SHOW(tcp, PROC_NET_TCP, SOCKET_HEADING)
FILE_SHOW(udp, PROC_NET_UDP, SOCKET_HEADING)
FILE_SHOW(tcp6, PROC_NET_TCP6, SOCKET6_HEADING)
FILE_SHOW(udp6, PROC_NET_UDP6, SOCKET6_HEADING)
FILE_SHOW(if_inet6, PROC_NET_IF_INET6, "")
FILE_SHOW(dev, PROC_NET_DEV,
    "Inter-|   Receive                                                |  Transmit\n"
    " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop "
    "fifo "
    "colls carrier compressed\n")
FILE_SHOW(route, PROC_NET_ROUTE,
    "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n")
FILE_SHOW(arp, PROC_NET_ARP,
    "IP address       HW type     Flags       HW address            Mask     Device\n")
FILE_SHOW(snmp, PROC_NET_SNMP, "")
FILE_SHOW(netstat, PROC_NET_NETSTAT, "")
FILE_SHOW(sockstat, PROC_NET_SOCKSTAT, "")
FILE_SHOW(sockstat6, PROC_NET_SOCKSTAT6, "")
FILE_SHOW(ipv6_route, PROC_NET_IPV6_ROUTE, "")
FILE_SHOW(raw, PROC_NET_RAW, SOCKET_HEADING)
FILE_SHOW(icmp, PROC_NET_ICMP, SOCKET_HEADING)
FILE_SHOW(raw6, PROC_NET_RAW6, SOCKET6_HEADING)
FILE_SHOW(icmp6, PROC_NET_ICMP6, SOCKET6_HEADING)
FILE_SHOW(
    packet, PROC_NET_PACKET, "sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n")
FILE_SHOW(netlink, PROC_NET_NETLINK,
    "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n")

static int show_unix(struct seqbuf *s, const struct pseudo_key *k)
{
	(void)k;
	return unix_show(s);
}

const struct pseudo_entry proc_net_dir[] = {
    {.name = "unix", .show = show_unix},
    {.name = "tcp", .show = show_tcp},
    {.name = "udp", .show = show_udp},
    {.name = "tcp6", .show = show_tcp6},
    {.name = "udp6", .show = show_udp6},
    {.name = "if_inet6", .show = show_if_inet6},
    {.name = "dev", .show = show_dev},
    {.name = "route", .show = show_route},
    {.name = "arp", .show = show_arp},
    {.name = "snmp", .show = show_snmp},
    {.name = "netstat", .show = show_netstat},
    {.name = "sockstat", .show = show_sockstat},
    {.name = "sockstat6", .show = show_sockstat6},
    {.name = "ipv6_route", .show = show_ipv6_route},
    {.name = "raw", .show = show_raw},
    {.name = "raw6", .show = show_raw6},
    {.name = "icmp", .show = show_icmp},
    {.name = "icmp6", .show = show_icmp6},
    {.name = "packet", .show = show_packet},
    {.name = "netlink", .show = show_netlink},
    {},
};
