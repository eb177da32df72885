/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Virtio console, port 0 (VIRTIO 1.2, section 5.3); ports.c has the others. Output is copied to a
 * small ring of buffers; drivers/console.c has one writer at a time. Input buffers are refilled
 * from the interrupt.
 */
#include <asm/errno.h>
#include "arch/x86/cpu.h"
#include "core/log.h"
#include "drivers/console.h"
#include "drivers/virtio/ports.h"
#include "drivers/virtio/virtio.h"
#include "lib/combine.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/page.h"

enum { RX = 0, TX = 1, BUFFERS = 16, BUFFER = 256, PATIENCE = 10000000 };

struct port {
	struct console console;
	struct virtio_device *virtio;
	struct virtq *rx, *tx;
	struct combiner attend; /* rx */
	char (*in)[BUFFER];
	char (*out)[BUFFER];
	unsigned out_free[BUFFERS], nfree;
	_Atomic bool failed;
	struct ports *others; /* NULL without more ports */
};

static void reclaim_output(struct port *p)
{
	char *done;
	uint32_t written;
	while ((done = virtq_take(p->tx, &written)))
		p->out_free[p->nfree++] = (unsigned)((done - p->out[0]) / BUFFER);
}

static void port_write(struct console *c, const char *s, size_t n)
{
	struct port *p = container_of(c, struct port, console);
	while (n && !p->tx->broken && !atomic_load(&p->failed)) {
		size_t part = MIN(n, (size_t)BUFFER);
		reclaim_output(p);
		/* Bounded: nobody may be reading on the host, which must not stop the guest. */
		for (int i = 0; !p->nfree && i < PATIENCE; i++) {
			cpu_relax();
			reclaim_output(p);
		}
		if (!p->nfree)
			return;
		unsigned i = p->out_free[--p->nfree];
		memcpy(p->out[i], s, part);
		struct virtq_buf b = {virt_phys(p->out[i]), (uint32_t)part};
		if (virtq_add(p->tx, &b, 1, 0, p->out[i]))
			return;
		virtio_kick(p->tx);
		s += part;
		n -= part;
	}
}

static bool offer(struct port *p, char *buffer)
{
	struct virtq_buf b = {virt_phys(buffer), BUFFER};
	return virtq_add(p->rx, &b, 0, 1, buffer) == 0;
}

static void receive(void *arg)
{
	struct port *p = arg;
	do {
		uint32_t n;
		char *buffer;
		while ((buffer = virtq_take(p->rx, &n))) {
			console_input(buffer, n);
			offer(p, buffer);
		}
		if (p->rx->broken && !atomic_exchange(&p->failed, true))
			virtio_fail(p->virtio, p->rx->broken);
		virtio_kick(p->rx);
	} while (virtq_enable(p->rx));
}

static void port_interrupt(struct virtio_device *d, struct virtq *q)
{
	struct port *p = d->private;
	if (p && q == p->rx && !atomic_load(&p->failed))
		combine(&p->attend, receive, p);
	else if (p && p->others)
		ports_interrupt(p->others, q);
}

static void port_there(void *arg)
{
	struct port *p = arg;
	p->console.name = "hvc0";
	p->console.write = port_write;
	console_register(&p->console);
}

static int port_probe(struct virtio_device *d)
{
	int err = virtio_negotiate(d, VIRTIO_CONSOLE_F_MULTIPORT);
	if (err)
		return err;
	struct port *p = kzalloc(sizeof *p);
	char *in = kzalloc((size_t)BUFFERS * BUFFER), *out = kzalloc((size_t)BUFFERS * BUFFER);
	if (!p || !in || !out)
		return -ENOMEM;
	p->virtio = d;
	p->in = (char(*)[BUFFER])in;
	p->out = (char(*)[BUFFER])out;
	p->rx = virtio_queue(d, RX, BUFFERS, 0, 0);
	p->tx = virtio_queue(d, TX, BUFFERS, 0, 0);
	if (!p->rx || !p->tx)
		return -EIO;
	for (unsigned i = 0; i < BUFFERS; i++) {
		if (i < p->tx->size)
			p->out_free[p->nfree++] = i;
		if (i < p->rx->size)
			offer(p, p->in[i]);
	}
	virtq_disable(p->tx);
	if (virtio_has(d, VIRTIO_CONSOLE_F_MULTIPORT)) {
		p->others = ports_probe(d, port_there, p);
		if (!p->others)
			return -ENOMEM;
	}
	d->private = p;
	virtio_go(d);
	virtio_kick(p->rx);
	/* With several ports the host says whether there is one for the console. */
	if (p->others)
		ports_start(p->others);
	else
		port_there(p);
	return 0;
}

const struct virtio_driver virtio_console_driver = {
    .type = VIRTIO_CONSOLE,
    .name = "virtio-console",
    .probe = port_probe,
    .interrupt = port_interrupt,
};
