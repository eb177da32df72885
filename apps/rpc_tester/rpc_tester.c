/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rpc_tester: measures RPC between two programs (or inside one). The server answers on every shard;
 * the client runs each job on every shard for a while and reports throughput, latency and what
 * failed.
 */
#include "job.h"

#include <seastar/rpc.h>
#include <seastar/seastar.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SUB 16 /* buckets of a power of two: 6 % wide */
#define BUCKETS (40 * SUB)
#define ERRNOS 256

static const struct ss_option options[] = {
    {"listen", 0, SS_OPT_STRING, NULL, "be a server at this address (host:port or unix:/path)"},
    {"connect", 0, SS_OPT_STRING, NULL, "be a client of the server at this address"},
    {"port", 0, SS_OPT_INT, "10000", "port where the address has none", 1, 65535},
    {"duration", 'd', SS_OPT_INT, "10", "seconds the client works", 1, 86400},
    {"job", 'j', SS_OPT_LIST, NULL,
	"what to do: \"name=.. verb=echo|write|read|oneway|stream|stream_echo parallelism=1 "
	"payload=64 timeout=0s pause=0s shares=..\""},
    {"conf", 0, SS_OPT_STRING, NULL, "file with one job a line"},
    {"compression", 0, SS_OPT_STRING, NULL, "lz4, zstd, or both separated by a comma"},
    {"memory-limit", 0, SS_OPT_SIZE, "64M", "server: bytes of requests in progress on a shard"},
    {"random", 0, SS_OPT_FLAG, NULL, "payloads that do not compress"},
    {"verify", 0, SS_OPT_FLAG, NULL, "compare what comes back; a difference is an error"},
    {"tolerate-errors", 0, SS_OPT_FLAG, NULL, "errors are counted, and do not fail the run"},
    {"tls-cert", 0, SS_OPT_STRING, NULL, "server: speak TLS with this certificate (PEM file)"},
    {"tls-key", 0, SS_OPT_STRING, NULL, "server: its key (PEM file)"},
    {"tls-ca", 0, SS_OPT_STRING, NULL, "client: speak TLS, trust these signers (PEM file)"},
    {"tls-name", 0, SS_OPT_STRING, "localhost", "client: name the server's certificate must have"},
    {NULL},
};

/* What a job did on a shard. */
struct counts {
	uint64_t done, bytes, errors, wrong, max_ns, sum_ns;
	uint64_t hist[BUCKETS];
	uint64_t by_errno[ERRNOS];
};

static struct job jobs[JOBS_MAX];
static ss_sched_group groups[JOBS_MAX];
static unsigned n_jobs;
static ss_addr listen_at, connect_to;
static ss_tls_creds *server_creds, *client_creds;
static bool serving, calling, verify, random_data;
static const ss_config *config;

/* Latencies: logarithmic, each power of two in SUB steps. */

static unsigned bucket_of(uint64_t ns)
{
	unsigned log = ns < SUB ? 0 : 63 - (unsigned)__builtin_clzll(ns) - 3;
	unsigned b =
	    ns < SUB ? (unsigned)ns : log * SUB + (unsigned)((ns >> (log - 1)) & (SUB - 1));

	return b < BUCKETS ? b : BUCKETS - 1;
}

static uint64_t bucket_ns(unsigned b)
{
	unsigned log = b / SUB;

	return log ? (uint64_t)(SUB + b % SUB) << (log - 1) : b;
}

static double percentile(const struct counts *c, double p)
{
	uint64_t want = (uint64_t)((double)c->done * p), seen = 0;

	for (unsigned b = 0; b < BUCKETS; b++) {
		seen += c->hist[b];
		if (seen > want)
			return (double)bucket_ns(b) / 1000;
	}
	return (double)c->max_ns / 1000;
}

/* The server */

static ss_future on_echo(ss_rpc_call *call, void *arg)
{
	(void)arg;
	call->reply = ss_buf_move(&call->request);
	return ss_ok(0);
}

static ss_future on_write(ss_rpc_call *call, void *arg)
{
	(void)call;
	(void)arg;
	return ss_ok(0);
}

/* The request is the number of bytes wanted. */
static ss_future on_read(ss_rpc_call *call, void *arg)
{
	ss_rpc_reader r = ss_rpc_reader_of(&call->request);
	uint32_t n = ss_rpc_get_u32(&r);

	(void)arg;
	if (r.err || n > (8u << 20))
		return ss_fail(-EBADMSG);
	if (ss_buf_alloc(&call->reply, n))
		return ss_fail(-ENOMEM);
	memset(call->reply.data, 'r', n);
	return ss_ok(0);
}

