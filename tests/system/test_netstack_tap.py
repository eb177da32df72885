# SPDX-License-Identifier: BSD-3-Clause
"""The TCP/IP engine against Linux's TCP over a tap device in a network namespace of its own.

ns-tap (netstack/host) runs the engine as server or client; the other side is Linux's kernel, driven by
the small Python programs below inside the namespace. Loss, reordering, duplication, corruption and
delay are injected by ns-tap in both directions.
"""
import itertools
import os
import signal
import subprocess
import sys
import time

import pytest

BUILD = os.environ.get("CARRARA_BUILD", os.path.join(os.path.dirname(__file__), "..", "..", "build"))
NS_TAP = os.path.join(BUILD, "netstack", "ns-tap")
LINUX4, ENGINE4 = "10.9.0.1", "10.9.0.2"
LINUX6, ENGINE6 = "fd00:9::1", "fd00:9::2"
BAD_LINKS = {
    "loss1": ["--loss", "10000", "--delay-ms", "2"],
    "loss8": ["--loss", "80000", "--delay-ms", "2"],
    "reorder": ["--reorder", "100000", "--delay-ms", "2"],
    "all": ["--loss", "10000", "--dup", "20000", "--reorder", "30000", "--corrupt", "5000",
            "--delay-ms", "2"],
}
counter = itertools.count()

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not os.path.exists("/dev/net/tun"),
    reason="needs root and /dev/net/tun to make a network namespace with a tap device")

PATTERN = """
import os, socket, sys, threading, time
def pattern(start, n):
    return bytes(((i * 131 + (i >> 8) * 17 + (i >> 16)) & 255) for i in range(start, start + n))
def read_all(s):
    got = []
    while True:
        b = s.recv(1 << 18)
        if not b:
            return b''.join(got)
        got.append(b)
"""


