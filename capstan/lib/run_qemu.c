/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Running a machine under QEMU: starts it with its console on a socket, carries bytes between that
 * and the terminal, listens on the status channel, and ends it in steps when asked to stop.
 *
 * Standard input, output and error that are no terminals do not go through the console, which is
 * one, but through ports of their own (stdio.c): what the program reads and writes there passes
 * unchanged. The console's own output (kernel messages, crash reports) goes to standard error then.
 *
 * Stopping: the first SIGINT, SIGTERM or SIGHUP to this process presses Ctrl-C on the guest's
 * console and the ACPI power button; a machine still up after GRACE_MS, or a second signal, ends
 * it.
 */
#include "machine.h"
#include "stdio_ports.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define GRACE_MS 3000  /* from the request to stop to the hard end */
#define LINGER_MS 2000 /* from the guest's last word to the hard end */
#define ESCAPE 0x1d    /* Ctrl-] */
#define CTRL_C 0x03
#define STARTED_MS 1000 /* alive this long counts as started */
#define CHATTER_MAX 65536
#define STATUS_MAX 65536

struct session {
	struct cap *c;
	const struct cap_console *console;
	pid_t pid;
	int console_fd, status_fd, stderr_fd, qmp_fd, signal_fd;
	struct buf chatter; /* what QEMU itself said */
	struct buf status;  /* unfinished line of the status channel */
	struct buf input;   /* for the guest, not yet accepted by the socket */
	struct stdio_ports ports;
	bool input_open, escaped, reaped, held_cr, tty_out, told_started;
	int console_out; /* where the console's output goes */
	uint64_t begun_us;
	int wait_status, stop_signal;
	uint64_t deadline_us; /* when to end QEMU the hard way; 0: never */
	struct cap_outcome *out;
	bool ended; /* the guest has said how it ended */
	struct termios saved;
	bool raw;
};

static struct termios *restore_at_exit;

static void restore_terminal(void)
{
	if (restore_at_exit)
		tcsetattr(STDIN_FILENO, TCSANOW, restore_at_exit);
	restore_at_exit = NULL;
}

/* Every key goes to the guest, every byte of its terminal to ours. */
static void terminal_raw(struct session *s)
{
	if (!s->input_open || !isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &s->saved))
		return;
	struct termios raw = s->saved;
	cfmakeraw(&raw);
	s->raw = !tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	restore_at_exit = &s->saved;
}

static void set_deadline(struct session *s, unsigned ms)
{
	uint64_t at = monotonic_us() + ms * 1000ull;
	if (!s->deadline_us || at < s->deadline_us)
		s->deadline_us = at;
}

static void finish(struct session *s, enum cap_end end, int code, const char *message)
{
	if (s->ended && end != CAP_END_PANIC)
		return;
	s->ended = true;
	s->out->end = end;
	s->out->code = code;
	free(s->out->message);
	s->out->message = message ? xstrdup(message) : NULL;
	set_deadline(s, LINGER_MS);
}

static void tell_started(struct session *s)
{
	if (s->console->started && !s->told_started)
		s->console->started(s->console->started_arg);
	s->told_started = true;
}

static void status_line(struct session *s, const char *line)
{
	uint64_t n;
	tell_started(s);
	cap_detail(s->c, "guest status: %s", line);
	if (has_prefix(line, "exit ") && parse_uint(line + 5, 255, &n))
		finish(s, CAP_END_EXIT, n, NULL);
	else if (has_prefix(line, "signal ") && parse_uint(line + 7, 127, &n))
		finish(s, CAP_END_SIGNAL, n, NULL);
	else if (has_prefix(line, "panic"))
		finish(s, CAP_END_PANIC, 70, line + 5 + strspn(line + 5, " :"));
}

static void read_status(struct session *s)
{
	char chunk[4096];
	ssize_t n = read(s->status_fd, chunk, sizeof(chunk));
	if (n <= 0) {
		close(s->status_fd);
		s->status_fd = -1;
		if (s->status.len)
			status_line(s, s->status.data);
		return;
	}
	buf_add(&s->status, chunk, n);
	char *start = s->status.data, *end;
	while ((end = memchr(start, '\n', s->status.data + s->status.len - start))) {
		*end = 0;
		status_line(s, start);
		start = end + 1;
	}
	size_t left = s->status.data + s->status.len - start;
	memmove(s->status.data, start, left + 1);
	s->status.len = cap_min(left, (size_t)STATUS_MAX);
}

