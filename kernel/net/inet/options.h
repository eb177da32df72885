/* SPDX-License-Identifier: BSD-3-Clause */
/* Options that all internet sockets share. */
#pragma once

#include "net/inet/inet.h"

/* Level SOL_IP and SOL_IPV6 options that only concern routing or hints. *bound_if: for
 * SO_BINDTODEVICE-like ones. */
int inet_set_option(struct socket *s, int level, int name, int v, uint32_t *bound_if);
int inet_get_option(struct socket *s, int level, int name, void *value, unsigned *len);
/* An integer result, cut to the room there is. */
int option_out(void *value, unsigned *len, int v);
