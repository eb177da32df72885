/* SPDX-License-Identifier: BSD-3-Clause */
/* Socket options that mean the same for every family. A family may take any option for itself
 * first. */
#include <asm/errno.h>
#include <linux/capability.h>
#include <linux/time_types.h>
#include "fs/proc/sysctl.h"
#include "lib/string.h"
#include "net/socket.h"
#include "proc/program.h"
#include "sched/timer.h"

#define BUFFER_MIN 4608
#define TIMEOUT_MAX (INT64_MAX / 4 / NSEC_PER_SEC)

static int set_timeout(int64_t *ns, const void *value, unsigned len)
{
	struct __kernel_old_timeval tv;
	if (len < sizeof tv)
		return -EINVAL;
	memcpy(&tv, value, sizeof tv);
	if (tv.tv_usec < 0 || tv.tv_usec >= 1000000)
		return -EDOM;
	*ns = tv.tv_sec < 0
		  ? 1
		  : MIN((int64_t)tv.tv_sec, TIMEOUT_MAX) * NSEC_PER_SEC + tv.tv_usec * 1000;
	return 0;
}

/* The value is doubled, as Linux does it. */
static int set_buffer(int *field, int v, int most, bool forced)
{
	if (forced && !capable(CAP_NET_ADMIN))
		return -EPERM;
	if (v < 0)
		v = most;
	if (!forced)
		v = MIN(v, most);
	v = MIN(v, INT32_MAX / 2);
	*field = MAX(v * 2, BUFFER_MIN);
	return 0;
}

int socket_set_generic(struct socket *s, int name, const void *value, unsigned len)
{
	int v;
	if (name == SO_RCVTIMEO_OLD || name == SO_RCVTIMEO_NEW)
		return set_timeout(&s->receive_timeout, value, len);
	if (name == SO_SNDTIMEO_OLD || name == SO_SNDTIMEO_NEW)
		return set_timeout(&s->send_timeout, value, len);
	if (len < sizeof v)
		return -EINVAL;
	memcpy(&v, value, sizeof v);
	switch (name) {
	case SO_REUSEADDR:
		s->reuse_address = v;
		return 0;
	case SO_REUSEPORT:
		s->reuse_port = v;
		return 0;
	case SO_KEEPALIVE:
		s->keep_alive = v;
		return 0;
	case SO_BROADCAST:
		s->broadcast = v;
		return 0;
	case SO_OOBINLINE:
		s->oob_inline = v;
		return 0;
	case SO_DONTROUTE:
		s->dont_route = v;
		return 0;
	case SO_PASSCRED:
		s->pass_credentials = v;
		return 0;
	case SO_TIMESTAMP_OLD:
	case SO_TIMESTAMP_NEW:
	case SO_TIMESTAMPNS_OLD:
	case SO_TIMESTAMPNS_NEW: {
		bool ns = name == SO_TIMESTAMPNS_OLD || name == SO_TIMESTAMPNS_NEW;
		s->timestamp = !v ? STAMP_NONE : ns ? STAMP_NS : STAMP_US;
		s->timestamp_new = name == SO_TIMESTAMP_NEW || name == SO_TIMESTAMPNS_NEW;
		return 0;
	}
	case SO_LINGER: {
		int seconds;
		if (len < 2 * sizeof v)
			return -EINVAL;
		memcpy(&seconds, (const char *)value + sizeof v, sizeof seconds);
		s->linger = v;
		s->linger_seconds = v ? seconds : 0;
		return 0;
	}
	case SO_SNDBUF:
	case SO_SNDBUFFORCE:
		return set_buffer(
		    &s->send_buffer, v, (int)atomic_load(&sysctl_wmem_max), name == SO_SNDBUFFORCE);
	case SO_RCVBUF:
	case SO_RCVBUFFORCE:
		return set_buffer(&s->receive_buffer, v, (int)atomic_load(&sysctl_rmem_max),
		    name == SO_RCVBUFFORCE);
	case SO_RCVLOWAT:
		s->receive_lowat = v < 0 ? INT32_MAX : MAX(v, 1);
		return 0;
	case SO_PRIORITY:
		if ((v < 0 || v > 6) && !capable(CAP_NET_ADMIN))
			return -EPERM;
		s->priority = v;
		return 0;
	/* Hints: which CPU should see the packets, how long to look for them. Devices are polled
	 * as long as there is traffic anyway. */
	case SO_INCOMING_CPU:
		s->incoming_cpu = v;
		return 0;
	case SO_BUSY_POLL:
		if (v < 0)
			return -EINVAL;
		if (v > s->busy_poll && !capable(CAP_NET_ADMIN))
			return -EPERM;
		s->busy_poll = v;
		return 0;
	case SO_PREFER_BUSY_POLL:
		if (v && !capable(CAP_NET_ADMIN))
			return -EPERM;
		s->prefer_busy_poll = v;
		return 0;
	case SO_DEBUG:
		if (v && !capable(CAP_NET_ADMIN))
			return -EACCES;
		s->debug = v;
		return 0;
	case SO_BSDCOMPAT: /* without effect everywhere */
		return 0;
	case SO_MARK:
		if (!capable(CAP_NET_ADMIN))
			return -EPERM;
		s->mark = v;
		return 0;
	case SO_TYPE:
	case SO_PROTOCOL:
	case SO_DOMAIN:
	case SO_ERROR:
		return -ENOPROTOOPT;
	}
	return -ENOPROTOOPT;
}

