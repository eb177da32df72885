# SPDX-License-Identifier: BSD-3-Clause
"""The framework inside Carrara: its examples, its own tests, and servers reached from outside."""
import os
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

from capstan_env import BUILD

CAPSTAN = BUILD / "capstan" / "capstan"
EXAMPLES = BUILD / "seastar" / "examples"
UNIT = BUILD / "tests" / "unit" / "seastar"


def command(tmp_path, program, *args, cpus=2, memory="768M", more=()):
    env = {k: v for k, v in os.environ.items() if not k.startswith("CAPSTAN_")}
    env.update(CAPSTAN_ROOT=str(tmp_path / "root"), CARRARA_KERNEL=str(BUILD / "kernel"))
    return [str(CAPSTAN), "run", "-c", str(cpus), "-m", memory, *more, "--host", str(program),
            *map(str, args)], env


def run(tmp_path, program, *args, timeout=200, **kw):
    cmd, env = command(tmp_path, program, *args, **kw)
    return subprocess.run(cmd, env=env, cwd=tmp_path, capture_output=True, text=True,
                          timeout=timeout)


@pytest.mark.parametrize("name", [
    "getting_started", "threads", "sleeping", "parallel_sleep", "values", "captures", "errors",
    "semaphores", "loop_limit", "loop_gate", "pipes", "gate", "gate_check", "promises", "fibers"])
def test_tutorial(tmp_path, name):
    """The same output as on the host."""
    program = EXAMPLES / f"tutorial_{name}"
    host = subprocess.run([program, "-c2", "-m128M", "--thread-affinity=false"],
                          capture_output=True, text=True, timeout=60)
    guest = run(tmp_path, program, "-c2", "-m128M")
    assert (guest.returncode, guest.stdout) == (host.returncode, host.stdout), guest.stderr


def test_options_and_messages(tmp_path):
    program = EXAMPLES / "tutorial_options"
    r = run(tmp_path, program, "-c1", "-m64M", "--flag", "-s", "3")
    assert r.stdout == "Flag is on\nSize is 3\n"
    r = run(tmp_path, EXAMPLES / "tutorial_threads", "-c5", "-m64M", cpus=4)
    assert r.returncode == 1 and "insufficient processing units" in r.stdout + r.stderr
    r = run(tmp_path, EXAMPLES / "tutorial_threads", "-m10T")
    assert r.returncode == 1 and "insufficient physical memory" in r.stdout + r.stderr


@pytest.mark.parametrize("name", ["future", "sync", "smp", "mem", "net", "file", "backend", "dns",
                                  "tls tls_echo tls_sni_and_alpn", "rpc"])
def test_unit(tmp_path, name):
    """The framework's own tests; back ends the kernel has not are replaced. Of TLS a part: public
    keys take their time where the machine is emulated."""
    name, *only = name.split()
    r = run(tmp_path, UNIT / f"seastar_test_{name}_plain", *only, memory="1G")
    lines = (r.stdout + r.stderr).splitlines()
    assert r.returncode == 0, "\n".join(line for line in lines if not line.startswith("ok"))
    plan = [line for line in lines if line.startswith("1..")]
    assert plan and len([line for line in lines if line.startswith("ok ")]) == int(plan[0][3:])


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Machine:
    """A server in a virtual machine with one port forwarded."""

    def __init__(self, tmp_path, program, *args, guest_port, ready):
        self.port = free_port()
        cmd, env = command(tmp_path, program, *args, more=("-f", f"{self.port}:{guest_port}"))
        self.p = subprocess.Popen(cmd, env=env, cwd=tmp_path, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True)
        self.lines = []
        for line in self.p.stdout:
            self.lines.append(line)
            if ready in line:
                break
        else:
            raise AssertionError("the machine ended: " + "".join(self.lines))
        threading.Thread(target=lambda: self.lines.extend(self.p.stdout), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.p.send_signal(signal.SIGTERM)
        try:
            self.p.wait(30)
        except subprocess.TimeoutExpired:
            self.p.kill()
            raise


def talk(port, size):
    data = os.urandom(size)
    with socket.create_connection(("127.0.0.1", port), 30) as s:
        threading.Thread(target=lambda: (s.sendall(data), s.shutdown(socket.SHUT_WR)),
                         daemon=True).start()
        got = b""
        while part := s.recv(65536):
            got += part
    return got == data


def test_echo_from_outside(tmp_path):
    with Machine(tmp_path, BUILD / "apps/echo/echo", "-c2", "-m128M", guest_port=7,
                 ready="listening") as m:
        for size in (1, 1000, 100000, 2000000):
            assert talk(m.port, size), size
        # Many at a time.
        results = []
        threads = [threading.Thread(target=lambda: results.append(talk(m.port, 50000)))
                   for _ in range(20)]
        for t in threads:
            t.start()
        for t in threads:
            t.join(60)
        assert results == [True] * 20
        # One that goes away in the middle.
        s = socket.create_connection(("127.0.0.1", m.port), 30)
        s.sendall(b"x" * 100000)
        s.close()
        assert talk(m.port, 10)
        assert m.p.poll() is None


def test_rpc_from_outside(tmp_path):
    with Machine(tmp_path, BUILD / "apps/rpc_tester/rpc_tester", "-c2", "-m128M", "--listen",
                 "0.0.0.0:10000", guest_port=10000, ready="listening") as m:
        time.sleep(0.1)
        r = subprocess.run(
            [BUILD / "apps/rpc_tester/rpc_tester", "-c1", "-m128M", "--thread-affinity=false",
             "--connect", f"127.0.0.1:{m.port}", "-d", "2", "--verify", "--job",
             "verb=echo parallelism=16 payload=1k", "--job", "verb=stream_echo payload=2k",
             "--job", "verb=read payload=100k"], capture_output=True, text=True, timeout=60)
        assert r.returncode == 0, r.stdout + r.stderr
        assert all(int(n) > 0 for n in re.findall(r"messages: (\d+)", r.stdout))
        assert m.p.poll() is None
