/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random numbers. One pool key is made of everything random_add() was given; each CPU draws its own
 * generator key from it, and draws again whenever the pool has changed. A generator overwrites its
 * key with the first half block of each output ("fast key erasure"), so what was given out cannot
 * be computed from the state later.
 *
 * The generators need no lock: the kernel is not preempted and generate() does not sleep.
 */
#include "core/random.h"
#include <linux/random.h>
#include "arch/x86/cpu.h"
#include "arch/x86/machine.h"
#include "arch/x86/percpu.h"
#include "lib/chacha.h"
#include "lib/iter.h"
#include "lib/string.h"
#include "sched/sync.h"
#include "sched/timer.h"
#include "sys/syscall.h"

#define JITTER_SAMPLES 512

struct generator {
	uint8_t key[CHACHA_KEY];
	uint64_t generation;
};

static struct mutex pool_lock = MUTEX_INIT;
static uint8_t pool_key[CHACHA_KEY];
static _Atomic uint64_t pool_generation = 1;
static struct generator generators[MAX_CPUS];
static const uint8_t nonce_pool[12] = "pool", nonce_cpu[12] = "cpu", nonce_out[12] = "out";

static void absorb(const uint8_t *p, size_t n)
{
	uint8_t block[CHACHA_BLOCK];
	while (n) {
		size_t k = MIN(n, (size_t)CHACHA_KEY);
		for (size_t i = 0; i < k; i++)
			pool_key[i] ^= p[i];
		/* The length keeps "a" and "a\0" apart. */
		chacha20_block(pool_key, k, nonce_pool, block);
		memcpy(pool_key, block, CHACHA_KEY);
		p += k;
		n -= k;
	}
	memset(block, 0, sizeof block);
}

void random_add(const void *buf, size_t n)
{
	mutex_lock(&pool_lock);
	uint64_t t = rdtsc();
	absorb((const uint8_t *)&t, sizeof t);
	absorb(buf, n);
	atomic_fetch_add(&pool_generation, 1);
	mutex_unlock(&pool_lock);
}

static void draw_key(uint8_t key[CHACHA_KEY], uint64_t *generation)
{
	uint8_t block[CHACHA_BLOCK];
	mutex_lock(&pool_lock);
	chacha20_block(pool_key, 0, nonce_cpu, block);
	memcpy(pool_key, block, CHACHA_KEY);
	memcpy(key, block + CHACHA_KEY, CHACHA_KEY);
	*generation = atomic_load(&pool_generation);
	mutex_unlock(&pool_lock);
	memset(block, 0, sizeof block);
}

/* At most some KiB in one go: no preemption point inside. */
static void generate(struct generator *g, uint8_t *p, size_t n)
{
	uint8_t block[CHACHA_BLOCK];
	chacha20_block(g->key, 0, nonce_out, block);
	size_t k = MIN(n, (size_t)CHACHA_KEY);
	memcpy(p, block + CHACHA_KEY, k);
	uint8_t key[CHACHA_KEY];
	memcpy(key, g->key, CHACHA_KEY);
	memcpy(g->key, block, CHACHA_KEY);
	for (uint32_t counter = 1; k < n; counter++) {
		chacha20_block(key, counter, nonce_out, block);
		size_t m = MIN(n - k, (size_t)CHACHA_BLOCK);
		memcpy(p + k, block, m);
		k += m;
	}
	memset(block, 0, sizeof block);
	memset(key, 0, sizeof key);
}

void random_bytes(void *buf, size_t n)
{
	uint8_t *p = buf;
	while (n) {
		struct generator *g = &generators[this_cpu()->id];
		while (g->generation != atomic_load(&pool_generation)) {
			struct generator fresh;
			draw_key(
			    fresh.key, &fresh.generation); /* may sleep and come back elsewhere */
			g = &generators[this_cpu()->id];
			for (size_t i = 0; i < CHACHA_KEY; i++)
				g->key[i] ^= fresh.key[i];
			g->generation = fresh.generation;
		}
		size_t k = MIN(n, (size_t)4096);
		generate(g, p, k);
		p += k;
		n -= k;
	}
}

uint64_t random_u64(void)
{
	uint64_t v;
	random_bytes(&v, sizeof v);
	return v;
}

/* The time memory and arithmetic take varies with caches, interrupts and the host: a bit or less
 * each. */
static void add_jitter(void)
{
	static uint8_t scratch[4096];
	uint64_t samples[JITTER_SAMPLES / 8], last = rdtsc();
	uint32_t at = 1;
	for (int round = 0; round < 8; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
			for (int k = 0; k < 16; k++) {
				at = at * 1664525 + 1013904223 + (uint32_t)last;
				scratch[at >> 20] += at;
			}
			uint64_t now = rdtsc();
			samples[i] = now - last;
			last = now;
		}
		random_add(samples, sizeof samples);
	}
}

void random_init(void)
{
	uint64_t seed[8];
	size_t n = cpu_random(seed, sizeof seed);
	random_add(seed, n);
	int64_t wall = time_wall();
	random_add(&wall, sizeof wall);
	add_jitter();
}

long random_read(struct iter *to)
{
	uint8_t buf[512];
	long done = 0;
	while (to->count) {
		size_t n = MIN(to->count, sizeof buf);
		random_bytes(buf, n);
		size_t moved = iter_to(to, buf, n);
		done += moved;
		if (moved < n) {
			done = done ? done : -EFAULT;
			break;
		}
		preempt_point();
		/* Linux's rule: what is asked for in up to 256 bytes is never cut short. */
		if (done >= 4096 && signal_pending())
			break;
	}
	memset(buf, 0, sizeof buf);
	return done;
}

SYSCALL(getrandom, void __user *buf, size_t n, unsigned flags)
{
	if (flags & ~(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE) ||
	    (flags & (GRND_RANDOM | GRND_INSECURE)) == (GRND_RANDOM | GRND_INSECURE))
		return -EINVAL;
	struct iter to;
	iter_user(&to, buf, MIN(n, (size_t)INT32_MAX));
	return random_read(&to);
}
