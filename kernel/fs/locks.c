/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Advisory file locks. Byte ranges belong to a program (POSIX) or to an open file (OFD); flock()
 * locks cover the whole file and belong to an open file. Ranges and flock locks do not see each
 * other. One mutex for all: locks are rare and short, and a program that waits in a circle can be
 * found out.
 */
#include "fs/internal.h"

enum kind { RANGE, WHOLE };

struct lock {
	struct list link;
	enum kind kind;
	bool write, ofd;
	const void *owner; /* struct program or struct file */
	int pid;
	uint64_t start, end; /* inclusive */
};

struct file_lock_list {
	struct list locks;
	struct waitq wait;
};

/* A program that waits for a lock, and whom for. */
struct waiting {
	struct list link;
	const void *owner, *blocker;
};

static struct mutex locks_mutex;
static struct list all_waiting = LIST_INIT(all_waiting);

static struct file_lock_list *lock_list(struct inode *i)
{
	if (!i->locks) {
		struct file_lock_list *l = kmalloc(sizeof(*l));
		if (!l)
			return NULL;
		list_init(&l->locks);
		waitq_init(&l->wait);
		i->locks = l;
	}
	return i->locks;
}

static struct lock *conflict(struct file_lock_list *l, const struct lock *want)
{
	struct lock *o;
	list_for_each_entry (o, &l->locks, link)
		if (o->kind == want->kind && o->owner != want->owner && o->start <= want->end &&
		    o->end >= want->start && (o->write || want->write))
			return o;
	return NULL;
}

/* Would waiting for blocker close a circle back to owner? */
static bool deadlock(const void *owner, const void *blocker)
{
	for (int steps = 0; steps < 64; steps++) {
		struct waiting *w;
		const void *next = NULL;
		if (blocker == owner)
			return true;
		list_for_each_entry (w, &all_waiting, link)
			if (w->owner == blocker)
				next = w->blocker;
		if (!next)
			return false;
		blocker = next;
	}
	return false;
}

/* Takes [start, end] away from the owner's locks. spare is used if one must be split in two; the
 * rest is the caller's. */
static void cut(struct file_lock_list *l, enum kind kind, const void *owner, uint64_t start,
    uint64_t end, struct lock **spare)
{
	struct lock *o, *n;
	list_for_each_entry_safe (o, n, &l->locks, link) {
		if (o->kind != kind || o->owner != owner || o->start > end || o->end < start)
			continue;
		if (o->start < start && o->end > end) {
			struct lock *right = *spare;
			*spare = NULL;
			*right = *o;
			right->start = end + 1;
			o->end = start - 1;
			list_push(&o->link, &right->link);
		} else if (o->start < start)
			o->end = start - 1;
		else if (o->end > end)
			o->start = end + 1;
		else {
			list_remove(&o->link);
			kfree(o);
		}
	}
}

/* Joins a new lock with its owner's neighbours of the same type. */
static void join(struct file_lock_list *l, struct lock *k)
{
	struct lock *o, *n;
	list_for_each_entry_safe (o, n, &l->locks, link) {
		if (o == k || o->kind != k->kind || o->owner != k->owner || o->write != k->write)
			continue;
		if (o->end + 1 == k->start && o->end != UINT64_MAX)
			k->start = o->start;
		else if (k->end + 1 == o->start && k->end != UINT64_MAX)
			k->end = o->end;
		else
			continue;
		list_remove(&o->link);
		kfree(o);
	}
}

static int wait_for(struct file_lock_list *l, const struct lock *want)
{
	struct lock *c;
	while ((c = conflict(l, want))) {
		struct waiting w = {.owner = want->owner, .blocker = c->owner};
		if (want->kind == RANGE && !want->ofd && deadlock(want->owner, c->owner))
			return -EDEADLK;
		list_append(&all_waiting, &w.link);
		int err = waitq_wait(&l->wait, &locks_mutex, NO_DEADLINE, WAIT_INTERRUPTIBLE);
		list_remove(&w.link);
		if (err)
			return -ERESTARTSYS;
	}
	return 0;
}

/* type F_RDLCK, F_WRLCK or F_UNLCK. */
static int set_lock(struct inode *i, const struct lock *want, int type, bool wait)
{
	struct lock *new = kmalloc(sizeof(*new)), *spare = kmalloc(sizeof(*spare));
	int err = new &&spare ? 0 : -ENOLCK;
	mutex_lock(&locks_mutex);
	struct file_lock_list *l = err ? NULL : lock_list(i);
	if (!l)
		err = -ENOLCK;
	if (!err && type != F_UNLCK) {
		if (wait) {
			if (want->kind == WHOLE) /* a change of type is not atomic */
				cut(l, WHOLE, want->owner, 0, UINT64_MAX, &spare);
			err = wait_for(l, want);
		} else if (conflict(l, want))
			err = -EAGAIN;
	}
	if (!err) {
		cut(l, want->kind, want->owner, want->start, want->end, &spare);
		if (type != F_UNLCK) {
			*new = *want;
			list_append(&l->locks, &new->link);
			join(l, new);
			new = NULL;
		}
		waitq_wake_all(&l->wait);
	}
	mutex_unlock(&locks_mutex);
	kfree(new);
	kfree(spare);
	return err;
}

