/* SPDX-License-Identifier: BSD-3-Clause */
/* Encodings: percent signs, dates, reasons of status codes, types of files, JSON strings. */
#include "text.h"

#include <seastar/http.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int64_t ss_http_decode(char *dst, ss_str s, bool plus)
{
	char *out = dst;

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c == '%') {
			int hi = i + 2 < s.n ? hex(s.p[i + 1]) : -1, lo;

			lo = hi < 0 ? -1 : hex(s.p[i + 2]);
			if (lo < 0 || (!hi && !lo))
				return -EINVAL;
			c = (char)(hi << 4 | lo);
			i += 2;
		} else if (plus && c == '+') {
			c = ' ';
		} else if (!c) {
			return -EINVAL;
		}
		*out++ = c;
	}
	*out = '\0';
	return out - dst;
}

/* Collects text where there may not be room for all of it. */
struct sink {
	char *dst;
	size_t room, n;
};

static void emit(struct sink *o, char c)
{
	if (o->n + 1 < o->room)
		o->dst[o->n] = c;
	o->n++;
}

static size_t end(struct sink *o)
{
	if (o->room)
		o->dst[o->n < o->room ? o->n : o->room - 1] = '\0';
	return o->n;
}

size_t ss_http_encode(char *dst, size_t n, ss_str s)
{
	static const char digits[] = "0123456789ABCDEF";
	struct sink o = {dst, n, 0};

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
		    c == '-' || c == '.' || c == '_' || c == '~') {
			emit(&o, (char)c);
			continue;
		}
		emit(&o, '%');
		emit(&o, digits[c >> 4]);
		emit(&o, digits[c & 15]);
	}
	return end(&o);
}

const char *ss_http_reason(int status)
{
	static const struct {
		int status;
		const char *text;
	} all[] = {
	    {100, "Continue"},
	    {101, "Switching Protocols"},
	    {200, "OK"},
	    {201, "Created"},
	    {202, "Accepted"},
	    {204, "No Content"},
	    {206, "Partial Content"},
	    {301, "Moved Permanently"},
	    {302, "Found"},
	    {303, "See Other"},
	    {304, "Not Modified"},
	    {307, "Temporary Redirect"},
	    {308, "Permanent Redirect"},
	    {400, "Bad Request"},
	    {401, "Unauthorized"},
	    {403, "Forbidden"},
	    {404, "Not Found"},
	    {405, "Method Not Allowed"},
	    {406, "Not Acceptable"},
	    {408, "Request Timeout"},
	    {409, "Conflict"},
	    {410, "Gone"},
	    {411, "Length Required"},
	    {412, "Precondition Failed"},
	    {413, "Content Too Large"},
	    {414, "URI Too Long"},
	    {415, "Unsupported Media Type"},
	    {416, "Range Not Satisfiable"},
	    {417, "Expectation Failed"},
	    {422, "Unprocessable Content"},
	    {426, "Upgrade Required"},
	    {429, "Too Many Requests"},
	    {431, "Request Header Fields Too Large"},
	    {500, "Internal Server Error"},
	    {501, "Not Implemented"},
	    {502, "Bad Gateway"},
	    {503, "Service Unavailable"},
	    {504, "Gateway Timeout"},
	    {505, "HTTP Version Not Supported"},
	    {507, "Insufficient Storage"},
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i].status == status)
			return all[i].text;
	return "Unknown";
}

static const char days[] = "SunMonTueWedThuFriSat";
static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

void ss_http_date(char *dst, time_t t)
{
	struct tm tm;
	char text[96];

	gmtime_r(&t, &tm);
	snprintf(text, sizeof(text), "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT",
	    days + 3 * tm.tm_wday, tm.tm_mday, months + 3 * tm.tm_mon, tm.tm_year + 1900,
	    tm.tm_hour, tm.tm_min, tm.tm_sec);
	memcpy(dst, text, SS_HTTP_DATE_SIZE - 1);
	dst[SS_HTTP_DATE_SIZE - 1] = '\0';
}

static int number(const char *p, int n)
{
	int v = 0;

	while (n--) {
		if (*p < '0' || *p > '9')
			return -1;
		v = v * 10 + *p++ - '0';
	}
	return v;
}

