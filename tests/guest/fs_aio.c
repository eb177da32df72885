/* SPDX-License-Identifier: BSD-3-Clause */
/* io_setup() and its relatives, as libaio uses them. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

static long setup(unsigned n, aio_context_t *id)
{
	return syscall(SYS_io_setup, n, id);
}

static long submit(aio_context_t id, long n, struct iocb **list)
{
	return syscall(SYS_io_submit, id, n, list);
}

static long events(aio_context_t id, long min, long n, struct io_event *e, struct timespec *t)
{
	return syscall(SYS_io_getevents, id, min, n, e, t);
}

static struct iocb request(int op, int fd, void *buf, size_t n, long offset, uint64_t data)
{
	return (struct iocb){.aio_lio_opcode = (unsigned short)op,
	    .aio_fildes = (unsigned)fd,
	    .aio_buf = (uintptr_t)buf,
	    .aio_nbytes = n,
	    .aio_offset = offset,
	    .aio_data = data};
}

static void test_transfers(void)
{
	char name[] = "/tmp/aioXXXXXX", out[4][4096], in[4][4096];
	struct iocb c[5], *list[5];
	struct io_event e[8];
	struct timespec soon = {0, 1000000};
	aio_context_t id = 0;
	int fd = mkstemp(name), done = 0;

	CHECK(fd >= 0 && setup(8, &id) == 0 && id != 0);
	for (int i = 0; i < 4; i++) {
		memset(out[i], 'a' + i, sizeof out[i]);
		c[i] = request(IOCB_CMD_PWRITE, fd, out[i], sizeof out[i], i * 4096, 100 + i);
		list[i] = &c[i];
	}
	c[4] = request(IOCB_CMD_FSYNC, fd, NULL, 0, 0, 104);
	list[4] = &c[4];
	CHECK(submit(id, 4, list) == 4);
	CHECK(events(id, 4, 8, e, NULL) == 4);
	for (int i = 0; i < 4; i++)
		done += e[i].res == 4096 && e[i].data >= 100 && e[i].data < 104 &&
			e[i].obj == (uintptr_t)list[e[i].data - 100];
	CHECK(done == 4);
	CHECK(submit(id, 1, list + 4) == 1 && events(id, 1, 1, e, NULL) == 1 && e[0].res == 0);
	for (int i = 0; i < 4; i++)
		c[i] = request(IOCB_CMD_PREAD, fd, in[i], sizeof in[i], i * 4096, i);
	CHECK(submit(id, 4, list) == 4 && events(id, 4, 4, e, NULL) == 4);
	CHECK(memcmp(in, out, sizeof in) == 0);
	CHECK(events(id, 1, 1, e, &soon) == 0);
	CHECK(events(id, 0, 1, e, NULL) == 0);

	struct iovec v[2] = {{in[0], 10}, {in[1], 20}};
	c[0] = request(IOCB_CMD_PREADV, fd, v, 2, 4090, 7);
	CHECK(submit(id, 1, list) == 1 && events(id, 1, 1, e, NULL) == 1 && e[0].res == 30);
	CHECK(memcmp(in[0], "aaaaaabbbb", 10) == 0);
	c[0] = request(IOCB_CMD_PREAD, fd, in, 100, 1 << 20, 8);
	CHECK(submit(id, 1, list) == 1 && events(id, 1, 1, e, NULL) == 1 && e[0].res == 0);

	int n = eventfd(0, EFD_NONBLOCK);
	uint64_t count = 0;
	for (int i = 0; i < 2; i++) {
		c[i] = request(IOCB_CMD_PREAD, fd, in[i], 10, 0, i);
		c[i].aio_flags = IOCB_FLAG_RESFD;
		c[i].aio_resfd = (unsigned)n;
	}
	CHECK(submit(id, 2, list) == 2 && events(id, 2, 2, e, NULL) == 2);
	CHECK(read(n, &count, sizeof count) == sizeof count && count == 2);
	close(n);
	CHECK(syscall(SYS_io_destroy, id) == 0);
	CHECK(syscall(SYS_io_destroy, id) == -1 && errno == EINVAL);
	close(fd);
	unlink(name);
}

static void test_errors(void)
{
	struct iocb c = request(IOCB_CMD_PREAD, -1, NULL, 1, 0, 0), *list[2] = {&c, NULL};
	struct io_event e;
	aio_context_t id = 1;
	int zero = open("/dev/zero", O_RDONLY);

	CHECK(setup(1, &id) == -1 && errno == EINVAL);
	id = 0;
	CHECK(setup(0, &id) == -1 && errno == EINVAL);
	CHECK(submit(12345, 1, list) == -1 && errno == EINVAL);
	CHECK(events(12345, 1, 1, &e, NULL) == -1 && errno == EINVAL);
	CHECK(setup(4, &id) == 0);
	CHECK(submit(id, 1, list) == -1 && errno == EBADF);
	c.aio_fildes = (unsigned)zero;
	c.aio_lio_opcode = 99;
	CHECK(submit(id, 1, list) == -1 && errno == EINVAL);
	c.aio_lio_opcode = IOCB_CMD_PREAD;
	CHECK(submit(id, -1, list) == -1 && errno == EINVAL);
	CHECK(submit(id, 0, list) == 0);
	CHECK(events(id, 2, 1, &e, NULL) == -1 && errno == EINVAL);
	close(zero);
	zero = open("/proc/self/exe", O_RDONLY);
	c = request(
	    IOCB_CMD_PREAD, zero, (void *)8, 100, 0, 5); /* a bad address is the request's error */
	CHECK(submit(id, 2, list) == 1 && events(id, 1, 1, &e, NULL) == 1 && e.res == -EFAULT);
	close(zero);
	CHECK(syscall(SYS_io_destroy, id) == 0);
}

int main(void)
{
	test_transfers();
	test_errors();
	return check_report();
}
