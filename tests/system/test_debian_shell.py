# SPDX-License-Identifier: BSD-3-Clause
"""coreutils, findutils, busybox and the shells in a machine: the same script gives the same text as on this host."""
import os
import subprocess
from pathlib import Path

import pytest

import debian

SCRIPTS = Path(__file__).resolve().parent / "scripts"
PACKAGES = ["coreutils", "findutils", "sed", "grep", "diffutils", "dash", "bash", "busybox-static", "util-linux"]
# Under emulation a program at a random address is translated anew each time, which takes longer than all it does.
FIXED = "/usr/bin/setarch x86_64 -R"


@pytest.fixture(scope="module")
def image():
    files = {f"/test/{s.name}": s for s in SCRIPTS.iterdir()}
    return debian.Image("shell", PACKAGES, {**files, "/etc/passwd": "root:x:0:0:root:/root:/bin/bash\n",
                                            "/etc/group": "root:x:0:\n"})


def here(image, tmp_path, *command):
    """What a script writes on this host, with the commands of the image."""
    path = f"{image.root}/usr/bin:{image.root}/usr/sbin:" + os.environ["PATH"]
    done = subprocess.run(command, env={"PATH": path, "HOME": "/root"}, cwd=tmp_path, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, timeout=120)
    return done.stdout.decode(errors="replace")


def compare(expected, got):
    """Both texts, command by command: a difference names the command."""
    first, second = ([part for part in text.split("== ")] for text in (expected, got.out))
    for a, b in zip(first, second):
        assert a == b
    assert len(first) == len(second), got
    assert got.status == 0


@pytest.mark.parametrize("cpus", [1, 2, 4])
def test_coreutils_and_findutils_singly(image, tmp_path, cpus):
    expected = here(image, tmp_path, "dash", SCRIPTS / "coreutils.sh", tmp_path)
    assert int(expected.split()[-2]) > 90
    compare(expected, image.run(f"{FIXED} /bin/sh /test/coreutils.sh /tmp", cpus=cpus))


@pytest.mark.parametrize("cpus", [1, 4])
def test_busybox_applets(image, tmp_path, cpus):
    busybox = "/usr/bin/busybox"
    expected = here(image, tmp_path, "dash", SCRIPTS / "busybox.sh", f"{image.root}{busybox}", tmp_path)
    assert expected.count("has ") > 80
    got = image.run(f"{FIXED} /bin/sh /test/busybox.sh {busybox} /tmp", cpus=cpus)
    compare(expected.replace(f"{image.root}{busybox}", busybox), got)


@pytest.mark.parametrize("shell,cpus", [("dash", 1), ("dash", 2), ("bash", 2), ("bash", 4)])
def test_builtins(image, tmp_path, shell, cpus):
    expected = here(image, tmp_path, shell, SCRIPTS / "builtins.sh", tmp_path, SCRIPTS / "builtins_bash.sh")
    assert expected.count("\n") > 35
    got = image.run(f"{FIXED} /bin/{shell} /test/builtins.sh /tmp /test/builtins_bash.sh", cpus=cpus)
    assert got.out.splitlines() == expected.splitlines(), got.err
    assert got.status == 0


@pytest.mark.parametrize("shell,cpus", [("dash", 1), ("dash", 2), ("dash", 4), ("bash", 2)])
def test_pipelines_with_many_children(image, shell, cpus):
    got = image.run(f"{FIXED} /bin/{shell} /test/pipelines.sh 12", cpus=cpus)
    assert (got.status, got.out) == (0, "2 2 3 50\n"), got
