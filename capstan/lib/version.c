/* SPDX-License-Identifier: BSD-3-Clause */
/* Versions and ranges of versions. */
#include "version.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

#define PARTS 4

static bool is_separator(char ch)
{
	return !ch || ch == '+';
}

/* Compares one dot- or dash-separated field: numbers before words, numbers by value. */
static int compare_field(const char *a, size_t n, const char *b, size_t m)
{
	bool a_number = n && strspn(a, "0123456789") >= n,
	     b_number = m && strspn(b, "0123456789") >= m;
	if (a_number != b_number)
		return a_number ? -1 : 1;
	if (a_number) {
		while (n > 1 && *a == '0')
			a++, n--;
		while (m > 1 && *b == '0')
			b++, m--;
		if (n != m)
			return n < m ? -1 : 1;
	}
	int r = strncmp(a, b, cap_min(n, m));
	return r ? r : (n > m) - (n < m);
}

static size_t field_length(const char *s, bool pre)
{
	return strcspn(s, pre ? ".+" : ".-+");
}

/* Dot-separated fields of the release part; a missing one counts as 0. */
static int compare_release(const char **a, const char **b)
{
	for (;;) {
		bool a_ends = is_separator(**a) || **a == '-',
		     b_ends = is_separator(**b) || **b == '-';
		if (a_ends && b_ends)
			return 0;
		const char *x = a_ends ? "0" : *a, *y = b_ends ? "0" : *b;
		size_t n = field_length(x, false), m = field_length(y, false);
		int r = compare_field(x, n, y, m);
		if (r)
			return r;
		if (!a_ends)
			*a += n + ((*a)[n] == '.');
		if (!b_ends)
			*b += m + ((*b)[m] == '.');
	}
}

static int compare_pre(const char *a, const char *b)
{
	bool has_a = *a == '-', has_b = *b == '-';
	if (!has_a || !has_b)
		return has_b - has_a;
	for (a++, b++;;) {
		bool a_ends = is_separator(*a), b_ends = is_separator(*b);
		if (a_ends || b_ends)
			return b_ends - a_ends;
		size_t n = field_length(a, true), m = field_length(b, true);
		int r = compare_field(a, n, b, m);
		if (r)
			return r;
		a += n + (a[n] == '.');
		b += m + (b[m] == '.');
	}
}

static const char *skip_v(const char *s)
{
	return (*s == 'v' || *s == 'V') && isdigit((unsigned char)s[1]) ? s + 1 : s;
}

int cap_version_compare(const char *a, const char *b)
{
	a = skip_v(a);
	b = skip_v(b);
	int r = compare_release(&a, &b);
	return r ? r : compare_pre(a, b);
}

static bool is_pre(const char *version)
{
	return version[strcspn(version, "-+")] == '-';
}

int cap_version_prefer(const char *a, const char *b)
{
	int r = is_pre(b) - is_pre(a);
	return r ? r : cap_version_compare(a, b);
}

/* <2 means before everything of 2: a pre-release of it is outside. */
static bool is_before(const char *version, const char *base)
{
	char *first = is_pre(base) ? xstrdup(base) : xasprintf("%s-0", base);
	bool yes = cap_version_compare(version, first) < 0;
	free(first);
	return yes;
}

/* The first version after all refinements of the first `parts` fields of v. */
static char *bump(const char *v, int parts)
{
	struct buf b = {0};
	for (int i = 0; i < parts; i++) {
		unsigned long n = strtoul(v, NULL, 10);
		v += strcspn(v, ".-+");
		v += *v == '.';
		buf_printf(&b, "%s%lu", i ? "." : "", i + 1 == parts ? n + 1 : n);
	}
	buf_puts(&b, "-0"); /* pre-releases of it are outside as well */
	return buf_take(&b);
}

static int count_parts(const char *v)
{
	int n = 1;
	for (; *v && *v != '-' && *v != '+'; v++)
		n += *v == '.';
	return n;
}

static bool between(const char *version, const char *low, const char *high)
{
	return cap_version_compare(version, low) >= 0 && cap_version_compare(version, high) < 0;
}

/* ^1.2 keeps the first field that is not zero. */
static int caret_parts(const char *v)
{
	int parts = 1, total = count_parts(v);
	while (parts < total && parts < PARTS && strtoul(v, NULL, 10) == 0) {
		v += strcspn(v, ".") + 1;
		parts++;
	}
	return parts;
}

static int one_comparator(const char *version, const char *op, const char *v)
{
	size_t n = strlen(v);
	if (!strcmp(v, "*") || !strcmp(v, "x"))
		return 1;
	char *base = xstrdup(v), *high = NULL;
	bool wild = n > 2 && (has_suffix(v, ".x") || has_suffix(v, ".*"));
	if (wild)
		base[n - 2] = 0;
	if (!isalnum((unsigned char)*base)) {
		free(base);
		return -1;
	}
	int r = cap_version_compare(version, base), yes = -1;
	if (!strcmp(op, ">="))
		yes = r >= 0;
	else if (!strcmp(op, ">"))
		yes = r > 0;
	else if (!strcmp(op, "<="))
		yes = r <= 0;
	else if (!strcmp(op, "<"))
		yes = is_before(version, base);
	else if (!strcmp(op, "!="))
		yes = r != 0;
	else if ((!strcmp(op, "=") || !strcmp(op, "==")) && !wild)
		yes = r == 0;
	else if (!strcmp(op, "^"))
		yes = between(version, base, high = bump(base, caret_parts(base)));
	else if (!strcmp(op, "~"))
		yes = between(version, base, high = bump(base, cap_min(count_parts(base), 2)));
	else if (!*op || !strcmp(op, "="))
		yes = r == 0 || between(version, base, high = bump(base, count_parts(base)));
	free(base);
	free(high);
	return yes;
}

static int all_of(const char *version, const char *range, size_t len)
{
	char *text = xstrndup(range, len), *p = text;
	int yes = 1;
	while (yes > 0 && *(p += strspn(p, " \t,"))) {
		char op[4] = "", *v;
		size_t n = strspn(p, "<>=!^~");
		if (n > 2) {
			yes = -1;
			break;
		}
		memcpy(op, p, n);
		p += n + strspn(p + n, " \t");
		v = p;
		p += strcspn(p, " \t,<>=!^~|");
		char *word = xstrndup(v, p - v);
		yes = *word ? one_comparator(version, op, word) : -1;
		free(word);
	}
	free(text);
	return yes;
}

int cap_version_matches(const char *version, const char *range)
{
	int found = 0;
	for (;;) {
		const char *bar = strstr(range, "||");
		int yes = all_of(version, range, bar ? (size_t)(bar - range) : strlen(range));
		if (yes < 0)
			return yes;
		found |= yes;
		if (!bar)
			return found;
		range = bar + 2;
	}
}
