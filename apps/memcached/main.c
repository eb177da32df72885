/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memcached on Seastar: a cache of keys and values in memory, spread over the shards by the hash of
 * the key. Start and stop of the service.
 */
#include "server.h"

#include <fcntl.h>
#include <grp.h>
#include <netdb.h>
#include <pwd.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

ss_sharded mc_shards;
struct mc_address mc_addresses[2 * MC_LISTEN_MAX + 2];
unsigned mc_n_addresses;

/* Addresses */

/* A name instead of an address; nothing runs yet that waiting could disturb. */
static int resolve(ss_addr *a, const char *host, int port)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *list;
	char service[16];

	snprintf(service, sizeof(service), "%d", port);
	if (getaddrinfo(host, service, &hints, &list))
		return -EINVAL;
	memcpy(&a->sa, list->ai_addr, list->ai_addrlen);
	a->len = list->ai_addrlen;
	freeaddrinfo(list);
	return 0;
}

static int add_address(const char *host, int port, bool udp)
{
	struct mc_address *a = &mc_addresses[mc_n_addresses];

	if (mc_n_addresses == sizeof(mc_addresses) / sizeof(mc_addresses[0]))
		return -E2BIG;
	a->udp = udp;
	if (ss_addr_parse(&a->addr, host, (uint16_t)port) && resolve(&a->addr, host, port))
		return -EINVAL;
	mc_n_addresses++;
	return 0;
}

static const char *find_addresses(void)
{
	static char message[200];
	const char *any = "0.0.0.0";
	unsigned n = mc_settings.n_listen ? mc_settings.n_listen : 1;

	if (mc_settings.socket) {
		struct mc_address *a = &mc_addresses[mc_n_addresses++];

		a->udp = false;
		if (ss_addr_unix(&a->addr, mc_settings.socket))
			return "the path of the UNIX socket (-s) is too long";
		return NULL;
	}
	for (unsigned i = 0; i < n; i++) {
		const char *host = mc_settings.n_listen ? mc_settings.listen[i] : any;

		if ((mc_settings.port && add_address(host, mc_settings.port, false)) ||
		    (mc_settings.udp_port && add_address(host, mc_settings.udp_port, true))) {
			snprintf(message, sizeof(message),
			    "failed to listen on \"%s\": not an address", host);
			return message;
		}
	}
	return NULL;
}

/* A shard */

static void tick(ss_timer *t)
{
	struct mc_shard *sh = (struct mc_shard *)((char *)t - offsetof(struct mc_shard, tick));
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	mc_store_tick(&sh->store, (uint32_t)((int64_t)ts.tv_sec - mc_settings.started));
}

SS_CONT(tcp_listening, struct mc_shard *sh;)
{
	struct mc_shard *sh = self->sh;
	ss_addr a;
	char text[128];

	ss_listener_addr(r.p, &a);
	mc_log(1, "server listening (%s) on shard %u", ss_addr_format(&a, text, sizeof(text)),
	    ss_shard_id());
	ss_server_start(&sh->servers[sh->n_servers++], r.p, mc_serve, sh);
	return ss_ok(0);
}

/* Addresses in use, missing permissions and the like: say which. */
SS_CONT(not_listening, unsigned i;)
{
	char text[128];

	fprintf(stderr, "failed to listen on %s port %s: %s\n",
	    mc_addresses[self->i].udp ? "UDP" : "TCP",
	    ss_addr_format(&mc_addresses[self->i].addr, text, sizeof(text)),
	    r.msg ? r.msg : strerror(-r.err));
	return ss_ready(r);
}

SS_CONT(listen_one, struct mc_shard *sh;)
{
	const struct mc_address *a = &mc_addresses[r.i];
	ss_listen_opts lo = {.reuse_address = true,
	    .backlog = mc_settings.backlog,
	    .unix_mode = mc_settings.socket_mode};
	ss_future f;

	/* A path can't be shared by the shards as a port can. */
	if (a->addr.sa.sa_family == AF_UNIX && ss_shard_id())
		return ss_ok(0);
	if (a->udp)
		f = mc_udp_start(self->sh, &a->addr);
	else
		f = ss_then(ss_listen(&a->addr, &lo), tcp_listening, self->sh);
	return ss_handle_error(f, not_listening, (unsigned)r.i);
}

