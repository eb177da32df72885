/* SPDX-License-Identifier: BSD-3-Clause */
/* Decoding of system calls for --strace. */
#include "sys/strace.h"

#include <linux/fcntl.h>
#include <linux/futex.h>
#include <linux/mman.h>
#include <linux/prctl.h>
#include <linux/resource.h>
#include <linux/sched.h>
#include <linux/socket.h>
#include <linux/time.h>

#include "arch/x86/percpu.h"
#include "arch/x86/trapframe.h"
#include "core/log.h"
#include "lib/string.h"
#include "mm/uaccess.h"
#include "proc/signal_names.h"
#include "sched/thread.h"
#include "sys/syscall.h"

struct name {
	uint64_t value;
	const char *name;
};
#define N(x)          \
	{             \
		x, #x \
	}

static const struct name prot_bits[] = {N(PROT_READ), N(PROT_WRITE), N(PROT_EXEC)};
static const struct name map_bits[] = {N(MAP_SHARED), N(MAP_PRIVATE), N(MAP_FIXED),
    N(MAP_ANONYMOUS), N(MAP_GROWSDOWN), N(MAP_DENYWRITE), N(MAP_LOCKED), N(MAP_NORESERVE),
    N(MAP_POPULATE), N(MAP_NONBLOCK), N(MAP_STACK), N(MAP_HUGETLB), N(MAP_FIXED_NOREPLACE)};
static const struct name open_bits[] = {N(O_WRONLY), N(O_RDWR), N(O_CREAT), N(O_EXCL), N(O_NOCTTY),
    N(O_TRUNC), N(O_APPEND), N(O_NONBLOCK), N(O_DSYNC), N(O_DIRECT), N(O_LARGEFILE), N(O_DIRECTORY),
    N(O_NOFOLLOW), N(O_NOATIME), N(O_CLOEXEC), N(O_PATH)};
static const struct name clone_bits[] = {N(CLONE_VM), N(CLONE_FS), N(CLONE_FILES), N(CLONE_SIGHAND),
    N(CLONE_PIDFD), N(CLONE_PTRACE), N(CLONE_VFORK), N(CLONE_PARENT), N(CLONE_THREAD),
    N(CLONE_NEWNS), N(CLONE_SYSVSEM), N(CLONE_SETTLS), N(CLONE_PARENT_SETTID),
    N(CLONE_CHILD_CLEARTID), N(CLONE_DETACHED), N(CLONE_UNTRACED), N(CLONE_CHILD_SETTID)};
static const struct name clocks[] = {N(CLOCK_REALTIME), N(CLOCK_MONOTONIC),
    N(CLOCK_PROCESS_CPUTIME_ID), N(CLOCK_THREAD_CPUTIME_ID), N(CLOCK_MONOTONIC_RAW),
    N(CLOCK_REALTIME_COARSE), N(CLOCK_MONOTONIC_COARSE), N(CLOCK_BOOTTIME), N(CLOCK_REALTIME_ALARM),
    N(CLOCK_BOOTTIME_ALARM), N(CLOCK_TAI)};
static const struct name futex_ops[] = {N(FUTEX_WAIT), N(FUTEX_WAKE), N(FUTEX_REQUEUE),
    N(FUTEX_CMP_REQUEUE), N(FUTEX_WAKE_OP), N(FUTEX_LOCK_PI), N(FUTEX_UNLOCK_PI),
    N(FUTEX_TRYLOCK_PI), N(FUTEX_WAIT_BITSET), N(FUTEX_WAKE_BITSET), N(FUTEX_WAIT_REQUEUE_PI),
    N(FUTEX_CMP_REQUEUE_PI), N(FUTEX_LOCK_PI2)};
static const struct name whences[] = {
    {0, "SEEK_SET"}, {1, "SEEK_CUR"}, {2, "SEEK_END"}, {3, "SEEK_DATA"}, {4, "SEEK_HOLE"}};
static const struct name hows[] = {{0, "SIG_BLOCK"}, {1, "SIG_UNBLOCK"}, {2, "SIG_SETMASK"}};
static const struct name resources[] = {N(RLIMIT_CPU), N(RLIMIT_FSIZE), N(RLIMIT_DATA),
    N(RLIMIT_STACK), N(RLIMIT_CORE), N(RLIMIT_RSS), N(RLIMIT_NPROC), N(RLIMIT_NOFILE),
    N(RLIMIT_MEMLOCK), N(RLIMIT_AS), N(RLIMIT_LOCKS), N(RLIMIT_SIGPENDING), N(RLIMIT_MSGQUEUE),
    N(RLIMIT_NICE), N(RLIMIT_RTPRIO), N(RLIMIT_RTTIME)};
