/* SPDX-License-Identifier: BSD-3-Clause */
/* Files, streams over them, the thread pool and the I/O scheduler. */
#include <seastar/seastar.h>
#include <seastar/test.h>

#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static char dir[64];

static const char *path(const char *name)
{
	static char text[128];

	snprintf(text, sizeof(text), "%s/%s", dir, name);
	return text;
}

static char byte_at(uint64_t i)
{
	return (char)(i * 31 + (i >> 12));
}

SS_TEST(read_write)
{
	ss_auto_file f = SS_TRY_PTR(ss_file_open(path("rw"), O_RDWR | O_CREAT | O_TRUNC, 0600));
	char *a = ss_file_buffer(f, 8192), *b = ss_file_buffer(f, 8192);
	ss_result r;

	for (int i = 0; i < 8192; i++)
		a[i] = byte_at((uint64_t)i);
	SS_CHECK(SS_TRY(ss_file_write(f, 4096, a, 8192)) == 8192);
	SS_TRY(ss_file_sync(f));
	SS_CHECK(SS_TRY(ss_file_size(f)) == 12288);
	SS_CHECK(SS_TRY(ss_file_read(f, 4096, b, 8192)) == 8192 && memcmp(a, b, 8192) == 0);
	SS_CHECK(SS_TRY(ss_file_read(f, 0, b, 4096)) == 4096 && b[0] == 0 && b[4095] == 0);
	SS_CHECK(SS_TRY(ss_file_read(f, 1 << 20, b, 4096)) == 0);
	SS_TRY(ss_file_truncate(f, 5000));
	SS_CHECK(SS_TRY(ss_file_read(f, 4096, b, 4096)) == 904);
	SS_TRY(ss_file_allocate(f, 0, 1 << 20));
	SS_CHECK(SS_TRY(ss_file_size(f)) == 5000);
	if (ss_file_alignment(f) > 1) {
		r = ss_await(ss_file_read(f, 1, b, 4096));
		SS_CHECK(r.err == -EINVAL && r.msg);
	}
	ss_free(a);
	ss_free(b);
	SS_CHECK(ss_await(ss_file_open(path("none"), O_RDONLY, 0)).err == -ENOENT);
	return 0;
}

static int64_t write_stream(const char *name, uint64_t n, size_t piece)
{
	ss_auto_file f = SS_TRY_PTR(ss_file_open(name, O_RDWR | O_CREAT | O_TRUNC, 0600));
	ss_file_writer *w =
	    ss_file_writer_new(f, &(ss_file_stream_opts){.buffer = 8192, .ahead = 3});
	char *b = malloc(piece);
	ss_result r = {.err = 0};

	for (uint64_t at = 0; at < n && !r.err; at += piece) {
		size_t k = n - at < piece ? (size_t)(n - at) : piece;

		for (size_t i = 0; i < k; i++)
			b[i] = byte_at(at + i);
		r = ss_await(ss_output_write(ss_file_writer_output(w), b, k));
	}
	free(b);
	SS_TRY(ss_file_writer_close(w));
	return r.err;
}

static int64_t check_stream(const char *name, uint64_t from, uint64_t n)
{
	ss_auto_file f = SS_TRY_PTR(ss_file_open(name, O_RDONLY, 0));
	ss_file_reader *rd = ss_file_reader_new(
	    f, &(ss_file_stream_opts){.buffer = 8192, .ahead = 4, .offset = from});
	ss_input *in = ss_file_reader_input(rd);
	uint64_t at = from;
	bool same = true;

	while (SS_TRY(ss_input_fill(in)) > 0) {
		for (size_t i = 0; i < ss_input_len(in); i++)
			same &= ss_input_data(in)[i] == byte_at(at + i);
		at += ss_input_len(in);
		ss_input_consume(in, ss_input_len(in));
	}
	SS_CHECK(same && at == n);
	return SS_TRY(ss_file_reader_close(rd));
}

SS_TEST(streams)
{
	static const uint64_t sizes[] = {0, 1, 4095, 4096, 8192, 8193, 100000, 1000000};
	char name[128];

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		snprintf(name, sizeof(name), "%s", path("stream"));
		SS_CHECK(write_stream(name, sizes[i], 777) == 0);
		SS_CHECK(check_stream(name, 0, sizes[i]) == 0);
	}
	SS_CHECK(check_stream(name, 5000, 1000000) == 0);
	SS_CHECK(write_stream(name, 300000, 100000) == 0);
	SS_CHECK(check_stream(name, 0, 300000) == 0);
	return 0;
}

