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


# The same requests to both servers. Each script has a connection of its own, after a flush_all.

def text(*lines):
    return "".join(line + "\r\n" for line in lines).encode("latin1")


K250, K251 = "k" * 250, "k" * 251

TEXT = {
    "storage": text(
        "set a 5 0 3", "abc", "get a", "gets a", "get a b a", "add a 0 0 1", "x", "add b 0 0 1",
        "y", "replace zz 0 0 1", "q", "replace b 7 0 2", "qq", "gets b a", "append a 0 0 2", "XY",
        "prepend a 1 0 2", "12", "get a", "append none 0 0 1", "x", "prepend none 0 0 1", "x"),
    "cas": text(
        "set a 0 0 1", "x", "gets a", "cas a 1 0 2 999999", "zz", "cas none 0 0 1 1", "x",
        "cas a 0 0 1 abc", "x", "cas a 0 0 1", "x"),
    "delete": text(
        "set a 0 0 1", "x", "set b 0 0 1", "x", "delete a", "delete a", "delete a 0", "delete b 1",
        "delete b noreply", "get b", "delete b 0 noreply", "delete b foo bar", "delete"),
    "arithmetic": text(
        "set n 0 0 1", "5", "incr n 1", "incr n 18446744073709551615", "get n", "decr n 100",
        "get n", "set n 0 0 2", "10", "decr n 1", "get n", "incr n 1", "get n", "incr n 990",
        "get n", "incr n abc", "incr n -1", "incr none 1", "decr none 1", "incr n 1 noreply",
        "get n", "incr n", "incr n 1 2 3", "set s 0 0 3", "abc", "incr s 1", "set e 0 0 0", "",
        "incr e 1", "set w 0 0 3", " 12", "incr w 1", "set w 0 0 3", "12 ", "incr w 1",
        "set w 0 0 4", "12ab", "incr w 1", "set w 0 0 21", "184467440737095516150", "incr w 1",
        "set w 0 0 2", "-1", "incr w 1", "set w 0 0 2", "+1", "incr w 1", "get w"),
    "touch": text(
        "set n 0 0 1", "1", "touch n 100", "mg n t", "touch none 0", "touch n abc", "touch n",
        "touch n 0 noreply", "mg n t", "gat 0 n s", "gats 100 n s nope", "mg n t", "gat", "gat 0",
        "gat abc n", "gats", "touch n 1 2 3"),
    "malformed": text(
        "set", "set a", "set a 0", "set a 0 0", "set a 0 0 1 2 3 4", "set a x 0 1", "z",
        "set a 0 x 1", "z", "set a 0 0 x", "z", "set a 0 0 -1", "set a -1 0 1", "z",
        "set a 4294967295 0 1", "z", "get a", "set a 4294967296 0 1", "z", "", " ", "x", "foo",
        "GET a", "get", "gets", "bget a", "get  a  a ", "  get a", "mg", "m", "set a 0 0 3",
        "abcdef", "get a", "set a 0 0 3", "ab", "x", "get a"),
    "long keys": text(
        f"set {K250} 0 0 1", "x", f"get {K250}", f"set {K251} 0 0 1", "x", f"delete {K251}",
        f"incr {K251} 1", f"touch {K251} 1"),
    "long key in get": text(f"get a b {K251} a"),
    "times": text(
        "set a 0 0 1 noreply", "y", "get a", "set a 0 -1 1", "x", "get a", "set a 0 2592000 1", "x",
        "mg a t", "set a 0 0 1", "x", "mg a t"),
    "server": text(
        "verbosity", "verbosity 1", "verbosity 1 2", "verbosity noreply", "verbosity x",
        "verbosity 0 noreply", "flush_all x", "flush_all 0", "get a", "set a 0 0 1", "x",
        "flush_all noreply", "get a", "set a 0 0 1", "x", "flush_all -1", "get a",
        "flush_all 0 noreply", "flush_all 1 2 3", "stats foo", "stats reset", "lru_crawler",
        "lru_crawler foo", "lru foo", "lru mode flat", "lru mode segmented", "slabs foo",
        "slabs reassign 1 2", "slabs automove 1", "shutdown", "cache_memlimit",
        "cache_memlimit 1", "cache_memlimit x"),
    "meta get": text(
        "mg a v", "set a 9 0 2", "hi", "mg a", "mg a v", "mg a s v k f t l h O123 q",
        "mg miss v", "mg miss v k O12", "mg miss q", "mg miss v q k O1", "mg a k q", "mg a b",
        "mg YQ== b k v", "mg YQ== b k v O9 s", "mg YQ=", "mg YQ= b", "mg a v v", "mg a !", "mg a x",
        "mg a Z", "mg a O" + "o" * 31, "mg a O" + "o" * 32, f"mg {K251} v", "mg a T30 t", "mg a t",
        "mg a T0 t", "mg a Tx", "mg a Nx", "mg a Rx"),
    "meta recache": text(
        "mg viv N30 v t", "mg viv N30 v t", "mg viv s v", "ms viv 2", "ok", "mg viv v t",
        "ms a 2 T30", "hi", "mg a R60 t v", "mg a R60 t v", "mg a R10 t v"),
    "meta set": text(
        "ms a 2", "hi", "ms a 2 k O1 q", "hi", "ms a 2 MS", "hi", "ms a 2 ME", "hi", "ms new 2 ME",
        "hi", "ms a 2 MA", "++", "ms a 2 MP", "--", "mg a v", "ms none 1 MA", "x", "ms none 1 MR",
        "x", "ms none 1 MP", "x", "ms a 1 MX", "x", "ms a 1 Mxx", "x", "ms a 2 F77 T20", "hi",
        "mg a f t v", "ms a 2 Fx", "hi", "ms a 2 C1", "hi", "ms none2 2 C1", "hi", "ms a 2 C1 I",
        "hi", "mg a v", "mg a v", "ms a x", "hi", "ms a", "hi", "ms a -1", "hi", "ms a S2", "hi",
        f"ms {K251} 2", "hi", "ms YQ== 2 b k", "hi", "mg a v", "ms a 2 b", "hi", "ms a 2", "hix",
        "ms a 2 q", "hi", "ms a 2 !", "hi", "ms a 2 O" + "o" * 40, "hi", "ms a 5 Cx", "hello"),
    "meta delete": text(
        "ms a 2", "hi", "md a q", "md a q", "md a", "md a k O1", "ms a 2", "hi", "md a C1",
        "md a I T30", "mg a v t", "mg a v", "mg a v", "md a I", "mg a s v", "md a", "md",
        f"md {K251}", "md a I x", "ms a 2", "hi", "md YQ== b k", "md a v"),
    "meta arithmetic": text(
        "ma n", "set n 0 0 1", "5", "ma n", "ma n v", "ma n v t", "ma n MD v", "ma n M- D2 v",
        "ma n MI D10 v", "ma n M+ v", "ma n MX", "ma n Dx", "ma n Jx", "ma none N30 J7 v t",
        "ma none v", "ma none2 N0 v", "ma n T30 v t", "ma n k O1 q", "ma n k O1 v", "ma none3 k O1",
        "ma none3 q", "set s 0 0 1", "x", "ma s", "ma s q", "ma n C1", "ma n",
        "ma n D18446744073709551615 v", "ma n MD D18446744073709551615 v"),
    "meta other": text("me nope", "me", "mx a", "me nope b"),
    "large": text(
        "set big 0 0 1048577", "x" * 1048577, "get big", "set big 0 0 1048500", "y" * 1048500,
        "mg big s", "get big", "set big 0 0 2000000 noreply", "x" * 2000000, "mg big s",
        "set b1 0 0 20000", "z" * 20000, "append b1 0 0 20000", "w" * 20000, "prepend b1 0 0 3",
        "abc", "mg b1 s", "get b1", "incr b1 1"),
    "many keys": text("set k7 0 0 1", "x", "get " + " ".join(f"k{i}" for i in range(2000))),
    "bare newlines": b"set a 0 0 3\nabc\r\nget a\nget a\r\n",
    "pipelined": text("set a 0 0 1", "x") + b"get a\r\n" * 500 + b"mg a v\r\n" * 500,
}

