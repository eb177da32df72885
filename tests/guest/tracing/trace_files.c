/* SPDX-License-Identifier: BSD-3-Clause */
/* Tracepoints as a program in the guest switches and reads them: the files of /sys/kernel/tracing.
 */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../../include/carrara/trace.h"
#include "../check.h"

#define TRACING "/sys/kernel/tracing/"

static char text[8 << 20];

/* The whole file as text. */
static char *slurp(const char *name)
{
	char path[128];
	size_t len = 0;
	ssize_t n;

	snprintf(path, sizeof path, TRACING "%s", name);
	int fd = open(path, O_RDONLY);
	while (fd >= 0 && (n = read(fd, text + len, sizeof text - 1 - len)) > 0)
		len += (size_t)n;
	CHECK(fd >= 0);
	close(fd);
	text[len] = 0;
	return text;
}

/* 0 or errno. */
static int put(const char *name, const char *value)
{
	char path[128];

	snprintf(path, sizeof path, TRACING "%s", name);
	int fd = open(path, O_WRONLY);
	if (fd < 0)
		return errno;
	int err = write(fd, value, strlen(value)) < 0 ? errno : 0;
	close(fd);
	return err;
}

static long count_of(const char *name)
{
	char line[80];

	slurp("counts");
	snprintf(line, sizeof line, "%s ", name);
	for (char *p = text; p; p = strchr(p, '\n')) {
		p += *p == '\n';
		if (!strncmp(p, line, strlen(line)))
			return atol(p + strlen(line));
		if (!*p)
			break;
	}
	return -1;
}

static void counting(void)
{
	CHECK(put("set_event", "vfs_lseek* count") == 0);
	CHECK(strstr(slurp("set_event"), "vfs_lseek count\n"));
	int fd = open("/proc/self/exe", O_RDONLY);
	long before = count_of("vfs_lseek");
	CHECK(before >= 0);
	for (int i = 0; i < 1000; i++)
		lseek(fd, i, SEEK_SET);
	CHECK(count_of("vfs_lseek") == before + 1000);
	CHECK(count_of("vfs_lseek_ret") == before + 1000);
	CHECK(lseek(fd, -5, SEEK_SET) == -1);
	CHECK(count_of("vfs_lseek_err") == 1);
	CHECK(put("set_event", "!vfs_lseek*") == 0);
	before = count_of("vfs_lseek");
	lseek(fd, 0, SEEK_SET);
	CHECK(count_of("vfs_lseek") == before); /* off */
	CHECK(put("counts", "0") == 0);
	CHECK(count_of("vfs_lseek") <= 0);
	close(fd);
}

static void modes(void)
{
	CHECK(put("set_event", "vfs_mkdir count") == 0);
	CHECK(put("set_event", "vfs_mkdir +backtrace") == 0);
	CHECK(strstr(slurp("set_event"), "vfs_mkdir count record backtrace\n"));
	CHECK(put("set_event", "vfs_mkdir -backtrace") == 0);
	CHECK(strstr(slurp("set_event"), "vfs_mkdir count record\n"));
	CHECK(put("set_event", "vfs_mkdir -record") == 0);
	CHECK(strstr(slurp("set_event"), "vfs_mkdir count\n"));
	CHECK(put("set_event", "vfs_mkdir -count") == 0);
	CHECK(!strstr(slurp("set_event"), "vfs_mkdir "));
	CHECK(put("set_event", "vfs_rmdir,count\nvfs_chdir count record") == 0);
	slurp("set_event");
	CHECK(strstr(text, "vfs_rmdir count\n") && strstr(text, "vfs_chdir count record\n"));
	CHECK(put("set_event", "!*") == 0);
	CHECK(!*slurp("set_event"));
	CHECK(put("set_event", "vfs_mkdir sometimes") == EINVAL);
	CHECK(put("set_event", "vfs_mkdir count +record") == EINVAL);
	CHECK(put("set_event", "no_such_event") == ENOENT);
	CHECK(put("set_event", "!") == EINVAL);
	CHECK(!*slurp("set_event"));
}

static void recording(void)
{
	CHECK(put("trace", "0") == 0);
	CHECK(put("set_event", "vfs_mkdir* record backtrace") == 0);
	mkdir("/tmp/a-directory-that-is-traced", 0700);
	mkdir("/no/such/place", 0700);
	CHECK(put("set_event", "!*") == 0);
	slurp("trace");
	char *call = strstr(text, "vfs_mkdir: path=/tmp/a-directory-that-is-traced mode=700");
	char *failed = strstr(text, "vfs_mkdir_err: error=2");
	CHECK(call && failed && failed > call);
	CHECK(strstr(text, "\t=> "));
	CHECK(
	    strstr(text, "trace_files+")); /* the application's part of the chain, with its file */
	CHECK(put("trace", "0") == 0);
	CHECK(!*slurp("trace"));
	rmdir("/tmp/a-directory-that-is-traced");
}

