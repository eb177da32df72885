/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * epoll. A set holds items (file, descriptor number); each item hangs on its file's poll head and,
 * when told of an event, goes to the ready list. epoll_wait() takes items from the ready list and
 * asks each file again what is really ready, so a list entry is only a hint.
 *
 * Locks, outermost first: set->mutex (the tree, harvesting; a nested set's below its parent's),
 * then file->epoll_lock, then the poll head's lock, then set->ready_lock. A file's last file_put()
 * removes its items (epoll_file_gone) before the object is released: it takes an item off
 * file->epoll_links, and only with the file's lock dropped the set's mutex; an item that is in a
 * tree while that mutex is held therefore always has a live file.
 */
#include <linux/eventpoll.h>
#include <linux/time_types.h>
#include <asm/fcntl.h>
#include "core/trace.h"
#include "fs/special.h"
#include "lib/rbtree.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "proc/signal.h"
#include "sys/syscall.h"

#define MAX_NESTING 5
#define PRIVATE_BITS (EPOLLWAKEUP | EPOLLONESHOT | EPOLLET | EPOLLEXCLUSIVE)
#define EXCLUSIVE_OK \
	(EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE)

struct epoll {
	atomic_int refs; /* the file, and each epoll_file_gone() at work */
	struct mutex mutex;
	struct rb_tree items;
	struct mutex ready_lock;
	struct list ready;
	struct waitq wait;
	struct poll_head head; /* of the set itself, when it is polled */
};

struct epoll_item {
	struct rb_node node;
	struct poll_entry entry;
	struct epoll *set;
	struct file *file;
	int fd;
	struct epoll_event event;
	struct list ready_link; /* under ready_lock */
	bool queued;
	struct list file_link; /* under file->epoll_lock */
};

static const struct file_ops epoll_ops;

/* Serialises the search for cycles when sets are put into sets. */
static struct mutex nesting_mutex = MUTEX_INIT;

static void set_put(struct epoll *set)
{
	if (atomic_fetch_sub(&set->refs, 1) == 1)
		kfree(set);
}

static bool queue_item(struct epoll_item *item)
{
	struct epoll *set = item->set;
	mutex_lock(&set->ready_lock);
	bool fresh = !item->queued;
	TRACE(epoll_ready, "set=%p fd=%d", set, item->fd);
	if (fresh) {
		item->queued = true;
		list_append(&set->ready, &item->ready_link);
	}
	bool woken = waitq_wake(&set->wait, 1) != 0;
	mutex_unlock(&set->ready_lock);
	if (fresh)
		poll_notify(&set->head, EPOLLIN | EPOLLRDNORM);
	return woken;
}

static bool item_notify(struct poll_entry *e, unsigned events)
{
	struct epoll_item *item = container_of(e, struct epoll_item, entry);
	unsigned want = item->event.events;
	if (!(want & ~PRIVATE_BITS) || (events && !(want & events)))
		return false;
	return queue_item(item) || !e->exclusive;
}

static unsigned item_poll(struct epoll_item *item)
{
	return file_poll(item->file) & item->event.events & ~PRIVATE_BITS;
}

static int key_compare(const struct epoll_item *item, const struct file *f, int fd)
{
	if (item->file != f)
		return f < item->file ? -1 : 1;
	return fd - item->fd;
}

static struct epoll_item *find_item(struct epoll *set, const struct file *f, int fd)
{
	for (struct rb_node *n = set->items.root; n;) {
		struct epoll_item *item = rb_entry(n, struct epoll_item, node);
		int c = key_compare(item, f, fd);
		if (!c)
			return item;
		n = c < 0 ? n->left : n->right;
	}
	return NULL;
}

static void insert_item(struct epoll *set, struct epoll_item *item)
{
	struct rb_node **p = &set->items.root, *parent = NULL;
	while (*p) {
		parent = *p;
		struct epoll_item *at = rb_entry(parent, struct epoll_item, node);
		p = key_compare(at, item->file, item->fd) < 0 ? &parent->left : &parent->right;
	}
	rb_insert(&set->items, &item->node, parent, p);
}

