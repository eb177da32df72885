/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Files. Reads and writes go through the I/O scheduler to the back end; everything else that may
 * block goes to the thread pool.
 */
#include "pool.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ALIGNMENT 4096

struct ss_file {
	int fd;
	bool direct;
	ss_io_class io_class;
};

/* One request and its future. */
struct request {
	ss_state out;
	struct ss_io io;
};

/* Faults wanted by a test of this shard. */
static __thread struct {
	int64_t result;
	uint64_t after, count;
} faults;

void ss_io_inject(int64_t result, uint64_t after, uint64_t count)
{
	faults.result = result;
	faults.after = after;
	faults.count = count;
}

static int64_t with_fault(int64_t v)
{
	if (faults.after) {
		faults.after--;
		return v;
	}
	faults.count--;
	return faults.result < v || faults.result < 0 ? faults.result : v;
}

static void request_done(struct ss_io *io)
{
	struct request *q = ss_container_of(io, struct request, io);
	int64_t v = io->result;

	if (ss_unlikely(faults.count))
		v = with_fault(v);
	ss_io_finished(io);
	ss_state_set(&q->out,
	    v < 0 ? (ss_result){.msg = NULL, .err = (int)v} : (ss_result){.i = v, .err = 0});
}

static ss_future submit(ss_file *f, int op, uint64_t offset, void *buf, size_t n)
{
	struct request *q;
	size_t mask = f->direct ? ALIGNMENT - 1 : 0;

	if ((offset & mask) || (n & mask) || ((uintptr_t)buf & mask))
		return ss_fail_msg(-EINVAL, "direct I/O needs aligned offset, length and buffer");
	if (n > UINT32_MAX / 2)
		return ss_fail_msg(-EINVAL, "request too large");
	q = ss_cell_alloc(sizeof(*q));
	if (!q)
		return ss_fail(-ENOMEM);
	ss_state_init(&q->out, sizeof(*q));
	q->io = (struct ss_io){.op = op,
	    .fd = f->fd,
	    .buf = buf,
	    .len = (uint32_t)n,
	    .offset = offset,
	    .done = request_done};
	ss_io_enqueue(&q->io, f->io_class);
	return ss_state_future(&q->out);
}

ss_future ss_file_read(ss_file *f, uint64_t offset, void *buf, size_t n)
{
	return submit(f, SS_IO_READ, offset, buf, n);
}

ss_future ss_file_write(ss_file *f, uint64_t offset, const void *buf, size_t n)
{
	return submit(f, SS_IO_WRITE, offset, (void *)(uintptr_t)buf, n);
}

ss_future ss_file_sync(ss_file *f)
{
	return submit(f, SS_IO_FSYNC, 0, NULL, 0);
}

/* A blocking call with its arguments, copied to where a thread can use them. */
struct call {
	int64_t (*fn)(struct call *c);
	const char *a, *b;
	void *out;
	int fd, flags;
	mode_t mode;
	uint64_t x, y;
	char text[];
};

static int64_t call_run(void *arg)
{
	struct call *c = arg;

	return c->fn(c);
}

SS_CONT(call_end, struct call *c;)
{
	free(self->c);
	return ss_ready(r);
}

static ss_future call(struct call with)
{
	size_t na = with.a ? strlen(with.a) + 1 : 0, nb = with.b ? strlen(with.b) + 1 : 0;
	struct call *c = malloc(sizeof(*c) + na + nb);

	if (!c)
		return ss_fail(-ENOMEM);
	*c = with;
	if (na)
		c->a = memcpy(c->text, with.a, na);
	if (nb)
		c->b = memcpy(c->text + na, with.b, nb);
	return ss_then_wrapped(ss_blocking(call_run, c), call_end, c);
}

static int64_t done(int k)
{
	return k < 0 ? -errno : k;
}

static int64_t do_open(struct call *c)
{
	int flags = c->flags | O_CLOEXEC, fd = open(c->a, flags | O_DIRECT, c->mode);

	/* Some file systems know no direct access. */
	if (fd >= 0 || errno != EINVAL)
		return fd < 0 ? -errno : fd | (int64_t)1 << 32;
	fd = open(c->a, flags & ~(O_EXCL), c->mode);
	return done(fd);
}