int socket_set_option(struct socket *s, int level, int name, const void *value, unsigned len)
{
	int err =
	    s->ops->set_option ? s->ops->set_option(s, level, name, value, len) : -ENOPROTOOPT;
	if (err == -ENOPROTOOPT && level == SOL_SOCKET)
		err = socket_set_generic(s, name, value, len);
	return err;
}

static int get_timeout(int64_t ns, void *value, unsigned *len)
{
	struct __kernel_old_timeval tv = {ns / NSEC_PER_SEC, ns % NSEC_PER_SEC / 1000};
	*len = MIN(*len, (unsigned)sizeof tv);
	memcpy(value, &tv, *len);
	return 0;
}

static int get_generic(struct socket *s, int name, void *value, unsigned *len)
{
	int v;
	switch (name) {
	case SO_RCVTIMEO_OLD:
	case SO_RCVTIMEO_NEW:
		return get_timeout(s->receive_timeout, value, len);
	case SO_SNDTIMEO_OLD:
	case SO_SNDTIMEO_NEW:
		return get_timeout(s->send_timeout, value, len);
	case SO_LINGER: {
		int both[2] = {s->linger, s->linger_seconds};
		*len = MIN(*len, (unsigned)sizeof both);
		memcpy(value, both, *len);
		return 0;
	}
	case SO_COOKIE: {
		uint64_t cookie = s->file && s->file->inode ? s->file->inode->ino : 0;
		if (*len < sizeof cookie)
			return -EINVAL;
		*len = sizeof cookie;
		memcpy(value, &cookie, sizeof cookie);
		return 0;
	}
	case SO_NETNS_COOKIE: {
		uint64_t only = 1;
		if (*len < sizeof only)
			return -EINVAL;
		*len = sizeof only;
		memcpy(value, &only, sizeof only);
		return 0;
	}
	case SO_INCOMING_CPU:
		v = s->incoming_cpu;
		break;
	case SO_BUSY_POLL:
		v = s->busy_poll;
		break;
	case SO_PREFER_BUSY_POLL:
		v = s->prefer_busy_poll;
		break;
	case SO_DEBUG:
		v = s->debug;
		break;
	case SO_BSDCOMPAT:
		v = 0;
		break;
	case SO_BPF_EXTENSIONS: /* the ancillary loads of net/packet/bpf.c */
		v = 64;
		break;
	case SO_TYPE:
		v = s->type;
		break;
	case SO_DOMAIN:
		v = s->family;
		break;
	case SO_PROTOCOL:
		v = s->protocol;
		break;
	case SO_ERROR:
		v = atomic_exchange(&s->error, 0);
		break;
	case SO_ACCEPTCONN:
		v = s->listening;
		break;
	case SO_REUSEADDR:
		v = s->reuse_address;
		break;
	case SO_REUSEPORT:
		v = s->reuse_port;
		break;
	case SO_KEEPALIVE:
		v = s->keep_alive;
		break;
	case SO_BROADCAST:
		v = s->broadcast;
		break;
	case SO_OOBINLINE:
		v = s->oob_inline;
		break;
	case SO_DONTROUTE:
		v = s->dont_route;
		break;
	case SO_PASSCRED:
		v = s->pass_credentials;
		break;
	case SO_TIMESTAMP_OLD:
	case SO_TIMESTAMP_NEW:
		v = s->timestamp == STAMP_US && s->timestamp_new == (name == SO_TIMESTAMP_NEW);
		break;
	case SO_TIMESTAMPNS_OLD:
	case SO_TIMESTAMPNS_NEW:
		v = s->timestamp == STAMP_NS && s->timestamp_new == (name == SO_TIMESTAMPNS_NEW);
		break;
	case SO_SNDBUF:
		v = s->send_buffer;
		break;
	case SO_RCVBUF:
		v = s->receive_buffer;
		break;
	case SO_RCVLOWAT:
		v = s->receive_lowat;
		break;
	case SO_SNDLOWAT:
		v = 1;
		break;
	case SO_PRIORITY:
		v = s->priority;
		break;
	case SO_MARK:
		v = s->mark;
		break;
	case SO_INCOMING_NAPI_ID:
		v = 0;
		break;
	default:
		return -ENOPROTOOPT;
	}
	*len = MIN(*len, (unsigned)sizeof v);
	memcpy(value, &v, *len);
	return 0;
}

int socket_get_option(struct socket *s, int level, int name, void *value, unsigned *len)
{
	unsigned room = *len;
	int err =
	    s->ops->get_option ? s->ops->get_option(s, level, name, value, len) : -ENOPROTOOPT;
	if (err != -ENOPROTOOPT || level != SOL_SOCKET)
		return err;
	*len = room;
	return get_generic(s, name, value, len);
}

void socket_put_stamp(struct socket *s, struct message *m, int64_t wall)
{
	int64_t sec = wall / NSEC_PER_SEC, ns = wall % NSEC_PER_SEC;

	s->last_stamp = wall;
	/* The layouts of old and new are the same on this machine; the type differs. */
	if (s->timestamp == STAMP_US) {
		int64_t tv[2] = {sec, ns / 1000};
		message_put_control(m, SOL_SOCKET,
		    s->timestamp_new ? SO_TIMESTAMP_NEW : SO_TIMESTAMP_OLD, tv, sizeof tv);
	} else if (s->timestamp == STAMP_NS) {
		int64_t ts[2] = {sec, ns};
		message_put_control(m, SOL_SOCKET,
		    s->timestamp_new ? SO_TIMESTAMPNS_NEW : SO_TIMESTAMPNS_OLD, ts, sizeof ts);
	}
}
