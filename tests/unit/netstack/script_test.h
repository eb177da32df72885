/* SPDX-License-Identifier: BSD-3-Clause */
/* What the scripted test programs share: offers of the peer, the shape of a test. */
#ifndef SCRIPT_TEST_H
#define SCRIPT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "script.h"

static const struct handshake __attribute__((unused))
modern = {.mss = 1460, .wscale = 7, .sack = true, .ts = true};
static const struct handshake __attribute__((unused)) plain = {.mss = 1460};
static const struct handshake __attribute__((unused)) sack_only = {.mss = 1460, .sack = true};
static uint8_t blob[100000];

#define TEST(name)                                       \
	static void name##_body(struct script *t);       \
	static void name(void **state)                   \
	{                                                \
		struct script *t = calloc(1, sizeof *t); \
		(void)state;                             \
		script_init(t, 1);                       \
		name##_body(t);                          \
		script_free(t);                          \
		free(t);                                 \
	}                                                \
	static void name##_body(struct script *t)

#define SEND(t, n, flags) ns_tcp_send(&(t)->c->tcp, blob, n, flags)

static inline int64_t read_some(struct script *t, void *buf, size_t n)
{
	int64_t r = ns_tcp_recv(&t->c->tcp, buf, n, 0);

	hs_poll(&t->s);
	return r;
}

static inline void fill_blob(void)
{
	for (size_t i = 0; i < sizeof blob; i++)
		blob[i] = (uint8_t)(i * 7 + (i >> 8) * 3);
}

#define T(name) cmocka_unit_test(name)

#endif
