/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames of WebSocket, and what is in them. */
#include <seastar/websocket.h>

#include "text.h"

#include <errno.h>
#include <string.h>

static bool known(unsigned opcode)
{
	return opcode <= 2 || (opcode >= 8 && opcode <= 10);
}

/* The length field of n bytes after the first two; -1 if a shorter form would have done. */
static int64_t long_length(const uint8_t *p, unsigned n)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < n; i++)
		v = v << 8 | p[i];
	if (v >> 63 || v < (n == 2 ? 126u : 65536u))
		return -1;
	return (int64_t)v;
}

int ss_ws_parse_frame(ss_ws_frame *f, const void *buf, size_t n)
{
	const uint8_t *p = buf;
	unsigned need = 2, more;
	int64_t length;

	if (n < 2)
		return 0;
	f->fin = p[0] & 0x80;
	f->opcode = p[0] & 0x0f;
	f->masked = p[1] & 0x80;
	length = p[1] & 0x7f;
	if (p[0] & 0x70 || !known(f->opcode))
		return -EPROTO;
	if (f->opcode >= 8 && (!f->fin || length > 125))
		return -EPROTO;
	more = length == 126 ? 2 : length == 127 ? 8 : 0;
	need += more + (f->masked ? 4 : 0);
	if (n < need)
		return 0;
	if (more)
		length = long_length(p + 2, more);
	if (length < 0)
		return -EPROTO;
	f->length = (uint64_t)length;
	if (f->masked)
		memcpy(f->mask, p + 2 + more, 4);
	return (int)need;
}

size_t ss_ws_write_frame(const ss_ws_frame *f, void *out)
{
	uint8_t *p = out;
	unsigned more = f->length < 126 ? 0 : f->length < 65536 ? 2 : 8;

	p[0] = (uint8_t)((f->fin ? 0x80 : 0) | f->opcode);
	p[1] = (uint8_t)((f->masked ? 0x80 : 0) | (more == 0	  ? (unsigned)f->length
						      : more == 2 ? 126u
								  : 127u));
	for (unsigned i = 0; i < more; i++)
		p[2 + i] = (uint8_t)(f->length >> 8 * (more - 1 - i));
	if (f->masked)
		memcpy(p + 2 + more, f->mask, 4);
	return 2 + more + (f->masked ? 4 : 0);
}

void ss_ws_mask(const uint8_t mask[4], uint64_t at, char *data, size_t n)
{
	uint8_t m[8];
	uint64_t wide, v;
	size_t i = 0;

	for (unsigned k = 0; k < 8; k++)
		m[k] = mask[(at + k) & 3];
	memcpy(&wide, m, 8);
	for (; i + 8 <= n; i += 8) {
		memcpy(&v, data + i, 8);
		v ^= wide;
		memcpy(data + i, &v, 8);
	}
	for (; i < n; i++)
		data[i] = (char)((uint8_t)data[i] ^ m[i & 7]);
}

bool ss_utf8_valid(const char *p, size_t n)
{
	while (n) {
		size_t k;

		if (!(*p & 0x80)) {
			p++;
			n--;
			continue;
		}
		k = http_utf8_length((const unsigned char *)p, n);
		if (!k)
			return false;
		p += k;
		n -= k;
	}
	return true;
}
