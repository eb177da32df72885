/* SPDX-License-Identifier: BSD-3-Clause */
/* What the system calls need of the sockets' files. */
#pragma once

#include "net/socket.h"

/* A socket with default options, not created; kfree() it. */
struct socket *socket_alloc(int family, int type, int protocol);
/* Its file (the socket belongs to it then), or NULL without memory. */
struct file *socket_wrap(struct socket *s, int flags);
/* With SIGPIPE for a broken stream. */
long socket_send(struct socket *s, struct message *m);
long socket_receive(struct socket *s, struct message *m);