static const struct name fcntls[] = {N(F_DUPFD), N(F_GETFD), N(F_SETFD), N(F_GETFL), N(F_SETFL),
    N(F_GETLK), N(F_SETLK), N(F_SETLKW), N(F_SETOWN), N(F_GETOWN), N(F_SETSIG), N(F_GETSIG),
    N(F_OFD_GETLK), N(F_OFD_SETLK), N(F_OFD_SETLKW), N(F_DUPFD_CLOEXEC), N(F_SETPIPE_SZ),
    N(F_GETPIPE_SZ), N(F_ADD_SEALS), N(F_GET_SEALS)};
static const struct name prctls[] = {N(PR_SET_PDEATHSIG), N(PR_GET_DUMPABLE), N(PR_SET_DUMPABLE),
    N(PR_SET_KEEPCAPS), N(PR_SET_NAME), N(PR_GET_NAME), N(PR_GET_SECCOMP), N(PR_SET_SECCOMP),
    N(PR_CAPBSET_READ), N(PR_CAPBSET_DROP), N(PR_SET_TIMERSLACK), N(PR_SET_NO_NEW_PRIVS),
    N(PR_GET_NO_NEW_PRIVS), N(PR_SET_THP_DISABLE), N(PR_SET_VMA), N(PR_SET_CHILD_SUBREAPER)};
static const struct name advices[] = {N(MADV_NORMAL), N(MADV_RANDOM), N(MADV_SEQUENTIAL),
    N(MADV_WILLNEED), N(MADV_DONTNEED), N(MADV_FREE), N(MADV_HUGEPAGE), N(MADV_NOHUGEPAGE),
    N(MADV_DONTFORK), N(MADV_DONTDUMP)};
static const struct name families[] = {
    {0, "AF_UNSPEC"}, {1, "AF_UNIX"}, {2, "AF_INET"}, {10, "AF_INET6"}, {16, "AF_NETLINK"}};

/* Appends formatted text; the line is cut where it is full. */
static size_t add(char *buf, size_t size, size_t len, const char *fmt, ...) PRINTF_LIKE(4, 5);
static size_t add(char *buf, size_t size, size_t len, const char *fmt, ...)
{
	va_list ap;
	if (len + 1 >= size)
		return len;
	va_start(ap, fmt);
	int n = vsnprintf(buf + len, size - len, fmt, ap);
	va_end(ap);
	return MIN(len + (size_t)n, size - 1);
}

static size_t add_name(
    char *buf, size_t size, size_t len, const struct name *t, size_t n, uint64_t v)
{
	for (size_t i = 0; i < n; i++)
		if (t[i].value == v)
			return add(buf, size, len, "%s", t[i].name);
	return add(buf, size, len, "%#lx", v);
}

static size_t add_bits(char *buf, size_t size, size_t len, const struct name *t, size_t n,
    uint64_t v, const char *zero)
{
	const char *bar = "";
	if (!v)
		return add(buf, size, len, "%s", zero);
	for (size_t i = 0; i < n; i++) {
		if ((v & t[i].value) != t[i].value)
			continue;
		len = add(buf, size, len, "%s%s", bar, t[i].name);
		v &= ~t[i].value;
		bar = "|";
	}
	return v ? add(buf, size, len, "%s%#lx", bar, v) : len;
}

static size_t add_char(char *buf, size_t size, size_t len, unsigned char c)
{
	switch (c) {
	case '\n':
		return add(buf, size, len, "\\n");
	case '\r':
		return add(buf, size, len, "\\r");
	case '\t':
		return add(buf, size, len, "\\t");
	case '"':
	case '\\':
		return add(buf, size, len, "\\%c", c);
	}
	return add(buf, size, len, c >= 32 && c < 127 ? "%c" : "\\x%02x", c);
}

