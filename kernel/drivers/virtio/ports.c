/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ports of a virtio console. Unlike the console they are no terminals: bytes pass unchanged, a full
 * buffer makes the writer wait on either side, and the end of the host's stream is the end of file.
 *
 * A port's queues are used with its mutex held; their interrupts only queue work that wakes
 * sleepers. Whoever goes to sleep asks for the interrupt first, with the mutex held, and the work
 * takes the mutex, so no wake-up is lost. The control queues are served by whoever finds them
 * unattended (lib/combine.h), in interrupt context.
 */
#include "drivers/virtio/ports.h"

#include <asm/errno.h>
#include <asm/fcntl.h>
#include <asm/signal.h>
#include <linux/eventpoll.h>
#include "core/log.h"
#include "fs/special.h"
#include "lib/combine.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/page.h"
#include "proc/program.h"
#include "sched/sync.h"
#include "sched/work.h"
#include "sys/syscall.h"

enum { PORTS = 5, BUFFERS = 4, CONTROLS = 32, VPORT_MAJOR = 242, PATIENCE = 200 };
enum { CONTROL_RX = 2, CONTROL_TX = 3 };
enum { DEVICE_READY = 0, PORT_ADD = 1, PORT_READY = 3, PORT_OPEN = 6 };

struct control {
	uint32_t id;
	uint16_t event, value;
};

/* From the device some carry a name. */
struct control_in {
	struct control c;
	char name[120];
};

struct port {
	unsigned id;
	struct mutex lock; /* all but `closed` */
	struct virtq *rx, *tx;
	_Atomic bool closed; /* by the host */
	bool opened;	     /* the buffers are there */
	char *out[BUFFERS];  /* those that are free */
	unsigned nfree;
	char *part; /* input that was read in part */
	size_t at, end;
	struct waitq wait;
	struct poll_head head;
	struct work changed;
	char name[12];
	struct char_device device;
};

struct ports {
	struct virtio_device *virtio;
	unsigned n; /* ports 1 to n - 1 are used */
	struct port port[PORTS];
	struct virtq *control_rx, *control_tx;
	struct control_in *in;
	struct control *out;
	unsigned out_free[CONTROLS], nfree;
	struct combiner attend; /* control queues */
	_Atomic bool failed;
	struct work console;
	void (*console_there)(void *arg);
	void *console_arg;
	_Atomic bool answered, has_console, console_ready;
};

/* ---- a port's file ---- */

static void port_changed(struct work *w)
{
	struct port *p = container_of(w, struct port, changed);
	mutex_lock(&p->lock);
	waitq_wake_all(&p->wait);
	mutex_unlock(&p->lock);
	poll_notify(&p->head, EPOLLIN | EPOLLRDNORM | EPOLLOUT | EPOLLWRNORM);
}

static void reclaim(struct port *p)
{
	char *done;
	uint32_t written;
	while ((done = virtq_take(p->tx, &written)))
		p->out[p->nfree++] = done;
}

static void offer(struct port *p, char *buffer)
{
	struct virtq_buf b = {virt_phys(buffer), PAGE_SIZE};
	if (virtq_add(p->rx, &b, 0, 1, buffer) == 0)
		virtio_kick(p->rx);
}

/* Whether there is input to copy. */
static bool have_input(struct port *p)
{
	uint32_t n;
	while (p->at == p->end) {
		if (p->part)
			offer(p, p->part);
		p->at = p->end = 0;
		p->part = virtq_take(p->rx, &n);
		if (!p->part)
			return false;
		p->end = n;
	}
	return true;
}

static int sleep_on(struct port *p)
{
	int err = waitq_wait(&p->wait, &p->lock, NO_DEADLINE, WAIT_INTERRUPTIBLE);
	return err == -EINTR ? -ERESTARTSYS : err;
}

/* 0 when there is input, 1 at the end of the stream, or -errno. lock held. */
static int wait_input(struct port *p, struct file *f)
{
	for (;;) {
		bool closed = atomic_load(&p->closed); /* before the last look: all has come then */
		if (have_input(p))
			return 0;
		if (closed || p->rx->broken)
			return 1;
		if (f->flags & O_NONBLOCK)
			return -EAGAIN;
		if (virtq_enable(p->rx))
			continue;
		int err = sleep_on(p);
		if (err)
			return err;
	}
}

static long port_read(struct file *f, struct iter *to, int64_t *pos)
{
	struct port *p = f->private;
	long done = 0;
	(void)pos;
	if (!to->count)
		return 0;
	mutex_lock(&p->lock);
	int state = wait_input(p, f);
	while (!state && to->count && have_input(p)) {
		size_t n = MIN(p->end - p->at, to->count);
		size_t moved = iter_to(to, p->part + p->at, n);
		p->at += moved;
		done += (long)moved;
		if (moved < n) {
			state = -EFAULT;
			break;
		}
	}
	mutex_unlock(&p->lock);
	return done || state > 0 ? done : state;
}

