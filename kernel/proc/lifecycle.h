/* SPDX-License-Identifier: BSD-3-Clause */
/* The parts of a program's and a thread's life that several files of kernel/proc share. */
#pragma once

#include "proc/program.h"

/* Ends the current thread: robust futexes, clear_child_tid, accounting; with the last thread of a
 * program the program. code: wait()'s encoding, taken as the program's if nobody else set one. */
NORETURN void thread_leave(int code);

/* Links a new thread into its program, or refuses with -EAGAIN (thread limit) or -ERESTARTNOINTR
 * (the program is ending). On success the thread owns a reference to the program. */
int program_add_thread(struct program *p, struct thread *t);

/* Makes a program for fork(): like `from` in everything but its threads, timers and address space.
 * mm and fds are set by the caller. NULL without memory. */
struct program *program_copy(struct program *from);
/* Undoes program_create() or program_copy() of a program that never had a thread. */
void program_discard(struct program *p);

/* The child let go of the parent's memory (execve or exit): a vfork() parent goes on. */
void program_vfork_done(struct program *p);

/* CPU time of one thread, and of a program with all its threads, dead ones included. ns. */
int64_t thread_cpu_ns(const struct thread *t);
int64_t program_cpu_ns(struct program *p);
/* The same split into user and kernel time. */
void thread_cpu_split(const struct thread *t, int64_t *user, int64_t *kernel);
void program_cpu_split(struct program *p, int64_t *user, int64_t *kernel);

/* siginfo of p's end, as waitid() and SIGCHLD give it. */
void program_end_info(struct program *p, struct ksiginfo *info);
/* A child of the caller was waited for: it leaves the list. programs_lock held. */
void program_forget(struct program *p);
