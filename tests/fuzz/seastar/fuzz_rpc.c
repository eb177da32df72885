/* SPDX-License-Identifier: BSD-3-Clause */
/* What a peer of RPC sends: the hello, frames, compressed payloads, fields of messages. */
#include "../../../seastar/src/rpc_impl.h"

#include <seastar/mem.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_FRAME (1u << 16)
#define FIELDS(F) F(u8, a) F(text, b) F(u32, c) F(text, d) F(u64, e) F(i64, f) F(f64, g)
SS_RPC_MESSAGE(everything, FIELDS)

/* The library's memory without its reactor. */
void *ss_alloc(size_t n)
{
	return malloc(n);
}

void ss_free(void *p)
{
	free(p);
}

static void read_message(ss_buf *b)
{
	struct everything m;
	unsigned sum = 0;

	if (everything_decode(&m, b) == 0) {
		ss_buf again;

		for (size_t i = 0; i < m.b.n; i++)
			sum += (unsigned char)m.b.p[i];
		for (size_t i = 0; i < m.d.n; i++)
			sum += (unsigned char)m.d.p[i];
		if (everything_encode(&m, &again) == 0) {
			/* What was decoded is what was there. */
			if (again.len > m.held_.len || memcmp(again.data, m.held_.data, again.len))
				abort();
			ss_buf_release(&again);
		}
		everything_release(&m);
	}
	ss_buf_release(b);
	(void)*(volatile unsigned *)&sum;
}

static size_t hello(const uint8_t *data, size_t size, struct rpc_codec *k)
{
	struct rpc_hello h, back;
	unsigned char out[RPC_HELLO_BYTES + RPC_HELLO_MAX];
	const char *why;
	size_t len;
	int n;

	if (size < RPC_HELLO_BYTES)
		return size;
	n = rpc_hello_length(data, &why);
	if (n < 0 || size - RPC_HELLO_BYTES < (size_t)n)
		return size;
	if (rpc_hello_decode(data + RPC_HELLO_BYTES, (size_t)n, &h, &why))
		return size;
	k->kind = rpc_choose("zstd,lz4", h.compression);
	len = rpc_hello_encode(out, &h);
	if (rpc_hello_length(out, &why) != (int)(len - RPC_HELLO_BYTES) ||
	    rpc_hello_decode(out + RPC_HELLO_BYTES, len - RPC_HELLO_BYTES, &back, &why) ||
	    strcmp(back.compression, h.compression) || back.window != h.window)
		abort();
	return RPC_HELLO_BYTES + (size_t)n;
}

static void payload(struct rpc_codec *k, const struct rpc_header *h, const uint8_t *data)
{
	ss_buf b, packed;

	if (h->raw) {
		if (rpc_decompress(k, data, h->length, h->raw, &b))
			return;
		if (b.len != h->raw)
			abort();
	} else if (ss_buf_copy(&b, data, h->length)) {
		return;
	}
	if (rpc_compress(k, b.data, b.len, &packed) == 0 && packed.len) {
		ss_buf plain;

		if (packed.len >= b.len ||
		    rpc_decompress(k, packed.data, packed.len, (uint32_t)b.len, &plain) ||
		    memcmp(plain.data, b.data, b.len))
			abort();
		ss_buf_release(&plain);
		ss_buf_release(&packed);
	}
	read_message(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rpc_codec k = {.kind = RPC_PLAIN};
	size_t n;

	if (size && data[0] < 3) {
		/* Frames right away. */
		k.kind = (enum rpc_compression)data[0];
		n = 1;
	} else {
		n = hello(data, size, &k);
	}
	while (size - n >= RPC_HEADER_BYTES) {
		struct rpc_header h;
		const char *why;

		if (rpc_header_decode(data + n, MAX_FRAME, k.kind, &h, &why)) {
			if (!why)
				abort();
			break;
		}
		n += RPC_HEADER_BYTES;
		if (size - n < h.length)
			break;
		payload(&k, &h, data + n);
		n += h.length;
	}
	rpc_codec_free(&k);
	return 0;
}