TEXT_CAS = {  # what shows unique CAS values: the same with one shard only
    "cas values": text(
        "set a 0 0 1", "x", "gets a", "set b 0 0 1", "x", "gets a b", "cas a 0 0 1 2", "y",
        "gets a", "append a 0 0 1", "z", "gets a", "incr a 1", "set n 0 0 1", "1", "incr n 1",
        "gets n", "incr n 100", "gets n", "touch n 100", "gets n", "mg a c", "ms a 2 c", "hi",
        "ms a 2 c k O1 q", "hi", "ma n c", "md a I", "mg a c v", "mg viv N30 c t"),
}


def packet(op, key=b"", extras=b"", value=b"", cas=0, opaque=7):
    return struct.pack(">BBHBBHIIQ", 0x80, op, len(key), len(extras), 0, 0,
                       len(key) + len(extras) + len(value), opaque, cas) + extras + key + value


SET = struct.pack(">II", 0xdead, 0)
DELTA = struct.pack(">QQI", 1, 100, 0)
DELTA_ONLY = struct.pack(">QQI", 1, 100, 0xffffffff)
SOON = struct.pack(">I", 100)
NOOP, NOOP_END = packet(10, opaque=99), struct.pack(">BBHBBHIIQ", 0x81, 10, 0, 0, 0, 0, 0, 99, 0)

