/* SPDX-License-Identifier: BSD-3-Clause */
/* An application's memory for fuzz targets: one window; everything outside faults. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define USER_WINDOW 0x100000ul

/* The window holds these n bytes from now on. */
void user_window(void *memory, size_t n);
