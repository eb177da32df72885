/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of procfs share. */
#pragma once

#include "fs/pseudo.h"

#define NS_PER_TICK 10000000ll /* USER_HZ is 100 */

struct mm;
struct program;
struct thread;

/* Slots of the key. */
enum { KEY_PID, KEY_TID, KEY_FD };

extern const struct pseudo_entry proc_sys_dir[], proc_program_dir[], proc_net_dir[],
    proc_sysvipc_dir[];

/* The program of a path, referenced, or NULL when it has ended. */
struct program *proc_program(const struct pseudo_key *k);
/* The thread of a path (the first one where the path names only a program), referenced, or NULL. */
struct thread *proc_thread(struct program *p, const struct pseudo_key *k);
/* The program's address space, referenced, or NULL. */
struct mm *proc_mm(struct program *p);

/* system.c */
int proc_show_meminfo(struct seqbuf *s, const struct pseudo_key *k);
int proc_show_stat(struct seqbuf *s, const struct pseudo_key *k);
int proc_show_uptime(struct seqbuf *s, const struct pseudo_key *k);
int proc_show_loadavg(struct seqbuf *s, const struct pseudo_key *k);
int proc_show_version(struct seqbuf *s, const struct pseudo_key *k);
int proc_show_filesystems(struct seqbuf *s, const struct pseudo_key *k);
int proc_show_cmdline(struct seqbuf *s, const struct pseudo_key *k);
int proc_show_interrupts(struct seqbuf *s, const struct pseudo_key *k);
int proc_show_kmsg(struct seqbuf *s, const struct pseudo_key *k);
int proc_show_partitions(struct seqbuf *s, const struct pseudo_key *k);
int proc_show_diskstats(struct seqbuf *s, const struct pseudo_key *k);
int proc_show_vmstat(struct seqbuf *s, const struct pseudo_key *k);
void proc_load_start(void);
/* cpuinfo.c */
int proc_show_cpuinfo(struct seqbuf *s, const struct pseudo_key *k);
/* mounts.c */
int proc_show_mounts(struct seqbuf *s, const struct pseudo_key *k);
int proc_show_mountinfo(struct seqbuf *s, const struct pseudo_key *k);
/* maps.c */
int proc_show_maps(struct seqbuf *s, const struct pseudo_key *k);
int proc_show_smaps(struct seqbuf *s, const struct pseudo_key *k);
int proc_show_smaps_rollup(struct seqbuf *s, const struct pseudo_key *k);
int proc_show_numa_maps(struct seqbuf *s, const struct pseudo_key *k);
/* status.c */
int proc_show_pid_stat(struct seqbuf *s, const struct pseudo_key *k);
int proc_show_statm(struct seqbuf *s, const struct pseudo_key *k);
int proc_show_status(struct seqbuf *s, const struct pseudo_key *k);
int proc_show_limits(struct seqbuf *s, const struct pseudo_key *k);
int proc_show_io(struct seqbuf *s, const struct pseudo_key *k);
