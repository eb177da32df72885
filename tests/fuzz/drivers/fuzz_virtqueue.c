/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The driver's side of a virtqueue against a device that writes anything anywhere in the ring
 * memory it may write. The driver must stay within its memory, give each token back at most once,
 * and never claim more bytes than a buffer holds.
 */
#include <stdlib.h>
#include <string.h>
#include "drivers/virtio/virtqueue.h"

enum { SIZE = 16, TOKENS = 64, PIECE = 32 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void require(bool ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct virtq q;
	static char token[TOKENS];
	bool flying[TOKENS] = {false};
	unsigned next = 0;
	if (n < 2)
		return 0;
	struct virtq_layout l = {.size = SIZE,
	    .packed = data[0] & 1,
	    .event_idx = data[0] & 2,
	    .max_indirect = data[0] & 4 ? 4 : 0};
	size_t size = virtq_memory(&l);
	uint8_t *mem = calloc(1, size), *records = calloc(1, virtq_record_memory(&l));
	virtq_init(&q, &l, mem, (uint64_t)mem, records);
	/* What the device may write: the used part; of a packed ring all of it. */
	size_t from = l.packed ? 0 : q.device_phys - q.desc_phys, room = size - from;
	for (size_t i = 1; i + 4 <= n; i += 4) {
		uint32_t written;
		char *t;
		switch (data[i] % 4) {
		case 0:
		case 1: {
			unsigned nout = data[i + 1] % 4, nin = data[i + 2] % 4;
			struct virtq_buf buf[6];
			for (unsigned k = 0; k < nout + nin; k++)
				buf[k] = (struct virtq_buf){0x1000, PIECE};
			while (next < TOKENS && flying[next])
				next++;
			if (next == TOKENS)
				next = 0;
			if (!flying[next] && !virtq_add(&q, buf, nout, nin, &token[next]))
				flying[next] = true;
			virtq_publish(&q);
			break;
		}
		case 2:
			memcpy(mem + from + (data[i + 1] | data[i + 2] << 8) % (room - 1),
			    &data[i + 2], 2);
			break;
		case 3:
			while ((t = virtq_take(&q, &written))) {
				require(t >= token && t < token + TOKENS && flying[t - token]);
				require(written <= 3 * PIECE);
				flying[t - token] = false;
			}
			if (data[i + 1] & 1)
				virtq_disable(&q);
			else if (data[i + 1] & 2)
				virtq_enable_late(&q);
			else
				virtq_enable(&q);
			break;
		}
		require(q.free <= SIZE && q.in_flight <= SIZE);
	}
	for (char *t; (t = virtq_abandon(&q));) {
		require(flying[t - token]);
		flying[t - token] = false;
	}
	for (unsigned i = 0; i < TOKENS; i++)
		require(!flying[i]);
	free(mem);
	free(records);
	return 0;
}