/* Undoes everything but the file link. set->mutex held. */
static void drop_item(struct epoll_item *item)
{
	struct epoll *set = item->set;
	poll_detach(&item->entry);
	rb_remove(&set->items, &item->node);
	mutex_lock(&set->ready_lock);
	if (item->queued)
		list_remove(&item->ready_link);
	mutex_unlock(&set->ready_lock);
	kfree(item);
}

static void unlink_from_file(struct epoll_item *item)
{
	mutex_lock(&item->file->epoll_lock);
	list_remove(&item->file_link);
	mutex_unlock(&item->file->epoll_lock);
}

void epoll_file_gone(struct file *f)
{
	for (;;) {
		mutex_lock(&f->epoll_lock);
		if (list_empty(&f->epoll_links)) {
			mutex_unlock(&f->epoll_lock);
			return;
		}
		struct epoll_item *first =
		    list_first(&f->epoll_links, struct epoll_item, file_link);
		struct epoll *set = first->set;
		int fd = first->fd;
		atomic_fetch_add(&set->refs, 1);
		mutex_unlock(&f->epoll_lock);
		/* The set may have dropped the item meanwhile, so it is looked up again. */
		mutex_lock(&set->mutex);
		struct epoll_item *item = find_item(set, f, fd);
		if (item) {
			unlink_from_file(item);
			drop_item(item);
		}
		mutex_unlock(&set->mutex);
		set_put(set);
	}
}

static void epoll_release(struct file *f)
{
	struct epoll *set = f->private;
	mutex_lock(&set->mutex);
	struct rb_node *n;
	while ((n = rb_first(&set->items))) {
		struct epoll_item *item = rb_entry(n, struct epoll_item, node);
		unlink_from_file(item);
		drop_item(item);
	}
	mutex_unlock(&set->mutex);
	poll_head_destroy(&set->head);
	set_put(set);
}

/* Takes the whole ready list away, so that one pass looks at each item once. */
static void take_ready(struct epoll *set, struct list *out)
{
	list_init(out);
	mutex_lock(&set->ready_lock);
	list_splice(out, &set->ready);
	mutex_unlock(&set->ready_lock);
}

/* Puts what is left of a taken list back in front. */
static void return_ready(struct epoll *set, struct list *rest)
{
	mutex_lock(&set->ready_lock);
	list_splice(rest, &set->ready);
	list_splice(&set->ready, rest);
	if (!list_empty(&set->ready))
		waitq_wake(&set->wait, 1);
	mutex_unlock(&set->ready_lock);
}

static void unqueue(struct epoll *set, struct epoll_item *item)
{
	mutex_lock(&set->ready_lock);
	list_remove(&item->ready_link);
	item->queued = false;
	mutex_unlock(&set->ready_lock);
}

static void requeue(struct epoll *set, struct epoll_item *item)
{
	mutex_lock(&set->ready_lock);
	if (!item->queued) {
		item->queued = true;
		list_append(&set->ready, &item->ready_link);
	}
	mutex_unlock(&set->ready_lock);
}

static unsigned epoll_poll(struct file *f)
{
	struct epoll *set = f->private;
	unsigned r = 0;
	mutex_lock(&set->mutex);
	struct list taken;
	take_ready(set, &taken);
	struct epoll_item *item, *next;
	list_for_each_entry_safe (item, next, &taken, ready_link) {
		if (item_poll(item)) {
			r = EPOLLIN | EPOLLRDNORM;
			break;
		}
		unqueue(set, item);
	}
	return_ready(set, &taken);
	mutex_unlock(&set->mutex);
	return r;
}

static struct poll_head *epoll_poll_head(struct file *f)
{
	return &((struct epoll *)f->private)->head;
}

static const struct file_ops epoll_ops = {
    .poll = epoll_poll,
    .poll_head = epoll_poll_head,
    .release = epoll_release,
};

/* Depth of the sets below f, or more than MAX_NESTING if target is among them. nesting_mutex held.
 */
static int nesting_depth(struct file *f, const struct file *target, int level)
{
	if (f == target)
		return MAX_NESTING + 1;
	if (f->ops != &epoll_ops)
		return 0;
	if (level > MAX_NESTING)
		return MAX_NESTING + 1;
	struct epoll *set = f->private;
	int deepest = 0;
	mutex_lock(&set->mutex);
	for (struct rb_node *n = rb_first(&set->items); n; n = rb_next(n)) {
		struct file *inner = rb_entry(n, struct epoll_item, node)->file;
		deepest = MAX(deepest, nesting_depth(inner, target, level + 1));
	}
	mutex_unlock(&set->mutex);
	return deepest + 1;
}

