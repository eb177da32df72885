# SPDX-License-Identifier: BSD-3-Clause
"""Boots the same static program in Carrara and, as init, in Debian's Linux cloud kernel, under the same QEMU
options. Shared by the benchmarks."""
import glob
import os
import re
import struct
import subprocess
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
QEMU = "qemu-system-x86_64"


def linux_kernel(build):
    """Path of Debian's cloud kernel image; downloaded as a package and unpacked below the build directory."""
    where = os.path.join(build, "bench", "linux")
    found = sorted(glob.glob(where + "/root/boot/vmlinuz-*"))
    if found:
        return found[-1]
    os.makedirs(where, exist_ok=True)
    depends = subprocess.run(["apt-cache", "depends", "linux-image-cloud-amd64"], text=True, check=True,
                             capture_output=True).stdout
    name = re.search(r"Depends: (linux-image-\S+)", depends).group(1)
    subprocess.run(["apt-get", "download", "-qq", name], cwd=where, check=True)
    deb = glob.glob(where + "/*.deb")[0]
    subprocess.run(["dpkg-deb", "-x", deb, where + "/root"], check=True)
    os.unlink(deb)
    return sorted(glob.glob(where + "/root/boot/vmlinuz-*"))[-1]


def cpio(entries):
    """A newc archive of (name, mode, data, rdev) entries."""
    out = b""
    for i, (name, mode, data, rdev) in enumerate(entries + [("TRAILER!!!", 0, b"", 0)]):
        head = "070701" + "".join("%08x" % v for v in (
            i + 1, mode, 0, 0, 1, 0, len(data), 0, 0, rdev >> 8, rdev & 255, len(name) + 1, 0))
        out += head.encode() + name.encode() + b"\0"
        out += b"\0" * (-len(out) % 4) + data
        out += b"\0" * (-len(out) % 4)
    return out


def initramfs(program, path, extra=()):
    with open(program, "rb") as f:
        data = f.read()
    entries = [("dev", 0o40755, b"", 0), ("tmp", 0o41777, b"", 0), ("proc", 0o40755, b"", 0),
               ("sys", 0o40755, b"", 0), ("dev/console", 0o20600, b"", 5 << 8 | 1), ("init", 0o100755, data, 0), *extra]
    with open(path, "wb") as f:
        f.write(cpio(entries))


def erofs_root(program, path):
    """A minimal root image for Carrara: the program as /program, and the usual directories."""
    with tempfile.TemporaryDirectory() as d:
        for name in ("dev", "proc", "sys", "tmp", "run", "etc"):
            os.mkdir(os.path.join(d, name))
        subprocess.run(["cp", program, d + "/program"], check=True)
        subprocess.run(["mkfs.erofs", "-T0", "--all-root", path, d], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)


def common(machine="microvm", mem=512, cpus=1, icount=False):
    args = [QEMU, "-M", machine, "-cpu", "max", "-m", str(mem), "-smp", str(cpus), "-nodefaults", "-no-user-config",
            "-display", "none", "-no-reboot", "-serial", "stdio"]
    if icount:
        return args + ["-accel", "tcg", "-icount", "shift=0,sleep=off"]
    return args + ["-accel", "tcg,thread=multi"]


def carrara_args(build, program, root, args, **options):
    """Command line of QEMU for Carrara; `root` is where the image may be written."""
    erofs_root(program, root)
    machine = options.get("machine", "microvm")
    device = "virtio-blk-device" if machine.startswith("microvm") else "virtio-blk-pci"
    extra = ["-global", "virtio-mmio.force-legacy=false"] if machine.startswith("microvm") else []
    return common(**options) + extra + [
        "-kernel", build + "/kernel/carrara.elf", "-append", " ".join(["/program"] + args),
        "-drive", "if=none,id=root,format=raw,readonly=on,file=" + root, "-device", device + ",drive=root"]


def linux_args(build, program, initrd, args, extra=(), **options):
    """The same for Linux; extra: more entries (see cpio()) for its initramfs."""
    initramfs(program, initrd, extra)
    return common(**options) + [
        "-kernel", linux_kernel(build), "-initrd", initrd,
        "-append", "console=ttyS0 quiet loglevel=1 panic=-1 reboot=t mitigations=off -- " + " ".join(args)]


def run(args, seconds=300):
    """Runs QEMU; returns (output, seconds it took)."""
    start = time.monotonic()
    p = subprocess.run(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       timeout=seconds, check=False)
    return p.stdout.decode(errors="replace"), time.monotonic() - start


def results(output):
    return {m.group(1): float(m.group(2)) for m in re.finditer(r"^bench (\S+) ([0-9.]+)\r?$", output, re.M)
            if m.group(1) != "end"}
