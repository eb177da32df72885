/* SPDX-License-Identifier: BSD-3-Clause */
/* The reactor of a shard, its back ends, and the program around all of them. */
#ifndef SS_REACTOR_H
#define SS_REACTOR_H

#include "shard.h"

#include <seastar/app.h>
#include <seastar/file.h>

#include <pthread.h>
#include <time.h>

/* Events as the back ends report them; the values are those of epoll. */
#define SS_EV_IN 0x001u
#define SS_EV_OUT 0x004u
#define SS_EV_ERR 0x008u
#define SS_EV_HUP 0x010u
#define SS_EV_RDHUP 0x2000u

struct ss_reactor;

/*
 * A descriptor watched in both directions, edge-triggered: event() is called when something became
 * possible since the last EAGAIN. It must only make non-blocking calls and resolve states.
 */
struct ss_fd {
	int fd;
	uint32_t generation; /* for back ends whose completions may come late */
	int slot;
	void (*event)(struct ss_fd *f, uint32_t events);
};

/* One disk operation for a back end that can do them; done() is called in the loop. */
struct ss_io {
	struct ss_io *next;
	int op; /* SS_IO_* */
	int fd;
	void *buf;
	uint32_t len;
	uint64_t offset;
	int64_t result;
	void (*done)(struct ss_io *io);
	uint64_t submitted; /* when it went to the device */
	unsigned io_class;
};

enum { SS_IO_READ, SS_IO_WRITE, SS_IO_FSYNC };

struct ss_backend {
	const char *name;
	/* 0, or why this system cannot do it; NULL: it always can. */
	int (*probe)(void);
	int (*start)(struct ss_reactor *re);
	void (*stop)(struct ss_reactor *re);
	int (*add)(struct ss_reactor *re, struct ss_fd *f);
	void (*del)(struct ss_reactor *re, struct ss_fd *f);
	/* Report what happened; wait up to timeout_ns for it (0: do not wait, < 0: for ever).
	 * Returns 0, or -EINTR if a signal ended the wait. */
	int (*poll)(struct ss_reactor *re, int64_t timeout_ns);
	/* Start disk operations; NULL where the thread pool does them. Returns how many of the list
	 * were taken. */
	unsigned (*submit)(struct ss_reactor *re, struct ss_io *list);
};

extern const struct ss_backend ss_backend_epoll;
extern const struct ss_backend ss_backend_aio;
extern const struct ss_backend ss_backend_uring;

/* A function of the loop that other parts register: returns true if it did something. */
struct ss_poller {
	struct ss_poller *next;
	bool (*poll)(struct ss_poller *p);
	/* True if the loop must not sleep. May be NULL. */
	bool (*busy)(struct ss_poller *p);
};

struct ss_alien_call {
	struct ss_alien_call *next;
	void (*fn)(void *arg);
	void *arg;
};

struct ss_links;

struct ss_reactor {
	struct ss_shard shard;
	const struct ss_backend *backend;
	void *backend_data;
	void *aio; /* of the linux-aio back end */
	struct ss_poller *pollers;
	struct ss_links *links; /* rings to and from the other shards */
	struct ss_fd wake;	/* eventfd */
	_Alignas(64) _Atomic int sleeping;
	_Atomic(struct ss_alien_call *) aliens;
	_Atomic int poked; /* signals for the application or a wish to stop */
	_Alignas(64) _Atomic bool stop;
	pthread_t thread;
	bool has_thread;
	int cpu; /* pinned to, or -1 */
	timer_t ticker;
	bool has_ticker, ticker_on;
	unsigned idle_ticks;
	char *signal_stack;
	uint64_t last_work;
	uint64_t spin_ns; /* how long waiting for messages is worth while now */
};

struct ss_exit_hook {
	struct ss_exit_hook *next;
	ss_future (*fn)(void *);
	void *arg;
};

/* The running program. */
struct ss_runtime {
	unsigned n;
	struct ss_reactor *reactor[SS_MAX_SHARDS];
	ss_config *config;
	const struct ss_backend *backend;
	pthread_barrier_t barrier;
	_Atomic int start_error;
	const char *start_error_what;
	bool has_properties;
	struct ss_io_properties properties;
	bool poll_mode, pin, preempt_always, lock_memory;
	uint64_t idle_poll_ns, quota_ns, blocked_ns;
	uint64_t spin_ns; /* longest wait for messages before sleeping */
	uint64_t memory;  /* of each shard */
	ss_main_fn main;
	void *main_arg;
	int exit_status;
	bool stopping, stop_requested;
	ss_abort stop_source;
	struct ss_exit_hook *hooks;
	cpu_set_t old_affinity;
};

extern struct ss_runtime *ss_rt; /* NULL when no program runs */

static inline struct ss_reactor *ss_re(void)
{
	return ss_self->reactor;
}

/* reactor.c */
void ss_reactor_loop(struct ss_reactor *re);
int ss_reactor_start(struct ss_reactor *re);
void ss_reactor_finish(struct ss_reactor *re);
void ss_reactor_wake(struct ss_reactor *re); /* any thread */
void ss_poller_add(struct ss_poller *p);
void ss_poller_remove(struct ss_poller *p);

/* stall.c: preemption ticks and the stall detector */
int ss_ticker_install(void);
void ss_ticker_uninstall(void);
void ss_ticker_start(struct ss_reactor *re);
void ss_ticker_stop(struct ss_reactor *re);
void ss_ticker_set(struct ss_reactor *re, bool on);

/* smp.c */
int ss_links_init(struct ss_runtime *rt);
void ss_links_fini(struct ss_runtime *rt);
bool ss_links_poll(struct ss_reactor *re);
bool ss_links_pending(struct ss_reactor *re);

/* alien.c */
bool ss_alien_poll(struct ss_reactor *re);
void ss_alien_drop(struct ss_reactor *re);

/* signal.c */
int ss_signals_start(void);
void ss_signals_stop(void);
void ss_signals_poll(void);

/* app.c */
void ss_app_handle_stop(void);

/* options.c */
extern const struct ss_option ss_framework_options[];
void ss_config_help(const ss_config *c, const struct ss_app *app);

/* net: output streams to flush at the end of a turn */
bool ss_outputs_flush(struct ss_shard *sh);

/* net.c: 0, or -EINVAL if there is no such stack */
int ss_net_stack_choose(const char *name);

/* mem.c: reserve addresses for all shards before they start, and give them back at the end */
int ss_mem_reserve(unsigned shards, uint64_t bytes);
void ss_mem_release(void);
int ss_mem_init(struct ss_shard *sh, uint64_t bytes, bool lock);
void ss_mem_fini(struct ss_shard *sh);
bool ss_mem_poll(struct ss_shard *sh);

#endif
