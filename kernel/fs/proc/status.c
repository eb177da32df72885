/* SPDX-License-Identifier: BSD-3-Clause */
/* /proc/PID/stat, statm, status, limits, io: a program's or thread's state as numbers. */
#include <asm/errno.h>
#include <linux/mman.h>
#include <linux/resource.h>
#include "fs/proc/proc.h"
#include "lib/string.h"
#include "mm/mm.h"
#include "proc/lifecycle.h"
#include "proc/program.h"

#define ST_THREAD_NICE_BASE 20

static char state_letter(const struct program *p, const struct thread *t)
{
	if (p->dead)
		return 'Z';
	if (!t)
		return 'S';
	switch (atomic_load(&((struct thread *)t)->state)) {
	case THREAD_READY:
	case THREAD_RUNNING:
		return 'R';
	case THREAD_DEAD:
		return 'X';
	default:
		return 'S';
	}
}

struct times {
	int64_t user, kernel;
};

/* CPU time of one thread, or of the whole program with its threads that have ended. */
static struct times cpu_times(struct program *p, const struct thread *only)
{
	struct times sum = {0};
	if (only)
		thread_cpu_split(only, &sum.user, &sum.kernel);
	else
		program_cpu_split(p, &sum.user, &sum.kernel);
	return sum;
}

struct sizes { /* pages */
	uint64_t total, data, stack, text, lib;
};

static struct sizes area_sizes(struct mm *m)
{
	struct sizes z = {0};
	rw_read_lock(&m->lock);
	for (struct vma *v = mm_find_next(m, 0); v; v = mm_find_next(m, v->end)) {
		uint64_t n = (v->end - v->start) >> PAGE_SHIFT;
		z.total += n;
		if (v->flags & VMA_STACK)
			z.stack += n;
		else if (v->prot & PROT_EXEC && v->start < m->code_end && v->end > m->code_start)
			z.text += n;
		else if (v->prot & PROT_EXEC)
			z.lib += n;
		else if (v->prot & PROT_WRITE && !(v->flags & MAP_SHARED))
			z.data += n;
	}
	rw_read_unlock(&m->lock);
	return z;
}

static uint64_t positive(int64_t v)
{
	return v > 0 ? (uint64_t)v : 0;
}

static uint64_t resident(struct mm *m)
{
	return positive(atomic_load(&m->rss_anon)) + positive(atomic_load(&m->rss_file)) +
	       positive(atomic_load(&m->rss_shmem));
}

struct signal_sets {
	sigset64 pending, shared, blocked, ignored, caught;
};

static struct signal_sets signal_sets(struct program *p, const struct thread *t)
{
	struct signal_sets s = {0};
	for (int i = 1; i <= NSIG_MAX; i++) {
		uint64_t h = (uint64_t)p->signals.action[i].handler;
		if (h == 1)
			s.ignored |= SIGBIT(i);
		else if (h)
			s.caught |= SIGBIT(i);
	}
	s.shared = p->signals.pending.set;
	if (t && t->signals) {
		s.pending = t->signals->pending.set;
		s.blocked = t->signals->blocked;
	}
	return s;
}

/* Does the work of a show function with program, thread and memory looked up; each may end
 * meanwhile. */
static int with_program(struct seqbuf *s, const struct pseudo_key *k,
    void (*fn)(
	struct seqbuf *s, struct program *p, struct thread *t, struct mm *m, bool one_thread))
{
	struct program *p = proc_program(k);
	if (!p)
		return -ESRCH;
	struct thread *t = proc_thread(p, k);
	int err = 0;
	if (!t && k->n[KEY_TID]) {
		err = -ESRCH;
	} else {
		struct mm *m = proc_mm(p);
		fn(s, p, t, m, k->n[KEY_TID] != 0);
		if (m)
			mm_put(m);
		if (t)
			thread_put(t);
	}
	program_put(p);
	return err;
}

