/* SPDX-License-Identifier: BSD-3-Clause */
/* AF_UNIX: what its files share. See unix.c for the locking. */
#pragma once

#include "net/socket.h"

struct seqbuf;

struct unix_address {
	atomic_int refs;
	unsigned len; /* of the name: without family; abstract names begin with a zero byte */
	struct dentry *dentry; /* of a path name, referenced */
	char name[UNIX_PATH_MAX + 1];
};

struct unix_packet {
	struct list link;
	size_t len, start, room;
	struct ucred cred;
	struct unix_address *from; /* referenced, or NULL */
	struct file **files;	   /* referenced, SCM_RIGHTS */
	unsigned nfiles;
	char data[];
};

enum unix_state { UNIX_FRESH, UNIX_LISTENING, UNIX_CONNECTED, UNIX_CLOSED };

struct unix_sock {
	atomic_int refs;
	struct mutex lock;
	struct socket *socket; /* NULL once the file is gone */
	int type;
	enum unix_state state;
	struct unix_sock *peer; /* referenced */
	struct unix_address *address;
	struct ucred cred, peer_cred;
	bool peer_cred_known;
	bool read_shut, write_shut, eof; /* eof: nobody will write to us any more */
	int send_limit;

	struct list queue; /* of unix_packet */
	size_t bytes;
	unsigned packets;
	struct waitq read_wait, space_wait;

	struct list pending; /* listener: connections not accepted yet, by accept_link */
	struct list accept_link;
	unsigned npending, backlog;
	struct waitq backlog_wait;

	struct list clients; /* datagram: sockets connected to this one, by client_link */
	struct list client_link;
	struct unix_sock *client_of; /* under unix_names_lock */

	struct poll_head head;
	struct list bound_link, all_link;
	bool pass_credentials;
};

/* unix_name.c */
extern struct mutex unix_names_lock;
int unix_bind(struct socket *s, const struct address *a, unsigned len);
/* Gives an abstract name of five digits. */
int unix_autobind(struct unix_sock *u);
/* The bound socket of that address, referenced, or err_ptr(). type 0: any. */
struct unix_sock *unix_find(const struct address *a, unsigned len, int type);
void unix_unbind(struct unix_sock *u);
void unix_address_put(struct unix_address *a);
int unix_name(struct socket *s, struct address *a, bool peer);
/* Fills an address for user space; its length. */
int unix_fill_address(const struct unix_address *from, struct address *a);

/* unix_scm.c */
/* Reads the control messages of a send: descriptors' files and credentials go to the packet. */
int unix_read_control(const struct message *m, struct unix_packet *p);
/* Gives a packet's files (consumed unless peeking) and credentials to the receiver. */
void unix_deliver_control(struct unix_sock *u, struct message *m, struct unix_packet *p, bool peek);
void unix_packet_free(struct unix_packet *p);
void unix_own_cred(struct ucred *c);

/* unix_data.c */
long unix_send(struct socket *s, struct message *m);
long unix_receive(struct socket *s, struct message *m);

/* unix.c */
/* The other side, referenced, or NULL. Takes u's lock. */
struct unix_sock *unix_peer(struct unix_sock *u);
void unix_get(struct unix_sock *u);
void unix_put(struct unix_sock *u);
void unix_init(void);
/* /proc/net/unix */
int unix_show(struct seqbuf *s);
