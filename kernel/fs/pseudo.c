/* SPDX-License-Identifier: BSD-3-Clause */
/* File systems made of tables: see pseudo.h. */
#include "fs/pseudo.h"
#include <asm/errno.h>
#include <asm/fcntl.h>
#include <linux/stat.h>
#include "lib/string.h"
#include "mm/kmalloc.h"

#define STORE_MAX 4096
#define NAME_MAX_LABEL 64

struct pseudo_inode {
	const struct pseudo_entry *entry;
	struct pseudo_key key;
};

/* An open file holds the text of its last read from the start, so that all of one pass fits
 * together. */
struct pseudo_file {
	struct mutex lock;
	struct seqbuf text;
	bool filled;
};

static const struct inode_ops dir_ops, device_ops, file_inode_ops, link_ops, magic_link_ops;
static const struct file_ops dir_fops, text_fops;

const struct pseudo_key *pseudo_key_of(const struct inode *i)
{
	return &((struct pseudo_inode *)i->private)->key;
}

static uint32_t entry_mode(const struct pseudo_entry *e)
{
	if (e->mode)
		return e->mode;
	if (e->children)
		return S_IFDIR | 0555;
	if (e->link || e->follow)
		return S_IFLNK | 0777;
	if (e->text)
		return S_IFREG | 0444;
	if (e->value)
		return S_IFREG | (e->value->max > e->value->min ? 0644 : 0444);
	return S_IFREG | (e->show ? 0444 : 0) | (e->store ? 0200 : 0);
}

/* The same entry and numbers always have the same inode number. */
static uint64_t entry_ino(const struct pseudo_entry *e, const struct pseudo_key *k)
{
	uint64_t h = (uint64_t)(uintptr_t)e * 0x9e3779b97f4a7c15;
	for (int i = 0; i < PSEUDO_NUMBERS; i++)
		h = (h ^ (uint32_t)k->n[i]) * 0x9e3779b97f4a7c15;
	return (h >> 24) + 1;
}

static struct inode *make_inode(
    struct super *s, const struct pseudo_entry *e, const struct pseudo_key *k)
{
	struct pseudo_inode *p = kmalloc(sizeof *p);
	struct inode *i = p ? inode_new(s, entry_mode(e)) : NULL;
	if (!i || is_err(i)) {
		kfree(p);
		return err_ptr(-ENOMEM);
	}
	*p = (struct pseudo_inode){e, *k};
	i->private = p;
	i->ino = entry_ino(e, k);
	if (S_ISDIR(i->mode)) {
		i->ops = &dir_ops;
		i->fops = &dir_fops;
		atomic_store(&i->nlink, 2);
	} else if (S_ISLNK(i->mode)) {
		i->ops = e->follow ? &magic_link_ops : &link_ops;
	} else if (!S_ISREG(i->mode)) {
		i->ops = &device_ops; /* opened by its number */
	} else {
		i->ops = &file_inode_ops;
		i->fops = e->fops ? e->fops : &text_fops;
	}
	if (e->own)
		e->own(k, i);
	return i;
}

static void pseudo_evict(struct inode *i)
{
	kfree(i->private);
	i->private = NULL;
}

/* Sets the key of number n of family e; whether that number exists. */
static bool family_has(const struct pseudo_entry *e, struct pseudo_key *k, int n)
{
	if (e->next(k, n) != n)
		return false;
	k->n[e->slot] = n;
	return true;
}

static bool match_family(
    const struct pseudo_entry *e, struct pseudo_key *k, const char *name, size_t len)
{
	char label[NAME_MAX_LABEL];
	if (e->label) {
		for (int n = e->next(k, 0); n >= 0; n = e->next(k, n + 1)) {
			int l = e->label(k, n, label, sizeof label);
			if (l >= 0 && (size_t)l == len && !memcmp(label, name, len))
				return family_has(e, k, n);
		}
		return false;
	}
	size_t prefix = strlen(e->name);
	if (len <= prefix || len > prefix + 9 || memcmp(name, e->name, prefix))
		return false;
	int n = 0;
	for (size_t i = prefix; i < len; i++) {
		/* One spelling for each number: no leading zeros. */
		if (name[i] < '0' || name[i] > '9' ||
		    (name[i] == '0' && i == prefix && len > prefix + 1))
			return false;
		n = n * 10 + name[i] - '0';
	}
	return family_has(e, k, n);
}

