# SPDX-License-Identifier: BSD-3-Clause
"""capstan run: what reaches the hypervisor and what comes back, with a stand-in for QEMU."""
import os
import pathlib
import signal
import socket
import subprocess
import time

from capstan_env import BUILD, capstan  # noqa: F401

NATIVE = "runtime: native\nconfig_set:\n  hello:\n    bootcmd: /bin/hello world\n"


def hello(capstan, **kw):
    d = capstan.package("app.hello", {"bin/hello": ("#!/bin/sh\n", 0o755)}, run=kw.pop("run", NATIVE), **kw)
    capstan("package", "compose", "hello", cwd=d)
    return d


def test_host_program_output_and_status(capstan):
    out, err = capstan("run", "--host", "/bin/echo", "hello", "a b", "it's", "",
                       env={"FAKE_GUEST": "exit 7"}, status=7)
    assert out == "hello from the guest\n" and err == ""
    assert capstan.cmdline() == "/bin/echo hello 'a b' \"it's\" ''"
    q = capstan.qemu()
    assert q["magic"] == "CARRARA1" and q["crc_ok"]
    assert any(a.startswith("microvm") for a in q["args"])


def test_host_image_holds_program_and_libraries(capstan):
    script = capstan.tmp / "script.sh"
    script.write_text("#!/bin/sh -e\necho\n")
    script.chmod(0o755)
    extra = capstan.tmp / "extra.txt"
    extra.write_text("extra")
    capstan("run", "--file", f"{extra}:/data/e.txt", "--dir", f"{capstan.tmp}/kernel:/k",
            "--env", "A=b c", "--host", script, "x.txt")
    tree = capstan.extract(capstan.disk)
    for path in ("/bin/sh", "/lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/libc.so.6"):
        assert (tree / os.path.realpath(path)[1:]).read_bytes() == pathlib.Path(path).read_bytes()
    assert (tree / str(script)[1:]).read_text() == script.read_text()
    assert (tree / "data/e.txt").read_text() == "extra" and (tree / "k/carrara.elf").exists()
    assert (tree / "etc/passwd").read_text().startswith("root:")
    assert os.readlink(tree / "lib64") == "usr/lib64"
    assert capstan.cmdline().startswith("'--env=A=b c' ")


def test_host_python_gets_its_library(capstan):
    (capstan.tmp / "app.py").write_text("print(1)\n")
    capstan("run", "--host", "/usr/bin/python3", "app.py")
    tree = capstan.extract(capstan.disk)
    version = os.path.basename(os.path.realpath("/usr/bin/python3"))
    assert (tree / "usr/lib" / version / "json" / "__init__.py").exists()
    assert list((tree / "usr/lib" / version / "lib-dynload").glob("*.so"))
    assert not (tree / "usr/lib" / version / "test").exists()
    # The argument's file came along and the guest starts where it lies.
    assert (tree / str(capstan.tmp)[1:] / "app.py").read_text() == "print(1)\n"
    assert capstan.cmdline() == f"--cwd={capstan.tmp} /usr/bin/python3 app.py"
    # Byte code stays valid only when the source's time is kept.
    source = f"usr/lib/{version}/json/__init__.py"
    assert int((tree / source).stat().st_mtime) == int(os.stat("/" + source).st_mtime)


def test_missing_programs_and_libraries(capstan):
    _, err = capstan("run", "--host", "no-such-program", status=1)
    assert "no program named no-such-program" in err
    _, err = capstan("run", "--host", "/etc/passwd", status=1)
    assert "not an executable" in err
    _, err = capstan("run", "--host", status=64)
    assert "needs a program" in err
    _, err = capstan("run", "--kernel", "/nonexistent", "--host", "/bin/true", status=1)
    assert "no kernel at /nonexistent" in err


def test_endings(capstan):
    assert capstan("run", "--host", "/bin/true", env={"FAKE_GUEST": "signal 9"}, status=137)[1] == ""
    _, err = capstan("run", "--host", "/bin/true", env={"FAKE_GUEST": "panic: page fault in x"}, status=70)
    assert err == "capstan: kernel panic: page fault in x\n"
    _, err = capstan("run", "--host", "/bin/true", env={"FAKE_GUEST": "silent"}, status=1)
    assert "without a word about its program" in err and "fake QEMU chatter" in err
    _, err = capstan("run", "--host", "/bin/true", env={"FAKE_GUEST": "fail"}, status=1)
    assert "QEMU ended with status 1" in err and "no such machine" in err
    _, err = capstan("run", "--host", "/bin/true", env={"CAPSTAN_QEMU": "/nonexistent"}, status=1)
    assert "is QEMU installed" in err
    # A guest that said its last word but does not switch off is switched off.
    capstan("run", "--host", "/bin/true", env={"FAKE_GUEST": "linger"}, status=5)


