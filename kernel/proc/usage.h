/* SPDX-License-Identifier: BSD-3-Clause */
/* Resource usage of programs. */
#pragma once

#include <linux/resource.h>
#include "proc/program.h"

/* Fills *u with what p used; with_children adds the children it waited for (wait4()'s view). */
void usage_of_program(struct program *p, struct rusage *u, bool with_children);
/* Most pages of memory m had at once. */
int64_t usage_peak_pages(struct mm *m);
