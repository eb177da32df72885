/* SPDX-License-Identifier: BSD-3-Clause */
/* Mapped files, memory shared by fork(), copy-on-write, membarrier, process_vm_readv, execve. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/membarrier.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

#define PAGE 4096ul

static sigjmp_buf back;
static volatile int fault_signal;

static void on_fault(int sig)
{
	fault_signal = sig;
	siglongjmp(back, 1);
}

static int faults(volatile char *p)
{
	fault_signal = 0;
	if (sigsetjmp(back, 1))
		return 1;
	(void)*p;
	return 0;
}

/* A file of n bytes of the letter c. */
static int make_file(size_t n, char c)
{
	char name[] = "/tmp/mmXXXXXX", buf[512];
	int fd = mkstemp(name);
	memset(buf, c, sizeof buf);
	for (size_t done = 0; done < n; done += sizeof buf)
		if (write(fd, buf, n - done < sizeof buf ? n - done : sizeof buf) < 0)
			return -1;
	unlink(name);
	return fd;
}

static void files(void)
{
	char c;
	int fd = make_file(3 * PAGE + 100, 'a');
	CHECK(fd >= 0);
	char *p = mmap(NULL, 5 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	char *s = mmap(NULL, 5 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(p != MAP_FAILED && s != MAP_FAILED);
	CHECK(p[0] == 'a' && p[3 * PAGE + 99] == 'a' && p[3 * PAGE + 100] == 0);
	CHECK(faults(p + 4 * PAGE) && fault_signal == SIGBUS);
	p[0] = 'p';
	CHECK(pread(fd, &c, 1, 0) == 1 && c == 'a' && s[0] == 'a');
	s[PAGE] = 's';
	CHECK(pread(fd, &c, 1, PAGE) == 1 && c == 's');
	CHECK(p[PAGE] == 's'); /* not yet copied: shows the file */
	CHECK(pwrite(fd, "w", 1, 2 * PAGE) == 1 && s[2 * PAGE] == 'w');
	CHECK(msync(s, 4 * PAGE, MS_SYNC) == 0);
	CHECK(ftruncate(fd, PAGE) == 0);
	CHECK(faults(s + 2 * PAGE) && fault_signal == SIGBUS);
	CHECK(ftruncate(fd, 3 * PAGE) == 0);
	CHECK(s[2 * PAGE] == 0 && s[0] == 'a' && p[0] == 'p');
	char *off = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, PAGE);
	CHECK(off != MAP_FAILED && off[0] == 0);
	CHECK(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 1) == MAP_FAILED && errno == EINVAL);
	munmap(off, PAGE);
	munmap(p, 5 * PAGE);
	munmap(s, 5 * PAGE);
	close(fd);
	fd = open("/proc/self/exe", O_RDONLY);
	CHECK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED &&
	      errno == EACCES);
	s = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	CHECK(s != MAP_FAILED && memcmp(s, "\177ELF", 4) == 0);
	CHECK_ERR(mprotect(s, PAGE, PROT_READ | PROT_WRITE), EACCES);
	munmap(s, PAGE);
	p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	CHECK(p != MAP_FAILED);
	p[0] = 0;
	CHECK(pread(fd, &c, 1, 0) == 1 && c == 0x7f);
	munmap(p, PAGE);
	close(fd);
	int pipes[2];
	CHECK(pipe(pipes) == 0);
	CHECK(
	    mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, pipes[0], 0) == MAP_FAILED && errno == ENODEV);
	close(pipes[0]);
	close(pipes[1]);
}