class Namespace:
    def __init__(self):
        self.name = "carrara-ns-%d-%d" % (os.getpid(), next(counter))
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        self.run("ip", "link", "set", "lo", "up")
        self.procs = []

    def run(self, *cmd, check=True, timeout=60):
        return subprocess.run(["ip", "netns", "exec", self.name, *cmd], check=check, timeout=timeout,
                              capture_output=True, text=True)

    def python(self, code, *args, timeout=60):
        r = self.run(sys.executable, "-c", PATTERN + code, *args, check=False, timeout=timeout)
        assert r.returncode == 0, r.stdout + r.stderr
        return r.stdout

    def popen(self, *cmd):
        p = subprocess.Popen(["ip", "netns", "exec", self.name, *cmd], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
        self.procs.append(p)
        return p

    def engine(self, *args):
        """Starts ns-tap and configures Linux's end of the wire; returns when the engine is ready."""
        p = self.popen(NS_TAP, "--dev", "tap0", "--addr", ENGINE4 + "/24", "--addr", ENGINE6 + "/64",
                       "--timeout", "100", *args)
        for _ in range(100):
            if self.run("ip", "link", "show", "tap0", check=False).returncode == 0:
                break
            assert p.poll() is None, p.stderr.read()
            time.sleep(0.02)
        self.run("ip", "addr", "add", LINUX4 + "/24", "dev", "tap0")
        self.run("ip", "addr", "add", LINUX6 + "/64", "dev", "tap0", "nodad")
        self.run("ip", "link", "set", "tap0", "up")
        return p

    def close(self):
        for p in self.procs:
            if p.poll() is None:
                p.send_signal(signal.SIGTERM)
            try:
                p.communicate(timeout=5)
            except subprocess.TimeoutExpired:
                p.kill()
                p.communicate()
        subprocess.run(["ip", "netns", "del", self.name], check=False)


@pytest.fixture
def ns():
    n = Namespace()
    yield n
    n.close()


def ready(p):
    assert p.stdout.readline() == "ready\n", p.stderr.read()


ECHO = """
s = socket.create_connection((sys.argv[1], 7), timeout=50)
data = os.urandom(int(sys.argv[2]))
out = []
t = threading.Thread(target=lambda: out.append(read_all(s)))
t.start()
s.sendall(data)
s.shutdown(socket.SHUT_WR)
t.join()
assert out[0] == data, (len(out[0]), len(data))
"""

SOURCE = """
s = socket.create_connection((sys.argv[1], 19), timeout=50)
n = int(sys.argv[2])
assert read_all(s) == pattern(0, n)
"""


@pytest.mark.parametrize("offload", [False, True])
def test_server_clean(ns, offload):
    p = ns.engine("--echo", "7", "--source", "19:3000000", *(["--offload"] if offload else []))
    ready(p)
    for addr in (ENGINE4, ENGINE6):
        ns.python(ECHO, addr, "0")
        ns.python(ECHO, addr, "1")
        ns.python(ECHO, addr, "5000000")
        ns.python(SOURCE, addr, "3000000")


@pytest.mark.parametrize("link", sorted(BAD_LINKS))
def test_server_bad_link(ns, link):
    size = 150000 if link == "loss8" else 800000
    p = ns.engine("--echo", "7", "--source", "19:%d" % size, "--seed", "5", *BAD_LINKS[link])
    ready(p)
    ns.python(ECHO, ENGINE4, str(size))
    ns.python(SOURCE, ENGINE6, str(size))


LINUX_SERVER = """
v6 = ':' in sys.argv[1]
l = socket.create_server((sys.argv[1], 5001), family=socket.AF_INET6 if v6 else socket.AF_INET)
l.settimeout(60)
print('listening', flush=True)
s, _ = l.accept()
s.settimeout(60)
size_in, size_out = int(sys.argv[2]), int(sys.argv[3])
out = []
t = threading.Thread(target=lambda: out.append(read_all(s)))
t.start()
s.sendall(pattern(0, size_out))
s.shutdown(socket.SHUT_WR)
t.join()
assert out[0] == pattern(0, size_in), len(out[0])
print('good')
"""


def client(ns, addr, up, down, *args):
    p = ns.engine("--connect", "%s,5001,%d,%d" % (addr, up, down), *args)
    server = ns.popen(sys.executable, "-c", PATTERN + LINUX_SERVER, addr, str(up), str(down))
    assert server.stdout.readline() == "listening\n", server.stderr.read()
    _, err = p.communicate(timeout=90)
    out, server_err = server.communicate(timeout=30)
    assert p.returncode == 0, err + server_err
    assert "good" in out, server_err


@pytest.mark.parametrize("addr", [LINUX4, LINUX6])
def test_client_clean(ns, addr):
    client(ns, addr, 2000000, 2000000)


@pytest.mark.parametrize("link", sorted(BAD_LINKS))
def test_client_bad_link(ns, link):
    size = 100000 if link == "loss8" else 500000
    client(ns, LINUX4, size, size, "--seed", "9", *BAD_LINKS[link])


def test_client_reno_offload(ns):
    client(ns, LINUX4, 3000000, 100, "--congestion", "reno", "--offload")


def test_client_refused(ns):
    p = ns.engine("--connect", LINUX4 + ",5001,10,10")
    _, err = p.communicate(timeout=30)
    assert p.returncode == 1 and "Connection refused" in err


def test_closed_ports_and_ping(ns):
    p = ns.engine("--echo", "7")
    ready(p)
    ns.python("""
import struct
for fam, addr in ((socket.AF_INET, sys.argv[1]), (socket.AF_INET6, sys.argv[2])):
    s = socket.socket(fam, socket.SOCK_STREAM)
    s.settimeout(5)
    try:
        s.connect((addr, 8))
        raise SystemExit('connected to a closed port')
    except ConnectionRefusedError:
        pass
    u = socket.socket(fam, socket.SOCK_DGRAM)
    u.settimeout(5)
    u.connect((addr, 8))
    u.send(b'x')
    try:
        u.recv(10)
        raise SystemExit('an answer from a closed port')
    except ConnectionRefusedError:
        pass
def checksum(b):
    b += b'\\0' * (len(b) & 1)
    t = sum(struct.unpack('!%dH' % (len(b) // 2), b))
    t = (t & 0xffff) + (t >> 16)
    return ~((t & 0xffff) + (t >> 16)) & 0xffff
for size in (0, 56, 1472, 4000):  # the last one in fragments
    body = os.urandom(size)
    p = struct.pack('!BBHHH', 8, 0, 0, 7, size) + body
    p = p[:2] + struct.pack('!H', checksum(p)) + p[4:]
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    s.settimeout(5)
    s.sendto(p, (sys.argv[1], 0))
    while True:
        r = s.recv(65536)[20:]
        if r[0] == 0:
            break
    assert r[8:] == body, size
    s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    s.settimeout(5)
    s.sendto(struct.pack('!BBHHH', 128, 0, 0, 7, size) + body, (sys.argv[2], 0))
    while True:
        r = s.recv(65536)
        if r[0] == 129:
            break
    assert r[8:] == body, size
""", ENGINE4, ENGINE6)


def test_many_connections(ns):
    """500 short ones after another, then 200 at once; abortive ones in between."""
    p = ns.engine("--echo", "7")
    ready(p)
    ns.python("""
import struct
for i in range(500):
    s = socket.create_connection((sys.argv[1], 7), timeout=10)
    s.sendall(b'hello %d' % i)
    if i % 10 == 9:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        s.close()
        continue
    s.shutdown(socket.SHUT_WR)
    assert read_all(s) == b'hello %d' % i
    s.close()
many = [socket.create_connection((sys.argv[1], 7), timeout=10) for i in range(200)]
for i, s in enumerate(many):
    s.sendall(b'number %d' % i)
for i, s in enumerate(many):
    s.shutdown(socket.SHUT_WR)
    assert read_all(s) == b'number %d' % i
""", ENGINE4)
