/* SPDX-License-Identifier: BSD-3-Clause */
/* The options of the command line. Set before the shards start, then only `verbose` changes. */
#ifndef MC_SETTINGS_H
#define MC_SETTINGS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define MC_VERSION "1.6.18-seastar"
#define MC_LISTEN_MAX 16

enum mc_protocol { MC_PROTO_AUTO, MC_PROTO_ASCII, MC_PROTO_BINARY };

struct mc_settings {
	int port, udp_port; /* udp_port 0: off */
	bool port_given, udp_given;
	const char *socket; /* path of the UNIX socket, or NULL */
	int socket_mode;
	const char *listen[MC_LISTEN_MAX]; /* addresses, perhaps with ports */
	unsigned n_listen;
	uint64_t bytes; /* of items, over all shards */
	uint64_t connections;
	unsigned threads;
	uint64_t item_max;
	double factor;
	int smallest; /* -n: least room for key, value, flags */
	int backlog;
	unsigned requests_per_event;
	bool evict, cas, flush, dump, shutdown, daemonize, lock_memory, core, maxconns_fast;
	enum mc_protocol protocol;
	unsigned hash_power;
	bool hash_expand, crawler;
	unsigned idle_timeout; /* seconds, 0: none */
	const char *user, *pidfile;
	const char *metrics; /* address where they are shown, or NULL */
	_Atomic int verbose;
	int64_t started; /* time() when the clock of the stores showed 0 */
	uint64_t seed;
	int framework_argc; /* arguments behind "--" */
	char **framework_argv;
};

extern struct mc_settings mc_settings;

/* Parse the command line. Returns -1 to go on, or the exit status. Messages are printed. */
int mc_settings_parse(int argc, char **argv);

#endif
