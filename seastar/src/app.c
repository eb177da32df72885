/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Programs. Start: options, resources, the shards' threads, a barrier where the first failure wins.
 * Stop: the exit hooks in reverse order of registration, then all shards leave their loops, then
 * everything is taken down in reverse order of its making.
 */
#include "reactor.h"

#include "pool.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DEFAULT_RESERVE (UINT64_C(512) << 20)

const ss_config *ss_app_config(void)
{
	return ss_rt ? ss_rt->config : NULL;
}

ss_abort *ss_app_stop_source(void)
{
	return &ss_rt->stop_source;
}

struct stop_wait {
	ss_abort_sub sub;
	ss_state *s;
};

static void stop_came(ss_abort_sub *sub)
{
	struct stop_wait *w = ss_container_of(sub, struct stop_wait, sub);
	ss_state *s = w->s;

	ss_cell_free(w, sizeof(*w));
	ss_state_set(s, (ss_result){.i = 0, .err = 0});
}

ss_future ss_app_wait_stop(void)
{
	struct stop_wait *w;
	ss_future f;

	if (ss_abort_check(&ss_rt->stop_source))
		return ss_ok(0);
	w = ss_cell_alloc(sizeof(*w));
	if (!w)
		return ss_fail(-ENOMEM);
	f = ss_pending(&w->s);
	if (w->s)
		ss_abort_subscribe(&ss_rt->stop_source, &w->sub, stop_came);
	else
		ss_cell_free(w, sizeof(*w));
	return f;
}

int ss_app_at_exit(ss_future (*fn)(void *), void *arg)
{
	struct ss_exit_hook *h = malloc(sizeof(*h));

	if (!h)
		return -ENOMEM;
	*h = (struct ss_exit_hook){.fn = fn, .arg = arg, .next = ss_rt->hooks};
	ss_rt->hooks = h;
	return 0;
}

/* Needs no memory: a program must be able to end when there is none. */
static ss_future stop_shards(void)
{
	for (unsigned i = ss_rt->n; i-- > 0;) {
		atomic_store(&ss_rt->reactor[i]->stop, true);
		ss_reactor_wake(ss_rt->reactor[i]);
	}
	return ss_ok(0);
}

static ss_future run_hooks(void);

SS_CONT(hook_done)
{
	if (r.err) {
		ss_log(SS_LOG_ERROR, "exit hook failed: %s", r.msg ? r.msg : strerror(-r.err));
		ss_rt->exit_status = 1;
	}
	return run_hooks();
}

static ss_future run_hooks(void)
{
	struct ss_exit_hook *h = ss_rt->hooks;
	ss_future f;

	if (!h)
		return stop_shards();
	ss_rt->hooks = h->next;
	f = h->fn(h->arg);
	free(h);
	return ss_then_wrapped(f, hook_done);
}

static void begin_stop(int status)
{
	if (ss_rt->stopping)
		return;
	ss_rt->stopping = true;
	ss_rt->exit_status = status;
	ss_detach(run_hooks());
}

/* Shard 0, on a signal or ss_app_stop(). Without anybody listening the program just ends. */
void ss_app_handle_stop(void)
{
	if (ss_rt->stop_requested)
		return;
	ss_rt->stop_requested = true;
	if (ss_abort_has_listeners(&ss_rt->stop_source)) {
		ss_abort_request(&ss_rt->stop_source, -ECANCELED);
	} else {
		ss_rt->stop_source.err = -ECANCELED;
		begin_stop(0);
	}
}

SS_CONT(stop_request)
{
	ss_app_handle_stop();
	return ss_ok(0);
}

void ss_app_stop(void)
{
	ss_detach(ss_smp_submit_to(0, stop_request));
}

SS_CONT(main_done)
{
	int status = r.i >= 0 && r.i <= 255 ? (int)r.i : 0;

	if (r.err) {
		fprintf(stderr, "program failed with uncaught exception: %s\n",
		    r.msg ? r.msg : strerror(-r.err));
		status = 1;
	}
	begin_stop(status);
	return ss_ok(0);
}

SS_CONT(main_start)
{
	return ss_rt->main(ss_rt->config, ss_rt->main_arg);
}

/* Resources */

