/* SPDX-License-Identifier: BSD-3-Clause */
/* Semaphores, gates, locks, condition variables, queues, pipes, fibers, timers, groups. */
#include <seastar/seastar.h>
#include <seastar/test.h>

#include <stdlib.h>
#include <string.h>

static int running, peak, ended;

SS_FIBER(job, ss_sem *limit; int id;)
{
	ss_auto_units u = {self->limit, 1};

	if (++running > peak)
		peak = running;
	SS_TRY(ss_sleep(SS_USEC * (uint64_t)(50 + self->id % 7 * 30)));
	running--;
	if (self->id == 57)
		return -EIO;
	ended++;
	return 0;
}

SS_TEST(sem_limits)
{
	ss_sem limit = SS_SEM_INIT(10);

	running = peak = ended = 0;
	for (int i = 0; i < 200; i++) {
		SS_TRY(ss_sem_wait(&limit, 1));
		ss_ignore(ss_async(job, &limit, i));
	}
	SS_TRY(ss_sem_wait(&limit, 10));
	SS_CHECK(ended == 199 && peak == 10 && ss_sem_available(&limit) == 0);
	return 0;
}

SS_CONT(hold, ss_sem *s;)
{
	SS_CHECK(ss_sem_available(self->s) == 0);
	return ss_sleep(SS_MSEC);
}

SS_TEST(sem_waits)
{
	ss_sem s = SS_SEM_INIT(2);
	ss_abort as = {0};
	ss_units u;
	ss_future big, small;

	SS_CHECK(ss_sem_try_wait(&s, 1));
	SS_CHECK(ss_await(ss_sem_wait_opts(&s, 2, &(ss_wait_opts){.timeout_ns = SS_MSEC})).err ==
		 -ETIMEDOUT);
	/* A small request behind a big one is served when the big one gives up. */
	big = ss_sem_wait_opts(&s, 2, &(ss_wait_opts){.abort = &as});
	small = ss_sem_wait(&s, 1);
	SS_CHECK(ss_sem_waiters(&s) == 2);
	ss_abort_request(&as, 0);
	SS_CHECK(ss_await(big).err == -ECANCELED);
	SS_TRY(small);
	ss_sem_signal(&s, 2);
	SS_TRY(ss_with_semaphore(&s, 2, hold, &s));
	SS_CHECK(ss_sem_available(&s) == 2);
	SS_TRY(ss_get_units(&s, 2, &u));
	small = ss_sem_wait(&s, 1);
	ss_units_release(&u);
	SS_TRY(small);
	big = ss_sem_wait(&s, 5);
	ss_sem_break(&s, -EPIPE);
	SS_CHECK(ss_await(big).err == -EPIPE);
	SS_CHECK(ss_await(ss_sem_wait(&s, 1)).err == -EPIPE);
	return 0;
}

SS_CONT(nap)
{
	return ss_sleep(2 * SS_MSEC);
}

SS_TEST(gates)
{
	ss_gate g = {0}, empty = {0};
	ss_future a = ss_with_gate(&g, nap), b = ss_with_gate(&g, nap), c;
	ss_result r;

	c = ss_gate_close(&g);
	SS_CHECK(!ss_available(c));
	SS_CHECK(ss_gate_check(&g) == -ESHUTDOWN && ss_gate_enter(&g) == -ESHUTDOWN);
	r = ss_await(ss_with_gate(&g, nap));
	SS_CHECK(r.err == -ESHUTDOWN && strcmp(r.msg, "gate closed") == 0);
	SS_TRY(c);
	SS_TRY(a);
	SS_TRY(b);
	SS_TRY(ss_gate_close(&empty));
	return 0;
}

static int readers, writers;
SS_FIBER(reader, ss_rwlock *l;)
{
	SS_TRY(ss_rwlock_read(self->l));
	readers++;
	SS_CHECK(!writers);
	SS_TRY(ss_sleep(100 * SS_USEC));
	readers--;
	ss_rwlock_read_unlock(self->l);
	return 0;
}
SS_FIBER(writer, ss_rwlock *l;)
{
	SS_TRY(ss_rwlock_write(self->l));
	SS_CHECK(!writers && !readers);
	writers++;
	SS_TRY(ss_sleep(100 * SS_USEC));
	writers--;
	ss_rwlock_write_unlock(self->l);
	return 0;
}

SS_TEST(rwlocks)
{
	ss_rwlock l = {0};
	ss_future fs[30];

	for (int i = 0; i < 30; i++)
		fs[i] = i % 3 ? ss_async(reader, &l) : ss_async(writer, &l);
	SS_TRY(ss_when_all(fs, 30, NULL));
	SS_CHECK(l.holders == 0);
	return 0;
}

