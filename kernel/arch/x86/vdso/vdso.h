/* SPDX-License-Identifier: BSD-3-Clause */
/* The shared object that the kernel maps into every program, so that asking for the time is a
 * function call. */
#pragma once

struct mm;

/* Fills the object's slots; once, at boot. */
void vdso_init(void);
/* Maps the object into m and notes where in m->vdso. 0 or -errno. */
int vdso_map(struct mm *m);
