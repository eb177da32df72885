/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A driver thread and a device thread on one virtqueue, each asleep unless the other notifies it (a
 * lost notification hangs until the test's alarm), and combine() between threads. Under
 * ThreadSanitizer.
 */
#include <assert.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "lib/combine.h"
#include "ring_device.h"

enum { TRANSFERS = 20000, POSTS = 20000, POSTERS = 4 };

static struct virtq q;
static struct ring_device dev;
static sem_t notify, interrupt;
static unsigned served;

struct transfer {
	uint32_t question, answer;
};

static void *device_thread(void *arg)
{
	struct ring_buffer b;
	(void)arg;
	while (served < TRANSFERS) {
		while (ring_pop(&dev, &b)) {
			uint32_t v;
			assert(b.npieces == 2 && b.piece[1].write);
			memcpy(&v, b.piece[0].p, 4);
			v = ~v;
			memcpy(b.piece[1].p, &v, 4);
			served++;
			if (ring_push(&dev, &b, 4))
				sem_post(&interrupt);
		}
		if (served < TRANSFERS && !ring_want_notify(&dev))
			sem_wait(&notify);
		ring_no_notify(&dev);
	}
	return NULL;
}

static void run_ring(struct virtq_layout l)
{
	void *mem = calloc(1, virtq_memory(&l)), *records = calloc(1, virtq_record_memory(&l));
	struct transfer *t = calloc(l.size, sizeof *t), *free_list[64];
	unsigned nfree = 0, sent = 0, done = 0;
	pthread_t thread;
	uint32_t written;
	virtq_init(&q, &l, mem, (uint64_t)mem, records);
	ring_device_init(&dev, &q);
	sem_init(&notify, 0, 0);
	sem_init(&interrupt, 0, 0);
	served = 0;
	for (unsigned i = 0; i < l.size; i++)
		free_list[nfree++] = &t[i];
	pthread_create(&thread, NULL, device_thread, NULL);
	while (done < TRANSFERS) {
		struct transfer *r;
		while ((r = virtq_take(&q, &written))) {
			assert(written == 4 && r->answer == ~r->question);
			free_list[nfree++] = r;
			done++;
		}
		assert(!q.broken);
		for (unsigned batch = sent % 7 + 1; batch && nfree && sent < TRANSFERS; batch--) {
			r = free_list[nfree - 1];
			r->question = sent;
			struct virtq_buf buf[2] = {
			    {(uint64_t)&r->question, 4}, {(uint64_t)&r->answer, 4}};
			if (virtq_add(&q, buf, 1, 1, r))
				break;
			nfree--;
			sent++;
		}
		if (virtq_publish(&q))
			sem_post(&notify);
		if (done < TRANSFERS && (sent == TRANSFERS || sent % 3 == 0) && q.in_flight &&
		    !virtq_enable(&q))
			sem_wait(&interrupt);
		virtq_disable(&q);
	}
	pthread_join(thread, NULL);
	free(mem);
	free(records);
	free(t);
}

/* The work of a combiner touches plain data: a second attendant at the same time would be a race.
 */
static struct combiner combiner;
static _Atomic unsigned posted;
static unsigned attended, last_seen;

static void attend(void *arg)
{
	(void)arg;
	attended++;
	last_seen = atomic_load(&posted);
}

static void *post(void *arg)
{
	(void)arg;
	for (int i = 0; i < POSTS; i++) {
		atomic_fetch_add(&posted, 1);
		combine(&combiner, attend, NULL);
	}
	return NULL;
}

static void run_combiner(void)
{
	pthread_t t[POSTERS];
	for (int i = 0; i < POSTERS; i++)
		pthread_create(&t[i], NULL, post, NULL);
	for (int i = 0; i < POSTERS; i++)
		pthread_join(t[i], NULL);
	assert(!combine_busy(&combiner));
	assert(last_seen == POSTERS * POSTS); /* the last post was dealt with */
	assert(attended >= 1 && attended <= 2 * POSTERS * POSTS);
}

int main(void)
{
	alarm(100);
	for (unsigned v = 0; v < 8; v++)
		run_ring((struct virtq_layout){.size = 16,
		    .packed = v & 1,
		    .event_idx = v & 2,
		    .max_indirect = v & 4 ? 4 : 0});
	run_combiner();
	puts("8 ring layouts and the combiner: ok");
	return 0;
}
