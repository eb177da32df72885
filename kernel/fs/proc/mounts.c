/* SPDX-License-Identifier: BSD-3-Clause */
/* /proc/PID/mounts and mountinfo. */
#include <asm/errno.h>
#include "fs/proc/proc.h"
#include "lib/string.h"
#include "mm/kmalloc.h"

#define FIRST_MOUNT_ID 20
#define FLAG_RDONLY 1
#define FLAG_NOSUID 2
#define FLAG_NODEV 4
#define FLAG_NOEXEC 8
#define FLAG_NOATIME 1024

/* The mounts seen so far, to find the one a new mount stands in. */
struct mount_walk {
	struct seqbuf *out;
	bool info;
	unsigned n;
	struct seqbuf targets; /* terminated strings in order */
};

static void put_options(struct seqbuf *s, unsigned flags)
{
	seq_puts(s, flags & FLAG_RDONLY ? "ro" : "rw");
	if (flags & FLAG_NOSUID)
		seq_puts(s, ",nosuid");
	if (flags & FLAG_NODEV)
		seq_puts(s, ",nodev");
	if (flags & FLAG_NOEXEC)
		seq_puts(s, ",noexec");
	seq_puts(s, flags & FLAG_NOATIME ? ",noatime" : ",relatime");
}

static bool is_below(const char *path, const char *top)
{
	size_t n = strlen(top);
	if (n && top[n - 1] == '/')
		n--;
	return !strncmp(path, top, n) && (path[n] == '/' || (n == 0 && path[0] == '/'));
}

/* Id of the earlier mount with the longest target above this one; 1 (outside) for the root. */
static unsigned parent_id(const struct mount_walk *w, const char *target)
{
	unsigned best = 1, i = 0;
	size_t best_len = 0;
	if (!strcmp(target, "/"))
		return 1;
	for (const char *t = w->targets.data; i < w->n; t += strlen(t) + 1, i++) {
		if (is_below(target, t) && strlen(t) >= best_len) {
			best = FIRST_MOUNT_ID + i;
			best_len = strlen(t);
		}
	}
	return best;
}

static void show_one(void *ctx, const char *source, const char *target, const char *fstype,
    unsigned flags, const char *options, const struct super *super)
{
	struct mount_walk *w = ctx;
	struct seqbuf *s = w->out;
	const char *from = source && *source ? source : "none";
	(void)options;
	if (!w->info) {
		seq_path(s, from);
		seq_putc(s, ' ');
		seq_path(s, target);
		seq_printf(s, " %s ", fstype);
		put_options(s, flags);
		seq_puts(s, " 0 0\n");
		return;
	}
	seq_printf(s, "%u %u %u:%u / ", FIRST_MOUNT_ID + w->n, parent_id(w, target),
	    (unsigned)(super->dev >> 8), (unsigned)(super->dev & 255));
	seq_path(s, target);
	seq_putc(s, ' ');
	put_options(s, flags);
	seq_printf(s, " - %s ", fstype);
	seq_path(s, from);
	seq_printf(s, " %s\n", flags & FLAG_RDONLY ? "ro" : "rw");
	seq_write(&w->targets, target, strlen(target) + 1);
	w->n++;
}

static int show(struct seqbuf *s, bool info)
{
	struct mount_walk w = {.out = s, .info = info};
	seqbuf_init(&w.targets);
	mount_for_each(show_one, &w);
	bool failed = w.targets.failed;
	seqbuf_free(&w.targets);
	return failed ? -ENOMEM : 0;
}

int proc_show_mounts(struct seqbuf *s, const struct pseudo_key *k)
{
	(void)k;
	return show(s, false);
}

int proc_show_mountinfo(struct seqbuf *s, const struct pseudo_key *k)
{
	(void)k;
	return show(s, true);
}
