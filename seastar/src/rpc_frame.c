/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames of RPC: headers, hellos, compression. Nothing here waits or keeps state of a connection.
 */
#include "rpc_impl.h"

#include <endian.h>
#include <lz4.h>
#include <string.h>
#include <zstd.h>

static const char magic[8] = "SSRPC\r\n\x1a";

enum feature {
	F_COMPRESSION = 1, /* text */
	F_TIMEOUTS,	   /* nothing: requests carry what is left of their time */
	F_CONNECTION,	   /* u64: the number the server gave this connection */
	F_STREAMS,	   /* u32: bytes the other side may send ahead in a stream */
	F_ISOLATION,	   /* text */
	F_MAX_FRAME,	   /* u32: longest payload accepted */
};

static void put32(unsigned char *p, uint32_t v)
{
	v = htole32(v);
	memcpy(p, &v, 4);
}

static void put64(unsigned char *p, uint64_t v)
{
	v = htole64(v);
	memcpy(p, &v, 8);
}

static uint32_t get32(const unsigned char *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return le32toh(v);
}

static uint64_t get64(const unsigned char *p)
{
	uint64_t v;

	memcpy(&v, p, 8);
	return le64toh(v);
}

void rpc_header_encode(unsigned char out[RPC_HEADER_BYTES], const struct rpc_header *h)
{
	memset(out, 0, RPC_HEADER_BYTES);
	put32(out, h->length);
	put32(out + 4, h->raw);
	out[8] = h->type;
	put32(out + 12, h->code);
	put64(out + 16, h->id);
	put64(out + 24, h->value);
}

/* Which types may have a payload. */
static bool carries(unsigned type)
{
	return type != RPC_CANCEL && type != RPC_END && type != RPC_CREDIT;
}

int rpc_header_decode(const unsigned char in[RPC_HEADER_BYTES], uint32_t max_frame,
    enum rpc_compression compression, struct rpc_header *h, const char **why)
{
	*h = (struct rpc_header){
	    .length = get32(in),
	    .raw = get32(in + 4),
	    .type = in[8],
	    .code = get32(in + 12),
	    .id = get64(in + 16),
	    .value = get64(in + 24),
	};
	*why = NULL;
	if (h->type < RPC_REQUEST || h->type >= RPC_TYPES)
		*why = "unknown type of frame";
	else if (in[9] || in[10] || in[11])
		*why = "reserved bytes of a frame are not zero";
	else if (h->length > max_frame || h->raw > max_frame)
		*why = "frame is too long";
	else if ((h->length || h->raw) && !carries(h->type))
		*why = "frame of this type has no payload";
	else if (h->raw && compression == RPC_PLAIN)
		*why = "compressed frame, but compression was not agreed on";
	else if (h->raw && h->length >= h->raw)
		*why = "compressed frame is no shorter than its contents";
	else if (h->raw && !h->length)
		*why = "compressed frame is empty";
	return *why ? -EPROTO : 0;
}

static unsigned char *add(unsigned char *p, enum feature f, const void *value, size_t n)
{
	p[0] = (unsigned char)f;
	p[1] = 0;
	p[2] = (unsigned char)n;
	p[3] = 0;
	if (n)
		memcpy(p + 4, value, n);
	return p + 4 + n;
}

size_t rpc_hello_encode(unsigned char *out, const struct rpc_hello *h)
{
	unsigned char *p = out + RPC_HELLO_BYTES, v[8];

	if (h->compression[0])
		p = add(p, F_COMPRESSION, h->compression, strlen(h->compression));
	if (h->timeouts)
		p = add(p, F_TIMEOUTS, NULL, 0);
	if (h->connection) {
		put64(v, h->connection);
		p = add(p, F_CONNECTION, v, 8);
	}
	if (h->window) {
		put32(v, h->window);
		p = add(p, F_STREAMS, v, 4);
	}
	if (h->has_isolation)
		p = add(p, F_ISOLATION, h->isolation, strlen(h->isolation));
	put32(v, h->max_frame);
	p = add(p, F_MAX_FRAME, v, 4);
	memcpy(out, magic, 8);
	put32(out + 8, RPC_VERSION);
	put32(out + 12, (uint32_t)(p - out - RPC_HELLO_BYTES));
	return (size_t)(p - out);
}

int rpc_hello_length(const unsigned char in[RPC_HELLO_BYTES], const char **why)
{
	uint32_t n = get32(in + 12);

	*why = NULL;
	if (memcmp(in, magic, 8))
		*why = "not this protocol";
	else if (!get32(in + 8))
		*why = "version is zero";
	else if (n > RPC_HELLO_MAX)
		*why = "hello is too long";
	return *why ? -EPROTO : (int)n;
}

