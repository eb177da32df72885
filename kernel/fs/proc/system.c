/* SPDX-License-Identifier: BSD-3-Clause */
/* The files of /proc that describe the whole machine. */
#include <asm/errno.h>
#include <linux/stat.h>
#include "arch/x86/irq.h"
#include "arch/x86/percpu.h"
#include "core/bootinfo.h"
#include "core/log.h"
#include "core/version.h"
#include "drivers/block.h"
#include "fs/proc/proc.h"
#include "lib/string.h"
#include "mm/page.h"
#include "proc/lifecycle.h"
#include "proc/program.h"
#include "sched/timer.h"
#include "sched/work.h"

static void kb(struct seqbuf *s, const char *name, int64_t pages)
{
	char label[32];
	snprintf(label, sizeof label, "%s:", name);
	seq_printf(s, "%-16s%8lu kB\n", label, (unsigned long)(pages > 0 ? pages : 0) * 4);
}

int proc_show_meminfo(struct seqbuf *s, const struct pseudo_key *k)
{
	(void)k;
	int64_t free = (int64_t)pages_free(), cached = atomic_load(&memstats.cached);
	int64_t shmem = atomic_load(&memstats.shmem), anon = atomic_load(&memstats.anon);
	/* Memory files have no other copy, so they cannot be given back. */
	int64_t file = cached > shmem ? cached - shmem : 0;
	kb(s, "MemTotal", memstats.total);
	kb(s, "MemFree", free);
	kb(s, "MemAvailable", free + file);
	kb(s, "Buffers", 0);
	kb(s, "Cached", cached);
	kb(s, "SwapCached", 0);
	kb(s, "Active", anon + file);
	kb(s, "Inactive", 0);
	kb(s, "SwapTotal", 0);
	kb(s, "SwapFree", 0);
	kb(s, "Dirty", atomic_load(&memstats.dirty));
	kb(s, "Writeback", atomic_load(&memstats.writeback));
	kb(s, "AnonPages", anon);
	kb(s, "Mapped", atomic_load(&memstats.mapped));
	kb(s, "Shmem", shmem);
	kb(s, "Slab", atomic_load(&memstats.slab));
	kb(s, "SReclaimable", 0);
	kb(s, "SUnreclaim", atomic_load(&memstats.slab));
	kb(s, "KernelStack", atomic_load(&memstats.kstack));
	kb(s, "PageTables", atomic_load(&memstats.pagetables));
	kb(s, "CommitLimit", memstats.total);
	kb(s, "Committed_AS", anon + shmem);
	seq_puts(s,
	    "HugePages_Total:       0\nHugePages_Free:        0\nHugePages_Rsvd:        0\n"
	    "HugePages_Surp:        0\nHugepagesize:       2048 kB\nHugetlb:               0 kB\n");
	return 0;
}

static uint64_t ticks(uint64_t ns)
{
	return ns / NS_PER_TICK;
}

static unsigned count_threads(bool running)
{
	unsigned n = 0;
	struct thread *t;
	mutex_lock(&threads_lock);
	list_for_each_entry (t, &all_threads, all_link) {
		uint32_t state = atomic_load(&t->state);
		n += t->program && (!running || state == THREAD_READY || state == THREAD_RUNNING);
	}
	mutex_unlock(&threads_lock);
	return n;
}

static _Atomic int64_t last_tid_seen;

static int newest_id(void)
{
	int newest = 0;
	struct thread *t;
	mutex_lock(&threads_lock);
	list_for_each_entry (t, &all_threads, all_link)
		newest = MAX(newest, t->tid);
	mutex_unlock(&threads_lock);
	int64_t seen = atomic_load(&last_tid_seen);
	while (seen < newest && !atomic_compare_exchange_weak(&last_tid_seen, &seen, newest))
		;
	return (int)atomic_load(&last_tid_seen);
}

static void add_counts(void *ctx, const char *name, int vector, const uint64_t *counts)
{
	(void)name;
	(void)vector;
	uint64_t *sum = ctx;
	for (unsigned i = 0; i < ncpus; i++)
		*sum += counts[i];
}

/* A CPU's time with nothing to do is the run time of its idle thread. */
static uint64_t idle_ns(unsigned cpu)
{
	char name[16];
	int64_t ns = 0;
	struct thread *t;
	snprintf(name, sizeof name, "idle/%u", cpu);
	mutex_lock(&threads_lock);
	list_for_each_entry (t, &all_threads, all_link)
		if (!t->program && !strcmp(t->name, name))
			ns = thread_cpu_ns(t);
	mutex_unlock(&threads_lock);
	return (uint64_t)MAX(ns, (int64_t)0);
}

