/* SPDX-License-Identifier: BSD-3-Clause */
/* Constants and structures of the socket system calls that the kernel's exported headers leave to
 * the C library. */
#pragma once

#include <asm/socket.h>
#include <linux/un.h>
#include "lib/util.h"

enum {
	AF_UNSPEC = 0,
	AF_UNIX = 1,
	AF_INET = 2,
	AF_INET6 = 10,
	AF_NETLINK = 16,
	AF_PACKET = 17,
	AF_COUNT = 46
};

enum { SOCK_STREAM = 1, SOCK_DGRAM = 2, SOCK_RAW = 3, SOCK_SEQPACKET = 5, SOCK_TYPE_MASK = 15 };
#define SOCK_CLOEXEC 02000000
#define SOCK_NONBLOCK 04000

enum { SHUT_RD, SHUT_WR, SHUT_RDWR };

enum {
	MSG_OOB = 1,
	MSG_PEEK = 2,
	MSG_DONTROUTE = 4,
	MSG_CTRUNC = 8,
	MSG_TRUNC = 0x20,
	MSG_DONTWAIT = 0x40,
	MSG_EOR = 0x80,
	MSG_WAITALL = 0x100,
	MSG_ERRQUEUE = 0x2000,
	MSG_NOSIGNAL = 0x4000,
	MSG_MORE = 0x8000,
	MSG_WAITFORONE = 0x10000,
	MSG_ZEROCOPY = 0x4000000,
	MSG_FASTOPEN = 0x20000000,
	MSG_CMSG_CLOEXEC = 0x40000000,
};

#define SOL_IP 0
#define SOL_TCP 6
#define SOL_UDP 17
#define SOL_IPV6 41
enum { SCM_RIGHTS = 1, SCM_CREDENTIALS = 2 };
#define SCM_MAX_FD 253
#define SOMAXCONN_DEFAULT 4096

struct user_msghdr {
	void __user *name;
	int namelen;
	void __user *iov;
	size_t iovlen;
	void __user *control;
	size_t controllen;
	unsigned flags;
};
struct user_mmsghdr {
	struct user_msghdr hdr;
	unsigned len;
};
struct cmsg_header {
	size_t len;
	int level, type;
};
#define CMSG_ALIGN(n) ALIGN_UP((size_t)(n), sizeof(size_t))
#define CMSG_SPACE(n) (CMSG_ALIGN(n) + sizeof(struct cmsg_header))

struct ucred {
	int pid;
	uint32_t uid, gid;
};

struct address { /* struct sockaddr_storage */
	union {
		uint16_t family;
		char bytes[128];
		uint64_t align[16];
	};
};