/* Bytes of the application in quotes; at most 32 are shown. */
static size_t add_bytes(char *buf, size_t size, size_t len, uint64_t p, uint64_t n)
{
	unsigned char tmp[32];
	size_t want = MIN(n, (uint64_t)sizeof tmp);
	if (!p)
		return add(buf, size, len, "NULL");
	size_t got = want - copy_from_user_partial(tmp, (const void __user *)p, want);
	if (want && !got)
		return add(buf, size, len, "%#lx", p);
	len = add(buf, size, len, "\"");
	for (size_t i = 0; i < got; i++)
		len = add_char(buf, size, len, tmp[i]);
	return add(buf, size, len, got < n ? "\"..." : "\"");
}

static size_t add_string(char *buf, size_t size, size_t len, uint64_t p)
{
	char tmp[129];
	if (!p)
		return add(buf, size, len, "NULL");
	long n = strncpy_from_user(tmp, (const char __user *)p, sizeof tmp);
	if (n == -EFAULT)
		return add(buf, size, len, "%#lx", p);
	return add_bytes(buf, size, len, p, n < 0 ? sizeof tmp : (uint64_t)n);
}

static size_t add_strings(char *buf, size_t size, size_t len, uint64_t p)
{
	if (!p)
		return add(buf, size, len, "NULL");
	len = add(buf, size, len, "[");
	for (unsigned i = 0; i < 6; i++) {
		uint64_t s;
		if (get_user(s, (const uint64_t __user *)p + i))
			return add(buf, size, len, "?]");
		if (!s)
			return add(buf, size, len, "]");
		len = add_string(buf, size, add(buf, size, len, "%s", i ? ", " : ""), s);
	}
	return add(buf, size, len, ", ...]");
}

static size_t add_timespec(char *buf, size_t size, size_t len, uint64_t p)
{
	int64_t ts[2];
	if (!p)
		return add(buf, size, len, "NULL");
	if (copy_from_user(ts, (const void __user *)p, sizeof ts))
		return add(buf, size, len, "%#lx", p);
	return add(buf, size, len, "{%ld, %ld}", ts[0], ts[1]);
}

static size_t add_sigset(char *buf, size_t size, size_t len, uint64_t p)
{
	uint64_t set;
	const char *sep = "";
	if (!p)
		return add(buf, size, len, "NULL");
	if (get_user(set, (const uint64_t __user *)p))
		return add(buf, size, len, "%#lx", p);
	if (~set == 0)
		return add(buf, size, len, "~[]");
	len = add(buf, size, len, "[");
	for (int sig = 1; sig <= 64; sig++) {
		if (!(set >> (sig - 1) & 1))
			continue;
		len = add(buf, size, len, "%s%s", sep, signal_name(sig));
		sep = " ";
	}
	return add(buf, size, len, "]");
}

static size_t add_sockaddr(char *buf, size_t size, size_t len, uint64_t p, uint64_t n)
{
	unsigned char a[110] = {0};
	if (!p || n < 2 ||
	    copy_from_user(a, (const void __user *)p, MIN(n, (uint64_t)sizeof a - 1)))
		return add(buf, size, len, "%#lx", p);
	unsigned family = a[0] | a[1] << 8, port = a[2] << 8 | a[3];
	if (family == 1)
		return add(buf, size, len, "{AF_UNIX, \"%s%s\"}", a[2] ? "" : "@",
		    (char *)(a[2] ? a + 2 : a + 3));
	if (family == 2)
		return add(
		    buf, size, len, "{AF_INET, %u.%u.%u.%u:%u}", a[4], a[5], a[6], a[7], port);
	return add(buf, size, len, "{family %u, port %u}", family, port);
}

#define NAMED(table) add_name(buf, size, len, table, ARRAY_SIZE(table), v)
#define BITS(table, zero) add_bits(buf, size, len, table, ARRAY_SIZE(table), v, zero)