BINARY = {
    "get": packet(1, b"bk", SET, b"val") + b"".join(
        packet(op, key) for op in (0, 0xc, 9, 0xd) for key in (b"bk", b"no")),
    "store": b"".join(
        [packet(2, b"bk", SET, b"v"), packet(2, b"bk", SET, b"v"), packet(3, b"bk3", SET, b"v"),
         packet(3, b"bk", SET, b"v4"), packet(1, b"bk", SET, b"v", cas=9999),
         packet(1, b"bkx", SET, b"v", cas=99), packet(0x11, b"bk", SET, b"v", cas=9999),
         packet(0x12, b"bk", SET, b"q"), packet(0x13, b"nn", SET, b"q")]),
    "delete": packet(4, b"bk") + packet(0x14, b"bk") + packet(0x11, b"bk", SET, b"v") +
    packet(4, b"bk", cas=99999) + packet(0x14, b"bk") + packet(4, b"bk"),
    "arithmetic": b"".join(
        packet(op, b"bn", e) for op, e in ((5, DELTA_ONLY), (5, DELTA), (5, DELTA), (6, DELTA),
                                           (0x15, DELTA), (0x16, DELTA))) +
    packet(0, b"bn") + packet(1, b"bs", SET, b"xx") + packet(5, b"bs", DELTA) +
    packet(5, b"bn", DELTA, cas=99999),
    "append": packet(0xe, b"bk", b"", b"zz") + packet(1, b"bk", SET, b"v") +
    packet(0xe, b"bk", b"", b"zz") + packet(0xf, b"bk", b"", b"aa") +
    packet(0x19, b"bk", b"", b"q") + packet(0x1a, b"no", b"", b"q") + packet(0, b"bk"),
    "touch": packet(1, b"bk", SET, b"v") + b"".join(
        packet(op, key, SOON) for op in (0x1c, 0x1d, 0x1e, 0x23, 0x24) for key in (b"bk", b"no")),
    "unknown": packet(0x50) + packet(0x20) + packet(0x10, b"foo"),
    "too large": packet(1, b"kk", SET, b"x" * 1048600) + packet(0, b"kk"),
}
BINARY_BAD = {  # these end the connection
    "key missing": packet(0, b""), "value in get": packet(0, b"k", b"", b"v"),
    "extras in get": packet(0, b"k", b"abcd"), "key in noop": packet(10, b"k"),
    "no extras in set": packet(1, b"k", b"", b"v"), "short extras": packet(5, b"k", b"1234"),
    "quit": packet(7), "quitq": packet(0x17), "flush extras": packet(8, b"", b"123"),
}


