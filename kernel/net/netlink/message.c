/* SPDX-License-Identifier: BSD-3-Clause */
/* Netlink attributes: taking requests apart and putting answers together. */
#include "net/netlink/message.h"
#include <asm/errno.h>
#include "lib/string.h"

enum { FAMILY_INET = 2 };

int nl_attributes(const void *p, size_t n, const struct nlattr **at, unsigned max)
{
	const char *b = p;

	memset(at, 0, (max + 1) * sizeof *at);
	while (n >= sizeof(struct nlattr)) {
		const struct nlattr *a = (const struct nlattr *)b;
		unsigned type = a->nla_type & NLA_TYPE_MASK;
		size_t step = NLA_ALIGN((size_t)a->nla_len);

		if (a->nla_len < sizeof *a || a->nla_len > n)
			return -EINVAL;
		if (type <= max)
			at[type] = a;
		if (step >= n)
			break;
		b += step;
		n -= step;
	}
	return 0;
}

uint32_t nl_u32(const struct nlattr *a, uint32_t other, int *err)
{
	uint32_t v = other;

	if (!a)
		return v;
	if (nl_len(a) < sizeof v)
		*err = -EINVAL;
	else
		memcpy(&v, nl_data(a), sizeof v);
	return v;
}

struct ns_addr nl_addr(const struct nlattr *a, int family, int *err)
{
	size_t want = family == FAMILY_INET ? 4 : 16;

	if (a && nl_len(a) < want)
		*err = -EINVAL;
	if (!a || nl_len(a) < want)
		return family == FAMILY_INET ? ns_ip4(0, 0, 0, 0) : (struct ns_addr){0};
	return want == 4 ? ns_addr_v4(nl_data(a)) : ns_addr_v6(nl_data(a));
}

void nl_name(const struct nlattr *a, char *name, size_t n, int *err)
{
	size_t len = a ? nl_len(a) : 0;

	name[0] = 0;
	if (!a)
		return;
	while (len && !((const char *)nl_data(a))[len - 1])
		len--;
	if (len >= n) {
		*err = -EINVAL;
		return;
	}
	memcpy(name, nl_data(a), len);
	name[len] = 0;
}

/* --- answers --- */

static void *room(struct nl_message *m, size_t n)
{
	size_t space = NLA_ALIGN(n);

	if (m->full || space > sizeof m->data - m->len) {
		m->full = true;
		return NULL;
	}
	void *p = m->data + m->len;
	memset(p, 0, space);
	m->len += space;
	return p;
}

void *nl_start(
    struct nl_message *m, uint16_t type, uint16_t flags, uint32_t seq, uint32_t port, size_t extra)
{
	m->len = 0;
	m->full = false;
	struct nlmsghdr *h = room(m, sizeof *h);
	h->nlmsg_type = type;
	h->nlmsg_flags = flags;
	h->nlmsg_seq = seq;
	h->nlmsg_pid = port;
	return room(m, extra);
}

void nl_put(struct nl_message *m, uint16_t type, const void *data, size_t n)
{
	struct nlattr *a = room(m, sizeof *a + n);

	if (!a)
		return;
	a->nla_type = type;
	a->nla_len = (uint16_t)(sizeof *a + n);
	memcpy(a + 1, data, n);
}

void nl_put_u8(struct nl_message *m, uint16_t type, uint8_t v)
{
	nl_put(m, type, &v, sizeof v);
}

void nl_put_u32(struct nl_message *m, uint16_t type, uint32_t v)
{
	nl_put(m, type, &v, sizeof v);
}

void nl_put_u64(struct nl_message *m, uint16_t type, uint64_t v)
{
	nl_put(m, type, &v, sizeof v);
}

void nl_put_string(struct nl_message *m, uint16_t type, const char *s)
{
	nl_put(m, type, s, strlen(s) + 1);
}

void nl_put_addr(struct nl_message *m, uint16_t type, const struct ns_addr *a)
{
	bool v4 = ns_addr_is_v4(a);

	nl_put(m, type, v4 ? a->b + 12 : a->b, v4 ? 4 : 16);
}

size_t nl_nest(struct nl_message *m, uint16_t type)
{
	size_t at = m->len;

	nl_put(m, type | NLA_F_NESTED, NULL, 0);
	return at;
}

void nl_nest_end(struct nl_message *m, size_t at)
{
	if (!m->full)
		((struct nlattr *)(m->data + at))->nla_len = (uint16_t)(m->len - at);
}

bool nl_finish(struct nl_message *m)
{
	if (m->full)
		return false;
	((struct nlmsghdr *)m->data)->nlmsg_len = (uint32_t)m->len;
	return true;
}