static int parse_cpuset(const char *text, cpu_set_t *out)
{
	CPU_ZERO(out);
	while (*text) {
		char *end;
		unsigned long lo = strtoul(text, &end, 10), hi = lo;

		if (end == text)
			return -EINVAL;
		if (*end == '-') {
			text = end + 1;
			hi = strtoul(text, &end, 10);
			if (end == text)
				return -EINVAL;
		}
		if (hi >= CPU_SETSIZE || lo > hi)
			return -EINVAL;
		for (; lo <= hi; lo++)
			CPU_SET(lo, out);
		if (*end == ',')
			end++;
		else if (*end)
			return -EINVAL;
		text = end;
	}
	return 0;
}

static const char *choose_cpus(struct ss_runtime *rt, int *cpus)
{
	const char *set = ss_config_string(rt->config, "cpuset");
	int64_t want = ss_config_int(rt->config, "smp");
	cpu_set_t allowed, asked;
	int n = 0;

	if (sched_getaffinity(0, sizeof(allowed), &allowed)) {
		CPU_ZERO(&allowed);
		for (long i = 0; i < sysconf(_SC_NPROCESSORS_ONLN) && i < CPU_SETSIZE; i++)
			CPU_SET(i, &allowed);
	}
	rt->old_affinity = allowed;
	if (set) {
		if (parse_cpuset(set, &asked))
			return "bad value for --cpuset";
		CPU_AND(&allowed, &allowed, &asked);
	}
	for (int i = 0; i < CPU_SETSIZE && n < SS_MAX_SHARDS; i++)
		if (CPU_ISSET(i, &allowed))
			cpus[n++] = i;
	if (!n || want > n)
		return "insufficient processing units";
	rt->n = want ? (unsigned)want : (unsigned)n;
	return NULL;
}

static const char *choose_memory(struct ss_runtime *rt)
{
	uint64_t phys = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t reserve = DEFAULT_RESERVE, total;
	bool given = ss_config_given(rt->config, "reserve-memory");

	if (given)
		reserve = (uint64_t)ss_config_int(rt->config, "reserve-memory");
	else if (reserve > phys / 2)
		reserve = phys / 2;
	if (ss_config_given(rt->config, "memory")) {
		total = (uint64_t)ss_config_int(rt->config, "memory");
		if (total > phys - (given && reserve < phys ? reserve : 0))
			return "insufficient physical memory";
	} else {
		if (reserve >= phys)
			return "insufficient physical memory";
		total = phys - reserve;
	}
	rt->memory = total / rt->n;
	if (rt->memory < (UINT64_C(1) << 20))
		return "insufficient memory for each thread (at least 1M)";
	return NULL;
}

static int probe(const struct ss_backend *b)
{
	return b->probe ? b->probe() : 0;
}

/* Sockets are served alike by both; disk requests need a thread each without aio. */
static const struct ss_backend *safe_backend(void)
{
	return probe(&ss_backend_aio) ? &ss_backend_epoll : &ss_backend_aio;
}

static const char *choose_backend(struct ss_runtime *rt)
{
	static const struct ss_backend *const all[] = {
#ifdef SS_HAVE_LIBURING
	    &ss_backend_uring,
#endif
	    &ss_backend_aio,
	    &ss_backend_epoll,
	};
	const char *name = ss_config_string(rt->config, "reactor-backend");

	if (strcmp(name, "auto") == 0) {
		rt->backend = safe_backend();
		return NULL;
	}
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (strcmp(all[i]->name, name) == 0) {
			int err = probe(all[i]);

			rt->backend = err ? safe_backend() : all[i];
			if (err)
				ss_log(SS_LOG_WARN, "--reactor-backend=%s: %s; using %s", name,
				    strerror(-err), rt->backend->name);
			return NULL;
		}
	}
	return "unknown --reactor-backend";
}

