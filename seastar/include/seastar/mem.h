/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Memory of a shard. Each shard allocates from memory of its own; memory may be freed on any
 * shard and then travels home. On threads that are no shard these functions use malloc().
 */
#ifndef SEASTAR_MEM_H
#define SEASTAR_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Allocate @p n bytes aligned to 16; NULL if the shard has no more. Not zeroed. */
void *ss_alloc(size_t n);

/** Allocate @p n zeroed bytes. */
void *ss_zalloc(size_t n);

/** Allocate @p n bytes aligned to @p align, a power of two up to 4 MiB. */
void *ss_alloc_aligned(size_t align, size_t n);

/** Resize; @p p may be NULL. On failure NULL is returned and @p p stays as it is. */
void *ss_realloc(void *p, size_t n);

/** Free memory of the functions above; NULL is allowed. Any shard may do it. */
void ss_free(void *p);

/** Copy a string. */
char *ss_strdup(const char *s);

/** Bytes that may be used at @p p, at least what was asked for. */
size_t ss_alloc_size(const void *p);

/** What a shard's memory is used for. */
struct ss_mem_stats {
	uint64_t total;	       /**< Bytes the shard owns. */
	uint64_t free;	       /**< Bytes in free pages. */
	uint64_t allocated;    /**< Bytes handed out (rounded to their class). */
	uint64_t allocs;       /**< Calls that succeeded. */
	uint64_t frees;	       /**< Objects freed. */
	uint64_t remote_frees; /**< Of these, freed on another shard. */
	uint64_t failed;       /**< Calls that found no memory. */
};

/** Statistics of this shard. */
void ss_mem_stats(struct ss_mem_stats *out);

/** Write a report of this shard's memory to the log (what an out-of-memory stop shows). */
void ss_mem_report(void);

/**
 * Let allocations of this shard fail, for tests. Counts allocations from 0; those from @p after on
 * fail, or with @p once only that one. Pools of the library count like any other allocation.
 */
void ss_alloc_inject(uint64_t after, bool once);

/** Stop injecting. Returns how many allocations failed. */
uint64_t ss_alloc_inject_stop(void);

/** Allocations seen since ss_alloc_inject(). */
uint64_t ss_alloc_inject_seen(void);

/** Live small objects of the library on this shard (futures, waits); for leak tests. */
uint64_t ss_cells_live(void);

/** ss_alloc() that no injection makes fail; for the library's own pools. */
void *ss_alloc_uninjected(size_t n);

#ifdef __cplusplus
}
#endif
#endif