static void put_stat(struct seqbuf *s, struct program *p, struct thread *t, struct mm *m, bool one)
{
	struct times used = cpu_times(p, one ? t : NULL);
	struct sizes z = m ? area_sizes(m) : (struct sizes){0};
	struct signal_sets sig = signal_sets(p, t);
	int nice = t ? t->nice : 0;
	int priority = t && t->rt_priority ? -1 - t->rt_priority : ST_THREAD_NICE_BASE + nice;
	seq_printf(s, "%d (%s) %c %d %d %d 0 -1 4194304 ", one ? t->tid : p->pid, t ? t->name : "",
	    state_letter(p, t), p->ppid, p->pgid, p->sid);
	seq_printf(s, "%lu 0 %lu 0 %ld %ld 0 0 %d %d %u 0 %ld ", atomic_load(&p->minor_faults),
	    atomic_load(&p->major_faults), (long)(used.user / NS_PER_TICK),
	    (long)(used.kernel / NS_PER_TICK), priority, nice, p->nthreads,
	    (long)(p->start_time / NS_PER_TICK));
	seq_printf(s, "%lu %lu %lu ", z.total << PAGE_SHIFT, m ? resident(m) : 0ul,
	    p->limits[RLIMIT_RSS].cur);
	seq_printf(s, "%lu %lu %lu 0 0 %lu %lu %lu %lu 0 0 0 17 %u %d %d 0 0 0 ",
	    m ? m->code_start : 0ul, m ? m->code_end : 0ul, m ? m->stack_top : 0ul,
	    (sig.pending | sig.shared) & 0x7fffffff, sig.blocked & 0x7fffffff,
	    sig.ignored & 0x7fffffff, sig.caught & 0x7fffffff, t ? t->cpu : 0u,
	    t ? t->rt_priority : 0, t ? t->policy : 0);
	seq_printf(s, "%lu %lu %lu %lu %lu %lu %lu %d\n", m ? m->data_start : 0ul,
	    m ? m->data_end : 0ul, m ? m->brk_start : 0ul, m ? m->arg_start : 0ul,
	    m ? m->arg_end : 0ul, m ? m->env_start : 0ul, m ? m->env_end : 0ul, p->exit_code);
}

int proc_show_pid_stat(struct seqbuf *s, const struct pseudo_key *k)
{
	return with_program(s, k, put_stat);
}

static void put_statm(struct seqbuf *s, struct program *p, struct thread *t, struct mm *m, bool one)
{
	(void)p;
	(void)t;
	(void)one;
	if (!m) {
		seq_puts(s, "0 0 0 0 0 0 0\n");
		return;
	}
	struct sizes z = area_sizes(m);
	seq_printf(s, "%lu %lu %lu %lu 0 %lu 0\n", z.total, resident(m),
	    positive(atomic_load(&m->rss_file)) + positive(atomic_load(&m->rss_shmem)), z.text,
	    z.data + z.stack);
}

int proc_show_statm(struct seqbuf *s, const struct pseudo_key *k)
{
	return with_program(s, k, put_statm);
}

static const char *state_word(char letter)
{
	switch (letter) {
	case 'R':
		return "R (running)";
	case 'Z':
		return "Z (zombie)";
	case 'X':
		return "X (dead)";
	default:
		return "S (sleeping)";
	}
}

static void put_memory(struct seqbuf *s, struct mm *m)
{
	struct sizes z = area_sizes(m);
	uint64_t rss = resident(m), peak = MAX(positive(atomic_load(&m->peak_rss)), rss);
	seq_printf(s,
	    "VmPeak:\t%8lu kB\nVmSize:\t%8lu kB\nVmLck:\t%8lu kB\nVmPin:\t       0 "
	    "kB\nVmHWM:\t%8lu kB\n"
	    "VmRSS:\t%8lu kB\nRssAnon:\t%8lu kB\nRssFile:\t%8lu kB\nRssShmem:\t%8lu kB\n",
	    z.total * 4, z.total * 4, positive(atomic_load(&m->locked_pages)) * 4, peak * 4,
	    rss * 4, positive(atomic_load(&m->rss_anon)) * 4,
	    positive(atomic_load(&m->rss_file)) * 4, positive(atomic_load(&m->rss_shmem)) * 4);
	seq_printf(s,
	    "VmData:\t%8lu kB\nVmStk:\t%8lu kB\nVmExe:\t%8lu kB\nVmLib:\t%8lu kB\nVmSwap:\t       "
	    "0 kB\n"
	    "HugetlbPages:\t       0 kB\n",
	    z.data * 4, z.stack * 4, z.text * 4, z.lib * 4);
}

