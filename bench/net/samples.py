#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Where a running Carrara guest spends its time: samples the guest's instruction pointer through QEMU's monitor.

usage: samples.py BUILD QMP-SOCKET SECONDS

Start the guest with `-qmp unix:QMP-SOCKET,server=on,wait=off` (capstan: --qemu-arg). Prints the share of samples by kernel
function; "program" is everything outside the kernel, "idle" the halted CPU. Only the first CPU is sampled. A sample is taken
where QEMU can stop (between translated blocks), so it tells about functions, not instructions.
"""
import bisect
import collections
import json
import re
import socket
import subprocess
import sys
import time


def symbols(path):
    out = subprocess.run(["nm", "-n", path], check=True, capture_output=True, text=True).stdout
    found = [line.split() for line in out.splitlines()]
    return [(int(f[0], 16), f[2]) for f in found if len(f) == 3 and f[1] in "tT"]


def main(build, path, seconds):
    table = symbols(build + "/kernel/carrara.debug")
    starts = [a for a, _ in table]
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(path)
        f = s.makefile("rw")

        def ask(command, **arguments):
            f.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
            f.flush()
            while True:
                answer = json.loads(f.readline())
                if "return" in answer:
                    return answer["return"]
        f.readline()
        ask("qmp_capabilities")
        counts, end = collections.Counter(), time.monotonic() + seconds
        while time.monotonic() < end:
            text = ask("human-monitor-command", **{"command-line": "info registers"})
            rip, halted = int(re.search(r"RIP=(\w+)", text).group(1), 16), "HLT=1" in text
            i = bisect.bisect_right(starts, rip) - 1
            counts["idle" if halted else table[i][1] if rip >= starts[0] else "program"] += 1
            time.sleep(0.001)
    total = sum(counts.values())
    for name, n in counts.most_common(40):
        print("%5.1f %%  %s" % (100 * n / total, name))
    print("%d samples" % total)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