def without_cas(reply):
    """Binary replies with the CAS field masked."""
    out, at = [], 0
    while at + 24 <= len(reply) and reply[at] == 0x81:
        body = struct.unpack(">I", reply[at + 8:at + 12])[0]
        out.append(reply[at:at + 16] + reply[at + 24:at + 24 + body])
        at += 24 + body
    return out, reply[at:]


@pytest.fixture(scope="module")
def both():
    if not os.path.exists(STOCK):
        pytest.skip("Debian's memcached is not there")
    with contextlib.ExitStack() as stack:
        ports = [stack.enter_context(server(STOCK, "-t", "1"))[1]]
        ports += [stack.enter_context(ours("-t", str(n)))[1] for n in SHARDS]
        yield ports


def flush(port):
    assert converse(port, b"flush_all\r\n") == b"OK\r\n"


@pytest.mark.parametrize("name", TEXT)
def test_text_replies_are_those_of_memcached(both, name):
    replies = []
    for port in both:
        flush(port)
        # CAS values are counted by shard; see the next test.
        replies.append(re.sub(rb"(VALUE \S+ \d+ \d+) \d+\r", rb"\1 CAS\r",
                              converse(port, TEXT[name])))
    for reply in replies[1:]:
        assert reply.split(b"\r\n") == replies[0].split(b"\r\n")


def test_cas_values_are_those_of_memcached():
    with server(STOCK, "-t", "1") as (_, stock), ours("-t", "1") as (_, mine):
        for script in TEXT_CAS.values():
            assert converse(mine, script) == converse(stock, script)


@pytest.mark.parametrize("name", BINARY)
def test_binary_replies_are_those_of_memcached(both, name):
    replies = []
    for port in both:
        flush(port)
        replies.append(without_cas(converse(port, BINARY[name], NOOP, NOOP_END)))
    assert all(r == replies[0] for r in replies)


@pytest.mark.parametrize("name", BINARY_BAD)
def test_bad_binary_requests_end_the_connection(both, name):
    for port in both[1:]:
        reply = converse(port, BINARY_BAD[name], NOOP, NOOP_END)
        assert reply.endswith(b"<closed>")
        assert reply == converse(both[0], BINARY_BAD[name], NOOP, NOOP_END)


# The rest is about ours alone.

def test_ttl_and_delayed_flush():
    with ours("-t", "1") as (_, port):
        converse(port, text("set a 0 1 1", "x", "set b 0 0 1", "x", "set c 0 100 1", "x",
                            f"set d 0 {int(time.time()) + 1} 1", "x",
                            f"set e 0 {int(time.time()) - 10} 1", "x"))
        assert converse(port, text("get b c e")).count(b"VALUE") == 2
        deadline = time.time() + 30
        while converse(port, text("get a d")) != b"END\r\n":
            assert time.time() < deadline
            time.sleep(0.2)
        assert b"VALUE b" in converse(port, text("get a b"))
        converse(port, text("flush_all 1"))
        while converse(port, text("get b c")) != b"END\r\n":
            assert time.time() < deadline
            time.sleep(0.2)
        converse(port, text("set b 0 0 1", "x"))
        assert b"VALUE b" in converse(port, text("get b"))


def stats(where, what=""):
    reply = converse(where, f"stats {what}".strip().encode() + b"\r\n").decode()
    assert reply.endswith("END\r\n")
    return dict(line.split(" ", 2)[1:] for line in reply.splitlines()[:-1])


