/* SPDX-License-Identifier: BSD-3-Clause */
/* The network's files in procfs and sysfs. */
#pragma once

#include "fs/pseudo.h"

/* Registers what fills the files of /proc/net. */
void inet_proc_init(void);
/* /proc/sys/net/ipv4 and ipv6, /sys/class/net: one directory for each interface. */
extern const struct pseudo_entry sysctl_ipv4_dir[], sysctl_ipv6_dir[], sysfs_net_dir[];