SS_CONT(show_metrics, struct mc_shard *sh;)
{
	return mc_metrics_start(self->sh);
}

SS_CONT(shard_ready, struct mc_shard *sh;)
{
	return ss_okp(self->sh);
}

static ss_future stop_shard(void *p);

SS_CONT(shard_stopped, ss_result why;)
{
	return ss_ready(self->why);
}

SS_CONT(shard_failed, struct mc_shard *sh;)
{
	return ss_then_wrapped(stop_shard(self->sh), shard_stopped, r);
}

static ss_future start_shard(void *arg)
{
	struct mc_shard *sh = ss_zalloc(sizeof(*sh));
	const struct mc_settings *m = &mc_settings;
	struct mc_store_config config = {.bytes = m->bytes / m->threads,
	    .factor = m->factor,
	    .smallest = (uint32_t)((size_t)m->smallest + MC_ITEM_HEAD),
	    .item_max = m->item_max,
	    .evict = m->evict,
	    .cas = m->cas,
	    .hash_power = m->hash_power,
	    .seed = m->seed,
	    .expand = m->hash_expand};
	ss_future f;

	(void)arg;
	if (!sh)
		return ss_fail(-ENOMEM);
	sh->budget.limit = config.bytes / 4 + 2 * m->item_max;
	ss_timer_init(&sh->tick, tick);
	sh->servers = ss_zalloc((mc_n_addresses + 1) * sizeof(*sh->servers));
	if (!sh->servers || mc_metrics_register(sh) || mc_store_init(&sh->store, &config)) {
		ss_metrics_clear(&sh->metrics);
		ss_free(sh->servers);
		ss_free(sh);
		return ss_fail_msg(-ENOMEM, "no memory for the items");
	}
	tick(&sh->tick);
	ss_timer_arm_periodic(&sh->tick, SS_SEC);
	f = ss_do_for_each(0, mc_n_addresses, listen_one, sh);
	f = ss_then(ss_then(f, show_metrics, sh), shard_ready, sh);
	return ss_handle_error(f, shard_failed, sh);
}

SS_CONT(stop_server, struct mc_shard *sh;)
{
	return ss_server_stop(&self->sh->servers[r.i]);
}

SS_CONT(servers_stopped, struct mc_shard *sh;)
{
	struct mc_shard *sh = self->sh;

	ss_timer_cancel(&sh->tick);
	mc_store_fini(&sh->store);
	ss_free(sh->servers);
	ss_free(sh);
	return ss_ok(0);
}

SS_CONT(udp_stopped, struct mc_shard *sh;)
{
	struct mc_shard *sh = self->sh;

	mc_conns_abort(sh);
	return ss_then_wrapped(
	    ss_parallel_for_each(0, sh->n_servers, stop_server, sh), servers_stopped, sh);
}

SS_CONT(metrics_stopped, struct mc_shard *sh;)
{
	return ss_then_wrapped(mc_udp_stop(self->sh), udp_stopped, self->sh);
}

static ss_future stop_shard(void *p)
{
	return ss_then_wrapped(mc_metrics_stop(p), metrics_stopped, p);
}

static const struct ss_service_ops ops = {start_shard, stop_shard};

/* The program */

static void write_pidfile(void)
{
	FILE *f = mc_settings.pidfile ? fopen(mc_settings.pidfile, "w") : NULL;

	if (!mc_settings.pidfile)
		return;
	if (!f) {
		fprintf(stderr, "Could not open the pid file %s for writing: %s\n",
		    mc_settings.pidfile, strerror(errno));
		return;
	}
	fprintf(f, "%ld\n", (long)getpid());
	fclose(f);
}

SS_CONT(stopped)
{
	if (mc_settings.socket)
		unlink(mc_settings.socket);
	if (mc_settings.pidfile)
		unlink(mc_settings.pidfile);
	return ss_ok(0);
}

SS_CONT(stop_asked)
{
	return ss_then_wrapped(ss_sharded_stop(&mc_shards), stopped);
}

SS_CONT(started)
{
	write_pidfile();
	return ss_then(ss_app_wait_stop(), stop_asked);
}