/* The guest's terminal ends lines with \r\n; a file or pipe gets \n. */
static void emit_output(struct session *s, const char *data, size_t len)
{
	if (s->console->log_fd >= 0)
		write_all(s->console->log_fd, data, len);
	if (!s->console->output)
		return;
	if (s->tty_out) {
		write_all(s->console_out, data, len);
		return;
	}
	struct buf b = {0};
	for (size_t i = 0; i < len; i++) {
		if (s->held_cr && data[i] != '\n')
			buf_putc(&b, '\r');
		s->held_cr = data[i] == '\r';
		if (!s->held_cr)
			buf_putc(&b, data[i]);
	}
	if (b.len)
		write_all(s->console_out, b.data, b.len);
	buf_free(&b);
}

static void read_console(struct session *s)
{
	char chunk[65536];
	ssize_t n = read(s->console_fd, chunk, sizeof(chunk));
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n > 0) {
		tell_started(s);
		emit_output(s, chunk, n);
		return;
	}
	close(s->console_fd);
	s->console_fd = -1;
}

static void read_chatter(struct session *s)
{
	char chunk[4096];
	ssize_t n = read(s->stderr_fd, chunk, sizeof(chunk));
	if (n <= 0) {
		close(s->stderr_fd);
		s->stderr_fd = -1;
	} else if (s->chatter.len < CHATTER_MAX) {
		buf_add(&s->chatter, chunk, n);
	}
}

static void qmp_send(struct session *s, const char *command)
{
	char *line = xasprintf("{\"execute\":\"%s\"}\n", command);
	if (s->qmp_fd >= 0 && write_all(s->qmp_fd, line, strlen(line)))
		cap_detail(s->c, "QEMU no longer listens");
	free(line);
}

static void drain_qmp(struct session *s)
{
	char chunk[4096];
	ssize_t n = read(s->qmp_fd, chunk, sizeof(chunk));
	if (n <= 0 && !(n < 0 && (errno == EAGAIN || errno == EINTR))) {
		close(s->qmp_fd);
		s->qmp_fd = -1;
	}
}

static void flush_input(struct session *s)
{
	if (s->console_fd < 0) {
		s->input.len = 0;
		return;
	}
	ssize_t n = send(s->console_fd, s->input.data, s->input.len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n <= 0)
		return;
	memmove(s->input.data, s->input.data + n, s->input.len - n);
	s->input.len -= n;
}

static void hard_stop(struct session *s, int signal)
{
	if (!s->reaped)
		kill(s->pid, signal);
}

static void request_stop(struct session *s, int signal)
{
	if (s->stop_signal) {
		hard_stop(s, SIGKILL);
		return;
	}
	s->stop_signal = signal;
	cap_detail(s->c, "stopping the machine");
	buf_putc(&s->input, CTRL_C);
	qmp_send(s, "system_powerdown");
	set_deadline(s, GRACE_MS);
}

/* Keys from the terminal: everything to the guest but Ctrl-] and the key after it. */
static void take_keys(struct session *s, const char *keys, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (!s->escaped && keys[i] == ESCAPE) {
			s->escaped = true;
			continue;
		}
		if (s->escaped && (keys[i] == 'q' || keys[i] == 'x'))
			request_stop(s, SIGTERM);
		else
			buf_putc(&s->input, keys[i]);
		s->escaped = false;
	}
}

static void read_input(struct session *s)
{
	char chunk[4096];
	ssize_t n = read(STDIN_FILENO, chunk, sizeof(chunk));
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n > 0)
		take_keys(s, chunk, n);
	else
		s->input_open = false; /* a terminal that went away */
}

