/* SPDX-License-Identifier: BSD-3-Clause */
/* Signals: handlers, masks, queueing, siginfo, alternate stacks, restart, faults, sigtimedwait,
 * suspend. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "check.h"

static volatile sig_atomic_t count, last_sig, last_code, last_value;
static volatile pid_t last_pid;
static void *volatile last_addr;

static void handler(int sig, siginfo_t *info, void *uc)
{
	(void)uc;
	count++;
	last_sig = sig;
	last_code = info->si_code;
	last_pid = info->si_pid;
	last_value = info->si_value.sival_int;
	last_addr = info->si_addr;
}

static void install(int sig, void (*fn)(int, siginfo_t *, void *), int flags)
{
	struct sigaction sa = {.sa_sigaction = fn, .sa_flags = SA_SIGINFO | flags};
	CHECK(sigaction(sig, &sa, NULL) == 0);
}

static void test_handler(void)
{
	struct sigaction old;
	install(SIGUSR1, handler, 0);
	CHECK(sigaction(SIGUSR1, NULL, &old) == 0 && old.sa_sigaction == handler);
	count = 0;
	CHECK(raise(SIGUSR1) == 0);
	CHECK(count == 1 && last_sig == SIGUSR1 && last_code == SI_TKILL);
	CHECK(kill(getpid(), SIGUSR1) == 0);
	CHECK(count == 2 && last_code == SI_USER && last_pid == getpid());
	CHECK_ERR(sigaction(SIGKILL, &old, NULL), EINVAL);
	CHECK_ERR(kill(getpid(), 65), EINVAL);
	CHECK_ERR(kill(99999, 0), ESRCH);
	CHECK(kill(getpid(), 0) == 0);
	CHECK_ERR(syscall(SYS_tgkill, getpid(), 99999, SIGUSR1), ESRCH);
}

static void test_mask(void)
{
	sigset_t set, old, pending;
	count = 0;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	CHECK(sigprocmask(SIG_BLOCK, &set, &old) == 0);
	CHECK(!sigismember(&old, SIGUSR1));
	raise(SIGUSR1);
	raise(SIGUSR1);
	CHECK(count == 0);
	CHECK(sigpending(&pending) == 0 && sigismember(&pending, SIGUSR1));
	CHECK(sigprocmask(SIG_UNBLOCK, &set, NULL) == 0);
	CHECK(count == 1); /* ordinary signals do not queue */
	CHECK_ERR(sigprocmask(77, &set, NULL), EINVAL);
}

static int order[8], norder;

static void note(int sig, siginfo_t *info, void *uc)
{
	(void)uc;
	(void)sig;
	if (norder < 8)
		order[norder++] = info->si_value.sival_int;
}

static void test_realtime(void)
{
	sigset_t set, old;
	install(SIGRTMIN + 1, note, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 1);
	sigprocmask(SIG_BLOCK, &set, &old);
	for (int i = 0; i < 5; i++) {
		union sigval v = {.sival_int = 10 + i};
		CHECK(sigqueue(getpid(), SIGRTMIN + 1, v) == 0);
	}
	sigprocmask(SIG_SETMASK, &old, NULL);
	CHECK(norder == 5);
	for (int i = 0; i < 5; i++)
		CHECK(order[i] == 10 + i);
}

static void test_wait(void)
{
	sigset_t set, old;
	siginfo_t info;
	struct timespec ts = {0, 20000000}, zero = {0, 0};
	union sigval v = {.sival_int = 42};
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, &old);
	CHECK_ERR(sigtimedwait(&set, &info, &zero), EAGAIN);
	double start = check_seconds();
	CHECK_ERR(sigtimedwait(&set, &info, &ts), EAGAIN);
	CHECK(check_seconds() - start >= 0.019);
	sigqueue(getpid(), SIGUSR2, v);
	CHECK(sigtimedwait(&set, &info, &ts) == SIGUSR2);
	CHECK(info.si_code == SI_QUEUE && info.si_value.sival_int == 42 && info.si_pid == getpid());
	int sig = 0;
	kill(getpid(), SIGUSR2);
	CHECK(sigwait(&set, &sig) == 0 && sig == SIGUSR2);
	sigprocmask(SIG_SETMASK, &old, NULL);
}

static void *kill_later(void *arg)
{
	usleep(30000);
	pthread_kill(*(pthread_t *)arg, SIGUSR1);
	return NULL;
}

