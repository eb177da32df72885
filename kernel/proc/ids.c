/* SPDX-License-Identifier: BSD-3-Clause */
/* Who a program is: ids of programs, groups and sessions, users and groups, capabilities. */
#include <linux/capability.h>

#include "arch/x86/percpu.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/uaccess.h"
#include "proc/program.h"
#include "sys/syscall.h"

#define NO_ID 0xffffffffu

bool capable(int cap)
{
	struct program *p = current_program();
	return !p || (p->cred.cap_effective >> cap & 1);
}

SYSCALL(getpid, void)
{
	return current_program()->pid;
}

SYSCALL(gettid, void)
{
	return current_thread()->tid;
}

SYSCALL(getppid, void)
{
	return current_program()->ppid;
}

SYSCALL(getpgrp, void)
{
	return current_program()->pgid;
}

/* ---- groups and sessions: under programs_lock ---- */

static struct program *find_locked(int pid)
{
	struct program *p;
	if (pid == 0)
		return current_program();
	list_for_each_entry (p, &all_programs, link)
		if (p->pid == pid)
			return p;
	return NULL;
}

SYSCALL(getpgid, int pid)
{
	mutex_lock(&programs_lock);
	struct program *p = find_locked(pid);
	long id = p ? p->pgid : -ESRCH;
	mutex_unlock(&programs_lock);
	return id;
}

SYSCALL(getsid, int pid)
{
	mutex_lock(&programs_lock);
	struct program *p = find_locked(pid);
	long id = p ? p->sid : -ESRCH;
	mutex_unlock(&programs_lock);
	return id;
}

static bool group_in_session(int pgid, int sid)
{
	struct program *p;
	list_for_each_entry (p, &all_programs, link)
		if (p->pgid == pgid && p->sid == sid)
			return true;
	return false;
}

static long set_group(int pid, int pgid)
{
	struct program *me = current_program(), *p = find_locked(pid);
	if (!p || (p != me && p->ppid != me->pid))
		return -ESRCH;
	if (p->sid == p->pid || p->sid != me->sid)
		return -EPERM;
	if (p != me && p->executed)
		return -EACCES;
	if (pgid == 0)
		pgid = p->pid;
	if (pgid != p->pid && !group_in_session(pgid, p->sid))
		return -EPERM;
	p->pgid = pgid;
	return 0;
}

SYSCALL(setpgid, int pid, int pgid)
{
	if (pid < 0 || pgid < 0)
		return -EINVAL;
	mutex_lock(&programs_lock);
	long err = set_group(pid == current_program()->pid ? 0 : pid, pgid);
	mutex_unlock(&programs_lock);
	return err;
}

SYSCALL(setsid, void)
{
	struct program *me = current_program(), *p;
	long err = 0;
	mutex_lock(&programs_lock);
	list_for_each_entry (p, &all_programs, link)
		if (p->pgid == me->pid)
			err = -EPERM;
	/* The first program starts as leader of everything, without a terminal's session around it:
	 * like a service started by a supervisor it may still ask for a session of its own, which
	 * it has. */
	if (!err || (me->ppid == 1 && me->sid == me->pid && !me->session_made)) {
		me->pgid = me->sid = me->pid;
		me->session_made = true;
		err = me->pid;
	}
	mutex_unlock(&programs_lock);
	return err;
}

/* ---- users and groups ---- */

/* Root gives up its capabilities when its last id becomes another user's, as Linux does it. */
static void adjust_capabilities(struct credentials *c, bool had_root, bool was_effective_root)
{
	bool has_root = !c->uid || !c->euid || !c->suid;
	if (had_root && !has_root && !(c->securebits & 0x10 /* SECBIT_KEEP_CAPS */)) {
		c->cap_permitted = 0;
		c->cap_ambient = 0;
	}
	if (was_effective_root && c->euid)
		c->cap_effective = 0;
	if (!was_effective_root && !c->euid)
		c->cap_effective = c->cap_permitted;
}

static bool is_own_uid(const struct credentials *c, uint32_t id)
{
	return id == c->uid || id == c->euid || id == c->suid;
}

static bool is_own_gid(const struct credentials *c, uint32_t id)
{
	return id == c->gid || id == c->egid || id == c->sgid;
}

