/* SPDX-License-Identifier: BSD-3-Clause */
/* Tap device as the wire of a hs_stack, with impairments injected in both directions. */
#ifndef TAP_H
#define TAP_H

#include "hoststack.h"

struct tap_impair {
	uint32_t loss, duplicate, reorder, corrupt; /* parts per million */
	uint64_t delay_ns;
};

struct tap_held {
	struct tap_held *next;
	uint64_t at;
	bool to_engine;
	size_t len;
	uint8_t data[];
};

struct tap {
	struct hs_stack s; /* first */
	int fd;
	uint32_t ifindex;
	bool offload; /* frames carry a virtio-net header with checksum and segmentation */
	struct tap_impair imp;
	uint64_t rng;
	struct tap_held *held; /* sorted by time */
	uint64_t frames_in, frames_out, dropped;
};

/* Opens (creates) the device in the current network namespace. 0 or a negative errno. */
int tap_open(struct tap *t, const char *name, bool offload);
/* Adds the interface to the engine. */
int tap_attach(struct tap *t, const uint8_t mac[6], uint32_t mtu);
/* One round: waits for frames or time (at most max_ms), then runs the engine. */
void tap_poll(struct tap *t, int max_ms);

#endif
