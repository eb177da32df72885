/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The parser of message heads. It looks at complete heads only: until the empty line has come, the
 * new bytes are just searched for it. Whatever two implementations might understand differently is
 * refused, since a proxy in front of us may be one of them.
 */
#include <seastar/http.h>

#include <errno.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define MAX_METHOD 32

/* Characters of tokens (RFC 9110, 5.6.2), of targets, of field values, and of Host. */
enum { TOKEN = 1, TARGET = 2, VALUE = 4, HOST = 8 };

static const unsigned char kind[256] = {
    [0x80 ... 0xff] = TARGET | VALUE | HOST,
    ['\t'] = VALUE,
    [' '] = VALUE,
    ['!'] = 15,
    ['"'] = TARGET | VALUE,
    ['#'] = TOKEN | VALUE,
    ['$' ... '\''] = 15,
    ['(' ... ')'] = TARGET | VALUE | HOST,
    ['*' ... '+'] = 15,
    [','] = TARGET | VALUE,
    ['-' ... '.'] = 15,
    ['/'] = TARGET | VALUE,
    ['0' ... '9'] = 15,
    [':' ... ';'] = TARGET | VALUE | HOST,
    ['<'] = TARGET | VALUE,
    ['='] = TARGET | VALUE | HOST,
    ['>' ... '@'] = TARGET | VALUE,
    ['A' ... 'Z'] = 15,
    ['['] = TARGET | VALUE | HOST,
    ['\\'] = TARGET | VALUE,
    [']'] = TARGET | VALUE | HOST,
    ['^'] = TOKEN | TARGET | VALUE,
    ['_'] = 15,
    ['`'] = TOKEN | TARGET | VALUE,
    ['a' ... 'z'] = 15,
    ['{'] = TARGET | VALUE,
    ['|'] = TOKEN | TARGET | VALUE,
    ['}'] = TARGET | VALUE,
    ['~'] = 15,
};

struct cursor {
	const char *p, *end;
	ss_http_head *h;
};

static int64_t bad(ss_http_head *h, int status, const char *why)
{
	h->status = status;
	h->error = why;
	return -EBADMSG;
}

static inline char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

bool ss_str_is(ss_str s, const char *z)
{
	return s.p && strlen(z) == s.n && memcmp(s.p, z, s.n) == 0;
}

bool ss_str_is_nocase(ss_str s, const char *z)
{
	size_t i;

	for (i = 0; i < s.n && z[i]; i++)
		if (lower(s.p[i]) != lower(z[i]))
			return false;
	return s.p && i == s.n && !z[i];
}

ss_str ss_http_head_field(const ss_http_head *h, const char *name)
{
	for (unsigned i = 0; i < h->n_fields; i++)
		if (ss_str_is_nocase(h->fields[i].name, name))
			return h->fields[i].value;
	return (ss_str){NULL, 0};
}

bool ss_http_has_token(ss_str v, const char *token)
{
	const char *p = v.p, *end = v.p + v.n;

	while (p < end) {
		const char *comma = memchr(p, ',', (size_t)(end - p)), *e = comma ? comma : end;
		ss_str item;

		while (p < e && (*p == ' ' || *p == '\t'))
			p++;
		item = (ss_str){p, (size_t)(e - p)};
		while (item.n && (item.p[item.n - 1] == ' ' || item.p[item.n - 1] == '\t'))
			item.n--;
		if (ss_str_is_nocase(item, token))
			return true;
		p = e + 1;
	}
	return false;
}

/* True if the empty line that ends a head is in buf; only what came after `seen` is searched. */
static bool complete(const char *buf, size_t n, size_t seen)
{
	const char *p = buf + (seen > 3 ? seen - 3 : 0), *end = buf + n;

	while (p < end && (p = memchr(p, '\n', (size_t)(end - p)))) {
		p++;
		if (p < end && *p == '\n')
			return true;
		if (end - p >= 2 && p[0] == '\r' && p[1] == '\n')
			return true;
	}
	return false;
}

static inline const char *span(const char *p, const char *end, unsigned char k)
{
	while (p < end && (kind[(unsigned char)*p] & k))
		p++;
	return p;
}

/*
 * The same for targets and values, 16 bytes at a time where all of them are acceptable: no control
 * characters, and in targets no blanks and no "#".
 */
