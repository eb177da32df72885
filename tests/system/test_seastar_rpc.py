# SPDX-License-Identifier: BSD-3-Clause
"""RPC between two processes: rpc_tester against itself, with a proxy in between that breaks things."""
import os
import random
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
TESTER = os.path.join(BUILD, "apps", "rpc_tester", "rpc_tester")
COMMON = ["-m256M", "--thread-affinity=false"]


class Server:
    def __init__(self, address, *more, shards=1):
        self.p = subprocess.Popen([TESTER, f"-c{shards}", *COMMON, "--listen", address, *more],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert "listening" in self.p.stdout.readline()
        # Messages about bad peers must not fill the pipe.
        self.log = []
        threading.Thread(target=lambda: self.log.extend(self.p.stderr), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.p.send_signal(signal.SIGTERM)
        try:
            assert self.p.wait(30) == 0, "".join(self.log)
        finally:
            self.p.kill()

    def resident(self):
        text = open(f"/proc/{self.p.pid}/status").read()
        return int(re.search(r"VmRSS:\s+(\d+)", text).group(1)) * 1024


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def client(address, *more, seconds=1, timeout=60, shards=1):
    r = subprocess.run([TESTER, f"-c{shards}", *COMMON, "--connect", address, "-d", str(seconds),
                        *more], capture_output=True, text=True, timeout=timeout)
    r.jobs = {}
    for name, body in re.findall(r"^(\S+):\n((?:  .*\n)+)", r.stdout, re.M):
        r.jobs[name] = dict(re.findall(r"^\s+([^:]+): (.*)$", body, re.M))
    return r


ALL = ["--job", "verb=echo parallelism=16", "--job", "verb=write payload=100k",
       "--job", "verb=read payload=200k", "--job", "verb=stream payload=10k",
       "--job", "verb=stream_echo payload=1k parallelism=2",
       "--job", "name=small verb=oneway pause=1ms"]


@pytest.mark.parametrize("backend", ["epoll", "linux-aio", "io_uring"])
def test_all_verbs(backend, tmp_path):
    address = f"unix:{tmp_path}/sock"
    with Server(address, "--reactor-backend", backend):
        r = client(address, "--verify", "--reactor-backend", backend, *ALL)
    assert r.returncode == 0, r.stdout + r.stderr
    assert len(r.jobs) == 6
    for name, j in r.jobs.items():
        assert int(j["messages"]) > 0, name
        assert j["errors"] == "0" and j["wrong answers"] == "0", name
    assert "connections: 1 made, 0 lost" in r.stdout


def test_two_shards():
    port = free_port()
    with Server(f"127.0.0.1:{port}", shards=2):
        r = client(f"127.0.0.1:{port}", "--verify", *ALL, shards=2)
    assert r.returncode == 0, r.stdout + r.stderr
    assert "connections: 2 made, 0 lost" in r.stdout


@pytest.mark.parametrize("how", ["lz4", "zstd", "zstd,lz4"])
def test_compression(how, tmp_path):
    address = f"unix:{tmp_path}/sock"
    with Server(address, "--compression", "zstd,lz4"):
        r = client(address, "--verify", "--compression", how, *ALL)
        assert r.returncode == 0, r.stdout + r.stderr
        plain, wire = map(int, re.search(r"bytes sent: (\d+), on the wire (\d+)",
                                         r.stdout).groups())
        assert wire < plain / 4
        r = client(address, "--verify", "--random", "--compression", how, "--job",
                   "verb=echo payload=50k")
        assert r.returncode == 0, r.stdout + r.stderr


class Proxy:
    """Passes connections on, and may do them harm."""

    def __init__(self, to, harm):
        self.to, self.harm = to, harm
        self.s = socket.create_server(("127.0.0.1", 0))
        self.port = self.s.getsockname()[1]
        self.stopping = False
        self.n = 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                c, _ = self.s.accept()
            except OSError:
                return
            self.n += 1
            try:
                up = socket.create_connection(("127.0.0.1", self.to))
            except OSError:
                c.close()
                continue
            rnd = random.Random(self.n)
            for a, b, out in ((c, up, True), (up, c, False)):
                threading.Thread(target=self.copy, args=(a, b, out, rnd), daemon=True).start()

    def copy(self, a, b, out, rnd):
        at, limit = 0, rnd.randrange(20, 200000)
        try:
            while data := a.recv(rnd.choice((1, 7, 100, 65536))):
                if not self.stopping and at + len(data) > limit:
                    if self.harm == "cut":  # in the middle of a frame, as a rule
                        b.sendall(data[:limit - at])
                        break
                    if self.harm == "reset":
                        b.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                     struct.pack("ii", 1, 0))
                        b.close()
                        break
                    if self.harm == "flip" and out:
                        k = rnd.randrange(len(data))
                        data = data[:k] + bytes([data[k] ^ 1 << rnd.randrange(8)]) + data[k + 1:]
                        limit = at + len(data) + rnd.randrange(20, 200000)
                    if self.harm == "stall":
                        time.sleep(0.05)
                        limit = at + len(data) + 50000
                at += len(data)
                b.sendall(data)
        except OSError:
            pass
        for s in (a, b):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.s.close()


@pytest.mark.parametrize("harm", ["cut", "reset", "stall"])
def test_injected_disconnects(harm):
    """Calls fail or succeed; no answer is wrong, none is missing, and work goes on."""
    port = free_port()
    with Server(f"127.0.0.1:{port}") as s, Proxy(port, harm) as p:
        r = client(f"127.0.0.1:{p.port}", "--verify", "--tolerate-errors", "--random", "--job",
                   "verb=echo parallelism=8 payload=3k timeout=2s", "--job",
                   "verb=stream_echo payload=2k", seconds=2)
        assert r.returncode == 0, r.stdout + r.stderr
        assert int(r.jobs["echo"]["messages"]) > 20
        for j in r.jobs.values():
            assert j["wrong answers"] == "0"
        lost = int(re.search(r"(\d+) lost", r.stdout).group(1))
        assert (lost > 2) == (harm != "stall")
        # The server is as good as new for others.
        good = client(f"127.0.0.1:{port}", "--verify", "--job", "verb=echo")
        assert good.returncode == 0, good.stdout + good.stderr
        assert s.p.poll() is None


def test_flipped_bits():
    """A flipped bit may change a payload, but ends neither side."""
    port = free_port()
    with Server(f"127.0.0.1:{port}", "--compression", "lz4") as s, Proxy(port, "flip") as p:
        r = client(f"127.0.0.1:{p.port}", "--tolerate-errors", "--compression", "lz4", "--job",
                   "verb=echo parallelism=8 payload=3k timeout=1s", "--job",
                   "verb=stream_echo payload=2k", seconds=2)
        assert r.returncode >= 0 and "messages" in r.stdout, r.stdout + r.stderr
        good = client(f"127.0.0.1:{port}", "--verify", "--job", "verb=echo")
        assert good.returncode == 0
        assert s.p.poll() is None


def test_server_killed_and_back():
    port = free_port()
    address = f"127.0.0.1:{port}"
    first = Server(address)
    c = subprocess.Popen([TESTER, "-c1", *COMMON, "--connect", address, "-d", "4", "--verify",
                          "--tolerate-errors", "--job", "verb=echo parallelism=4"],
                         stdout=subprocess.PIPE, text=True)
    time.sleep(1)
    first.p.kill()
    first.p.wait()
    time.sleep(0.3)
    with Server(address):
        out, _ = c.communicate(timeout=60)
    assert c.returncode == 0, out
    assert "wrong answers: 0" in out and "connections: 2 made, 1 lost" in out
    assert "Connection refused" in out


def hello():
    features = struct.pack("<HHI", 6, 4, 16 << 20) + struct.pack("<HHI", 4, 4, 1 << 18)
    return b"SSRPC\r\n\x1a" + struct.pack("<II", 1, len(features)) + features


def header(length, kind, code, ident, value=0, raw=0):
    return struct.pack("<IIBBBBIQQ", length, raw, kind, 0, 0, 0, code, ident, value)


def test_floods_cost_bounded_memory():
    """Clients that promise much and send little, that never read, that send garbage."""
    port = free_port()
    with Server(f"127.0.0.1:{port}", "--memory-limit", "64M") as s:
        before = s.resident()
        socks = []
        for i in range(60):
            c = socket.create_connection(("127.0.0.1", port))
            c.settimeout(5)
            # A request of 16 MiB of which a part comes.
            c.sendall(hello() + header(16 << 20, 1, 1, 1))
            c.setblocking(False)
            try:
                c.send(b"x" * 100000)
            except BlockingIOError:
                pass
            socks.append(c)
        # Never reads its answers: asks for 8 MiB again and again.
        for i in range(20):
            c = socket.create_connection(("127.0.0.1", port))
            c.sendall(hello())
            c.setblocking(False)
            ask = b"".join(header(4, 1, 3, k) + struct.pack("<I", 8 << 20)
                           for k in range(1, 1000))
            try:
                c.send(ask)
            except BlockingIOError:
                pass
            socks.append(c)
        for i in range(50):
            c = socket.create_connection(("127.0.0.1", port))
            c.sendall(random.Random(i).randbytes(5000))
            socks.append(c)
        time.sleep(1)
        assert s.resident() - before < 230 << 20  # within -m256M, whatever they do
        assert s.p.poll() is None
        for c in socks:
            c.close()
        r = client(f"127.0.0.1:{port}", "--verify", "--job", "verb=echo")
        assert r.returncode == 0, r.stdout + r.stderr


def test_tls(tmp_path):
    def openssl(*a):
        subprocess.run(["openssl", *a], check=True, capture_output=True, cwd=tmp_path, timeout=60)

    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=x", "-addext",
            "subjectAltName=DNS:localhost")
    port = free_port()
    with Server(f"127.0.0.1:{port}", "--tls-cert", tmp_path / "cert.pem", "--tls-key",
                tmp_path / "key.pem"):
        good = client(f"127.0.0.1:{port}", "--verify", "--tls-ca", tmp_path / "cert.pem", *ALL)
        assert good.returncode == 0, good.stdout + good.stderr
        other = client(f"127.0.0.1:{port}", "--tls-ca", tmp_path / "cert.pem", "--tls-name", "else")
        assert other.returncode == 1 and "rejected" in other.stdout
        plain = client(f"127.0.0.1:{port}")
        assert plain.returncode == 1


