# SPDX-License-Identifier: BSD-3-Clause
"""Boots programs in a Carrara VM under QEMU's emulation, for system tests of the kernel.

    image = guest.make_image(tmp_path, {"/bin/prog": "build/prog"})
    r = guest.boot(image, "/bin/prog arg", cpus=2)
    assert r.status == 0 and "hello" in r.output
"""
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("CARRARA_BUILD", TOP / "build"))
KERNEL = BUILD / "kernel" / "carrara.elf"
DIRECTORIES = ("bin", "dev", "etc", "proc", "root", "run", "sys", "tmp", "var")


@dataclass
class Result:
    output: str  # what the console showed
    report: list  # lines of the kernel's report channel
    returncode: int  # of QEMU; None if it had to be stopped

    @property
    def status(self):
        """Exit status of the program; None unless it ended by itself."""
        for line in reversed(self.report):
            if line.startswith("exit "):
                return int(line.split()[1])
        return None

    @property
    def signal(self):
        """Number of the signal that ended the program, or None."""
        for line in reversed(self.report):
            if line.startswith("signal "):
                return int(line.split()[1])
        return None

    @property
    def panicked(self):
        return any(line.startswith("panic") for line in self.report)


def make_image(directory, files):
    """Composes an EROFS image; files maps paths in the image to files here (or bytes). Returns its path."""
    root = Path(directory) / "root"
    image = Path(directory) / "root.erofs"
    for name in DIRECTORIES:
        (root / name).mkdir(parents=True, exist_ok=True)
    for inside, source in files.items():
        target = root / inside.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(source, bytes):
            target.write_bytes(source)
            target.chmod(0o755)
        else:
            shutil.copy(source, target)
    image.unlink(missing_ok=True)
    subprocess.run(["mkfs.erofs", "-T0", "--all-root", "-zlz4", str(image), str(root)], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return image


def boot(image, command, cpus=1, memory=256, timeout=60, extra=(), kernel=None):
    """Boots the kernel with `command` as its command line; waits for the end (or stops it after timeout seconds)."""
    report = Path(str(image) + ".report")
    report.unlink(missing_ok=True)
    args = ["qemu-system-x86_64", "-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max",
            "-m", str(memory), "-smp", str(cpus), "-nodefaults", "-display", "none", "-no-reboot",
            "-serial", "stdio", "-debugcon", f"file:{report}",
            "-drive", f"file={image},if=none,id=root,format=raw,readonly=on",
            "-device", "virtio-blk-pci,drive=root",
            "-kernel", str(kernel or KERNEL), "-append", command, *extra]
    try:
        done = subprocess.run(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=timeout, check=False)
        output, code = done.stdout, done.returncode
    except subprocess.TimeoutExpired as e:
        output, code = e.stdout or b"", None
    lines = report.read_text(errors="replace").splitlines() if report.exists() else []
    return Result(output.decode(errors="replace").replace("\r\n", "\n"), lines, code)