SS_FIBER(stream_fiber, ss_rpc_call *call; bool back;)
{
	ss_rpc_stream *s = self->call->stream;
	ss_buf b;

	if (!s)
		return -EINVAL;
	while (SS_TRY(ss_rpc_stream_read(s, &b)) == 1) {
		if (self->back)
			SS_TRY(ss_rpc_stream_write(s, &b));
		else
			ss_buf_release(&b);
	}
	return SS_TRY(ss_rpc_stream_end(s));
}

static ss_future on_stream(ss_rpc_call *call, void *arg)
{
	(void)arg;
	return ss_async(stream_fiber, call, false);
}

static ss_future on_stream_echo(ss_rpc_call *call, void *arg)
{
	(void)arg;
	return ss_async(stream_fiber, call, true);
}

struct server {
	ss_rpc *rpc;
	ss_rpc_server *server;
};

static int register_verbs(ss_rpc *rpc)
{
	static const struct {
		enum verb verb;
		ss_rpc_handler fn;
	} all[] = {{VERB_ECHO, on_echo}, {VERB_WRITE, on_write}, {VERB_READ, on_read},
	    {VERB_ONE_WAY, on_write}, {VERB_STREAM, on_stream}, {VERB_STREAM_ECHO, on_stream_echo}};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		int err =
		    ss_rpc_register(rpc, all[i].verb, verb_name(all[i].verb), all[i].fn, NULL);

		if (err)
			return err;
	}
	return 0;
}

SS_FIBER(start_server)
{
	ss_rpc_server_opts so = {
	    .compression = ss_config_string(config, "compression"),
	    .memory = (uint64_t)ss_config_int(config, "memory-limit"),
	};
	ss_listen_opts lo = {.reuse_address = true};
	struct server *s = ss_zalloc(sizeof(*s));
	ss_listener *l;

	if (!s)
		return -ENOMEM;
	s->rpc = ss_rpc_new();
	if (!s->rpc || register_verbs(s->rpc))
		return -ENOMEM;
	l = SS_TRY_PTR(server_creds ? ss_tls_listen(server_creds, &listen_at, &lo)
				    : ss_listen(&listen_at, &lo));
	s->server = ss_rpc_server_start(s->rpc, l, &so);
	return s->server ? (int64_t)(intptr_t)s : -ENOMEM;
}

static ss_future server_start(void *arg)
{
	(void)arg;
	return ss_async(start_server);
}

SS_CONT(server_gone, struct server *s;)
{
	ss_rpc_free(self->s->rpc);
	ss_free(self->s);
	return ss_ok(0);
}

static ss_future server_stop(void *p)
{
	struct server *s = p;

	return ss_then_wrapped(ss_rpc_server_stop(s->server), server_gone, s);
}

/* The client */

struct worker {
	ss_rpc_client *client;
	struct counts counts[JOBS_MAX];
	uint64_t end;
	ss_abort abort;
	ss_timer timer; /* the latest end */
	ss_rpc_client_stats stats;
};

static char pattern_byte(size_t i, uint64_t seq)
{
	return random_data ? (char)(((i + seq) * 2654435761u) >> 13) : (char)(seq + i / 256);
}

static int make_payload(ss_buf *b, uint32_t n, uint64_t seq)
{
	if (ss_buf_alloc(b, n))
		return -ENOMEM;
	if (!verify && !random_data) {
		memset(b->data, 'p', n);
		return 0;
	}
	for (uint32_t i = 0; i < n; i++)
		b->data[i] = pattern_byte(i, seq);
	return 0;
}

static bool payload_ok(const ss_buf *b, uint32_t n, uint64_t seq)
{
	if (b->len != n)
		return false;
	for (uint32_t i = 0; verify && i < n; i++)
		if (b->data[i] != (verify || random_data ? pattern_byte(i, seq) : 'p'))
			return false;
	return true;
}

static void count(struct counts *c, uint64_t began, uint64_t bytes, int err)
{
	uint64_t ns = ss_now() - began;

	if (err) {
		c->errors++;
		c->by_errno[-err < ERRNOS ? -err : 0]++;
		return;
	}
	c->done++;
	c->bytes += bytes;
	c->sum_ns += ns;
	c->hist[bucket_of(ns)]++;
	if (ns > c->max_ns)
		c->max_ns = ns;
}