def test_options(tmp_path):
    r = subprocess.run([TESTER, "--help"], capture_output=True, text=True, timeout=30)
    assert r.returncode == 0
    for word in ("--listen", "--connect", "--job", "--conf", "--compression", "--duration"):
        assert word in r.stdout
    conf = tmp_path / "jobs"
    conf.write_text("# jobs\nname=one verb=echo parallelism=2  # first\n\nverb=read payload=1k\n")
    address = f"unix:{tmp_path}/sock"
    with Server(address):
        r = client(address, "--conf", conf)
        assert r.returncode == 0 and set(r.jobs) == {"one", "read"}
    for text, what in (("verb=echo\nverb=fly\n", 'line 2: job: bad setting "verb=fly"'),
                       ("parallelism=0\n", 'line 1: job: bad setting "parallelism=0"'),
                       ("timeout=5\n", 'bad setting "timeout=5"'),
                       ("hello\n", 'bad setting "hello"'),
                       ("x" * 600, "line 1 is too long"),
                       ("verb=stream payload=1M", "at most 100000 bytes")):
        conf.write_text(text)
        r = client(address, "--conf", conf)
        assert r.returncode == 1 and what in r.stderr, r.stderr
    for args, what in (([], "--listen or --connect"), (["--connect", "somewhere"], "numeric"),
                       (["--connect", "1.2.3.4", "--conf", "/nonexistent"], "No such file")):
        r = subprocess.run([TESTER, "-c1", *COMMON, *args], capture_output=True, text=True,
                           timeout=30)
        assert r.returncode == 1 and what in r.stderr, r.stderr
