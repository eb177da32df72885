/* SPDX-License-Identifier: BSD-3-Clause */
/* The devices that are only software. */
#pragma once

/* Registers null, zero, full, random, urandom and kmsg. Thread context, once. */
void memdev_init(void);
