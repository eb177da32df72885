/* SPDX-License-Identifier: BSD-3-Clause */
/* Resource limits, ids, capabilities, prctl, uname, sysinfo. */
#define _GNU_SOURCE
#include <asm/prctl.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "check.h"

static void test_limits(void)
{
	struct rlimit l, old;
	for (int r = 0; r < RLIM_NLIMITS; r++)
		CHECK(getrlimit(r, &l) == 0 && l.rlim_cur <= l.rlim_max);
	CHECK_ERR(getrlimit(77, &l), EINVAL);
	CHECK(getrlimit(RLIMIT_NOFILE, &old) == 0);
	l = old;
	l.rlim_cur = 16;
	CHECK(setrlimit(RLIMIT_NOFILE, &l) == 0);
	int fds[32], n = 0;
	while (n < 32 && (fds[n] = dup(1)) >= 0)
		n++;
	CHECK(n < 16 && errno == EMFILE);
	while (n-- > 0)
		close(fds[n]);
	CHECK(prlimit(0, RLIMIT_NOFILE, &old, &l) == 0 && l.rlim_cur == 16);
	CHECK(prlimit(getpid(), RLIMIT_NOFILE, NULL, &l) == 0 && l.rlim_cur == old.rlim_cur);
	l = (struct rlimit){10, 5};
	CHECK_ERR(setrlimit(RLIMIT_CORE, &l), EINVAL);
	CHECK_ERR(prlimit(99999, RLIMIT_CORE, NULL, &l), ESRCH);
	CHECK(getrlimit(RLIMIT_STACK, &l) == 0 && l.rlim_cur >= 1 << 20);
}

static volatile sig_atomic_t xcpu;

static void on_xcpu(int sig)
{
	(void)sig;
	xcpu++;
}

static void test_cpu_limit(void)
{
	struct rlimit l, old;
	signal(SIGXCPU, on_xcpu);
	getrlimit(RLIMIT_CPU, &old);
	l = old;
	l.rlim_cur = 1;
	CHECK(setrlimit(RLIMIT_CPU, &l) == 0);
	double end = check_seconds() + 15;
	while (!xcpu && check_seconds() < end)
		;
	CHECK(xcpu >= 1);
	CHECK(setrlimit(RLIMIT_CPU, &old) == 0);
}

static void test_ids(void)
{
	uid_t r, e, s;
	CHECK(getpid() > 0 && getppid() >= 0);
	CHECK(getpgid(0) == getpgrp());
	CHECK(getsid(0) > 0 || getsid(0) == 0);
	CHECK(getresuid(&r, &e, &s) == 0 && r == getuid() && e == geteuid());
	CHECK(getresgid(&r, &e, &s) == 0 && r == getgid() && e == getegid());
	CHECK(setuid(getuid()) == 0);
	CHECK(setgid(getgid()) == 0);
	CHECK(setresuid(-1, -1, -1) == 0);
	int n = getgroups(0, NULL);
	CHECK(n >= 0);
	CHECK_ERR(syscall(SYS_getgroups, -1, NULL), EINVAL);
	CHECK_ERR(getpgid(99999), ESRCH);
	CHECK_ERR(setpgid(-1, 0), EINVAL);
}

static void test_capabilities(void)
{
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct d[2];
	CHECK(syscall(SYS_capget, &h, d) == 0);
	CHECK(syscall(SYS_capset, &h, d) == 0);
	h.version = 1;
	CHECK_ERR(syscall(SYS_capget, &h, d), EINVAL);
	CHECK(h.version == _LINUX_CAPABILITY_VERSION_3);
	CHECK(prctl(PR_CAPBSET_READ, CAP_CHOWN) >= 0);
	CHECK_ERR(prctl(PR_CAPBSET_READ, 200), EINVAL);
}

static void test_prctl(void)
{
	char name[17] = {0};
	CHECK(prctl(PR_SET_NAME, "a-name-that-is-too-long") == 0);
	CHECK(prctl(PR_GET_NAME, name) == 0);
	CHECK(strcmp(name, "a-name-that-is-") == 0);
	int sig = -1;
	CHECK(prctl(PR_SET_PDEATHSIG, SIGTERM) == 0);
	CHECK(prctl(PR_GET_PDEATHSIG, &sig) == 0 && sig == SIGTERM);
	CHECK_ERR(prctl(PR_SET_PDEATHSIG, 1000), EINVAL);
	CHECK(prctl(PR_SET_PDEATHSIG, 0) == 0);
	CHECK(prctl(PR_SET_DUMPABLE, 0) == 0);
	CHECK(prctl(PR_GET_DUMPABLE) == 0);
	CHECK(prctl(PR_SET_DUMPABLE, 1) == 0);
	CHECK(prctl(PR_GET_DUMPABLE) == 1);
	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	CHECK_ERR(prctl(12345), EINVAL);
	unsigned long fs = 0;
	CHECK(syscall(SYS_arch_prctl, ARCH_GET_FS, &fs) == 0 && fs != 0);
	CHECK_ERR(syscall(SYS_arch_prctl, 0x7777, 0), EINVAL);
}

static void test_system(void)
{
	struct utsname u;
	struct sysinfo s;
	CHECK(uname(&u) == 0);
	CHECK(strcmp(u.sysname, "Linux") == 0 && strcmp(u.machine, "x86_64") == 0);
	CHECK(u.release[0] >= '3' && u.nodename[0]);
	CHECK_ERR(syscall(SYS_uname, (void *)8), EFAULT);
	CHECK(sysinfo(&s) == 0);
	CHECK(s.totalram > 0 && s.freeram <= s.totalram && s.procs > 0 && s.mem_unit > 0);
	char host[65];
	CHECK(gethostname(host, sizeof host) == 0 && strcmp(host, u.nodename) == 0);
	CHECK(sysconf(_SC_NPROCESSORS_ONLN) >= 1);
	CHECK(sysconf(_SC_PAGESIZE) == 4096);
	CHECK_ERR(syscall(471), ENOSYS);
	CHECK_ERR(syscall(5000), ENOSYS);
	CHECK_ERR(syscall(-1), ENOSYS);
}

int main(void)
{
	test_limits();
	test_ids();
	test_capabilities();
	test_prctl();
	test_system();
	test_cpu_limit();
	return check_report();
}
