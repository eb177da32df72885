/* SPDX-License-Identifier: BSD-3-Clause */
/* The command line. Options, defaults and messages are those of Debian's memcached. */
#include "settings.h"

#include "slab.h"

#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define ITEM_MAX_LEAST 1024u
#define ITEM_MAX_MOST (UINT64_C(1024) << 20)

struct mc_settings mc_settings = {
    .port = 11211,
    .socket_mode = 0700,
    .bytes = UINT64_C(64) << 20,
    .connections = 1024,
    .item_max = 1 << 20,
    .factor = 1.08,
    .smallest = 16,
    .backlog = 1024,
    .requests_per_event = 20,
    .evict = true,
    .cas = true,
    .flush = true,
    .dump = true,
    .maxconns_fast = true,
    .hash_expand = true,
    .crawler = true,
};

static const char usage_text[] =
    "memcached " MC_VERSION "\n"
    "-p, --port=<num>          TCP port to listen on (default: 11211)\n"
    "-U, --udp-port=<num>      UDP port to listen on (default: 0, off)\n"
    "-s, --unix-socket=<file>  UNIX socket to listen on (disables network support)\n"
    "-a, --unix-mask=<mask>    access mask for UNIX socket, in octal (default: 700)\n"
    "-A, --enable-shutdown     enable ascii \"shutdown\" command\n"
    "-l, --listen=<addr>       interface to listen on (default: INADDR_ANY)\n"
    "-d, --daemon              run as a daemon\n"
    "-r, --enable-coredumps    maximize core file limit\n"
    "-u, --user=<user>         assume identity of <username> (only when run as root)\n"
    "-m, --memory-limit=<num>  item memory in megabytes (default: 64)\n"
    "-M, --disable-evictions   return error on memory exhausted instead of evicting\n"
    "-c, --conn-limit=<num>    max simultaneous connections (default: 1024)\n"
    "-k, --lock-memory         lock down all paged memory\n"
    "-v, --verbose             verbose (print errors/warnings while in event loop)\n"
    "-vv                       very verbose (also print client commands)\n"
    "-h, --help                print this help and exit\n"
    "-V, --version             print version and exit\n"
    "-P, --pidfile=<file>      save PID in <file>, only used with -d option\n"
    "-f, --slab-growth-factor=<num> chunk size growth factor (default: 1.08)\n"
    "-n, --slab-min-size=<bytes> min space used for key+value+flags (default: 16)\n"
    "-t, --threads=<num>       number of shards, one a CPU (default: 4 or all CPUs)\n"
    "-R, --max-reqs-per-event  maximum number of requests per event, limits the\n"
    "                          requests processed per connection to prevent\n"
    "                          starvation (default: 20)\n"
    "-C, --disable-cas         disable use of CAS\n"
    "-b, --listen-backlog=<num> set the backlog queue limit (default: 1024)\n"
    "-B, --protocol=<name>     protocol - one of ascii, binary, or auto (default: "
    "auto-negotiate)\n"
    "-I, --max-item-size=<num> adjusts max item size\n"
    "                          (default: 1m, min: 1k, max: 1024m)\n"
    "-F, --disable-flush-all   disable flush_all command\n"
    "-X, --disable-dumping     disable stats cachedump and lru_crawler metadump\n"
    "-o, --extended            comma separated list of extended options\n"
    "   - maxconns_fast:       immediately close new connections after limit (always)\n"
    "   - hashpower:           an integer multiplier for how large the hash\n"
    "                          table should be. normally grows at runtime.\n"
    "   - no_hashexpand:       disables hash table expansion (dangerous)\n"
    "   - no_lru_crawler:      do not look for expired items every second\n"
    "   - idle_timeout:        timeout for idle connections (default: 0, no timeout)\n"
    "   - metrics:             address (ip:port) where the metrics are shown over HTTP\n"
    "   - modern, no_modern, slab_reassign, slab_automove, lru_crawler, track_sizes:\n"
    "                          accepted; there is nothing to choose\n"
    "What follows \"--\" are options of the framework, such as --reactor-backend or\n"
    "--poll-mode.\n";

