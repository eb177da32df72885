/* SPDX-License-Identifier: BSD-3-Clause */
/* The linux-aio back end: epoll for descriptors, asynchronous disk requests with an eventfd. */
#include "reactor.h"

#include <linux/aio_abi.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#define REQUESTS 256

struct aio_state {
	aio_context_t ctx;
	struct ss_fd done; /* eventfd: requests have ended */
	struct iocb cbs[REQUESTS];
	struct iocb *free[REQUESTS];
	unsigned n_free;
	struct ss_reactor *re;
};

static void harvest(struct aio_state *a)
{
	struct io_event ev[64];
	struct timespec none = {0, 0};
	long n;

	do {
		n = syscall(SYS_io_getevents, a->ctx, 0, 64, ev, &none);
		for (long i = 0; i < n; i++) {
			struct ss_io *io = (struct ss_io *)(uintptr_t)ev[i].data;

			a->free[a->n_free++] = (struct iocb *)(uintptr_t)ev[i].obj;
			io->result = ev[i].res;
			io->done(io);
		}
	} while (n == 64);
}

static void aio_event(struct ss_fd *f, uint32_t events)
{
	struct aio_state *a = ss_container_of(f, struct aio_state, done);
	uint64_t n;

	(void)events;
	if (read(f->fd, &n, sizeof(n)) == sizeof(n))
		harvest(a);
}

static void aio_destroy(struct aio_state *a)
{
	if (a->ctx)
		syscall(SYS_io_destroy, a->ctx);
	if (a->done.fd >= 0)
		close(a->done.fd);
	free(a);
}

static int aio_probe(void)
{
	aio_context_t ctx = 0;

	if (syscall(SYS_io_setup, 1, &ctx))
		return -errno;
	syscall(SYS_io_destroy, ctx);
	return 0;
}

static int aio_start(struct ss_reactor *re)
{
	struct aio_state *a = calloc(1, sizeof(*a));
	int err;

	if (!a)
		return -ENOMEM;
	a->done.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	a->done.event = aio_event;
	if (a->done.fd < 0 || syscall(SYS_io_setup, REQUESTS, &a->ctx)) {
		err = -errno;
		aio_destroy(a);
		return err;
	}
	while (a->n_free < REQUESTS) {
		a->free[a->n_free] = &a->cbs[a->n_free];
		a->n_free++;
	}
	err = ss_backend_epoll.start(re);
	if (!err)
		err = ss_backend_epoll.add(re, &a->done);
	if (err) {
		aio_destroy(a);
		return err;
	}
	re->aio = a;
	return 0;
}

static void aio_stop(struct ss_reactor *re)
{
	aio_destroy(re->aio);
	re->aio = NULL;
	ss_backend_epoll.stop(re);
}

static int aio_add(struct ss_reactor *re, struct ss_fd *f)
{
	return ss_backend_epoll.add(re, f);
}

static void aio_del(struct ss_reactor *re, struct ss_fd *f)
{
	ss_backend_epoll.del(re, f);
}

static int aio_poll(struct ss_reactor *re, int64_t timeout_ns)
{
	return ss_backend_epoll.poll(re, timeout_ns);
}

static struct iocb *prepare(struct aio_state *a, struct ss_io *io)
{
	static const uint16_t ops[] = {IOCB_CMD_PREAD, IOCB_CMD_PWRITE, IOCB_CMD_FDSYNC};
	struct iocb *cb = a->free[--a->n_free];

	*cb = (struct iocb){.aio_data = (uintptr_t)io,
	    .aio_lio_opcode = ops[io->op],
	    .aio_fildes = (uint32_t)io->fd,
	    .aio_buf = (uintptr_t)io->buf,
	    .aio_nbytes = io->len,
	    .aio_offset = (int64_t)io->offset,
	    .aio_flags = IOCB_FLAG_RESFD,
	    .aio_resfd = (uint32_t)a->done.fd};
	return cb;
}

static unsigned aio_submit(struct ss_reactor *re, struct ss_io *list)
{
	struct aio_state *a = re->aio;
	struct iocb *batch[REQUESTS];
	unsigned n = 0;
	long k;

	for (; list && a->n_free; list = list->next)
		batch[n++] = prepare(a, list);
	k = n ? syscall(SYS_io_submit, a->ctx, (long)n, batch) : 0;
	if (k < 0)
		k = 0;
	/* What the kernel did not take goes to the threads. */
	for (unsigned i = n; i > (unsigned)k; i--)
		a->free[a->n_free++] = batch[i - 1];
	return (unsigned)k;
}

const struct ss_backend ss_backend_aio = {
    .name = "linux-aio",
    .probe = aio_probe,
    .start = aio_start,
    .stop = aio_stop,
    .add = aio_add,
    .del = aio_del,
    .poll = aio_poll,
    .submit = aio_submit,
};
