/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The application's vector state. The kernel never uses vector registers, so inside the kernel they
 * still hold what the application left there; the scheduler saves them when another application
 * thread gets the CPU and restores them only if somebody else used the CPU in between.
 */
#pragma once

#include "lib/util.h"

extern uint32_t fpu_area_size; /* bytes of an XSAVE (or FXSAVE) area, from CPUID */
extern uint64_t fpu_features;  /* XCR0; 0 where only FXSAVE exists */

void fpu_save(void *area); /* 64-byte aligned */
void fpu_restore(
    const void *area);		/* contents trusted: from fpu_save() or checked by fpu_sanitise() */
void fpu_init_area(void *area); /* the state a new program starts with */
/* Makes an area that came from outside (a signal frame) safe to restore; false if it makes no
 * sense. */
bool fpu_sanitise(void *area);