static struct inode *pseudo_lookup(struct inode *dir, const char *name, size_t len)
{
	struct pseudo_inode *p = dir->private;
	for (const struct pseudo_entry *e = p->entry->children; e->name; e++) {
		struct pseudo_key k = p->key;
		bool hit = e->next ? match_family(e, &k, name, len)
				   : strlen(e->name) == len && !memcmp(e->name, name, len) &&
					 (!e->present || e->present(&k));
		if (hit)
			return make_inode(dir->super, e, &k);
	}
	return NULL;
}

static bool emit_entry(struct dir_context *c, const struct pseudo_entry *e,
    const struct pseudo_key *k, const char *name, int len, int64_t next)
{
	if (!c->emit(c, name, len, entry_ino(e, k), entry_mode(e) >> 12, next))
		return false;
	c->pos = next;
	return true;
}

static bool emit_family(struct dir_context *c, const struct pseudo_entry *e, struct pseudo_key k,
    int64_t base, int from)
{
	char name[NAME_MAX_LABEL];
	for (int n = e->next(&k, from); n >= 0; n = e->next(&k, n + 1)) {
		int len = e->label ? e->label(&k, n, name, sizeof name)
				   : snprintf(name, sizeof name, "%s%d", e->name, n);
		struct pseudo_key child = k;
		child.n[e->slot] = n;
		if (len >= 0 && !emit_entry(c, e, &child, name, len, base + n + 1))
			return false;
	}
	return true;
}

/* Positions: 0 ".", 1 "..", then (2 + index of the entry) << 32, plus for families the next number.
 */
static int pseudo_readdir(struct file *f, struct dir_context *c)
{
	struct inode *dir = f->inode;
	struct pseudo_inode *p = dir->private;
	if (c->pos == 0) {
		if (!c->emit(c, ".", 1, dir->ino, S_IFDIR >> 12, 1))
			return 0;
		c->pos = 1;
	}
	if (c->pos == 1) {
		struct inode *up = f->dentry ? f->dentry->parent->inode : dir;
		if (!c->emit(c, "..", 2, up->ino, S_IFDIR >> 12, 2ll << 32))
			return 0;
		c->pos = 2ll << 32;
	}
	for (int64_t index = 0; p->entry->children[index].name; index++) {
		const struct pseudo_entry *e = &p->entry->children[index];
		int64_t base = (index + 2) << 32;
		if (c->pos >= base + (1ll << 32))
			continue;
		if (e->next) {
			if (!emit_family(c, e, p->key, base, (int)(c->pos - base)))
				return 0;
		} else if (!e->present || e->present(&p->key)) {
			if (!emit_entry(
				c, e, &p->key, e->name, strlen(e->name), base + (1ll << 32)))
				return 0;
		}
		c->pos = base + (1ll << 32);
	}
	return 0;
}

static long pseudo_readlink(struct inode *i, char *buf, size_t n)
{
	struct pseudo_inode *p = i->private;
	struct seqbuf s;
	seqbuf_init(&s);
	long r = p->entry->link ? p->entry->link(&s, &p->key) : -EINVAL;
	if (r >= 0) {
		r = s.failed ? -ENOMEM : (long)MIN(n, s.len);
		if (r > 0)
			memcpy(buf, s.data, r);
	}
	seqbuf_free(&s);
	return r;
}

static int pseudo_follow(struct inode *i, struct dentry **out)
{
	struct pseudo_inode *p = i->private;
	return p->entry->follow(&p->key, out);
}

static int text_open(struct inode *i, struct file *f)
{
	struct pseudo_inode *p = i->private;
	if (p->entry->fops)
		return 0;
	const struct pseudo_value *v = p->entry->value;
	/* In /sys not even root may open what cannot be written; in /proc the write fails. */
	if (f->mode & FMODE_WRITE && !p->entry->store && !(v && v->max > v->min) &&
	    !strcmp(i->super->type->name, "sysfs"))
		return -EACCES;
	struct pseudo_file *t = kzalloc(sizeof *t);
	if (!t)
		return -ENOMEM;
	seqbuf_init(&t->text);
	f->private = t;
	return 0;
}

static void text_release(struct file *f)
{
	struct pseudo_file *t = f->private;
	if (!t)
		return;
	seqbuf_free(&t->text);
	kfree(t);
}

static int fill_text(struct pseudo_file *t, struct pseudo_inode *p)
{
	t->text.len = 0;
	t->text.failed = false;
	const struct pseudo_entry *e = p->entry;
	int err = 0;
	if (e->text)
		seq_printf(&t->text, "%s\n", e->text);
	else if (e->value)
		seq_printf(&t->text, "%ld\n", (long)atomic_load(e->value->v));
	else
		err = e->show ? e->show(&t->text, &p->key) : -EINVAL;
	if (!err && t->text.failed)
		err = -ENOMEM;
	t->filled = !err;
	return err;
}

