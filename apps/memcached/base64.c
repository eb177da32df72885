/* SPDX-License-Identifier: BSD-3-Clause */
/* Base64 (RFC 4648, with padding), for binary keys in meta commands. */
#include "req.h"

static int value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

size_t mc_base64_decode(const char *p, size_t n, char *out, size_t room)
{
	size_t done = 0;

	if (!n || n % 4)
		return 0;
	for (size_t i = 0; i < n; i += 4) {
		bool last = i + 4 == n;
		int pad = last && p[i + 3] == '=' ? (p[i + 2] == '=' ? 2 : 1) : 0;
		uint32_t v = 0;

		for (int k = 0; k < 4; k++) {
			int d = k >= 4 - pad ? 0 : value(p[i + (size_t)k]);

			if (d < 0)
				return 0;
			v = v << 6 | (uint32_t)d;
		}
		for (int k = 0; k < 3 - pad; k++) {
			if (done == room)
				return 0;
			out[done++] = (char)(v >> (16 - 8 * k));
		}
	}
	return done;
}

size_t mc_base64_encode(const char *p, size_t n, char *out, size_t room)
{
	static const char letters[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t done = 0;

	if ((n + 2) / 3 * 4 > room)
		return 0;
	for (size_t i = 0; i < n; i += 3) {
		uint32_t v = (uint32_t)(uint8_t)p[i] << 16;

		if (i + 1 < n)
			v |= (uint32_t)(uint8_t)p[i + 1] << 8;
		if (i + 2 < n)
			v |= (uint8_t)p[i + 2];
		out[done++] = letters[v >> 18];
		out[done++] = letters[v >> 12 & 63];
		out[done++] = i + 1 < n ? letters[v >> 6 & 63] : '=';
		out[done++] = i + 2 < n ? letters[v & 63] : '=';
	}
	return done;
}
