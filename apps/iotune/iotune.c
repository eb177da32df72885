/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Measures what a disk can do and writes the properties file for --io-properties-file: random reads
 * and writes of 4 KiB for the operations per second, sequential ones of 128 KiB for the bandwidth,
 * and the smallest parallelism that reaches nearly the best rate of random reads.
 */
#include <seastar/seastar.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct ss_option options[] = {
    {"directory", 'd', SS_OPT_STRING, ".", "directory on the disk to measure"},
    {"file-size", 0, SS_OPT_SIZE, "256M", "size of the test file", 1 << 20, INT64_MAX},
    {"duration-ms", 0, SS_OPT_INT, "1000", "length of each measurement", 10, 600000},
    {"properties-file", 'o', SS_OPT_STRING, "io_properties", "file to write"},
    {NULL},
};

#define MAX_PARALLEL 256
#define NEARLY 0.9 /* this part of the best rate is good enough */

struct test {
	ss_file *f;
	bool write, sequential;
	size_t size;
	uint64_t file_size, next, done, end;
	unsigned seed;
};

SS_FIBER(worker, struct test *t;)
{
	struct test *t = self->t;
	char *buf = ss_file_buffer(t->f, t->size);
	uint64_t slots = t->file_size / t->size;
	ss_result r = {.err = 0};

	if (!buf)
		return -ENOMEM;
	memset(buf, 'x', t->size);
	while (!r.err && ss_now() < t->end) {
		uint64_t slot =
		    t->sequential ? t->next++ % slots : (uint64_t)rand_r(&t->seed) % slots;

		r = ss_await(t->write ? ss_file_write(t->f, slot * t->size, buf, t->size)
				      : ss_file_read(t->f, slot * t->size, buf, t->size));
		t->done += !r.err;
	}
	ss_free(buf);
	return r.err;
}

/* Operations per second with `parallel` requests at a time, or a negative error. */
static int64_t measure(struct test t, unsigned parallel, uint64_t ns)
{
	ss_future fs[MAX_PARALLEL];
	uint64_t start = ss_now();

	t.end = start + ns;
	t.seed = 1;
	for (unsigned i = 0; i < parallel; i++)
		fs[i] = ss_async(worker, &t);
	SS_TRY(ss_when_all(fs, parallel, NULL));
	return (int64_t)((double)t.done * 1e9 / (double)(ss_now() - start));
}

static int64_t fill(ss_file *f, uint64_t size)
{
	size_t block = 1 << 20;
	char *buf = ss_file_buffer(f, block);
	ss_result r = {.err = buf ? 0 : -ENOMEM};

	for (uint64_t at = 0; !r.err && at < size; at += block) {
		memset(buf, (int)(at >> 20), block);
		r = ss_await(ss_file_write(f, at, buf, block));
	}
	ss_free(buf);
	return r.err;
}

static int64_t tune(ss_file *f, uint64_t size, uint64_t ns, struct ss_io_properties *p)
{
	struct test t = {.f = f, .size = 4096, .file_size = size};
	int64_t rate[9], best = 0, k;
	unsigned n = 0;

	for (unsigned par = 1; par <= MAX_PARALLEL; par *= 2, n++) {
		rate[n] = measure(t, par, ns);
		if (rate[n] < 0)
			return rate[n];
		printf("random reads, %3u at a time: %8lld IOPS\n", par, (long long)rate[n]);
		if (rate[n] > best)
			best = rate[n];
	}
	for (n = 0; rate[n] < (int64_t)((double)best * NEARLY);)
		n++;
	p->depth = 1u << n;
	p->read_iops = (uint64_t)best;
	t.write = true;
	k = measure(t, p->depth, ns);
	if (k < 0)
		return k;
	p->write_iops = (uint64_t)k;
	t.size = 128 << 10;
	t.sequential = true;
	k = measure(t, p->depth, ns);
	if (k < 0)
		return k;
	p->write_bandwidth = (uint64_t)k * t.size;
	t.write = false;
	k = measure(t, p->depth, ns);
	p->read_bandwidth = (uint64_t)(k < 0 ? 0 : k) * t.size;
	return k < 0 ? k : 0;
}

static int write_properties(const char *name, const struct ss_io_properties *p)
{
	FILE *o = fopen(name, "w");

	if (!o)
		return -errno;
	fprintf(o,
	    "# written by iotune\nread_iops: %llu\nread_bandwidth: %llu\nwrite_iops: %llu\n"
	    "write_bandwidth: %llu\ndepth: %u\n",
	    (unsigned long long)p->read_iops, (unsigned long long)p->read_bandwidth,
	    (unsigned long long)p->write_iops, (unsigned long long)p->write_bandwidth, p->depth);
	return fclose(o) ? -errno : 0;
}

SS_FIBER(tuner, const ss_config *c;)
{
	const ss_config *c = self->c;
	uint64_t size = (uint64_t)ss_config_int(c, "file-size") >> 20 << 20;
	uint64_t ns = (uint64_t)ss_config_int(c, "duration-ms") * SS_MSEC;
	struct ss_io_properties p = {0};
	char name[512];
	ss_file *f;
	int64_t err;

	/* Measured without the limits of an earlier file. */
	ss_io_set_properties(&(struct ss_io_properties){.depth = 4 * MAX_PARALLEL});
	snprintf(name, sizeof(name), "%s/iotune.data", ss_config_string(c, "directory"));
	f = SS_TRY_PTR(ss_file_open(name, O_RDWR | O_CREAT | O_TRUNC, 0600));
	err = fill(f, size);
	if (!err)
		err = tune(f, size, ns, &p);
	ss_file_close(f);
	SS_TRY(ss_unlink(name));
	if (!err)
		err = write_properties(ss_config_string(c, "properties-file"), &p);
	return err;
}

static ss_future run(const ss_config *config, void *arg)
{
	(void)arg;
	return ss_async(tuner, config);
}

int main(int argc, char **argv)
{
	static const struct ss_app app = {
	    .name = "iotune", .description = "Find out what a disk can do", .options = options};

	return ss_app_run(argc, argv, &app, run, NULL);
}
