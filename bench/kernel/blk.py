#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Throughput of a virtio disk in Carrara and in Debian's Linux cloud kernel: blk.c in both, taking turns, medians.

  blk.py [BUILD [PAIRS [CPUS]]]

Wall clock under emulation, a raw file in the host's page cache behind the disk: what is compared is the guests'
paths, not the storage."""
import glob
import os
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import guest  # noqa: E402  (bench/ is not a package)

MODULES = ("virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "virtio_blk")
DISK_MIB = 64


def modules(build):
    """The modules Linux needs for the disk, as entries of its initramfs."""
    guest.linux_kernel(build)
    entries = [("m", 0o40755, b"", 0)]
    for i, name in enumerate(MODULES):
        path, = glob.glob(f"{build}/bench/linux/root/lib/modules/*/kernel/drivers/*/{name}.ko")
        with open(path, "rb") as f:
            entries.append((f"m/{i}", 0o100644, f.read(), 0))
    return entries


def main(build, pairs, cpus):
    program = build + "/bench/kernel/kernel_blk"
    subprocess.run(["ninja", "-C", build, "kernel/carrara.elf", "bench/kernel/kernel_blk"], check=True,
                   stdout=subprocess.DEVNULL)
    values = ({}, {})
    with tempfile.TemporaryDirectory() as d:
        data = d + "/data"
        with open(data, "wb") as f:
            f.write(bytes(DISK_MIB << 20))
        disk = ["-drive", f"if=none,id=data,format=raw,cache=writeback,file={data}",
                "-device", f"virtio-blk-pci,drive=data,num-queues={cpus}"]
        options = {"machine": "q35", "mem": 512, "cpus": cpus}
        for _ in range(pairs):
            for which, args in enumerate((
                    guest.carrara_args(build, program, d + "/root", ["/dev/vdb"], **options),
                    guest.linux_args(build, program, d + "/initrd", ["/dev/vda"], modules(build), **options))):
                output, _ = guest.run(args + disk, 120)
                found = guest.results(output)
                if "rand_write_32" not in found:
                    print("no results:\n" + output[-2000:])
                    return 1
                for name, value in found.items():
                    values[which].setdefault(name, []).append(value)
    print("%-26s %12s %12s %8s" % (f"virtio-blk, {cpus} CPUs", "carrara", "linux", "ratio"))
    for name in values[1]:
        a, b = (statistics.median(v[name]) for v in values)
        print("%-26s %12.0f %12.0f %8.2f" % (name, a, b, a / b))
    return 0


if __name__ == "__main__":
    sys.exit(main(os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build"),
                  int(sys.argv[2]) if len(sys.argv) > 2 else 5, int(sys.argv[3]) if len(sys.argv) > 3 else 2))
