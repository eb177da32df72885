/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sockets: what all address families share. A family registers how its sockets are made; a socket's
 * ops do the work. All ops run in thread context of the calling program and may sleep; addresses
 * and options arrive in kernel memory, already size-checked.
 */
#pragma once

#include "fs/vfs.h"
#include "net/abi.h"

struct socket;

/* One message to send or receive. */
struct message {
	struct iter data;
	unsigned flags; /* MSG_*, with MSG_DONTWAIT also for O_NONBLOCK files */
	struct address
	    *name; /* sending: where to, or NULL; receiving: room for where from, or NULL */
	unsigned
	    name_len; /* sending: its length; receiving: set to the address' length, 0 if none */
	const char *control; /* sending: control messages, validated to be well-formed; or NULL */
	size_t control_len;
	char __user *control_out; /* receiving: see message_put_control() */
	size_t control_room;
	unsigned out_flags; /* receiving: MSG_TRUNC, MSG_CTRUNC, MSG_EOR */
};

struct socket_ops {
	/* NULL entries answer -EOPNOTSUPP. */
	int (*bind)(struct socket *s, const struct address *a, unsigned len);
	int (*connect)(struct socket *s, const struct address *a, unsigned len, bool nonblock);
	int (*listen)(struct socket *s, int backlog);
	/* Fills `fresh` (of the same family, type and protocol, its ops set, not created) with a
	 * new connection. */
	int (*accept)(struct socket *s, struct socket *fresh, bool nonblock);
	int (*pair)(struct socket *a, struct socket *b);
	/* Own or peer's address: its length or -errno. */
	int (*name)(struct socket *s, struct address *a, bool peer);
	long (*send)(struct socket *s, struct message *m);
	long (*receive)(struct socket *s, struct message *m);
	int (*shutdown)(struct socket *s, int how);
	unsigned (*poll)(struct socket *s);
	struct poll_head *(*poll_head)(struct socket *s);
	/* Options: -ENOPROTOOPT for SOL_SOCKET ones leaves them to the generic code. */
	int (*set_option)(struct socket *s, int level, int name, const void *value, unsigned len);
	/* *len is the room at value, set to the length used. */
	int (*get_option)(struct socket *s, int level, int name, void *value, unsigned *len);
	long (*ioctl)(struct socket *s, unsigned cmd, unsigned long arg);
	/* file_ops.send_pages for this socket; flags: MSG_DONTWAIT, MSG_MORE. NULL: send(). */
	long (*send_pages)(struct socket *s, struct page **pages, unsigned n, size_t off,
	    size_t len, unsigned flags);
	/* NULL: sockets cannot be mapped (-ENODEV). */
	int (*mmap)(struct socket *s, struct vma *v);
	/* The socket has its file now (s->file); may be NULL. */
	void (*opened)(struct socket *s);
	/* The file is gone: free private. */
	void (*release)(struct socket *s);
};

enum socket_stamp { STAMP_NONE, STAMP_US, STAMP_NS };

struct socket {
	const struct socket_ops *ops;
	int family, type, protocol;
	struct file *file; /* not referenced: the file owns the socket */
	void *private;
	/* Options kept here; the family reads what concerns it. */
	int64_t receive_timeout, send_timeout; /* ns; 0 for ever */
	int send_buffer, receive_buffer, receive_lowat;
	int priority, mark, linger_seconds, busy_poll, incoming_cpu;
	bool reuse_address, reuse_port, keep_alive, broadcast, linger, oob_inline, pass_credentials,
	    dont_route, debug, prefer_busy_poll;
	uint8_t timestamp;  /* enum socket_stamp: what receivers are told */
	bool timestamp_new; /* in the layout of SO_TIMESTAMP*_NEW */
	int64_t last_stamp; /* wall clock, ns; 0 none yet */
	_Atomic int error;  /* positive errno for SO_ERROR and the next call */
	bool listening;
};

struct socket_family {
	int family;
	/* Sets s->ops and s->private according to s->type and s->protocol. 0 or -errno. */
	int (*create)(struct socket *s);
};

/* Once per family, at boot. */
void socket_family_register(const struct socket_family *f);

/* The socket of a file, or NULL if it is none. */
struct socket *file_socket(const struct file *f);
/* Absolute deadline of a wait that starts now: 0 if it must not wait at all, NO_DEADLINE for ever.
 */
int64_t socket_deadline(int64_t timeout, bool nonblock);
/* Appends a control message for the receiver; sets MSG_CTRUNC when there is no room. */
void message_put_control(struct message *m, int level, int type, const void *data, size_t len);
/* Whether n bytes of control messages are well-formed: 0 or -EINVAL. */
int message_check_control(const char *control, size_t n);
/* Steps through m->control: the next header after `at` (NULL first) with its data, or NULL at the
 * end. */
const struct cmsg_header *message_next_control(
    const struct message *m, const struct cmsg_header *at);
static inline const void *control_data(const struct cmsg_header *h)
{
	return h + 1;
}

/* Time stamps the socket's options ask for (SO_TIMESTAMP…): of a packet that came at this
 * wall-clock time (ns). Remembers it for SIOCGSTAMP. */
void socket_put_stamp(struct socket *s, struct message *m, int64_t wall);

/* socket_options.c: the generic part of setsockopt() and getsockopt(). */
int socket_set_option(struct socket *s, int level, int name, const void *value, unsigned len);
/* The generic part alone, for families that do something as well (SOL_SOCKET). */
int socket_set_generic(struct socket *s, int name, const void *value, unsigned len);
int socket_get_option(struct socket *s, int level, int name, void *value, unsigned *len);

/* Sockets that exist, for /proc/net/sockstat. */
int socket_count(void);

/* Kernel users: a socket without descriptor; the file, referenced, or err_ptr(). flags: O_NONBLOCK.
 */
struct file *socket_file_new(int family, int type, int protocol, int flags);
