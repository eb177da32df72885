/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Virtqueues against a simulated device: random traffic in every ring layout with checked contents,
 * notifications that must not be lost, completions that break the rules.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "ring_device.h"

enum { PIECE = 16, STEPS = 20000 };

/* One queue, its device, and what the test knows about it. */
struct bench {
	struct virtq q;
	struct ring_device d;
	struct virtq_layout layout;
	void *mem, *records;
	uint64_t random;
};

/* A buffer under way: pieces of PIECE bytes, the first nout filled with `seed`. */
struct transfer {
	unsigned nout, nin;
	uint8_t seed;
	bool done;
	uint8_t data[MAX_PIECES][PIECE];
};

static uint64_t next_random(struct bench *b)
{
	b->random ^= b->random << 13;
	b->random ^= b->random >> 7;
	return b->random ^= b->random << 17;
}

static void set_up(struct bench *b, struct virtq_layout l)
{
	*b = (struct bench){.layout = l, .random = 88172645463325252ull};
	b->mem = aligned_alloc(4096, (virtq_memory(&l) + 4095) & ~4095ul);
	memset(b->mem, 0, virtq_memory(&l));
	b->records = calloc(1, virtq_record_memory(&l));
	virtq_init(&b->q, &l, b->mem, (uint64_t)b->mem, b->records);
	ring_device_init(&b->d, &b->q);
}

static void tear_down(struct bench *b)
{
	free(b->mem);
	free(b->records);
}

static int add(struct bench *b, struct transfer *t)
{
	struct virtq_buf buf[MAX_PIECES];
	for (unsigned i = 0; i < t->nout + t->nin; i++) {
		memset(t->data[i], i < t->nout ? t->seed : 0xee, PIECE);
		buf[i] = (struct virtq_buf){(uint64_t)t->data[i], PIECE};
	}
	return virtq_add(&b->q, buf, t->nout, t->nin, t);
}

/* The device's work on a buffer: all readable bytes are alike; it answers with that byte plus one.
 */
static uint32_t serve(const struct ring_buffer *r)
{
	uint8_t seed = 0;
	uint32_t written = 0;
	for (unsigned i = 0; i < r->npieces; i++) {
		if (!r->piece[i].write)
			seed = r->piece[i].p[0];
		for (uint32_t k = 0; k < r->piece[i].len; k++) {
			if (r->piece[i].write)
				r->piece[i].p[k] = (uint8_t)(seed + 1);
			else
				assert_int_equal(r->piece[i].p[k], seed);
		}
		written += r->piece[i].write ? r->piece[i].len : 0;
	}
	return written;
}

static void check_done(struct transfer *t, uint32_t written)
{
	assert_int_equal(written, t->nin * PIECE);
	for (unsigned i = 0; i < t->nin; i++)
		for (unsigned k = 0; k < PIECE; k++)
			assert_int_equal(
			    t->data[t->nout + i][k], t->nout ? (uint8_t)(t->seed + 1) : 1);
	t->done = true;
}

