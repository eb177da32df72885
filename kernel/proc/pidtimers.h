/* SPDX-License-Identifier: BSD-3-Clause */
/* Timers that belong to a program (POSIX timers, interval timers), as far as its life cycle needs
 * them. */
#pragma once

struct program;

/* Disarms and frees all of them: the program ends. Thread context. */
void program_timers_free(struct program *p);
/* execve() deletes POSIX timers and keeps interval timers. */
void program_timers_exec(struct program *p);
void itimers_free(struct program *p);
/* RLIMIT_CPU was set: SIGXCPU at the soft limit, SIGKILL at the hard one. */
void cpu_limit_changed(struct program *p);