int ss_http_parse_date(ss_str s, time_t *out)
{
	struct tm tm = {0};
	int month = 0;

	if (s.n != SS_HTTP_DATE_SIZE - 1 || memcmp(s.p + 25, " GMT", 4) != 0 || s.p[3] != ',' ||
	    s.p[19] != ':' || s.p[22] != ':')
		return -EINVAL;
	while (month < 12 && memcmp(months + 3 * month, s.p + 8, 3) != 0)
		month++;
	tm.tm_mday = number(s.p + 5, 2);
	tm.tm_mon = month;
	tm.tm_year = number(s.p + 12, 4) - 1900;
	tm.tm_hour = number(s.p + 17, 2);
	tm.tm_min = number(s.p + 20, 2);
	tm.tm_sec = number(s.p + 23, 2);
	if (month == 12 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_year < -1900 + 1601 ||
	    tm.tm_hour < 0 || tm.tm_min < 0 || tm.tm_sec < 0)
		return -EINVAL;
	*out = timegm(&tm);
	return 0;
}

const char *ss_http_content_type(const char *name)
{
	static const struct {
		const char *ending, *type;
	} all[] = {
	    {"html", "text/html; charset=utf-8"},
	    {"htm", "text/html; charset=utf-8"},
	    {"css", "text/css; charset=utf-8"},
	    {"js", "text/javascript; charset=utf-8"},
	    {"mjs", "text/javascript; charset=utf-8"},
	    {"json", "application/json"},
	    {"xml", "application/xml"},
	    {"txt", "text/plain; charset=utf-8"},
	    {"log", "text/plain; charset=utf-8"},
	    {"md", "text/markdown; charset=utf-8"},
	    {"csv", "text/csv; charset=utf-8"},
	    {"png", "image/png"},
	    {"jpg", "image/jpeg"},
	    {"jpeg", "image/jpeg"},
	    {"gif", "image/gif"},
	    {"svg", "image/svg+xml"},
	    {"webp", "image/webp"},
	    {"ico", "image/x-icon"},
	    {"woff", "font/woff"},
	    {"woff2", "font/woff2"},
	    {"pdf", "application/pdf"},
	    {"zip", "application/zip"},
	    {"gz", "application/gzip"},
	    {"tar", "application/x-tar"},
	    {"wasm", "application/wasm"},
	    {"mp4", "video/mp4"},
	    {"webm", "video/webm"},
	    {"mp3", "audio/mpeg"},
	};
	const char *base = strrchr(name, '/'), *dot;

	dot = strrchr(base ? base : name, '.');
	if (dot)
		for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
			if (ss_str_is_nocase((ss_str){dot + 1, strlen(dot + 1)}, all[i].ending))
				return all[i].type;
	return "application/octet-stream";
}

size_t http_utf8_length(const unsigned char *p, size_t n)
{
	size_t k = p[0] < 0x80			 ? 1
		   : p[0] >= 0xc2 && p[0] < 0xe0 ? 2
		   : (p[0] & 0xf0) == 0xe0	 ? 3
		   : p[0] >= 0xf0 && p[0] < 0xf5 ? 4
						 : 0;

	if (!k || k > n)
		return 0;
	for (size_t i = 1; i < k; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	/* Forms that are too long, halves of pairs, and what lies past the last code point. */
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
	    (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return k;
}

static void emit_text(struct sink *o, const char *text)
{
	while (*text)
		emit(o, *text++);
}

static void emit_ascii(struct sink *o, unsigned char c)
{
	char code[8];

	if (c == '"' || c == '\\') {
		emit(o, '\\');
		emit(o, (char)c);
	} else if (c == '\n') {
		emit_text(o, "\\n");
	} else if (c == '\r') {
		emit_text(o, "\\r");
	} else if (c == '\t') {
		emit_text(o, "\\t");
	} else if (c < 0x20 || c == 0x7f) {
		snprintf(code, sizeof(code), "\\u%04x", c);
		emit_text(o, code);
	} else {
		emit(o, (char)c);
	}
}

size_t ss_json_quote(char *dst, size_t n, ss_str s)
{
	struct sink o = {dst, n, 0};

	emit(&o, '"');
	for (size_t i = 0; i < s.n;) {
		size_t k = http_utf8_length((const unsigned char *)s.p + i, s.n - i);

		if (!k) {
			emit_text(&o, "\xef\xbf\xbd");
			i++;
		} else if (k == 1) {
			emit_ascii(&o, (unsigned char)s.p[i++]);
		} else {
			while (k--)
				emit(&o, s.p[i++]);
		}
	}
	emit(&o, '"');
	return end(&o);
}
