/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading multipart/form-data. Bytes are gathered in a buffer; of a part's data everything is
 * handed on that cannot be the beginning of the boundary.
 */
#include "multipart.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { PREAMBLE, HEADERS, DATA, AFTER, END };

int multipart_init(struct multipart *m, const char *content_type, size_t n)
{
	static const char type[] = "multipart/form-data";
	char text[256];

	memset(m, 0, offsetof(struct multipart, buf));
	m->n = 0;
	if (n >= sizeof text)
		return -EINVAL;
	memcpy(text, content_type, n);
	text[n] = 0;
	const char *b = strcasestr(text, "boundary=");
	if (strncasecmp(text, type, sizeof type - 1) || !b)
		return -EINVAL;
	b += 9;
	size_t len = *b == '"' ? strcspn(b + 1, "\"") : strcspn(b, "; \t");
	b += *b == '"';
	if (!len || len > 70)
		return -EINVAL;
	m->nboundary = (size_t)snprintf(m->boundary, sizeof m->boundary, "\r\n--%.*s", (int)len, b);
	m->state = PREAMBLE;
	/* The first boundary may stand at the very beginning. */
	memcpy(m->buf, "\r\n", 2);
	m->n = 2;
	return 0;
}

static void drop(struct multipart *m, size_t n)
{
	memmove(m->buf, m->buf + n, m->n - n);
	m->n -= n;
}

/* The file name in a part's header lines. */
static void read_headers(struct multipart *m, size_t n)
{
	char text[MULTIPART_BUFFER + 1];

	memcpy(text, m->buf, n);
	text[n] = 0;
	m->is_file = false;
	const char *f = strcasestr(text, "filename=\"");
	if (!f || m->done)
		return;
	f += 10;
	m->is_file = true;
	snprintf(m->name, sizeof m->name, "%.*s", (int)strcspn(f, "\"\r\n"), f);
}

static int hand_on(struct multipart *m, size_t n)
{
	int err = m->is_file && n ? m->data(m->arg, m->buf, n) : 0;

	drop(m, n);
	return err;
}

/* One step with what is in the buffer: 1 if there may be another, 0 if more bytes are needed. */
static int step(struct multipart *m)
{
	char *at;
	int err;

	switch (m->state) {
	case PREAMBLE:
	case DATA:
		at = memmem(m->buf, m->n, m->boundary, m->nboundary);
		if (!at) {
			size_t keep = m->n < m->nboundary ? m->n : m->nboundary;
			if (m->state == PREAMBLE) {
				drop(m, m->n - keep);
				return 0;
			}
			return hand_on(m, m->n - keep);
		}
		if (m->state == PREAMBLE)
			m->is_file = false;
		err = hand_on(m, (size_t)(at - m->buf));
		if (err)
			return err;
		m->done |= m->state == DATA && m->is_file;
		drop(m, m->nboundary);
		m->state = AFTER;
		return 1;
	case AFTER: /* "--" at the end, or a line's end */
		if (m->n < 2)
			return 0;
		if (!memcmp(m->buf, "--", 2)) {
			m->state = END;
		} else if (!memcmp(m->buf, "\r\n", 2)) {
			m->state = HEADERS;
			drop(m, 2);
		} else {
			return -EBADMSG;
		}
		return 1;
	case HEADERS:
		at = memmem(m->buf, m->n, "\r\n\r\n", 4);
		if (!at)
			return m->n == sizeof m->buf ? -EBADMSG : 0;
		read_headers(m, (size_t)(at - m->buf));
		drop(m, (size_t)(at - m->buf) + 4);
		/* Data that begins with the boundary is empty. */
		m->state = DATA;
		if (m->n >= m->nboundary - 2 &&
		    !memcmp(m->buf, m->boundary + 2, m->nboundary - 2)) {
			m->done |= m->is_file;
			drop(m, m->nboundary - 2);
			m->state = AFTER;
		}
		return 1;
	}
	m->n = 0; /* what follows the end */
	return 0;
}

int multipart_feed(struct multipart *m, const char *p, size_t n)
{
	while (n) {
		size_t part = sizeof m->buf - m->n < n ? sizeof m->buf - m->n : n;
		int more;
		memcpy(m->buf + m->n, p, part);
		m->n += part;
		p += part;
		n -= part;
		while ((more = step(m)) > 0)
			;
		if (more < 0)
			return more;
	}
	return 0;
}
