# SPDX-License-Identifier: BSD-3-Clause
r"""Servers in Carrara machines, used from outside: a network for the machine (user networking, or a tap device in
a network namespace of the test's own), the machine, and clients beside it.

    redis = servers.image("redis", ["redis-server"])
    cli = servers.tool("redis-cli", "redis-tools")
    with servers.network("tap", tmp_path) as net, \
            net.serve(redis, "/usr/bin/redis-server", ports=[6379], probe="PING\r\n") as vm:
        net.run(*cli, "-h", vm.host, "-p", vm.port(6379), "shutdown")
        assert vm.end() == 0

Servers and clients are Debian's packages, unpacked below the build directory (debian.py).
"""
import itertools
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import debian
import pytest

TOP = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("CARRARA_BUILD", TOP / "build")).resolve()
CAPSTAN = BUILD / "capstan" / "capstan"
PYTHON = "/usr/bin/python3"
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
NETS = ["nat", "tap"]
counter = itertools.count()

# Waits until a server answers to a probe. User networking accepts connections before the machine has started, and
# closes them when nobody listens there, so only an answer tells.
WAIT = """
import socket, sys, time
host, port, seconds, probe = sys.argv[1:]
end = time.monotonic() + float(seconds)
while True:
    try:
        s = socket.create_connection((host, int(port)), timeout=10)
        s.sendall(probe.encode())
        if not probe or s.recv(1):
            break
    except OSError:
        pass
    if time.monotonic() > end:
        sys.exit('nobody answers')
    time.sleep(0.1)
"""
HTTP = "GET / HTTP/1.0\r\n\r\n"


_images = {}


def image(name, packages, files=(), without=()):
    """A disk image with Debian packages, composed once for all tests of a run."""
    if name not in _images:
        _images[name] = debian.Image(name, packages, files, without)
    return _images[name]


def tool(name, package, depends=()):
    """Command line that starts a program of a Debian package on this host, with that package's libraries."""
    root = debian.unpack("tool-" + package, [package, *depends])
    for place in ("usr/bin", "usr/sbin", "bin", "sbin"):
        path = root / place / name
        if path.exists():
            return [str(root / "lib64" / "ld-linux-x86-64.so.2"), "--library-path", str(root / debian.LIBRARIES),
                    str(path)]
    raise FileNotFoundError("%s is not in package %s" % (name, package))


def _namespaces_work():
    if os.geteuid() != 0 or not os.path.exists("/dev/net/tun") or not shutil.which("ip", path=PATH):
        return False
    name = "carrara-probe-%d" % os.getpid()
    ok = subprocess.run(["ip", "netns", "add", name], stderr=subprocess.DEVNULL, check=False).returncode == 0
    ok = ok and subprocess.run(["ip", "netns", "exec", name, "ip", "tuntap", "add", "tap0", "mode", "tap"],
                               stderr=subprocess.DEVNULL, check=False).returncode == 0
    subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL, check=False)
    return ok


_can = []


def can_make_namespaces():
    if not _can:
        _can.append(_namespaces_work())
    return _can[0]


def best():
    """The network for tests that need only one: tap where it can be made."""
    return "tap" if can_make_namespaces() else "nat"


class Machine:
    """A running `capstan run`; its console goes to a file."""

    def __init__(self, net, args, seconds, env=None):
        self.net, self.seconds = net, seconds
        self.log = net.tmp / ("console-%d" % next(counter))
        self.out = open(self.log, "wb")
        self.proc = subprocess.Popen(net.command(str(CAPSTAN), "run", *args), stdin=subprocess.DEVNULL,
                                     stdout=self.out, stderr=subprocess.STDOUT, env=env)
        self.host = net.guest

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.proc.poll() is None:
            self.proc.kill() if exc[0] else self.proc.terminate()
        try:
            self.proc.wait(20)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait()
        self.out.close()
        if exc[0]:
            print("console of the machine:\n" + self.output()[-4000:], file=sys.stderr)

    def port(self, guest_port):
        return str(self.net.port(guest_port))

    def url(self, port, path="/", scheme="http"):
        return "%s://%s:%s%s" % (scheme, self.host, self.port(port), path)

    def output(self):
        return self.log.read_text(errors="replace").replace("\r\n", "\n")

    def wait(self, port, probe):
        """Until somebody answers on the guest's port."""
        assert probe or self.net.kind != "nat"
        self.net.python(WAIT, self.host, self.port(port), str(self.seconds), probe, seconds=self.seconds + 20)
        return self

    def wait_output(self, text):
        end = time.monotonic() + self.seconds
        while text not in self.output():
            assert self.proc.poll() is None and time.monotonic() < end, self.output()
            time.sleep(0.05)
        return self

    def end(self, seconds=60):
        """Waits until the program ended; its exit status."""
        return self.proc.wait(seconds)


