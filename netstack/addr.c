/* SPDX-License-Identifier: BSD-3-Clause */
/* Addresses: text form, prefix match, keyed hashing (SipHash). */
#include "internal.h"

bool ns_addr_match(const struct ns_addr *a, const struct ns_addr *prefix, unsigned plen)
{
	unsigned bytes = plen / 8, bits = plen % 8;

	if (plen > 128)
		return false;
	if (memcmp(a->b, prefix->b, bytes) != 0)
		return false;
	return !bits || !((a->b[bytes] ^ prefix->b[bytes]) >> (8 - bits));
}

static char *put_dec(char *p, unsigned v)
{
	char tmp[10];
	int n = 0;

	do
		tmp[n++] = (char)('0' + v % 10);
	while (v /= 10);
	while (n)
		*p++ = tmp[--n];
	return p;
}

static char *put_hex(char *p, unsigned v)
{
	static const char digits[] = "0123456789abcdef";
	int shift = 12;

	while (shift && !(v >> shift))
		shift -= 4;
	for (; shift >= 0; shift -= 4)
		*p++ = digits[v >> shift & 15];
	return p;
}

char *ns_addr_format(const struct ns_addr *a, char buf[46])
{
	char *p = buf;
	int best = -1, best_len = 1;

	if (ns_addr_is_v4(a)) {
		for (int i = 12; i < 16; i++) {
			p = put_dec(p, a->b[i]);
			*p++ = i < 15 ? '.' : '\0';
		}
		return buf;
	}
	for (int i = 0; i < 8;) { /* longest run of zero groups, at least two */
		int n = 0;

		while (i + n < 8 && !get16(a->b + 2 * (i + n)))
			n++;
		if (n > best_len) {
			best = i;
			best_len = n;
		}
		i += n ? n : 1;
	}
	for (int i = 0; i < 8; i++) {
		if (i == best) {
			*p++ = ':';
			*p++ = ':';
			i += best_len - 1;
			continue;
		}
		if (i && p[-1] != ':')
			*p++ = ':';
		p = put_hex(p, get16(a->b + 2 * i));
	}
	*p = '\0';
	return buf;
}

static int parse_v4(const char *t, uint8_t out[4])
{
	for (int i = 0; i < 4; i++) {
		unsigned v = 0;
		int digits = 0;

		while (*t >= '0' && *t <= '9' && digits < 4) {
			v = v * 10 + (unsigned)(*t++ - '0');
			digits++;
		}
		if (!digits || digits > 3 || v > 255 || *t != (i < 3 ? '.' : '\0'))
			return -NS_EINVAL;
		out[i] = (uint8_t)v;
		t++;
	}
	return 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int ns_addr_parse(const char *t, struct ns_addr *out)
{
	uint16_t g[8] = {0};
	int n = 0, gap = -1;
	uint8_t v4[4];

	if (!parse_v4(t, v4)) {
		*out = ns_addr_v4(v4);
		return 0;
	}
	if (t[0] == ':' && t[1] == ':') {
		gap = 0;
		t += 2;
	}
	while (*t) {
		unsigned v = 0;
		int digits = 0;
		const char *group = t;

		while (hex_digit(*t) >= 0 && digits < 5) {
			v = v << 4 | (unsigned)hex_digit(*t++);
			digits++;
		}
		if (*t == '.' && n <= 6 && !parse_v4(group, v4)) {
			g[n++] = get16(v4);
			g[n++] = get16(v4 + 2);
			break;
		}
		if (!digits || digits > 4 || n == 8)
			return -NS_EINVAL;
		g[n++] = (uint16_t)v;
		if (!*t)
			break;
		if (*t++ != ':')
			return -NS_EINVAL;
		if (*t == ':') {
			if (gap >= 0)
				return -NS_EINVAL;
			gap = n;
			t++;
		} else if (!*t) {
			return -NS_EINVAL;
		}
	}
	if (gap < 0 ? n != 8 : n > 7)
		return -NS_EINVAL;
	memset(out, 0, sizeof *out);
	for (int i = 0; i < n; i++)
		put16(out->b + 2 * (gap >= 0 && i >= gap ? 8 - n + i : i), g[i]);
	return 0;
}

#define ROTL(x, b) ((x) << (b) | (x) >> (64 - (b)))

static void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = ROTL(v[1], 13) ^ v[0];
	v[0] = ROTL(v[0], 32);
	v[2] += v[3];
	v[3] = ROTL(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = ROTL(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = ROTL(v[1], 17) ^ v[2];
	v[2] = ROTL(v[2], 32);
}

uint64_t ns_siphash(const uint64_t key[2], const void *data, size_t n, int c, int d)
{
	uint64_t v[4] = {key[0] ^ 0x736f6d6570736575ull, key[1] ^ 0x646f72616e646f6dull,
	    key[0] ^ 0x6c7967656e657261ull, key[1] ^ 0x7465646279746573ull};
	const uint8_t *p = data;
	uint64_t m;
	size_t left;

	for (left = n; left >= 8; left -= 8, p += 8) {
		memcpy(&m, p, 8);
		v[3] ^= m;
		for (int i = 0; i < c; i++)
			sip_round(v);
		v[0] ^= m;
	}
	m = (uint64_t)n << 56;
	for (size_t i = 0; i < left; i++)
		m |= (uint64_t)p[i] << (8 * i);
	v[3] ^= m;
	for (int i = 0; i < c; i++)
		sip_round(v);
	v[0] ^= m;
	v[2] ^= 0xff;
	for (int i = 0; i < d; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint32_t ns_flow_hash(const struct ns_flow *f, const uint64_t key[2])
{
	struct {
		struct ns_addr a, b;
		uint16_t lp, rp;
		uint32_t proto;
	} in = {f->local, f->remote, f->lport, f->rport, f->proto};
	uint64_t h = ns_siphash(key, &in, sizeof in, 1, 3);

	return (uint32_t)(h ^ h >> 32);
}
