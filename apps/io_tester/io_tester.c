/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Disk load with several classes of requests at once, to see what the I/O scheduler makes of them.
 * Each --job is "name=value" pairs separated by commas, for example
 *   --job name=reader,type=randread,size=4k,parallel=16,shares=300
 */
#include <seastar/seastar.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JOBS 8
#define SAMPLES 65536

static const struct ss_option options[] = {
    {"file", 'f', SS_OPT_STRING, "io_tester.data", "file to work on (made if needed)"},
    {"file-size", 0, SS_OPT_SIZE, "64M", "size of the file", 1 << 20, INT64_MAX},
    {"duration-ms", 'd', SS_OPT_INT, "1000", "how long to run", 1, 3600000},
    {"job", 'j', SS_OPT_LIST, NULL,
	"name=..,type=randread|seqread|randwrite|seqwrite,size=..,parallel=..,shares=.."},
    {"keep", 0, SS_OPT_FLAG, NULL, "leave the file behind"},
    {NULL},
};

struct job {
	char name[24];
	bool write, sequential;
	uint64_t size, parallel, shares;
	ss_io_class io_class;
	uint64_t next; /* offset of a sequential job */
	uint64_t done, bytes, seen;
	uint32_t latency_us[SAMPLES]; /* a reservoir */
};

static struct job *jobs[JOBS];
static unsigned n_jobs;
static uint64_t file_size, end_time;
static unsigned seed = 1;

static int set_field(struct job *j, const char *key, const char *value)
{
	if (strcmp(key, "name") == 0)
		snprintf(j->name, sizeof(j->name), "%s", value);
	else if (strcmp(key, "size") == 0)
		return ss_parse_size(value, &j->size);
	else if (strcmp(key, "parallel") == 0)
		return ss_parse_size(value, &j->parallel);
	else if (strcmp(key, "shares") == 0)
		return ss_parse_size(value, &j->shares);
	else if (strcmp(key, "type") != 0)
		return -EINVAL;
	else if (strcmp(value, "randread") == 0)
		j->write = j->sequential = false;
	else if (strcmp(value, "seqread") == 0)
		j->sequential = true;
	else if (strcmp(value, "randwrite") == 0)
		j->write = true;
	else if (strcmp(value, "seqwrite") == 0)
		j->write = j->sequential = true;
	else
		return -EINVAL;
	return 0;
}

static int parse_job(struct job *j, const char *text)
{
	char copy[256], *save = NULL;

	if (strlen(text) >= sizeof(copy))
		return -EINVAL;
	strcpy(copy, text);
	*j = (struct job){.name = "job", .size = 4096, .parallel = 8, .shares = 100};
	for (char *p = strtok_r(copy, ",", &save); p; p = strtok_r(NULL, ",", &save)) {
		char *eq = strchr(p, '=');

		if (!eq)
			return -EINVAL;
		*eq = '\0';
		if (set_field(j, p, eq + 1))
			return -EINVAL;
	}
	if (!j->size || j->size % 4096 || j->size > file_size || j->size > 16 << 20)
		return -EINVAL;
	return j->parallel < 1 || j->parallel > 1024 || j->shares < 1 || j->shares > 100000
		   ? -EINVAL
		   : 0;
}

static uint64_t next_offset(struct job *j)
{
	uint64_t slots = file_size / j->size;

	if (j->sequential)
		return (j->next++ % slots) * j->size;
	return (((uint64_t)rand_r(&seed) << 15) ^ (uint64_t)rand_r(&seed)) % slots * j->size;
}

static void note(struct job *j, uint64_t ns)
{
	uint64_t at = j->seen++;

	if (at >= SAMPLES)
		at = (uint64_t)rand_r(&seed) % j->seen;
	if (at < SAMPLES)
		j->latency_us[at] = (uint32_t)(ns / 1000);
	j->done++;
	j->bytes += j->size;
}

