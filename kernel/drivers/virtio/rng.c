/* SPDX-License-Identifier: BSD-3-Clause */
/* Virtio entropy source (VIRTIO 1.2, section 5.4): one buffer at a time, on demand. */
#include <asm/errno.h>
#include "core/log.h"
#include "drivers/rng.h"
#include "drivers/virtio/virtio.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/page.h"
#include "sched/sync.h"

enum { BUFFER = 256 };

static struct {
	struct mutex lock;
	struct virtio_device *virtio;
	struct virtq *q;
	uint8_t *buffer;
	struct completion done;
	uint32_t written;
} rng;

static void rng_interrupt(struct virtio_device *d, struct virtq *q)
{
	(void)d;
	if (q != rng.q)
		return;
	void *token = virtq_take(q, &rng.written);
	if (!token && !q->broken)
		return;
	if (q->broken) {
		virtio_fail(d, q->broken);
		rng.written = 0;
	}
	completion_signal(&rng.done);
}

size_t hwrng_read(void *buf, size_t n)
{
	size_t got = 0;
	mutex_lock(&rng.lock);
	while (rng.q && got < n) {
		struct virtq_buf b = {
		    virt_phys(rng.buffer), (uint32_t)MIN(n - got, (size_t)BUFFER)};
		completion_init(&rng.done);
		if (virtq_add(rng.q, &b, 0, 1, rng.buffer))
			break;
		virtio_kick(rng.q);
		completion_wait(&rng.done);
		if (!rng.written) /* nothing to give, or broken */
			break;
		memcpy((char *)buf + got, rng.buffer, rng.written);
		got += rng.written;
	}
	if (rng.buffer)
		memset(rng.buffer, 0, BUFFER);
	mutex_unlock(&rng.lock);
	return got;
}

static int rng_probe(struct virtio_device *d)
{
	int err;
	if (rng.q) /* one is enough */
		return 0;
	err = virtio_negotiate(d, 0);
	if (err)
		return err;
	uint8_t *buffer = kzalloc(BUFFER);
	if (!buffer)
		return -ENOMEM;
	struct virtq *q = virtio_queue(d, 0, 4, 0, 0);
	if (!q) {
		kfree(buffer);
		return -EIO;
	}
	virtio_go(d);
	mutex_lock(&rng.lock);
	rng.virtio = d;
	rng.buffer = buffer;
	rng.q = q;
	mutex_unlock(&rng.lock);
	return 0;
}

const struct virtio_driver virtio_rng_driver = {
    .type = VIRTIO_RNG,
    .name = "virtio-rng",
    .probe = rng_probe,
    .interrupt = rng_interrupt,
};