static const char letters[] = "a:Ap:s:U:m:Mc:khirvdl:u:P:f:n:t:R:CFb:B:I:o:VX";

static const struct option longs[] = {
    {"unix-mask", required_argument, NULL, 'a'},
    {"enable-shutdown", no_argument, NULL, 'A'},
    {"port", required_argument, NULL, 'p'},
    {"unix-socket", required_argument, NULL, 's'},
    {"udp-port", required_argument, NULL, 'U'},
    {"memory-limit", required_argument, NULL, 'm'},
    {"disable-evictions", no_argument, NULL, 'M'},
    {"conn-limit", required_argument, NULL, 'c'},
    {"lock-memory", no_argument, NULL, 'k'},
    {"help", no_argument, NULL, 'h'},
    {"license", no_argument, NULL, 'i'},
    {"version", no_argument, NULL, 'V'},
    {"enable-coredumps", no_argument, NULL, 'r'},
    {"verbose", optional_argument, NULL, 'v'},
    {"daemon", no_argument, NULL, 'd'},
    {"listen", required_argument, NULL, 'l'},
    {"user", required_argument, NULL, 'u'},
    {"pidfile", required_argument, NULL, 'P'},
    {"slab-growth-factor", required_argument, NULL, 'f'},
    {"slab-min-size", required_argument, NULL, 'n'},
    {"threads", required_argument, NULL, 't'},
    {"max-reqs-per-event", required_argument, NULL, 'R'},
    {"disable-cas", no_argument, NULL, 'C'},
    {"disable-flush-all", no_argument, NULL, 'F'},
    {"disable-dumping", no_argument, NULL, 'X'},
    {"listen-backlog", required_argument, NULL, 'b'},
    {"protocol", required_argument, NULL, 'B'},
    {"max-item-size", required_argument, NULL, 'I'},
    {"extended", required_argument, NULL, 'o'},
    {NULL, 0, NULL, 0},
};

static bool number(const char *text, int64_t lo, int64_t hi, int64_t *out)
{
	char *end;
	long long v;

	errno = 0;
	v = strtoll(text, &end, 10);
	if (errno || end == text || *end || v < lo || v > hi)
		return false;
	*out = v;
	return true;
}

static int complain(const char *text)
{
	fprintf(stderr, "%s\n", text);
	return 1;
}

static int size_option(const char *text)
{
	char *end;
	double v = strtod(text, &end);
	uint64_t n;

	if (end == text || v < 0)
		return complain("Item max size must be a number, perhaps with k or m.");
	if (*end == 'k' || *end == 'K')
		v *= 1024, end++;
	else if (*end == 'm' || *end == 'M')
		v *= 1 << 20, end++;
	else if (*end == 'g' || *end == 'G')
		v *= 1 << 30, end++;
	if (*end)
		return complain("Item max size must be a number, perhaps with k or m.");
	n = v > 1e18 ? UINT64_MAX : (uint64_t)v;
	if (n < ITEM_MAX_LEAST)
		return complain("Item max size cannot be less than 1024 bytes.");
	if (n > ITEM_MAX_MOST)
		return complain("Cannot set item size limit higher than 1/2 of memory max.");
	mc_settings.item_max = n;
	return -1;
}

/* -o: what is accepted without effect has nothing that could be switched in this server. */
static const char *const no_effect[] = {"modern", "no_modern", "slab_reassign", "no_slab_reassign",
    "slab_automove", "no_slab_automove", "lru_maintainer", "no_lru_maintainer", "lru_crawler_sleep",
    "lru_crawler_tocrawl", "track_sizes", "hot_lru_pct", "warm_lru_pct", "hot_max_factor",
    "warm_max_factor", "temporary_ttl", "hash_algorithm", "tail_repair_time", "read_buf_mem_limit",
    "resp_obj_mem_limit", "no_inline_ascii_resp", "inline_ascii_resp", "no_chunked_items",
    "watcher_logbuf_size", "worker_logbuf_size", "slab_chunk_max", "no_drop_privileges",
    "drop_privileges", "slab_automove_window", "slab_automove_ratio", NULL};

