/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fibers: stacks with a guard page, pooled per shard, and the switch between them and the reactor.
 * A fiber is only ever entered from its task in the reactor's loop, so there is one place to go
 * back to. The sanitizers are told about each switch.
 */
#include "shard.h"

#include <seastar/fiber.h>

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#ifdef SS_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define STACK_BYTES (256 * 1024)
#else
#define STACK_BYTES (64 * 1024)
#endif
#ifdef SS_TSAN
#include <sanitizer/tsan_interface.h>
#endif

#define GUARD_BYTES 4096
#define POOL_MAX 512

struct ss_fiber {
	struct ss_waiter w;
	void *sp;
	ss_state *done;
	int64_t (*fn)(void *);
	char *stack; /* lowest usable address */
	struct ss_fiber *next_free, *next, *prev;
	const char *msg; /* text of the error noted last */
	int msg_err;
	uint32_t depth;
	bool finished;
	void *fake_stack;
	void *tsan;
	_Alignas(16) char cap[SS_FIBER_CAPTURE_MAX];
};

/*
 * ss_switch(save, to): push the registers a callee must keep, remember the stack pointer in *save,
 * continue on the stack `to`.
 */
void ss_switch(void **save, void *to);

#if defined(__x86_64__)
__asm__(".text\n"
	".globl ss_switch\n"
	".hidden ss_switch\n"
	".type ss_switch,@function\n"
	"ss_switch:\n"
	"	.cfi_startproc\n"
	"	push %rbp\n"
	"	push %rbx\n"
	"	push %r12\n"
	"	push %r13\n"
	"	push %r14\n"
	"	push %r15\n"
	"	mov %rsp,(%rdi)\n"
	"	mov %rsi,%rsp\n"
	"	pop %r15\n"
	"	pop %r14\n"
	"	pop %r13\n"
	"	pop %r12\n"
	"	pop %rbx\n"
	"	pop %rbp\n"
	"	ret\n"
	"	.cfi_endproc\n"
	".size ss_switch,.-ss_switch\n");
#else
#error "the fiber switch is written for x86-64"
#endif

static void leave_fiber(struct ss_shard *sh, struct ss_fiber *f)
{
#ifdef SS_ASAN
	__sanitizer_start_switch_fiber(&f->fake_stack, sh->main_stack, sh->main_stack_size);
#endif
#ifdef SS_TSAN
	__tsan_switch_to_fiber(sh->tsan_main, 0);
#endif
	ss_switch(&f->sp, sh->main_sp);
#ifdef SS_ASAN
	__sanitizer_finish_switch_fiber(f->fake_stack, &sh->main_stack, &sh->main_stack_size);
#endif
}

static void enter_fiber(struct ss_shard *sh, struct ss_fiber *f)
{
	sh->fiber = f;
#ifdef SS_ASAN
	__sanitizer_start_switch_fiber(&sh->main_fake_stack, f->stack, STACK_BYTES);
#endif
#ifdef SS_TSAN
	__tsan_switch_to_fiber(f->tsan, 0);
#endif
	ss_switch(&sh->main_sp, f->sp);
#ifdef SS_ASAN
	__sanitizer_finish_switch_fiber(sh->main_fake_stack, NULL, NULL);
#endif
	sh->fiber = NULL;
}

/* What every stack runs: one fiber after another. */
static void fiber_main(void)
{
	struct ss_shard *sh = ss_self;
	struct ss_fiber *f = sh->fiber;

#ifdef SS_ASAN
	__sanitizer_finish_switch_fiber(NULL, &sh->main_stack, &sh->main_stack_size);
#endif
	for (;;) {
		int64_t v = f->fn(f->cap);
		ss_result r = {.i = v, .err = 0};

		if (v < 0) {
			r.err = (int)v;
			r.msg = f->msg_err == r.err ? f->msg : NULL;
		}
		f->finished = true;
		ss_state_set(f->done, r);
		leave_fiber(sh, f);
	}
}