static int wait_status(pid_t pid)
{
	int status = -1;
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void forked(void)
{
	size_t n = 600 * PAGE; /* more than one 2 MiB page */
	char *private = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *shared = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char *wiped = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(private != MAP_FAILED && shared != MAP_FAILED && wiped != MAP_FAILED);
	memset(private, 1, n);
	shared[0] = 1;
	wiped[0] = 1;
	CHECK(madvise(wiped, PAGE, MADV_WIPEONFORK) == 0);
	pid_t pid = fork();
	if (pid == 0) {
		int ok = private[0] == 1 && private[n - 1] == 1 && shared[0] == 1 && wiped[0] == 0;
		memset(private, 2, n);
		shared[0] = 2;
		shared[500 * PAGE] = 3; /* not touched before the fork */
		_exit(ok && private[n - 1] == 2 ? 11 : 1);
	}
	CHECK(pid > 0 && wait_status(pid) == 11);
	int same = 1;
	for (size_t i = 0; i < n; i += PAGE)
		same &= private[i] == 1;
	CHECK(same);
	CHECK(shared[0] == 2 && shared[500 * PAGE] == 3);
	private[0] = 5; /* the only owner again */
	CHECK(private[0] == 5);
	munmap(private, n);
	munmap(shared, n);
	munmap(wiped, PAGE);
}

static void reaching(void)
{
	char from[10000], to[10000];
	memset(from, 'f', sizeof from);
	struct iovec l = {to, sizeof to}, r = {from, sizeof from}, bad = {(void *)16, 100};
	CHECK(process_vm_readv(getpid(), &l, 1, &r, 1, 0) == sizeof to &&
	      memcmp(from, to, sizeof to) == 0);
	memset(to, 't', sizeof to);
	CHECK(process_vm_writev(getpid(), &l, 1, &r, 1, 0) == sizeof to && from[9999] == 't');
	CHECK_ERR(process_vm_readv(getpid(), &l, 1, &bad, 1, 0), EFAULT);
	CHECK_ERR(process_vm_readv(99999999, &l, 1, &r, 1, 0), ESRCH);
}

static void barriers(void)
{
	long have = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);
	CHECK(have > 0 && (have & MEMBARRIER_CMD_PRIVATE_EXPEDITED));
	CHECK_ERR(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0), EPERM);
	CHECK(syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0);
	CHECK(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0);
	CHECK_ERR(syscall(SYS_membarrier, 12345, 0, 0), EINVAL);
}

static void start_values(void)
{
	CHECK(getauxval(AT_PAGESZ) == PAGE && getauxval(AT_CLKTCK) == 100);
	CHECK(getauxval(AT_ENTRY) != 0 && getauxval(AT_PHNUM) > 0 && getauxval(AT_PHENT) == 56);
	CHECK(getauxval(AT_RANDOM) != 0 && getauxval(AT_SYSINFO_EHDR) != 0);
	CHECK(strcmp((char *)getauxval(AT_PLATFORM), "x86_64") == 0);
	CHECK(memcmp((void *)getauxval(AT_SYSINFO_EHDR), "\177ELF", 4) == 0);
	CHECK(getauxval(AT_MINSIGSTKSZ) >= 1024);
	struct timespec a, b;
	long backwards = 0;
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (int i = 0; i < 10000; i++) {
		clock_gettime(CLOCK_MONOTONIC, &b);
		backwards += b.tv_sec < a.tv_sec || (b.tv_sec == a.tv_sec && b.tv_nsec < a.tv_nsec);
		a = b;
	}
	CHECK(backwards == 0);
}

static int run(const char *path, char *const argv[])
{
	char *const env[] = {(char *)"K=V", NULL};
	pid_t pid = fork();
	if (pid == 0) {
		execve(path, argv, env);
		_exit(errno == ENOEXEC ? 101 : errno == EACCES ? 102 : errno == ENOENT ? 103 : 104);
	}
	return wait_status(pid);
}

static void write_file(const char *path, const void *data, size_t n, int mode)
{
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, mode);
	if (write(fd, data, n) != (ssize_t)n)
		CHECK(0);
	close(fd);
}

static void execution(const char *self)
{
	char *const again[] = {(char *)"name", (char *)"child", NULL};
	char line[300];
	CHECK(run(self, again) == 42);
	CHECK(run("/nowhere/at/all", again) == 103);
	write_file("/tmp/mm-text", "hello\n", 6, 0755);
	CHECK(run("/tmp/mm-text", again) == 101);
	write_file("/tmp/mm-cut", "\177ELF\2\1\1", 7, 0755);
	CHECK(run("/tmp/mm-cut", again) == 101);
	write_file("/tmp/mm-plain", "x", 1, 0644);
	CHECK(run("/tmp/mm-plain", again) == 102);
	int n = snprintf(line, sizeof line, "#!%s  child \n", self);
	write_file("/tmp/mm-script", line, (size_t)n, 0755);
	char *const script[] = {(char *)"/tmp/mm-script", NULL};
	CHECK(run("/tmp/mm-script", script) == 43);
	unlink("/tmp/mm-text");
	unlink("/tmp/mm-cut");
	unlink("/tmp/mm-plain");
	unlink("/tmp/mm-script");
}

int main(int argc, char **argv)
{
	char self[256];
	if (argc >= 2 && strcmp(argv[1], "child") == 0) {
		if (argc == 3)
			return strcmp(argv[2], "/tmp/mm-script") == 0 ? 43 : 1;
		return strcmp(argv[0], "name") == 0 && strcmp(getenv("K"), "V") == 0 ? 42 : 1;
	}
	signal(SIGBUS, on_fault);
	signal(SIGSEGV, on_fault);
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	CHECK(n > 0);
	self[n > 0 ? n : 0] = 0;
	files();
	forked();
	reaching();
	barriers();
	start_values();
	execution(self);
	return check_report();
}
