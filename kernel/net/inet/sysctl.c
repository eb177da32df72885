/* SPDX-License-Identifier: BSD-3-Clause */
/* /proc/sys/net/ipv4 and ipv6: how the engine is set. None of it can be changed. */
#include "net/inet/proc.h"

static const struct pseudo_entry conf_one_dir[] = {
    {.name = "accept_redirects", .text = "0"},
    {.name = "accept_source_route", .text = "0"},
    {.name = "arp_announce", .text = "0"},
    {.name = "arp_ignore", .text = "0"},
    {.name = "forwarding", .text = "0"},
    {.name = "rp_filter", .text = "0"},
    {.name = "send_redirects", .text = "0"},
    {},
};

static const struct pseudo_entry conf_dir[] = {
    {.name = "all", .children = conf_one_dir},
    {.name = "default", .children = conf_one_dir},
    {},
};

const struct pseudo_entry sysctl_ipv4_dir[] = {
    {.name = "conf", .children = conf_dir},
    {.name = "icmp_echo_ignore_all", .text = "0"},
    {.name = "icmp_echo_ignore_broadcasts", .text = "1"},
    {.name = "icmp_msgs_per_sec", .text = "1000"},
    {.name = "ip_default_ttl", .text = "64"},
    {.name = "ip_forward", .text = "0"},
    {.name = "ip_local_port_range", .text = "32768\t60999"},
    {.name = "ip_local_reserved_ports", .text = ""},
    {.name = "ip_no_pmtu_disc", .text = "0"},
    {.name = "ip_unprivileged_port_start", .text = "0"},
    {.name = "ipfrag_high_thresh", .text = "1048576"},
    {.name = "ipfrag_time", .text = "30"},
    {.name = "ping_group_range", .text = "0\t2147483647"},
    {.name = "tcp_available_congestion_control", .text = "cubic reno"},
    {.name = "tcp_allowed_congestion_control", .text = "cubic reno"},
    {.name = "tcp_congestion_control", .text = "cubic"},
    {.name = "tcp_ecn", .text = "2"},
    {.name = "tcp_fastopen", .text = "0"},
    {.name = "tcp_fin_timeout", .text = "60"},
    {.name = "tcp_keepalive_intvl", .text = "75"},
    {.name = "tcp_keepalive_probes", .text = "9"},
    {.name = "tcp_keepalive_time", .text = "7200"},
    {.name = "tcp_max_syn_backlog", .text = "4096"},
    {.name = "tcp_max_tw_buckets", .text = "65536"},
    {.name = "tcp_mtu_probing", .text = "0"},
    {.name = "tcp_sack", .text = "1"},
    {.name = "tcp_syncookies", .text = "1"},
    {.name = "tcp_timestamps", .text = "1"},
    {.name = "tcp_window_scaling", .text = "1"},
    {},
};

static const struct pseudo_entry conf6_one_dir[] = {
    {.name = "accept_ra", .text = "1"},
    {.name = "autoconf", .text = "1"},
    {.name = "disable_ipv6", .text = "0"},
    {.name = "forwarding", .text = "0"},
    {.name = "hop_limit", .text = "64"},
    {.name = "use_tempaddr", .text = "0"},
    {},
};

static const struct pseudo_entry conf6_dir[] = {
    {.name = "all", .children = conf6_one_dir},
    {.name = "default", .children = conf6_one_dir},
    {.name = "lo", .children = conf6_one_dir},
    {},
};

const struct pseudo_entry sysctl_ipv6_dir[] = {
    {.name = "bindv6only", .text = "0"},
    {.name = "conf", .children = conf6_dir},
    {.name = "ip_nonlocal_bind", .text = "0"},
    {},
};