static void put_status(
    struct seqbuf *s, struct program *p, struct thread *t, struct mm *m, bool one)
{
	const struct credentials *c = &p->cred;
	seq_printf(s,
	    "Name:\t%s\nUmask:\t%04o\nState:\t%s\nTgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t%d\n",
	    t ? t->name : "", p->umask, state_word(state_letter(p, t)), p->pid,
	    one ? t->tid : p->pid, p->ppid);
	seq_printf(s, "TracerPid:\t0\nUid:\t%u\t%u\t%u\t%u\nGid:\t%u\t%u\t%u\t%u\n", c->uid,
	    c->euid, c->suid, c->fsuid, c->gid, c->egid, c->sgid, c->fsgid);
	seq_puts(s, "FDSize:\t256\nGroups:\t");
	mutex_lock(&p->lock);
	for (uint32_t i = 0; i < c->ngroups; i++)
		seq_printf(s, "%u ", c->groups[i]);
	mutex_unlock(&p->lock);
	seq_printf(s, "\nNStgid:\t%d\nNSpid:\t%d\nNSpgid:\t%d\nNSsid:\t%d\n", p->pid,
	    one ? t->tid : p->pid, p->pgid, p->sid);
	if (m)
		put_memory(s, m);
	struct signal_sets g = signal_sets(p, t);
	seq_printf(s,
	    "CoreDumping:\t0\nTHP_enabled:\t%d\nThreads:\t%u\nSigQ:\t0/"
	    "%lu\nSigPnd:\t%016lx\nShdPnd:\t%016lx\n"
	    "SigBlk:\t%016lx\nSigIgn:\t%016lx\nSigCgt:\t%016lx\n",
	    !p->thp_disable, p->nthreads, p->limits[RLIMIT_SIGPENDING].cur, g.pending, g.shared,
	    g.blocked, g.ignored, g.caught);
	seq_printf(s,
	    "CapInh:\t%016lx\nCapPrm:\t%016lx\nCapEff:\t%016lx\nCapBnd:\t%016lx\nCapAmb:\t%016lx\n"
	    "NoNewPrivs:\t%d\nSeccomp:\t0\nSeccomp_filters:\t0\n",
	    c->cap_inheritable, c->cap_permitted, c->cap_effective, c->cap_bounding, c->cap_ambient,
	    c->no_new_privs);
	uint64_t all = ncpus >= 64 ? ~0ull : (1ull << ncpus) - 1;
	uint64_t mask = t ? t->affinity & all : all;
	seq_puts(s, "Cpus_allowed:\t");
	seq_cpumask(s, mask, ncpus);
	seq_puts(s, "\nCpus_allowed_list:\t");
	seq_cpulist(s, mask);
	seq_printf(s,
	    "\nMems_allowed:\t1\nMems_allowed_list:\t0\nvoluntary_ctxt_switches:\t%lu\n"
	    "nonvoluntary_ctxt_switches:\t%lu\n",
	    t ? t->voluntary : 0ul, t ? t->preemptions : 0ul);
}

int proc_show_status(struct seqbuf *s, const struct pseudo_key *k)
{
	return with_program(s, k, put_status);
}

static const struct {
	const char *name, *unit;
} limit_names[RLIM_COUNT] = {
    [RLIMIT_CPU] = {"Max cpu time", "seconds"},
    [RLIMIT_FSIZE] = {"Max file size", "bytes"},
    [RLIMIT_DATA] = {"Max data size", "bytes"},
    [RLIMIT_STACK] = {"Max stack size", "bytes"},
    [RLIMIT_CORE] = {"Max core file size", "bytes"},
    [RLIMIT_RSS] = {"Max resident set", "bytes"},
    [RLIMIT_NPROC] = {"Max processes", "processes"},
    [RLIMIT_NOFILE] = {"Max open files", "files"},
    [RLIMIT_MEMLOCK] = {"Max locked memory", "bytes"},
    [RLIMIT_AS] = {"Max address space", "bytes"},
    [RLIMIT_LOCKS] = {"Max file locks", "locks"},
    [RLIMIT_SIGPENDING] = {"Max pending signals", "signals"},
    [RLIMIT_MSGQUEUE] = {"Max msgqueue size", "bytes"},
    [RLIMIT_NICE] = {"Max nice priority", ""},
    [RLIMIT_RTPRIO] = {"Max realtime priority", ""},
    [RLIMIT_RTTIME] = {"Max realtime timeout", "us"},
};

static void put_limit(struct seqbuf *s, uint64_t v)
{
	if (v == RLIM_INFINITY)
		seq_printf(s, "%-20s ", "unlimited");
	else
		seq_printf(s, "%-20lu ", v);
}

static void put_limits(
    struct seqbuf *s, struct program *p, struct thread *t, struct mm *m, bool one)
{
	(void)t;
	(void)m;
	(void)one;
	seq_printf(s, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units");
	for (int i = 0; i < RLIM_COUNT; i++) {
		seq_printf(s, "%-25s ", limit_names[i].name);
		put_limit(s, p->limits[i].cur);
		put_limit(s, p->limits[i].max);
		seq_printf(s, "%-10s\n", limit_names[i].unit);
	}
}

int proc_show_limits(struct seqbuf *s, const struct pseudo_key *k)
{
	return with_program(s, k, put_limits);
}

static void put_io(struct seqbuf *s, struct program *p, struct thread *t, struct mm *m, bool one)
{
	(void)t;
	(void)m;
	(void)one;
	seq_printf(s,
	    "rchar: %lu\nwchar: %lu\nread_bytes: %lu\nwrite_bytes: %lu\ncancelled_write_bytes: 0\n",
	    atomic_load(&p->read_bytes), atomic_load(&p->write_bytes), atomic_load(&p->read_bytes),
	    atomic_load(&p->write_bytes));
}

int proc_show_io(struct seqbuf *s, const struct pseudo_key *k)
{
	return with_program(s, k, put_io);
}
