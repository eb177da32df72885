/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Standard input, output and error that are no terminals, carried to and from ports of the guest,
 * and the port that tells it the size of the terminal.
 */
#ifndef CAPSTAN_STDIO_PORTS_H
#define CAPSTAN_STDIO_PORTS_H

#include <poll.h>

#include "machine.h"

struct stdio_ports {
	int fd[CAP_PORTS]; /* our ends; -1: not in use (any more) */
	struct buf input;  /* read from standard input, not yet accepted by the port */
	bool input_ended;
};

void stdio_ports_init(struct stdio_ports *p);
/* Makes a socket pair for each descriptor that needs one: QEMU's ends in theirs (the others are
 * left alone), the kernel's options for them in front of *line. */
int stdio_ports_make(struct cap *c, struct stdio_ports *p, int theirs[CAP_PORTS], struct buf *line);
/* Whether output may still come. */
bool stdio_ports_open(const struct stdio_ports *p);
/* Whether the program's standard output does not go through the console. */
bool stdio_ports_has_output(const struct stdio_ports *p);
/* Fills in four entries for poll(); carries what it found (copy_fd: a log of the output, or -1). */
void stdio_ports_poll(struct stdio_ports *p, struct pollfd entry[4], bool machine_gone);
void stdio_ports_carry(struct stdio_ports *p, const struct pollfd entry[4], int copy_fd);
/* Tells the guest the terminal's size if there is one. */
void stdio_ports_tell_size(struct stdio_ports *p);
void stdio_ports_close(struct stdio_ports *p);

#endif
