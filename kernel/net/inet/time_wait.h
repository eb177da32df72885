/* SPDX-License-Identifier: BSD-3-Clause */
/* Connections in TIME_WAIT without a socket: a small record each instead of a whole connection. */
#pragma once

#include "net/inet/inet.h"

/* Replaces c, which is in TIME_WAIT, by a record in the table. false without memory (c stays). By
 * the owner. */
bool time_wait_take_over(struct conn *c);
/* A packet for a record found in the table, in the RCU section that found it (ends it). Takes the
 * packet. */
void time_wait_input(struct flow_entry *e, struct ns_pkt *pkt);
void time_wait_init(void);