static void fiber_destroy(struct ss_shard *sh, struct ss_fiber *f)
{
	if (f->prev)
		f->prev->next = f->next;
	else
		sh->all_fibers = f->next;
	if (f->next)
		f->next->prev = f->prev;
#ifdef SS_TSAN
	__tsan_destroy_fiber(f->tsan);
#endif
	munmap(f->stack - GUARD_BYTES, STACK_BYTES + GUARD_BYTES);
	ss_free(f);
}

static void fiber_run(ss_task *t)
{
	struct ss_shard *sh = ss_self;
	struct ss_fiber *f = ss_container_of(t, struct ss_fiber, w.task);
	uint32_t depth = sh->turn.depth;

	sh->turn.depth = f->depth;
	enter_fiber(sh, f);
	f->depth = sh->turn.depth;
	sh->turn.depth = depth;
	if (!f->finished)
		return;
	if (sh->n_free_fibers >= POOL_MAX) {
		fiber_destroy(sh, f);
		return;
	}
	f->next_free = sh->free_fibers;
	sh->free_fibers = f;
	sh->n_free_fibers++;
}

/* The first entry "returns" into fiber_main with registers of zero. */
static void *fresh_stack(char *low)
{
	void **sp = (void **)(low + STACK_BYTES);

	*--sp = NULL;
	*--sp = (void *)fiber_main;
	sp -= 6;
	memset(sp, 0, 6 * sizeof(*sp));
	return sp;
}

static struct ss_fiber *fiber_new(struct ss_shard *sh)
{
	struct ss_fiber *f = ss_alloc(sizeof(*f));
	char *map;

	if (!f)
		return NULL;
	map = mmap(NULL, STACK_BYTES + GUARD_BYTES, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
	if (map == MAP_FAILED) {
		ss_free(f);
		return NULL;
	}
	mprotect(map, GUARD_BYTES, PROT_NONE);
	memset(f, 0, sizeof(*f));
	f->stack = map + GUARD_BYTES;
	f->sp = fresh_stack(f->stack);
#ifdef SS_TSAN
	f->tsan = __tsan_create_fiber(0);
	if (!sh->tsan_main)
		sh->tsan_main = __tsan_get_current_fiber();
#endif
	f->next = sh->all_fibers;
	if (f->next)
		f->next->prev = f;
	sh->all_fibers = f;
	return f;
}

ss_future ss_async_(int64_t (*fn)(void *), const void *cap, size_t size)
{
	struct ss_shard *sh = ss_self;
	struct ss_fiber *f = sh->free_fibers;
	ss_state *s;
	ss_future r = ss_pending(&s);

	if (!s)
		return r;
	if (f) {
		sh->free_fibers = f->next_free;
		sh->n_free_fibers--;
	} else {
		f = fiber_new(sh);
		if (!f) {
			ss_state_free(s);
			return ss_fail(-ENOMEM);
		}
	}
	ss_task_init(&f->w.task, fiber_run);
	f->w.in = NULL;
	f->fn = fn;
	f->done = s;
	f->finished = false;
	f->depth = 0;
	f->msg_err = 0;
	memcpy(f->cap, cap, size);
	ss_schedule(&f->w.task);
	return r;
}

static void outside(void)
{
	ss_log(SS_LOG_ERROR, "ss_await() was called outside a fiber");
	abort();
}

ss_result ss_await_(ss_future f)
{
	struct ss_shard *sh = ss_self;
	struct ss_fiber *me = sh->fiber;
	ss_result r;

	if (ss_unlikely(!me))
		outside();
	if (ss_wait_on(&me->w, f, &r)) {
		if (ss_likely(!ss_preempt(sh)))
			return r;
		ss_schedule(&me->w.task);
		leave_fiber(sh, me);
		return r;
	}
	leave_fiber(sh, me);
	return ss_waiter_take(&me->w);
}

bool ss_in_fiber(void)
{
	return ss_self && ss_self->fiber;
}

void ss_fiber_note_error(ss_result r)
{
	struct ss_fiber *me = ss_self->fiber;

	me->msg = r.msg;
	me->msg_err = r.err;
}

void ss_fibers_fini(struct ss_shard *sh)
{
	while (sh->all_fibers)
		fiber_destroy(sh, sh->all_fibers);
	sh->free_fibers = NULL;
	sh->n_free_fibers = 0;
}
