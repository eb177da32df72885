/* SPDX-License-Identifier: BSD-3-Clause */
/* The threads of the machine. */
#ifndef HTTPSERVER_THREADS_H
#define HTTPSERVER_THREADS_H

struct thread_info {
	int id, pid; /* id below zero and pid 0: the kernel's */
	unsigned cpu;
	long long run_ns, user_ns, kernel_ns;
	unsigned long long switches, migrations, preemptions;
	int priority;
	unsigned stack_size;
	const char *status;
	char name[64];
};

/* Calls fn for each thread. 0 or a negative errno. */
int threads_walk(void (*fn)(void *arg, const struct thread_info *t), void *arg);

#endif