static bool is_three(void *p)
{
	return *(int *)p == 3;
}

SS_TEST(condvars)
{
	ss_condvar cv = {0};
	int v = 0;
	ss_future f = ss_condvar_wait_until(&cv, is_three, &v);

	for (int i = 0; i < 3; i++) {
		SS_TRY(ss_sleep(SS_USEC));
		SS_CHECK(!ss_available(f));
		v++;
		SS_CHECK(ss_condvar_signal(&cv));
	}
	SS_TRY(f);
	SS_CHECK(!ss_condvar_signal(&cv));
	SS_CHECK(ss_await(ss_condvar_wait(&cv, &(ss_wait_opts){.timeout_ns = SS_USEC})).err ==
		 -ETIMEDOUT);
	f = ss_condvar_wait(&cv, NULL);
	ss_condvar_break(&cv, -EPIPE);
	SS_CHECK(ss_await(f).err == -EPIPE);
	return 0;
}

SS_FIBER(produce, ss_queue *q; intptr_t n;)
{
	for (intptr_t i = 1; i <= self->n; i++)
		SS_TRY(ss_queue_push(self->q, (void *)i));
	return 0;
}

SS_TEST(queues)
{
	ss_queue q;
	ss_future p, f;

	SS_REQUIRE(ss_queue_init(&q, 3) == 0);
	p = ss_async(produce, &q, 100);
	for (intptr_t i = 1; i <= 100; i++)
		SS_CHECK((intptr_t)SS_TRY_PTR(ss_queue_pop(&q)) == i);
	SS_TRY(p);
	f = ss_queue_pop(&q);
	ss_queue_abort(&q, -ECANCELED);
	SS_CHECK(ss_await(f).err == -ECANCELED);
	SS_CHECK(ss_queue_try_push(&q, &q) == -ECANCELED);
	ss_queue_destroy(&q);
	return 0;
}

SS_FIBER(write_some, ss_pipe_writer *w; int n;)
{
	int64_t err = 0;

	for (int i = 0; i < self->n && !err; i++) {
		void *item = malloc(8);

		err = ss_await(ss_pipe_write(self->w, item)).err;
		if (err)
			free(item);
	}
	ss_pipe_close_writer(self->w);
	return err;
}

SS_TEST(pipes)
{
	ss_pipe_reader *rd;
	ss_pipe_writer *wr;
	ss_future f;
	void *p;
	int n = 0;

	SS_REQUIRE(ss_pipe(4, free, &rd, &wr) == 0);
	f = ss_async(write_some, wr, 50);
	while ((p = SS_TRY_PTR(ss_pipe_read(rd)))) {
		if (n == 10) {
			ss_pipe_unread(rd, p);
			p = SS_TRY_PTR(ss_pipe_read(rd));
		}
		free(p);
		n++;
	}
	SS_CHECK(n == 50);
	ss_pipe_close_reader(rd);
	SS_TRY(f);
	/* The reader leaves early: the writer, who waits, hears of it. */
	SS_REQUIRE(ss_pipe(4, free, &rd, &wr) == 0);
	f = ss_async(write_some, wr, 50);
	free(SS_TRY_PTR(ss_pipe_read(rd)));
	SS_TRY(ss_sleep(SS_MSEC));
	ss_pipe_close_reader(rd);
	SS_CHECK(ss_await(f).err == -EPIPE);
	return 0;
}

SS_FIBER(deep_fiber, int depth;)
{
	if (!self->depth)
		return ss_in_fiber() ? 1 : -EINVAL;
	return SS_TRY(ss_async(deep_fiber, self->depth - 1)) + 1;
}
SS_FIBER(failing)
{
	SS_TRY(ss_sleep(SS_USEC));
	SS_TRY(ss_fail_msg(-EIO, "text"));
	return 0;
}

SS_TEST(fibers)
{
	ss_future fs[300];
	ss_result r = ss_await(ss_async(failing));

	SS_CHECK(r.err == -EIO && r.msg && strcmp(r.msg, "text") == 0);
	SS_CHECK(SS_TRY(ss_async(deep_fiber, 50)) == 51);
	for (int i = 0; i < 300; i++)
		fs[i] = ss_async(deep_fiber, i % 3);
	SS_TRY(ss_when_all(fs, 300, NULL));
	return 0;
}

static int order[8], n_order, ticks;
struct numbered {
	ss_timer t;
	int id;
};
static void fired(ss_timer *t)
{
	order[n_order++] = ((struct numbered *)t)->id;
}
static void ticked(ss_timer *t)
{
	if (++ticks == 5)
		ss_timer_cancel(t);
}