def test_standard_input_reaches_the_guest(capstan):
    out, _ = capstan("run", "--host", "/bin/cat", env={"FAKE_GUEST": "cat"}, stdin="one\ntwo\n")
    assert out == "hello from the guest\none\ntwo\n"


def test_machine_options(capstan):
    capstan("run", "-m", "256M", "-c", "4", "-n", "nat", "-f", "8080:80", "-f", "127.0.0.1:5353:53/udp",
            "--mac", "52:54:00:12:34:56", "--disk", capstan.record.parent / "kernel" / "carrara.elf",
            "--hostname", "box", "--strace", "--loglevel", "7", "--host", "/bin/true")
    args = " ".join(capstan.qemu()["args"])
    assert "-m 262144K -smp 4" in args
    assert "user,id=net0,hostfwd=tcp::8080-:80,hostfwd=udp:127.0.0.1:5353-:53" in args
    assert "virtio-net-device,netdev=net0,mac=52:54:00:12:34:56" in args
    assert "file=" + str(capstan.tmp / "kernel/carrara.elf") in args
    assert capstan.cmdline() == "--hostname=box --loglevel=7 --strace /bin/true"
    capstan("run", "--machine", "q35", "--host", "/bin/true")
    args = " ".join(capstan.qemu()["args"])
    assert "-M q35" in args and "virtio-blk-pci" in args


def test_wrong_options(capstan):
    for words, message in [
            (["-f", "80", "--host", "/bin/true"], "[ADDRESS:]HOST:GUEST"),
            (["-f", "1:99999", "--host", "/bin/true"], "port forwarding rule"),
            (["-n", "bridge", "-f", "1:2", "--host", "/bin/true"], "-f needs -n nat"),
            (["-n", "wifi", "--host", "/bin/true"], "unknown networking"),
            (["-m", "lots", "--host", "/bin/true"], "memory size"),
            (["-c", "0", "--host", "/bin/true"], "number of CPUs"),
            (["--mac", "1:2", "-n", "nat", "--host", "/bin/true"], "not a MAC address"),
            (["--machine", "vax", "--host", "/bin/true"], "unknown machine"),
            (["-m", "7M", "--host", "/bin/true"], "at least 8 MiB"),
            (["-n", "bridge", "-b", "nobridge0", "--host", "/bin/true"], 'no bridge named "nobridge0"'),
            (["--nosuch", "x"], "unknown option --nosuch"),
            (["--env", "=x", "--host", "/bin/true"], "NAME=VALUE"),
            (["--memroy", "1", "--host", "/bin/true"], "unknown option --memroy"),
            ([], "which image"), (["-p", "vbox", "x"], "capstan export"), (["-p", "xen", "x"], "hypervisor")]:
        _, err = capstan("run", *words, status=64)
        assert message in err, err


def test_port_in_use_is_named(capstan):
    for kind, suffix in (socket.SOCK_STREAM, ""), (socket.SOCK_DGRAM, "/udp"):
        with socket.socket(socket.AF_INET, kind) as s:
            s.bind(("127.0.0.1", 0))
            if kind == socket.SOCK_STREAM:
                s.listen()
            port = s.getsockname()[1]
            _, err = capstan("run", "-f", f"127.0.0.1:{port}:80{suffix}", "--host", "/bin/true", status=1)
            name = "UDP" if suffix else "TCP"
            assert f"cannot forward {name} port {port} of 127.0.0.1: Address already in use" in err
    assert not capstan.record.exists()


def test_instances_are_recorded_stopped_and_deleted(capstan):
    hello(capstan)
    capstan("run", "hello", env={"FAKE_GUEST": "exit 3"}, status=3)
    out, _ = capstan("instances")
    assert "hello" in out and "Stopped" in out and "exit 3" in out
    assert capstan("logs", "hello")[0] == "hello from the guest\n"
    # Two machines of one image at the same time get two names.
    for _ in range(2):
        capstan("run", "hello", "--detach", env={"FAKE_GUEST": "stoppable"})
    out, _ = capstan("instances")
    assert out.count("Running") == 2 and "hello-2" in out
    assert "in use by instance" in capstan("rmi", "hello", status=1)[1]
    assert "stop it first" in capstan("delete", "hello", status=1)[1]
    _, err = capstan("run", "-i", "hello", "hello", status=1)
    assert "running already" in err
    capstan("stop", "hello", "hello-2")
    out, _ = capstan("instances")
    assert "Running" not in out and out.count("signal 2") == 2
    capstan("delete", "hello", "hello-2")
    assert "hello" not in capstan("instances")[0]
    capstan("rmi", "hello")


def test_stop_ends_a_guest_that_does_not_react(capstan):
    hello(capstan)
    capstan("run", "hello", "-d", env={"FAKE_GUEST": "hang"})
    start = time.monotonic()
    capstan("stop", "hello")
    assert 2 < time.monotonic() - start < 8
    capstan("run", "hello", "-d", env={"FAKE_GUEST": "hang"})
    capstan("stop", "--force", "hello")
    assert "not running" in capstan("stop", "hello", status=1)[1]