/* A text without zero bytes that fits. */
static bool get_text(char *out, size_t room, const unsigned char *v, size_t n)
{
	if (n >= room || memchr(v, 0, n))
		return false;
	memcpy(out, v, n);
	out[n] = '\0';
	return true;
}

/* Unknown features are what a newer version would like. */
static bool feature(struct rpc_hello *h, unsigned f, const unsigned char *v, size_t n)
{
	switch (f) {
	case F_COMPRESSION:
		return get_text(h->compression, sizeof(h->compression), v, n);
	case F_TIMEOUTS:
		h->timeouts = true;
		return n == 0;
	case F_CONNECTION:
		h->connection = n == 8 ? get64(v) : 0;
		return n == 8;
	case F_STREAMS:
		h->window = n == 4 ? get32(v) : 0;
		return n == 4;
	case F_ISOLATION:
		h->has_isolation = true;
		return get_text(h->isolation, sizeof(h->isolation), v, n);
	case F_MAX_FRAME:
		h->max_frame = n == 4 ? get32(v) : 0;
		return n == 4;
	default:
		return true;
	}
}

int rpc_hello_decode(const unsigned char *p, size_t n, struct rpc_hello *h, const char **why)
{
	memset(h, 0, sizeof(*h));
	h->max_frame = UINT32_MAX;
	*why = "features of a hello are malformed";
	while (n) {
		size_t len;

		if (n < 4)
			return -EPROTO;
		len = (size_t)p[2] | (size_t)p[3] << 8;
		if (len > n - 4 || !feature(h, p[0] | (unsigned)p[1] << 8, p + 4, len))
			return -EPROTO;
		p += 4 + len;
		n -= 4 + len;
	}
	*why = NULL;
	return 0;
}

static enum rpc_compression by_name(const char *s, size_t n)
{
	if (n == 3 && memcmp(s, "lz4", 3) == 0)
		return RPC_LZ4;
	return n == 4 && memcmp(s, "zstd", 4) == 0 ? RPC_ZSTD : RPC_PLAIN;
}

const char *rpc_compression_name(enum rpc_compression c)
{
	return c == RPC_LZ4 ? "lz4" : c == RPC_ZSTD ? "zstd" : "";
}

static bool has(const char *list, enum rpc_compression c)
{
	while (*list) {
		size_t n = strcspn(list, ",");

		if (by_name(list, n) == c)
			return true;
		list += n + (list[n] == ',');
	}
	return false;
}

enum rpc_compression rpc_choose(const char *accept, const char *offer)
{
	while (accept && *offer) {
		size_t n = strcspn(offer, ",");
		enum rpc_compression c = by_name(offer, n);

		if (c != RPC_PLAIN && has(accept, c))
			return c;
		offer += n + (offer[n] == ',');
	}
	return RPC_PLAIN;
}

void rpc_codec_free(struct rpc_codec *k)
{
	ZSTD_freeCCtx(k->zc);
	ZSTD_freeDCtx(k->zd);
	k->zc = k->zd = NULL;
}

static size_t compress_into(struct rpc_codec *k, const void *in, size_t n, char *out)
{
	size_t r;

	if (k->kind == RPC_LZ4) {
		int len = LZ4_compress_default(in, out, (int)n, (int)n - 1);

		return len > 0 ? (size_t)len : 0;
	}
	if (!k->zc && !(k->zc = ZSTD_createCCtx()))
		return 0;
	r = ZSTD_compressCCtx(k->zc, out, n - 1, in, n, 1);
	return ZSTD_isError(r) ? 0 : r;
}

int rpc_compress(struct rpc_codec *k, const void *in, size_t n, ss_buf *out)
{
	ss_buf b;
	size_t len;

	*out = (ss_buf){NULL, 0, NULL};
	if (k->kind == RPC_PLAIN || n < 2 || n > LZ4_MAX_INPUT_SIZE)
		return 0;
	if (ss_buf_alloc(&b, n))
		return -ENOMEM;
	len = compress_into(k, in, n, b.data);
	if (!len) {
		ss_buf_release(&b);
		return 0;
	}
	b.len = len;
	*out = b;
	return 0;
}

int rpc_decompress(struct rpc_codec *k, const void *in, size_t n, uint32_t raw, ss_buf *out)
{
	ss_buf b;
	bool ok;

	if (k->kind == RPC_ZSTD && !k->zd && !(k->zd = ZSTD_createDCtx()))
		return -ENOMEM;
	if (ss_buf_alloc(&b, raw))
		return -ENOMEM;
	if (k->kind == RPC_LZ4)
		ok = LZ4_decompress_safe(in, b.data, (int)n, (int)raw) == (int)raw;
	else
		ok = k->kind == RPC_ZSTD &&
		     ZSTD_decompressDCtx(k->zd, b.data, raw, in, n) == (size_t)raw;
	if (!ok) {
		ss_buf_release(&b);
		return -EPROTO;
	}
	*out = b;
	return 0;
}
