/* SPDX-License-Identifier: BSD-3-Clause */
#include "stdio_ports.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK 65536

void stdio_ports_init(struct stdio_ports *p)
{
	*p = (struct stdio_ports){.fd = {-1, -1, -1, -1, -1}};
}

static int make_one(struct cap *c, struct stdio_ports *p, int port, int theirs[CAP_PORTS])
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return cap_fail_errno(c, "cannot create a channel to QEMU");
	p->fd[port] = pair[0];
	theirs[port] = pair[1];
	return 0;
}

/* Both descriptors are one file, as after 2>&1: what is written to them must stay in order. */
static bool same_file(int a, int b)
{
	struct stat x, y;
	return !fstat(a, &x) && !fstat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* The size of the terminal that the console is shown on. */
static bool terminal_size(struct winsize *size)
{
	static const int fds[] = {STDOUT_FILENO, STDERR_FILENO, STDIN_FILENO};
	for (size_t i = 0; i < CAP_ARRAY_SIZE(fds); i++)
		if (isatty(fds[i]) && !ioctl(fds[i], TIOCGWINSZ, size))
			return true;
	return false;
}

int stdio_ports_make(struct cap *c, struct stdio_ports *p, int theirs[CAP_PORTS], struct buf *line)
{
	struct buf words = {0};
	struct winsize size;
	int result = 0;
	bool in = !isatty(STDIN_FILENO), out = !isatty(STDOUT_FILENO), err = !isatty(STDERR_FILENO);
	bool both = out && err && same_file(STDOUT_FILENO, STDERR_FILENO);
	if (in)
		result = make_one(c, p, CAP_PORT_IN, theirs);
	if (!result && out)
		result = make_one(c, p, CAP_PORT_OUT, theirs);
	if (!result && err && !both)
		result = make_one(c, p, CAP_PORT_ERR, theirs);
	if (in)
		buf_puts(&words, ",in");
	if (out)
		buf_puts(&words, both ? ",both" : ",out");
	if (err && !both)
		buf_puts(&words, ",err");
	if (words.len)
		buf_printf(line, "--stdio=%s ", words.data + 1);
	buf_free(&words);
	if (!result && !in && terminal_size(&size)) {
		result = make_one(c, p, CAP_PORT_CONTROL, theirs);
		buf_printf(line, "--tty-size=%ux%u ", size.ws_row, size.ws_col);
	}
	return result;
}

bool stdio_ports_open(const struct stdio_ports *p)
{
	return p->fd[CAP_PORT_OUT] >= 0 || p->fd[CAP_PORT_ERR] >= 0;
}

bool stdio_ports_has_output(const struct stdio_ports *p)
{
	return p->fd[CAP_PORT_OUT] >= 0;
}

static void close_port(struct stdio_ports *p, int port)
{
	if (p->fd[port] >= 0)
		close(p->fd[port]);
	p->fd[port] = -1;
}

void stdio_ports_poll(struct stdio_ports *p, struct pollfd entry[4], bool machine_gone)
{
	if (machine_gone)
		close_port(p, CAP_PORT_IN);
	bool input = p->fd[CAP_PORT_IN] >= 0;
	bool want = input && !p->input_ended && p->input.len < CHUNK;
	entry[0] = (struct pollfd){want ? STDIN_FILENO : -1, POLLIN, 0};
	entry[1] = (struct pollfd){input && p->input.len ? p->fd[CAP_PORT_IN] : -1, POLLOUT, 0};
	entry[2] = (struct pollfd){p->fd[CAP_PORT_OUT], POLLIN, 0};
	entry[3] = (struct pollfd){p->fd[CAP_PORT_ERR], POLLIN, 0};
}

static void read_input(struct stdio_ports *p)
{
	char chunk[CHUNK];
	ssize_t n = read(STDIN_FILENO, chunk, sizeof(chunk));
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n > 0)
		buf_add(&p->input, chunk, n);
	else
		p->input_ended = true;
}

static void send_input(struct stdio_ports *p)
{
	int fd = p->fd[CAP_PORT_IN];
	while (p->input.len) {
		ssize_t n = send(fd, p->input.data, p->input.len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0) { /* the machine is gone */
			close_port(p, CAP_PORT_IN);
			return;
		}
		memmove(p->input.data, p->input.data + n, p->input.len - n);
		p->input.len -= n;
	}
	if (p->input_ended)
		shutdown(fd, SHUT_WR);
}

/* Nobody reading our output any more is for the guest's program to know: its port is closed. */
static void carry_output(struct stdio_ports *p, int port, int to, int copy_fd)
{
	char chunk[CHUNK];
	ssize_t n = read(p->fd[port], chunk, sizeof(chunk));
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n > 0 && copy_fd >= 0)
		write_all(copy_fd, chunk, n);
	if (n <= 0 || write_all(to, chunk, n))
		close_port(p, port);
}

void stdio_ports_carry(struct stdio_ports *p, const struct pollfd entry[4], int copy_fd)
{
	if (entry[0].revents)
		read_input(p);
	if (p->fd[CAP_PORT_IN] >= 0 && (entry[0].revents || entry[1].revents))
		send_input(p);
	if (p->fd[CAP_PORT_OUT] >= 0 && entry[2].revents)
		carry_output(p, CAP_PORT_OUT, STDOUT_FILENO, copy_fd);
	if (p->fd[CAP_PORT_ERR] >= 0 && entry[3].revents)
		carry_output(p, CAP_PORT_ERR, STDERR_FILENO, copy_fd);
}

void stdio_ports_tell_size(struct stdio_ports *p)
{
	struct winsize size;
	struct buf line = {0};
	if (p->fd[CAP_PORT_CONTROL] < 0 || !terminal_size(&size))
		return;
	buf_printf(&line, "size %ux%u\n", size.ws_row, size.ws_col);
	/* A guest that does not listen misses a size; the next one is as good. */
	if (send(p->fd[CAP_PORT_CONTROL], line.data, line.len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 &&
	    errno != EAGAIN)
		close_port(p, CAP_PORT_CONTROL);
	buf_free(&line);
}

void stdio_ports_close(struct stdio_ports *p)
{
	for (int i = 0; i < CAP_PORTS; i++)
		close_port(p, i);
	buf_free(&p->input);
}
