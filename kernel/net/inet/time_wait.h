/* SPDX-License-Identifier: BSD-3-Clause */
/* Connections in TIME_WAIT without a socket: a small record each instead of a whole connection. */
#pragma once

#include "net/inet/inet.h"

struct time_wait;

/* Replaces c, which is in TIME_WAIT, by a record in the table. false without memory (c stays). By
 * the owner. */
bool time_wait_take_over(struct conn *c);
/* The record of a table entry with time_wait set, referenced, or NULL if it is going. In the RCU
 * section that found the entry. */
struct time_wait *time_wait_get(struct flow_entry *e);
/* A packet for the record. Takes the packet and the reference; outside RCU sections (may sleep). */
void time_wait_input(struct time_wait *t, struct ns_pkt *pkt);
/* Is the record old enough that a new connection may take the flow (both sides have time stamps,
 * and a second has passed: RFC 6191)? Where the entry is stable. */
bool time_wait_reusable(const struct flow_entry *e);
/* Ends the record that stands in the way of a flow, if it may be. */
void time_wait_displace(const struct ns_flow *flow);
/* For listings, under the table's lock: what the record says; how many there are. */
const struct ns_tcp_tw *time_wait_state(const struct flow_entry *e);
unsigned time_wait_count(void);
void time_wait_init(void);
