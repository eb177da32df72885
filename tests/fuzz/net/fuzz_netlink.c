/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzz target: attributes of netlink requests, and messages built from what is found in them. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/netlink/message.h"

#define MAX_TYPE 32

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const struct nlattr *at[MAX_TYPE + 1];
	struct nl_message *m = malloc(sizeof *m);
	uint8_t *copy = malloc(n + 1); /* aligned, and exactly as long as what is allowed */
	char name[16];
	int err = 0;

	memcpy(copy, data, n);
	nl_start(m, 1, 2, 3, 4, 8);
	if (nl_attributes(copy, n, at, MAX_TYPE) == 0) {
		size_t nest = nl_nest(m, 7);
		for (unsigned i = 0; i <= MAX_TYPE; i++) {
			if (!at[i])
				continue;
			if ((const uint8_t *)at[i] < copy ||
			    (const uint8_t *)nl_data(at[i]) + nl_len(at[i]) > copy + n)
				abort();
			nl_u32(at[i], 0, &err);
			nl_name(at[i], name, sizeof name, &err);
			struct ns_addr a = nl_addr(at[i], i & 1 ? 2 : 10, &err);
			nl_put_addr(m, (uint16_t)i, &a);
			nl_put(m, (uint16_t)i, nl_data(at[i]), nl_len(at[i]));
			nl_put_string(m, 9, name);
		}
		nl_nest_end(m, nest);
	}
	if (nl_finish(m)) {
		struct nlmsghdr *h = (struct nlmsghdr *)m->data;
		if (h->nlmsg_len != m->len || m->len > NL_MESSAGE_MAX ||
		    nl_attributes(m->data + 24, m->len - 24, at, MAX_TYPE))
			abort();
	} else if (!m->full) {
		abort();
	}
	free(copy);
	free(m);
	return 0;
}