struct cpu_time {
	uint64_t user, kernel, idle;
};

/* All time is somebody's: what the CPU counted as kernel time is that, the rest of the busy time
 * user. */
static struct cpu_time cpu_time(unsigned cpu)
{
	struct cpu_time t = {.kernel = cpus[cpu]->kernel_ns, .idle = idle_ns(cpu)};
	uint64_t busy = (uint64_t)time_now() > t.idle ? (uint64_t)time_now() - t.idle : 0;
	t.kernel = MIN(t.kernel, busy);
	t.user = busy - t.kernel;
	return t;
}

int proc_show_stat(struct seqbuf *s, const struct pseudo_key *k)
{
	(void)k;
	struct cpu_time sum = {0}, each[MAX_CPUS];
	uint64_t switches = 0, interrupts = 0;
	for (unsigned i = 0; i < ncpus; i++) {
		each[i] = cpu_time(i);
		sum.user += each[i].user;
		sum.kernel += each[i].kernel;
		sum.idle += each[i].idle;
		switches += cpus[i]->switches;
		interrupts += cpus[i]->interrupts;
	}
	if (!interrupts)
		irq_for_each(add_counts, &interrupts);
	seq_printf(s, "cpu  %lu 0 %lu %lu 0 0 0 0 0 0\n", ticks(sum.user), ticks(sum.kernel),
	    ticks(sum.idle));
	for (unsigned i = 0; i < ncpus; i++)
		seq_printf(s, "cpu%u %lu 0 %lu %lu 0 0 0 0 0 0\n", i, ticks(each[i].user),
		    ticks(each[i].kernel), ticks(each[i].idle));
	seq_printf(s,
	    "intr %lu\nctxt %lu\nbtime %ld\nprocesses %d\nprocs_running %u\nprocs_blocked 0\n"
	    "softirq 0 0 0 0 0 0 0 0 0 0 0\n",
	    interrupts, switches, (long)(time_wall_offset() / NSEC_PER_SEC), newest_id(),
	    count_threads(true));
	return 0;
}

int proc_show_uptime(struct seqbuf *s, const struct pseudo_key *k)
{
	(void)k;
	uint64_t idle = 0;
	for (unsigned i = 0; i < ncpus; i++)
		idle += idle_ns(i);
	int64_t up = time_now();
	seq_printf(s, "%ld.%02ld %lu.%02lu\n", (long)(up / NSEC_PER_SEC),
	    (long)(up / NS_PER_TICK % 100), (unsigned long)(idle / NSEC_PER_SEC),
	    (unsigned long)(idle / NS_PER_TICK % 100));
	return 0;
}

/*
 * Load averages: every five seconds the number of threads that run or want to is mixed into three
 * exponential averages, as fixed-point numbers with 11 fractional bits. The factors are exp(-5/60),
 * exp(-5/300) and exp(-5/900).
 */
#define LOAD_ONE 2048u
#define LOAD_PERIOD (5 * NSEC_PER_SEC)

static _Atomic uint32_t load[3];
static struct timer load_timer;
static struct work load_work;

static void load_tick(struct timer *t)
{
	(void)t;
	work_queue(&load_work);
}

static void load_sample(struct work *w)
{
	(void)w;
	static const uint32_t factor[3] = {1884, 2014, 2037};
	uint32_t now = count_threads(true) * LOAD_ONE;
	for (int i = 0; i < 3; i++) {
		uint32_t v = atomic_load_explicit(&load[i], memory_order_relaxed);
		atomic_store_explicit(&load[i],
		    (uint32_t)(((uint64_t)v * factor[i] + (uint64_t)now * (LOAD_ONE - factor[i])) /
			       LOAD_ONE),
		    memory_order_relaxed);
	}
	timer_arm(&load_timer, time_now() + LOAD_PERIOD);
}

void proc_load_start(void)
{
	work_init(&load_work, load_sample);
	timer_init(&load_timer, load_tick);
	timer_arm(&load_timer, time_now() + LOAD_PERIOD);
}

int proc_show_loadavg(struct seqbuf *s, const struct pseudo_key *k)
{
	(void)k;
	for (int i = 0; i < 3; i++) {
		uint32_t v = atomic_load(&load[i]) + LOAD_ONE / 200;
		seq_printf(s, "%u.%02u ", v / LOAD_ONE, v % LOAD_ONE * 100 / LOAD_ONE);
	}
	seq_printf(s, "%u/%u %d\n", count_threads(true), count_threads(false), newest_id());
	return 0;
}

