/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Instances: machines that run or have run, below ROOT/instances/qemu/NAME:
 *   instance.yaml  what it is; written before the machine starts
 *   console.log    everything the guest printed
 *   disk.qcow2     what a persistent instance wrote to its root disk
 *   lock           locked for as long as the process that runs the machine lives; holds its pid
 * Whether an instance runs is asked of the lock, so a killed process leaves no wrong answer.
 */
#ifndef CAPSTAN_INSTANCE_H
#define CAPSTAN_INSTANCE_H

#include <sys/types.h>

#include "cap.h"
#include "util.h"

struct cap_instance {
	char *name, *image, *image_file, *started, *ended, *cmdline, *memory, *cpus, *outcome;
	char *watch; /* URL of its monitoring service on this host, or NULL */
	bool persistent, running;
	pid_t pid; /* of the process that runs it, while running */
};

bool cap_instance_name_valid(const char *name);
char *cap_instance_dir(struct cap *c, const char *name);
/* A file of an instance. */
char *cap_instance_file(struct cap *c, const char *name, const char *file);

/*
 * Takes an instance's lock for running it. With exact false a running one makes NAME-2, NAME-3, …
 * be tried. *taken receives the name. Returns the descriptor that holds the lock, or an error.
 */
int cap_instance_claim(struct cap *c, const char *name, bool exact, char **taken);
/* Writes instance.yaml. */
int cap_instance_record(struct cap *c, const struct cap_instance *in);

int cap_instance_read(struct cap *c, const char *name, struct cap_instance *in);
void cap_instance_free(struct cap_instance *in);
int cap_instance_list(struct cap *c, struct cap_instance **list, size_t *count);
void cap_instance_list_free(struct cap_instance *list, size_t count);

/* Asks a running instance to end; after a while, or with force, ends it. */
int cap_instance_stop(struct cap *c, const char *name, bool force);
int cap_instance_delete(struct cap *c, const char *name);
/* Writes the console log to a descriptor; with follow until the instance ends. */
int cap_instance_logs(struct cap *c, const char *name, bool follow, int fd);
/* Name of a running instance of an image file, NULL when there is none; the caller frees it. */
char *cap_instance_using(struct cap *c, const char *image_file);

#endif