SS_FIBER(worker, struct job *j; ss_file * f;)
{
	struct job *j = self->j;
	char *buf = ss_file_buffer(self->f, j->size);
	ss_result r = {.err = 0};

	if (!buf)
		return -ENOMEM;
	memset(buf, 'x', j->size);
	while (!r.err && ss_now() < end_time) {
		uint64_t start = ss_now(), off = next_offset(j);

		r = ss_await(j->write ? ss_file_write(self->f, off, buf, j->size)
				      : ss_file_read(self->f, off, buf, j->size));
		if (!r.err)
			note(j, ss_now() - start);
	}
	ss_free(buf);
	return r.err;
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void report(struct job *j, double seconds)
{
	uint64_t n = j->seen < SAMPLES ? j->seen : SAMPLES;

	qsort(j->latency_us, n, sizeof(j->latency_us[0]), by_value);
	printf("%-12s %8.0f IOPS %8.1f MB/s  latency us p50 %u p95 %u p99 %u max %u\n", j->name,
	    (double)j->done / seconds, (double)j->bytes / seconds / 1e6,
	    n ? j->latency_us[n / 2] : 0, n ? j->latency_us[n * 95 / 100] : 0,
	    n ? j->latency_us[n * 99 / 100] : 0, n ? j->latency_us[n - 1] : 0);
}

static int64_t make_file(ss_file *f)
{
	size_t block = 1 << 20;
	char *buf = ss_file_buffer(f, block);
	int64_t err = buf ? 0 : -ENOMEM;

	for (uint64_t at = 0; !err && at < file_size; at += block) {
		memset(buf, (int)(at >> 20), block);
		err = ss_await(ss_file_write(f, at, buf, block)).err;
	}
	ss_free(buf);
	return err;
}

static int64_t run_jobs(const char *name, uint64_t ns)
{
	static ss_future fs[JOBS * 1024];
	ss_file *files[JOBS];
	size_t n = 0;
	uint64_t start;
	ss_result r;

	for (unsigned i = 0; i < n_jobs; i++) {
		jobs[i]->io_class = (ss_io_class)SS_TRY(
		    ss_io_class_create(jobs[i]->name, (unsigned)jobs[i]->shares));
		files[i] = SS_TRY_PTR(ss_file_open(name, O_RDWR, 0));
		ss_file_set_class(files[i], jobs[i]->io_class);
	}
	start = ss_now();
	end_time = start + ns;
	for (unsigned i = 0; i < n_jobs; i++)
		for (uint64_t k = 0; k < jobs[i]->parallel; k++)
			fs[n++] = ss_async(worker, jobs[i], files[i]);
	r = ss_await(ss_when_all(fs, n, NULL));
	for (unsigned i = 0; i < n_jobs; i++) {
		report(jobs[i], (double)(ss_now() - start) / 1e9);
		ss_file_close(files[i]);
	}
	return r.err;
}

SS_FIBER(tester, const ss_config *c;)
{
	const char *name = ss_config_string(self->c, "file");
	uint64_t ns = (uint64_t)ss_config_int(self->c, "duration-ms") * SS_MSEC;
	ss_auto_file f = SS_TRY_PTR(ss_file_open(name, O_RDWR | O_CREAT, 0600));
	int64_t err;

	if ((uint64_t)SS_TRY(ss_file_size(f)) < file_size)
		SS_TRY(make_file(f) ? ss_fail(-EIO) : ss_ok(0));
	err = run_jobs(name, ns);
	if (!ss_config_flag(self->c, "keep"))
		SS_TRY(ss_unlink(name));
	return err;
}

static ss_future run(const ss_config *config, void *arg)
{
	static const char *const standard[] = {
	    "name=randread", "name=seqwrite,type=seqwrite,size=128k"};
	size_t given = ss_config_count(config, "job"), n = given ? given : 2;

	(void)arg;
	file_size = (uint64_t)ss_config_int(config, "file-size") >> 20 << 20;
	if (n > JOBS)
		return ss_fail_msg(-EINVAL, "too many jobs");
	for (size_t i = 0; i < n; i++) {
		const char *text = given ? ss_config_item(config, "job", i) : standard[i];

		jobs[n_jobs] = calloc(1, sizeof(struct job));
		if (!jobs[n_jobs] || parse_job(jobs[n_jobs], text)) {
			fprintf(stderr, "io_tester: bad job '%s'\n", text);
			return ss_fail_msg(-EINVAL, "bad job");
		}
		n_jobs++;
	}
	return ss_async(tester, config);
}

int main(int argc, char **argv)
{
	static const struct ss_app app = {
	    .name = "io_tester", .description = "Disk load in several classes", .options = options};
	int status = ss_app_run(argc, argv, &app, run, NULL);

	while (n_jobs)
		free(jobs[--n_jobs]);
	return status;
}