static ss_future run(const ss_config *config, void *arg)
{
	struct stat st;

	(void)config;
	(void)arg;
	/* A socket left by an earlier server is in the way; anything else is not ours. */
	if (mc_settings.socket && lstat(mc_settings.socket, &st) == 0 && S_ISSOCK(st.st_mode))
		unlink(mc_settings.socket);
	return ss_then(ss_sharded_start(&mc_shards, &ops, NULL), started);
}

static int drop_privileges(void)
{
	struct passwd *pw;

	if (getuid() && geteuid())
		return 0;
	if (!mc_settings.user) {
		fprintf(stderr, "can't run as root without the -u switch\n");
		return 64;
	}
	pw = getpwnam(mc_settings.user);
	if (!pw) {
		fprintf(stderr, "can't find the user %s to switch to\n", mc_settings.user);
		return 68;
	}
	if (setgroups(0, NULL) || setgid(pw->pw_gid) || setuid(pw->pw_uid)) {
		fprintf(stderr, "failed to assume identity of user %s: %s\n", mc_settings.user,
		    strerror(errno));
		return 77;
	}
	return 0;
}

static void raise_limits(void)
{
	struct rlimit files = {0, 0}, core = {RLIM_INFINITY, RLIM_INFINITY};
	rlim_t want = mc_settings.connections + 64 * mc_settings.threads;

	if (mc_settings.core && setrlimit(RLIMIT_CORE, &core))
		fprintf(stderr, "failed to ensure corefile creation\n");
	if (getrlimit(RLIMIT_NOFILE, &files) || files.rlim_cur >= want)
		return;
	files.rlim_cur = want;
	if (files.rlim_max < want)
		files.rlim_max = want;
	if (setrlimit(RLIMIT_NOFILE, &files))
		fprintf(stderr,
		    "failed to set rlimit for open files. Try starting as root or requesting "
		    "smaller maxconns value.\n");
}

/* Buffers of connections and values on their way, beside the items, which have their own pages. */
static uint64_t framework_memory(void)
{
	uint64_t per_shard = mc_settings.bytes / mc_settings.threads;

	return mc_settings.threads *
	       ((UINT64_C(64) << 20) + per_shard / 2 + 16 * mc_settings.item_max +
		   mc_settings.connections * 32768 / mc_settings.threads);
}

static int run_framework(char *name)
{
	static const struct ss_app app = {
	    .name = "memcached", .description = "memcached on Seastar"};
	int n = mc_settings.framework_argc, argc = 0, status;
	static char lock[] = "--lock-memory";
	char **argv = calloc((size_t)n + 8, sizeof(*argv)), shards[24], memory[40];
	cpu_set_t cpus;

	if (!argv)
		return 1;
	snprintf(shards, sizeof(shards), "--smp=%u", mc_settings.threads);
	snprintf(memory, sizeof(memory), "--memory=%llu", (unsigned long long)framework_memory());
	argv[argc++] = name;
	argv[argc++] = shards;
	argv[argc++] = memory;
	if (mc_settings.lock_memory)
		argv[argc++] = lock;
	for (int i = 0; i < n; i++)
		argv[argc++] = mc_settings.framework_argv[i];
	if (sched_getaffinity(0, sizeof(cpus), &cpus) == 0 &&
	    mc_settings.threads > (unsigned)CPU_COUNT(&cpus)) {
		fprintf(stderr, "-t %u: there are %d CPUs for the shards\n", mc_settings.threads,
		    CPU_COUNT(&cpus));
		free(argv);
		return 1;
	}
	status = ss_app_run(argc, argv, &app, run, NULL);
	free(argv);
	return status;
}

int main(int argc, char **argv)
{
	int status = mc_settings_parse(argc, argv);
	const char *problem;

	if (status >= 0)
		return status;
	problem = find_addresses();
	if (problem) {
		fprintf(stderr, "%s\n", problem);
		return 1;
	}
	raise_limits();
	status = drop_privileges();
	if (status)
		return status;
	if (mc_settings.daemonize && daemon(1, mc_settings.verbose ? 1 : 0)) {
		fprintf(stderr, "failed to daemon() in order to daemonize\n");
		return 1;
	}
	return run_framework(argv[0]);
}
