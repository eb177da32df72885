/* SPDX-License-Identifier: BSD-3-Clause */
/* Function bounds from .eh_frame_hdr (Linux Standard Base, "Exception Frames"). Pure; distrusts
 * what it reads. */
#pragma once

#include "lib/util.h"

struct eh_reader {
	/* Copies n bytes of the program's memory; false if they are not there. */
	bool (*read)(const struct eh_reader *r, uint64_t addr, void *buf, size_t n);
	void *context;
};

struct eh_function {
	uint64_t start, end;
	bool has_landing_pads; /* an exception may continue inside it */
};

/* The function that holds pc, from the search table of size bytes at hdr. */
bool eh_find_function(
    const struct eh_reader *r, uint64_t hdr, uint64_t size, uint64_t pc, struct eh_function *out);