static int add_item(struct epoll *set, struct file *f, int fd, const struct epoll_event *ev)
{
	struct epoll_item *item = kzalloc(sizeof *item);
	if (!item)
		return -ENOMEM;
	*item = (struct epoll_item){.set = set, .file = f, .fd = fd, .event = *ev};
	item->event.events |= EPOLLERR | EPOLLHUP;
	item->entry.fn = item_notify;
	item->entry.exclusive = ev->events & EPOLLEXCLUSIVE;
	list_init(&item->ready_link);
	insert_item(set, item);
	mutex_lock(&f->epoll_lock);
	list_append(&f->epoll_links, &item->file_link);
	mutex_unlock(&f->epoll_lock);
	if (f->ops->poll_head)
		poll_attach(f->ops->poll_head(f), &item->entry);
	if (item_poll(item))
		queue_item(item);
	return 0;
}

static int modify_item(struct epoll_item *item, const struct epoll_event *ev)
{
	if ((item->event.events | ev->events) & EPOLLEXCLUSIVE)
		return -EINVAL;
	item->event = *ev;
	item->event.events |= EPOLLERR | EPOLLHUP;
	atomic_thread_fence(memory_order_seq_cst);
	if (item_poll(item))
		queue_item(item);
	return 0;
}

static int control(struct epoll *set, int op, struct file *f, int fd, const struct epoll_event *ev)
{
	mutex_lock(&set->mutex);
	struct epoll_item *item = find_item(set, f, fd);
	int r = 0;
	switch (op) {
	case EPOLL_CTL_ADD:
		r = item ? -EEXIST : add_item(set, f, fd, ev);
		break;
	case EPOLL_CTL_MOD:
		r = item ? modify_item(item, ev) : -ENOENT;
		break;
	case EPOLL_CTL_DEL:
		if (item) {
			unlink_from_file(item);
			drop_item(item);
		} else {
			r = -ENOENT;
		}
		break;
	default:
		r = -EINVAL;
	}
	mutex_unlock(&set->mutex);
	return r;
}

static int control_files(
    struct file *ef, int op, struct file *f, int fd, const struct epoll_event *ev)
{
	if (!f->ops->poll)
		return -EPERM;
	if (ef == f || ef->ops != &epoll_ops)
		return -EINVAL;
	if (op != EPOLL_CTL_DEL && ev->events & EPOLLEXCLUSIVE &&
	    (f->ops == &epoll_ops || ev->events & ~EXCLUSIVE_OK))
		return -EINVAL;
	if (op != EPOLL_CTL_ADD || f->ops != &epoll_ops)
		return control(ef->private, op, f, fd, ev);
	mutex_lock(&nesting_mutex);
	int r =
	    nesting_depth(f, ef, 1) > MAX_NESTING ? -ELOOP : control(ef->private, op, f, fd, ev);
	mutex_unlock(&nesting_mutex);
	return r;
}

SYSCALL(epoll_ctl, int epfd, int op, int fd, const struct epoll_event __user *uev)
{
	struct epoll_event ev = {0};
	if (op != EPOLL_CTL_DEL && copy_from_user(&ev, uev, sizeof ev))
		return -EFAULT;
	struct file *ef = fd_get(epfd);
	if (is_err(ef))
		return ptr_err(ef);
	struct file *f = fd_get(fd);
	long r = ptr_err(f);
	if (!is_err(f)) {
		r = control_files(ef, op, f, fd, &ev);
		file_put(f);
	}
	file_put(ef);
	return r;
}