static void test_interrupt(void)
{
	pthread_t self = pthread_self(), t;
	int fds[2];
	char byte;
	sigset_t set;
	CHECK(pipe(fds) == 0);
	install(SIGUSR1, handler, 0);
	count = 0;
	pthread_create(&t, NULL, kill_later, &self);
	CHECK_ERR(read(fds[0], &byte, 1), EINTR);
	pthread_join(t, NULL);
	CHECK(count == 1);

	pthread_create(&t, NULL, kill_later, &self);
	sigemptyset(&set);
	CHECK_ERR(sigsuspend(&set), EINTR);
	pthread_join(t, NULL);
	CHECK(count == 2);

	struct timespec ts = {1, 0}, rest = {0, 0};
	pthread_create(&t, NULL, kill_later, &self);
	CHECK_ERR(nanosleep(&ts, &rest), EINTR);
	pthread_join(t, NULL);
	CHECK(rest.tv_sec == 0 && rest.tv_nsec > 500000000);

	struct pollfd p = {.fd = fds[0], .events = POLLIN};
	pthread_create(&t, NULL, kill_later, &self);
	CHECK_ERR(poll(&p, 1, 2000), EINTR);
	pthread_join(t, NULL);
	close(fds[0]);
	close(fds[1]);
}

static int restart_pipe[2];

static void *kill_then_write(void *arg)
{
	usleep(30000);
	pthread_kill(*(pthread_t *)arg, SIGUSR1);
	usleep(30000);
	if (write(restart_pipe[1], "x", 1) != 1)
		return arg;
	return NULL;
}

static void test_restart(void)
{
	pthread_t self = pthread_self(), t;
	char byte = 0;
	CHECK(pipe(restart_pipe) == 0);
	install(SIGUSR1, handler, SA_RESTART);
	count = 0;
	pthread_create(&t, NULL, kill_then_write, &self);
	CHECK(read(restart_pipe[0], &byte, 1) == 1);
	CHECK(byte == 'x' && count == 1);
	pthread_join(t, NULL);
	/* A signal without handler does not end a sleep early. */
	signal(SIGURG, SIG_DFL);
	struct timespec ts = {0, 60000000};
	double start = check_seconds();
	pthread_create(&t, NULL, kill_later, &self);
	signal(SIGUSR1, SIG_IGN);
	CHECK(nanosleep(&ts, NULL) == 0);
	CHECK(check_seconds() - start >= 0.059);
	pthread_join(t, NULL);
}

static char altstack[65536];
static volatile uintptr_t handler_sp;

static void where(int sig, siginfo_t *info, void *uc)
{
	char here;
	(void)sig;
	(void)info;
	(void)uc;
	handler_sp = (uintptr_t)&here;
	stack_t st;
	if (sigaltstack(NULL, &st) == 0)
		last_value = st.ss_flags;
}

static void test_altstack(void)
{
	stack_t st = {.ss_sp = altstack, .ss_size = sizeof altstack}, old;
	CHECK(sigaltstack(&st, NULL) == 0);
	install(SIGUSR2, where, SA_ONSTACK);
	raise(SIGUSR2);
	CHECK(handler_sp >= (uintptr_t)altstack &&
	      handler_sp < (uintptr_t)altstack + sizeof altstack);
	CHECK(last_value == SS_ONSTACK);
	CHECK(sigaltstack(NULL, &old) == 0 && old.ss_flags == 0 && old.ss_sp == altstack);
	st.ss_size = 100;
	CHECK_ERR(sigaltstack(&st, NULL), ENOMEM);
	st.ss_flags = SS_DISABLE;
	CHECK(sigaltstack(&st, NULL) == 0);
	install(SIGUSR2, where, SA_ONSTACK);
	raise(SIGUSR2);
	CHECK(!(handler_sp >= (uintptr_t)altstack &&
		handler_sp < (uintptr_t)altstack + sizeof altstack));
}

static sigjmp_buf env;

static void jump(int sig, siginfo_t *info, void *uc)
{
	handler(sig, info, uc);
	siglongjmp(env, 1);
}

static volatile int *volatile low = (volatile int *)8;
static volatile char *volatile noncanonical = (volatile char *)0x8000000000000000ul;

