/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Running one virtual machine: a description of it, and a provider that can start it. The console
 * is a byte stream that this library carries between the guest and the terminal, a log file, or
 * both; how the guest ended comes back over a separate status channel (debug port 0xe9).
 */
#ifndef CAPSTAN_MACHINE_H
#define CAPSTAN_MACHINE_H

#include <sys/types.h>

#include "image.h"

/* What the machine is made of. Strings and lists belong to the caller. */
struct cap_machine {
	const char *image;	/* path of the root disk; NULL when image_fd is used */
	int image_fd;		/* open root disk, -1 when image is used */
	enum cap_format format; /* of the root disk */
	bool writable;		/* keep what the guest writes to the root disk */
	const char *kernel;	/* kernel ELF; NULL boots from the disk */
	const char *cmdline;	/* kernel command line; NULL or "" uses the one in the image */
	const char *type;	/* microvm, q35 or pc; NULL chooses */
	uint64_t memory;	/* bytes */
	unsigned cpus;
	const char *net;	     /* none, nat, bridge, tap */
	const char *net_device;	     /* bridge or tap device */
	const char *mac;	     /* NULL: derived from name */
	const struct strv *forwards; /* HOST:GUEST[/udp], with an optional address before HOST */
	const struct strv *disks;    /* raw files that become vdb, vdc, …; qcow2 by their magic */
	const struct strv *extra;    /* more arguments for the hypervisor */
	const char *name;
	bool gdb; /* wait for gdb on port 1234 */
};

/* Where the console goes. */
struct cap_console {
	bool interactive; /* carry standard input to the guest */
	bool output;	  /* carry the guest's output to standard output */
	int log_fd;	  /* also write it here; -1 for no log */
	/* Called once when the machine is up (first word from it, or a second without its end). */
	void (*started)(void *arg);
	void *started_arg;
};

enum cap_end { CAP_END_EXIT, CAP_END_SIGNAL, CAP_END_PANIC, CAP_END_STOPPED, CAP_END_UNKNOWN };

/* How the guest ended. */
struct cap_outcome {
	enum cap_end end;
	int code;      /* exit status or signal number */
	char *message; /* of a panic, or NULL */
};

struct cap_provider {
	const char *name;
	/* Starts the machine, carries its console until it ends, and says how it ended. */
	int (*run)(struct cap *c, const struct cap_machine *m, const struct cap_console *console,
	    struct cap_outcome *out);
};

extern const struct cap_provider cap_qemu;
/* The provider of that name; an error event and NULL when it cannot run machines here. */
const struct cap_provider *cap_provider_find(struct cap *c, const char *name);

/* Ports of the guest that carry bytes unchanged: number 1 is its standard input, and so on. */
enum { CAP_PORT_IN = 1, CAP_PORT_OUT, CAP_PORT_ERR, CAP_PORT_CONTROL, CAP_PORTS };
/* Builds QEMU's arguments. fds: console socket, status pipe, QMP socket, sockets of ports by their
 * number (-1: without). */
struct cap_qemu_fds {
	int console, status, qmp, port[CAP_PORTS];
	int net; /* tap device for -n bridge, -1: QEMU makes one */
};
int cap_qemu_args(
    struct cap *c, const struct cap_machine *m, const struct cap_qemu_fds *fds, struct strv *args);
/* A new tap device on a bridge of the host, up; it goes with its descriptor. -1 for who may not:
 * QEMU has a helper for them. */
int cap_bridge_tap(struct cap *c, const char *bridge);
/* Whether KVM can work on this host: /dev/kvm opens and the CPU has the extension. */
bool cap_kvm_works(void);
/* The QEMU program: $CAPSTAN_QEMU or qemu-system-x86_64. */
const char *cap_qemu_program(void);

/* Exit status of capstan for an outcome. */
int cap_outcome_status(const struct cap_outcome *o);

#endif
