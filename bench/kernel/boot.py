#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""How small and how quick to start Carrara is, beside Debian's Linux cloud kernel under the same QEMU options.

  boot.py [BUILD [PAIRS]]

- start: from just before QEMU's exec until the first line of a static program's main() is on the serial port, wall
  clock; the guests take turns (A B A B ...), median and range of PAIRS runs each; microvm and q35
- size of the kernel image, as it is loaded and compressed (Carrara's LZ4 block of the boot disk; gzip for both)
- smallest RAM in which the program runs to its end
- RAM that is not free once the program runs, of 256 MiB
"""
import gzip
import os
import re
import select
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import guest  # noqa: E402  (bench/ is not a package)


def until_main(args, seconds=60):
    """Milliseconds until main() said so (None if it never did), and the output until the program's last line."""
    start = time.monotonic()
    with subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as p:
        output, reached = b"", None
        while select.select([p.stdout], [], [], max(0, start + seconds - time.monotonic()))[0]:
            data = os.read(p.stdout.fileno(), 4096)
            output += data
            if reached is None and b"main() reached" in output:
                reached = (time.monotonic() - start) * 1000
            if not data or (b" free " in output and output.endswith(b"\n")):
                break
        p.kill()
    return reached, output.decode(errors="replace")


def runs(args):
    """Whether the program runs to its end."""
    return " free " in until_main(args, 12)[1]


def smallest(make, low, high):
    """Least MiB with which make(MiB) runs; low does not count as enough, high must be."""
    if not runs(make(high)):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        if runs(make(middle)):
            high = middle
        else:
            low = middle
    return high


def main(build, pairs):
    program = build + "/bench/kernel/kernel_boot"
    subprocess.run(["ninja", "-C", build, "kernel/carrara.elf", "kernel/carrara.img.lz4", "bench/kernel/kernel_boot"],
                   check=True, stdout=subprocess.DEVNULL)
    with tempfile.TemporaryDirectory() as d:
        def ours(**options):
            return guest.carrara_args(build, program, d + "/root", [], **options)

        def theirs(**options):
            return guest.linux_args(build, program, d + "/initrd", [], **options)

        print("%-34s %16s %20s %7s" % ("", "carrara", "linux", "ratio"))
        for machine in ("microvm,acpi=off", "q35"):  # with ACPI Linux finds no clock in it
            times = ([], [])
            for _ in range(pairs):
                for which, make in enumerate((ours, theirs)):
                    ms, output = until_main(make(machine=machine, mem=256))
                    if ms is None:
                        print("%s did not reach main():\n%s" % ("linux" if which else "carrara", output[-2000:]))
                        return 1
                    times[which].append(ms)
            a, b = (statistics.median(t) for t in times)
            print("%-34s %16s %20s %7.2f" % (machine + ": ms to main()", "%.0f (%.0f-%.0f)" % (
                a, min(times[0]), max(times[0])), "%.0f (%.0f-%.0f)" % (b, min(times[1]), max(times[1])), b / a), flush=True)
        used, small = [], "microvm,acpi=off"
        for make in (ours, theirs):
            m = re.search(r"memory \d+ free (\d+)", until_main(make(machine="microvm,acpi=off", mem=256))[1])
            used.append(256 - int(m.group(1)) / 1024)
        print("%-34s %16.1f %20.1f %7.2f" % ("RAM not free after start, MiB", *used, used[1] / used[0]))
        least = smallest(lambda m: ours(machine=small, mem=m), 1, 32), smallest(
            lambda m: theirs(machine=small, mem=m), 32, 160)
        print("%-34s %16s %20s" % ("smallest RAM, MiB", *least))
    elf = open(build + "/kernel/carrara.elf", "rb").read()
    packed = os.path.getsize(build + "/kernel/carrara.img.lz4")
    linux = os.path.getsize(guest.linux_kernel(build))
    print("%-34s %16d" % ("kernel as loaded, bytes", len(elf)))
    print("%-34s %16d %20d %7.2f" % ("kernel compressed (gzip; bzImage)", len(gzip.compress(elf, 9)), linux,
                                     linux / len(gzip.compress(elf, 9))))
    print("%-34s %16d" % ("kernel compressed (boot disk, LZ4)", packed))
    return 0


if __name__ == "__main__":
    sys.exit(main(os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build"),
                  int(sys.argv[2]) if len(sys.argv) > 2 else 7))