static void test_faults(void)
{
	char *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	install(SIGSEGV, jump, 0);
	install(SIGFPE, jump, 0);
	install(SIGILL, jump, 0);
	install(SIGTRAP, handler, 0);
	count = 0;
	if (!sigsetjmp(env, 1))
		*(volatile char *)page = 1;
	CHECK(count == 1 && last_sig == SIGSEGV && last_code == SEGV_ACCERR && last_addr == page);
	munmap(page, 4096);
	if (!sigsetjmp(env, 1))
		(void)*(volatile char *)page;
	CHECK(count == 2 && last_code == SEGV_MAPERR && last_addr == page);
	if (!sigsetjmp(env, 1))
		*low = 1;
	CHECK(count == 3 && last_addr == (void *)8);
	volatile int zero = 0;
	if (!sigsetjmp(env, 1))
		last_value = 7 / zero;
	CHECK(count == 4 && last_sig == SIGFPE && last_code == FPE_INTDIV);
	if (!sigsetjmp(env, 1))
		__asm__ volatile("ud2");
	CHECK(count == 5 && last_sig == SIGILL);
	__asm__ volatile("int3");
	CHECK(count == 6 && last_sig == SIGTRAP);
	if (!sigsetjmp(env, 1))
		((void (*)(void))16)();
	CHECK(count == 7 && last_sig == SIGSEGV && last_addr == (void *)16);
	if (!sigsetjmp(env, 1)) /* not canonical: general protection */
		(void)*noncanonical;
	CHECK(count == 8 && last_sig == SIGSEGV);
	signal(SIGSEGV, SIG_DFL);
}

static void skip(int sig, siginfo_t *info, void *v)
{
	ucontext_t *uc = v;
	(void)sig;
	(void)info;
	uc->uc_mcontext.gregs[REG_RIP] += 2; /* ud2 */
	uc->uc_mcontext.gregs[REG_RBX] = 0x1234;
}

static void test_context(void)
{
	unsigned long rbx = 1;
	install(SIGILL, skip, 0);
	__asm__ volatile("ud2" : "+b"(rbx));
	CHECK(rbx == 0x1234);
	/* The red zone below the stack pointer and vector registers survive a handler. */
	double x = 1.5, y = 2.25;
	unsigned long seen;
	__asm__ volatile("movsd %2, %%xmm15\n movq $0x77, -64(%%rsp)\n ud2\n movq -64(%%rsp), %0\n"
			 "addsd %%xmm15, %1"
			 : "=r"(seen), "+x"(x)
			 : "m"(y)
			 : "xmm15", "memory");
	CHECK(seen == 0x77);
	CHECK(x == 3.75);
}

static volatile sig_atomic_t depth, nested;

static void reenter(int sig, siginfo_t *info, void *uc)
{
	(void)info;
	(void)uc;
	depth++;
	if (depth > nested)
		nested = depth;
	if (nested == 1)
		raise(sig);
	depth--;
}

static void test_flags(void)
{
	install(SIGUSR1, reenter, SA_NODEFER);
	raise(SIGUSR1);
	CHECK(nested == 2);
	install(SIGUSR1, handler, SA_RESETHAND);
	count = 0;
	raise(SIGUSR1);
	CHECK(count == 1);
	struct sigaction sa;
	sigaction(SIGUSR1, NULL, &sa);
	CHECK(sa.sa_handler == SIG_DFL);
	signal(SIGUSR1, SIG_IGN);
	raise(SIGUSR1);
	CHECK(count == 1);
}

static volatile sig_atomic_t in_thread;

static void mark(int sig, siginfo_t *info, void *uc)
{
	(void)sig;
	(void)info;
	(void)uc;
	in_thread = (int)syscall(SYS_gettid);
}

static void *take(void *arg)
{
	sigset_t set;
	sigfillset(&set);
	sigdelset(&set, SIGUSR2);
	pthread_sigmask(SIG_SETMASK, &set, NULL);
	*(int *)arg = (int)syscall(SYS_gettid);
	for (int i = 0; i < 2000 && !in_thread; i++)
		usleep(1000);
	return NULL;
}

static void test_thread_choice(void)
{
	sigset_t set, old;
	pthread_t t;
	int tid = 0;
	install(SIGUSR2, mark, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	pthread_sigmask(SIG_BLOCK, &set, &old);
	pthread_create(&t, NULL, take, &tid);
	while (!*(volatile int *)&tid)
		usleep(1000);
	kill(getpid(), SIGUSR2);
	pthread_join(t, NULL);
	CHECK(in_thread == tid);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

int main(void)
{
	test_handler();
	test_mask();
	test_realtime();
	test_wait();
	test_interrupt();
	test_restart();
	test_altstack();
	test_faults();
	test_context();
	test_flags();
	test_thread_choice();
	return check_report();
}