@pytest.mark.parametrize("shards", SHARDS)
def test_statistics_add_up(shards):
    with ours("-t", str(shards)) as (p, port):
        converse(port, b"".join(text(f"set k{i} 0 0 100", "x" * 100) for i in range(1000)))
        converse(port, text("get " + " ".join(f"k{i}" for i in range(2000))))
        s = stats(port)
        assert (s["cmd_set"], s["cmd_get"], s["get_hits"], s["get_misses"], s["curr_items"]) == \
            ("1000", "2000", "1000", "1000", "1000")
        assert int(s["pid"]) == p.pid and s["threads"] == str(shards)
        assert int(s["bytes_read"]) > 100000 and int(s["bytes_written"]) > 100000
        if shards > 1:
            assert int(s["cross_shard_requests"]) > 1000
        items = stats(port, "items")
        assert sum(int(v) for k, v in items.items() if k.endswith(":number")) == 1000
        slabs = stats(port, "slabs")
        assert sum(int(v) for k, v in slabs.items() if k.endswith(":used_chunks")) == 1000
        assert sum(int(v) for v in stats(port, "sizes").values()) == 1000
        assert stats(port, "settings")["num_threads"] == str(shards)
        assert any(k.endswith(":state") for k in stats(port, "conns"))
        dump = converse(port, text("lru_crawler metadump all")).decode()
        assert len(re.findall(r"^key=k\d+ exp=-1 la=\d+ cas=\d+ fetch=yes cls=\d+ size=\d+", dump,
                              re.M)) == 1000
        assert converse(port, text("stats reset")) == b"RESET\r\n"
        s = stats(port)
        assert s["cmd_set"] == "0" and s["curr_items"] == "1000"


@pytest.mark.parametrize("shards", SHARDS)
def test_metrics(shards):
    http = free_port()
    with ours("-t", str(shards), "-o", f"metrics=127.0.0.1:{http}") as (_, port):
        converse(port, b"".join(text(f"set k{i} 0 0 1", "x", f"get k{i}") for i in range(100)))
        with dial(http) as s:
            s.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            reply = b""
            while part := s.recv(65536):
                reply += part
        for name, value in (("commands_set", 100), ("get_hits", 100), ("items", 100)):
            m = re.search(rb"^(?:seastar_)?memcached_%s(?:\{[^}]*\})? (\S+)$" % name.encode(), reply,
                          re.M)
            assert m and float(m.group(1)) == value, reply
    user = ["-u", "nobody"] if os.getuid() == 0 else []
    r = subprocess.run([OURS, *user, "-t", "1", "-p", str(free_port()), "-o", "metrics=nowhere",
                        "--", "--thread-affinity=false"], capture_output=True, text=True, timeout=30)
    assert r.returncode == 1 and "failed to listen on nowhere for metrics" in r.stderr


def test_memory_stays_within_the_limit_and_the_used_stay():
    with ours("-t", "1", "-m", "16") as (p, port):
        hot = text(*(f"set hot{i} 0 0 1000\r\n" + "h" * 1000 for i in range(100)))
        converse(port, hot)
        want = text("get " + " ".join(f"hot{i}" for i in range(100)))
        converse(port, want)
        before = resident(p)
        for r in range(60):
            converse(port, b"".join(
                text(f"set cold{r}x{i} 0 0 1000", "c" * 1000) for i in range(1000)))
            assert converse(port, want).count(b"VALUE") == 100
        s = stats(port)
        assert int(s["evictions"]) > 30000
        assert int(s["total_malloced"]) <= 16 << 20
        assert resident(p) - before < 24 << 20
        # Another size takes over the memory.
        for r in range(20):
            converse(port, b"".join(
                text(f"set big{r}x{i} 0 0 100000", "b" * 100000) for i in range(20)))
        assert converse(port, text("get big19x19")).count(b"VALUE") == 1
        assert int(stats(port)["slabs_moved"]) > 0


def test_without_evictions_memory_runs_out_with_an_error():
    with ours("-t", "1", "-m", "8", "-M") as (_, port):
        replies = converse(port, b"".join(
            text(f"set k{i} 0 0 10000", "c" * 10000) for i in range(1500)))
        assert b"SERVER_ERROR out of memory storing object" in replies
        assert converse(port, text("get k0")).count(b"VALUE") == 1
        assert stats(port)["evictions"] == "0"


