/* SPDX-License-Identifier: BSD-3-Clause */
/* /proc and /sys: the files that programs read, and that they are true. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "check.h"

static char text[1 << 20];

/* The whole file as a string; its length or -1. */
static long slurp(const char *path)
{
	int fd = open(path, O_RDONLY);
	long n = 0, r = -1;
	while (fd >= 0 && (r = read(fd, text + n, sizeof text - 1 - (size_t)n)) > 0)
		n += r;
	if (fd >= 0)
		close(fd);
	text[n] = '\0';
	return r < 0 ? -1 : n;
}

static long field(const char *name)
{
	const char *p = strstr(text, name);
	return p ? atol(p + strlen(name)) : -1;
}

static void test_self(void)
{
	char exe[256] = "", maps[64], fd[64], link[256] = "";
	CHECK(readlink("/proc/self/exe", exe, sizeof exe - 1) > 0 && strstr(exe, "proc_files"));
	CHECK(slurp("/proc/self/maps") > 0 && strstr(text, exe) && strstr(text, "[stack]") &&
	      strstr(text, "[vdso]"));
	void *p = mmap(NULL, 12288, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	snprintf(maps, sizeof maps, "%lx-", (unsigned long)p);
	slurp("/proc/self/maps");
	char *line = strstr(text, maps);
	/* Neighbours may have been merged with it. */
	CHECK(line || strstr(text, "r--p 00000000 00:00 0"));
	CHECK(slurp("/proc/self/status") > 0 && field("\nPid:") == getpid() &&
	      field("\nPPid:") == getppid());
	CHECK(field("\nVmRSS:") > 0 && field("\nThreads:") == 1 &&
	      field("\nVmSize:") >= field("\nVmRSS:"));
	CHECK(
	    slurp("/proc/self/stat") > 0 && atoi(text) == getpid() && strchr(text, ')')[2] == 'R');
	CHECK(slurp("/proc/self/statm") > 0 && atol(text) > 0);
	CHECK(slurp("/proc/self/cmdline") > 0 && strstr(text, "proc_files"));
	CHECK(prctl(PR_SET_NAME, "renamed") == 0 && slurp("/proc/self/comm") == 8 &&
	      !strcmp(text, "renamed\n"));
	CHECK(slurp("/proc/self/limits") > 0 && strstr(text, "Max open files"));
	CHECK(slurp("/proc/self/cgroup") > 0);
	CHECK(slurp("/proc/self/smaps") > 0 && strstr(text, "Private_Dirty:") &&
	      strstr(text, "VmFlags:"));
	int f = open("/dev/null", O_RDONLY);
	snprintf(fd, sizeof fd, "/proc/self/fd/%d", f);
	CHECK(readlink(fd, link, sizeof link - 1) > 0 && !strcmp(link, "/dev/null"));
	struct stat st, sf;
	CHECK(stat(fd, &st) == 0 && fstat(f, &sf) == 0 && st.st_ino == sf.st_ino &&
	      st.st_dev == sf.st_dev);
	int again = open(fd, O_RDONLY);
	CHECK(again >= 0 && again != f);
	close(again);
	close(f);
	CHECK_ERR(readlink(fd, link, sizeof link), ENOENT);
	int p2[2];
	CHECK(pipe(p2) == 0);
	snprintf(fd, sizeof fd, "/proc/self/fd/%d", p2[0]);
	memset(link, 0, sizeof link);
	CHECK(readlink(fd, link, sizeof link - 1) > 0 && !strncmp(link, "pipe:[", 6));
	snprintf(fd, sizeof fd, "/proc/self/fdinfo/%d", p2[0]);
	CHECK(slurp(fd) > 0 && strstr(text, "flags:"));
	snprintf(fd, sizeof fd, "/proc/%d/task/%d/comm", getpid(), getpid());
	CHECK(slurp(fd) == 8);
	char cwd[256], self[256] = "";
	CHECK(getcwd(cwd, sizeof cwd) && readlink("/proc/self/cwd", self, sizeof self - 1) > 0 &&
	      !strcmp(cwd, self));
	CHECK_ERR(open("/proc/999999/stat", O_RDONLY), ENOENT);
}

static void test_machine(void)
{
	struct sysinfo si;
	struct utsname u;
	CHECK(sysinfo(&si) == 0 && slurp("/proc/meminfo") > 0);
	long total = field("MemTotal:"), free = field("MemFree:");
	CHECK(total == (long)(si.totalram / 1024 * si.mem_unit) && free > 0 && free < total);
	CHECK(field("MemAvailable:") > 0 && field("MemAvailable:") <= total);
	cpu_set_t set;
	CHECK(sched_getaffinity(0, sizeof set, &set) == 0);
	CHECK(slurp("/proc/cpuinfo") > 0 && strstr(text, "flags") && strstr(text, " sse2 "));
	long cpus = 0;
	for (char *p = text; (p = strstr(p, "processor\t:")); p++)
		cpus++;
	CHECK(cpus == sysconf(_SC_NPROCESSORS_ONLN));
	CHECK(
	    slurp("/proc/stat") > 0 && !strncmp(text, "cpu  ", 5) && field("btime ") > 1600000000);
	CHECK(slurp("/proc/uptime") > 0 && atof(text) > 0);
	CHECK(slurp("/proc/loadavg") > 0);
	CHECK(uname(&u) == 0 && slurp("/proc/sys/kernel/osrelease") > 0 &&
	      !strncmp(text, u.release, strlen(u.release)));
	CHECK(slurp("/proc/sys/kernel/hostname") > 0 &&
	      !strncmp(text, u.nodename, strlen(u.nodename)));
	CHECK(slurp("/proc/version") > 0 && strstr(text, u.release));
	CHECK(slurp("/proc/filesystems") > 0 && strstr(text, "nodev\tproc"));
	CHECK(slurp("/proc/mounts") > 0 && strstr(text, " /proc proc "));
	CHECK(slurp("/proc/self/mountinfo") > 0 && strstr(text, " / "));
	CHECK(slurp("/proc/sys/vm/overcommit_memory") > 0);
	CHECK(slurp("/proc/sys/net/core/somaxconn") > 0 && atoi(text) >= 128);
	CHECK(slurp("/proc/sys/kernel/ngroups_max") > 0 && atoi(text) == 65536);
	CHECK(slurp("/proc/sys/kernel/random/boot_id") == 37);
	char first[40];
	memcpy(first, text, 37);
	CHECK(slurp("/proc/sys/kernel/random/boot_id") == 37 && !memcmp(first, text, 37));
	CHECK(slurp("/proc/sys/kernel/random/uuid") == 37 && memcmp(first, text, 37));
	struct statfs sf;
	CHECK(statfs("/proc", &sf) == 0 && sf.f_type == 0x9fa0);
}

static void test_sys(void)
{
	CHECK(slurp("/sys/devices/system/cpu/online") > 0);
	CHECK(slurp("/sys/devices/system/cpu/possible") > 0);
	CHECK(slurp("/sys/devices/system/cpu/cpu0/topology/core_id") > 0);
	CHECK(slurp("/sys/devices/system/cpu/cpu0/topology/thread_siblings_list") > 0);
	CHECK(slurp("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size") > 0 &&
	      atol(text) == 2097152);
	CHECK(slurp("/sys/devices/system/node/node0/meminfo") > 0 && strstr(text, "MemTotal"));
	CHECK(slurp("/sys/devices/system/clocksource/clocksource0/current_clocksource") > 0);
	CHECK_ERR(open("/sys/devices/system/cpu/cpu9999", O_RDONLY), ENOENT);
	CHECK_ERR(open("/sys/devices/system/cpu/cpu00", O_RDONLY), ENOENT);
	CHECK_ERR(open("/sys/devices/system/cpu/online", O_WRONLY), EACCES);
}

static void test_listing(void)
{
	DIR *d = opendir("/proc/self/fd");
	struct dirent *e;
	int dots = 0, numbers = 0, own = 0;
	CHECK(d != NULL);
	while (d && (e = readdir(d))) {
		dots += e->d_name[0] == '.';
		numbers += e->d_name[0] != '.';
		own += atoi(e->d_name) == dirfd(d);
	}
	CHECK(dots == 2 && numbers >= 4 && own == 1);
	closedir(d);
	d = opendir("/proc");
	int me = 0, self = 0;
	while (d && (e = readdir(d))) {
		me += atoi(e->d_name) == getpid();
		self += !strcmp(e->d_name, "self");
	}
	CHECK(me == 1 && self == 1);
	closedir(d);
	/* A position in the middle is where reading goes on. */
	int f = open("/proc/self/status", O_RDONLY);
	char a[8], b[8];
	CHECK(pread(f, a, 5, 2) == 5 && lseek(f, 2, SEEK_SET) == 2 && read(f, b, 5) == 5 &&
	      !memcmp(a, b, 5));
	close(f);
}

int main(void)
{
	test_self();
	test_machine();
	test_sys();
	test_listing();
	return check_report();
}
