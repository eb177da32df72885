/* SPDX-License-Identifier: BSD-3-Clause */
/* Unpredictable numbers for address-space layout. */
#pragma once

#include "lib/util.h"

uint64_t layout_random(void);
