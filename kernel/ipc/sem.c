/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * System V semaphores. A semop() is tried as a whole under the set's lock; when it cannot go on it
 * waits until the set changes and is tried again. Adjustments to undo at the end of a program are
 * kept in program->sysv_sem_undo.
 */
#include <asm/errno.h>
#include <linux/time_types.h>
#include "ipc/sysv.h"
#include "lib/seqbuf.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "proc/program.h"
#include "sched/timer.h"
#include "sys/syscall.h"

#define MAX_PER_SET 32000
#define MAX_OPS 500
#define MAX_VALUE 32767
#define FAST_OPS 8

struct semaphore {
	int value, pid;
	unsigned waiting_more, waiting_zero;
};

struct sem_set {
	struct ipc_object ipc;
	struct mutex lock;
	struct waitq wait;
	int64_t op_time, change_time;
	unsigned n;
	struct semaphore sem[];
};

struct sem_undo {
	struct list link;    /* in program->sysv_sem_undo, under its lock */
	struct sem_set *set; /* referenced */
	short adjust[];
};

static struct ipc_table table;

static struct sem_set *set_of(struct ipc_object *o)
{
	return container_of(o, struct sem_set, ipc);
}

static void set_free(struct ipc_object *o)
{
	kfree(set_of(o));
}

static struct ipc_object *make_set(void *arg)
{
	int n = *(int *)arg;
	if (n <= 0 || n > MAX_PER_SET)
		return err_ptr(-EINVAL);
	struct sem_set *s = kzalloc(sizeof *s + (size_t)n * sizeof s->sem[0]);
	if (!s)
		return err_ptr(-ENOMEM);
	s->n = (unsigned)n;
	s->ipc.free = set_free;
	s->change_time = time_wall() / NSEC_PER_SEC;
	waitq_init(&s->wait);
	return &s->ipc;
}

static int set_fits(struct ipc_object *o, void *arg)
{
	return *(int *)arg < 0 || (unsigned)*(int *)arg > set_of(o)->n ? -EINVAL : 0;
}

SYSCALL(semget, int key, int n, int flags)
{
	return ipc_get(&table, key, flags, make_set, set_fits, &n);
}

/* The current program's adjustments for a set, made if missing; NULL without memory. */
static struct sem_undo *undo_for(struct sem_set *s)
{
	struct program *p = current_program();
	struct sem_undo *u, *found = NULL;
	mutex_lock(&p->lock);
	list_for_each_entry (u, &p->sysv_sem_undo, link)
		if (u->set == s)
			found = u;
	if (!found && (found = kzalloc(sizeof *found + s->n * sizeof found->adjust[0]))) {
		atomic_fetch_add(&s->ipc.refs, 1);
		found->set = s;
		list_append(&p->sysv_sem_undo, &found->link);
	}
	mutex_unlock(&p->lock);
	return found;
}

/* Tries all operations: 0 done; 1 would have to wait at *blocked; -ERANGE. lock held. */
static int try_ops(struct sem_set *s, const struct sembuf *op, unsigned n, struct sem_undo *undo,
    unsigned *blocked)
{
	unsigned i = 0;
	int r = 0;
	for (; i < n; i++) {
		struct semaphore *sem = &s->sem[op[i].sem_num];
		int v = sem->value + op[i].sem_op;
		if (op[i].sem_op == 0 ? sem->value != 0 : v < 0) {
			r = 1;
			break;
		}
		if (v > MAX_VALUE) {
			r = -ERANGE;
			break;
		}
		sem->value = v;
		if (op[i].sem_flg & SEM_UNDO)
			undo->adjust[op[i].sem_num] -= op[i].sem_op;
	}
	*blocked = i;
	if (!r) {
		for (i = 0; i < n; i++)
			s->sem[op[i].sem_num].pid = current_program()->pid;
		s->op_time = time_wall() / NSEC_PER_SEC;
		return 0;
	}
	while (i-- > 0) { /* all or nothing */
		s->sem[op[i].sem_num].value -= op[i].sem_op;
		if (op[i].sem_flg & SEM_UNDO)
			undo->adjust[op[i].sem_num] += op[i].sem_op;
	}
	return r;
}

static int do_ops(
    struct sem_set *s, const struct sembuf *op, unsigned n, struct sem_undo *undo, int64_t deadline)
{
	int r;
	mutex_lock(&s->lock);
	for (;;) {
		unsigned at;
		r = s->ipc.removed ? -EIDRM : try_ops(s, op, n, undo, &at);
		if (r <= 0)
			break;
		if (op[at].sem_flg & IPC_NOWAIT) {
			r = -EAGAIN;
			break;
		}
		struct semaphore *sem = &s->sem[op[at].sem_num];
		unsigned *waiting = op[at].sem_op ? &sem->waiting_more : &sem->waiting_zero;
		(*waiting)++;
		r = waitq_wait(&s->wait, &s->lock, deadline, WAIT_INTERRUPTIBLE);
		(*waiting)--;
		if (r) {
			r = r == -ETIMEDOUT ? -EAGAIN : -EINTR;
			break;
		}
	}
	if (!r)
		waitq_wake_all(&s->wait);
	mutex_unlock(&s->lock);
	return r;
}

