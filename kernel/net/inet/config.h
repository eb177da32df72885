/* SPDX-License-Identifier: BSD-3-Clause */
/* Addresses of the interfaces: from the command line, or from a DHCP server. */
#pragma once

/*
 * Configures all devices as --ip says (NULL: dhcp) and waits, at most a few seconds, until they
 * have their addresses. spec: parts separated by ';', each "[IF:]dhcp", "[IF:]none" or
 * "[IF:]ADDRESS/LENGTH[,gw=ADDRESS][,dns=ADDRESS]…" with IPv4 or IPv6 addresses. 0, or -EINVAL with
 * a message logged.
 */
int net_configure(const char *spec);
/* Gives leases back. Before power-off. */
void net_shutdown(void);
