/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * inotify. A watch connects an inode with an instance (a descriptor). inode->watches is the list of
 * an inode's watches, made by the first; one mutex protects all those lists, as watches change
 * rarely and events without any watch in the system cost one load.
 */
#include <asm/fcntl.h>
#include <asm/ioctls.h>
#include <linux/eventpoll.h>
#include <linux/inotify.h>
#include <linux/stat.h>
#include "fs/proc/sysctl.h"
#include "fs/special.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "sys/syscall.h"

#define PATH_SIZE 4096
#define WATCHABLE IN_ALL_EVENTS
#define IMPLIED (IN_IGNORED | IN_Q_OVERFLOW | IN_UNMOUNT | IN_ISDIR)

struct watch_list {
	struct list watches;
};

struct event {
	struct list link;
	int wd;
	uint32_t mask, cookie;
	size_t len; /* of the name, without its zero */
	char name[];
};

struct inotify {
	struct mutex lock; /* queue */
	struct list events;
	unsigned nevents;
	bool overflowed;
	struct waitq wait;
	struct poll_head head;
	struct list watches; /* under watches_lock */
	int next_wd;
};

struct watch {
	struct list inode_link, owner_link;
	struct inotify *owner;
	struct inode *inode; /* referenced */
	int wd;
	uint32_t mask;
};

static struct mutex watches_lock = MUTEX_INIT;
static _Atomic int64_t watch_count;

/* ---- events ---- */

static bool same_as_last(struct inotify *n, int wd, uint32_t mask, const char *name, size_t len)
{
	if (list_empty(&n->events))
		return false;
	struct event *last = list_last(&n->events, struct event, link);
	return last->wd == wd && last->mask == mask && !last->cookie && last->len == len &&
	       !memcmp(last->name, name, len);
}

static void queue_event(struct inotify *n, int wd, uint32_t mask, uint32_t cookie, const char *name)
{
	size_t len = name ? strlen(name) : 0;
	mutex_lock(&n->lock);
	if (!cookie && same_as_last(n, wd, mask, name ? name : "", len)) {
		mutex_unlock(&n->lock);
		return;
	}
	bool full = n->nevents >= (uint64_t)atomic_load(&sysctl_inotify_max_events);
	if (full && n->overflowed) {
		mutex_unlock(&n->lock);
		return;
	}
	struct event *e = kmalloc(sizeof *e + len + 1);
	if (e) {
		*e = (struct event){.wd = wd, .mask = mask, .cookie = cookie, .len = len};
		if (len)
			memcpy(e->name, name, len);
		if (full) {
			*e = (struct event){.wd = -1, .mask = IN_Q_OVERFLOW};
			n->overflowed = true;
		}
		list_append(&n->events, &e->link);
		n->nevents++;
		waitq_wake_all(&n->wait);
	}
	mutex_unlock(&n->lock);
	poll_notify(&n->head, EPOLLIN | EPOLLRDNORM);
}

/* Takes w out of all lists, watches_lock held; the caller frees it and puts the inode later. */
static void unlink_watch(struct watch *w)
{
	list_remove(&w->inode_link);
	list_remove(&w->owner_link);
	if (list_empty(&w->inode->watches->watches)) {
		struct watch_list *l = w->inode->watches;
		w->inode->watches = NULL;
		kfree(l);
	}
	atomic_fetch_sub(&watch_count, 1);
}

static void drop_watch(struct watch *w)
{
	struct inode *i = w->inode;
	kfree(w);
	inode_put(i);
}

/* Tells the watches of one inode; those that end by it go to *ended. watches_lock held. */
static void tell(
    struct inode *i, uint32_t mask, uint32_t cookie, const char *name, struct list *ended)
{
	if (!i->watches)
		return;
	struct list *head = &i->watches->watches;
	for (struct list *l = head->next, *next; l != head; l = next) {
		struct watch *w = list_entry(l, struct watch, inode_link);
		next = l->next;
		bool wanted = w->mask & mask & IN_ALL_EVENTS;
		if (wanted)
			queue_event(w->owner, w->wd, mask, cookie, name);
		if (!(mask & IN_DELETE_SELF) && !(wanted && w->mask & IN_ONESHOT))
			continue;
		queue_event(w->owner, w->wd, IN_IGNORED, 0, NULL);
		bool last = head->next->next == head;
		unlink_watch(w);
		list_append(ended, &w->owner_link);
		if (last)
			return; /* the list itself is gone */
	}
}