static void random_traffic(struct virtq_layout l)
{
	struct bench b;
	struct ring_buffer held[256];
	unsigned nheld = 0, added = 0, completed = 0, largest = 0;
	bool driver_waits = false, device_waits = false, interrupted = false, notified = false;
	set_up(&b, l);
	for (unsigned step = 0; step < STEPS; step++) {
		uint64_t r = next_random(&b);
		switch (r % 6) {
		case 0:
		case 1: { /* the driver queues a few and publishes */
			for (unsigned n = r >> 8 & 7; n; n--) {
				struct transfer *t = calloc(1, sizeof *t);
				t->nout = (unsigned)(next_random(&b) % 5);
				t->nin = (unsigned)(next_random(&b) % 5) + !t->nout;
				t->seed = (uint8_t)added;
				int err = add(&b, t);
				if (err) {
					assert_true(err == -28 ||
						    (err == -22 && t->nout + t->nin > l.size));
					free(t);
					break;
				}
				added++;
			}
			if (virtq_publish(&b.q))
				notified = true;
			break;
		}
		case 2: /* the device takes some */
			ring_no_notify(&b.d);
			device_waits = false;
			while (nheld < 256 && next_random(&b) % 4 && ring_pop(&b.d, &held[nheld]))
				nheld++;
			break;
		case 3: /* and completes some, in any order */
			while (nheld && next_random(&b) % 4) {
				unsigned i = (unsigned)(next_random(&b) % nheld);
				if (ring_push(&b.d, &held[i], serve(&held[i])))
					interrupted = true;
				held[i] = held[--nheld];
			}
			break;
		case 4: { /* the driver takes what is complete, then waits */
			struct transfer *t;
			uint32_t written;
			unsigned in_row = 0;
			virtq_disable(&b.q);
			do {
				while ((t = virtq_take(&b.q, &written))) {
					check_done(t, written);
					free(t);
					completed++;
					in_row++;
				}
			} while (virtq_enable(&b.q));
			driver_waits = true;
			interrupted = false;
			largest = in_row > largest ? in_row : largest;
			break;
		}
		case 5: /* the device has nothing more to take and waits */
			while (nheld < 256 &&
			       (ring_pop(&b.d, &held[nheld]) ? nheld++, 1 : ring_want_notify(&b.d)))
				;
			if (nheld < 256) {
				device_waits = true;
				notified = false;
			}
			break;
		}
		/* Nobody sleeps while there is work for it. */
		uint16_t used = l.packed ? 0 : (uint16_t)(b.d.used_idx - b.q.last_used);
		bool more_used =
		    l.packed ? b.d.used_idx != b.q.next_used || b.d.used_wrap != b.q.used_wrap
			     : used;
		if (driver_waits && more_used)
			assert_true(interrupted);
		struct ring_buffer peek;
		struct ring_device copy = b.d;
		if (device_waits && ring_pop(&copy, &peek))
			assert_true(notified);
		assert_null(b.q.broken);
		assert_true(b.q.free <= l.size && b.q.in_flight <= l.size);
	}
	/* Everything comes back, and the ring is whole again. */
	virtq_publish(&b.q);
	while (nheld || ring_pop(&b.d, &held[nheld++]))
		if (nheld) {
			nheld--;
			ring_push(&b.d, &held[nheld], serve(&held[nheld]));
			struct transfer *t;
			uint32_t written;
			while ((t = virtq_take(&b.q, &written))) {
				check_done(t, written);
				free(t);
				completed++;
			}
		}
	assert_int_equal(added, completed);
	assert_true(added > 300);
	assert_true(l.size < 8 || largest > 1);
	assert_int_equal(b.q.free, l.size);
	assert_int_equal(b.q.in_flight, 0);
	tear_down(&b);
}

static void test_traffic(void **state)
{
	(void)state;
	for (unsigned v = 0; v < 16; v++) {
		struct virtq_layout l = {
		    .size = v & 1 ? 8 : 64,
		    .packed = v & 2,
		    .event_idx = v & 4,
		    .max_indirect = v & 8 ? 16 : 0,
		};
		random_traffic(l);
	}
	random_traffic((struct virtq_layout){.size = 7, .packed = true, .event_idx = true});
	random_traffic((struct virtq_layout){.size = 1, .max_indirect = 16, .event_idx = true});
	random_traffic((struct virtq_layout){.size = 16, .legacy = true});
}

/* enable_late: with n in flight, no interrupt before three quarters are complete, and one then. */
static void test_late(void **state)
{
	(void)state;
	for (unsigned packed = 0; packed < 2; packed++) {
		struct bench b;
		struct transfer t[16];
		struct ring_buffer r[16];
		unsigned at = 0;
		set_up(&b, (struct virtq_layout){.size = 16, .packed = packed, .event_idx = true});
		for (unsigned i = 0; i < 16; i++) {
			t[i] = (struct transfer){.nout = 1, .seed = 3};
			assert_int_equal(add(&b, &t[i]), 0);
		}
		virtq_publish(&b.q);
		assert_false(virtq_enable_late(&b.q));
		for (unsigned i = 0; i < 16; i++) {
			assert_true(ring_pop(&b.d, &r[i]));
			if (ring_push(&b.d, &r[i], 0) && !at)
				at = i + 1;
		}
		assert_int_equal(at, 13);
		assert_true(virtq_enable_late(&b.q));
		tear_down(&b);
	}
}