static int one_call(struct worker *w, const struct job *j, uint64_t seq, struct counts *c)
{
	ss_rpc_opts o = {.timeout_ns = j->timeout_ns, .abort = &w->abort};
	ss_buf q = {0}, a = {0};
	ss_rpc_writer want = {0};
	ss_result r;
	int err;

	if (j->verb == VERB_READ) {
		ss_rpc_put_u32(&want, j->payload);
		err = ss_rpc_writer_take(&want, &q);
	} else {
		err = make_payload(&q, j->payload, seq);
	}
	if (err)
		return err;
	r = ss_await(j->verb == VERB_ONE_WAY ? ss_rpc_send(w->client, j->verb, &q, &o)
					     : ss_rpc_request(w->client, j->verb, &q, &a, &o));
	if (!r.err && ((j->verb == VERB_ECHO && !payload_ok(&a, j->payload, seq)) ||
			  (j->verb == VERB_READ && a.len != j->payload)))
		c->wrong++;
	ss_buf_release(&a);
	return r.err;
}

/* One place of a job with calls. */
static void run_calls(struct worker *w, const struct job *j, struct counts *c)
{
	uint64_t seq = 0;

	while (ss_now() < w->end && !w->abort.err) {
		uint64_t began = ss_now();
		int err = one_call(w, j, seq++, c);

		if (w->abort.err)
			break;
		count(c, began, j->payload, err);
		if (err || j->pause_ns)
			ss_await(ss_sleep_abortable(err ? SS_MSEC : j->pause_ns, &w->abort));
	}
}

/* One stream, until the end or its failure. */
static int run_stream(struct worker *w, const struct job *j, struct counts *c)
{
	ss_rpc_opts o = {.abort = &w->abort};
	ss_result r = ss_await(ss_rpc_open(w->client, j->verb, NULL, &o));
	ss_rpc_stream *s = r.p;
	uint64_t seq = 0;

	if (r.err)
		return r.err;
	while (ss_now() < w->end && !r.err) {
		uint64_t began = ss_now();
		ss_buf b;

		r.err = make_payload(&b, j->payload, seq);
		if (!r.err)
			r = ss_await(ss_rpc_stream_write(s, &b));
		if (!r.err && j->verb == VERB_STREAM_ECHO) {
			r = ss_await(ss_rpc_stream_read(s, &b));
			if (!r.err && r.i == 0)
				r.err = -EPIPE;
			if (!r.err && !payload_ok(&b, j->payload, seq))
				c->wrong++;
			ss_buf_release(&b);
		}
		seq++;
		if (!r.err)
			count(c, began, j->payload, 0);
		if (!r.err && j->pause_ns)
			ss_await(ss_sleep_abortable(j->pause_ns, &w->abort));
	}
	if (!r.err)
		r = ss_await(ss_rpc_stream_end(s));
	if (!r.err)
		r = ss_await(ss_rpc_stream_result(s, NULL));
	ss_rpc_stream_close(s);
	return r.err;
}

SS_FIBER(place, struct worker *w; unsigned job;)
{
	struct worker *w = self->w;
	const struct job *j = &jobs[self->job];
	struct counts *c = &w->counts[self->job];

	if (j->verb != VERB_STREAM && j->verb != VERB_STREAM_ECHO) {
		run_calls(w, j, c);
		return 0;
	}
	while (ss_now() < w->end && !w->abort.err) {
		uint64_t began = ss_now();
		int err = run_stream(w, j, c);

		if (err && !w->abort.err) {
			count(c, began, 0, err);
			ss_await(ss_sleep_abortable(SS_MSEC, &w->abort));
		}
	}
	return 0;
}

SS_CONT(place_in_group, struct worker *w; unsigned job;)
{
	return ss_async(place, self->w, self->job);
}

static ss_future start_place(struct worker *w, unsigned job)
{
	if (!groups[job])
		return ss_async(place, w, job);
	return ss_with_sched_group(groups[job], place_in_group, w, job);
}

/* Calls must not outlive the run by much, whatever the server does. */
static void enough(ss_timer *t)
{
	struct worker *w = (struct worker *)((char *)t - offsetof(struct worker, timer));

	ss_abort_request(&w->abort, 0);
}