/* The range a struct flock means. */
static int range_of(struct file *f, const struct flock *fl, uint64_t *start, uint64_t *end)
{
	int64_t base = 0, from, to;
	switch (fl->l_whence) {
	case 0:
		break;
	case 1:
		base = f->pos;
		break;
	case 2:
		base = (int64_t)f->inode->size;
		break;
	default:
		return -EINVAL;
	}
	if (__builtin_add_overflow(base, fl->l_start, &from))
		return -EOVERFLOW;
	if (fl->l_len > 0) {
		if (__builtin_add_overflow(from, fl->l_len - 1, &to))
			return -EOVERFLOW;
	} else if (fl->l_len < 0) {
		to = from - 1;
		from += fl->l_len;
	} else
		to = INT64_MAX;
	if (from < 0)
		return -EINVAL;
	*start = (uint64_t)from;
	*end = (uint64_t)to;
	return 0;
}

static int get_lock(struct inode *i, struct lock *want, struct flock *fl)
{
	mutex_lock(&locks_mutex);
	struct lock *c = i->locks ? conflict(i->locks, want) : NULL;
	if (!c)
		fl->l_type = F_UNLCK;
	else {
		fl->l_type = c->write ? F_WRLCK : F_RDLCK;
		fl->l_whence = 0;
		fl->l_start = (int64_t)c->start;
		fl->l_len = c->end >= INT64_MAX ? 0 : (int64_t)(c->end - c->start + 1);
		fl->l_pid = c->ofd ? -1 : c->pid;
	}
	mutex_unlock(&locks_mutex);
	return 0;
}

long fcntl_lock(struct file *f, unsigned cmd, void __user *arg)
{
	struct flock fl;
	if (copy_from_user(&fl, arg, sizeof fl))
		return -EFAULT;
	bool ofd = cmd == F_OFD_GETLK || cmd == F_OFD_SETLK || cmd == F_OFD_SETLKW;
	if (fl.l_type != F_RDLCK && fl.l_type != F_WRLCK && fl.l_type != F_UNLCK)
		return -EINVAL;
	if (ofd && fl.l_pid)
		return -EINVAL;
	struct lock want = {
	    .kind = RANGE,
	    .write = fl.l_type == F_WRLCK,
	    .ofd = ofd,
	    .owner = ofd ? (void *)f : (void *)current_program(),
	    .pid = current_program()->pid,
	};
	int err = range_of(f, &fl, &want.start, &want.end);
	if (err)
		return err;
	if (cmd == F_GETLK || cmd == F_OFD_GETLK) {
		if (fl.l_type == F_UNLCK)
			return -EINVAL;
		get_lock(f->inode, &want, &fl);
		return copy_to_user(arg, &fl, sizeof fl);
	}
	if ((fl.l_type == F_RDLCK && !(f->mode & FMODE_READ)) ||
	    (fl.l_type == F_WRLCK && !(f->mode & FMODE_WRITE)))
		return -EBADF;
	return set_lock(f->inode, &want, fl.l_type, cmd == F_SETLKW || cmd == F_OFD_SETLKW);
}

static void drop_all(struct inode *i, const void *owner, enum kind kind)
{
	mutex_lock(&locks_mutex);
	struct file_lock_list *l = i->locks;
	struct lock *none = NULL;
	cut(l, kind, owner, 0, UINT64_MAX, &none);
	waitq_wake_all(&l->wait);
	mutex_unlock(&locks_mutex);
}

void locks_file_closed(struct file *f)
{
	drop_all(f->inode, f, RANGE);
	drop_all(f->inode, f, WHOLE);
}

void locks_fd_closed(struct file *f)
{
	drop_all(f->inode, current_program(), RANGE);
}

void locks_inode_free(struct inode *i)
{
	/* No file is open any more, so no lock is left. */
	kfree(i->locks);
	i->locks = NULL;
}

SYSCALL(flock, int fd, unsigned op)
{
	enum { SHARED = 1, EXCLUSIVE = 2, NO_WAIT = 4, UNLOCK = 8 };
	unsigned what = op & ~(unsigned)NO_WAIT;
	if (what != SHARED && what != EXCLUSIVE && what != UNLOCK)
		return -EINVAL;
	struct file *f = fd_get(fd);
	if (is_err(f))
		return ptr_err(f);
	struct lock want = {
	    .kind = WHOLE,
	    .write = what == EXCLUSIVE,
	    .ofd = true,
	    .owner = f,
	    .pid = current_program()->pid,
	    .end = UINT64_MAX,
	};
	int type = what == UNLOCK ? F_UNLCK : want.write ? F_WRLCK : F_RDLCK;
	int err = set_lock(f->inode, &want, type, !(op & NO_WAIT));
	file_put(f);
	return err;
}
