/* SPDX-License-Identifier: BSD-3-Clause */
/* An ELF file laid out at its link addresses, for the tests. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>

struct object {
	uint8_t *image; /* by virtual address, from 0 or the lowest segment */
	uint64_t base, size;
	uint64_t eh_frame_hdr, eh_frame_hdr_size; /* 0: none */
};

/* Loads a file; false if it does not exist or is no 64-bit ELF file. */
bool object_load(const char *path, struct object *o);
void object_free(struct object *o);
/* n bytes at a virtual address, or NULL. */
const uint8_t *object_at(const struct object *o, uint64_t addr, size_t n);
