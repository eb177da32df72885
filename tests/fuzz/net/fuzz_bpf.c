/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzz target: socket filters. A program that passes the check ends with a result, whatever it and
 * the packet are, and reads nothing but the packet. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/packet/bpf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static unsigned reads;

static bool read_packet(const struct bpf_packet *p, uint32_t off, void *to, uint32_t n)
{
	reads++;
	if (n != 1 && n != 2 && n != 4)
		abort();
	if (off > p->len || n > p->len - off)
		return false;
	memcpy(to, (const uint8_t *)p->data + off, n);
	return true;
}

/* First byte: number of instructions; then those; the rest is the packet. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct sock_filter prog[255];
	unsigned len = n ? data[0] : 0;

	if (!len || n < 1 + len * sizeof prog[0])
		return 0;
	memcpy(prog, data + 1, len * sizeof prog[0]);
	if (bpf_check(prog, len))
		return 0;
	struct bpf_packet p = {.read = read_packet,
	    .data = data + 1 + len * sizeof prog[0],
	    .len = (uint32_t)(n - 1 - len * sizeof prog[0]),
	    .net_off = 14};
	reads = 0;
	uint32_t first = bpf_run(prog, &p);
	if (reads > len) /* jumps only go forward: each instruction once at most */
		abort();
	if (bpf_run(prog, &p) != first)
		abort();
	return 0;
}
