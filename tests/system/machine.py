# SPDX-License-Identifier: BSD-3-Clause
"""Emulated machines of every type for the boot and driver tests, and disks to put into them."""
import os
import struct
import subprocess
import time
import zlib
from dataclasses import dataclass
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("CARRARA_BUILD", TOP / "build"))
KERNEL = BUILD / "kernel" / "carrara.elf"
SECTOR = 512
DIRECT = ["-kernel", str(KERNEL)]

# What the disks carry: says its arguments and the number of CPUs; with "write PATH" or "read PATH"
# it tries that on a disk; with "line" it answers a line of its input; with "nodes" it visits each CPU and says where it is.
PROGRAM = r"""
#define _GNU_SOURCE
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
static int nodes(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN); /* of those it may use: before it changes that */
	for (long i = 0; i < n; i++) {
		unsigned cpu, node, a, b, c, d;
		cpu_set_t one;
		CPU_ZERO(&one);
		CPU_SET(i, &one);
		sched_setaffinity(0, sizeof one, &one);
		syscall(SYS_getcpu, &cpu, &node, 0);
		__cpuid(1, a, b, c, d);
		printf("cpu %u node %u apic %u\n", cpu, node, b >> 24);
	}
	return 0;
}
int main(int argc, char **argv)
{
	static char buf[1 << 16];
	if (argc == 2 && !strcmp(argv[1], "nodes"))
		return nodes();
	if (argc == 2 && !strcmp(argv[1], "line")) {
		printf("say something\n");
		fflush(stdout);
		if (!fgets(buf, sizeof buf, stdin))
			return 4;
		return printf("heard %s", buf), 0;
	}
	if (argc == 3 && (!strcmp(argv[1], "write") || !strcmp(argv[1], "read"))) {
		int w = argv[1][0] == 'w';
		int fd = open(argv[2], w ? O_RDWR : O_RDONLY);
		long n, total = 0;
		if (fd < 0)
			return printf("open: %s\n", strerror(errno)), 1;
		if (w) {
			memset(buf, 'w', sizeof buf);
			n = write(fd, buf, sizeof buf);
			if (n != sizeof buf || fsync(fd))
				return printf("write: %s\n", strerror(errno)), 2;
			return printf("wrote\n"), 0;
		}
		while ((n = read(fd, buf, sizeof buf)) > 0)
			total += n;
		if (n < 0)
			return printf("read: %s\n", strerror(errno)), 3;
		return printf("read %ld\n", total), 0;
	}
	printf("hello %s, %ld CPUs\n", argc > 1 ? argv[1] : "", sysconf(_SC_NPROCESSORS_ONLN));
	return 7;
}
"""


@dataclass
class Result:
    output: str
    report: list  # lines of the report channel
    returncode: int  # of QEMU; None if it did not end in time


def root_image(directory):
    """An EROFS image with the test program as /hello."""
    directory = Path(directory)
    root, image = directory / "root", directory / "root.erofs"
    for name in ("dev", "proc", "sys", "tmp", "run", "etc"):
        (root / name).mkdir(parents=True)
    (directory / "hello.c").write_text(PROGRAM)
    subprocess.run(["musl-gcc", "-static", "-O1", "-o", root / "hello", directory / "hello.c"], check=True)
    (root / "large").write_bytes(bytes(range(256)) * 8192)
    subprocess.run(["mkfs.erofs", "-T0", "--all-root", str(image), str(root)], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return image


def sectors(data):
    return data + bytes(-len(data) % SECTOR)


def boot_disk(path, root, command, kernel=True, raw_bytes=None):
    """A disk that boots by BIOS, laid out as include/carrara/image.h says."""
    loader = bytearray(64 * SECTOR)
    code = (BUILD / "kernel" / "boot" / "bios.bin").read_bytes()
    loader[:len(code)] = code
    packed = (BUILD / "kernel" / "carrara.img.lz4").read_bytes() if kernel else b""
    if raw_bytes is None:
        raw_bytes = raw_size(packed) if kernel else 0
    command = command.encode()
    body = sectors(packed) + sectors(command)
    root_at = -(-(len(loader) + len(body)) // (1 << 20)) * (1 << 20)
    content = sectors(Path(root).read_bytes())
    header = bytearray(SECTOR)
    struct.pack_into("<8sIIQQQQQQQ16sQ", header, 0, b"CARRARA1", 1, 0, 64, len(packed), raw_bytes,
                     64 + len(sectors(packed)) // SECTOR, len(command), root_at // SECTOR, len(content),
                     b"erofs", root_at + len(content))
    struct.pack_into("<I", header, 12, zlib.crc32(bytes(header)))
    loader[SECTOR:2 * SECTOR] = header
    image = bytes(loader) + body
    Path(path).write_bytes(image + bytes(root_at - len(image)) + content)
    return path


def raw_size(block):
    """How many bytes an LZ4 block holds: only the lengths of its sequences count."""
    at = total = 0

    def length(n, at):
        while n >= 15:
            byte = block[at]
            at += 1
            n += byte
            if byte != 255:
                break
        return n, at

    while True:
        token = block[at]
        literals, at = length(token >> 4, at + 1)
        at += literals
        total += literals
        if at == len(block):
            return total
        match, at = length(token & 15, at + 2)
        total += match + 4


def disk(path, device="virtio-blk-pci", read_only=True, options="", drive=""):
    """Arguments for one disk."""
    name = f"d{abs(hash((str(path), device, options))) % 10 ** 8}"
    source = f"file={path},format=raw" if not drive else drive
    return ["-drive", f"if=none,id={name},{source}{',readonly=on' if read_only else ''}",
            "-device", f"{device},drive={name}{options}"]


def run(directory, args, machine="q35", cpus=1, memory=256, timeout=60, until=None,
        console="serial", answer=None):
    """Runs a machine until it ends, the text `until` shows on its console, or the timeout (seconds) is over.

    console: "serial", or the virtio-serial device whose port is the only console. answer: (text, reply), what to type
    when the text has come."""
    report = Path(directory) / "report"
    report.unlink(missing_ok=True)
    port = ["-serial", "stdio"] if console == "serial" else [
        "-serial", "none", "-chardev", "stdio,id=con", "-device", console, "-device", "virtconsole,chardev=con"]
    command = ["qemu-system-x86_64", "-M", machine, "-accel", "tcg,thread=multi", "-cpu", "max", "-m", str(memory),
               "-smp", str(cpus), "-nodefaults", "-display", "none", "-no-reboot", *port, "-debugcon", f"file:{report}", *args]
    output = b""
    end = time.monotonic() + timeout
    with subprocess.Popen(command, stdin=subprocess.PIPE if answer else subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as p:
        os.set_blocking(p.stdout.fileno(), False)
        while time.monotonic() < end and not (until and until.encode() in output):
            ended = p.poll() is not None
            output += p.stdout.read() or b""
            if ended:
                break
            if answer and answer[0].encode() in output:
                p.stdin.write(answer[1].encode())
                p.stdin.flush()
                answer = None
            time.sleep(0.01)
        code = p.poll()
        if code is None:
            p.kill()
    lines = report.read_text(errors="replace").splitlines() if report.exists() else []
    return Result(output.decode(errors="replace").replace("\r\n", "\n"), lines, code)
