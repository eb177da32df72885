/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tracepoints around single system calls (vfs_open, memory_mmap, epoll_wait, …; the list is in
 * trace_calls.def). A call that is traced has a wrapper in the table of calls instead of its
 * function, so those that are not traced cost nothing at all.
 */
#pragma once

#include "lib/util.h"

/* The wrapper of a call that passes its tracepoints, or NULL. */
const void *trace_call(unsigned nr);
/* Is one of the tracepoints of this call on? */
bool trace_call_on(unsigned nr);
