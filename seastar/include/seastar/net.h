/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Networking: addresses, connections, listeners, datagrams, and the interface of network stacks.
 * A connection belongs to the shard that accepted or opened it.
 */
#ifndef SEASTAR_NET_H
#define SEASTAR_NET_H

#include <seastar/stream.h>

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#ifdef __cplusplus
extern "C" {
#endif

/** An address: IPv4, IPv6 or the path of a UNIX socket. */
typedef struct ss_addr {
	union {
		struct sockaddr sa;	 /**< Family. */
		struct sockaddr_in in;	 /**< IPv4. */
		struct sockaddr_in6 in6; /**< IPv6. */
		struct sockaddr_un un;	 /**< UNIX socket. */
	};
	socklen_t len; /**< Bytes used. */
} ss_addr;

/** Any IPv4 address, port @p port. */
ss_addr ss_addr_any(uint16_t port);

/** The IPv4 loopback address, port @p port. */
ss_addr ss_addr_loopback(uint16_t port);

/** The UNIX socket @p path. Returns 0 or -ENAMETOOLONG. */
int ss_addr_unix(ss_addr *a, const char *path);

/**
 * Parse a numeric address: "1.2.3.4", "1.2.3.4:80", "::1", "[::1]:80", "unix:/path".
 * @param a     gets the address.
 * @param text  the text.
 * @param port  used when the text has none.
 * @return 0 or -EINVAL.
 */
int ss_addr_parse(ss_addr *a, const char *text, uint16_t port);

/** Write an address as text, always terminated; returns @p out. */
char *ss_addr_format(const ss_addr *a, char *out, size_t n);

/** Port of an IP address, 0 for others. */
uint16_t ss_addr_port(const ss_addr *a);

typedef struct ss_conn ss_conn;		/**< A connection. */
typedef struct ss_listener ss_listener; /**< A listening socket of this shard. */
typedef struct ss_udp ss_udp;		/**< A datagram socket of this shard. */

/** Functions of a connection's implementation (system socket, native stack, TLS). */
struct ss_conn_ops {
	/** End both directions at once: operations in progress fail. The object stays. */
	void (*abort)(ss_conn *c);
	/** Free. Called when no stream operation is in progress, after abort. */
	void (*free)(ss_conn *c);
	/** Address of the other side. */
	void (*peer)(ss_conn *c, ss_addr *out);
	/** Address of this side. */
	void (*local)(ss_conn *c, ss_addr *out);
	/** Turn off (or on) the delay of small packets. */
	int (*nodelay)(ss_conn *c, bool on);
	/** Limits of one read and one write in nanoseconds; 0 for none. */
	void (*timeouts)(ss_conn *c, uint64_t read_ns, uint64_t write_ns);
};

/** Base of every connection. */
struct ss_conn {
	const struct ss_conn_ops *ops; /**< Implementation. */
	ss_input in;		       /**< What the other side sends. */
	ss_output out;		       /**< What is sent to it. */
	bool closing;		       /**< ss_conn_close() was called. */
};

/** For implementations: prepare the base. */
void ss_conn_init(ss_conn *c, const struct ss_conn_ops *ops, ss_source *source, ss_sink *sink);

/** Stream of what the other side sends. */
static inline ss_input *ss_conn_input(ss_conn *c)
{
	return &c->in;
}

/** Stream to the other side. ss_output_close() on it is a half close. */
static inline ss_output *ss_conn_output(ss_conn *c)
{
	return &c->out;
}

/**
 * End the connection and free it: what was not yet taken by the system is lost (ss_output_close()
 * first to send it), operations in progress fail with -ECANCELED. NULL is allowed.
 */
void ss_conn_close(ss_conn *c);

/** ss_output_close(), then ss_conn_close() whatever the result, which the future has. */
SS_MUST_USE ss_future ss_conn_finish(ss_conn *c);

/** For the cleanup attribute. */
static inline void ss_conn_drop(ss_conn **c)
{
	ss_conn_close(*c);
}

/** Declare `ss_auto_conn c = ...;` to close the connection when the scope ends. */
#define ss_auto_conn __attribute__((cleanup(ss_conn_drop), unused)) ss_conn *

/** End both directions at once; ss_conn_close() is still needed. */
void ss_conn_abort(ss_conn *c);

/** Address of the other side. */
void ss_conn_peer(ss_conn *c, ss_addr *out);

/** Address of this side. */
void ss_conn_local(ss_conn *c, ss_addr *out);

/** Turn the delay of small packets off or on (off at start). Returns 0 or a negative errno. */
int ss_conn_set_nodelay(ss_conn *c, bool on);

/** Let a read or write that waits longer than this (ns, 0: for ever) fail with -ETIMEDOUT. */
void ss_conn_set_timeouts(ss_conn *c, uint64_t read_ns, uint64_t write_ns);

/** Functions of a listener's implementation (system socket, native stack, TLS). */
struct ss_listener_ops {
	ss_future (*accept)(ss_listener *l);	    /**< ss_accept(). */
	void (*addr)(ss_listener *l, ss_addr *out); /**< Real address. */
	void (*close)(ss_listener *l);		    /**< End and free. */
};

/** Base of every listener. */
struct ss_listener {
	const struct ss_listener_ops *ops; /**< Implementation. */
};

/** How to listen. */
typedef struct ss_listen_opts {
	bool reuse_address; /**< In spite of connections in TIME_WAIT. */
	bool one_shard;	    /**< Do not share the port with the other shards (SO_REUSEPORT). */
	int backlog;	    /**< Connections waiting to be accepted; 0 for the default. */
	int unix_mode;	    /**< Permissions of a UNIX socket; 0 for the default. */
} ss_listen_opts;

/**
 * Listen on this shard. With more than one shard every shard listens on the same port and the
 * system spreads connections. Resolves with a ss_listener.
 */
SS_MUST_USE ss_future ss_listen(const ss_addr *a, const ss_listen_opts *opts);

/** The next connection: resolves with a ss_conn. -EMFILE etc. leave the listener usable. */
SS_MUST_USE ss_future ss_accept(ss_listener *l);

/** Address listened on, with the real port. */
void ss_listener_addr(ss_listener *l, ss_addr *out);

/** Stop listening; an accept in progress fails with -ECANCELED. NULL is allowed. */
void ss_listener_close(ss_listener *l);

/** Open a connection: resolves with a ss_conn. */
SS_MUST_USE ss_future ss_connect(const ss_addr *a);

/** ss_connect() that gives up with -ETIMEDOUT after @p ns. */
SS_MUST_USE ss_future ss_connect_timeout(const ss_addr *a, uint64_t ns);

/** A datagram received. */
typedef struct ss_datagram {
	ss_buf buf;	/**< Contents; released by the receiver. */
	ss_addr from;	/**< Sender. */
	bool truncated; /**< Longer than 64 KiB or the buffer. */
} ss_datagram;

/** Open a datagram socket bound to @p a (NULL: any port). Resolves with a ss_udp. */
SS_MUST_USE ss_future ss_udp_open(const ss_addr *a, const ss_listen_opts *opts);

/** Receive into @p out, which must live until the future is ready. One at a time. */
SS_MUST_USE ss_future ss_udp_recv(ss_udp *u, ss_datagram *out);

/** Send one datagram of @p n bytes, copied only if it has to wait. */
SS_MUST_USE ss_future ss_udp_send(ss_udp *u, const ss_addr *to, const void *data, size_t n);

/** Address bound to. */
void ss_udp_addr(ss_udp *u, ss_addr *out);

/** Close; operations in progress fail with -ECANCELED. NULL is allowed. */
void ss_udp_close(ss_udp *u);

/**
 * A network stack. The functions above call the one chosen with --network-stack; it is called on
 * every shard and keeps its state per shard.
 */
struct ss_net_stack {
	const char *name; /**< As on the command line. */
	ss_future (*listen)(const ss_addr *a, const ss_listen_opts *opts);   /**< ss_listen(). */
	ss_future (*connect)(const ss_addr *a, uint64_t timeout_ns);	     /**< ss_connect(). */
	ss_future (*udp_open)(const ss_addr *a, const ss_listen_opts *opts); /**< ss_udp_open(). */
	ss_future (*udp_recv)(ss_udp *u, ss_datagram *out);		     /**< ss_udp_recv(). */
	ss_future (*udp_send)(
	    ss_udp *u, const ss_addr *to, const void *data, size_t n); /**< ss_udp_send(). */
	void (*udp_addr)(ss_udp *u, ss_addr *out);		       /**< Real address. */
	void (*udp_close)(ss_udp *u);				       /**< Free. */
};

/** Make a stack known before ss_app_run(); the name is compared with --network-stack. */
void ss_net_stack_register(const struct ss_net_stack *stack);

/** A server: accepts on this shard and runs a handler for each connection. */
typedef struct ss_server {
	ss_listener *listener;			     /**< Where it accepts. */
	ss_gate gate;				     /**< Handlers in progress. */
	ss_future (*handler)(ss_conn *c, void *arg); /**< Owns the connection. */
	void *arg;				     /**< For the handler. */
	uint64_t max_connections; /**< More are closed at once; 0 for no limit. */
	uint64_t accepted;	  /**< Connections accepted. */
	uint64_t rejected;	  /**< Closed for the limit. */
	ss_future loop;		  /**< The accept loop. */
	ss_future gone;		  /**< All handlers have ended; made early, so that it is there. */
	bool stopping;		  /**< ss_server_stop() was called. */
} ss_server;

/**
 * Start accepting on @p l (taken over). The handler's future ends the connection's use; the handler
 * closes the connection. Lack of descriptors or memory makes the loop pause, not end. Must not move
 * until ss_server_stop() is done.
 */
void ss_server_start(
    ss_server *s, ss_listener *l, ss_future (*handler)(ss_conn *c, void *arg), void *arg);

/** Stop accepting and wait until all handlers have ended. */
SS_MUST_USE ss_future ss_server_stop(ss_server *s);

/** Wait until a descriptor that is not the framework's becomes readable or writable. */
typedef struct ss_pollable ss_pollable;

/** Watch @p fd (non-blocking; stays the caller's). NULL if that is not possible. */
ss_pollable *ss_pollable_new(int fd);

/** Ready when reading may succeed; read until EAGAIN before waiting again. */
SS_MUST_USE ss_future ss_pollable_readable(ss_pollable *p);

/** Ready when writing may succeed; write until EAGAIN before waiting again. */
SS_MUST_USE ss_future ss_pollable_writable(ss_pollable *p);

/** Stop watching; waits in progress fail with -ECANCELED. NULL is allowed. */
void ss_pollable_free(ss_pollable *p);

#ifdef __cplusplus
}
#endif
#endif
