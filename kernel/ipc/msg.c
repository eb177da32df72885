/* SPDX-License-Identifier: BSD-3-Clause */
/* System V message queues. */
#include <asm/errno.h>
#include "fs/proc/sysctl.h"
#include "ipc/sysv.h"
#include "lib/seqbuf.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "proc/program.h"
#include "sched/timer.h"
#include "sys/syscall.h"

struct queued {
	struct list link;
	long type;
	size_t len;
	char text[];
};

struct msg_queue {
	struct ipc_object ipc;
	struct mutex lock;
	struct list messages;
	struct waitq read_wait, write_wait;
	size_t bytes, limit;
	unsigned count;
	int64_t send_time, receive_time, change_time;
	int last_sender, last_receiver;
};

static struct ipc_table table;

static struct msg_queue *queue_of(struct ipc_object *o)
{
	return container_of(o, struct msg_queue, ipc);
}

static void queue_free(struct ipc_object *o)
{
	struct msg_queue *q = queue_of(o);
	struct queued *m, *next;
	list_for_each_entry_safe (m, next, &q->messages, link)
		kfree(m);
	kfree(q);
}

static int64_t now_seconds(void)
{
	return time_wall() / NSEC_PER_SEC;
}

static struct ipc_object *make_queue(void *arg)
{
	(void)arg;
	struct msg_queue *q = kzalloc(sizeof *q);
	if (!q)
		return err_ptr(-ENOMEM);
	list_init(&q->messages);
	waitq_init(&q->read_wait);
	waitq_init(&q->write_wait);
	q->limit = (size_t)atomic_load(&sysctl_msgmnb);
	q->change_time = now_seconds();
	q->ipc.free = queue_free;
	return &q->ipc;
}

static int queue_fits(struct ipc_object *o, void *arg)
{
	(void)o;
	(void)arg;
	return 0;
}

SYSCALL(msgget, int key, int flags)
{
	return ipc_get(&table, key, flags, make_queue, queue_fits, NULL);
}

static long enqueue(struct msg_queue *q, struct queued *m, int flags)
{
	long r = 0;
	mutex_lock(&q->lock);
	for (;;) {
		if (q->ipc.removed) {
			r = -EIDRM;
			break;
		}
		if (q->bytes + m->len <= q->limit && q->count < q->limit) {
			list_append(&q->messages, &m->link);
			q->bytes += m->len;
			q->count++;
			q->last_sender = current_program()->pid;
			q->send_time = now_seconds();
			waitq_wake_all(&q->read_wait);
			break;
		}
		r = flags & IPC_NOWAIT
			? -EAGAIN
			: waitq_wait(&q->write_wait, &q->lock, NO_DEADLINE, WAIT_INTERRUPTIBLE);
		if (r)
			break;
	}
	mutex_unlock(&q->lock);
	return r;
}

SYSCALL(msgsnd, int id, const char __user *umsg, size_t n, int flags)
{
	long type;
	if (n > (size_t)atomic_load(&sysctl_msgmax) || id < 0)
		return -EINVAL;
	if (copy_from_user(&type, umsg, sizeof type))
		return -EFAULT;
	if (type < 1)
		return -EINVAL;
	struct queued *m = kmalloc(sizeof *m + n);
	if (!m)
		return -ENOMEM;
	*m = (struct queued){.type = type, .len = n};
	long r = copy_from_user(m->text, umsg + sizeof type, n);
	struct ipc_object *o = r ? NULL : ipc_find(&table, id);
	if (o && is_err(o))
		r = ptr_err(o);
	if (!r) {
		r = ipc_may(o, 2);
		if (!r)
			r = enqueue(queue_of(o), m, flags);
		ipc_put(o);
	}
	if (r)
		kfree(m);
	return r;
}

/* The message a receiver of `type` gets: 0 the first, > 0 of that type (or, with MSG_EXCEPT, any
 * other), < 0 the lowest type not above -type. */
static struct queued *select_message(struct msg_queue *q, long type, int flags)
{
	struct queued *m, *best = NULL;
	list_for_each_entry (m, &q->messages, link) {
		if (type < 0) {
			if (m->type <= -type && (!best || m->type < best->type))
				best = m;
		} else if (!type || (flags & MSG_EXCEPT ? m->type != type : m->type == type)) {
			return m;
		}
	}
	return best;
}

static long dequeue(struct msg_queue *q, struct queued **out, size_t room, long type, int flags)
{
	long r = 0;
	mutex_lock(&q->lock);
	for (;;) {
		if (q->ipc.removed) {
			r = -EIDRM;
			break;
		}
		struct queued *m = select_message(q, type, flags);
		if (m && m->len > room && !(flags & MSG_NOERROR)) {
			r = -E2BIG;
			break;
		}
		if (m) {
			list_remove(&m->link);
			q->bytes -= m->len;
			q->count--;
			q->last_receiver = current_program()->pid;
			q->receive_time = now_seconds();
			waitq_wake_all(&q->write_wait);
			*out = m;
			break;
		}
		r = flags & IPC_NOWAIT
			? -ENOMSG
			: waitq_wait(&q->read_wait, &q->lock, NO_DEADLINE, WAIT_INTERRUPTIBLE);
		if (r)
			break;
	}
	mutex_unlock(&q->lock);
	return r;
}