/* A reader may go before the end, with read-ahead in progress. */
SS_TEST(abandoned_reader)
{
	char name[128];
	ss_file *f;
	ss_file_reader *rd;

	snprintf(name, sizeof(name), "%s", path("stream2"));
	SS_CHECK(write_stream(name, 300000, 1000) == 0);
	f = SS_TRY_PTR(ss_file_open(name, O_RDONLY, 0));
	rd = ss_file_reader_new(f, NULL);
	SS_TRY(ss_input_fill(ss_file_reader_input(rd)));
	SS_TRY(ss_file_reader_close(rd));
	ss_file_close(f);
	return 0;
}

/* A full disk (here: the limit of a file's size) is an error of the stream, not a crash. */
SS_TEST(no_space)
{
	struct rlimit old, low;
	char name[128];
	int64_t err;

	signal(SIGXFSZ, SIG_IGN);
	snprintf(name, sizeof(name), "%s", path("full"));
	getrlimit(RLIMIT_FSIZE, &old);
	low = (struct rlimit){.rlim_cur = 65536, .rlim_max = old.rlim_max};
	setrlimit(RLIMIT_FSIZE, &low);
	err = write_stream(name, 1000000, 5000);
	setrlimit(RLIMIT_FSIZE, &old);
	SS_CHECK(err == -EFBIG || err == -ENOSPC);
	return 0;
}

/* Read to the end: how many bytes, or the error. */
static int64_t read_all(const char *name)
{
	ss_auto_file f = SS_TRY_PTR(ss_file_open(name, O_RDONLY, 0));
	ss_file_reader *rd =
	    ss_file_reader_new(f, &(ss_file_stream_opts){.buffer = 8192, .ahead = 4});
	int64_t total = 0;
	char b[5000];
	ss_result r, c;

	while (!(r = ss_await(ss_input_read(ss_file_reader_input(rd), b, sizeof(b)))).err && r.i)
		total += r.i;
	c = ss_await(ss_file_reader_close(rd));
	return r.err ? r.err : c.err ? c.err : total;
}

/* A disk that fails at any request: the error comes out, once, and nothing hangs or is taken for
 * good data. */
SS_TEST(broken_disk)
{
	char name[128];
	int failed = 0;
	int64_t v;

	snprintf(name, sizeof(name), "%s", path("broken"));
	SS_CHECK(write_stream(name, 100000, 3000) == 0);
	SS_CHECK(read_all(name) == 100000);
	for (uint64_t n = 0; n < 14; n++) {
		/* 13 blocks and the sync. */
		ss_io_inject(-EIO, n, 1);
		SS_CHECK(write_stream(name, 100000, 3000) == -EIO);
		ss_io_inject(-ENOSPC, n, UINT64_MAX);
		SS_CHECK(write_stream(name, 100000, 3000) == -ENOSPC);
		if (n < 13) {
			ss_io_inject(512, n, 1); /* a part of the block */
			SS_CHECK(write_stream(name, 100000, 3000) == -ENOSPC);
		}
		ss_io_inject(0, 0, 0);
		SS_CHECK(write_stream(name, 100000, 3000) == 0);
		SS_CHECK(read_all(name) == 100000);
		if (n < 13) {
			ss_io_inject(-EIO, n, 1);
			/* What was read ahead past the end is of no interest. */
			v = read_all(name);
			SS_CHECK(v == -EIO || v == 100000);
			failed += v == -EIO;
			ss_io_inject(0, 0, 0);
		}
	}
	SS_CHECK(failed >= 8);
	return 0;
}

SS_TEST(directories)
{
	char name[128];
	struct stat st;
	ss_names names;

	snprintf(name, sizeof(name), "%s", path("sub"));
	SS_TRY(ss_mkdir(name, 0700));
	SS_CHECK(ss_await(ss_mkdir(name, 0700)).err == -EEXIST);
	snprintf(name, sizeof(name), "%s", path("sub/x"));
	ss_file_close(SS_TRY_PTR(ss_file_open(name, O_RDWR | O_CREAT | O_EXCL, 0600)));
	SS_TRY(ss_stat(name, &st));
	SS_CHECK(S_ISREG(st.st_mode) && st.st_size == 0);
	SS_TRY(ss_rename(name, path("sub/y")));
	SS_TRY(ss_sync_directory(path("sub")));
	SS_TRY(ss_list_directory(path("sub"), &names));
	SS_CHECK(names.n == 1 && strcmp(names.v[0], "y") == 0);
	ss_names_free(&names);
	SS_TRY(ss_unlink(path("sub/y")));
	SS_CHECK(ss_await(ss_unlink(path("sub/y"))).err == -ENOENT);
	SS_CHECK(ss_await(ss_list_directory(path("none"), &names)).err == -ENOENT);
	rmdir(path("sub"));
	return 0;
}

static int64_t slow_square(void *arg)
{
	usleep(1000);
	return *(int64_t *)arg * *(int64_t *)arg;
}