/* All jobs on this shard; the worker with its counts is the result. */
SS_FIBER(run_worker)
{
	ss_rpc_client_opts co = {
	    .compression = ss_config_string(config, "compression"),
	    .tls = client_creds,
	    .tls_name = ss_config_string(config, "tls-name"),
	};
	struct worker *w = ss_zalloc(sizeof(*w));
	ss_future *places;
	unsigned n = 0, total = 0;

	for (unsigned i = 0; i < n_jobs; i++)
		total += jobs[i].parallelism;
	places = ss_alloc(total * sizeof(*places));
	if (!w || !places || !(w->client = ss_rpc_client_new(&connect_to, &co)))
		return -ENOMEM;
	w->end = ss_now() + (uint64_t)ss_config_int(config, "duration") * SS_SEC;
	ss_timer_init(&w->timer, enough);
	ss_timer_arm_at(&w->timer, w->end + 5 * SS_SEC);
	for (unsigned i = 0; i < n_jobs; i++)
		for (unsigned k = 0; k < jobs[i].parallelism; k++)
			places[n++] = start_place(w, i);
	ss_await(ss_when_all(places, total, NULL));
	ss_timer_cancel(&w->timer);
	ss_rpc_client_stats_get(w->client, &w->stats);
	ss_await(ss_rpc_client_stop(w->client));
	ss_free(places);
	return (int64_t)(intptr_t)w;
}

SS_CONT(run_on_shard)
{
	return ss_async(run_worker);
}

/* The report */

static void add(struct counts *to, const struct counts *c)
{
	to->done += c->done;
	to->bytes += c->bytes;
	to->errors += c->errors;
	to->wrong += c->wrong;
	to->sum_ns += c->sum_ns;
	if (c->max_ns > to->max_ns)
		to->max_ns = c->max_ns;
	for (unsigned i = 0; i < BUCKETS; i++)
		to->hist[i] += c->hist[i];
	for (unsigned i = 0; i < ERRNOS; i++)
		to->by_errno[i] += c->by_errno[i];
}

static void report(const struct job *j, const struct counts *c, double seconds)
{
	printf("%s:\n  verb: %s\n  parallelism: %u\n  payload: %u\n", j->name, verb_name(j->verb),
	    j->parallelism, j->payload);
	printf("  messages: %" PRIu64 "\n  messages per second: %.0f\n", c->done,
	    (double)c->done / seconds);
	printf("  throughput: %.2f MiB/s\n", (double)c->bytes / seconds / (1 << 20));
	if (c->done)
		printf("  latency: average %.1f us, 50%% %.1f us, 95%% %.1f us, 99%% %.1f us, "
		       "99.9%% %.1f us, max %.1f us\n",
		    (double)c->sum_ns / (double)c->done / 1000, percentile(c, 0.5),
		    percentile(c, 0.95), percentile(c, 0.99), percentile(c, 0.999),
		    (double)c->max_ns / 1000);
	printf("  errors: %" PRIu64 "\n", c->errors);
	for (int i = 0; i < ERRNOS; i++)
		if (c->by_errno[i])
			printf("    %s: %" PRIu64 "\n", strerror(i), c->by_errno[i]);
	if (verify)
		printf("  wrong answers: %" PRIu64 "\n", c->wrong);
}

SS_FIBER(run_client)
{
	unsigned shards = ss_smp_count();
	double seconds = (double)ss_config_int(config, "duration");
	struct counts *sum = ss_zalloc(n_jobs * sizeof(*sum));
	ss_future fs[SS_MAX_SHARDS];
	ss_result rs[SS_MAX_SHARDS];
	uint64_t connects = 0, lost = 0, plain = 0, wire = 0, bad = 0, done = 0;

	if (!sum)
		return -ENOMEM;
	for (unsigned i = 0; i < n_jobs; i++)
		if (jobs[i].shares > 0)
			groups[i] = (ss_sched_group)SS_TRY(
			    ss_sched_group_create(jobs[i].name, jobs[i].shares));
	for (unsigned i = 0; i < shards; i++)
		fs[i] = ss_smp_submit_to(i, run_on_shard);
	SS_TRY(ss_when_all(fs, shards, rs));
	for (unsigned i = 0; i < shards; i++) {
		struct worker *w = rs[i].p;

		if (rs[i].err)
			return rs[i].err;
		for (unsigned k = 0; k < n_jobs; k++)
			add(&sum[k], &w->counts[k]);
		connects += w->stats.connects;
		lost += w->stats.lost;
		plain += w->stats.bytes_plain;
		wire += w->stats.bytes_wire;
		ss_free(w);
	}
	for (unsigned i = 0; i < n_jobs; i++) {
		report(&jobs[i], &sum[i], seconds);
		bad += sum[i].wrong;
		if (!ss_config_flag(config, "tolerate-errors"))
			bad += sum[i].errors;
		done += sum[i].done;
	}
	printf("connections: %" PRIu64 " made, %" PRIu64 " lost\n", connects, lost);
	printf("bytes sent: %" PRIu64 ", on the wire %" PRIu64 "\n", plain, wire);
	fflush(stdout);
	ss_free(sum);
	return bad || !done ? 1 : 0;
}