static const char *read_properties(struct ss_runtime *rt)
{
	static __thread char message[400];
	const char *name = ss_config_string(rt->config, "io-properties-file");
	char text[4096], why[200];
	ssize_t n;
	int fd;

	if (!name)
		return NULL;
	fd = open(name, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text));
	snprintf(why, sizeof(why), "%s", n < 0 ? strerror(errno) : "too long");
	if (fd >= 0)
		close(fd);
	if (n >= 0 && n < (ssize_t)sizeof(text) &&
	    !ss_io_properties_parse(text, (size_t)n, &rt->properties, why, sizeof(why))) {
		rt->has_properties = true;
		return NULL;
	}
	snprintf(message, sizeof(message), "io properties file %.100s: %s", name, why);
	return message;
}

static const char *read_config(struct ss_runtime *rt, int *cpus)
{
	const ss_config *c = rt->config;
	enum ss_log_level level;
	const char *err;

	if (ss_log_parse_level(ss_config_string(c, "default-log-level"), &level))
		return "unknown --default-log-level";
	ss_log_set_level(level);
	if (ss_net_stack_choose(ss_config_string(c, "network-stack")))
		return "unknown --network-stack";
	rt->poll_mode = ss_config_flag(c, "poll-mode");
	rt->spin_ns = ss_config_flag(c, "overprovisioned")
			  ? 0
			  : (uint64_t)ss_config_int(c, "smp-spin-us") * SS_USEC;
	rt->idle_poll_ns = (uint64_t)ss_config_int(c, "idle-poll-time-us") * SS_USEC;
	rt->quota_ns = (uint64_t)(ss_config_double(c, "task-quota-ms") * (double)SS_MSEC);
	if (rt->quota_ns < 10 * SS_USEC || rt->quota_ns > 10 * SS_SEC)
		return "bad value for --task-quota-ms";
	rt->blocked_ns = (uint64_t)ss_config_int(c, "blocked-reactor-notify-ms") * SS_MSEC;
	rt->pin = ss_config_flag(c, "thread-affinity") && !ss_config_flag(c, "overprovisioned");
	rt->preempt_always = ss_config_flag(c, "debug-preempt");
	rt->lock_memory = ss_config_flag(c, "lock-memory");
	err = choose_cpus(rt, cpus);
	if (!err)
		err = choose_memory(rt);
	if (!err)
		err = read_properties(rt);
	return err ? err : choose_backend(rt);
}

/* Shards */

static void raise_fd_limit(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) || r.rlim_cur == r.rlim_max)
		return;
	r.rlim_cur = r.rlim_max;
	setrlimit(RLIMIT_NOFILE, &r);
}

static struct ss_reactor *reactor_new(struct ss_runtime *rt, unsigned id, int cpu)
{
	struct ss_reactor *re = aligned_alloc(64, (sizeof(*re) + 63) / 64 * 64);

	if (!re)
		return NULL;
	memset(re, 0, sizeof(*re));
	re->shard.id = id;
	re->shard.reactor = re;
	re->shard.preempt_always = rt->preempt_always;
	re->shard.flush_tail = &re->shard.flush_head;
	re->cpu = rt->pin ? cpu : -1;
	re->wake.fd = -1;
	ss_groups_init(&re->shard);
	return re;
}

/* On the shard's own thread. */
static int shard_begin(struct ss_reactor *re)
{
	int err;

	if (re->cpu >= 0) {
		cpu_set_t one;

		CPU_ZERO(&one);
		CPU_SET(re->cpu, &one);
		sched_setaffinity(0, sizeof(one), &one);
	}
	ss_self = &re->shard;
	ss_turn_self = &re->shard.turn;
	err = ss_mem_init(&re->shard, ss_rt->memory, ss_rt->lock_memory);
	if (!err) {
		ss_cells_init(&re->shard);
		err = ss_reactor_start(re);
		if (!err && ss_rt->has_properties)
			ss_io_set_properties(&ss_rt->properties);
	}
	if (err)
		atomic_store(&ss_rt->start_error, err);
	pthread_barrier_wait(&ss_rt->barrier);
	return atomic_load(&ss_rt->start_error);
}

static void shard_end(struct ss_reactor *re)
{
	/* Nobody takes anything down while another shard may still send or free. */
	pthread_barrier_wait(&ss_rt->barrier);
	ss_io_fini(re);
	ss_reactor_finish(re);
	pthread_barrier_wait(&ss_rt->barrier);
	ss_mem_fini(&re->shard);
	ss_self = NULL;
	ss_turn_self = NULL;
}