/* Checks the operations against the set and its permissions. */
static int check_ops(struct sem_set *s, const struct sembuf *op, unsigned n, bool *undo)
{
	bool alters = false;
	for (unsigned i = 0; i < n; i++) {
		if (op[i].sem_num >= s->n)
			return -EFBIG;
		alters |= op[i].sem_op != 0;
		*undo |= op[i].sem_flg & SEM_UNDO;
	}
	return ipc_may(&s->ipc, alters ? 2 : 4);
}

static long semop(int id, const struct sembuf __user *uops, unsigned n, int64_t deadline)
{
	struct sembuf fast[FAST_OPS], *op = fast;
	if (n == 0)
		return -EINVAL;
	if (n > MAX_OPS)
		return -E2BIG;
	if (n > FAST_OPS && !(op = kmalloc(n * sizeof *op)))
		return -ENOMEM;
	long r = copy_from_user(op, uops, n * sizeof *op);
	struct ipc_object *o = r ? NULL : ipc_find(&table, id);
	if (o && is_err(o))
		r = ptr_err(o);
	if (!r) {
		struct sem_set *s = set_of(o);
		struct sem_undo *undo = NULL;
		bool want_undo = false;
		r = check_ops(s, op, n, &want_undo);
		if (!r && want_undo && !(undo = undo_for(s)))
			r = -ENOMEM;
		if (!r)
			r = do_ops(s, op, n, undo, deadline);
		ipc_put(o);
	}
	if (op != fast)
		kfree(op);
	return r;
}

SYSCALL(semop, int id, const struct sembuf __user *ops, unsigned n)
{
	return semop(id, ops, n, NO_DEADLINE);
}

SYSCALL(semtimedop, int id, const struct sembuf __user *ops, unsigned n,
    const struct __kernel_timespec __user *uts)
{
	int64_t deadline = NO_DEADLINE;
	struct __kernel_timespec ts;
	if (uts) {
		if (copy_from_user(&ts, uts, sizeof ts))
			return -EFAULT;
		if (ts.tv_sec < 0 || ts.tv_nsec < 0 || ts.tv_nsec >= NSEC_PER_SEC)
			return -EINVAL;
		deadline = time_now() + MIN(ts.tv_sec, 1000000000ll) * NSEC_PER_SEC + ts.tv_nsec;
	}
	return semop(id, ops, n, deadline);
}

void sysv_program_exit(struct program *p)
{
	while (!list_empty(&p->sysv_sem_undo)) {
		struct sem_undo *u = list_first(&p->sysv_sem_undo, struct sem_undo, link);
		struct sem_set *s = u->set;
		list_remove(&u->link);
		mutex_lock(&s->lock);
		for (unsigned i = 0; i < s->n && !s->ipc.removed; i++) {
			if (!u->adjust[i])
				continue;
			int v = s->sem[i].value + u->adjust[i];
			s->sem[i].value = MIN(MAX(v, 0), MAX_VALUE);
			s->sem[i].pid = p->pid;
		}
		waitq_wake_all(&s->wait);
		mutex_unlock(&s->lock);
		ipc_put(&s->ipc);
		kfree(u);
	}
}

/* A value set from outside cancels what programs would have undone. programs' locks nest outside.
 */
static void forget_undo(struct sem_set *s, int first, int n)
{
	struct program *p;
	struct sem_undo *u;
	mutex_lock(&programs_lock);
	list_for_each_entry (p, &all_programs, link) {
		mutex_lock(&p->lock);
		list_for_each_entry (u, &p->sysv_sem_undo, link)
			if (u->set == s)
				memset(&u->adjust[first], 0, (size_t)n * sizeof u->adjust[0]);
		mutex_unlock(&p->lock);
	}
	mutex_unlock(&programs_lock);
}

static long set_value(struct sem_set *s, int i, int v)
{
	int err = ipc_may(&s->ipc, 2);
	if (err)
		return err;
	if (v < 0 || v > MAX_VALUE)
		return -ERANGE;
	forget_undo(s, i, 1);
	mutex_lock(&s->lock);
	s->sem[i].value = v;
	s->sem[i].pid = current_program()->pid;
	s->change_time = time_wall() / NSEC_PER_SEC;
	waitq_wake_all(&s->wait);
	mutex_unlock(&s->lock);
	return 0;
}

static long all_values(struct sem_set *s, uint16_t __user *arg, bool set)
{
	int err = ipc_may(&s->ipc, set ? 2 : 4);
	if (err)
		return err;
	uint16_t *v = kmalloc(s->n * sizeof *v);
	if (!v)
		return -ENOMEM;
	if (set) {
		err = copy_from_user(v, arg, s->n * sizeof *v);
		for (unsigned i = 0; i < s->n && !err; i++)
			err = v[i] > MAX_VALUE ? -ERANGE : 0;
		if (!err)
			forget_undo(s, 0, (int)s->n);
	}
	mutex_lock(&s->lock);
	for (unsigned i = 0; i < s->n && !err; i++) {
		if (!set) {
			v[i] = (uint16_t)s->sem[i].value;
			continue;
		}
		s->sem[i].value = v[i];
		s->sem[i].pid = current_program()->pid;
	}
	if (set)
		waitq_wake_all(&s->wait);
	mutex_unlock(&s->lock);
	if (!set && !err)
		err = copy_to_user(arg, v, s->n * sizeof *v);
	kfree(v);
	return err;
}

