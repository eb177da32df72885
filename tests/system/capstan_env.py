# SPDX-License-Identifier: BSD-3-Clause
"""A capstan with a root directory of its own, and a QEMU that only plays one."""
import json
import os
import pathlib
import re
import subprocess

import pytest

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get("CARRARA_BUILD", HERE.parent.parent / "build"))


class Capstan:
    def __init__(self, tmp):
        self.tmp = pathlib.Path(tmp)
        self.root = self.tmp / "root"
        self.record = self.tmp / "qemu.json"
        self.disk = self.tmp / "disk.img"
        kernel = self.tmp / "kernel" / "carrara.elf"
        kernel.parent.mkdir()
        kernel.write_bytes(b"")
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("CAPSTAN_")}
        self.env.update(
            CAPSTAN_ROOT=str(self.root),
            CAPSTAN_QEMU=str(HERE / "fake_qemu"),
            CARRARA_KERNEL=str(kernel),
            FAKE_RECORD=str(self.record),
            FAKE_DISK_COPY=str(self.disk),
            PATH="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        )

    def __call__(self, *args, status=0, cwd=None, env=None, stdin="", timeout=60):
        """Runs capstan; returns (stdout, stderr) after checking the exit status."""
        r = subprocess.run(
            [str(BUILD / "capstan" / "capstan"), *map(str, args)],
            cwd=cwd or self.tmp, env={**self.env, **(env or {})}, input=stdin,
            capture_output=True, text=True, timeout=timeout)
        assert r.returncode == status, (args, r.returncode, r.stdout, r.stderr)
        return r.stdout, r.stderr

    def qemu(self):
        return json.loads(self.record.read_text())

    def cmdline(self):
        """The kernel's command line, without the option that says what the standard descriptors are here."""
        args = self.qemu()["args"]
        return re.sub(r"^--stdio=\S+ ", "", args[args.index("-append") + 1])

    def image(self, name):
        return self.root / "repository" / name / (name.split("/")[-1] + ".qemu")

    def extract(self, image):
        """The files of an image, through qemu-img and erofs-utils."""
        raw, fs, out = self.tmp / "x.raw", self.tmp / "x.erofs", self.tmp / "x"
        subprocess.run(["rm", "-rf", out], check=True)
        subprocess.run(["qemu-img", "convert", "-O", "raw", image, raw], check=True)
        with open(raw, "rb") as f:
            f.seek(512)
            head = f.read(512)
            lba, size = (int.from_bytes(head[o:o + 8], "little") for o in (56, 64))
            f.seek(lba * 512)
            fs.write_bytes(f.read(size))
        subprocess.run(["fsck.erofs", f"--extract={out}", "--preserve", fs], check=True)
        return out

    def package(self, name, files, version=None, run=None, require=(), manifest="", directory=None):
        """A package directory with files {path: text or (text, mode)}."""
        d = pathlib.Path(directory or self.tmp / "src" / name)
        (d / "meta").mkdir(parents=True, exist_ok=True)
        text = f"name: {name}\ntitle: {name} title\nauthor: tester\n{manifest}"
        if version:
            text += f'version: "{version}"\n'
        if require:
            text += "require:\n" + "".join(f'  - "{r}"\n' for r in require)
        (d / "meta" / "package.yaml").write_text(text)
        if run:
            (d / "meta" / "run.yaml").write_text(run)
        for path, content in files.items():
            content, mode = content if isinstance(content, tuple) else (content, 0o644)
            f = d / path
            f.parent.mkdir(parents=True, exist_ok=True)
            f.write_text(content)
            f.chmod(mode)
        return d


@pytest.fixture
def capstan(tmp_path):
    return Capstan(tmp_path)