SS_TEST(blocking)
{
	int64_t v[20];
	ss_future fs[20];
	ss_result r[20];

	for (int64_t i = 0; i < 20; i++) {
		v[i] = i;
		fs[i] = ss_blocking(slow_square, &v[i]);
	}
	SS_TRY(ss_when_all(fs, 20, r));
	for (int64_t i = 0; i < 20; i++)
		SS_CHECK(r[i].i == i * i);
	return 0;
}

static bool hammering;
SS_FIBER(hammer, ss_file *f; ss_io_class c;)
{
	char *b = ss_file_buffer(self->f, 4096);
	ss_result r = {.err = 0};

	while (hammering && !r.err)
		r = ss_await(ss_file_read(self->f, 0, b, 4096));
	ss_free(b);
	return r.err;
}

/* With the disk as the limit, two classes get what their shares say. */
SS_TEST(shares_and_rate)
{
	ss_io_class c[2] = {(ss_io_class)SS_TRY(ss_io_class_create("one", 100)),
	    (ss_io_class)SS_TRY(ss_io_class_create("three", 300))};
	struct ss_io_stats st[2];
	ss_file *f[2];
	ss_future fs[16];
	char name[128];
	uint64_t start, n;
	double ratio;

	snprintf(name, sizeof(name), "%s", path("shares"));
	SS_CHECK(write_stream(name, 8192, 4096) == 0);
	for (int i = 0; i < 2; i++) {
		f[i] = SS_TRY_PTR(ss_file_open(name, O_RDONLY, 0));
		ss_file_set_class(f[i], c[i]);
	}
	ss_io_set_properties(&(struct ss_io_properties){.read_iops = 2000, .depth = 1});
	hammering = true;
	start = ss_now();
	for (int i = 0; i < 16; i++)
		fs[i] = ss_async(hammer, f[i % 2], c[i % 2]);
	SS_TRY(ss_sleep(200 * SS_MSEC));
	hammering = false;
	SS_TRY(ss_when_all(fs, 16, NULL));
	SS_CHECK(ss_io_class_stats(c[0], &st[0]) && ss_io_class_stats(c[1], &st[1]));
	n = st[0].requests + st[1].requests;
	/* Not above the rate, with a margin for the burst allowed. */
	SS_CHECK((double)n <= 2000.0 * (double)(ss_now() - start) / 1e9 * 1.1 + 20);
	ratio = (double)st[1].requests / (double)st[0].requests;
	SS_CHECK(ratio > 2 && ratio < 4);
	ss_io_set_properties(&(struct ss_io_properties){0});
	ss_file_close(f[0]);
	ss_file_close(f[1]);
	return 0;
}

SS_TEST(properties)
{
	static const char good[] = "# a disk\nread_iops: 1000\nread_bandwidth: 10M\n"
				   "write_iops:5\n write_bandwidth : 1G # fast\ndepth: 8\n";
	struct ss_io_properties p;
	char e[100];

	SS_CHECK(ss_io_properties_parse(good, sizeof(good) - 1, &p, e, sizeof(e)) == 0);
	SS_CHECK(p.read_iops == 1000 && p.read_bandwidth == 10 << 20 && p.write_iops == 5 &&
		 p.write_bandwidth == 1 << 30 && p.depth == 8);
	SS_CHECK(ss_io_properties_parse("x: 1\n", 5, &p, e, sizeof(e)) == -EINVAL);
	SS_CHECK(ss_io_properties_parse("read_iops 1\n", 12, &p, e, sizeof(e)) == -EINVAL);
	SS_CHECK(ss_io_properties_parse("read_iops: -1\n", 14, &p, e, sizeof(e)) == -EINVAL);
	SS_CHECK(strcmp(e, "line 1: bad value of read_iops") == 0);
	return 0;
}

#ifdef SS_HAVE_LIBURING
#define THIRD "io_uring"
#else
#define THIRD "auto"
#endif
#define EACH(f)                                                                                    \
	{#f, f, "-c1 --reactor-backend epoll"}, {#f "_aio", f, "-c1 --reactor-backend linux-aio"}, \
	{                                                                                          \
#f "_" THIRD, f, "-c1 --reactor-backend " THIRD                                    \
	}

static const struct ss_test tests[] = {
    EACH(read_write),
    EACH(streams),
    EACH(abandoned_reader),
    {"no_space", no_space, .once = true},
    EACH(broken_disk),
    {"directories", directories},
    {"blocking", blocking},
    {"shares_and_rate", shares_and_rate, .once = true},
    {"properties", properties, .once = true},
    {NULL},
};

/* No shell: this also runs where there is none. */
static int remove_one(const char *name, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(name);
}

int main(int argc, char **argv)
{
	int status;

	strcpy(dir, "ss-file-test-XXXXXX");
	if (!mkdtemp(dir))
		return 1;
	status = ss_test_main(argc, argv, tests);
	return nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS) ? 1 : status;
}
