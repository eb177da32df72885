/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The io_uring back end: descriptors are watched with multishot polls, disk requests are submitted
 * directly, and one system call per turn submits and collects. A completion names its descriptor by
 * slot and generation, because it may come after the descriptor was given up.
 */
#include "reactor.h"

#ifdef SS_HAVE_LIBURING
#include <liburing.h>
#include <poll.h>
#include <sys/epoll.h>
#include <stdlib.h>

#define ENTRIES 512
#define IO_TAG 1u /* user data of a disk request: its address with this bit */

struct slot {
	struct ss_fd *f;
	uint32_t generation;
	int next_free;
};

struct uring_state {
	struct io_uring ring;
	struct slot *slots;
	int n_slots, first_free;
};

static uint64_t user_data(const struct uring_state *u, int slot)
{
	return (uint64_t)slot << 32 | (uint64_t)(u->slots[slot].generation & 0x3fffffff) << 2;
}

static struct io_uring_sqe *get_sqe(struct uring_state *u)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);

	if (!sqe) {
		io_uring_submit(&u->ring);
		sqe = io_uring_get_sqe(&u->ring);
	}
	return sqe;
}

static int watch(struct uring_state *u, int slot)
{
	struct io_uring_sqe *sqe = get_sqe(u);

	if (!sqe)
		return -EBUSY;
	io_uring_prep_poll_multishot(
	    sqe, u->slots[slot].f->fd, POLLIN | POLLOUT | POLLRDHUP | (unsigned)EPOLLET);
	io_uring_sqe_set_data64(sqe, user_data(u, slot));
	return 0;
}

static int uring_probe(void)
{
	struct io_uring ring;
	int err = io_uring_queue_init(4, &ring, 0);

	if (!err)
		io_uring_queue_exit(&ring);
	return err;
}

static int uring_start(struct ss_reactor *re)
{
	struct uring_state *u = calloc(1, sizeof(*u));
	struct io_uring_params p = {
	    .flags = IORING_SETUP_CQSIZE | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
	    .cq_entries = 8 * ENTRIES};
	int err;

	if (!u)
		return -ENOMEM;
	u->first_free = -1;
	err = io_uring_queue_init_params(ENTRIES, &u->ring, &p);
	if (err == -EINVAL) {
		p = (struct io_uring_params){
		    .flags = IORING_SETUP_CQSIZE, .cq_entries = 8 * ENTRIES};
		err = io_uring_queue_init_params(ENTRIES, &u->ring, &p);
	}
	if (err) {
		free(u);
		return err;
	}
	re->backend_data = u;
	return 0;
}

static void uring_stop(struct ss_reactor *re)
{
	struct uring_state *u = re->backend_data;

	io_uring_queue_exit(&u->ring);
	free(u->slots);
	free(u);
	re->backend_data = NULL;
}

static int grow(struct uring_state *u)
{
	int n = u->n_slots ? u->n_slots * 2 : 64;
	struct slot *s = realloc(u->slots, (size_t)n * sizeof(*s));

	if (!s)
		return -ENOMEM;
	u->slots = s;
	for (int i = n - 1; i >= u->n_slots; i--) {
		s[i] = (struct slot){.f = NULL, .generation = 1, .next_free = u->first_free};
		u->first_free = i;
	}
	u->n_slots = n;
	return 0;
}

static int uring_add(struct ss_reactor *re, struct ss_fd *f)
{
	struct uring_state *u = re->backend_data;
	int slot;

	if (u->first_free < 0 && grow(u))
		return -ENOMEM;
	slot = u->first_free;
	u->first_free = u->slots[slot].next_free;
	u->slots[slot].f = f;
	f->slot = slot;
	return watch(u, slot);
}

static void uring_del(struct ss_reactor *re, struct ss_fd *f)
{
	struct uring_state *u = re->backend_data;
	struct slot *s = &u->slots[f->slot];
	struct io_uring_sqe *sqe = get_sqe(u);

	if (sqe) {
		io_uring_prep_poll_remove(sqe, user_data(u, f->slot));
		io_uring_sqe_set_data64(sqe, 0);
		/* The poll holds the file: it must be gone before the descriptor is closed. */
		io_uring_submit(&u->ring);
	}
	s->f = NULL;
	s->generation++;
	s->next_free = u->first_free;
	u->first_free = f->slot;
}

static void complete(struct uring_state *u, const struct io_uring_cqe *cqe)
{
	uint64_t ud = cqe->user_data;
	int slot = (int)(ud >> 32);
	struct ss_io *io = (struct ss_io *)(uintptr_t)(ud & ~(uint64_t)3);
	struct ss_fd *f;

	if (!ud)
		return;
	if (ud & IO_TAG) {
		io->result = cqe->res;
		io->done(io);
		return;
	}
	if (slot >= u->n_slots || user_data(u, slot) != ud || !u->slots[slot].f)
		return;
	f = u->slots[slot].f;
	if (!(cqe->flags & IORING_CQE_F_MORE))
		watch(u, slot);
	if (cqe->res > 0)
		f->event(f, (uint32_t)cqe->res);
}

static int uring_wait(struct uring_state *u, int64_t timeout_ns)
{
	struct io_uring_cqe *cqe;
	struct __kernel_timespec ts = {
	    .tv_sec = timeout_ns / 1000000000, .tv_nsec = timeout_ns % 1000000000};

	if (!timeout_ns)
		return io_uring_submit_and_get_events(&u->ring);
	if (timeout_ns < 0)
		return io_uring_submit_and_wait(&u->ring, 1);
	return io_uring_submit_and_wait_timeout(&u->ring, &cqe, 1, &ts, NULL);
}

static int uring_poll(struct ss_reactor *re, int64_t timeout_ns)
{
	struct uring_state *u = re->backend_data;
	int err = uring_wait(u, timeout_ns);
	struct io_uring_cqe *batch[64];
	unsigned n;

	while ((n = io_uring_peek_batch_cqe(&u->ring, batch, 64))) {
		for (unsigned i = 0; i < n; i++) {
			struct io_uring_cqe copy = {.user_data = batch[i]->user_data,
			    .res = batch[i]->res,
			    .flags = batch[i]->flags};

			complete(u, &copy);
		}
		io_uring_cq_advance(&u->ring, n);
	}
	return err == -EINTR ? err : 0;
}

static unsigned uring_submit(struct ss_reactor *re, struct ss_io *list)
{
	struct uring_state *u = re->backend_data;
	unsigned n = 0;

	for (; list; list = list->next, n++) {
		struct io_uring_sqe *sqe = get_sqe(u);

		if (!sqe)
			break;
		if (list->op == SS_IO_READ)
			io_uring_prep_read(sqe, list->fd, list->buf, list->len, list->offset);
		else if (list->op == SS_IO_WRITE)
			io_uring_prep_write(sqe, list->fd, list->buf, list->len, list->offset);
		else
			io_uring_prep_fsync(sqe, list->fd, IORING_FSYNC_DATASYNC);
		io_uring_sqe_set_data64(sqe, (uintptr_t)list | IO_TAG);
	}
	return n;
}

const struct ss_backend ss_backend_uring = {
    .name = "io_uring",
    .probe = uring_probe,
    .start = uring_start,
    .stop = uring_stop,
    .add = uring_add,
    .del = uring_del,
    .poll = uring_poll,
    .submit = uring_submit,
};
#endif
