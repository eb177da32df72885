/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Netlink messages in memory: attributes of a request are found and checked here, and answers are
 * put together. Nothing in here sleeps or knows sockets, so it is tested on the host.
 */
#pragma once

#include <linux/netlink.h>
#include <netstack/addr.h>
#include "lib/util.h"

/* --- requests --- */

/* Sorts the attributes of [p, p+n) into at[0..max] by type (the last one of a type counts, unknown
 * types are skipped). -EINVAL when one does not fit. */
int nl_attributes(const void *p, size_t n, const struct nlattr **at, unsigned max);
static inline const void *nl_data(const struct nlattr *a)
{
	return a + 1;
}
static inline size_t nl_len(const struct nlattr *a)
{
	return a->nla_len - sizeof *a;
}
/* The number in a, or `other` if a is NULL. *err becomes -EINVAL when it is too short. */
uint32_t nl_u32(const struct nlattr *a, uint32_t other, int *err);
/* An address of the family (AF_INET, AF_INET6) in a; unspecified if a is NULL. */
struct ns_addr nl_addr(const struct nlattr *a, int family, int *err);
/* A name of less than n characters. */
void nl_name(const struct nlattr *a, char *name, size_t n, int *err);

/* --- answers --- */

#define NL_MESSAGE_MAX 4096

/* One message under construction, in a buffer of its own. */
struct nl_message {
	size_t len;
	bool full; /* something did not fit: the message must not be sent */
	_Alignas(8) char data[NL_MESSAGE_MAX];
};

/* Starts a message with room for `extra` bytes of family header (zeroed), which are returned. */
void *nl_start(
    struct nl_message *m, uint16_t type, uint16_t flags, uint32_t seq, uint32_t port, size_t extra);
void nl_put(struct nl_message *m, uint16_t type, const void *data, size_t n);
void nl_put_u8(struct nl_message *m, uint16_t type, uint8_t v);
void nl_put_u32(struct nl_message *m, uint16_t type, uint32_t v);
void nl_put_u64(struct nl_message *m, uint16_t type, uint64_t v);
void nl_put_string(struct nl_message *m, uint16_t type, const char *s);
/* The 4 or 16 bytes of an address. */
void nl_put_addr(struct nl_message *m, uint16_t type, const struct ns_addr *a);
/* A nested attribute is open between these two. */
size_t nl_nest(struct nl_message *m, uint16_t type);
void nl_nest_end(struct nl_message *m, size_t at);
/* Writes the length into the header. False: it did not fit. */
bool nl_finish(struct nl_message *m);
