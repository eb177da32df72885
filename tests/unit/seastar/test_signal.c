/* SPDX-License-Identifier: BSD-3-Clause */
/* Signals as events of shard 0, the orderly stop they cause, and the stall detector. */
#include <seastar/seastar.h>
#include <seastar/test.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void note(void *arg)
{
	SS_CHECK(ss_on_shard() && ss_shard_id() == 0);
	++*(int *)arg;
}

static void *send_signal(void *arg)
{
	kill(getpid(), *(int *)arg);
	return NULL;
}

SS_TEST(handlers)
{
	int first = 0, second = 0, signo = SIGUSR2;
	pthread_t t;

	SS_REQUIRE(ss_signal_handle(SIGUSR1, note, &first) == 0);
	SS_REQUIRE(ss_signal_handle(SIGUSR2, note, &second) == 0);
	SS_CHECK(ss_signal_handle(0, note, &first) == -EINVAL);
	SS_CHECK(ss_signal_handle(65, note, &first) == -EINVAL);
	SS_CHECK(ss_signal_handle(SIGKILL, note, &first) == -EINVAL);
	raise(SIGUSR1);
	SS_CHECK(first == 0); /* not in the handler, in the loop */
	while (!first)
		SS_TRY(ss_sleep(SS_MSEC));
	/* From another thread, while the reactor sleeps. */
	SS_REQUIRE(pthread_create(&t, NULL, send_signal, &signo) == 0);
	while (!second)
		SS_TRY(ss_sleep(SS_MSEC));
	pthread_join(t, NULL);
	SS_CHECK(first == 1 && second == 1);
	/* Another function for the same signal. */
	SS_REQUIRE(ss_signal_handle(SIGUSR1, note, &second) == 0);
	raise(SIGUSR1);
	while (second < 2)
		SS_TRY(ss_sleep(SS_MSEC));
	SS_CHECK(first == 1);
	return 0;
}

SS_TEST(stop)
{
	ss_future f = ss_app_wait_stop();
	ss_result r;

	SS_CHECK(!ss_available(f) && !ss_abort_check(ss_app_stop_source()));
	raise(SIGTERM);
	SS_TRY(f);
	SS_CHECK(ss_abort_check(ss_app_stop_source()) != 0);
	r = ss_await(ss_sleep_abortable(1000 * SS_SEC, ss_app_stop_source()));
	SS_CHECK(r.err != 0);
	return 0;
}

/* Standard error into a file, and back. */
struct capture {
	char path[64];
	int fd, old;
};

static int capture_start(struct capture *c)
{
	strcpy(c->path, "signal-test-XXXXXX");
	c->fd = mkstemp(c->path);
	if (c->fd < 0)
		return -errno;
	c->old = dup(STDERR_FILENO);
	dup2(c->fd, STDERR_FILENO);
	return 0;
}

static off_t capture_size(const struct capture *c)
{
	struct stat st;

	return fstat(c->fd, &st) ? 0 : st.st_size;
}

static void capture_end(struct capture *c, char *text, size_t n)
{
	ssize_t k;

	dup2(c->old, STDERR_FILENO);
	close(c->old);
	k = pread(c->fd, text, n - 1, 0);
	text[k > 0 ? k : 0] = '\0';
	close(c->fd);
	unlink(c->path);
}

/* Block the shard until the detector says so. */
static void block(const struct capture *c)
{
	off_t before = capture_size(c);
	uint64_t end = ss_now() + 30 * SS_SEC;

	while (capture_size(c) == before && ss_now() < end)
		;
}

static unsigned count(const char *text, const char *what)
{
	unsigned n = 0;

	while ((text = strstr(text, what))) {
		n++;
		text++;
	}
	return n;
}

SS_TEST(stalls)
{
	struct capture c;
	static char text[65536];
	uint64_t end;

	SS_REQUIRE(capture_start(&c) == 0);
	for (int i = 0; i < 2; i++) {
		block(&c);
		SS_TRY(ss_yield());
	}
	capture_end(&c, text, sizeof(text));
	SS_CHECK(count(text, "Reactor stalled for 20 ms on shard 0. Backtrace:") == 2);
	SS_CHECK(count(text, "[0x") >= 4 || count(text, "(+0x") >= 4); /* frames */
	/* A task that gives way is no stall, however long it takes. */
	SS_REQUIRE(capture_start(&c) == 0);
	end = ss_now() + 60 * SS_MSEC;
	while (ss_now() < end)
		SS_TRY(ss_yield());
	capture_end(&c, text, sizeof(text));
	SS_CHECK(count(text, "stalled") == 0);
	return 0;
}

static const struct ss_test tests[] = {
    {"handlers", handlers},
    {"handlers, two shards", handlers, "-c2"},
    {"stop", stop},
    {"stop, two shards", stop, "-c2", .once = true},
    {"stalls", stalls, "-c1 --blocked-reactor-notify-ms=20"},
    {NULL},
};

int main(int argc, char **argv)
{
	struct sigaction usr, term;
	int status = ss_test_main(argc, argv, tests);

	/* What was there before the program is there again. */
	sigaction(SIGUSR1, NULL, &usr);
	sigaction(SIGTERM, NULL, &term);
	if (usr.sa_handler != SIG_DFL || term.sa_handler != SIG_DFL) {
		printf("# signal handlers are left behind\n");
		return 1;
	}
	return status;
}