/* 0 when a buffer is free, or -errno. lock held. */
static int wait_room(struct port *p, struct file *f)
{
	for (;;) {
		reclaim(p);
		if (atomic_load(&p->closed) || p->tx->broken)
			return -EPIPE;
		if (p->nfree)
			return 0;
		if (f->flags & O_NONBLOCK)
			return -EAGAIN;
		if (virtq_enable(p->tx))
			continue;
		int err = sleep_on(p);
		if (err)
			return err;
	}
}

static long port_write(struct file *f, struct iter *from, int64_t *pos)
{
	struct port *p = f->private;
	long done = 0, r = 0;
	(void)pos;
	mutex_lock(&p->lock);
	while (from->count && (r = wait_room(p, f)) == 0) {
		char *buffer = p->out[p->nfree - 1];
		size_t n = iter_from(from, buffer, MIN(from->count, (size_t)PAGE_SIZE));
		struct virtq_buf b = {virt_phys(buffer), (uint32_t)n};
		if (!n) {
			r = -EFAULT;
			break;
		}
		if (virtq_add(p->tx, &b, 1, 0, buffer)) {
			r = -EIO;
			break;
		}
		p->nfree--;
		virtio_kick(p->tx);
		done += (long)n;
	}
	mutex_unlock(&p->lock);
	if (done)
		return done;
	if (r == -EPIPE && current_thread()->program)
		signal_send_thread(current_thread(), SIGPIPE, NULL);
	return r;
}

static unsigned port_poll(struct file *f)
{
	struct port *p = f->private;
	unsigned r = 0;
	mutex_lock(&p->lock);
	bool closed = atomic_load(&p->closed);
	do {
		reclaim(p);
		if (f->mode & FMODE_WRITE && (p->nfree || closed))
			r |= EPOLLOUT | EPOLLWRNORM;
	} while (f->mode & FMODE_WRITE && !r && virtq_enable(p->tx));
	if (f->mode & FMODE_READ) {
		while (!have_input(p) && virtq_enable(p->rx))
			;
		if (have_input(p))
			r |= EPOLLIN | EPOLLRDNORM;
		else if (closed)
			r |= EPOLLIN | EPOLLRDNORM | EPOLLHUP;
	}
	if (closed && f->mode & FMODE_WRITE)
		r |= EPOLLERR;
	mutex_unlock(&p->lock);
	return r;
}

static struct poll_head *port_poll_head(struct file *f)
{
	return &((struct port *)f->private)->head;
}

static const struct file_ops port_ops = {
    .read = port_read, .write = port_write, .poll = port_poll, .poll_head = port_poll_head};

/* Buffers are given to a port when it is first opened; most machines use none of them. */
static int give_buffers(struct port *p)
{
	char *block = kmalloc(2ul * BUFFERS * PAGE_SIZE);
	if (!block)
		return -ENOMEM;
	for (unsigned i = 0; i < BUFFERS; i++) {
		p->out[p->nfree++] = block + (2ul * i + 1) * PAGE_SIZE;
		offer(p, block + 2ul * i * PAGE_SIZE);
	}
	p->opened = true;
	return 0;
}

static int port_open(struct inode *i, struct file *f)
{
	struct port *p = f->private;
	(void)i;
	mutex_lock(&p->lock);
	int err = p->opened ? 0 : give_buffers(p);
	mutex_unlock(&p->lock);
	f->mode |= FMODE_STREAM;
	return err;
}

/* ---- control messages ---- */

static void send_control(struct ports *ps, uint32_t id, uint16_t event, uint16_t value)
{
	struct control *done;
	uint32_t written;
	while ((done = virtq_take(ps->control_tx, &written)))
		ps->out_free[ps->nfree++] = (unsigned)(done - ps->out);
	if (!ps->nfree)
		return; /* a host that takes no messages has no use for another one */
	struct control *c = &ps->out[ps->out_free[--ps->nfree]];
	*c = (struct control){id, event, value};
	struct virtq_buf b = {virt_phys(c), sizeof *c};
	if (virtq_add(ps->control_tx, &b, 1, 0, c) == 0)
		virtio_kick(ps->control_tx);
}

static void offer_control(struct ports *ps, struct control_in *c)
{
	struct virtq_buf b = {virt_phys(c), sizeof *c};
	virtq_add(ps->control_rx, &b, 0, 1, c);
}

static void take_control(struct ports *ps, const struct control *c)
{
	if (c->id >= ps->n)
		return;
	if (c->event == PORT_ADD) {
		send_control(ps, c->id, PORT_READY, 1);
		send_control(ps, c->id, PORT_OPEN, 1);
		if (c->id == 0) {
			atomic_store(&ps->has_console, true);
			work_queue(&ps->console);
		}
		atomic_store(&ps->answered, true);
	} else if (c->event == PORT_OPEN && c->id) {
		atomic_store(&ps->port[c->id].closed, !c->value);
		work_queue(&ps->port[c->id].changed);
	}
}

