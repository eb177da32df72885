/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Log-structured allocator: objects that may be moved and evicted, in segments that are compacted.
 * For caches of objects of many sizes, where an allocator that can't move things fragments.
 *
 * A region's user refers to an object from one place only, its *owner* pointer, which the allocator
 * updates when it moves the object.
 */
#ifndef SEASTAR_LSA_H
#define SEASTAR_LSA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SS_LSA_SEGMENT 262144 /**< Bytes of a segment, memory's unit. */
#define SS_LSA_MAX 65536      /**< Largest object, in bytes. */

typedef struct ss_lsa ss_lsa; /**< A region: a set of segments and their objects. */

/** What a region's user provides. */
struct ss_lsa_ops {
	/**
	 * An object has moved. The owner pointer is updated already; this is for pointers into the
	 * object, such as links of a list it is in. May be NULL.
	 */
	void (*moved)(void *from, void *to, size_t n, void *arg);
	/**
	 * Give up at least one object, with ss_lsa_free(). Returns false if there is none. May be
	 * NULL.
	 */
	bool (*evict)(void *arg);
};

/** What a region holds. */
struct ss_lsa_stats {
	uint64_t segments;  /**< Segments held. */
	uint64_t limit;	    /**< Most segments. */
	uint64_t live;	    /**< Bytes of live objects, with their headers. */
	uint64_t objects;   /**< Live objects. */
	uint64_t compacted; /**< Segments freed by moving their objects. */
	uint64_t moved;	    /**< Bytes moved. */
	uint64_t evictions; /**< Calls of evict() that gave something up. */
};

/**
 * Make a region.
 * @param bytes  most memory to use, rounded down to segments; at least three.
 * @param ops    kept, not copied; may be NULL.
 * @param arg    for the functions of @p ops.
 * @return the region, or NULL if there is no memory.
 */
ss_lsa *ss_lsa_new(uint64_t bytes, const struct ss_lsa_ops *ops, void *arg);

/** Free the region and all its objects. */
void ss_lsa_destroy(ss_lsa *l);

/**
 * Allocate @p n bytes (1 to SS_LSA_MAX), aligned to 8, and store the address in @p *owner. Compacts
 * and evicts if needed, so other objects may move or go, but pinned ones do not move.
 * @return the address, or NULL if nothing more can be given up.
 */
void *ss_lsa_alloc(ss_lsa *l, size_t n, void **owner);

/** Free an object. */
void ss_lsa_free(ss_lsa *l, void *obj);

/** The owner pointer of @p obj is now at @p owner. */
void ss_lsa_set_owner(void *obj, void **owner);

/** Bytes asked for when @p obj was made. */
size_t ss_lsa_size(const void *obj);

/** Do not move @p obj until ss_lsa_unpin(); counts up to 65535. */
void ss_lsa_pin(ss_lsa *l, void *obj);

/** Undo one ss_lsa_pin(). */
void ss_lsa_unpin(ss_lsa *l, void *obj);

/** Move the objects of the emptiest segments together, while that frees memory, at most
 * @p segments of them. Returns how many segments became free. */
unsigned ss_lsa_compact(ss_lsa *l, unsigned segments);

/** Statistics. */
void ss_lsa_stats(const ss_lsa *l, struct ss_lsa_stats *out);

#ifdef __cplusplus
}
#endif
#endif