static inline const char *span_fast(const char *p, const char *end, unsigned char k)
{
#ifdef __SSE2__
	const __m128i low = _mm_set1_epi8(k == TARGET ? ' ' : ' ' - 1);
	const __m128i del = _mm_set1_epi8(0x7f), hash = _mm_set1_epi8(k == TARGET ? '#' : 0x7f);

	for (; end - p >= 16; p += 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
		__m128i bad = _mm_cmpeq_epi8(_mm_min_epu8(v, low), v);
		unsigned mask;

		bad = _mm_or_si128(bad, _mm_cmpeq_epi8(v, del));
		bad = _mm_or_si128(bad, _mm_cmpeq_epi8(v, hash));
		mask = (unsigned)_mm_movemask_epi8(bad);
		if (mask) {
			p += __builtin_ctz(mask);
			break;
		}
	}
#endif
	return span(p, end, k);
}

static bool line_end(struct cursor *c)
{
	if (c->end - c->p < 2 || c->p[0] != '\r' || c->p[1] != '\n')
		return false;
	c->p += 2;
	return true;
}

/* "HTTP/1.x"; anything else that looks like a version is told apart from rubbish. */
static int64_t version(struct cursor *c)
{
	const char *p = c->p;

	if (c->end - p < 8 || memcmp(p, "HTTP/", 5) != 0 || p[6] != '.' || p[5] < '0' ||
	    p[5] > '9' || p[7] < '0' || p[7] > '9')
		return bad(c->h, 400, "bad HTTP version");
	if (p[5] != '1')
		return bad(c->h, 505, "HTTP version not supported");
	c->h->minor = p[7] - '0';
	c->p += 8;
	return 0;
}

static bool is_scheme(ss_str t, const char *scheme, size_t n)
{
	return t.n > n && ss_str_is_nocase((ss_str){t.p, n}, scheme);
}

/* Split "/path?query", "http://host/path?query" or "*". */
static int64_t split_target(ss_http_head *h)
{
	ss_str t = h->target;
	const char *q, *slash;
	size_t scheme = *t.p == '/'		      ? 0
			: is_scheme(t, "http://", 7)  ? 7
			: is_scheme(t, "https://", 8) ? 8
						      : 0;

	if (h->method.n == 7 && memcmp(h->method.p, "CONNECT", 7) == 0)
		return bad(h, 501, "CONNECT is not supported");
	if (scheme) {
		t.p += scheme;
		t.n -= scheme;
		slash = memchr(t.p, '/', t.n);
		h->host = (ss_str){t.p, slash ? (size_t)(slash - t.p) : t.n};
		if (!h->host.n || memchr(h->host.p, '?', h->host.n))
			return bad(h, 400, "bad request target");
		t = slash ? (ss_str){slash, t.n - h->host.n} : SS_STR("/");
	} else if (t.p[0] != '/' && !(t.n == 1 && t.p[0] == '*')) {
		return bad(h, 400, "bad request target");
	}
	q = memchr(t.p, '?', t.n);
	h->path = (ss_str){t.p, q ? (size_t)(q - t.p) : t.n};
	h->query = q ? (ss_str){q + 1, (size_t)(t.p + t.n - q - 1)} : (ss_str){NULL, 0};
	return 0;
}

static int64_t request_line(struct cursor *c)
{
	ss_http_head *h = c->h;
	const char *p = span(c->p, c->end, TOKEN);
	int64_t err;

	h->method = (ss_str){c->p, (size_t)(p - c->p)};
	if (!h->method.n || h->method.n > MAX_METHOD || p == c->end || *p != ' ')
		return bad(h, 400, "bad request line");
	c->p = p + 1;
	p = span_fast(c->p, c->end, TARGET);
	h->target = (ss_str){c->p, (size_t)(p - c->p)};
	if (!h->target.n || p == c->end || *p != ' ')
		return bad(h, 400, "bad request target");
	c->p = p + 1;
	err = version(c);
	if (err)
		return err;
	if (!line_end(c))
		return bad(h, 400, "bad request line");
	return split_target(h);
}

static int64_t status_line(struct cursor *c)
{
	ss_http_head *h = c->h;
	int64_t err = version(c);
	const char *p = c->p;

	if (err)
		return err;
	if (c->end - p < 4 || p[0] != ' ' || p[1] < '1' || p[1] > '9' || p[2] < '0' || p[2] > '9' ||
	    p[3] < '0' || p[3] > '9')
		return bad(h, 502, "bad status line");
	h->status = (p[1] - '0') * 100 + (p[2] - '0') * 10 + (p[3] - '0');
	c->p += 4;
	if (c->p < c->end && *c->p == ' ')
		c->p++;
	p = span(c->p, c->end, VALUE);
	h->reason = (ss_str){c->p, (size_t)(p - c->p)};
	c->p = p;
	return line_end(c) ? 0 : bad(h, 502, "bad status line");
}

/* Fields that decide how the message is framed, and whether the connection lives on. */

struct seen {
	bool length, coding, host, close, keep, upgrade_option, upgrade;
};

