/* SPDX-License-Identifier: BSD-3-Clause */
/* What the system and its programs are and use: uname, sysinfo, times, getrusage, getcpu, host
 * names. */
#include <linux/capability.h>
#include <linux/resource.h>
#include <linux/sysinfo.h>
#include <linux/utsname.h>

#include "arch/x86/percpu.h"
#include "arch/x86/topology.h"
#include "core/version.h"
#include "lib/string.h"
#include "mm/page.h"
#include "mm/uaccess.h"
#include "proc/lifecycle.h"
#include "proc/usage.h"
#include "sys/syscall.h"

#define CLOCK_TICK (NSEC_PER_SEC / 100)

SYSCALL(uname, void __user *out)
{
	struct new_utsname u = {.sysname = KERNEL_SYSNAME,
	    .release = KERNEL_RELEASE,
	    .version = KERNEL_VERSION,
	    .machine = KERNEL_MACHINE};
	_Static_assert(sizeof u.nodename == HOSTNAME_SIZE, "struct utsname");
	hostname_get(HOST_NAME, u.nodename);
	hostname_get(DOMAIN_NAME, u.domainname);
	return copy_to_user(out, &u, sizeof u);
}

static long set_a_name(enum hostname_kind kind, const char __user *name, int n)
{
	char buf[HOSTNAME_SIZE] = {0};
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (n < 0 || n >= HOSTNAME_SIZE)
		return -EINVAL;
	if (copy_from_user(buf, name, (size_t)n))
		return -EFAULT;
	return hostname_set(kind, buf, (size_t)n);
}

SYSCALL(sethostname, const char __user *name, int n)
{
	return set_a_name(HOST_NAME, name, n);
}

SYSCALL(setdomainname, const char __user *name, int n)
{
	return set_a_name(DOMAIN_NAME, name, n);
}

static unsigned count_threads(void)
{
	struct program *p;
	unsigned n = 0;
	mutex_lock(&programs_lock);
	list_for_each_entry (p, &all_programs, link)
		n += p->nthreads;
	mutex_unlock(&programs_lock);
	return n;
}

SYSCALL(sysinfo, void __user *out)
{
	struct sysinfo s = {0};
	s.uptime = time_now() / NSEC_PER_SEC;
	s.totalram = memstats.total * PAGE_SIZE;
	s.freeram = pages_free() * PAGE_SIZE;
	s.sharedram = (uint64_t)memstats.shmem * PAGE_SIZE;
	s.procs = (uint16_t)MIN(count_threads(), 65535u);
	s.mem_unit = 1;
	return copy_to_user(out, &s, sizeof s);
}

SYSCALL(times, void __user *out)
{
	struct program *p = current_program();
	int64_t user, kernel, t[4];
	program_cpu_split(p, &user, &kernel);
	t[0] = user / CLOCK_TICK;
	t[1] = kernel / CLOCK_TICK;
	t[2] = p->children_user_ns / CLOCK_TICK;
	t[3] = p->children_kernel_ns / CLOCK_TICK;
	if (out && copy_to_user(out, t, sizeof t))
		return -EFAULT;
	return time_now() / CLOCK_TICK;
}

static struct __kernel_old_timeval to_timeval(int64_t ns)
{
	return (struct __kernel_old_timeval){ns / NSEC_PER_SEC, ns % NSEC_PER_SEC / 1000};
}

static void set_times(struct rusage *u, int64_t user, int64_t kernel)
{
	struct __kernel_old_timeval a = to_timeval(user), b = to_timeval(kernel);
	memcpy(&u->ru_utime, &a, sizeof a);
	memcpy(&u->ru_stime, &b, sizeof b);
}

int64_t usage_peak_pages(struct mm *m)
{
	int64_t now =
	    atomic_load(&m->rss_anon) + atomic_load(&m->rss_file) + atomic_load(&m->rss_shmem);
	int64_t peak = atomic_load(&m->peak_rss);
	return MAX(now, peak);
}

void usage_of_program(struct program *p, struct rusage *u, bool with_children)
{
	struct thread *t;
	int64_t user, kernel;
	memset(u, 0, sizeof *u);
	program_cpu_split(p, &user, &kernel);
	if (with_children) {
		user += p->children_user_ns;
		kernel += p->children_kernel_ns;
	}
	set_times(u, user, kernel);
	u->ru_maxrss = atomic_load(&p->peak_rss_pages) * 4;
	u->ru_minflt = (long)atomic_load(&p->minor_faults);
	u->ru_majflt = (long)atomic_load(&p->major_faults);
	u->ru_inblock = (long)(atomic_load(&p->read_bytes) / 512);
	u->ru_oublock = (long)(atomic_load(&p->write_bytes) / 512);
	mutex_lock(&p->signals.lock);
	list_for_each_entry (t, &p->threads, program_link) {
		u->ru_nvcsw += (long)t->voluntary;
		u->ru_nivcsw += (long)t->preemptions;
	}
	mutex_unlock(&p->signals.lock);
}

SYSCALL(getrusage, int who, void __user *out)
{
	struct program *p = current_program();
	struct thread *t = current_thread();
	struct rusage u = {0};
	int64_t user, kernel;
	switch (who) {
	case RUSAGE_SELF:
		atomic_store(&p->peak_rss_pages, usage_peak_pages(p->mm));
		usage_of_program(p, &u, false);
		break;
	case RUSAGE_CHILDREN:
		set_times(&u, p->children_user_ns, p->children_kernel_ns);
		break;
	case RUSAGE_THREAD:
		thread_cpu_split(t, &user, &kernel);
		set_times(&u, user, kernel);
		u.ru_nvcsw = (long)t->voluntary;
		u.ru_nivcsw = (long)t->preemptions;
		u.ru_maxrss = usage_peak_pages(p->mm) * 4;
		break;
	default:
		return -EINVAL;
	}
	return copy_to_user(out, &u, sizeof u);
}

SYSCALL(getcpu, unsigned __user *cpu, unsigned __user *node)
{
	unsigned id = this_cpu()->id;
	if (cpu && put_user(id, cpu))
		return -EFAULT;
	return node ? put_user(topology_node(id), node) : 0;
}
