/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A program: what Linux calls a process. Owns an address space, a descriptor table, signal
 * handlers, credentials and limits; its threads share them. One program per VM is the normal case,
 * but nothing here assumes it.
 */
#pragma once

#include "fs/poll.h"
#include "fs/vfs.h"
#include "lib/list.h"
#include "mm/mm.h"
#include "proc/signal.h"
#include "sched/sync.h"
#include "sched/thread.h"

#define NGROUPS_LIMIT 65536
#define RLIM_COUNT 16
#define CAP_ALL 0x1ffffffffffull /* capabilities 0 to 40 */
#define SIGNAL_CHILD 17		 /* SIGCHLD */

struct rlimit_pair {
	uint64_t cur, max;
};

struct credentials {
	uint32_t uid, euid, suid, fsuid, gid, egid, sgid, fsgid;
	uint32_t ngroups;
	uint32_t *groups;
	uint64_t cap_permitted, cap_effective, cap_inheritable, cap_bounding, cap_ambient;
	bool no_new_privs;
	unsigned securebits;
};

struct program {
	int pid, ppid, pgid, sid;
	atomic_int refs;
	struct mutex lock; /* threads, exit state, cwd, credentials, limits, timers */
	struct list threads;
	unsigned nthreads;
	struct mm *mm;
	struct fd_table *fds;
	struct dentry *cwd, *root;
	uint32_t umask;
	struct program_signals signals;
	struct credentials cred;
	struct rlimit_pair limits[RLIM_COUNT];
	struct mutex timer_lock; /* POSIX timers and interval timers */
	struct list posix_timers;
	int next_timer;
	struct itimer_state *itimers;
	char exe_path[256];
	bool exiting;
	struct thread *exec_thread; /* in execve(): the only one that goes on; under lock and signals.lock */
	struct waitq exec_wait;	    /* it waits for the others' end; under lock */
	int exit_code;		/* wait()'s encoding: status << 8 or signal */
	struct waitq exit_wait; /* the kernel waits here for the end; under programs_lock */
	struct waitq
	    child_wait; /* wait4() and waitid() of this program's threads; under programs_lock */
	struct poll_head exit_poll; /* pidfd */
	bool dead;		    /* last thread gone */
	bool reaped;		    /* its parent has seen the end */
	bool subreaper;
	bool executed;	   /* execve since fork */
	bool session_made; /* setsid() was called */
	bool forked;				/* made by a program, not by the kernel */
	int exit_signal;			/* what its parent gets at the end, 0 nothing */
	struct completion *vfork;		/* of a parent that waits for execve or exit */
	bool stopped, stop_reported, continued; /* job control; under signals.lock */
	int stop_signal;
	struct waitq stop_wait; /* stopped threads; under signals.lock */
	int parent_death_signal;
	int64_t children_user_ns,
	    children_kernel_ns; /* of children waited for; under programs_lock */
	bool dumpable;
	int64_t start_time;
	_Atomic int64_t dead_user_ns, dead_kernel_ns; /* of threads that ended */
	_Atomic int64_t peak_rss_pages; /* of the last address space, when it is gone */
	_Atomic uint64_t minor_faults, major_faults, read_bytes, write_bytes;
	struct list sysv_shm, sysv_sem_undo;
	void *membarrier_state;
	unsigned personality;
	uint64_t timer_slack; /* ns */
	struct list link; /* all programs */
	uint32_t oom_score_adj;
	uint64_t thp_disable;
};

static inline struct program *current_program(void)
{
	return current_thread()->program;
}

/* Whether t, one of p's threads, has to end. */
static inline bool program_ends_thread(const struct program *p, const struct thread *t)
{
	return p->exiting || (p->exec_thread && p->exec_thread != t);
}

extern struct list all_programs;
extern struct mutex programs_lock;

/* An empty program: stdin, stdout, stderr on the console, cwd /, default limits. With a mark its lines
 * appear behind it (console_marked()). NULL without memory. */
struct program *program_create(const char *mark);
/* Programs made from now on without a mark have this file as descriptor fd (0 to 2; kept by the
 * caller's memory) instead of the console. */
void program_set_standard(unsigned fd, const char *path);
void program_get(struct program *p);
void program_put(struct program *p);
struct program *program_find(int pid); /* referenced or NULL */
/* Loads an executable and starts its first thread. argv, envp NULL-terminated kernel strings. 0 or
 * -errno with a message logged that names the file and the reason. */
int program_exec(struct program *p, const char *path, char *const argv[], char *const envp[]);
/* Waits (kernel thread) for the end of p; its exit code in wait()'s encoding. */
int program_wait(struct program *p);
/* exit_group(): ends all threads of the current program. code in wait()'s encoding. */
NORETURN void program_exit(int code);
/* New thread or program id. */
int tid_alloc(void);

bool capable(int cap);

/* Builds the address space of an ELF executable (proc/exec.c): entry point and stack pointer for
 * *frame. */
int exec_load(struct program *p, const char *path, char *const argv[], char *const envp[],
    struct trapframe *frame);
