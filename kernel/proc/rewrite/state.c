/* SPDX-License-Identifier: BSD-3-Clause */
/* The sites of an address space that were considered already. */
#include "proc/rewrite/state.h"

#include <asm/errno.h>
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "proc/rewrite/rewrite.h"

#define FORGOTTEN 1
#define FRONT_CACHE 1024

extern uint64_t syscall_sites_done[FRONT_CACHE]; /* entry.S: the answer for most traps */

static unsigned slot_of(uint64_t site)
{
	return (unsigned)((site * 0x9e3779b97f4a7c15ull) >> 52) % SITE_TABLE;
}

struct rewrite_state *rewrite_state_get(struct mm *m)
{
	struct rewrite_state *s = __atomic_load_n(&m->rewrite, __ATOMIC_ACQUIRE), *none = NULL;
	if (s)
		return s;
	s = kzalloc(sizeof *s);
	if (!s)
		return NULL;
	if (__atomic_compare_exchange_n(
		&m->rewrite, &none, s, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return s;
	kfree(s);
	return none;
}

bool rewrite_remember(struct rewrite_state *s, uint64_t site)
{
	unsigned i = slot_of(site);
	for (unsigned k = 0; k < SITE_TABLE; k++, i = (i + 1) % SITE_TABLE) {
		uint64_t have = atomic_load_explicit(&s->site[i], memory_order_relaxed);
		if (have == site)
			return false;
		if (have)
			continue;
		if (s->nsites >= SITE_LIMIT)
			return false;
		s->nsites++;
		atomic_store_explicit(&s->site[i], site, memory_order_relaxed);
		return true;
	}
	return false;
}

void rewrite_unmapped(struct mm *m, uint64_t start, uint64_t end)
{
	struct rewrite_state *s = m->rewrite;
	if (!s)
		return;
	for (unsigned i = 0; i < SITE_TABLE; i++) {
		uint64_t site = atomic_load_explicit(&s->site[i], memory_order_relaxed);
		if (site < start || site >= end)
			continue;
		atomic_store_explicit(&s->site[i], FORGOTTEN, memory_order_relaxed);
		__atomic_store_n(
		    &syscall_sites_done[(site + 2) % FRONT_CACHE], 0, __ATOMIC_RELAXED);
	}
}

int rewrite_fork(struct mm *to, struct mm *from)
{
	struct rewrite_state *s = from->rewrite, *c;
	if (!s)
		return 0;
	c = kzalloc(sizeof *c);
	if (!c)
		return -ENOMEM;
	for (unsigned i = 0; i < SITE_TABLE; i++)
		atomic_init(&c->site[i], atomic_load_explicit(&s->site[i], memory_order_relaxed));
	c->nsites = s->nsites;
	c->nareas = __atomic_load_n(&s->nareas, __ATOMIC_ACQUIRE);
	for (unsigned i = 0; i < c->nareas; i++) {
		c->area[i] = s->area[i];
		atomic_fetch_add(&c->area[i]->refs, 1);
	}
	to->rewrite = c;
	return 0;
}

void rewrite_free(struct mm *m)
{
	struct rewrite_state *s = m->rewrite;
	if (!s)
		return;
	for (unsigned i = 0; i < s->nareas; i++)
		trampoline_area_put(s->area[i]);
	kfree(s);
}
