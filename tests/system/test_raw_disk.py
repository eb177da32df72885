# SPDX-License-Identifier: BSD-3-Clause
"""A raw disk used by programs: more data than memory, through the cache and past it, from several threads."""
import subprocess

import pytest

import guest

SOURCE = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#define BLOCK 65536
#define FAIL(...) (printf(__VA_ARGS__), exit(1))
static int fd, direct;
static long blocks;
static void fill(uint64_t *p, long block, uint64_t round)
{
	for (int i = 0; i < BLOCK / 8; i++)
		p[i] = ((uint64_t)block << 32 | (uint64_t)i) ^ round * 0x9e3779b97f4a7c15ull;
}
static void *part(void *arg)
{
	long me = (long)arg;
	uint64_t *buf, *expect = malloc(BLOCK);
	if (posix_memalign((void **)&buf, 4096, BLOCK))
		FAIL("memory\n");
	for (uint64_t round = 1; round <= 2; round++) {
		for (long b = me; b < blocks; b += 4) {
			fill(buf, b, round);
			int to = b % 8 < 4 ? fd : direct;
			if (pwrite(to, buf, BLOCK, b * BLOCK) != BLOCK)
				FAIL("write of block %ld: %s\n", b, strerror(errno));
		}
		for (long b = me; b < blocks; b += 4) {
			/* Mostly the other way than it was written. */
			int from = b % 16 < 8 ? direct : fd;
			if (pread(from, buf, BLOCK, b * BLOCK) != BLOCK)
				FAIL("read of block %ld: %s\n", b, strerror(errno));
			fill(expect, b, round);
			if (memcmp(buf, expect, BLOCK))
				FAIL("block %ld is not what round %lu wrote\n", b, round);
		}
	}
	return NULL;
}
int main(int argc, char **argv)
{
	pthread_t t[4];
	char odd[1024];
	long hog = argc > 1 ? atol(argv[1]) << 20 : 0;
	char *memory = malloc(hog + 1);
	memset(memory, 1, hog);
	fd = open("/dev/vdb", O_RDWR);
	direct = open("/dev/vdb", O_RDWR | O_DIRECT);
	if (fd < 0 || direct < 0)
		FAIL("open: %s\n", strerror(errno));
	blocks = lseek(fd, 0, SEEK_END) / BLOCK;
	if (pread(direct, odd, 100, 0) != -1 || errno != EINVAL || pread(direct, odd, 512, 3) != -1 || errno != EINVAL)
		FAIL("odd direct reads are accepted\n");
	if (pread(direct, odd, 512, blocks * BLOCK) != 0)
		FAIL("read behind the end\n");
	for (long i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, part, (void *)i);
	for (long i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	if (fsync(fd))
		FAIL("fsync: %s\n", strerror(errno));
	for (long i = 0; i < hog; i += 4096)
		if (memory[i] != 1)
			FAIL("memory changed\n");
	printf("all %ld blocks are right\n", blocks);
	return 0;
}
"""


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    d = tmp_path_factory.mktemp("raw")
    (d / "raw.c").write_text(SOURCE)
    subprocess.run(["gcc", "-O2", "-static", "-pthread", "-o", d / "raw", d / "raw.c"], check=True)
    return guest.make_image(d, {"/bin/raw": d / "raw"})


@pytest.mark.parametrize("memory,hog,cpus", [(256, 8, 4), (48, 16, 2)])
def test_raw_disk(image, tmp_path, memory, hog, cpus):
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(64 << 20))
    r = guest.boot(image, f"/bin/raw {hog}", cpus=cpus, memory=memory, timeout=180, extra=[
        "-drive", f"if=none,id=data,format=raw,file={disk}", "-device", f"virtio-blk-pci,drive=data,num-queues={cpus}"])
    assert r.status == 0 and "all 1024 blocks are right" in r.output, r
    content = disk.read_bytes()
    for block in (0, 5, 1023):
        for word in (0, 8191):
            expect = (block << 32 | word) ^ (2 * 0x9e3779b97f4a7c15 & (1 << 64) - 1)
            at = block * 65536 + word * 8
            assert int.from_bytes(content[at:at + 8], "little") == expect