class Nat:
    """QEMU's user networking: the guest's ports are forwarded to free ports of this host."""
    kind, guest, gateway = "nat", "127.0.0.1", "10.0.2.2"

    def __init__(self, tmp):
        self.tmp, self.ports = Path(tmp), {}

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        pass

    def command(self, *argv):
        return [str(a) for a in argv]

    def port(self, guest_port):
        return self.ports[guest_port]

    def args(self, ports):
        for p in ports:
            with socket.socket() as s:
                s.bind(("127.0.0.1", 0))
                self.ports[p] = s.getsockname()[1]
        return ["-n", "nat"] + [w for p in ports for w in ("-f", "127.0.0.1:%d:%d" % (self.ports[p], p))]

    def popen(self, *argv, **kw):
        return subprocess.Popen(self.command(*argv), **kw)

    def run(self, *argv, seconds=100, check=True, **kw):
        """A client beside the machine; its output (both channels)."""
        p = subprocess.run(self.command(*argv), timeout=seconds, check=False, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, stdin=kw.pop("stdin", subprocess.DEVNULL), **kw)
        text = p.stdout.decode(errors="replace")
        assert not check or p.returncode == 0, "%s: %d: %s" % (argv[0], p.returncode, text)
        return text

    def python(self, code, *args, seconds=100, **kw):
        return self.run(PYTHON, "-c", code, *args, seconds=seconds, **kw)

    def serve(self, img, command, *, ports=(), options=(), probe=HTTP, seconds=90, cpus=2, memory="512M"):
        """Boots the image with a command line and waits until it answers to the probe on the first port."""
        env = {**os.environ, "CAPSTAN_ROOT": str(img.home)}
        m = Machine(self, [img.name, *self.args(ports), "-c", str(cpus), "-m", memory, *options, "-e", command],
                    seconds, env)
        if not ports:
            return m
        try:
            return m.wait(ports[0], probe)
        except BaseException:
            m.__exit__(*sys.exc_info())
            raise


class Tap(Nat):
    """A network namespace with a tap device: 10.99.0.1 and fd99::1 here, .2 and ::2 in the machine."""
    kind, guest, guest6, gateway, gateway6 = "tap", "10.99.0.2", "fd99::2", "10.99.0.1", "fd99::1"

    def __init__(self, tmp):
        super().__init__(tmp)
        self.name = "carrara-srv-%d-%d" % (os.getpid(), next(counter))

    def __enter__(self):
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        try:
            for line in ("link set lo up", "tuntap add tap0 mode tap vnet_hdr", "addr add 10.99.0.1/24 dev tap0",
                         "addr add fd99::1/64 dev tap0 nodad", "link set tap0 up"):
                self.run("ip", *line.split())
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc):
        subprocess.run(["ip", "netns", "del", self.name], check=False)

    def command(self, *argv):
        return ["ip", "netns", "exec", self.name, *map(str, argv)]

    def port(self, guest_port):
        return guest_port

    def args(self, ports):
        return ["-n", "tap", "-b", "tap0", "--mac", "52:54:00:99:00:02", "--kernel-arg",
                "--ip=10.99.0.2/24,gw=10.99.0.1,dns=10.99.0.1;fd99::2/64"]


def network(kind, tmp):
    if kind == "tap" and not can_make_namespaces():
        pytest.skip("needs root and /dev/net/tun to make a network namespace with a tap device")
    return Tap(tmp) if kind == "tap" else Nat(tmp)