void vfs_notify(struct inode *i, struct dentry *d, unsigned mask, unsigned cookie, const char *name)
{
	if (!atomic_load_explicit(&watch_count, memory_order_relaxed))
		return;
	struct list ended;
	list_init(&ended);
	mutex_lock(&watches_lock);
	/* What happens to an object, its directory hears of too, with the name. */
	if (d && !d->anonymous && d->parent && d->parent != d && d->parent->inode &&
	    !(mask & (IN_DELETE_SELF | IN_MOVE_SELF)))
		tell(d->parent->inode, mask, cookie, d->name, &ended);
	tell(i, mask, cookie, name, &ended);
	mutex_unlock(&watches_lock);
	struct watch *w, *next;
	list_for_each_entry_safe (w, next, &ended, owner_link) {
		list_remove(&w->owner_link);
		drop_watch(w);
	}
}

/* ---- the descriptor ---- */

static size_t padded(const struct event *e)
{
	return e->len ? ALIGN_UP(e->len + 1, sizeof(struct inotify_event)) : 0;
}

static bool put_event(struct iter *to, const struct event *e)
{
	struct inotify_event out = {
	    .wd = e->wd, .mask = e->mask, .cookie = e->cookie, .len = (uint32_t)padded(e)};
	return iter_to(to, &out, sizeof out) == sizeof out &&
	       iter_to(to, e->name, e->len) == e->len &&
	       iter_zero(to, out.len - e->len) == out.len - e->len;
}

static long inotify_read(struct file *f, struct iter *to, int64_t *pos)
{
	(void)pos;
	struct inotify *n = f->private;
	long done = 0;
	int err = 0;
	mutex_lock(&n->lock);
	while (list_empty(&n->events) && !err)
		err = f->flags & O_NONBLOCK
			  ? -EAGAIN
			  : waitq_wait(&n->wait, &n->lock, NO_DEADLINE, WAIT_INTERRUPTIBLE);
	while (!list_empty(&n->events)) {
		struct event *e = list_first(&n->events, struct event, link);
		size_t size = sizeof(struct inotify_event) + padded(e);
		if (size > to->count) {
			if (!done)
				done = -EINVAL;
			break;
		}
		if (!put_event(to, e)) {
			done = done ? done : -EFAULT;
			break;
		}
		done += size;
		list_remove(&e->link);
		n->nevents--;
		if (e->mask & IN_Q_OVERFLOW)
			n->overflowed = false;
		kfree(e);
	}
	mutex_unlock(&n->lock);
	return done ? done : err == -EINTR ? -ERESTARTSYS : err;
}

static unsigned inotify_poll(struct file *f)
{
	struct inotify *n = f->private;
	mutex_lock(&n->lock);
	unsigned r = list_empty(&n->events) ? 0 : EPOLLIN | EPOLLRDNORM;
	mutex_unlock(&n->lock);
	return r;
}

static struct poll_head *inotify_poll_head(struct file *f)
{
	return &((struct inotify *)f->private)->head;
}

static long inotify_ioctl(struct file *f, unsigned cmd, unsigned long arg)
{
	struct inotify *n = f->private;
	int bytes = 0;
	if (cmd != FIONREAD)
		return -ENOTTY;
	mutex_lock(&n->lock);
	struct event *e;
	list_for_each_entry (e, &n->events, link)
		bytes += (int)(sizeof(struct inotify_event) + padded(e));
	mutex_unlock(&n->lock);
	return put_user(bytes, (int __user *)arg);
}

static void inotify_release(struct file *f)
{
	struct inotify *n = f->private;
	for (;;) {
		struct watch *w = NULL;
		mutex_lock(&watches_lock);
		if (!list_empty(&n->watches)) {
			w = list_first(&n->watches, struct watch, owner_link);
			unlink_watch(w);
		}
		mutex_unlock(&watches_lock);
		if (!w)
			break;
		drop_watch(w);
	}
	struct event *e, *next;
	list_for_each_entry_safe (e, next, &n->events, link)
		kfree(e);
	poll_head_destroy(&n->head);
	kfree(n);
}

static const struct file_ops inotify_ops = {
    .read = inotify_read,
    .poll = inotify_poll,
    .poll_head = inotify_poll_head,
    .ioctl = inotify_ioctl,
    .release = inotify_release,
};