static long text_read(struct file *f, struct iter *to, int64_t *pos)
{
	struct pseudo_file *t = f->private;
	struct pseudo_inode *p = f->inode->private;
	long r = 0;
	mutex_lock(&t->lock);
	if (*pos == 0 || !t->filled)
		r = fill_text(t, p);
	if (!r && *pos >= 0 && (uint64_t)*pos < t->text.len) {
		size_t n = MIN(t->text.len - (size_t)*pos, to->count);
		r = iter_to(to, t->text.data + *pos, n);
		if (!r && n)
			r = -EFAULT;
		else
			*pos += r;
	}
	mutex_unlock(&t->lock);
	return r;
}

static int store_value(const struct pseudo_value *v, const char *text)
{
	uint64_t n;
	bool negative = *text == '-';
	const char *end = parse_u64(text + negative, 10, &n);
	if (end == text + negative || *end || n > INT64_MAX)
		return -EINVAL;
	int64_t value = negative ? -(int64_t)n : (int64_t)n;
	if (value < v->min || value > v->max)
		return -EINVAL;
	atomic_store(v->v, value);
	return 0;
}

static long text_write(struct file *f, struct iter *from, int64_t *pos)
{
	struct pseudo_inode *p = f->inode->private;
	size_t n = from->count;
	if (!p->entry->store && !(p->entry->value && p->entry->value->max > p->entry->value->min))
		return -EIO;
	if (n >= STORE_MAX)
		return -EINVAL;
	char *text = kmalloc(n + 1);
	if (!text)
		return -ENOMEM;
	long r = -EFAULT;
	if (iter_from(from, text, n) == n) {
		size_t len = n;
		if (len && text[len - 1] == '\n')
			len--;
		text[len] = '\0';
		r = p->entry->value ? store_value(p->entry->value, text)
				    : p->entry->store(&p->key, text, len);
		if (r >= 0) {
			r = n;
			*pos += n;
		}
	}
	kfree(text);
	return r;
}

static int64_t text_seek(struct file *f, int64_t off, int whence)
{
	enum { FROM_START, FROM_HERE };
	int64_t base = whence == FROM_START ? 0 : f->pos;
	if (whence != FROM_START && whence != FROM_HERE)
		return -EINVAL;
	if (off < -base || off > INT64_MAX - base)
		return -EINVAL;
	return f->pos = base + off;
}

/* Attributes may be set (chmod of /proc files is allowed and forgotten); sizes not, but O_TRUNC is.
 */
static int pseudo_setattr(struct inode *i, const struct attr *a)
{
	if (a->valid & ATTR_MODE)
		i->mode = (i->mode & S_IFMT) | (a->mode & 07777);
	return 0;
}

static const struct inode_ops dir_ops = {
    .lookup = pseudo_lookup, .setattr = pseudo_setattr, .evict = pseudo_evict};
static const struct inode_ops file_inode_ops = {
    .open = text_open, .setattr = pseudo_setattr, .evict = pseudo_evict};
static const struct inode_ops device_ops = {.setattr = pseudo_setattr, .evict = pseudo_evict};
static const struct inode_ops link_ops = {.readlink = pseudo_readlink, .evict = pseudo_evict};
static const struct inode_ops magic_link_ops = {
    .readlink = pseudo_readlink, .follow = pseudo_follow, .evict = pseudo_evict};
static const struct file_ops dir_fops = {.readdir = pseudo_readdir};
static const struct file_ops text_fops = {
    .read = text_read, .write = text_write, .seek = text_seek, .release = text_release};

static int pseudo_statfs(struct super *s, struct kstatfs *out)
{
	*out = (struct kstatfs){.bsize = 4096, .namelen = 255, .fsid = s->dev};
	/* The magic numbers programs know these file systems by. */
	if (!strcmp(s->type->name, "proc"))
		out->type = 0x9fa0;
	else if (!strcmp(s->type->name, "sysfs"))
		out->type = 0x62656572;
	else if (!strcmp(s->type->name, "devpts"))
		out->type = 0x1cd1;
	return 0;
}

struct super *pseudo_mount(
    const struct fs_type *type, const struct pseudo_entry *root, unsigned flags)
{
	struct super *s = super_new(type, flags);
	if (!s)
		return err_ptr(-ENOMEM);
	s->volatile_names = true;
	s->statfs = pseudo_statfs;
	struct pseudo_key none = {0};
	struct inode *i = make_inode(s, root, &none);
	if (is_err(i))
		return (struct super *)i;
	i->ino = 1;
	int err = super_set_root(s, i);
	return err ? err_ptr(err) : s;
}
