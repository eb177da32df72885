/* SPDX-License-Identifier: BSD-3-Clause */
/* Control messages of sockets: checking what an application sends, stepping through it, and putting
 * them together for a receiver. */
#include <asm/errno.h>
#include "mm/uaccess.h"
#include "net/socket.h"

int message_check_control(const char *control, size_t n)
{
	size_t at = 0;
	while (n - at >= sizeof(struct cmsg_header)) {
		const struct cmsg_header *c = (const struct cmsg_header *)(control + at);
		if (c->len < sizeof *c || c->len > n - at)
			return -EINVAL;
		at += CMSG_ALIGN(c->len);
		if (at > n)
			break;
	}
	return 0;
}

void message_put_control(struct message *m, int level, int type, const void *data, size_t len)
{
	struct cmsg_header h = {sizeof h + len, level, type};
	if (m->control_room < h.len) {
		m->out_flags |= MSG_CTRUNC;
		return;
	}
	/* The last one may end without its padding. */
	size_t space = MIN(CMSG_SPACE(len), m->control_room);
	if (copy_to_user(m->control_out, &h, sizeof h) ||
	    copy_to_user(m->control_out + sizeof h, data, len)) {
		m->out_flags |= MSG_CTRUNC;
		return;
	}
	m->control_out += space;
	m->control_room -= space;
}

const struct cmsg_header *message_next_control(
    const struct message *m, const struct cmsg_header *at)
{
	const char *p = at ? (const char *)at + CMSG_ALIGN(at->len) : m->control;
	if (!m->control || p + sizeof(struct cmsg_header) > m->control + m->control_len)
		return NULL;
	return (const struct cmsg_header *)p;
}