static long create(int flags)
{
	if (flags & ~(IN_CLOEXEC | IN_NONBLOCK))
		return -EINVAL;
	struct inotify *n = kzalloc(sizeof *n);
	if (!n)
		return -ENOMEM;
	list_init(&n->events);
	list_init(&n->watches);
	waitq_init(&n->wait);
	poll_head_init(&n->head);
	n->next_wd = 1;
	struct file *f =
	    file_anonymous("inotify", &inotify_ops, n, O_RDONLY | (flags & O_NONBLOCK), 0600);
	if (!f)
		kfree(n);
	return fd_install_new(f, flags & IN_CLOEXEC);
}

SYSCALL(inotify_init1, int flags)
{
	return create(flags);
}

SYSCALL(inotify_init, void)
{
	return create(0);
}

static struct file *inotify_file(int fd)
{
	struct file *f = fd_get(fd);
	if (is_err(f) || f->ops == &inotify_ops)
		return f;
	file_put(f);
	return err_ptr(-EINVAL);
}

static struct watch *find_watch(struct inotify *n, const struct inode *i)
{
	struct watch *w;
	list_for_each_entry (w, &n->watches, owner_link)
		if (w->inode == i)
			return w;
	return NULL;
}

/* watches_lock held; takes its own reference of the inode. */
static int new_watch(struct inotify *n, struct inode *i, uint32_t mask)
{
	if (atomic_load(&watch_count) >= atomic_load(&sysctl_inotify_max_watches))
		return -ENOSPC;
	struct watch *w = kzalloc(sizeof *w);
	if (!w)
		return -ENOMEM;
	if (!i->watches) {
		struct watch_list *l = kmalloc(sizeof *l);
		if (!l) {
			kfree(w);
			return -ENOMEM;
		}
		list_init(&l->watches);
		i->watches = l;
	}
	inode_get(i);
	w->owner = n;
	w->inode = i;
	w->mask = mask;
	w->wd = n->next_wd++;
	list_append(&i->watches->watches, &w->inode_link);
	list_append(&n->watches, &w->owner_link);
	atomic_fetch_add(&watch_count, 1);
	return w->wd;
}

static int add_watch(struct inotify *n, struct inode *i, uint32_t mask)
{
	uint32_t kept = mask & (WATCHABLE | IN_ONESHOT | IN_EXCL_UNLINK);
	mutex_lock(&watches_lock);
	struct watch *w = find_watch(n, i);
	int r;
	if (!w) {
		r = new_watch(n, i, kept);
	} else if (mask & IN_MASK_CREATE) {
		r = -EEXIST;
	} else {
		w->mask = mask & IN_MASK_ADD ? w->mask | kept : kept;
		r = w->wd;
	}
	mutex_unlock(&watches_lock);
	return r;
}

SYSCALL(inotify_add_watch, int fd, const char __user *upath, uint32_t mask)
{
	if (!(mask & (WATCHABLE | IN_ONESHOT)) || (mask & IN_MASK_ADD && mask & IN_MASK_CREATE))
		return -EINVAL;
	struct file *f = inotify_file(fd);
	if (is_err(f))
		return ptr_err(f);
	char *path = kmalloc(PATH_SIZE);
	long r = path ? strncpy_from_user(path, upath, PATH_SIZE) : -ENOMEM;
	if (r >= 0) {
		unsigned walk = (mask & IN_DONT_FOLLOW ? WALK_NOFOLLOW : 0) |
				(mask & IN_ONLYDIR ? WALK_DIRECTORY : 0);
		struct dentry *d = path_lookup(AT_FDCWD, path, walk);
		r = ptr_err(d);
		if (!is_err(d)) {
			r = vfs_may(d->inode, 4);
			if (!r)
				r = add_watch(f->private, d->inode, mask);
			dentry_put(d);
		}
	}
	kfree(path);
	file_put(f);
	return r;
}

SYSCALL(inotify_rm_watch, int fd, int wd)
{
	struct file *f = inotify_file(fd);
	if (is_err(f))
		return ptr_err(f);
	struct inotify *n = f->private;
	struct watch *w, *found = NULL;
	mutex_lock(&watches_lock);
	list_for_each_entry (w, &n->watches, owner_link)
		if (w->wd == wd)
			found = w;
	if (found)
		unlink_watch(found);
	mutex_unlock(&watches_lock);
	if (found) {
		drop_watch(found);
		queue_event(n, wd, IN_IGNORED, 0, NULL);
	}
	file_put(f);
	return found ? 0 : -EINVAL;
}
