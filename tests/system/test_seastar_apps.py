# SPDX-License-Identifier: BSD-3-Clause
"""The small applications on Seastar, from outside."""
import os
import re
import signal
import socket
import struct
import subprocess
import threading
import time

import pytest

TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), "../.."))
BUILD = os.environ.get("CARRARA_BUILD", os.path.join(TOP, "build"))
COMMON = ["-m128M", "--thread-affinity=false"]


def app(name):
    return os.path.join(BUILD, "apps", name, name)


@pytest.fixture(params=["epoll", "linux-aio", "io_uring"])
def echo(request, tmp_path):
    path = tmp_path / "sock"
    p = subprocess.Popen([app("echo"), "-c1", *COMMON, "--reactor-backend", request.param,
                          "--address", f"unix:{path}"], stdout=subprocess.PIPE, text=True)
    assert "listening" in p.stdout.readline()
    yield p, str(path)
    p.kill()
    p.wait()


def dial(path):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(10)
    s.connect(path)
    return s


def resident(p):
    return int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{p.pid}/status").read()).group(1)) * 1024


def test_echo(echo):
    p, path = echo
    with dial(path) as s:
        for n in (1, 100, 65536):
            s.sendall(b"q" * n)
            got = b""
            while len(got) < n:  # a socket with a time limit answers with what it has
                part = s.recv(n - len(got))
                assert part
                got += part
            assert got == b"q" * n
        s.shutdown(socket.SHUT_WR)
        assert s.recv(1) == b""
    p.send_signal(signal.SIGTERM)
    assert p.wait(10) == 0


def test_clients_that_never_read_cost_bounded_memory(echo):
    p, path = echo
    greedy = [dial(path) for _ in range(10)]
    before = resident(p)
    for s in greedy:
        s.settimeout(0.2)
        try:
            while True:
                s.send(b"x" * 65536)
        except socket.timeout:
            pass
    assert resident(p) - before < 10 * 2 * 1024 * 1024
    with dial(path) as s:
        s.sendall(b"still here")
        assert s.recv(10, socket.MSG_WAITALL) == b"still here"
    for s in greedy:
        s.close()


def test_many_connections_come_and_go(echo):
    p, path = echo
    conns = [dial(path) for _ in range(300)]
    for i, s in enumerate(conns):
        s.sendall(b"%06d" % i)
    for i, s in enumerate(conns):
        assert s.recv(6, socket.MSG_WAITALL) == b"%06d" % i
    for s in conns:
        s.close()
    time.sleep(0.3)
    assert len(os.listdir(f"/proc/{p.pid}/fd")) < 40


def test_echo_on_all_shards():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    p = subprocess.Popen([app("echo"), "-c2", *COMMON, "-a", "127.0.0.1", "-p", str(port)],
                         stdout=subprocess.PIPE, text=True)
    try:
        assert "listening" in p.stdout.readline()
        errors = []

        def talk(i):
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=10) as c:
                    c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    for k in range(50):
                        c.sendall(b"%d-%d;" % (i, k))
                        assert c.recv(100).endswith(b";")
            except Exception as e:  # noqa: BLE001 - reported below
                errors.append(e)

        ts = [threading.Thread(target=talk, args=(i,)) for i in range(16)]
        for t in ts:
            t.start()
        for t in ts:
            t.join()
        assert not errors
        p.send_signal(signal.SIGINT)
        assert p.wait(10) == 0
    finally:
        p.kill()


def test_idle_timeout(tmp_path):
    path = tmp_path / "sock"
    p = subprocess.Popen([app("echo"), "-c1", *COMMON, "-a", f"unix:{path}",
                          "--idle-timeout-ms", "100"], stdout=subprocess.PIPE, text=True)
    try:
        assert "listening" in p.stdout.readline()
        with dial(str(path)) as s:
            assert s.recv(1) == b""
    finally:
        p.kill()


def test_iotune_and_io_tester(tmp_path):
    props = tmp_path / "props"
    subprocess.run([app("iotune"), "-c1", *COMMON, "-d", str(tmp_path), "--file-size", "8M",
                    "--duration-ms", "20", "-o", str(props)], check=True, capture_output=True,
                   timeout=60)
    text = props.read_text()
    for name in ("read_iops", "read_bandwidth", "write_iops", "write_bandwidth", "depth"):
        assert int(re.search(rf"^{name}: (\d+)$", text, re.M).group(1)) > 0
    out = subprocess.run([app("io_tester"), "-c1", *COMMON, "--io-properties-file", str(props),
                          "-f", str(tmp_path / "data"), "--file-size", "8M", "-d", "100"],
                         check=True, capture_output=True, text=True, timeout=60).stdout
    assert len(re.findall(r"IOPS", out)) == 2 and not (tmp_path / "data").exists()
    props.write_text("nonsense\n")
    bad = subprocess.run([app("io_tester"), "-c1", "--io-properties-file", str(props)],
                         capture_output=True, text=True, timeout=20)
    assert bad.returncode == 1 and "line 1: ':' expected" in bad.stderr
    bad = subprocess.run([app("io_tester"), "-c1", *COMMON, "-j", "size=17"], capture_output=True,
                         text=True, timeout=20)
    assert bad.returncode == 1 and "bad job 'size=17'" in bad.stderr
