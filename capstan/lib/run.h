/* SPDX-License-Identifier: BSD-3-Clause */
/* Running programs and images: from what the user asked for to a machine and its outcome. */
#ifndef CAPSTAN_RUN_H
#define CAPSTAN_RUN_H

#include "machine.h"

/* Everything `capstan run` can be told. Strings belong to the caller; NULL or 0 means default. */
struct cap_run {
	const char *hypervisor, *image, *instance, *kernel, *machine, *memory, *cpus;
	const char *net, *net_device, *mac, *cwd, *hostname, *user, *loglevel, *boot, *execute;
	const struct strv *forwards, *disks, *env, *files, *dirs, *kernel_args, *qemu_args,
	    *volumes;
	const struct strv *mounts, *trace;
	const struct strv *options; /* words for the package's own options */
	bool strace, gdb, persist, detach, no_auto_files, keep_image, verbose;
	const char *watch; /* URL the monitoring service will have on this host; NULL: without it */
	char *const *argv; /* program and arguments of --host */
	int argc;
};

/* Builds the kernel options of the request ("--env=… --cwd=…") in front of a boot command. */
void cap_run_options(const struct cap_run *r, struct buf *line);

/* Fills in a machine's size and devices from the request. */
int cap_run_machine(struct cap *c, const struct cap_run *r, struct cap_machine *m);

/* Collects a program of this host into a tree and builds its command line. */
int cap_host_tree(struct cap *c, const struct cap_run *r, struct cap_tree *t, struct buf *cmdline);
/* Composes a temporary image around a program of this host and runs it. *status: exit status. */
int cap_run_host(struct cap *c, const struct cap_run *r, int *status);

/* Runs a composed image. *status: exit status. */
int cap_run_image(struct cap *c, const struct cap_run *r, int *status);

/* Adds --file HOST:GUEST and --dir HOST:GUEST to a tree. */
int cap_add_extra_files(struct cap *c, const struct cap_run *r, struct cap_tree *t);

#endif