static void *spin(void *arg)
{
	for (int i = 0; i < 2000; i++)
		sched_yield();
	return arg;
}

/* Every record of the dump is whole, has a known event, and times of a CPU never go back. */
static void dump(void)
{
	pthread_t t[3];
	uint32_t nevents = 0, nrecords = 0, nthreads = 0;
	int64_t last[256] = {0};

	CHECK(put("set_event", "sched_* record") == 0);
	for (int i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, spin, NULL);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	CHECK(put("set_event", "!*") == 0);
	int fd = open(TRACING "trace_raw", O_RDONLY);
	size_t len = 0, at = sizeof(struct trace_dump_header);
	ssize_t n;
	while ((n = read(fd, text + len, sizeof text - len)) > 0)
		len += (size_t)n;
	close(fd);
	CHECK(len > at && !memcmp(text, TRACE_DUMP_MAGIC, 8));
	while (at + sizeof(struct trace_item) <= len) {
		struct trace_item item;
		memcpy(&item, text + at, sizeof item);
		at += sizeof item;
		if (item.size > len - at)
			break;
		nevents += item.type == TRACE_ITEM_EVENT;
		nthreads += item.type == TRACE_ITEM_THREAD;
		for (uint32_t i = 0; item.type == TRACE_ITEM_RECORDS && i < item.size;) {
			struct trace_record r;
			memcpy(&r, text + at + i, sizeof r);
			if (r.size < sizeof r || r.size > item.size - i || r.id >= nevents ||
			    r.time < last[r.cpu] || r.nargs > TRACE_MAX_ARGS) {
				CHECK(!"a bad record");
				return;
			}
			last[r.cpu] = r.time;
			i += r.size;
			nrecords++;
		}
		at += (item.size + 7) & ~7u;
	}
	CHECK(at == len);
	CHECK(nevents > 200 && nthreads > 3 && nrecords > 100);
}

static void sampling(void)
{
	volatile uint64_t sum = 0;

	CHECK(put("trace", "0") == 0);
	CHECK(put("sampler", "99999") == EINVAL);
	CHECK(put("sampler", "often") == EINVAL);
	CHECK(put("sampler", "500") == 0);
	CHECK(atoi(slurp("sampler")) == 500);
	double end = check_seconds() + 1;
	while (check_seconds() < end)
		for (int i = 0; i < 100000; i++)
			sum += (uint64_t)i;
	CHECK(sum != 0);
	CHECK(put("sampler", "0") == 0);
	CHECK(strstr(slurp("trace"), "sampler_tick: rip="));
	long after = count_of("sampler_tick");
	usleep(50000);
	CHECK(after <= 0 || count_of("sampler_tick") == after);
}

static void sizes(void)
{
	CHECK(put("buffer_size_kb", "5") == EINVAL);
	CHECK(put("set_event", "sched_switch record") == 0);
	CHECK(put("buffer_size_kb", "128") == EBUSY);
	CHECK(put("set_event", "!*") == 0);
	CHECK(put("buffer_size_kb", "128") == 0);
	CHECK(atoi(slurp("buffer_size_kb")) == 128);
	/* Far more than fits: the newest are kept. */
	CHECK(put("set_event", "vfs_lseek record") == 0);
	for (int i = 0; i < 20000; i++)
		lseek(0, i, SEEK_SET);
	CHECK(put("set_event", "!*") == 0);
	CHECK(strstr(slurp("trace"), "offset=19999 "));
	CHECK(!strstr(text, "offset=1 "));
	CHECK(strstr(slurp("stats"), "overwritten"));
}

static void threads_file(void)
{
	int fd = open("/sys/kernel/threads", O_RDONLY), mine = 0, kernel = 0;
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);

	CHECK(n > 0);
	text[n > 0 ? n : 0] = 0;
	close(fd);
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		int tid, pid;
		unsigned cpu;
		long run;
		CHECK(sscanf(line, "%d %d %u %ld", &tid, &pid, &cpu, &run) == 4);
		mine += tid == getpid() && pid == getpid() && run > 0;
		kernel += pid == 0 && tid < 0;
	}
	CHECK(mine == 1 && kernel > 0);
}

int main(void)
{
	slurp("available_events");
	CHECK(strstr(text, "sched_switch\n") && strstr(text, "memory_malloc\n") &&
	      strstr(text, "vfs_open_ret\n") && strstr(text, "net_packet_in\n"));
	counting();
	modes();
	recording();
	dump();
	sampling();
	sizes();
	threads_file();
	return check_report();
}
