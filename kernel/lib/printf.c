/* SPDX-License-Identifier: BSD-3-Clause */
/* Bounded formatting: see string.h for what is understood. */
#include "lib/string.h"

struct out {
	char *buf;
	size_t size, len;
};

struct spec {
	bool left, zero, plus, space, alt, upper;
	int width, precision; /* precision -1: none */
	int size;	      /* -2 hh, -1 h, 0 int, 1 l, 2 ll */
};

static void put(struct out *o, char c)
{
	if (o->len + 1 < o->size)
		o->buf[o->len] = c;
	o->len++;
}

static void pad(struct out *o, char c, int n)
{
	while (n-- > 0)
		put(o, c);
}

static void put_text(struct out *o, const struct spec *sp, const char *s, size_t n)
{
	int fill = sp->width - (int)n;

	if (!sp->left)
		pad(o, ' ', fill);
	for (size_t i = 0; i < n; i++)
		put(o, s[i]);
	if (sp->left)
		pad(o, ' ', fill);
}

static void put_number(
    struct out *o, const struct spec *sp, uint64_t v, unsigned base, bool negative)
{
	char digits[24];
	int n = 0;
	const char *set = sp->upper ? "0123456789ABCDEF" : "0123456789abcdef";
	char sign = negative ? '-' : sp->plus ? '+' : sp->space ? ' ' : 0;

	bool nonzero = v != 0;
	for (; v; v /= base)
		digits[n++] = set[v % base];
	if (!n && sp->precision != 0)
		digits[n++] = '0';
	int zeros = sp->precision > n ? sp->precision - n : 0;
	int prefix = sp->alt && base == 16 && nonzero ? 2 : 0;
	int len = n + zeros + prefix + (sign != 0);
	if (sp->zero && !sp->left && sp->precision < 0 && sp->width > len) {
		zeros += sp->width - len;
		len = sp->width;
	}
	if (!sp->left)
		pad(o, ' ', sp->width - len);
	if (sign)
		put(o, sign);
	if (prefix) {
		put(o, '0');
		put(o, sp->upper ? 'X' : 'x');
	}
	pad(o, '0', zeros);
	while (n)
		put(o, digits[--n]);
	if (sp->left)
		pad(o, ' ', sp->width - len);
}

static const char *parse_flags(const char *f, struct spec *sp)
{
	for (;; f++) {
		switch (*f) {
		case '-':
			sp->left = true;
			continue;
		case '0':
			sp->zero = true;
			continue;
		case '+':
			sp->plus = true;
			continue;
		case ' ':
			sp->space = true;
			continue;
		case '#':
			sp->alt = true;
			continue;
		}
		return f;
	}
}

static uint64_t signed_arg(va_list *ap, const struct spec *sp, bool *negative)
{
	int64_t v = sp->size >= 1 ? va_arg(*ap, int64_t) : va_arg(*ap, int);

	if (sp->size == -1)
		v = (int16_t)v;
	if (sp->size == -2)
		v = (int8_t)v;
	*negative = v < 0;
	return v < 0 ? -(uint64_t)v : (uint64_t)v;
}

static uint64_t unsigned_arg(va_list *ap, const struct spec *sp)
{
	uint64_t v = sp->size >= 1 ? va_arg(*ap, uint64_t) : va_arg(*ap, unsigned);

	if (sp->size == -1)
		v = (uint16_t)v;
	if (sp->size == -2)
		v = (uint8_t)v;
	return v;
}

static const char *parse_size(const char *f, struct spec *sp)
{
	for (;; f++) {
		if (*f == 'l')
			sp->size++;
		else if (*f == 'h')
			sp->size--;
		else if (*f == 'z' || *f == 'j' || *f == 't')
			sp->size = 1;
		else
			return f;
	}
}

static const char *parse_number(const char *f, va_list *ap, int *out)
{
	if (*f == '*') {
		*out = va_arg(*ap, int);
		return f + 1;
	}
	for (*out = 0; *f >= '0' && *f <= '9'; f++)
		*out = *out * 10 + *f - '0';
	return f;
}

static void convert(struct out *o, char c, struct spec *sp, va_list *ap)
{
	bool neg = false;
	uint64_t v;

	switch (c) {
	case 'd':
	case 'i':
		v = signed_arg(ap, sp, &neg);
		put_number(o, sp, v, 10, neg);
		return;
	case 'u':
		put_number(o, sp, unsigned_arg(ap, sp), 10, false);
		return;
	case 'o':
		put_number(o, sp, unsigned_arg(ap, sp), 8, false);
		return;
	case 'X':
		sp->upper = true;
		/* fallthrough */
	case 'x':
		put_number(o, sp, unsigned_arg(ap, sp), 16, false);
		return;
	case 'p':
		sp->alt = true;
		put_number(o, sp, (uint64_t)va_arg(*ap, void *), 16, false);
		return;
	case 'c': {
		char ch = (char)va_arg(*ap, int);
		put_text(o, sp, &ch, 1);
		return;
	}
	case 's': {
		const char *s = va_arg(*ap, const char *);
		if (!s)
			s = "(null)";
		put_text(
		    o, sp, s, sp->precision >= 0 ? strnlen(s, (size_t)sp->precision) : strlen(s));
		return;
	}
	default:
		put(o, c);
	}
}

int vsnprintf(char *buf, size_t size, const char *fmt, va_list ap_in)
{
	struct out o = {buf, size, 0};
	va_list ap;

	va_copy(ap, ap_in);
	for (const char *f = fmt; *f; f++) {
		if (*f != '%') {
			put(&o, *f);
			continue;
		}
		struct spec sp = {.precision = -1};
		f = parse_flags(f + 1, &sp);
		f = parse_number(f, &ap, &sp.width);
		if (sp.width < 0) {
			sp.left = true;
			sp.width = -sp.width;
		}
		if (*f == '.')
			f = parse_number(f + 1, &ap, &sp.precision);
		f = parse_size(f, &sp);
		if (!*f)
			break;
		convert(&o, *f, &sp, &ap);
	}
	va_end(ap);
	if (size)
		buf[o.len < size ? o.len : size - 1] = 0;
	return (int)o.len;
}

int snprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(buf, size, fmt, ap);
	va_end(ap);
	return n;
}
