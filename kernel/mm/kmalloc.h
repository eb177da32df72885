/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory for kernel objects: per-CPU slabs by size class up to 2 KiB, whole pages above. Thread
 * context. */
#pragma once

#include "lib/util.h"

void *kmalloc(size_t size); /* NULL without memory; 16-byte aligned, page aligned from 4 KiB on */
void *kzalloc(size_t size);
void *krealloc(void *p, size_t size);
void kfree(void *p); /* NULL is fine; also from RCU callbacks */
char *kstrdup(const char *s);
size_t kmalloc_usable(const void *p);
void kmalloc_init(void);
