/* SPDX-License-Identifier: BSD-3-Clause */
/* The pages for people, part of the program (pages.S). */
#ifndef HTTPSERVER_PAGES_H
#define HTTPSERVER_PAGES_H

struct page {
	const char *path, *type, *begin, *end;
};

extern const struct page pages[];
extern const unsigned npages;

#endif
