#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Instructions per operation (QEMU -icount) of micro.c in Carrara and in Debian's Linux cloud kernel."""
import os
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import guest  # noqa: E402  (bench/ is not a package)


def main(build, names):
    program = build + "/bench/kernel/kernel_micro"
    with tempfile.TemporaryDirectory() as d:
        ours, _ = guest.run(guest.carrara_args(build, program, d + "/root", ["-q"] + names, icount=True))
        theirs, _ = guest.run(guest.linux_args(build, program, d + "/initrd", ["-q"] + names, icount=True))
    a, b = guest.results(ours), guest.results(theirs)
    if not a or not b:
        print("no results\n--- carrara\n%s\n--- linux\n%s" % (ours[-2000:], theirs[-2000:]))
        return 1
    print("%-30s %12s %12s %8s" % ("instructions per operation", "carrara", "linux", "ratio"))
    for name, value in b.items():
        if name in a:
            print("%-30s %12.0f %12.0f %8.2f" % (name, a[name], value, value / a[name] if a[name] else 0))
    return 0


if __name__ == "__main__":
    sys.exit(main(os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build"), sys.argv[2:]))
