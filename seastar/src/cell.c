/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Cells: the small objects of futures, in multiples of 64 bytes, from free lists of one shard. A
 * few blocks are held back for what must not fail (cleanup continuations); allocation failures can
 * be injected for tests. Under AddressSanitizer each cell is a malloc() of its own, so that it sees
 * misuse, and those still live at the end of the shard are freed then.
 */
#include "shard.h"

#include <stdlib.h>

#define CHUNK_BYTES 8192

struct chunk {
	struct chunk *next;
	_Alignas(SS_CELL) char bytes[];
};

bool ss_inject_hit(struct ss_shard *sh)
{
	uint64_t n = sh->inject_seen++;

	if (sh->inject_once ? n != sh->inject_after : n < sh->inject_after)
		return false;
	sh->inject_failed++;
	return true;
}

void ss_alloc_inject(uint64_t after, bool once)
{
	struct ss_shard *sh = ss_self;

	sh->inject_after = after;
	sh->inject_once = once;
	sh->inject_seen = 0;
	sh->inject_failed = 0;
	sh->inject = true;
}

uint64_t ss_alloc_inject_stop(void)
{
	ss_self->inject = false;
	return ss_self->inject_failed;
}

uint64_t ss_alloc_inject_seen(void)
{
	return ss_self->inject_seen;
}

uint64_t ss_cells_live(void)
{
	return ss_self->cells_live;
}

static void cell_exhausted(size_t n)
{
	ss_log(SS_LOG_ERROR,
	    "out of memory: the reserve of %d blocks is used up (%zu bytes wanted)",
	    SS_CELL_RESERVE, n);
	ss_mem_report();
	abort();
}

void *ss_cell_alloc_sure(size_t n)
{
	struct ss_shard *sh = ss_self;
	void *p = ss_cell_alloc(n);

	if (p)
		return p;
	if (!sh->n_reserve || n > (SS_CELL_CLASSES - 1) * SS_CELL) {
		cell_exhausted(n);
		return NULL;
	}
	sh->cells_live++;
	return sh->reserve[--sh->n_reserve];
}

#ifdef SS_ASAN
struct tracked {
	struct tracked *next, *prev;
	char bytes[];
};

static void *tracked_new(struct ss_shard *sh, size_t n)
{
	struct tracked *t = malloc(sizeof(*t) + n);
	struct tracked *first = sh->chunks;

	if (!t)
		return NULL;
	t->next = first;
	t->prev = NULL;
	if (first)
		first->prev = t;
	sh->chunks = t;
	return t->bytes;
}

void *ss_cell_alloc(size_t n)
{
	struct ss_shard *sh = ss_self;

	if (sh->inject && ss_inject_hit(sh))
		return NULL;
	sh->cells_live++;
	return tracked_new(sh, n);
}

void ss_cell_free(void *p, size_t n)
{
	struct ss_shard *sh = ss_self;
	struct tracked *t = ss_container_of(p, struct tracked, bytes);

	(void)n;
	sh->cells_live--;
	if (t->prev)
		t->prev->next = t->next;
	else
		sh->chunks = t->next;
	if (t->next)
		t->next->prev = t->prev;
	free(t);
}

void ss_cells_top_up(struct ss_shard *sh)
{
	while (sh->n_reserve < SS_CELL_RESERVE) {
		void *p = tracked_new(sh, (SS_CELL_CLASSES - 1) * SS_CELL);

		if (!p)
			return;
		sh->reserve[sh->n_reserve++] = p;
	}
}

void ss_cells_fini(struct ss_shard *sh)
{
	struct tracked *t = sh->chunks, *next;

	sh->chunks = NULL;
	for (; t; t = next) {
		next = t->next;
		free(t);
	}
}
#else
void *ss_cell_refill(struct ss_shard *sh, unsigned cells)
{
	size_t bytes = (size_t)cells * SS_CELL;
	struct chunk *k;
	char *p, *end;

	if (cells >= SS_CELL_CLASSES) {
		void *big = ss_alloc_uninjected(bytes);

		if (!big)
			sh->cells_live--;
		return big;
	}
	k = ss_alloc_uninjected(CHUNK_BYTES);
	if (!k) {
		sh->cells_live--;
		return NULL;
	}
	k->next = sh->chunks;
	sh->chunks = k;
	end = (char *)k + CHUNK_BYTES;
	for (p = k->bytes + bytes; p + bytes <= end; p += bytes) {
		struct ss_cell *c = (struct ss_cell *)p;

		c->next = sh->cells[cells];
		sh->cells[cells] = c;
	}
	return k->bytes;
}

void ss_cells_top_up(struct ss_shard *sh)
{
	bool inject = sh->inject;

	sh->inject = false;
	while (sh->n_reserve < SS_CELL_RESERVE) {
		void *p = ss_cell_alloc((SS_CELL_CLASSES - 1) * SS_CELL);

		if (!p)
			break;
		sh->cells_live--;
		sh->reserve[sh->n_reserve++] = p;
	}
	sh->inject = inject;
}

void ss_cells_fini(struct ss_shard *sh)
{
	struct chunk *k = sh->chunks, *next;

	sh->chunks = NULL;
	memset(sh->cells, 0, sizeof(sh->cells));
	for (; k; k = next) {
		next = k->next;
		ss_free(k);
	}
}
#endif

void ss_cells_init(struct ss_shard *sh)
{
	ss_cells_top_up(sh);
}