SS_TEST(timers)
{
	struct numbered t[5];
	ss_timer periodic;
	uint64_t start = ss_now(), at = start + 3 * SS_MSEC;
	ss_abort as = {0};
	ss_future f;

	n_order = ticks = 0;
	for (int i = 0; i < 5; i++) {
		ss_timer_init(&t[i].t, fired);
		t[i].id = i;
	}
	ss_timer_arm_at(&t[0].t, at + 2000000);
	ss_timer_arm_at(&t[1].t, at);
	ss_timer_arm_at(&t[2].t, at);
	ss_timer_arm_at(&t[3].t, at + 1000000);
	ss_timer_arm_at(&t[4].t, at + 500);
	SS_CHECK(ss_timer_cancel(&t[3].t) && !ss_timer_cancel(&t[3].t));
	SS_TRY(ss_sleep(8 * SS_MSEC));
	SS_CHECK(ss_now() - start >= 8 * SS_MSEC);
	SS_CHECK(n_order == 4 && order[0] == 1 && order[1] == 2 && order[2] == 4 && order[3] == 0);
	ss_timer_init(&periodic, ticked);
	ss_timer_arm_periodic(&periodic, SS_MSEC);
	SS_TRY(ss_sleep(20 * SS_MSEC));
	SS_CHECK(ticks == 5 && !ss_timer_armed(&periodic));
	f = ss_sleep_abortable(SS_SEC * 100, &as);
	ss_abort_request(&as, -EINTR);
	SS_CHECK(ss_await(f).err == -EINTR);
	SS_TRY(ss_sleep_abortable(SS_USEC, &(ss_abort){0}));
	return 0;
}

/* Against a plain model: random arming and cancelling, fired in order of deadline. */
SS_TEST(timer_heap)
{
	enum { N = 500 };
	static struct numbered t[N];
	unsigned seed = 1;
	uint64_t base = ss_now() + SS_SEC * 1000;
	int armed = 0;

	for (int i = 0; i < N; i++)
		ss_timer_init(&t[i].t, fired);
	for (int round = 0; round < 20000; round++) {
		struct numbered *x = &t[rand_r(&seed) % N];

		if (rand_r(&seed) % 2) {
			armed += !ss_timer_armed(&x->t);
			ss_timer_arm_at(&x->t, base + (uint64_t)(rand_r(&seed) % 1000));
		} else {
			armed -= ss_timer_cancel(&x->t);
		}
	}
	for (int i = 0; i < N; i++)
		armed -= ss_timer_cancel(&t[i].t);
	SS_CHECK(armed == 0);
	return 0;
}

static volatile bool spinning;
SS_CONT(spin_step)
{
	uint64_t end = ss_now() + 20 * SS_USEC;

	while (ss_now() < end)
		;
	return spinning ? ss_yield() : SS_STOP;
}
SS_CONT(spin)
{
	return ss_repeat(spin_step);
}

SS_TEST(groups)
{
	ss_sched_group a = (ss_sched_group)SS_TRY(ss_sched_group_create("a", 300));
	ss_sched_group b = (ss_sched_group)SS_TRY(ss_sched_group_create("b", 100));
	struct ss_sched_stats sa, sb;
	ss_future fa, fb;
	double ratio;

	spinning = true;
	fa = ss_with_sched_group(a, spin);
	fb = ss_with_sched_group(b, spin);
	SS_TRY(ss_sleep(150 * SS_MSEC));
	spinning = false;
	SS_TRY(fa);
	SS_TRY(fb);
	SS_CHECK(ss_sched_group_stats(a, &sa) && ss_sched_group_stats(b, &sb));
	ratio = (double)sa.runtime_ns / (double)sb.runtime_ns;
	SS_CHECK(ratio > 2 && ratio < 4.5);
	SS_CHECK(ss_sched_group_current() == 0);
	SS_TRY(ss_sched_group_destroy(a));
	SS_TRY(ss_sched_group_destroy(b));
	SS_CHECK(ss_await(ss_with_sched_group(a, spin)).err == -EINVAL);
	return 0;
}

static const struct ss_test tests[] = {
    {"sem_limits", sem_limits},
    {"sem_waits", sem_waits},
    {"gates", gates},
    {"rwlocks", rwlocks},
    {"condvars", condvars},
    {"queues", queues},
    {"pipes", pipes},
    {"fibers", fibers},
    {"timers", timers},
    {"timer_heap", timer_heap},
    {"groups", groups},
    {NULL},
};

int main(int argc, char **argv)
{
	return ss_test_main(argc, argv, tests);
}
