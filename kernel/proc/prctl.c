/* SPDX-License-Identifier: BSD-3-Clause */
/* prctl(), arch_prctl(), personality(). */
#include <asm/prctl.h>
#include <linux/capability.h>
#include <linux/prctl.h>
#include <linux/securebits.h>

#include "arch/x86/cpu.h"
#include "arch/x86/percpu.h"
#include "lib/string.h"
#include "mm/uaccess.h"
#include "proc/program.h"
#include "proc/signal.h"
#include "sys/syscall.h"

#define LAST_CAP 40
#define DEFAULT_SLACK 50000

static long set_name(const char __user *name)
{
	char buf[sizeof current_thread()->name];
	long n = strncpy_from_user(buf, name, sizeof buf);
	if (n == -EFAULT)
		return n;
	buf[sizeof buf - 1] = 0; /* a longer name is cut, as Linux does */
	strlcpy(current_thread()->name, buf, sizeof buf);
	return 0;
}

static long get_name(char __user *name)
{
	char buf[sizeof current_thread()->name] = {0};
	strlcpy(buf, current_thread()->name, sizeof buf);
	return copy_to_user(name, buf, sizeof buf);
}

static long ambient(struct credentials *c, unsigned long op, unsigned long cap)
{
	if (op == PR_CAP_AMBIENT_CLEAR_ALL) {
		c->cap_ambient = 0;
		return cap ? -EINVAL : 0;
	}
	if (cap > LAST_CAP)
		return -EINVAL;
	uint64_t bit = 1ull << cap;
	switch (op) {
	case PR_CAP_AMBIENT_IS_SET:
		return !!(c->cap_ambient & bit);
	case PR_CAP_AMBIENT_LOWER:
		c->cap_ambient &= ~bit;
		return 0;
	case PR_CAP_AMBIENT_RAISE:
		if (!(c->cap_permitted & c->cap_inheritable & bit))
			return -EPERM;
		c->cap_ambient |= bit;
		return 0;
	}
	return -EINVAL;
}

/* Options about capabilities and privileges; -ENOSYS: not one of them. */
static long prctl_privileges(
    int option, unsigned long a2, unsigned long a3, unsigned long a4, unsigned long a5)
{
	struct credentials *c = &current_program()->cred;
	switch (option) {
	case PR_CAPBSET_READ:
		return a2 > LAST_CAP ? -EINVAL : (long)(c->cap_bounding >> a2 & 1);
	case PR_CAPBSET_DROP:
		if (a2 > LAST_CAP)
			return -EINVAL;
		if (!capable(CAP_SETPCAP))
			return -EPERM;
		c->cap_bounding &= ~(1ull << a2);
		return 0;
	case PR_CAP_AMBIENT:
		return a4 || a5 ? -EINVAL : ambient(c, a2, a3);
	case PR_GET_KEEPCAPS:
		return !!(c->securebits & SECBIT_KEEP_CAPS);
	case PR_SET_KEEPCAPS:
		if (a2 > 1)
			return -EINVAL;
		c->securebits =
		    a2 ? c->securebits | SECBIT_KEEP_CAPS : c->securebits & ~SECBIT_KEEP_CAPS;
		return 0;
	case PR_GET_SECUREBITS:
		return c->securebits;
	case PR_SET_SECUREBITS:
		if (!capable(CAP_SETPCAP))
			return -EPERM;
		c->securebits = (unsigned)a2 & 0xff;
		return 0;
	case PR_SET_NO_NEW_PRIVS:
		if (a2 != 1 || a3 || a4 || a5)
			return -EINVAL;
		c->no_new_privs = true;
		return 0;
	case PR_GET_NO_NEW_PRIVS:
		return a2 || a3 || a4 || a5 ? -EINVAL : c->no_new_privs;
	}
	return -ENOSYS;
}

SYSCALL(prctl, int option, unsigned long a2, unsigned long a3, unsigned long a4, unsigned long a5)
{
	struct program *p = current_program();
	long r = prctl_privileges(option, a2, a3, a4, a5);
	if (r != -ENOSYS)
		return r;
	switch (option) {
	case PR_SET_NAME:
		return set_name((const char __user *)a2);
	case PR_GET_NAME:
		return get_name((char __user *)a2);
	case PR_SET_PDEATHSIG:
		if (a2 > NSIG_MAX)
			return -EINVAL;
		p->parent_death_signal = (int)a2;
		return 0;
	case PR_GET_PDEATHSIG:
		return put_user(p->parent_death_signal, (int __user *)a2);
	case PR_GET_DUMPABLE:
		return p->dumpable;
	case PR_SET_DUMPABLE:
		if (a2 > 1)
			return -EINVAL;
		p->dumpable = a2;
		return 0;
	case PR_SET_CHILD_SUBREAPER:
		p->subreaper = a2;
		return 0;
	case PR_GET_CHILD_SUBREAPER:
		return put_user((int)p->subreaper, (int __user *)a2);
	case PR_GET_TIMERSLACK:
		return (long)p->timer_slack;
	case PR_SET_TIMERSLACK: /* a permission to be late, which timers here do not use */
		p->timer_slack = (long)a2 > 0 ? a2 : DEFAULT_SLACK;
		return 0;
	case PR_SET_THP_DISABLE:
		if (a3 || a4 || a5)
			return -EINVAL;
		p->thp_disable = a2 != 0;
		return 0;
	case PR_GET_THP_DISABLE:
		return a2 || a3 || a4 || a5 ? -EINVAL : (long)p->thp_disable;
	case PR_GET_TID_ADDRESS:
		return put_user((uint64_t)current_thread()->clear_child_tid, (uint64_t __user *)a2);
	case PR_GET_SECCOMP:
		return 0;
	case PR_GET_TSC:
		return put_user(1 /* PR_TSC_ENABLE */, (int __user *)a2);
	case PR_SET_TSC:
		return a2 == 1 ? 0 : -EINVAL;
	case PR_GET_TIMING:
		return 0; /* PR_TIMING_STATISTICAL */
	case PR_SET_TIMING:
		return a2 ? -EINVAL : 0;
	case PR_MCE_KILL_GET:
		return 2; /* PR_MCE_KILL_DEFAULT */
	case PR_TASK_PERF_EVENTS_DISABLE:
	case PR_TASK_PERF_EVENTS_ENABLE:
		return 0;
	}
	return -EINVAL;
}

SYSCALL(arch_prctl, int code, unsigned long addr)
{
	struct thread *t = current_thread();
	switch (code) {
	case ARCH_SET_FS:
		if (addr >= USER_END)
			return -EPERM;
		thread_set_fs_base(t, addr);
		return 0;
	case ARCH_GET_FS:
		return put_user(rdmsr(MSR_FS_BASE), (uint64_t __user *)addr);
	case ARCH_GET_GS:
		return put_user((uint64_t)0, (uint64_t __user *)addr);
	case ARCH_SET_GS: /* GS belongs to the kernel, which shares the application's ring */
		return addr ? -EPERM : 0;
	case ARCH_GET_CPUID:
		return 1;
	}
	return -EINVAL;
}

SYSCALL(personality, unsigned persona)
{
	struct program *p = current_program();
	unsigned old = p->personality;
	if (persona != 0xffffffff)
		p->personality = persona;
	return old;
}