static int extended_one(char *name, const char *value)
{
	int64_t v;

	if (strcmp(name, "maxconns_fast") == 0 || strcmp(name, "no_maxconns_fast") == 0) {
		mc_settings.maxconns_fast = name[0] == 'm';
	} else if (strcmp(name, "hashpower") == 0) {
		if (!value)
			return complain("Missing numeric argument for hashpower");
		if (!number(value, 12, 32, &v))
			return complain("Initial hashtable multiplier must be from 12 to 32");
		mc_settings.hash_power = (unsigned)v;
	} else if (strcmp(name, "no_hashexpand") == 0) {
		mc_settings.hash_expand = false;
	} else if (strcmp(name, "lru_crawler") == 0 || strcmp(name, "no_lru_crawler") == 0) {
		mc_settings.crawler = name[0] == 'l';
	} else if (strcmp(name, "metrics") == 0) {
		if (!value)
			return complain("Missing address for metrics");
		mc_settings.metrics = value;
	} else if (strcmp(name, "idle_timeout") == 0) {
		if (!value)
			return complain("Missing numeric argument for idle_timeout");
		if (!number(value, 0, 1 << 30, &v))
			return complain("could not parse argument to idle_timeout");
		mc_settings.idle_timeout = (unsigned)v;
	} else {
		for (int i = 0; no_effect[i]; i++)
			if (strcmp(name, no_effect[i]) == 0)
				return -1;
		fprintf(stderr, "Illegal suboption \"%s\"\n", name);
		return 1;
	}
	return -1;
}

static int extended(char *list)
{
	char *save = NULL;

	for (char *o = strtok_r(list, ",", &save); o; o = strtok_r(NULL, ",", &save)) {
		char *eq = strchr(o, '=');
		int status;

		if (eq)
			*eq++ = '\0';
		status = extended_one(o, eq);
		if (status >= 0)
			return status;
	}
	return -1;
}

static int listen_option(char *list)
{
	char *save = NULL;

	for (char *a = strtok_r(list, ", ", &save); a; a = strtok_r(NULL, ", ", &save)) {
		if (mc_settings.n_listen == MC_LISTEN_MAX)
			return complain("too many addresses for -l (at most 16)");
		mc_settings.listen[mc_settings.n_listen++] = a;
	}
	return -1;
}

static int protocol_option(const char *name)
{
	static const char *const names[] = {"auto", "ascii", "binary"};

	for (unsigned i = 0; i < 3; i++) {
		if (strcmp(name, names[i]) == 0) {
			mc_settings.protocol = i;
			return -1;
		}
	}
	fprintf(stderr,
	    "Invalid value for binding protocol: %s\n -- should be one of auto, binary, or "
	    "ascii\n",
	    name);
	return 64;
}

