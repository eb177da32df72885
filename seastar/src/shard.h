/* SPDX-License-Identifier: BSD-3-Clause */
/* What the parts of the library share: the shard, tasks, the state behind a future, memory cells.
 */
#ifndef SS_SHARD_H
#define SS_SHARD_H

#include <seastar/abort.h>
#include <seastar/future.h>
#include <seastar/log.h>
#include <seastar/mem.h>
#include <seastar/sched.h>
#include <seastar/smp.h>
#include <seastar/sync.h>
#include <seastar/timer.h>

#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define SS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SS_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define SS_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SS_TSAN 1
#endif
#endif

#define ss_likely(x) __builtin_expect(!!(x), 1)
#define ss_unlikely(x) __builtin_expect(!!(x), 0)
#define ss_container_of(p, type, member) ((type *)((char *)(p)-offsetof(type, member)))

/* Something to run once. Lives inside the object it works for. */
typedef struct ss_task {
	struct ss_task *next;
	void (*run)(struct ss_task *t);
	uint16_t group; /* index of the scheduling group it runs in */
	uint8_t flags;	/* of the object around it */
	uint8_t cells;	/* size of the object around it in cells; 0: from ss_alloc() */
} ss_task;

/* One who waits for a state. `in` follows the state when a chain is spliced. */
struct ss_waiter {
	ss_task task;
	ss_state *in;
};

/* A continuation that waits for its turn. */
struct ss_cont {
	struct ss_cont *next;
	ss_cont_fn fn;
	uint32_t size; /* of the captures */
	uint8_t kind;
	uint8_t oom_after; /* a continuation that should have come next found no memory */
	_Alignas(16) char cap[];
};

enum {
	SS_STATE_DETACHED = 1, /* nobody will take the result */
	SS_STATE_SILENT = 2,   /* ... and a failure is of no interest */
	SS_STATE_OOM = 4,      /* the next step found no memory */
};

/*
 * The state behind a pending future stands for a whole chain: the operation at its start and the
 * continuations attached since (a circular list, known by its last). While a continuation's own
 * future is pending the state waits for that with `w`. When the chain has ended, r is final and the
 * waiter, if there is one, is scheduled.
 */
struct ss_state {
	ss_result r;
	struct ss_waiter w;
	struct ss_waiter *waiter;
	struct ss_cont *tail;
};
_Static_assert(sizeof(struct ss_state) == 64, "a state is one cell");

#define SS_CELL 64
#define SS_CELL_CLASSES 9  /* 1..8 cells are pooled */
#define SS_CELL_RESERVE 32 /* blocks kept for what must not fail */
#define SS_MAX_GROUPS 64

struct ss_group {
	ss_task *head;
	ss_task **tail;
	bool active;
	bool used;
	uint16_t parent;
	float shares;
	uint64_t vruntime; /* run time divided by shares: who has least goes next */
	uint64_t runtime;  /* ns */
	uint64_t tasks;
	char name[24];
};

struct ss_fiber;
struct ss_backend;
struct ss_reactor;
struct ss_output;
struct ss_mem;

struct ss_cell {
	struct ss_cell *next;
};

struct ss_shard {
	/* Preemption: the ticker's signal handler advances tick; a slice is over when it moved. */
	struct ss_turn turn; /* first: ss_turn_self points to it */
	bool preempt_always;
	bool no_ticker; /* slices end by count */
	bool running_tasks;
	uint16_t group; /* of the running task */
	struct ss_cell *cells[SS_CELL_CLASSES];
	bool inject; /* allocation failures are wanted */
	bool cells_closed;
	unsigned n_active; /* groups with tasks */
	uint64_t min_vruntime;
	uint64_t tasks_run;
	struct ss_fiber *fiber; /* running, or NULL */

	unsigned id;
	struct ss_reactor *reactor;
	uint64_t now; /* clock at the last look */

	/* injection */
	uint64_t inject_after, inject_seen, inject_failed;
	bool inject_once;

	/* cells */
	void *chunks; /* list of blocks the cells are cut from */
	void *reserve[SS_CELL_RESERVE];
	unsigned n_reserve;
	uint64_t cells_live;
	uint64_t ignored_failures;

	/* fibers */
	struct ss_fiber *free_fibers, *all_fibers;
	unsigned n_free_fibers;
	void *main_sp;
	const void *main_stack; /* for the sanitizers */
	size_t main_stack_size;
	void *main_fake_stack;
	void *tsan_main;

	/* timers */
	struct ss_timer *timers;
	uint64_t timer_seq;

	/* output streams to flush at the end of the turn */
	struct ss_output *flush_head, **flush_tail;

	struct ss_mem *mem;

	struct ss_group groups[SS_MAX_GROUPS];

	/* Statistics and the stall detector; the handler runs on this thread. */
	_Atomic uint64_t turns;
	_Atomic uint64_t task_serial; /* advances with each task */
	uint64_t stall_serial;
	uint32_t stall_ticks;
	_Atomic uint64_t stalls;
	uint64_t idle_ns, sleeps, polls;
	uint64_t smp_sent;		    /* messages */
	uint64_t net_rx, net_tx, net_conns; /* bytes, and connections that are open */
	uint64_t start_ns;
};

/* Full fence; ThreadSanitizer does not know the C11 one. */
static inline void ss_fence(void)
{
#ifdef SS_TSAN
	__asm__ volatile("mfence" ::: "memory");
#else
	atomic_thread_fence(memory_order_seq_cst);
#endif
}

/* The shard of this thread, or NULL on a thread the library did not start. */
extern __thread struct ss_shard *ss_self __attribute__((tls_model("initial-exec")));

static inline bool ss_preempt(struct ss_shard *sh)
{
	return !ss_slice_goes_on_(&sh->turn);
}

