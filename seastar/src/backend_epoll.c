/* SPDX-License-Identifier: BSD-3-Clause */
/* The epoll back end: works everywhere; disk operations go to the thread pool. */
#include "reactor.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EVENTS 128

struct epoll_state {
	int ep;
	bool coarse; /* no epoll_pwait2(): waits in milliseconds */
	struct epoll_event events[EVENTS];
};

static int epoll_start(struct ss_reactor *re)
{
	struct epoll_state *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->ep = epoll_create1(EPOLL_CLOEXEC);
	if (d->ep < 0) {
		free(d);
		return -errno;
	}
	re->backend_data = d;
	return 0;
}

static void epoll_stop(struct ss_reactor *re)
{
	struct epoll_state *d = re->backend_data;

	close(d->ep);
	free(d);
	re->backend_data = NULL;
}

static int epoll_add(struct ss_reactor *re, struct ss_fd *f)
{
	struct epoll_state *d = re->backend_data;
	struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLET | EPOLLRDHUP, .data.ptr = f};

	return epoll_ctl(d->ep, EPOLL_CTL_ADD, f->fd, &e) ? -errno : 0;
}

static void epoll_del(struct ss_reactor *re, struct ss_fd *f)
{
	struct epoll_state *d = re->backend_data;

	epoll_ctl(d->ep, EPOLL_CTL_DEL, f->fd, NULL);
}

static int wait_ms(struct epoll_state *d, int64_t ns)
{
	int64_t ms = ns < 0 ? -1 : (ns + 999999) / 1000000;

	return epoll_wait(d->ep, d->events, EVENTS, ms > 3600000 ? 3600000 : (int)ms);
}

static int wait_events(struct epoll_state *d, int64_t ns)
{
	struct timespec ts = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
	int n;

	if (ns <= 0 || d->coarse)
		return wait_ms(d, ns);
	n = epoll_pwait2(d->ep, d->events, EVENTS, &ts, NULL);
	if (n < 0 && errno == ENOSYS) {
		d->coarse = true;
		return wait_ms(d, ns);
	}
	return n;
}

static int epoll_poll(struct ss_reactor *re, int64_t timeout_ns)
{
	struct epoll_state *d = re->backend_data;
	int n = wait_events(d, timeout_ns);

	if (n < 0)
		return -errno;
	for (int i = 0; i < n; i++) {
		struct ss_fd *f = d->events[i].data.ptr;

		f->event(f, d->events[i].events);
	}
	return 0;
}

const struct ss_backend ss_backend_epoll = {
    .name = "epoll",
    .start = epoll_start,
    .stop = epoll_stop,
    .add = epoll_add,
    .del = epoll_del,
    .poll = epoll_poll,
};
