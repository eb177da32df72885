/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Back ends where the system forbids them: a system call filter refuses what they are made of, and
 * the program has to run all the same.
 */
#include <seastar/seastar.h>
#include <seastar/test.h>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

SS_FIBER(answer, ss_listener *l;)
{
	ss_auto_conn c = SS_TRY_PTR(ss_accept(self->l));

	SS_TRY(ss_output_write(ss_conn_output(c), "hello", 5));
	return SS_TRY(ss_output_close(ss_conn_output(c)));
}

/* A bit of everything a back end does: sockets, timers, files. */
SS_TEST(works)
{
	ss_addr any = ss_addr_loopback(0), a;
	ss_listener *l = SS_TRY_PTR(ss_listen(&any, NULL));
	char path[] = "/tmp/seastar-backend-XXXXXX", b[16];
	int fd = mkstemp(path);
	ss_file *f;
	ss_future s;
	ss_conn *c;

	ss_listener_addr(l, &a);
	s = ss_async(answer, l);
	c = SS_TRY_PTR(ss_connect(&a));
	SS_CHECK(SS_TRY(ss_input_read_exactly(ss_conn_input(c), b, 16)) == 5);
	SS_CHECK(memcmp(b, "hello", 5) == 0);
	SS_TRY(s);
	ss_conn_close(c);
	ss_listener_close(l);
	SS_TRY(ss_sleep(SS_MSEC));
	SS_REQUIRE(fd >= 0);
	f = SS_TRY_PTR(ss_file_open(path, O_RDWR, 0));
	{
		char *page = ss_file_buffer(f, 4096);

		memset(page, 'x', 4096);
		SS_CHECK(SS_TRY(ss_file_write(f, 0, page, 4096)) == 4096);
		SS_TRY(ss_file_sync(f));
		memset(page, 0, 4096);
		SS_CHECK(SS_TRY(ss_file_read(f, 0, page, 4096)) == 4096 && page[4095] == 'x');
		ss_free(page);
	}
	ss_file_close(f);
	close(fd);
	unlink(path);
	return 0;
}

/* Let two system calls fail with an error. */
static int forbid(int first, int second, int err)
{
	struct sock_filter code[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)first, 2, 0),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)second, 1, 0),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)err),
	};
	struct sock_fprog prog = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog);
}

static const struct ss_test tests[] = {
    {"auto", works, "-c1"},
    {"io_uring", works, "-c1 --reactor-backend=io_uring"},
    {"linux-aio", works, "-c1 --reactor-backend=linux-aio"},
    {"epoll", works, "-c1 --reactor-backend=epoll"},
    {NULL},
};

/* All tests in a process of their own with the filter; returns its exit status. */
static int run_forbidden(const char *what, int first, int second, int err)
{
	char *argv[] = {(char *)(uintptr_t) "test", NULL};
	int status;
	pid_t pid;

	printf("# %s\n", what);
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		freopen("/dev/null", "w", stdout); /* one plan in the output is enough */
		if (forbid(first, second, err)) {
			fprintf(stderr, "no system call filters here: not tested\n");
			_exit(0);
		}
		_exit(ss_test_main(1, argv, tests));
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return 1;
	if (status)
		printf("# failed with status %x\n", (unsigned)status);
	return status;
}

int main(int argc, char **argv)
{
	int bad = run_forbidden("io_uring refused", SYS_io_uring_setup, SYS_io_uring_setup, EPERM);

	bad |= run_forbidden("no io_uring", SYS_io_uring_setup, SYS_io_uring_enter, ENOSYS);
	bad |= run_forbidden("neither io_uring nor aio", SYS_io_uring_setup, SYS_io_setup, ENOSYS);
	return ss_test_main(argc, argv, tests) || bad ? 1 : 0;
}
