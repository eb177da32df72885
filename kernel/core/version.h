/* SPDX-License-Identifier: BSD-3-Clause */
/* How the kernel names itself to applications: uname(), /proc/version, /proc/sys/kernel. */
#pragma once

#include "lib/util.h"

/* Programs choose features by the release number, so it is that of the Linux ABI implemented. */
#define KERNEL_SYSNAME "Linux"
#define KERNEL_RELEASE "6.1.0-carrara"
#define KERNEL_VERSION "#1 SMP Carrara 0.1.0"
#define KERNEL_MACHINE "x86_64"

#define HOSTNAME_SIZE 65

enum hostname_kind { HOST_NAME, DOMAIN_NAME };
/* Copies the machine's host or NIS domain name, terminated. Thread context. */
void hostname_get(enum hostname_kind kind, char out[HOSTNAME_SIZE]);
/* Sets it; at most 64 bytes, else -EINVAL. Thread context. */
int hostname_set(enum hostname_kind kind, const char *name, size_t n);