/* Options with a number: where it goes and what it may be. */
static int numeric_option(int c, const char *text)
{
	static const struct {
		char letter;
		int64_t lo, hi;
		const char *message;
	} rules[] = {
	    {'p', 0, 65535, "port must be from 0 to 65535"},
	    {'U', 0, 65535, "UDP port must be from 0 to 65535"},
	    {'m', 1, 1 << 24, "memory limit must be a number of megabytes greater than 0"},
	    {'c', 1, 1 << 28, "Maximum connections must be greater than 0"},
	    {'t', 1, 256, "Number of threads must be greater than 0"},
	    {'R', 1, 1 << 30, "Number of requests per event must be greater than 0"},
	    {'b', 1, 1 << 28, "backlog must be greater than 0"},
	    {'n', 1, 4096, "Chunk size must be greater than 0"},
	};
	int64_t v = 0;

	for (unsigned i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (rules[i].letter == c && !number(text, rules[i].lo, rules[i].hi, &v))
			return complain(rules[i].message);
	switch (c) {
	case 'p':
		mc_settings.port = (int)v;
		mc_settings.port_given = true;
		break;
	case 'U':
		mc_settings.udp_port = (int)v;
		mc_settings.udp_given = true;
		break;
	case 'm':
		mc_settings.bytes = (uint64_t)v << 20;
		break;
	case 'c':
		mc_settings.connections = (uint64_t)v;
		break;
	case 't':
		mc_settings.threads = (unsigned)v;
		break;
	case 'R':
		mc_settings.requests_per_event = (unsigned)v;
		break;
	case 'b':
		mc_settings.backlog = (int)v;
		break;
	default:
		mc_settings.smallest = (int)v;
		break;
	}
	return -1;
}

static int flag_option(int c)
{
	switch (c) {
	case 'A':
		mc_settings.shutdown = true;
		break;
	case 'M':
		mc_settings.evict = false;
		break;
	case 'k':
		mc_settings.lock_memory = true;
		break;
	case 'r':
		mc_settings.core = true;
		break;
	case 'v':
		mc_settings.verbose++;
		break;
	case 'd':
		mc_settings.daemonize = true;
		break;
	case 'C':
		mc_settings.cas = false;
		break;
	case 'F':
		mc_settings.flush = false;
		break;
	case 'X':
		mc_settings.dump = false;
		break;
	case 'h':
		fputs(usage_text, stdout);
		return 0;
	case 'V':
		puts("memcached " MC_VERSION);
		return 0;
	case 'i':
		puts("memcached " MC_VERSION "\n\nBSD-3-Clause; see LICENSE of Carrara.");
		return 0;
	default:
		/* getopt has named the option. */
		fprintf(stderr, "Illegal argument \"%c\"\n", optopt ? optopt : c);
		return 64;
	}
	return -1;
}

static int text_option(int c, char *text)
{
	char *end;

	switch (c) {
	case 's':
		mc_settings.socket = text;
		return -1;
	case 'a':
		mc_settings.socket_mode = (int)strtol(text, &end, 8);
		return *end || mc_settings.socket_mode < 0 || mc_settings.socket_mode > 0777
			   ? complain("the access mask must be an octal number up to 777")
			   : -1;
	case 'l':
		return listen_option(text);
	case 'u':
		mc_settings.user = text;
		return -1;
	case 'P':
		mc_settings.pidfile = text;
		return -1;
	case 'f':
		mc_settings.factor = strtod(text, &end);
		return *end || !(mc_settings.factor > 1.0) || mc_settings.factor > 16
			   ? complain("Factor must be greater than 1")
			   : -1;
	case 'B':
		return protocol_option(text);
	case 'I':
		return size_option(text);
	default:
		return extended(text);
	}
}

static int one_option(int c, char *text)
{
	if (strchr("pUmctRbn", c))
		return numeric_option(c, text);
	if (strchr("salPfBIou", c))
		return text_option(c, text);
	return flag_option(c);
}

static int finish(void)
{
	cpu_set_t cpus;
	int n = 1;

	if (sched_getaffinity(0, sizeof(cpus), &cpus) == 0)
		n = CPU_COUNT(&cpus);
	if (!mc_settings.threads)
		mc_settings.threads = n < 4 ? (unsigned)n : 4;
	if (mc_settings.item_max > mc_settings.bytes / 2)
		return complain("Cannot set item size limit higher than 1/2 of memory max.");
	if (!mc_settings.port_given && mc_settings.udp_given && mc_settings.udp_port)
		mc_settings.port = mc_settings.udp_port;
	if (mc_settings.socket && mc_settings.udp_given && mc_settings.udp_port)
		return complain("UDP and a UNIX socket (-s) exclude each other");
	if (getrandom(&mc_settings.seed, sizeof(mc_settings.seed), 0) < 0)
		mc_settings.seed = (uint64_t)time(NULL);
	mc_settings.started = (int64_t)time(NULL) - 2;
	return -1;
}

int mc_settings_parse(int argc, char **argv)
{
	int c, status;

	while ((c = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		status = one_option(c, optarg);
		if (status >= 0)
			return status;
	}
	if (optind < argc && strcmp(argv[optind - 1], "--") != 0) {
		fprintf(stderr, "unexpected argument \"%s\"\n", argv[optind]);
		return 64;
	}
	mc_settings.framework_argc = argc - optind;
	mc_settings.framework_argv = argv + optind;
	return finish();
}