/* The program */

static const struct ss_service_ops server_ops = {server_start, server_stop};
static ss_sharded server;

SS_FIBER(main_fiber)
{
	int64_t status = 0;

	if (serving) {
		SS_TRY(ss_sharded_start(&server, &server_ops, NULL));
		printf("rpc_tester: listening\n");
		fflush(stdout);
	}
	if (calling)
		status = ss_await(ss_async(run_client)).i;
	else
		SS_TRY(ss_app_wait_stop());
	if (serving)
		SS_TRY(ss_sharded_stop(&server));
	return status;
}

static int add_job(const char *text, char *error, size_t n)
{
	if (n_jobs == JOBS_MAX) {
		snprintf(error, n, "more than %d jobs", JOBS_MAX);
		return -1;
	}
	return job_parse(text, &jobs[n_jobs++], error, n);
}

static int read_conf(const char *path, char *error, size_t n)
{
	static char text[65536];
	FILE *f = fopen(path, "re");
	char why[300];
	size_t len;
	int k;

	if (!f) {
		snprintf(error, n, "%s: %s", path, strerror(errno));
		return -1;
	}
	len = fread(text, 1, sizeof(text), f);
	fclose(f);
	if (len == sizeof(text)) {
		snprintf(error, n, "%s: too long", path);
		return -1;
	}
	k = jobs_parse_file(text, len, jobs, JOBS_MAX, why, sizeof(why));
	if (k < 0) {
		snprintf(error, n, "%s: %s", path, why);
		return -1;
	}
	n_jobs = (unsigned)k;
	return 0;
}

static int make_creds(char *error, size_t n)
{
	ss_tls_config sc = {
	    .server = true,
	    .cert_file = ss_config_string(config, "tls-cert"),
	    .key_file = ss_config_string(config, "tls-key"),
	};
	ss_tls_config cc = {.ca_file = ss_config_string(config, "tls-ca")};

	if (serving && (sc.cert_file || sc.key_file) &&
	    ss_tls_creds_new(&sc, &server_creds, error, n))
		return -1;
	return calling && cc.ca_file ? ss_tls_creds_new(&cc, &client_creds, error, n) : 0;
}

static int configure(char *error, size_t n)
{
	const char *listen = ss_config_string(config, "listen");
	const char *connect = ss_config_string(config, "connect");
	const char *conf = ss_config_string(config, "conf");
	uint16_t port = (uint16_t)ss_config_int(config, "port");

	serving = listen != NULL;
	calling = connect != NULL;
	verify = ss_config_flag(config, "verify");
	random_data = ss_config_flag(config, "random");
	if (!serving && !calling) {
		snprintf(error, n, "--listen or --connect is needed");
		return -1;
	}
	if ((serving && ss_addr_parse(&listen_at, listen, port)) ||
	    (calling && ss_addr_parse(&connect_to, connect, port))) {
		snprintf(error, n, "--listen and --connect take a numeric address or unix:/path");
		return -1;
	}
	if (conf && read_conf(conf, error, n))
		return -1;
	for (size_t i = 0; i < ss_config_count(config, "job"); i++)
		if (add_job(ss_config_item(config, "job", i), error, n))
			return -1;
	if (calling && !n_jobs && add_job("verb=echo", error, n))
		return -1;
	return make_creds(error, n);
}

static ss_future run(const ss_config *c, void *arg)
{
	static char error[512];

	(void)arg;
	config = c;
	if (configure(error, sizeof(error)))
		return ss_fail_msg(-EINVAL, error);
	return ss_async(main_fiber);
}

int main(int argc, char **argv)
{
	static const struct ss_app app = {.name = "rpc_tester",
	    .description = "Measures remote procedure calls between two programs",
	    .options = options};
	int status = ss_app_run(argc, argv, &app, run, NULL);

	ss_tls_creds_free(server_creds);
	ss_tls_creds_free(client_creds);
	return status;
}
