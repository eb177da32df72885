/* SPDX-License-Identifier: BSD-3-Clause */
/* From a running scheduler to a running program. */
#pragma once

#include "lib/util.h"

/* Brings up file systems and devices, mounts the root, runs the boot command and powers off with its status. */
NORETURN void start_system(void);