static long stat_set(struct sem_set *s, void __user *out, long r, bool check)
{
	struct semid64_ds d;
	int err = check ? ipc_may(&s->ipc, 4) : 0;
	if (err)
		return err;
	memset(&d, 0, sizeof d);
	ipc_fill_perm(&s->ipc, &d.sem_perm);
	d.sem_otime = s->op_time;
	d.sem_ctime = s->change_time;
	d.sem_nsems = s->n;
	return copy_to_user(out, &d, sizeof d) ? -EFAULT : r;
}

static long change_set(struct sem_set *s, const void __user *in)
{
	struct semid64_ds d;
	int err = ipc_may_control(&s->ipc);
	if (err)
		return err;
	if (copy_from_user(&d, in, sizeof d))
		return -EFAULT;
	ipc_set_perm(&s->ipc, &d.sem_perm);
	s->change_time = time_wall() / NSEC_PER_SEC;
	return 0;
}

static long remove_set(struct sem_set *s)
{
	int err = ipc_may_control(&s->ipc);
	if (err)
		return err;
	ipc_remove(&table, &s->ipc);
	mutex_lock(&s->lock);
	waitq_wake_all(&s->wait);
	mutex_unlock(&s->lock);
	return 0;
}

static long info(void __user *out, bool usage)
{
	struct seminfo i = {.semmap = 1024000000,
	    .semmni = IPC_SLOTS,
	    .semmns = 1024000000,
	    .semmnu = 1024000000,
	    .semmsl = MAX_PER_SET,
	    .semopm = MAX_OPS,
	    .semume = MAX_OPS,
	    .semvmx = MAX_VALUE,
	    .semaem = MAX_VALUE};
	int highest = 0;
	if (usage)
		i.semusz = (int)table.used;
	for (int k = 0; k < IPC_SLOTS; k++)
		if (table.slot[k])
			highest = k;
	return copy_to_user(out, &i, sizeof i) ? -EFAULT : highest;
}

static long one_value(struct sem_set *s, int i, int cmd)
{
	int err = ipc_may(&s->ipc, 4);
	if (err)
		return err;
	const struct semaphore *m = &s->sem[i];
	switch (cmd) {
	case GETVAL:
		return m->value;
	case GETPID:
		return m->pid;
	case GETNCNT:
		return m->waiting_more;
	default:
		return m->waiting_zero;
	}
}

SYSCALL(semctl, int id, int i, int cmd, unsigned long arg)
{
	if (cmd == IPC_INFO || cmd == SEM_INFO)
		return info((void __user *)arg, cmd == SEM_INFO);
	bool by_slot = cmd == SEM_STAT || cmd == SEM_STAT_ANY;
	struct ipc_object *o = by_slot ? ipc_at(&table, (unsigned)id) : ipc_find(&table, id);
	if (!o || is_err(o))
		return o ? ptr_err(o) : -EINVAL;
	struct sem_set *s = set_of(o);
	bool indexed =
	    cmd == SETVAL || cmd == GETVAL || cmd == GETPID || cmd == GETNCNT || cmd == GETZCNT;
	long r = -EINVAL;
	if (indexed && (i < 0 || (unsigned)i >= s->n))
		r = -EINVAL;
	else if (cmd == SETVAL)
		r = set_value(s, i, (int)arg);
	else if (indexed)
		r = one_value(s, i, cmd);
	else if (cmd == GETALL || cmd == SETALL)
		r = all_values(s, (uint16_t __user *)arg, cmd == SETALL);
	else if (cmd == IPC_STAT || by_slot)
		r = stat_set(s, (void __user *)arg, by_slot ? o->id : 0, cmd != SEM_STAT_ANY);
	else if (cmd == IPC_SET)
		r = change_set(s, (void __user *)arg);
	else if (cmd == IPC_RMID)
		r = remove_set(s);
	ipc_put(o);
	return r;
}

int sem_show(struct seqbuf *out)
{
	seq_puts(out, "       key      semid perms      nsems   uid   gid  cuid  cgid      otime   "
		      "   ctime\n");
	for (unsigned i = 0; i < IPC_SLOTS; i++) {
		struct ipc_object *o = ipc_at(&table, i);
		if (!o)
			continue;
		struct sem_set *s = set_of(o);
		seq_printf(out, "%10d %10d  %4o %10u %5u %5u %5u %5u %10ld %10ld\n", o->key, o->id,
		    o->mode, s->n, o->uid, o->gid, o->cuid, o->cgid, (long)s->op_time,
		    (long)s->change_time);
		ipc_put(o);
	}
	return 0;
}