static void *shard_thread(void *arg)
{
	struct ss_reactor *re = arg;

	if (!shard_begin(re))
		ss_reactor_loop(re);
	shard_end(re);
	return NULL;
}

static int start_threads(struct ss_runtime *rt)
{
	sigset_t none, old;
	int err = 0;

	sigfillset(&none);
	sigdelset(&none, SIGRTMIN + 2);
	sigdelset(&none, SIGSEGV);
	sigdelset(&none, SIGBUS);
	sigdelset(&none, SIGFPE);
	sigdelset(&none, SIGILL);
	sigdelset(&none, SIGABRT);
	pthread_sigmask(SIG_SETMASK, &none, &old);
	for (unsigned i = 1; i < rt->n && !err; i++) {
		err = -pthread_create(&rt->reactor[i]->thread, NULL, shard_thread, rt->reactor[i]);
		rt->reactor[i]->has_thread = !err;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return err;
}

static void run_shard0(struct ss_runtime *rt)
{
	if (!shard_begin(rt->reactor[0])) {
		ss_detach(ss_then_wrapped(ss_then(ss_yield(), main_start), main_done));
		ss_reactor_loop(rt->reactor[0]);
	}
	ss_signals_stop();
	ss_pool_stop();
	shard_end(rt->reactor[0]);
}

static const char *run_all(struct ss_runtime *rt, const int *cpus, bool keep_signals)
{
	int err;

	for (unsigned i = 0; i < rt->n; i++) {
		rt->reactor[i] = reactor_new(rt, i, cpus[i]);
		if (!rt->reactor[i])
			return "not enough memory";
	}
	if (ss_links_init(rt))
		return "not enough memory";
	if (ss_mem_reserve(rt->n, rt->memory))
		return "insufficient address space for the memory";
	raise_fd_limit();
	if (pthread_barrier_init(&rt->barrier, NULL, rt->n))
		return "not enough memory";
	err = ss_ticker_install();
	if (!err && !keep_signals)
		err = ss_signals_start();
	if (err)
		return strerror(-err);
	err = start_threads(rt);
	if (err) {
		/* Those that run wait at the barrier for ever: this cannot be undone. */
		fprintf(stderr, "Couldn't start application: %s\n", strerror(-err));
		_exit(1);
	}
	run_shard0(rt);
	for (unsigned i = 1; i < rt->n; i++)
		pthread_join(rt->reactor[i]->thread, NULL);
	ss_ticker_uninstall();
	pthread_barrier_destroy(&rt->barrier);
	err = atomic_load(&rt->start_error);
	return err ? strerror(-err) : NULL;
}

static void release(struct ss_runtime *rt)
{
	ss_links_fini(rt);
	ss_mem_release();
	for (unsigned i = 0; i < rt->n; i++)
		free(rt->reactor[i]);
	while (rt->hooks) {
		struct ss_exit_hook *h = rt->hooks;

		rt->hooks = h->next;
		free(h);
	}
	ss_config_free(rt->config);
	if (rt->pin)
		sched_setaffinity(0, sizeof(rt->old_affinity), &rt->old_affinity);
	free(rt);
	ss_rt = NULL;
}

int ss_app_run(int argc, char **argv, const struct ss_app *app, ss_main_fn fn, void *arg)
{
	struct ss_runtime *rt = calloc(1, sizeof(*rt));
	int cpus[SS_MAX_SHARDS], status;
	char error[256];
	const char *err;

	if (!rt)
		return 1;
	if (ss_config_parse(argc, argv, app, &rt->config, error, sizeof(error))) {
		fprintf(stderr, "Couldn't start application: %s\n", error);
		free(rt);
		return 2;
	}
	if (ss_config_flag(rt->config, "help")) {
		ss_config_help(rt->config, app);
		ss_config_free(rt->config);
		free(rt);
		return 0;
	}
	rt->main = fn;
	rt->main_arg = arg;
	ss_rt = rt;
	err = read_config(rt, cpus);
	if (!err)
		err = run_all(rt, cpus, app && app->keep_signals);
	if (err)
		fprintf(stderr, "Couldn't start application: %s\n", err);
	status = err ? 1 : rt->exit_status;
	release(rt);
	return status;
}