static void read_signal(struct session *s)
{
	struct signalfd_siginfo info;
	if (read(s->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGWINCH) {
		stdio_ports_tell_size(&s->ports);
		return;
	}
	if (info.ssi_signo != SIGCHLD) {
		request_stop(s, info.ssi_signo);
		return;
	}
	if (waitpid(s->pid, &s->wait_status, WNOHANG) == s->pid)
		s->reaped = true;
}

static int poll_timeout(const struct session *s)
{
	if (!s->told_started && s->console->started)
		return 50;
	if (!s->deadline_us)
		return -1;
	uint64_t now = monotonic_us();
	return now >= s->deadline_us ? 0 : (int)((s->deadline_us - now) / 1000 + 1);
}

/* Carries everything until QEMU is gone and its channels are empty. */
static void pump(struct session *s)
{
	int kills = 0;
	while (!s->reaped || s->console_fd >= 0 || s->status_fd >= 0 || s->stderr_fd >= 0 ||
	       stdio_ports_open(&s->ports)) {
		bool want_input = s->input_open && s->input.len < 4096 && !s->reaped;
		struct pollfd p[] = {
		    {s->signal_fd, POLLIN, 0},
		    {s->console_fd, POLLIN | (s->input.len ? POLLOUT : 0), 0},
		    {s->status_fd, POLLIN, 0},
		    {s->stderr_fd, POLLIN, 0},
		    {s->qmp_fd, POLLIN, 0},
		    {want_input ? STDIN_FILENO : -1, POLLIN, 0},
		    {-1, 0, 0},
		    {-1, 0, 0},
		    {-1, 0, 0},
		    {-1, 0, 0},
		};
		stdio_ports_poll(&s->ports, p + 6, s->reaped);
		int n = poll(p, CAP_ARRAY_SIZE(p), poll_timeout(s));
		if (n < 0 && errno != EINTR)
			break;
		if (!s->told_started && !s->reaped &&
		    monotonic_us() - s->begun_us > STARTED_MS * 1000ull)
			tell_started(s);
		if (s->deadline_us && monotonic_us() >= s->deadline_us) {
			if (s->reaped)
				break; /* someone else holds the channels; nothing more will come */
			hard_stop(s, kills++ ? SIGKILL : SIGTERM);
			s->deadline_us = 0;
			set_deadline(s, 500);
		}
		if (n <= 0)
			continue;
		/* What the program wrote before the console's report of its end. */
		stdio_ports_carry(&s->ports, p + 6, s->console->log_fd);
		if (p[0].revents)
			read_signal(s);
		if (p[2].revents)
			read_status(s);
		if (p[1].revents & POLLOUT)
			flush_input(s);
		if (p[1].revents & (POLLIN | POLLHUP | POLLERR))
			read_console(s);
		if (p[3].revents)
			read_chatter(s);
		if (p[4].revents)
			drain_qmp(s);
		if (p[5].revents)
			read_input(s);
		if (s->reaped)
			set_deadline(s, 500);
	}
}

static void keep_open(int fd)
{
	fcntl(fd, F_SETFD, 0);
}

static void __attribute__((noreturn))
child(const struct cap_machine *m, const struct cap_qemu_fds *fds, int errors, char **argv)
{
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setpgid(0, 0); /* Ctrl-C on a cooked terminal is for capstan, which stops QEMU in order */
	keep_open(fds->console);
	keep_open(fds->status);
	keep_open(fds->qmp);
	for (int i = 0; i < CAP_PORTS; i++)
		if (fds->port[i] >= 0)
			keep_open(fds->port[i]);
	if (fds->net >= 0)
		keep_open(fds->net);
	if (m->image_fd >= 0)
		keep_open(m->image_fd);
	int null = open("/dev/null", O_RDWR);
	dup2(null, STDIN_FILENO);
	dup2(errors, STDOUT_FILENO);
	dup2(errors, STDERR_FILENO);
	execvp(argv[0], argv);
	dprintf(STDERR_FILENO, "cannot run %s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

static int start(struct session *s, const struct cap_machine *m)
{
	int console[2] = {-1, -1}, qmp[2] = {-1, -1}, status[2] = {-1, -1}, errors[2] = {-1, -1};
	struct strv args = {0};
	int result = 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, console) ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, qmp) || pipe2(status, O_CLOEXEC) ||
	    pipe2(errors, O_CLOEXEC))
		result = cap_fail_errno(s->c, "cannot create a channel to QEMU");
	struct cap_qemu_fds fds = {console[1], status[1], qmp[1], {-1, -1, -1, -1, -1}, -1};
	struct buf line = {0};
	struct cap_machine with_ports = *m;
	/* A kernel from the image is started with the image's command line: it knows no ports. */
	if (!result && m->kernel && s->console->interactive) {
		result = stdio_ports_make(s->c, &s->ports, fds.port, &line);
		buf_puts(&line, m->cmdline ? m->cmdline : "");
		with_ports.cmdline = line.data;
	}
	if (!result && !strcmp(m->net, "bridge"))
		fds.net = cap_bridge_tap(s->c, m->net_device ? m->net_device : "virbr0");
	if (!result)
		result = cap_qemu_args(s->c, &with_ports, &fds, &args);
	if (!result) {
		char *line = strv_join(&args, " ");
		cap_detail(s->c, "starting %s", line);
		free(line);
		s->pid = fork();
		if (s->pid == 0)
			child(m, &fds, errors[1], args.items);
		if (s->pid < 0)
			result = cap_fail_errno(s->c, "cannot start QEMU");
	}
	close(console[1]);
	close(qmp[1]);
	close(status[1]);
	close(errors[1]);
	for (int i = 0; i < CAP_PORTS; i++)
		if (fds.port[i] >= 0)
			close(fds.port[i]);
	if (fds.net >= 0)
		close(fds.net);
	buf_free(&line);
	s->console_fd = console[0];
	s->qmp_fd = qmp[0];
	s->status_fd = status[0];
	s->stderr_fd = errors[0];
	strv_free(&args);
	return result;
}

