/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory of a shard on top of malloc(). */
#include "reactor.h"

#include <malloc.h>
#include <stdlib.h>

int ss_mem_init(struct ss_shard *sh, uint64_t bytes, bool lock)
{
	(void)sh, (void)bytes, (void)lock;
	return 0;
}
void ss_mem_fini(struct ss_shard *sh)
{
	(void)sh;
}
bool ss_mem_poll(struct ss_shard *sh)
{
	(void)sh;
	return false;
}
void *ss_alloc_uninjected(size_t n)
{
	return malloc(n);
}
void *ss_alloc(size_t n)
{
	if (ss_self && ss_self->inject && ss_inject_hit(ss_self))
		return NULL;
	return malloc(n);
}
void *ss_zalloc(size_t n)
{
	void *p = ss_alloc(n);

	if (p)
		memset(p, 0, n);
	return p;
}
void *ss_alloc_aligned(size_t align, size_t n)
{
	if (ss_self && ss_self->inject && ss_inject_hit(ss_self))
		return NULL;
	return aligned_alloc(align, (n + align - 1) / align * align);
}
void *ss_realloc(void *p, size_t n)
{
	if (ss_self && ss_self->inject && ss_inject_hit(ss_self))
		return NULL;
	return realloc(p, n);
}
void ss_free(void *p)
{
	free(p);
}
char *ss_strdup(const char *s)
{
	size_t n = strlen(s) + 1;
	char *p = ss_alloc(n);

	if (p)
		memcpy(p, s, n);
	return p;
}
size_t ss_alloc_size(const void *p)
{
	return malloc_usable_size((void *)(uintptr_t)p);
}
void ss_mem_stats(struct ss_mem_stats *out)
{
	memset(out, 0, sizeof(*out));
}
void ss_mem_report(void)
{
	ss_log(SS_LOG_INFO, "memory: system allocator");
}
