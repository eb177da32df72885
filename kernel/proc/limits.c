/* SPDX-License-Identifier: BSD-3-Clause */
/* Resource limits. Who enforces one reads program->limits[]. */
#include <linux/capability.h>
#include <linux/resource.h>

#include "arch/x86/percpu.h"
#include "mm/uaccess.h"
#include "proc/pidtimers.h"
#include "proc/program.h"
#include "sys/syscall.h"

#define MAX_OPEN_FILES 1048576

/* May limit r become n? 0 or an error. p->lock held. */
static int check(const struct program *p, unsigned r, const struct rlimit_pair *n)
{
	if (n->cur > n->max)
		return -EINVAL;
	if (r == RLIMIT_NOFILE && n->max > MAX_OPEN_FILES)
		return -EPERM;
	if (n->max > p->limits[r].max && !capable(CAP_SYS_RESOURCE))
		return -EPERM;
	return 0;
}

static int change(
    struct program *p, unsigned r, const struct rlimit_pair *n, struct rlimit_pair *old)
{
	int err = 0;
	mutex_lock(&p->lock);
	*old = p->limits[r];
	if (n)
		err = check(p, r, n);
	if (n && !err)
		p->limits[r] = *n;
	mutex_unlock(&p->lock);
	if (n && !err && r == RLIMIT_CPU)
		cpu_limit_changed(p);
	return err;
}

static long do_prlimit(int pid, unsigned r, const void __user *new, void __user *old)
{
	struct rlimit_pair n, o;
	if (r >= RLIM_COUNT)
		return -EINVAL;
	if (new &&copy_from_user(&n, new, sizeof n))
		return -EFAULT;
	struct program *p = program_find(pid ? pid : current_program()->pid);
	if (!p)
		return -ESRCH;
	const struct credentials *c = &current_program()->cred;
	int err = p == current_program() || c->uid == p->cred.uid || capable(CAP_SYS_RESOURCE)
		      ? 0
		      : -EPERM;
	if (!err)
		err = change(p, r, new ? &n : NULL, &o);
	program_put(p);
	if (err)
		return err;
	return old ? copy_to_user(old, &o, sizeof o) : 0;
}

SYSCALL(prlimit64, int pid, unsigned resource, const void __user *new, void __user *old)
{
	return do_prlimit(pid, resource, new, old);
}

SYSCALL(getrlimit, unsigned resource, void __user *out)
{
	return do_prlimit(0, resource, NULL, out);
}

SYSCALL(setrlimit, unsigned resource, const void __user *in)
{
	return do_prlimit(0, resource, in, NULL);
}