static int judge(struct session *s, const struct cap_machine *m)
{
	if (s->chatter.len)
		cap_detail(s->c, "QEMU said: %s", s->chatter.data);
	if (s->ended && s->out->end == CAP_END_PANIC) {
		cap_fail(s->c, EIO, "kernel panic: %s", s->out->message);
		return 0;
	}
	if (s->ended)
		return 0;
	if (s->stop_signal) {
		s->out->end = CAP_END_STOPPED;
		s->out->code = 128 + s->stop_signal;
		return 0;
	}
	s->out->end = CAP_END_UNKNOWN;
	struct buf why = {0};
	if (WIFSIGNALED(s->wait_status))
		buf_printf(&why, "QEMU was killed by signal %d", WTERMSIG(s->wait_status));
	else if (WEXITSTATUS(s->wait_status) == 127 &&
		 has_prefix(s->chatter.data ? s->chatter.data : "", "cannot run"))
		buf_puts(&why, "is QEMU installed (package qemu-system-x86)?");
	else if (WEXITSTATUS(s->wait_status))
		buf_printf(&why, "QEMU ended with status %d", WEXITSTATUS(s->wait_status));
	else
		buf_puts(&why, "the machine was reset or switched off without a word about its "
			       "program (a crash early in boot, or too little memory)");
	for (; s->chatter.len && s->chatter.data[s->chatter.len - 1] == '\n';)
		s->chatter.data[--s->chatter.len] = 0;
	int result =
	    cap_fail(s->c, EIO, "%s did not run: %s%s%s", m->name ? m->name : "the machine",
		why.data, s->chatter.len ? "\n" : "", s->chatter.len ? s->chatter.data : "");
	buf_free(&why);
	return result;
}

static int run(struct cap *c, const struct cap_machine *m, const struct cap_console *console,
    struct cap_outcome *out)
{
	struct session s = {.c = c,
	    .console = console,
	    .out = out,
	    .input_open = console->interactive && isatty(STDIN_FILENO),
	    .console_out = STDOUT_FILENO,
	    .console_fd = -1,
	    .status_fd = -1,
	    .stderr_fd = -1,
	    .qmp_fd = -1};
	static const int handled[] = {SIGINT, SIGTERM, SIGHUP, SIGCHLD, SIGWINCH};
	sigset_t mask, before;
	stdio_ports_init(&s.ports);
	*out = (struct cap_outcome){.end = CAP_END_UNKNOWN};
	sigemptyset(&mask);
	for (size_t i = 0; i < CAP_ARRAY_SIZE(handled); i++)
		sigaddset(&mask, handled[i]);
	sigprocmask(SIG_BLOCK, &mask, &before);
	s.signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	int result = start(&s, m);
	if (stdio_ports_has_output(&s.ports))
		s.console_out = STDERR_FILENO;
	s.tty_out = isatty(s.console_out);
	s.begun_us = monotonic_us();
	if (!result) {
		terminal_raw(&s);
		qmp_send(&s, "qmp_capabilities");
		pump(&s);
		restore_terminal();
		result = judge(&s, m);
	}
	int fds[] = {s.console_fd, s.status_fd, s.stderr_fd, s.qmp_fd, s.signal_fd};
	for (size_t i = 0; i < CAP_ARRAY_SIZE(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	sigprocmask(SIG_SETMASK, &before, NULL);
	stdio_ports_close(&s.ports);
	buf_free(&s.chatter);
	buf_free(&s.status);
	buf_free(&s.input);
	return result;
}

const struct cap_provider cap_qemu = {"qemu", run};
