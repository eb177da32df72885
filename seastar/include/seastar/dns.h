/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Names and addresses: look-ups in /etc/hosts and by DNS, without blocking the shard.
 *
 * Failures: -ENOENT (there is no such name), -ENODATA (the name has nothing of this kind),
 * -ETIMEDOUT, -ECONNREFUSED (no server is there, or all of them failed or refused), -EREMOTEIO
 * (other failures of servers), -EBADMSG (their answers make no sense), -EINVAL (not a name),
 * -ECANCELED. The text of the future
 * says more.
 */
#ifndef SEASTAR_DNS_H
#define SEASTAR_DNS_H

#include <seastar/abort.h>
#include <seastar/net.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ss_dns ss_dns; /**< A resolver of this shard. */

/** How to resolve. Zero in any member means its default. */
typedef struct ss_dns_opts {
	const char *servers; /**< "1.2.3.4", "1.2.3.4:53,[::1]:53"; NULL: /etc/resolv.conf. */
	const char *domains; /**< Appended to names without enough dots: "a.org,b.org"; NULL: those
			      * of /etc/resolv.conf, unless servers are given. */
	unsigned try_ms;     /**< Milliseconds a server gets for a first answer. 5000. */
	unsigned tries;	     /**< How often each server is asked. 4. */
	bool tcp;	     /**< Ask over TCP only. */
	bool no_hosts;	     /**< Do not look into /etc/hosts. */
} ss_dns_opts;

/**
 * Make a resolver. Reads small files of the system, so make one and keep it.
 * @return 0, -EINVAL for servers that cannot be parsed, or -ENOMEM.
 */
int ss_dns_new(const ss_dns_opts *opts, ss_dns **out);

/** End it: look-ups in progress fail with -ECANCELED. NULL is allowed. */
void ss_dns_free(ss_dns *dns);

/** Limits of one look-up; NULL in place of a pointer to it means those of the resolver. */
typedef struct ss_dns_limits {
	uint64_t timeout_ns; /**< Give up with -ETIMEDOUT; 0 for never. */
	ss_abort *abort;     /**< Give up when this is requested; may be NULL. */
} ss_dns_limits;

/** Addresses of a name. */
typedef struct ss_dns_addrs {
	ss_addr *v; /**< Addresses, in the order to try them. */
	size_t n;   /**< How many, at least one. */
} ss_dns_addrs;

/**
 * Look up a host name, or parse a numeric address.
 * @param dns     resolver.
 * @param name    name; copied.
 * @param port    port of the addresses.
 * @param family  AF_INET, AF_INET6, or AF_UNSPEC for both.
 * @param limits  or NULL.
 * @param out     gets the addresses, must live until the future is ready.
 * @return the number of addresses.
 */
SS_MUST_USE ss_future ss_dns_lookup(ss_dns *dns, const char *name, uint16_t port, int family,
    const ss_dns_limits *limits, ss_dns_addrs *out);

/** Free what was found. */
void ss_dns_addrs_free(ss_dns_addrs *a);

/** Look up the name of an address: resolves with a string for ss_free(). */
SS_MUST_USE ss_future ss_dns_reverse(ss_dns *dns, const ss_addr *a, const ss_dns_limits *limits);

/** Where a service is. */
typedef struct ss_dns_service {
	char *host;	   /**< Name. */
	uint16_t port;	   /**< Port. */
	uint16_t priority; /**< Lower ones are tried first. */
	uint16_t weight;   /**< Share among those of one priority. */
} ss_dns_service;

/** Places of a service. */
typedef struct ss_dns_services {
	ss_dns_service *v; /**< Sorted by priority, then by falling weight. */
	size_t n;	   /**< How many. */
} ss_dns_services;

/** Look up a service, "_sip._tcp.example.org" (SRV), into @p out, which must live until the future
 * is ready: resolves with the number of places. */
SS_MUST_USE ss_future ss_dns_srv(
    ss_dns *dns, const char *name, const ss_dns_limits *limits, ss_dns_services *out);

/** Free what was found. */
void ss_dns_services_free(ss_dns_services *s);

/** How many look-ups are in progress. */
size_t ss_dns_pending(const ss_dns *dns);

#ifdef __cplusplus
}
#endif
#endif