int proc_show_version(struct seqbuf *s, const struct pseudo_key *k)
{
	(void)k;
	seq_printf(s, "%s version %s (carrara@build) (gcc %s) %s\n", KERNEL_SYSNAME, KERNEL_RELEASE,
	    __VERSION__, KERNEL_VERSION);
	return 0;
}

static void show_fs(void *ctx, const struct fs_type *t)
{
	seq_printf(ctx, "%s\t%s\n", t->nodev ? "nodev" : "", t->name);
}

int proc_show_filesystems(struct seqbuf *s, const struct pseudo_key *k)
{
	(void)k;
	fs_for_each(show_fs, s);
	return 0;
}

int proc_show_cmdline(struct seqbuf *s, const struct pseudo_key *k)
{
	(void)k;
	seq_printf(s, "%s\n", bootinfo.cmdline ? bootinfo.cmdline : "");
	return 0;
}

static void show_irq(void *ctx, const char *name, int vector, const uint64_t *counts)
{
	seq_printf(ctx, "%4d:", vector);
	for (unsigned i = 0; i < ncpus; i++)
		seq_printf(ctx, " %10lu", counts[i]);
	seq_printf(ctx, "  %s\n", name ? name : "");
}

int proc_show_interrupts(struct seqbuf *s, const struct pseudo_key *k)
{
	(void)k;
	seq_puts(s, "     ");
	for (unsigned i = 0; i < ncpus; i++)
		seq_printf(s, "       CPU%-2u", i);
	seq_putc(s, '\n');
	irq_for_each(show_irq, s);
	return 0;
}

int proc_show_kmsg(struct seqbuf *s, const struct pseudo_key *k)
{
	(void)k;
	char buf[512];
	uint64_t pos = 0;
	size_t n;
	while ((n = log_read(&pos, buf, sizeof buf)) > 0)
		seq_write(s, buf, n);
	return 0;
}

int proc_show_partitions(struct seqbuf *s, const struct pseudo_key *k)
{
	(void)k;
	seq_puts(s, "major minor  #blocks  name\n\n");
	for (unsigned i = 0;; i++) {
		struct block_device *d = block_nth(i);
		if (!d)
			return 0;
		seq_printf(s, "%4u %8u %10lu %s\n", (unsigned)(d->rdev >> 8),
		    (unsigned)(d->rdev & 255), d->sectors / 2, d->name);
	}
}

int proc_show_diskstats(struct seqbuf *s, const struct pseudo_key *k)
{
	(void)k;
	for (unsigned i = 0;; i++) {
		struct block_device *d = block_nth(i);
		if (!d)
			return 0;
		seq_printf(s, "%4u %7u %s %lu 0 %lu 0 %lu 0 %lu 0 %lu 0 0 0 0 0 0 0 0\n",
		    (unsigned)(d->rdev >> 8), (unsigned)(d->rdev & 255), d->name,
		    atomic_load(&d->reads), atomic_load(&d->read_sectors), atomic_load(&d->writes),
		    atomic_load(&d->write_sectors), atomic_load(&d->in_flight));
	}
}

int proc_show_vmstat(struct seqbuf *s, const struct pseudo_key *k)
{
	(void)k;
	uint64_t minor = 0, major = 0;
	struct program *p;
	mutex_lock(&programs_lock);
	list_for_each_entry (p, &all_programs, link) {
		minor += atomic_load(&p->minor_faults);
		major += atomic_load(&p->major_faults);
	}
	mutex_unlock(&programs_lock);
	seq_printf(s,
	    "nr_free_pages %lu\nnr_anon_pages %ld\nnr_mapped %ld\nnr_file_pages %ld\nnr_dirty %ld\n"
	    "nr_writeback %ld\nnr_shmem %ld\nnr_page_table_pages %ld\npgfault %lu\npgmajfault "
	    "%lu\n",
	    pages_free(), (long)atomic_load(&memstats.anon), (long)atomic_load(&memstats.mapped),
	    (long)atomic_load(&memstats.cached), (long)atomic_load(&memstats.dirty),
	    (long)atomic_load(&memstats.writeback), (long)atomic_load(&memstats.shmem),
	    (long)atomic_load(&memstats.pagetables), minor + major, major);
	return 0;
}