def test_unix_socket(tmp_path):
    path = str(tmp_path / "sock")
    with ours("-t", "1", "-a", "0600", path=path) as (p, where):
        assert os.stat(path).st_mode & 0o777 == 0o600
        assert converse(where, text("set a 0 0 1", "x", "get a")) == \
            b"STORED\r\nVALUE a 0 1\r\nx\r\nEND\r\n"
    assert p.returncode == 0 and not os.path.exists(path)


def test_udp():
    port = free_port()
    with ours("-t", "1", "-U", str(port)) as (_, tcp):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as u:
            u.settimeout(20)
            u.connect(("127.0.0.1", port))

            def ask(request, n=1, ident=0x1234):
                u.send(struct.pack(">HHHH", ident, 0, 1, 0) + request)
                parts = {}
                while len(parts) < n:
                    d = u.recv(65536)
                    i, seq, count, zero = struct.unpack(">HHHH", d[:8])
                    assert (i, zero) == (ident, 0) and count == n and len(d) <= 1400
                    parts[seq] = d[8:]
                return b"".join(parts[i] for i in range(n))
            assert ask(text("set a 0 0 1", "x")) == b"STORED\r\n"
            assert ask(text("get a")) == b"VALUE a 0 1\r\nx\r\nEND\r\n"
            converse(tcp, text("set big 0 0 3000", "y" * 3000))
            assert ask(text("get big"), 3) == \
                b"VALUE big 0 3000\r\n" + b"y" * 3000 + b"\r\nEND\r\n"
            for bad in (b"", b"\0" * 7, b"\0" * 8, b"\0" * 9, struct.pack(">HHHH", 1, 0, 2, 0) +
                        text("get a"), struct.pack(">HHHH", 1, 0, 1, 0) + b"set x 0 0 100\r\nabc"):
                u.send(bad)
            assert ask(text("mn"), 1, 77) == b"MN\r\n"


def test_bad_clients_cost_bounded_memory():
    with ours("-t", "1", "-m", "32") as (p, port):
        converse(port, text("set big 0 0 1000000", "b" * 1000000))
        before = resident(p)
        bad = []
        for _ in range(20):  # never read
            s = dial(port)
            s.settimeout(0.2)
            with contextlib.suppress(OSError):
                for _ in range(1000):
                    s.send(b"get big big big big\r\n" * 100)
            bad.append(s)
        for _ in range(200):  # promise a value and stall
            s = dial(port)
            s.sendall(b"set x 0 0 1000000\r\n" + b"y" * 100)
            bad.append(s)
        for _ in range(50):  # half a line, garbage
            s = dial(port)
            s.sendall(b"get aaaaaaa")
            bad.append(s)
            s = dial(port)
            with contextlib.suppress(OSError):
                s.sendall(os.urandom(5000))
            bad.append(s)
        with dial(port) as s:  # a get that never ends
            with contextlib.suppress(OSError):
                s.sendall(b"get " + b"kkkkkkkk " * 1000000)
            bad.append(s)
        assert b"VALUE big" in converse(port, text("get big"))
        assert resident(p) - before < 40 << 20
        for s in bad:
            s.close()
        assert b"VALUE big" in converse(port, text("get big"))


def test_values_on_their_way_have_a_budget():
    with ours("-t", "1", "-m", "16") as (p, port):
        before = resident(p)
        bad = []
        for _ in range(60):
            s = dial(port)
            s.settimeout(5)
            s.sendall(b"set x 0 0 1000000\r\n" + b"y" * 900000)
            bad.append(s)
        assert b"MN" not in converse(port, b"")
        assert resident(p) - before < 40 << 20
        for s in bad:
            s.close()
        deadline = time.time() + 30  # until the server has seen them go
        while converse(port, text("set x 0 0 1000000", "y" * 1000000)) != b"STORED\r\n":
            assert time.time() < deadline
            time.sleep(0.1)