def test_killed_capstan_leaves_no_running_instance(capstan):
    hello(capstan)
    p = subprocess.Popen([str(BUILD / "capstan" / "capstan"), "run", "hello"], cwd=capstan.tmp,
                         env={**capstan.env, "FAKE_GUEST": "hang"}, stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert p.stdout.readline() == b"hello from the guest\n"
    assert "Running" in capstan("instances")[0]
    p.send_signal(signal.SIGKILL)
    p.wait()
    assert "Running" not in capstan("instances")[0]
    p.stdout.close()


def test_detached_failure_is_reported(capstan):
    hello(capstan)
    _, err = capstan("run", "hello", "-d", env={"FAKE_GUEST": "fail"}, status=1)
    assert "no such machine" in err and "did not start" in err


def test_volumes(capstan):
    hello(capstan)
    capstan("volume", "create", "data", "-s", "64M")
    capstan("volume", "create", "cow", "-s", "1G", "-f", "qcow2")
    out, _ = capstan("volume", "list")
    assert "64.0 MiB" in out and "1.0 GiB" in out
    subprocess.run(["qemu-img", "check", capstan.root / "volumes/cow.qcow2"], check=True,
                   stdout=subprocess.DEVNULL)
    capstan("run", "hello", "-d", "--volume", "data", "--volume", "cow", env={"FAKE_GUEST": "stoppable"})
    assert any("volumes/data.raw,format=raw" in a for a in capstan.qemu()["args"])
    assert any("volumes/cow.qcow2,format=qcow2" in a for a in capstan.qemu()["args"])
    assert "in use" in capstan("volume", "delete", "data", status=1)[1]
    assert "in use" in capstan("run", "-i", "hello", "other", "--volume", "data", status=1)[1]
    capstan("stop", "hello")
    capstan("volume", "delete", "data", "cow")
    assert "no volume" in capstan("run", "hello", "--volume", "data", status=1)[1]
    assert "not like" in capstan("volume", "create", "x", "-s", "big", status=64)[1]


def test_persistent_instance_has_a_disk_of_its_own(capstan):
    hello(capstan)
    before = capstan.image("hello").read_bytes()
    capstan("run", "hello", "--persist")
    disk = [a for a in capstan.qemu()["args"] if a.startswith("if=none,id=disk0")][0]
    assert "instances/qemu/hello/disk.qcow2" in disk and "readonly" not in disk
    capstan("run", "hello")
    disk = [a for a in capstan.qemu()["args"] if a.startswith("if=none,id=disk0")][0]
    assert disk.endswith("readonly=on") and capstan.image("hello").read_bytes() == before


def test_boot_priorities_and_parameters(capstan):
    run = """runtime: native
config_set:
  one:
    bootcmd: /bin/hello ${WHO:-nobody} ${PORT}
    env: {MODE: fast, LEVEL: 1}
  two:
    bootcmd: /bin/hello two
config_set_default: one
"""
    opts = "PORT:\n  short: P\n  description: port to listen on\n  default: 8080\n"
    d = hello(capstan, run=run)
    (d / "meta/opts").write_text(opts)
    capstan("package", "compose", "hello", cwd=d)

    def line(*words, **kw):
        capstan("run", "hello", *words, **kw)
        return capstan.cmdline()

    assert line() == "--env=PORT=8080 --env=LEVEL=1 --env=MODE=fast /bin/hello nobody 8080"
    assert line("--env", "WHO=you and me", "--port", "99") == (
        "--env=PORT=8080 --env=PORT=99 '--env=WHO=you and me' --env=LEVEL=1 --env=MODE=fast "
        "/bin/hello 'you and me' 99")
    assert line("-P", "1").endswith("/bin/hello nobody 1")
    assert "--env=MODE=slow --env=LEVEL=1 /bin/hello" in line("--env", "MODE=slow")
    assert line("--boot", "two").endswith("/bin/hello two")
    assert line("-e", "/bin/other x", "--boot", "two").endswith("/bin/other x")
    assert "there is: one, two" in capstan("run", "hello", "-r", "three", status=64)[1]
    _, err = capstan("run", "hello", "--prot", "1", status=64)
    assert "--port (port to listen on)" in err
    # What boots elsewhere, without capstan, finds the same command in the image.
    tree = capstan.extract(capstan.image("hello"))
    assert (tree / "run/one").read_text() == "--env=LEVEL=1 --env=MODE=fast /bin/hello ${WHO:-nobody} ${PORT}\n" \
        or "${WHO:-nobody}" in (tree / "run/one").read_text()
    assert (tree / "run/default").read_text() == (tree / "run/one").read_text()
    assert "--boot=one" in capstan("info", "hello")[0]