SYSCALL(msgrcv, int id, char __user *umsg, size_t n, long type, int flags)
{
	struct queued *m = NULL;
	if (id < 0 || (long)n < 0)
		return -EINVAL;
	if (flags & MSG_COPY)
		return -ENOSYS; /* only with checkpoint support, as on Linux without it */
	struct ipc_object *o = ipc_find(&table, id);
	if (is_err(o))
		return ptr_err(o);
	long r = ipc_may(o, 4);
	if (!r)
		r = dequeue(queue_of(o), &m, n, type, flags);
	ipc_put(o);
	if (r)
		return r;
	r = (long)MIN(n, m->len);
	if (copy_to_user(umsg, &m->type, sizeof m->type) ||
	    copy_to_user(umsg + sizeof m->type, m->text, r))
		r = -EFAULT;
	kfree(m);
	return r;
}

static long stat_queue(struct msg_queue *q, void __user *out, long r, bool check)
{
	struct msqid64_ds d;
	int err = check ? ipc_may(&q->ipc, 4) : 0;
	if (err)
		return err;
	memset(&d, 0, sizeof d);
	mutex_lock(&q->lock);
	ipc_fill_perm(&q->ipc, &d.msg_perm);
	d.msg_stime = q->send_time;
	d.msg_rtime = q->receive_time;
	d.msg_ctime = q->change_time;
	d.msg_cbytes = q->bytes;
	d.msg_qnum = q->count;
	d.msg_qbytes = q->limit;
	d.msg_lspid = q->last_sender;
	d.msg_lrpid = q->last_receiver;
	mutex_unlock(&q->lock);
	return copy_to_user(out, &d, sizeof d) ? -EFAULT : r;
}

static long change_queue(struct msg_queue *q, const void __user *in)
{
	struct msqid64_ds d;
	int err = ipc_may_control(&q->ipc);
	if (err)
		return err;
	if (copy_from_user(&d, in, sizeof d))
		return -EFAULT;
	mutex_lock(&q->lock);
	ipc_set_perm(&q->ipc, &d.msg_perm);
	q->limit = d.msg_qbytes;
	q->change_time = now_seconds();
	waitq_wake_all(&q->write_wait);
	mutex_unlock(&q->lock);
	return 0;
}

static long remove_queue(struct msg_queue *q)
{
	int err = ipc_may_control(&q->ipc);
	if (err)
		return err;
	ipc_remove(&table, &q->ipc);
	mutex_lock(&q->lock);
	waitq_wake_all(&q->read_wait);
	waitq_wake_all(&q->write_wait);
	mutex_unlock(&q->lock);
	return 0;
}

static long info(void __user *out)
{
	struct msginfo i = {.msgmax = (int)atomic_load(&sysctl_msgmax),
	    .msgmnb = (int)atomic_load(&sysctl_msgmnb),
	    .msgmni = IPC_SLOTS,
	    .msgpool = (int)table.used};
	int highest = 0;
	for (int k = 0; k < IPC_SLOTS; k++)
		if (table.slot[k])
			highest = k;
	return copy_to_user(out, &i, sizeof i) ? -EFAULT : highest;
}

SYSCALL(msgctl, int id, int cmd, void __user *arg)
{
	if (cmd == IPC_INFO || cmd == MSG_INFO)
		return info(arg);
	bool by_slot = cmd == MSG_STAT || cmd == MSG_STAT_ANY;
	struct ipc_object *o = by_slot ? ipc_at(&table, (unsigned)id) : ipc_find(&table, id);
	if (!o || is_err(o))
		return o ? ptr_err(o) : -EINVAL;
	struct msg_queue *q = queue_of(o);
	long r = -EINVAL;
	if (cmd == IPC_STAT || by_slot)
		r = stat_queue(q, arg, by_slot ? o->id : 0, cmd != MSG_STAT_ANY);
	else if (cmd == IPC_SET)
		r = change_queue(q, arg);
	else if (cmd == IPC_RMID)
		r = remove_queue(q);
	ipc_put(o);
	return r;
}

int msg_show(struct seqbuf *out)
{
	seq_puts(out, "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  "
		      "cuid  cgid      stime "
		      "     rtime      ctime\n");
	for (unsigned i = 0; i < IPC_SLOTS; i++) {
		struct ipc_object *o = ipc_at(&table, i);
		if (!o)
			continue;
		struct msg_queue *q = queue_of(o);
		seq_printf(out,
		    "%10d %10d  %4o  %10lu %10u %5d %5d %5u %5u %5u %5u %10ld %10ld %10ld\n",
		    o->key, o->id, o->mode, q->bytes, q->count, q->last_sender, q->last_receiver,
		    o->uid, o->gid, o->cuid, o->cgid, (long)q->send_time, (long)q->receive_time,
		    (long)q->change_time);
		ipc_put(o);
	}
	return 0;
}
