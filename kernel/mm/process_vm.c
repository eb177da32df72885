/* SPDX-License-Identifier: BSD-3-Clause */
/* process_vm_readv() and process_vm_writev(): copying between programs without a stop in the
 * middle. */
#include "lib/iter.h"
#include "mm/access.h"
#include "mm/kmalloc.h"
#include "proc/program.h"
#include "sys/syscall.h"

#define MAX_VECTORS 1024
#define CHUNK PAGE_SIZE
#define CAP_SYS_PTRACE_NR 19

static bool may_reach(struct program *p)
{
	const struct credentials *me = &current_program()->cred, *c = &p->cred;
	if (p == current_program() || capable(CAP_SYS_PTRACE_NR))
		return true;
	return me->uid == c->euid && me->uid == c->suid && me->uid == c->uid &&
	       me->gid == c->egid && me->gid == c->sgid && me->gid == c->gid && p->dumpable;
}

/* Moves n bytes between the iterator and remote memory; bytes moved (fewer: end of memory) or
 * -errno. */
static long move_part(
    struct mm *m, uint64_t addr, size_t n, struct iter *local, bool write, char *buf)
{
	size_t done = 0;
	while (done < n && local->count) {
		size_t part =
		    MIN(MIN(n - done, local->count), (size_t)CHUNK - (addr + done) % CHUNK);
		if (write) {
			part = iter_from(local, buf, part);
			if (!part)
				return done ? (long)done : -EFAULT;
		}
		long r = mm_access_checked(m, addr + done, buf, part, write, false);
		if (r <= 0)
			return done ? (long)done : -EFAULT;
		size_t got = (size_t)r;
		if (!write)
			got = iter_to(local, buf, got);
		done += got;
		if (got < part)
			break;
	}
	return (long)done;
}

static long transfer(struct mm *m, const struct kvec __user *remote, unsigned long nremote,
    struct iter *local, bool write)
{
	char *buf = kmalloc(CHUNK);
	long total = 0, r = 0;
	if (!buf)
		return -ENOMEM;
	for (unsigned long i = 0; i < nremote && local->count; i++) {
		struct kvec v;
		if (get_user(v, remote + i)) {
			r = -EFAULT;
			break;
		}
		if (!v.len)
			continue;
		r = move_part(m, (uint64_t)v.base, v.len, local, write, buf);
		if (r < 0)
			break;
		total += r;
		if ((size_t)r < v.len)
			break;
	}
	kfree(buf);
	return total || r >= 0 ? total : r;
}

static long process_vm(int pid, const void __user *lvec, unsigned long nlocal,
    const void __user *rvec, unsigned long nremote, unsigned long flags, bool write)
{
	struct kvec fast[8], *vec = fast;
	struct iter local;
	if (flags || nlocal > MAX_VECTORS || nremote > MAX_VECTORS)
		return -EINVAL;
	if (!nlocal || !nremote)
		return 0;
	long r = iter_import_user(&local, lvec, nlocal, fast, &vec);
	if (r < 0)
		return r;
	struct program *p = program_find(pid);
	if (!p)
		r = -ESRCH;
	else if (!may_reach(p))
		r = -EPERM;
	else if (r > 0)
		r = transfer(p->mm, rvec, nremote, &local, write);
	if (p)
		program_put(p);
	if (vec != fast)
		kfree(vec);
	return r;
}

SYSCALL(process_vm_readv, int pid, const void __user *lvec, unsigned long nlocal,
    const void __user *rvec, unsigned long nremote, unsigned long flags)
{
	return process_vm(pid, lvec, nlocal, rvec, nremote, flags, false);
}

SYSCALL(process_vm_writev, int pid, const void __user *lvec, unsigned long nlocal,
    const void __user *rvec, unsigned long nremote, unsigned long flags)
{
	return process_vm(pid, lvec, nlocal, rvec, nremote, flags, true);
}