static int64_t take_length(ss_http_head *h, ss_str v, struct seen *s)
{
	uint64_t n = 0;

	if (s->length)
		return bad(h, 400, "more than one Content-Length");
	s->length = true;
	if (!v.n || v.n > 18)
		return bad(h, 400, "bad Content-Length");
	for (size_t i = 0; i < v.n; i++) {
		if (v.p[i] < '0' || v.p[i] > '9')
			return bad(h, 400, "bad Content-Length");
		n = n * 10 + (uint64_t)(v.p[i] - '0');
	}
	h->length = (int64_t)n;
	return 0;
}

static int64_t take_coding(ss_http_head *h, ss_str v, struct seen *s)
{
	if (s->coding)
		return bad(h, 400, "more than one Transfer-Encoding");
	s->coding = true;
	if (!ss_str_is_nocase(v, "chunked"))
		return bad(h, 501, "transfer coding not supported");
	h->chunked = true;
	return 0;
}

static int64_t take_host(ss_http_head *h, ss_str v, struct seen *s)
{
	if (s->host)
		return bad(h, 400, "more than one Host");
	s->host = true;
	if (span(v.p, v.p + v.n, HOST) != v.p + v.n)
		return bad(h, 400, "bad Host");
	if (!h->host.p)
		h->host = v;
	return 0;
}

static void take_connection(ss_str v, struct seen *s)
{
	if (ss_str_is_nocase(v, "keep-alive")) {
		s->keep = true;
		return;
	}
	s->close |= ss_http_has_token(v, "close");
	s->keep |= ss_http_has_token(v, "keep-alive");
	s->upgrade_option |= ss_http_has_token(v, "upgrade");
}

/* name is in lower case and as long as s. */
static inline bool is_name(ss_str s, const char *name)
{
	for (size_t i = 0; i < s.n; i++)
		if ((s.p[i] | 0x20) != name[i])
			return false;
	return true;
}

static int64_t note_field(ss_http_head *h, const ss_http_field *f, struct seen *s)
{
	switch (f->name.n) {
	case 4:
		if (is_name(f->name, "host"))
			return take_host(h, f->value, s);
		break;
	case 6:
		if (is_name(f->name, "expect"))
			h->expect = ss_str_is_nocase(f->value, "100-continue");
		break;
	case 7:
		if (is_name(f->name, "upgrade"))
			s->upgrade = true;
		break;
	case 10:
		if (is_name(f->name, "connection"))
			take_connection(f->value, s);
		break;
	case 14:
		if (is_name(f->name, "content-length"))
			return take_length(h, f->value, s);
		break;
	case 17:
		if (is_name(f->name, "transfer-encoding"))
			return take_coding(h, f->value, s);
		break;
	default:
		break;
	}
	return 0;
}

static int64_t field(struct cursor *c, struct seen *s)
{
	ss_http_head *h = c->h;
	ss_http_field *f;
	const char *p, *e;

	if (*c->p == ' ' || *c->p == '\t')
		return bad(h, 400, "folded header line");
	if (h->n_fields == h->max_fields)
		return bad(h, 431, "too many header fields");
	f = &h->fields[h->n_fields++];
	p = span(c->p, c->end, TOKEN);
	f->name = (ss_str){c->p, (size_t)(p - c->p)};
	if (!f->name.n || p == c->end || *p != ':')
		return bad(h, 400, "bad header name");
	for (p++; p < c->end && (*p == ' ' || *p == '\t'); p++)
		;
	c->p = span_fast(p, c->end, VALUE);
	for (e = c->p; e > p && (e[-1] == ' ' || e[-1] == '\t'); e--)
		;
	f->value = (ss_str){p, (size_t)(e - p)};
	if (!line_end(c))
		return bad(h, 400, "bad character in header value");
	return note_field(h, f, s);
}

static int64_t fields(struct cursor *c, struct seen *s)
{
	while (c->p < c->end && *c->p != '\r' && *c->p != '\n') {
		int64_t err = field(c, s);

		if (err)
			return err;
	}
	return line_end(c) ? 0 : bad(c->h, 400, "bad line end");
}

static void connection_rules(ss_http_head *h, const struct seen *s)
{
	h->keep_alive = !s->close && (h->minor >= 1 || s->keep);
	h->upgrade = s->upgrade && s->upgrade_option && h->minor >= 1;
	if (h->minor < 1)
		h->expect = false;
}

static void reset(ss_http_head *h)
{
	ss_http_field *f = h->fields;
	unsigned max = h->max_fields;

	*h = (ss_http_head){.fields = f, .max_fields = max, .length = -1};
}