/* Reports up to max events; how many, or -EFAULT if none could be written. */
static long harvest(struct epoll *set, struct epoll_event __user *out, int max)
{
	long n = 0;
	mutex_lock(&set->mutex);
	struct list taken;
	take_ready(set, &taken);
	while (n < max && !list_empty(&taken)) {
		struct epoll_item *item = list_first(&taken, struct epoll_item, ready_link);
		/* Off the list first: an event during the poll below queues it again. */
		unqueue(set, item);
		struct epoll_event ev = {.events = item_poll(item), .data = item->event.data};
		if (!ev.events)
			continue;
		if (copy_to_user(&out[n], &ev, sizeof ev)) {
			requeue(set, item);
			n = n ? n : -EFAULT;
			break;
		}
		n++;
		if (item->event.events & EPOLLONESHOT)
			item->event.events &= PRIVATE_BITS;
		else if (!(item->event.events & EPOLLET))
			requeue(set, item);
	}
	return_ready(set, &taken);
	mutex_unlock(&set->mutex);
	return n;
}

static long wait_events(
    struct epoll *set, struct epoll_event __user *out, int max, int64_t deadline)
{
	for (;;) {
		long n = harvest(set, out, max);
		if (n || !deadline)
			return n;
		int err = 0;
		mutex_lock(&set->ready_lock);
		while (list_empty(&set->ready) && !err)
			err =
			    waitq_wait(&set->wait, &set->ready_lock, deadline, WAIT_INTERRUPTIBLE);
		mutex_unlock(&set->ready_lock);
		if (err == -ETIMEDOUT)
			deadline = 0;
		else if (err)
			return harvest(set, out, max) ?: err;
	}
}

static long epoll_wait_fd(int epfd, struct epoll_event __user *out, int max, int64_t deadline)
{
	if (max <= 0 || max > INT32_MAX / (int)sizeof *out)
		return -EINVAL;
	if (!user_range_ok(out, max * sizeof *out))
		return -EFAULT;
	struct file *ef = fd_get(epfd);
	if (is_err(ef))
		return ptr_err(ef);
	long r = ef->ops == &epoll_ops ? wait_events(ef->private, out, max, deadline) : -EINVAL;
	file_put(ef);
	return r;
}

static int64_t deadline_ms(int ms)
{
	if (ms < 0)
		return NO_DEADLINE;
	return ms ? time_now() + ms * NSEC_PER_MSEC : 0;
}

SYSCALL(epoll_wait, int epfd, struct epoll_event __user *out, int max, int timeout_ms)
{
	return epoll_wait_fd(epfd, out, max, deadline_ms(timeout_ms));
}

SYSCALL(epoll_pwait, int epfd, struct epoll_event __user *out, int max, int timeout_ms,
    const void __user *mask, size_t mask_size)
{
	int64_t deadline = deadline_ms(timeout_ms);
	int err = mask ? signal_set_temporary_mask(mask, mask_size) : 0;
	return err ? err : epoll_wait_fd(epfd, out, max, deadline);
}

SYSCALL(epoll_pwait2, int epfd, struct epoll_event __user *out, int max,
    const struct __kernel_timespec __user *uts, const void __user *mask, size_t mask_size)
{
	int64_t deadline = NO_DEADLINE;
	struct __kernel_timespec ts;
	if (uts) {
		if (copy_from_user(&ts, uts, sizeof ts))
			return -EFAULT;
		if (ts.tv_sec < 0 || ts.tv_nsec < 0 || ts.tv_nsec >= NSEC_PER_SEC)
			return -EINVAL;
		int64_t now = time_now(), sec = MIN(ts.tv_sec, (long long)4000000000);
		deadline = sec || ts.tv_nsec ? now + sec * NSEC_PER_SEC + ts.tv_nsec : 0;
	}
	int err = mask ? signal_set_temporary_mask(mask, mask_size) : 0;
	return err ? err : epoll_wait_fd(epfd, out, max, deadline);
}

static long create(int flags)
{
	if (flags & ~EPOLL_CLOEXEC)
		return -EINVAL;
	struct epoll *set = kzalloc(sizeof *set);
	if (!set)
		return -ENOMEM;
	atomic_init(&set->refs, 1);
	list_init(&set->ready);
	waitq_init(&set->wait);
	poll_head_init(&set->head);
	struct file *f = file_anonymous("[eventpoll]", &epoll_ops, set, O_RDWR, 0600);
	if (!f)
		kfree(set);
	return fd_install_new(f, flags & EPOLL_CLOEXEC);
}

SYSCALL(epoll_create1, int flags)
{
	return create(flags);
}

SYSCALL(epoll_create, int size)
{
	return size <= 0 ? -EINVAL : create(0);
}
