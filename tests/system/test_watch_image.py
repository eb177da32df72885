# SPDX-License-Identifier: BSD-3-Clause
"""The monitoring service as a package of a composed image, with a configuration of the image's own."""
import os
import re
import subprocess
import time

import pytest

import watched

TALK = watched.BUILD / "tests" / "guest" / "tracing" / "talk"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    env = {**os.environ, "CAPSTAN_ROOT": str(root), "CAPSTAN": str(watched.CAPSTAN)}

    def capstan(*words, cwd=root):
        done = subprocess.run([watched.CAPSTAN, *map(str, words)], env=env, cwd=cwd, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, (words, done)
        return done.stdout

    subprocess.run([watched.TOP / "packages" / "build", "carrara.httpserver"], env=env, check=True, timeout=120)
    package = root / "app"
    (package / "meta").mkdir(parents=True)
    (package / "bin").mkdir()
    (package / "bin" / "talk").write_bytes(TALK.read_bytes())
    (package / "bin" / "talk").chmod(0o755)
    (package / "meta" / "run.yaml").write_text("runtime: native\nbootcmd: --env=KIND=watched /bin/talk app 600\n")
    capstan("package", "init", "--name", "app", "--title", "App", "--author", "x", "--require", "carrara.httpserver", package)
    capstan("package", "compose", "app", "--size", "200MB", cwd=package)
    return capstan, env


def test_image(root):
    capstan, env = root
    capstan("run", "app", "--detach", "--watch", "-m", "64M", "--persist")
    try:
        record = (watched.Path(env["CAPSTAN_ROOT"]) / "instances" / "qemu" / "app" / "instance.yaml").read_text()
        port = int(re.search(r"http://127.0.0.1:(\d+)", record)[1])
        guest = watched.Guest(port)

        class Alive:
            def poll(self):
                return None

        guest.wait_up(Alive())
        assert guest.get("/env/KIND") == "watched"
        # The tools find it by the instance's name, and as the only one.
        for words in (["-g", "app"], []):
            assert capstan("exec", *words, "/bin/talk", "x", "0").startswith("x 0\n")
        console = capstan("logs", "app")
        assert re.search(r"^httpserver: listening", console, re.M) and re.search(r"^app 4\r?$", console, re.M)
        # The image's command line is changed on the disk, whose header stays valid.
        line = guest.get("/os/cmdline")
        reply = guest.call("POST", "/os/cmdline", {"cmdline": "--env=KIND=changed /usr/bin/httpserver"})
        assert reply.status == 200, reply
        assert guest.get("/os/cmdline") == "--env=KIND=changed /usr/bin/httpserver" != line
        assert guest.call("POST", "/os/cmdline", {"cmdline": "x" * 70000}).status == 413
    finally:
        capstan("stop", "app")
    disk = watched.Path(env["CAPSTAN_ROOT"]) / "instances" / "qemu" / "app" / "disk.qcow2"
    assert disk.exists()


def test_packages_size(root):
    """Small enough to be in every image."""
    _, env = root
    package = watched.Path(env["CAPSTAN_ROOT"]) / "packages" / "carrara.httpserver.mpm"
    assert package.stat().st_size < 5 << 20