def test_connection_limit():
    with ours("-t", "1", "-c", "5") as (_, port):
        first = [dial(port) for _ in range(5)]
        for s in first:
            s.sendall(b"mn\r\n")
            assert s.recv(10) == b"MN\r\n"
        with dial(port) as s:
            assert s.recv(100) == b"ERROR Too many open connections\r\n"
            assert s.recv(1) == b""
        first.pop().close()
        deadline = time.time() + 20
        while True:
            with dial(port) as s:
                s.sendall(b"mn\r\n")
                if s.recv(10) == b"MN\r\n":
                    break
            assert time.time() < deadline
        for s in first:
            s.close()


@pytest.mark.parametrize("args,status,message", [
    (["-Q"], 64, "invalid option -- 'Q'"),
    (["--nonsense"], 64, "unrecognized option '--nonsense'"),
    (["-o", "nonsense"], 1, 'Illegal suboption "nonsense"'),
    (["-m", "x"], 1, "memory limit"),
    (["-p", "99999"], 1, "port"),
    (["-I", "10"], 1, "Item max size cannot be less than 1024 bytes."),
    (["-I", "2000m"], 1, "Cannot set item size limit higher"),
    (["-t", "0"], 1, "Number of threads must be greater than 0"),
    (["-c", "0"], 1, "Maximum connections must be greater than 0"),
    (["-B", "morse"], 64, "Invalid value for binding protocol: morse"),
    (["-l", "not an address"], 1, "failed to listen"),
    (["stray"], 64, 'unexpected argument "stray"'),
    (["-u", "no-such-user"], 68, "can't find the user no-such-user"),
    (["-p", "11299", "--", "--nonsense"], 2, "unrecognised option '--nonsense'"),
])
def test_bad_options_are_named(args, status, message):
    user = ["-u", "nobody"] if os.getuid() == 0 and "-u" not in args else []
    if "-u" in args and os.getuid():
        pytest.skip("only root changes its identity")
    r = subprocess.run([OURS, *user, *args], capture_output=True, text=True, timeout=30)
    assert r.returncode == status and message in r.stderr


def test_help_and_version():
    r = subprocess.run([OURS, "-h"], capture_output=True, text=True, timeout=30)
    assert r.returncode == 0 and "--memory-limit" in r.stdout
    r = subprocess.run([OURS, "-V"], capture_output=True, text=True, timeout=30)
    assert r.returncode == 0 and r.stdout.startswith("memcached 1.6")


def test_port_in_use_is_said():
    with ours("-t", "1") as (_, port):
        user = ["-u", "nobody"] if os.getuid() == 0 else []
        r = subprocess.run([OURS, *user, "-t", "1", "-p", str(port), "-l", "127.0.0.1", "--",
                            "--thread-affinity=false"], capture_output=True, text=True, timeout=30)
        assert r.returncode == 1 and "Address already in use" in r.stderr


def test_verbose_shows_connections_and_commands():
    with ours("-t", "1", "-vv") as (p, port):
        converse(port, text("get some-key"))
        p.terminate()
        err = p.stderr.read().decode()
        assert re.search(r"^<\d+ new client connection$", err, re.M)
        assert re.search(r"^<\d+ get some-key$", err, re.M)
        assert re.search(r"^<\d+ connection closed\.$", err, re.M)


def test_options_that_forbid():
    with ours("-t", "1", "-F", "-X", "-C", "-A", "-B", "ascii") as (p, port):
        assert converse(port, text("flush_all")) == b"CLIENT_ERROR flush_all not allowed\r\n"
        assert b"not allowed" in converse(port, text("lru_crawler metadump all"))
        assert converse(port, text("set a 0 0 1", "x", "gets a")) == \
            b"STORED\r\nVALUE a 0 1 0\r\nx\r\nEND\r\n"
        with dial(port) as s:
            s.sendall(b"shutdown\r\n")
            assert s.recv(1) == b""
        assert p.wait(20) == 0