SS_CONT(opened)
{
	ss_file *f = ss_zalloc(sizeof(*f));

	if (!f) {
		close((int)(r.i & INT32_MAX));
		return ss_fail(-ENOMEM);
	}
	f->fd = (int)(r.i & INT32_MAX);
	f->direct = r.i >> 32;
	return ss_okp(f);
}

ss_future ss_file_open(const char *path, int flags, mode_t mode)
{
	return ss_then(
	    call((struct call){.fn = do_open, .a = path, .flags = flags, .mode = mode}), opened);
}

void ss_file_close(ss_file *f)
{
	if (!f)
		return;
	close(f->fd);
	ss_free(f);
}

void ss_file_set_class(ss_file *f, ss_io_class c)
{
	f->io_class = c;
}

size_t ss_file_alignment(const ss_file *f)
{
	return f->direct ? ALIGNMENT : 1;
}

void *ss_file_buffer(const ss_file *f, size_t n)
{
	(void)f;
	return ss_alloc_aligned(ALIGNMENT, n);
}

static int64_t do_truncate(struct call *c)
{
	return done(ftruncate(c->fd, (off_t)c->x));
}

ss_future ss_file_truncate(ss_file *f, uint64_t size)
{
	return call((struct call){.fn = do_truncate, .fd = f->fd, .x = size});
}

static int64_t do_allocate(struct call *c)
{
	return done(fallocate(c->fd, FALLOC_FL_KEEP_SIZE, (off_t)c->x, (off_t)c->y));
}

ss_future ss_file_allocate(ss_file *f, uint64_t offset, uint64_t n)
{
	return call((struct call){.fn = do_allocate, .fd = f->fd, .x = offset, .y = n});
}

ss_future ss_file_size(ss_file *f)
{
	struct stat st;

	/* Answered from memory: the inode of an open file. */
	return fstat(f->fd, &st) ? ss_fail(-errno) : ss_ok(st.st_size);
}

static int64_t do_unlink(struct call *c)
{
	return done(unlink(c->a));
}

ss_future ss_unlink(const char *path)
{
	return call((struct call){.fn = do_unlink, .a = path});
}

static int64_t do_rename(struct call *c)
{
	return done(rename(c->a, c->b));
}

ss_future ss_rename(const char *from, const char *to)
{
	return call((struct call){.fn = do_rename, .a = from, .b = to});
}

static int64_t do_mkdir(struct call *c)
{
	return done(mkdir(c->a, c->mode));
}

ss_future ss_mkdir(const char *path, mode_t mode)
{
	return call((struct call){.fn = do_mkdir, .a = path, .mode = mode});
}

static int64_t do_sync_directory(struct call *c)
{
	int fd = open(c->a, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int64_t r;

	if (fd < 0)
		return -errno;
	r = done(fsync(fd));
	close(fd);
	return r;
}

ss_future ss_sync_directory(const char *path)
{
	return call((struct call){.fn = do_sync_directory, .a = path});
}

static int64_t do_stat(struct call *c)
{
	return done(stat(c->a, c->out));
}

ss_future ss_stat(const char *path, struct stat *out)
{
	return call((struct call){.fn = do_stat, .a = path, .out = out});
}

void ss_names_free(ss_names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->v[i]);
	free(names->v);
	*names = (ss_names){NULL, 0};
}

static int add_name(ss_names *names, const char *name)
{
	char **v = realloc(names->v, (names->n + 1) * sizeof(*v));

	if (!v)
		return -ENOMEM;
	names->v = v;
	v[names->n] = strdup(name);
	return v[names->n] ? (names->n++, 0) : -ENOMEM;
}

static int64_t do_list(struct call *c)
{
	ss_names *names = c->out;
	DIR *d = opendir(c->a);
	struct dirent *e;
	int err = 0;

	if (!d)
		return -errno;
	while (!err && (errno = 0, e = readdir(d))) {
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			err = add_name(names, e->d_name);
	}
	if (!err)
		err = -errno;
	closedir(d);
	if (err)
		ss_names_free(names);
	return err;
}

ss_future ss_list_directory(const char *path, ss_names *out)
{
	*out = (ss_names){NULL, 0};
	return call((struct call){.fn = do_list, .a = path, .out = out});
}
