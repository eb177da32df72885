# SPDX-License-Identifier: BSD-3-Clause
"""memcached on Seastar, from outside: conformance, and the same requests to Debian's memcached."""
import contextlib
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import time

import pytest

TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), "../.."))
BUILD = os.environ.get("CARRARA_BUILD", os.path.join(TOP, "build"))
OURS = os.path.join(BUILD, "apps/memcached/memcached")
STOCK = "/usr/bin/memcached"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def dial(where):
    s = socket.socket(socket.AF_UNIX if isinstance(where, str) else socket.AF_INET)
    s.settimeout(20)
    s.connect(where if isinstance(where, str) else ("127.0.0.1", where))
    return s


@contextlib.contextmanager
def server(program, *args, path=None, **kw):
    where = path or free_port()
    place = ["-s", path] if path else ["-p", str(where), "-l", "127.0.0.1"]
    user = ["-u", "nobody"] if os.getuid() == 0 and not path else \
        ["-u", "root"] if os.getuid() == 0 else []
    p = subprocess.Popen([program, *place, *user, *args], stderr=subprocess.PIPE, **kw)
    try:
        for _ in range(200):
            try:
                dial(where).close()
                break
            except OSError:
                assert p.poll() is None, p.stderr.read()
                time.sleep(0.05)
        else:
            pytest.fail("the server does not listen")
        yield p, where
    finally:
        p.terminate()
        try:
            p.wait(20)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()


def ours(*args, **kw):
    rest = [] if "--" in args else ["--"]
    return server(OURS, *args, *rest, "--thread-affinity=false", **kw)


def converse(where, data, marker=b"mn\r\n", end=b"MN\r\n"):
    """Send requests and a marker; everything that is answered up to the marker's answer."""
    with dial(where) as s:
        s.sendall(data + marker)
        got = b""
        while not got.endswith(end):
            part = s.recv(65536)
            if not part:
                return got + b"<closed>"
            got += part
        return got[:-len(end)]


def resident(p):
    return int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{p.pid}/status").read()).group(1)) * 1024


SHARDS = [1, 2] if os.cpu_count() > 1 else [1]


@pytest.mark.parametrize("shards", SHARDS)
def test_memccapable(shards):
    if not shutil.which("memccapable"):
        pytest.skip("memccapable is in Debian's libmemcached-tools")
    with ours("-t", str(shards)) as (p, port):
        r = subprocess.run(["memccapable", "-h", "127.0.0.1", "-p", str(port)],
                           capture_output=True, text=True, timeout=120)
        assert r.returncode == 0, r.stdout + r.stderr
        assert "All tests passed" in r.stdout + r.stderr
    assert p.returncode == 0
