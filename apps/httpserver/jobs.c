/* SPDX-License-Identifier: BSD-3-Clause */
/* Programs started through the interface: starting, collecting, remembering. */
#include "jobs.h"
#include "api.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define OUTPUT_MAX (256u << 10)
#define COLLECTOR_STACK (128u << 10)
#define GRACE_MS 200 /* after the end, for what is still in the pipe */

extern char **environ;

struct job {
	int pid, pidfd; /* -1: ended and waited for */
	int in, out;	/* our ends of the pipes, -1 if closed */
	bool finished;
	int status; /* wait()'s */
	char *command;
	int64_t start_ms, end_ms;
	uint64_t written; /* bytes of output so far; the newest are kept */
	char *ring;	  /* OUTPUT_MAX bytes, made with the first output */
	size_t room;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct job *jobs[JOBS_MAX]; /* in order of start */
static unsigned njobs;
static int wake_pipe[2] = {-1, -1};

static struct job *find(int pid)
{
	for (unsigned i = njobs; i-- > 0;)
		if (jobs[i]->pid == pid)
			return jobs[i];
	return NULL;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void job_free(struct job *j)
{
	close_fd(&j->pidfd);
	close_fd(&j->in);
	close_fd(&j->out);
	free(j->command);
	free(j->ring);
	free(j);
}

/* ---- collecting ---- */

/* The ring grows with the output: most programs say little. */
static void keep(struct job *j, const char *p, size_t n)
{
	while (j->room < OUTPUT_MAX && j->written <= j->room && j->written + n > j->room) {
		size_t room = j->room ? j->room * 2 : 4096;
		char *ring = realloc(j->ring, room);
		if (!ring)
			break;
		j->ring = ring;
		j->room = room;
	}
	for (size_t i = 0; i < n && j->room; i++)
		j->ring[(j->written + i) % j->room] = p[i];
	j->written += n;
}

static void read_output(struct job *j)
{
	char buf[4096];
	ssize_t n = read(j->out, buf, sizeof buf);

	if (n > 0)
		keep(j, buf, (size_t)n);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		close_fd(&j->out);
}

static void reap(struct job *j)
{
	if (waitpid(j->pid, &j->status, WNOHANG) != j->pid)
		return;
	j->finished = true;
	j->end_ms = api_time_ms();
	close_fd(&j->pidfd);
	close_fd(&j->in);
}

/* Where no pidfd tells it, ends are looked for ten times a second. */
static int wait_ms(void)
{
	int ms = -1;

	for (unsigned i = 0; i < njobs; i++)
		if ((!jobs[i]->finished && jobs[i]->pidfd < 0) ||
		    (jobs[i]->finished && jobs[i]->out >= 0))
			ms = 100;
	return ms;
}

static void *collect(void *arg)
{
	struct pollfd fds[1 + 2 * JOBS_MAX];
	char drop[64];

	(void)arg;
	for (;;) {
		nfds_t n = 0;
		pthread_mutex_lock(&lock);
		fds[n++] = (struct pollfd){.fd = wake_pipe[0], .events = POLLIN};
		for (unsigned i = 0; i < njobs; i++) {
			if (jobs[i]->out >= 0)
				fds[n++] = (struct pollfd){.fd = jobs[i]->out, .events = POLLIN};
			if (jobs[i]->pidfd >= 0)
				fds[n++] = (struct pollfd){.fd = jobs[i]->pidfd, .events = POLLIN};
		}
		int ms = wait_ms();
		pthread_mutex_unlock(&lock);
		poll(fds, n, ms);
		if (fds[0].revents && read(wake_pipe[0], drop, sizeof drop) < 0)
			continue;
		pthread_mutex_lock(&lock);
		for (unsigned i = 0; i < njobs; i++) {
			struct job *j = jobs[i];
			if (j->out >= 0)
				read_output(j);
			if (!j->finished)
				reap(j);
			else if (j->out >= 0 && api_time_ms() > j->end_ms + GRACE_MS)
				close_fd(&j->out); /* a child of it keeps the pipe open */
		}
		pthread_mutex_unlock(&lock);
	}
	return NULL;
}

static int start_collector(void)
{
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t all, old;

	if (wake_pipe[0] >= 0)
		return 0;
	if (pipe2(wake_pipe, O_CLOEXEC | O_NONBLOCK))
		return -errno;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, COLLECTOR_STACK);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int err = pthread_create(&thread, &attr, collect, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	if (err) {
		close_fd(&wake_pipe[0]);
		close_fd(&wake_pipe[1]);
	}
	return -err;
}

/* ---- starting ---- */

/* A place in the table; the oldest ended job goes if there is none. */
static int make_room(void)
{
	if (njobs < JOBS_MAX)
		return 0;
	for (unsigned i = 0; i < njobs; i++) {
		if (!jobs[i]->finished)
			continue;
		job_free(jobs[i]);
		memmove(&jobs[i], &jobs[i + 1], (njobs - i - 1) * sizeof jobs[0]);
		njobs--;
		return 0;
	}
	return -EBUSY;
}

static char *join(char *const argv[])
{
	struct text t = {0};

	for (unsigned i = 0; argv[i]; i++)
		text_printf(&t, "%s%s", i ? " " : "", argv[i]);
	return t.p;
}

static int spawn(
    struct job *j, char *const argv[], const char *cwd, const int in[2], const int out[2])
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none, defaults;

	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attr);
	if (in[0] >= 0)
		posix_spawn_file_actions_adddup2(&actions, in[0], 0);
	else
		posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, out[1], 1);
	posix_spawn_file_actions_adddup2(&actions, out[1], 2);
	if (cwd)
		posix_spawn_file_actions_addchdir_np(&actions, cwd);
	sigemptyset(&none);
	sigfillset(&defaults);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &defaults);
	posix_spawnattr_setpgroup(&attr, 0);
	posix_spawnattr_setflags(
	    &attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
	int err = posix_spawnp(&j->pid, argv[0], &actions, &attr, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	return -err;
}

static int start_locked(char *const argv[], const char *cwd, bool input)
{
	int in[2] = {-1, -1}, out[2] = {-1, -1}, err = start_collector();
	struct job *j = NULL;

	if (!err)
		err = make_room();
	if (!err && ((input && pipe2(in, O_CLOEXEC)) || pipe2(out, O_CLOEXEC)))
		err = -errno;
	if (!err && !(j = calloc(1, sizeof *j)))
		err = -ENOMEM;
	if (!err) {
		*j = (struct job){.pidfd = -1, .in = -1, .out = -1, .start_ms = api_time_ms()};
		j->command = join(argv);
		err = j->command ? spawn(j, argv, cwd, in, out) : -ENOMEM;
	}
	close_fd(&in[0]);
	close_fd(&out[1]);
	if (err) {
		close_fd(&in[1]);
		close_fd(&out[0]);
		if (j)
			job_free(j);
		return err;
	}
	j->in = in[1];
	j->out = out[0];
	if (j->in >= 0)
		fcntl(j->in, F_SETFL, O_NONBLOCK);
	fcntl(j->out, F_SETFL, O_NONBLOCK);
	j->pidfd = (int)syscall(SYS_pidfd_open, j->pid, 0);
	jobs[njobs++] = j;
	if (write(wake_pipe[1], "", 1) < 0)
		return j->pid; /* full: it is awake anyway */
	return j->pid;
}

int jobs_start(char *const argv[], const char *cwd, bool input)
{
	pthread_mutex_lock(&lock);
	int pid = start_locked(argv, cwd, input);
	pthread_mutex_unlock(&lock);
	return pid;
}

/* ---- asking ---- */

static struct job_status status_of(const struct job *j)
{
	return (struct job_status){
	    .pid = j->pid,
	    .command = j->command,
	    .finished = j->finished && j->out < 0,
	    .exit_code = j->finished && WIFEXITED(j->status) ? WEXITSTATUS(j->status) : -1,
	    .signal = j->finished && WIFSIGNALED(j->status) ? WTERMSIG(j->status) : 0,
	    .output = j->written,
	    .start_ms = j->start_ms,
	    .end_ms = j->end_ms,
	};
}

bool jobs_status(int pid, struct job_status *out)
{
	pthread_mutex_lock(&lock);
	const struct job *j = find(pid);
	if (j)
		*out = status_of(j);
	pthread_mutex_unlock(&lock);
	return j != NULL;
}

void jobs_walk(void (*fn)(void *arg, const struct job_status *s), void *arg)
{
	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < njobs; i++) {
		struct job_status s = status_of(jobs[i]);
		fn(arg, &s);
	}
	pthread_mutex_unlock(&lock);
}

bool jobs_output(int pid, uint64_t *from, size_t most, struct text *t)
{
	pthread_mutex_lock(&lock);
	const struct job *j = find(pid);
	if (j) {
		uint64_t oldest = j->written > j->room ? j->written - j->room : 0;
		if (*from < oldest)
			*from = oldest;
		if (*from > j->written)
			*from = j->written;
		uint64_t end = j->written - *from > most ? *from + most : j->written;
		for (uint64_t at = *from; at < end;) {
			size_t start = at % j->room, n = j->room - start;
			if (n > end - at)
				n = (size_t)(end - at);
			text_add(t, j->ring + start, n);
			at += n;
		}
	}
	pthread_mutex_unlock(&lock);
	return j != NULL;
}

long jobs_input(int pid, const void *p, size_t n, bool end)
{
	long done = -ESRCH;

	pthread_mutex_lock(&lock);
	struct job *j = find(pid);
	if (j) {
		done = j->in < 0 ? -EPIPE : n ? write(j->in, p, n) : 0;
		if (done < 0 && j->in >= 0)
			done = errno == EAGAIN ? 0 : -errno;
		if (end && done == (long)n)
			close_fd(&j->in);
	}
	pthread_mutex_unlock(&lock);
	return done;
}