static void serve_control(void *arg)
{
	struct ports *ps = arg;
	do {
		uint32_t n;
		struct control_in *c;
		while ((c = virtq_take(ps->control_rx, &n))) {
			struct control copy = c->c;
			if (n >= sizeof copy)
				take_control(ps, &copy);
			offer_control(ps, c);
		}
		if (ps->control_rx->broken && !atomic_exchange(&ps->failed, true))
			virtio_fail(ps->virtio, ps->control_rx->broken);
		virtio_kick(ps->control_rx);
	} while (virtq_enable(ps->control_rx));
}

void ports_interrupt(struct ports *ps, const struct virtq *q)
{
	if (q == ps->control_rx && !atomic_load(&ps->failed))
		combine(&ps->attend, serve_control, ps);
	for (unsigned i = 1; i < ps->n; i++)
		if (q == ps->port[i].rx || q == ps->port[i].tx)
			work_queue(&ps->port[i].changed);
}

/* ---- start and end ---- */

static struct ports *first; /* the device that the boot options mean */

static void console_work(struct work *w)
{
	struct ports *ps = container_of(w, struct ports, console);
	ps->console_there(ps->console_arg);
	atomic_store(&ps->console_ready, true);
}

static bool set_up_port(struct ports *ps, unsigned id)
{
	struct port *p = &ps->port[id];
	p->id = id;
	waitq_init(&p->wait);
	poll_head_init(&p->head);
	work_init(&p->changed, port_changed);
	p->rx = virtio_queue(ps->virtio, 2 * id + 2, BUFFERS, 0, 0);
	p->tx = virtio_queue(ps->virtio, 2 * id + 3, BUFFERS, 0, 0);
	return p->rx && p->tx;
}

struct ports *ports_probe(
    struct virtio_device *d, void (*console_there)(void *arg), void *console_arg)
{
	uint32_t max = 0;
	struct ports *ps = kzalloc(sizeof *ps);
	struct control_in *in = kzalloc(CONTROLS * sizeof *in);
	struct control *out = kzalloc(CONTROLS * sizeof *out);
	if (!ps || !in || !out)
		goto fail;
	virtio_config(d, 4, &max, sizeof max);
	ps->virtio = d;
	ps->in = in;
	ps->out = out;
	ps->console_there = console_there;
	ps->console_arg = console_arg;
	work_init(&ps->console, console_work);
	ps->n = MIN(max, (uint32_t)PORTS);
	ps->control_rx = virtio_queue(d, CONTROL_RX, CONTROLS, 0, 0);
	ps->control_tx = virtio_queue(d, CONTROL_TX, CONTROLS, 0, 0);
	if (!ps->control_rx || !ps->control_tx)
		goto fail;
	for (unsigned id = 1; id < ps->n; id++)
		if (!set_up_port(ps, id))
			goto fail;
	for (unsigned i = 0; i < CONTROLS; i++) {
		if (i < ps->control_tx->size)
			ps->out_free[ps->nfree++] = i;
		if (i < ps->control_rx->size)
			offer_control(ps, &ps->in[i]);
	}
	virtq_disable(ps->control_tx);
	return ps;
fail:
	kfree(ps);
	kfree(in);
	kfree(out);
	return NULL;
}

void ports_start(struct ports *ps)
{
	virtio_kick(ps->control_rx);
	for (unsigned id = 1; id < ps->n && !first; id++) {
		struct port *p = &ps->port[id];
		snprintf(p->name, sizeof p->name, "vport0p%u", id);
		p->device = (struct char_device){.name = p->name,
		    .rdev = DEVICE(VPORT_MAJOR, id),
		    .mode = 0600,
		    .ops = &port_ops,
		    .open = port_open,
		    .private = p};
		char_device_register(&p->device);
	}
	if (!first)
		first = ps;
	send_control(ps, UINT32_MAX, DEVICE_READY, 1);
	/* If this is the only console, what goes wrong next has to be said there. */
	for (int i = 0; i < PATIENCE; i++) {
		if (atomic_load(&ps->answered) &&
		    (!atomic_load(&ps->has_console) || atomic_load(&ps->console_ready)))
			break;
		thread_sleep(100000);
	}
}

void ports_flush(void)
{
	for (unsigned id = 1; first && id < first->n; id++) {
		struct port *p = &first->port[id];
		mutex_lock(&p->lock);
		while (p->opened && !atomic_load(&p->closed) && !p->tx->broken) {
			reclaim(p);
			if (p->nfree == BUFFERS)
				break;
			if (!virtq_enable(p->tx))
				waitq_wait(&p->wait, &p->lock, NO_DEADLINE, 0);
		}
		mutex_unlock(&p->lock);
	}
}