/* cell.c: small objects of one shard. */
void *ss_cell_refill(struct ss_shard *sh, unsigned cells);
bool ss_inject_hit(struct ss_shard *sh);
void ss_cells_init(struct ss_shard *sh);
void ss_cells_fini(struct ss_shard *sh);
void ss_cells_top_up(struct ss_shard *sh);
void *ss_cell_alloc_sure(size_t n);

#ifdef SS_ASAN
void *ss_cell_alloc(size_t n);
void ss_cell_free(void *p, size_t n);
#else
/* At least n bytes, aligned to 16; NULL if there is no memory. */
static inline void *ss_cell_alloc(size_t n)
{
	struct ss_shard *sh = ss_self;
	unsigned cells = (unsigned)((n + SS_CELL - 1) / SS_CELL);

	if (ss_unlikely(sh->inject) && ss_inject_hit(sh))
		return NULL;
	sh->cells_live++;
	if (ss_likely(cells < SS_CELL_CLASSES && sh->cells[cells])) {
		struct ss_cell *c = sh->cells[cells];

		sh->cells[cells] = c->next;
		return c;
	}
	return ss_cell_refill(sh, cells);
}

/* n must be what was asked for, or anything that rounds to the same number of cells. */
static inline void ss_cell_free(void *p, size_t n)
{
	struct ss_shard *sh = ss_self;
	unsigned cells = (unsigned)((n + SS_CELL - 1) / SS_CELL);

	sh->cells_live--;
	if (ss_likely(cells && cells < SS_CELL_CLASSES)) {
		struct ss_cell *c = p;

		c->next = sh->cells[cells];
		sh->cells[cells] = c;
	} else {
		ss_free(p);
	}
}
#endif

/* sched.c */
void ss_group_activate(struct ss_shard *sh, struct ss_group *g);
bool ss_run_tasks(struct ss_shard *sh);
void ss_groups_init(struct ss_shard *sh);

/* Put t at the end of its group's queue. */
static inline void ss_schedule(ss_task *t)
{
	struct ss_shard *sh = ss_self;
	struct ss_group *g = &sh->groups[t->group];

	t->next = NULL;
	*g->tail = t;
	g->tail = &t->next;
	if (ss_unlikely(!g->active))
		ss_group_activate(sh, g);
}

/* The group of the running task is inherited by what it makes. */
static inline void ss_task_init(ss_task *t, void (*run)(ss_task *))
{
	t->run = run;
	t->group = ss_self->group;
	t->flags = 0;
	t->cells = 0;
}

/* future.c */
void ss_state_init(ss_state *s, size_t object_size);
void ss_state_run(ss_task *t);
void ss_state_set(ss_state *s, ss_result r);
void ss_state_report(ss_result r);

static inline ss_future ss_state_future(ss_state *s)
{
	return (ss_future){.r = {.s = s, .err = SS_PENDING}};
}

static inline void ss_state_free(ss_state *s)
{
	ss_cell_free(s, (size_t)s->w.task.cells * SS_CELL);
}

/* A pending future, and its state in *out; on failure *out is NULL and the future failed. */
static inline ss_future ss_pending(ss_state **out)
{
	ss_state *s = ss_cell_alloc(sizeof(*s));

	*out = s;
	if (ss_unlikely(!s))
		return ss_fail(-ENOMEM);
	ss_state_init(s, sizeof(*s));
	return ss_state_future(s);
}

/*
 * Read a result by its members. A copy of the struct is one load of 16 bytes, and after two stores
 * of 8 bytes, which is how a result is written, that load has to wait until they are in the cache:
 * half the cost of a step that waits.
 */
static inline ss_result ss_load(const ss_result *r)
{
	return (ss_result){.i = r->i, .err = r->err};
}

static inline bool ss_take_inline(ss_future f, ss_result *out)
{
	ss_state *s = f.r.s;

	if (ss_likely(f.r.err != SS_PENDING)) {
		*out = f.r;
		return true;
	}
	if (s->r.err == SS_PENDING || s->tail)
		return false;
	*out = ss_load(&s->r);
	ss_state_free(s);
	return true;
}

/* Let w be scheduled when f is ready; true with *r set if that is the case already. */
static inline bool ss_wait_on(struct ss_waiter *w, ss_future f, ss_result *r)
{
	if (ss_take_inline(f, r))
		return true;
	w->in = f.r.s;
	w->in->waiter = w;
	return false;
}

/* In the task of a waiter: the result it waited for. */
static inline ss_result ss_waiter_take(struct ss_waiter *w)
{
	ss_state *s = w->in;
	ss_result r = ss_load(&s->r);

	w->in = NULL;
	ss_state_free(s);
	return r;
}

/* waitq.c: lists of those who wait, the base of every synchronisation object. */
struct ss_waitn {
	struct ss_waitn *next, *prev;
	ss_waitq *q;
	ss_state *s;
	int64_t arg;
	void *arg2;
	void (*gone)(ss_waitq *q); /* called after this node gave up; may be NULL */
	bool timed;
};

/* Wait in q. gone() lets the owner of q react when the wait was given up. */
ss_future ss_waitq_wait(
    ss_waitq *q, int64_t arg, void *arg2, const ss_wait_opts *opts, void (*gone)(ss_waitq *q));
/* Remove the first of q and resolve its future. */
void ss_waitq_wake(ss_waitq *q, ss_result r);
void ss_waitq_wake_all(ss_waitq *q, ss_result r);
size_t ss_waitq_length(const ss_waitq *q);

/* fiber.c */
void ss_fibers_fini(struct ss_shard *sh);

/* timer.c */
bool ss_timers_run(struct ss_shard *sh);
uint64_t ss_timers_next(struct ss_shard *sh); /* deadline, UINT64_MAX if there is none */

#endif
