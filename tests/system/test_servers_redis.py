# SPDX-License-Identifier: BSD-3-Clause
"""Debian's redis-server and memcached in a machine, used by their own clients from outside."""
import hashlib
import os
import re

import pytest
import servers

REDIS = "/usr/bin/redis-server --protected-mode no --appendonly no --save '' --dir /tmp"


def redis_image():
    return servers.image("redis", ["redis-server"])


@pytest.mark.parametrize("kind", servers.NETS)
def test_redis(tmp_path, kind):
    cli, bench = (servers.tool(n, "redis-tools") for n in ("redis-cli", "redis-benchmark"))
    with servers.network(kind, tmp_path) as net, \
            net.serve(redis_image(), REDIS, ports=[6379], probe="PING\r\n") as vm:
        at = ["-h", vm.host, "-p", vm.port(6379)]

        def redis(*words, **kw):
            return net.run(*cli, *at, *words, **kw)

        assert redis("ping") == "PONG\n"
        # Every kind of command that redis-benchmark knows, then pipelines; errors would be counted.
        # User networking is slow with many connections.
        clients, n = ("50", 600) if kind == "tap" else ("10", 150)
        for options in (["-n", n, "-c", clients],
                        ["-n", n * 10, "-c", clients, "-P", "16", "-t", "get,set,lpush,lrange_100"]):
            text = net.run(*bench, *at, "--csv", *options, seconds=300)
            rows = re.findall(r'^"(\w[^"]*)","([0-9.]+)"', text, re.M)
            assert len(rows) >= 4 and all(float(rate) > 0 for _, rate in rows), text
            assert "rror" not in text
        value = os.urandom(3 << 20).hex()
        path = tmp_path / "value"
        path.write_text(value)
        with open(path, "rb") as f:
            assert redis("-x", "set", "large", stdin=f) == "OK\n"
        got = redis("get", "large").rstrip("\n")
        assert hashlib.sha256(got.encode()).digest() == hashlib.sha256(value.encode()).digest()
        assert redis("eval", "local s = 0; for i = 1, 1000 do s = s + i end; return s", "0") == "500500\n"
        assert "connected_clients:1" in redis("info", "clients").replace("\r", "")
        redis("shutdown", "nosave", check=False)
        assert vm.end() == 0


def test_redis_saves_in_a_forked_child(tmp_path):
    cli = servers.tool("redis-cli", "redis-tools")
    with servers.network(servers.best(), tmp_path) as net, \
            net.serve(redis_image(), REDIS, ports=[6379], probe="PING\r\n") as vm:
        script = "set k v|bgsave|debug sleep 0.5|info persistence".split("|")
        for line in script[:2]:
            net.run(*cli, "-h", vm.host, "-p", vm.port(6379), *line.split())
        for _ in range(60):
            info = net.run(*cli, "-h", vm.host, "-p", vm.port(6379), "info", "persistence").replace("\r", "")
            if "rdb_bgsave_in_progress:0" in info:
                break
        assert "rdb_last_bgsave_status:ok" in info and "rdb_saves:1" in info, info


MEMCACHED = """
import socket, sys, threading
def worker(k):
    s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
    f = s.makefile('rwb')
    for i in range(200):
        value = (b'%d-%d ' % (k, i)) * (1 + i * 5)
        f.write(b'set key%d-%d 0 0 %d\\r\\n%s\\r\\n' % (k, i, len(value), value))
        f.flush()
        assert f.readline() == b'STORED\\r\\n'
        f.write(b'get key%d-%d\\r\\n' % (k, i))
        f.flush()
        assert f.readline() == b'VALUE key%d-%d 0 %d\\r\\n' % (k, i, len(value))
        assert f.read(len(value) + 7) == value + b'\\r\\nEND\\r\\n'
    good.append(k)
good = []
threads = [threading.Thread(target=worker, args=(k,)) for k in range(16)]
[t.start() for t in threads]
[t.join() for t in threads]
assert sorted(good) == list(range(16)), good
"""


def test_memcached(tmp_path):
    capable = servers.tool("memccapable", "libmemcached-tools")
    img = servers.image("memcached", ["memcached"])
    with servers.network(servers.best(), tmp_path) as net, \
            net.serve(img, "/usr/bin/memcached -u root -t 4 -U 0 -v", ports=[11211], probe="version\r\n") as vm:
        text = net.run(*capable, "-h", vm.host, "-p", vm.port(11211), "-a", check=False)
        results = re.findall(r"^(ascii .*?)\s+\[(\w+)\]", text, re.M)
        assert len(results) >= 20 and all(r == "pass" for _, r in results), text
        net.python(MEMCACHED, vm.host, vm.port(11211))