/* All three with NO_ID for "leave". */
static long set_uids(uint32_t r, uint32_t e, uint32_t s)
{
	struct program *p = current_program();
	struct credentials *c = &p->cred;
	long err = 0;
	mutex_lock(&p->lock);
	bool privileged = capable(CAP_SETUID);
	if (!privileged &&
	    ((r != NO_ID && !is_own_uid(c, r)) || (e != NO_ID && !is_own_uid(c, e)) ||
		(s != NO_ID && !is_own_uid(c, s)))) {
		err = -EPERM;
	} else {
		bool had_root = !c->uid || !c->euid || !c->suid, effective_root = !c->euid;
		c->uid = r == NO_ID ? c->uid : r;
		c->euid = e == NO_ID ? c->euid : e;
		c->suid = s == NO_ID ? c->suid : s;
		c->fsuid = c->euid;
		adjust_capabilities(c, had_root, effective_root);
	}
	mutex_unlock(&p->lock);
	return err;
}

static long set_gids(uint32_t r, uint32_t e, uint32_t s)
{
	struct program *p = current_program();
	struct credentials *c = &p->cred;
	long err = 0;
	mutex_lock(&p->lock);
	if (!capable(CAP_SETGID) &&
	    ((r != NO_ID && !is_own_gid(c, r)) || (e != NO_ID && !is_own_gid(c, e)) ||
		(s != NO_ID && !is_own_gid(c, s)))) {
		err = -EPERM;
	} else {
		c->gid = r == NO_ID ? c->gid : r;
		c->egid = e == NO_ID ? c->egid : e;
		c->sgid = s == NO_ID ? c->sgid : s;
		c->fsgid = c->egid;
	}
	mutex_unlock(&p->lock);
	return err;
}

SYSCALL(getuid, void)
{
	return current_program()->cred.uid;
}

SYSCALL(geteuid, void)
{
	return current_program()->cred.euid;
}

SYSCALL(getgid, void)
{
	return current_program()->cred.gid;
}

SYSCALL(getegid, void)
{
	return current_program()->cred.egid;
}

SYSCALL(setuid, uint32_t id)
{
	if (id == NO_ID)
		return -EINVAL;
	return capable(CAP_SETUID) ? set_uids(id, id, id) : set_uids(NO_ID, id, NO_ID);
}

SYSCALL(setgid, uint32_t id)
{
	if (id == NO_ID)
		return -EINVAL;
	return capable(CAP_SETGID) ? set_gids(id, id, id) : set_gids(NO_ID, id, NO_ID);
}

SYSCALL(setreuid, uint32_t r, uint32_t e)
{
	const struct credentials *c = &current_program()->cred;
	uint32_t new_e = e == NO_ID ? c->euid : e;
	bool saves = r != NO_ID || (e != NO_ID && e != c->uid);
	return set_uids(r, e, saves ? new_e : NO_ID);
}

SYSCALL(setregid, uint32_t r, uint32_t e)
{
	const struct credentials *c = &current_program()->cred;
	uint32_t new_e = e == NO_ID ? c->egid : e;
	bool saves = r != NO_ID || (e != NO_ID && e != c->gid);
	return set_gids(r, e, saves ? new_e : NO_ID);
}

SYSCALL(setresuid, uint32_t r, uint32_t e, uint32_t s)
{
	return set_uids(r, e, s);
}

SYSCALL(setresgid, uint32_t r, uint32_t e, uint32_t s)
{
	return set_gids(r, e, s);
}

SYSCALL(getresuid, uint32_t __user *r, uint32_t __user *e, uint32_t __user *s)
{
	const struct credentials *c = &current_program()->cred;
	return put_user(c->uid, r) || put_user(c->euid, e) || put_user(c->suid, s) ? -EFAULT : 0;
}

SYSCALL(getresgid, uint32_t __user *r, uint32_t __user *e, uint32_t __user *s)
{
	const struct credentials *c = &current_program()->cred;
	return put_user(c->gid, r) || put_user(c->egid, e) || put_user(c->sgid, s) ? -EFAULT : 0;
}

SYSCALL(setfsuid, uint32_t id)
{
	struct credentials *c = &current_program()->cred;
	uint32_t old = c->fsuid;
	if (id != NO_ID && (is_own_uid(c, id) || id == c->fsuid || capable(CAP_SETUID)))
		c->fsuid = id;
	return old;
}

