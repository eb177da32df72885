# SPDX-License-Identifier: BSD-3-Clause
"""capstan with the real kernel and the real QEMU: what the other tests only check the words of."""
import json
import subprocess

import pytest

from capstan_env import BUILD, Capstan


@pytest.fixture
def real(tmp_path):
    c = Capstan(tmp_path)
    for name in ("CAPSTAN_QEMU", "FAKE_RECORD", "FAKE_DISK_COPY"):
        del c.env[name]
    c.env["CARRARA_KERNEL"] = str(BUILD / "kernel")
    return c


def test_host_program_in_a_machine(real):
    out, err = real("run", "--host", "/bin/echo", "hello", "two words", "it's", "${HOME}", "&")
    assert (out, err) == ("hello two words it's ${HOME} &\n", "")
    real("run", "--host", "/bin/false", status=1)
    for machine in ("microvm", "q35", "pc"):
        out, _ = real("run", "--machine", machine, "-c", "2", "-m", "300M", "--host", "/bin/uname", "-s")
        assert out == "Linux\n"


def test_environment_directory_and_files(real):
    (real.tmp / "script.sh").write_text("#!/bin/sh\necho \"$GREETING from $PWD\"\nread line < note\necho \"$line\"\nexit 42\n")
    (real.tmp / "script.sh").chmod(0o755)
    (real.tmp / "note").write_text("a note\n")
    out, _ = real("run", "--env", "GREETING=good day", "--cwd", "/data", "--file", f"{real.tmp}/note:/data/note",
                  "--host", "./script.sh", status=42)
    assert out == "good day from /data\na note\n"


@pytest.fixture(scope="module")
def python_package(tmp_path_factory):
    c = Capstan(tmp_path_factory.mktemp("python"))
    c("package", "from-host", "/usr/bin/python3", "--name", "carrara.python3", "--version", "3.11", "-o", c.tmp)
    return c.tmp / "carrara.python3.mpm"


def python_app(real, python_package):
    real("package", "import", python_package)
    return real.package("app", {"app.py": "import json, os, sys\n"
                                          "print(json.dumps([sys.argv[1:], os.environ['WHO'], os.listdir('/data')]))\n"
                                          "sys.exit(5)\n", "data/one": "1"},
                        run="runtime: python\nmain: /app.py\nargs: [\"${MODE:-plain}\"]\nenv: {WHO: nobody}\n")


def test_python_application_from_package_to_machine(real, python_package):
    d = python_app(real, python_package)
    real("package", "compose", "app", "--size", "300M", cwd=d)
    out, _ = real("run", "-n", "none", "app", status=5)
    assert json.loads(out.splitlines()[-1]) == [["plain"], "nobody", ["one"]]
    out, _ = real("run", "-n", "none", "app", "--env", "WHO=me", "--env", "MODE=x y", status=5)
    assert json.loads(out.splitlines()[-1]) == [["x y"], "me", ["one"]]


def test_image_boots_by_itself_from_its_disk(real, python_package):
    d = python_app(real, python_package)
    real("package", "compose", "app", "-f", "raw", "--size", "300M", cwd=d)
    assert "KiB" in [line for line in real("info", "app")[0].splitlines() if line.startswith("kernel")][0]
    qemu = ["qemu-system-x86_64", "-M", "pc", "-accel", "tcg", "-cpu", "max", "-m", "512", "-nodefaults", "-display",
            "none", "-no-reboot", "-serial", "stdio", "-drive", f"if=none,id=d,file={real.image('app')},format=raw",
            "-device", "virtio-blk-pci,drive=d"]
    r = subprocess.run(qemu, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    assert json.loads(r.stdout.splitlines()[-1]) == [["plain"], "nobody", ["one"]], r


def test_detached_machine_is_stopped(real):
    d = real.package("idle", {"idle.sh": ("#!/bin/sh\necho up\nwhile :; do read x; done\n", 0o755)},
                     run="runtime: native\nbootcmd: /usr/bin/sleep 600\n")
    real("package", "from-host", "/usr/bin/sleep", "--name", "sleep")
    real("package", "compose", "idle", "--require", "sleep", cwd=d)
    real("run", "-n", "none", "-d", "idle")
    assert "Running" in real("instances")[0]
    real("stop", "idle")
    assert "Stopped" in real("instances")[0] and "Running" not in real("instances")[0]
