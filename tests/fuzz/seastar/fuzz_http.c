/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fuzzer: heads of requests and responses, chunked bodies, encodings. What is understood lies
 * inside the input, and does not depend on the pieces in which it came.
 */
#include <seastar/http.h>
#include <seastar/websocket.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define CHECK(x)                 \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)
#define FIELDS 16

static void inside(ss_str s, const char *buf, size_t n)
{
	if (s.p && s.n)
		CHECK(s.p >= buf && s.p + s.n <= buf + n);
}

static void check_head(const ss_http_head *h, const char *buf, size_t n)
{
	static const char control[] = "\r\n";

	for (unsigned i = 0; i < h->n_fields; i++) {
		inside(h->fields[i].name, buf, n);
		inside(h->fields[i].value, buf, n);
		for (size_t k = 0; k < h->fields[i].value.n; k++)
			CHECK(!memchr(control, h->fields[i].value.p[k], 3));
	}
	CHECK(h->n_fields <= FIELDS && !(h->chunked && h->length >= 0));
	CHECK(h->length >= -1);
}

typedef int64_t (*parser)(ss_http_head *, const char *, size_t, size_t);

static int64_t head(parser parse, const char *buf, size_t n)
{
	ss_http_field f[FIELDS], g[FIELDS];
	ss_http_head whole = {.fields = f, .max_fields = FIELDS}, part;
	int64_t k = parse(&whole, buf, n, 0);

	CHECK(k == -EBADMSG || (k >= 0 && (size_t)k <= n));
	if (k < 0)
		CHECK(whole.status >= 400 && whole.error);
	if (k <= 0)
		return k;
	check_head(&whole, buf, (size_t)k);
	/* It is complete only with its last byte, and then the same. */
	for (size_t i = 0; i < (size_t)k; i++) {
		part = (ss_http_head){.fields = g, .max_fields = FIELDS};
		CHECK(parse(&part, buf, i, i ? i - 1 : 0) == 0);
	}
	part = (ss_http_head){.fields = g, .max_fields = FIELDS};
	CHECK(parse(&part, buf, (size_t)k, (size_t)k - 1) == k);
	CHECK(part.n_fields == whole.n_fields && part.length == whole.length);
	CHECK(part.keep_alive == whole.keep_alive && part.chunked == whole.chunked);
	return k;
}

/* Decode with pieces of `step` bytes into out. Returns the last answer. */
static int chunks(const char *buf, size_t n, size_t step, char *out, size_t *out_n)
{
	ss_http_chunks c = {0};
	size_t at = 0;

	*out_n = 0;
	while (at < n) {
		size_t piece = n - at < step ? n - at : step, skip, data;
		int r = ss_http_chunks_next(&c, buf + at, piece, &skip, &data);

		if (r)
			return r;
		CHECK(skip + data <= piece && skip + data > 0);
		memcpy(out + *out_n, buf + at + skip, data);
		*out_n += data;
		at += skip + data;
	}
	return 0;
}

static void bodies(const char *buf, size_t n)
{
	char *a = malloc(n + 1), *b = malloc(n + 1);
	size_t na, nb;
	int ra = chunks(buf, n, n, a, &na), rb = chunks(buf, n, 1, b, &nb);

	CHECK(ra == rb && na == nb && memcmp(a, b, na) == 0);
	free(a);
	free(b);
}

static void texts(const char *buf, size_t n)
{
	ss_str s = {buf, n};
	char *out = malloc(6 * n + 3), *back = malloc(6 * n + 3), date[SS_HTTP_DATE_SIZE];
	size_t k = ss_http_encode(out, 6 * n + 3, s);
	time_t t;

	CHECK(k <= 3 * n && strlen(out) == k);
	/* What was encoded is what is decoded, unless it has zero bytes. */
	if (!memchr(buf, 0, n))
		CHECK(ss_http_decode(back, (ss_str){out, k}, true) == (int64_t)n &&
		      memcmp(back, buf, n) == 0);
	CHECK(ss_http_decode(back, s, n & 1) <= (int64_t)n);
	k = ss_json_quote(out, 6 * n + 3, s);
	CHECK(k >= 2 && k <= 6 * n + 2 && strlen(out) == k);
	CHECK(ss_json_quote(back, n / 2, s) == k);
	if (ss_http_parse_date(s, &t) == 0)
		ss_http_date(date, t);
	ss_http_has_token(s, "close");
	free(out);
	free(back);
}

static void frames(char *buf, size_t n)
{
	ss_ws_frame f, g;
	char head[14];
	int k = ss_ws_parse_frame(&f, buf, n);

	CHECK(k == -EPROTO || (k >= 0 && k <= 14 && (size_t)k <= n));
	if (k <= 0)
		return;
	/* There is one way to write a frame. */
	CHECK(ss_ws_write_frame(&f, head) == (size_t)k && memcmp(head, buf, (size_t)k) == 0);
	for (int i = 0; i < k; i++)
		CHECK(ss_ws_parse_frame(&g, head, (size_t)i) <= 0);
	/* Unmasking in pieces is unmasking. */
	if (f.masked) {
		char *a = malloc(n), *b = malloc(n);
		size_t half = n / 3;

		memcpy(a, buf, n);
		memcpy(b, buf, n);
		ss_ws_mask(f.mask, 5, a, n);
		ss_ws_mask(f.mask, 5, b, half);
		ss_ws_mask(f.mask, 5 + half, b + half, n - half);
		CHECK(memcmp(a, b, n) == 0);
		free(a);
		free(b);
	}
	ss_utf8_valid(buf, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char *buf;

	if (!n)
		return 0;
	/* A copy of just the right size lets the sanitizer see a read past the end. */
	buf = malloc(n);
	if (!buf)
		return 0;
	memcpy(buf, data, n);
	if (n <= 4096) {
		head(ss_http_parse_request, buf, n);
		head(ss_http_parse_response, buf, n);
	}
	bodies(buf, n);
	texts(buf, n);
	frames(buf, n);
	free(buf);
	return 0;
}