SYSCALL(setfsgid, uint32_t id)
{
	struct credentials *c = &current_program()->cred;
	uint32_t old = c->fsgid;
	if (id != NO_ID && (is_own_gid(c, id) || id == c->fsgid || capable(CAP_SETGID)))
		c->fsgid = id;
	return old;
}

SYSCALL(getgroups, int n, uint32_t __user *list)
{
	struct program *p = current_program();
	long ret;
	if (n < 0)
		return -EINVAL;
	mutex_lock(&p->lock);
	ret = p->cred.ngroups;
	if (n && n < ret)
		ret = -EINVAL;
	else if (n && copy_to_user(list, p->cred.groups, (size_t)ret * sizeof *list))
		ret = -EFAULT;
	mutex_unlock(&p->lock);
	return ret;
}

SYSCALL(setgroups, int n, const uint32_t __user *list)
{
	struct program *p = current_program();
	if (!capable(CAP_SETGID))
		return -EPERM;
	if (n < 0 || n > NGROUPS_LIMIT)
		return -EINVAL;
	uint32_t *groups = n ? kmalloc((size_t)n * sizeof *groups) : NULL;
	if (n && !groups)
		return -ENOMEM;
	if (n && copy_from_user(groups, list, (size_t)n * sizeof *groups)) {
		kfree(groups);
		return -EFAULT;
	}
	mutex_lock(&p->lock);
	uint32_t *old = p->cred.groups;
	p->cred.groups = groups;
	p->cred.ngroups = (uint32_t)n;
	mutex_unlock(&p->lock);
	kfree(old);
	return 0;
}

/* ---- capabilities ---- */

/* 32-bit halves in the header's version; writes the preferred version back if it is unknown. */
static int cap_header(void __user *header, int *pid)
{
	struct __user_cap_header_struct h;
	if (copy_from_user(&h, header, sizeof h))
		return -EFAULT;
	*pid = h.pid;
	switch (h.version) {
	case _LINUX_CAPABILITY_VERSION_1:
		return 1;
	case _LINUX_CAPABILITY_VERSION_2:
	case _LINUX_CAPABILITY_VERSION_3:
		return 2;
	}
	h.version = _LINUX_CAPABILITY_VERSION_3;
	return copy_to_user(header, &h, sizeof h) ? -EFAULT : -EINVAL;
}

SYSCALL(capget, void __user *header, void __user *data)
{
	struct __user_cap_data_struct d[2];
	int pid, n = cap_header(header, &pid);
	if (n == -EINVAL && !data)
		return 0;
	if (n < 0)
		return n;
	if (pid < 0)
		return -EINVAL;
	struct program *p = program_find(pid ? pid : current_program()->pid);
	if (!p)
		return -ESRCH;
	for (int i = 0; i < n; i++) {
		d[i].effective = (uint32_t)(p->cred.cap_effective >> 32 * i);
		d[i].permitted = (uint32_t)(p->cred.cap_permitted >> 32 * i);
		d[i].inheritable = (uint32_t)(p->cred.cap_inheritable >> 32 * i);
	}
	program_put(p);
	return data ? copy_to_user(data, d, (size_t)n * sizeof d[0]) : 0;
}

SYSCALL(capset, void __user *header, const void __user *data)
{
	struct __user_cap_data_struct d[2] = {{0}};
	struct program *p = current_program();
	struct credentials *c = &p->cred;
	int pid, n = cap_header(header, &pid);
	if (n < 0)
		return n;
	if (pid && pid != p->pid)
		return -EPERM;
	if (copy_from_user(d, data, (size_t)n * sizeof d[0]))
		return -EFAULT;
	uint64_t effective = d[0].effective | (uint64_t)d[1].effective << 32;
	uint64_t permitted = d[0].permitted | (uint64_t)d[1].permitted << 32;
	uint64_t inheritable = d[0].inheritable | (uint64_t)d[1].inheritable << 32;
	if ((permitted & ~c->cap_permitted) || (effective & ~permitted) ||
	    (inheritable & ~(c->cap_inheritable | c->cap_permitted) && !capable(CAP_SETPCAP)))
		return -EPERM;
	mutex_lock(&p->lock);
	c->cap_effective = effective & CAP_ALL;
	c->cap_permitted = permitted & CAP_ALL;
	c->cap_inheritable = inheritable & CAP_ALL;
	c->cap_ambient &= c->cap_permitted & c->cap_inheritable;
	mutex_unlock(&p->lock);
	return 0;
}