int64_t ss_http_parse_request(ss_http_head *h, const char *buf, size_t n, size_t seen)
{
	struct cursor c = {buf, buf + n, h};
	struct seen s = {0};
	int64_t err;

	reset(h);
	/* Clients of old send an empty line after a body; more than one is rubbish. */
	if (n && *buf == '\r') {
		if (n == 1)
			return 0;
		if (!line_end(&c))
			return bad(h, 400, "bad request line");
		seen = seen > 2 ? seen - 2 : 0;
	}
	/* What begins like no method (a TLS handshake, say) need not be waited for. */
	if (c.p < c.end && !(kind[(unsigned char)*c.p] & TOKEN))
		return bad(h, 400, "bad request line");
	if (!complete(c.p, (size_t)(c.end - c.p), seen))
		return 0;
	err = request_line(&c);
	if (!err)
		err = fields(&c, &s);
	if (err)
		return err;
	if (s.coding && s.length)
		return bad(h, 400, "both Content-Length and Transfer-Encoding");
	if (s.coding && h->minor < 1)
		return bad(h, 400, "Transfer-Encoding in HTTP/1.0");
	if (!s.host && h->minor >= 1)
		return bad(h, 400, "no Host");
	connection_rules(h, &s);
	return c.p - buf;
}

int64_t ss_http_parse_response(ss_http_head *h, const char *buf, size_t n, size_t seen)
{
	struct cursor c = {buf, buf + n, h};
	struct seen s = {0};
	int64_t err;

	reset(h);
	if (!complete(buf, n, seen))
		return 0;
	err = status_line(&c);
	if (!err)
		err = fields(&c, &s);
	if (err)
		return err;
	if (s.coding && s.length)
		return bad(h, 502, "both Content-Length and Transfer-Encoding");
	connection_rules(h, &s);
	return c.p - buf;
}

/* Chunked bodies */

enum {
	SIZE,
	EXTENSION,
	SIZE_LF,
	DATA,
	DATA_CR,
	DATA_LF,
	TRAILER,
	TRAILER_LINE,
	TRAILER_LF,
	END_LF,
	END
};

#define MAX_DIGITS 15  /* no overflow, and more than any body has */
#define MAX_EXTRA 8192 /* bytes of extensions and trailers of a whole body */

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int size_byte(ss_http_chunks *c, char b)
{
	int d = digit(b);

	if (d >= 0) {
		c->left = c->left << 4 | (unsigned)d;
		return ++c->digits > MAX_DIGITS ? -EBADMSG : SIZE;
	}
	if (!c->digits)
		return -EBADMSG;
	if (b == '\r')
		return SIZE_LF;
	return b == ';' ? EXTENSION : -EBADMSG;
}

static bool text_byte(char b)
{
	return kind[(unsigned char)b] & VALUE;
}

/* The state after framing byte b, or -EBADMSG. */
static int step(ss_http_chunks *c, char b)
{
	switch (c->state) {
	case SIZE:
		return size_byte(c, b);
	case EXTENSION:
		if (b == '\r')
			return SIZE_LF;
		return text_byte(b) && ++c->extra <= MAX_EXTRA ? EXTENSION : -EBADMSG;
	case SIZE_LF:
		c->digits = 0;
		if (b != '\n')
			return -EBADMSG;
		return c->left ? DATA : TRAILER;
	case DATA_CR:
		return b == '\r' ? DATA_LF : -EBADMSG;
	case DATA_LF:
		return b == '\n' ? SIZE : -EBADMSG;
	case TRAILER:
		if (b == '\r')
			return END_LF;
		return kind[(unsigned char)b] & TOKEN && ++c->extra <= MAX_EXTRA ? TRAILER_LINE
										 : -EBADMSG;
	case TRAILER_LINE:
		if (b == '\r')
			return TRAILER_LF;
		return text_byte(b) && ++c->extra <= MAX_EXTRA ? TRAILER_LINE : -EBADMSG;
	case TRAILER_LF:
		return b == '\n' ? TRAILER : -EBADMSG;
	default:
		return b == '\n' ? END : -EBADMSG;
	}
}

int ss_http_chunks_next(ss_http_chunks *c, const char *buf, size_t n, size_t *skip, size_t *data)
{
	size_t i = 0;

	*data = 0;
	while (c->state != END && c->state != DATA && i < n) {
		c->state = step(c, buf[i]);
		if (c->state < 0) {
			*skip = i;
			return -EBADMSG;
		}
		i++;
	}
	*skip = i;
	if (c->state == END)
		return 1;
	if (c->state == DATA && i < n) {
		*data = n - i < c->left ? n - i : (size_t)c->left;
		c->left -= *data;
		if (!c->left)
			c->state = DATA_CR;
	}
	return 0;
}