/* A batch is one publication: the device sees nothing of it before. */
static void test_batch(void **state)
{
	(void)state;
	for (unsigned packed = 0; packed < 2; packed++) {
		struct bench b;
		struct transfer t[3];
		struct ring_buffer r;
		set_up(&b, (struct virtq_layout){.size = 8, .packed = packed});
		for (unsigned i = 0; i < 3; i++) {
			t[i] = (struct transfer){.nout = 2, .seed = 3};
			assert_int_equal(add(&b, &t[i]), 0);
			assert_false(ring_pop(&b.d, &r));
		}
		assert_int_equal(add(&b, &t[0]), 0); /* 8 descriptors: full */
		assert_int_equal(add(&b, &t[0]), -28);
		assert_true(virtq_publish(&b.q));
		assert_false(virtq_publish(&b.q));
		for (unsigned i = 0; i < 4; i++)
			assert_true(ring_pop(&b.d, &r));
		assert_false(ring_pop(&b.d, &r));
		tear_down(&b);
	}
}

/* Completions that a correct device never makes. */
enum crime { UNKNOWN_ID, TWICE, TOO_LONG, HUGE_ID, FROM_NOWHERE };

static void commit(enum crime crime, bool packed)
{
	struct bench b;
	struct transfer t[2] = {{.nin = 1}, {.nin = 1}};
	struct ring_buffer r = {.count = 1};
	uint32_t written;
	set_up(&b, (struct virtq_layout){.size = 8, .packed = packed, .max_indirect = 4});
	if (crime != FROM_NOWHERE) {
		assert_int_equal(add(&b, &t[0]), 0);
		assert_int_equal(add(&b, &t[1]), 0);
		virtq_publish(&b.q);
		assert_true(ring_pop(&b.d, &r));
	}
	if (crime == UNKNOWN_ID)
		r.id = 5;
	if (crime == HUGE_ID)
		r.id = 0xffff;
	ring_push(&b.d, &r, crime == TOO_LONG ? PIECE + 1 : PIECE);
	if (crime == TWICE) {
		assert_ptr_equal(virtq_take(&b.q, &written), &t[0]);
		ring_push(&b.d, &r, PIECE);
	}
	assert_null(virtq_take(&b.q, &written));
	assert_non_null(b.q.broken);
	assert_int_equal(add(&b, &t[0]), -5);
	assert_false(virtq_publish(&b.q));
	assert_false(virtq_enable(&b.q));
	unsigned back = 0;
	while (virtq_abandon(&b.q))
		back++;
	assert_int_equal(back, crime == FROM_NOWHERE ? 0 : crime == TWICE ? 1 : 2);
	tear_down(&b);
}

static void test_crimes(void **state)
{
	(void)state;
	for (enum crime c = UNKNOWN_ID; c <= FROM_NOWHERE; c++) {
		commit(c, false);
		commit(c, true);
	}
	/* An index that runs ahead of everything in flight. */
	struct bench b;
	uint32_t written;
	set_up(&b, (struct virtq_layout){.size = 8});
	b.d.used[1] = 9;
	assert_null(virtq_take(&b.q, &written));
	assert_non_null(b.q.broken);
	tear_down(&b);
}

static void test_too_large(void **state)
{
	(void)state;
	struct bench b;
	struct transfer t = {.nout = 9};
	set_up(&b, (struct virtq_layout){.size = 8, .max_indirect = 4});
	assert_int_equal(add(&b, &t), -22);
	t.nout = 0;
	assert_int_equal(add(&b, &t), -22);
	tear_down(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_traffic),
	    cmocka_unit_test(test_late),
	    cmocka_unit_test(test_batch),
	    cmocka_unit_test(test_crimes),
	    cmocka_unit_test(test_too_large),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
