/* SPDX-License-Identifier: BSD-3-Clause */
/* Kernel stacks: KSTACK_SIZE bytes above an unmapped guard page. */
#pragma once

void *kstack_alloc(void); /* lowest byte, or NULL */
void kstack_free(void *stack);