/* The letters that look a value up in a table of names. */
static size_t add_symbol(char *buf, size_t size, size_t len, char letter, uint64_t v)
{
	switch (letter) {
	case 'O':
		return (v & 3)
			   ? BITS(open_bits, "")
			   : add_bits(buf, size, add(buf, size, len, v ? "O_RDONLY|" : "O_RDONLY"),
				 open_bits, ARRAY_SIZE(open_bits), v, "");
	case 'R':
		return BITS(prot_bits, "PROT_NONE");
	case 'M':
		return BITS(map_bits, "0");
	case 'k':
		len = BITS(clone_bits, "0");
		return len;
	case 'W':
		return NAMED(whences);
	case 'C':
		return NAMED(clocks);
	case 'h':
		return NAMED(hows);
	case 'r':
		return NAMED(resources);
	case 'F':
		return NAMED(fcntls);
	case 'P':
		return NAMED(prctls);
	case 'D':
		return NAMED(advices);
	case 'y':
		return NAMED(families);
	case 'g':
		return add(buf, size, len, "%s", signal_name((int)v));
	case 'w':
		len = add_name(buf, size, len, futex_ops, ARRAY_SIZE(futex_ops),
		    v & ~(uint64_t)(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME));
		len = add(buf, size, len, "%s", v & FUTEX_PRIVATE_FLAG ? "_PRIVATE" : "");
		return add(buf, size, len, "%s", v & FUTEX_CLOCK_REALTIME ? "|REALTIME" : "");
	}
	return add(buf, size, len, "%#lx", v);
}

size_t strace_argument(char *buf, size_t size, size_t len, char letter, uint64_t v, uint64_t next)
{
	switch (letter) {
	case 'd':
	case 'f':
	case 't':
		return add(buf, size, len, "%d", (int)v);
	case 'A':
		return (int)v == AT_FDCWD ? add(buf, size, len, "AT_FDCWD")
					  : add(buf, size, len, "%d", (int)v);
	case 'u':
		return add(buf, size, len, "%lu", v);
	case 'l':
		return add(buf, size, len, "%ld", (long)v);
	case 'm':
		return add(buf, size, len, "%#o", (unsigned)v);
	case 'p':
	case 'B':
		return v ? add(buf, size, len, "%#lx", v) : add(buf, size, len, "NULL");
	case 's':
		return add_string(buf, size, len, v);
	case 'a':
		return add_strings(buf, size, len, v);
	case 'b':
		return add_bytes(buf, size, len, v, next);
	case 'T':
		return add_timespec(buf, size, len, v);
	case 'S':
		return add_sigset(buf, size, len, v);
	case 'c':
		return add_sockaddr(buf, size, len, v, next);
	}
	return add_symbol(buf, size, len, letter, v);
}

/* Strace lines reach the console at whatever level it shows. */
static void print_line(const struct strace *s)
{
	klog(log_console_level < 0 ? LOG_EMERG : (enum log_level)log_console_level, "[%d] %s",
	    current_thread()->tid, s->line);
}

static size_t format_arguments(struct strace *s, bool after, long result)
{
	const char *format = syscall_arguments(s->nr), *name = syscall_name(s->nr);
	char *buf = s->line;
	size_t size = sizeof s->line, len = 0;
	len = name ? add(buf, size, len, "%s(", name) : add(buf, size, len, "call_%ld(", s->nr);
	for (unsigned i = 0; i < 6 && format[i] && format[i] != ':'; i++) {
		len = add(buf, size, len, "%s", i ? ", " : "");
		uint64_t next = i < 5 ? s->arg[i + 1] : 0;
		if (format[i] == 'B' && after && result >= 0)
			len = add_bytes(buf, size, len, s->arg[i], (uint64_t)result);
		else
			len = strace_argument(buf, size, len, format[i], s->arg[i], next);
	}
	return add(buf, size, len, ")");
}

void strace_enter(struct strace *s, const struct trapframe *f)
{
	const uint64_t arg[6] = {f->rdi, f->rsi, f->rdx, f->r10, f->r8, f->r9};
	s->nr = (long)f->error;
	memcpy(s->arg, arg, sizeof arg);
	const char *name = syscall_name(s->nr);
	s->split = name && (!strcmp(name, "exit") || !strcmp(name, "exit_group") ||
			       !strcmp(name, "execve") || !strcmp(name, "rt_sigreturn"));
	s->len = format_arguments(s, false, 0);
	if (s->split)
		print_line(s);
}

void strace_exit(struct strace *s, long result)
{
	if (s->split && result >= 0)
		return;
	if (strchr(syscall_arguments(s->nr), 'B'))
		s->len = format_arguments(s, true, result);
	const char *form = strchr(syscall_arguments(s->nr), ':');
	if (result < 0 && result >= -4095)
		add(s->line, sizeof s->line, s->len, " = -1 %s", errno_name((int)-result));
	else
		add(s->line, sizeof s->line, s->len, form ? " = %#lx" : " = %ld", result);
	print_line(s);
}
