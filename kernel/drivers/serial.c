/* SPDX-License-Identifier: BSD-3-Clause */
/* The first serial port (16550A): polled output from the first instruction on, input by interrupt.
 */
#include "arch/x86/cpu.h"
#include "arch/x86/irq.h"
#include "arch/x86/machine.h"
#include "core/log.h"
#include "drivers/console.h"
#include "drivers/drivers.h"

enum {
	COM1 = 0x3f8,
	COM1_IRQ = 4,
	DATA = COM1,
	IER = COM1 + 1,
	FCR = COM1 + 2,
	LCR = COM1 + 3,
	MCR = COM1 + 4,
	LSR = COM1 + 5,
	SCRATCH = COM1 + 7,
	LSR_DATA = 1,
	LSR_EMPTY = 0x20,
	FIFO_SIZE = 16,
};

static bool present;

static void wait_empty(void)
{
	/* Bounded: a port whose other end has stopped must not stop the kernel. */
	for (int i = 0; i < 100000 && !(inb(LSR) & LSR_EMPTY); i++)
		cpu_relax();
}

static void serial_write(struct console *c, const char *s, size_t n)
{
	(void)c;
	for (size_t i = 0; i < n; i++) {
		if (i % FIFO_SIZE == 0)
			wait_empty();
		outb(DATA, (uint8_t)s[i]);
	}
}

static struct console serial_console = {.name = "ttyS0", .write = serial_write};

void serial_init(void)
{
	outb(SCRATCH, 0x5a);
	if (inb(SCRATCH) != 0x5a)
		return;
	outb(IER, 0);
	outb(LCR, 0x80); /* divisor latch: 115200 baud */
	outb(DATA, 1);
	outb(IER, 0);
	outb(LCR, 0x03); /* 8 data bits, no parity */
	outb(FCR, 0x07); /* FIFOs on and empty, interrupt at the first byte */
	outb(MCR, 0x0b); /* DTR, RTS, and OUT2: the interrupt line */
	present = true;
	console_register(&serial_console);
}

static void serial_interrupt(void *arg)
{
	char buf[FIFO_SIZE];
	size_t n = 0;
	(void)arg;
	while (inb(LSR) & LSR_DATA) {
		buf[n++] = (char)inb(DATA);
		if (n == sizeof buf) {
			console_input(buf, n);
			n = 0;
		}
	}
	if (n)
		console_input(buf, n);
}

void serial_init_input(void)
{
	unsigned gsi = machine.isa_irq[COM1_IRQ].set ? machine.isa_irq[COM1_IRQ].gsi : COM1_IRQ;
	int err;
	if (!present)
		return;
	err = irq_route_gsi(gsi, machine.isa_irq[COM1_IRQ].level, machine.isa_irq[COM1_IRQ].low,
	    serial_interrupt, NULL, "ttyS0");
	if (err) {
		pr_err("serial: no interrupt (error %d): the console has no input", -err);
		return;
	}
	outb(IER, 1);
}
