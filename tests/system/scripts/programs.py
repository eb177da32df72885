# SPDX-License-Identifier: BSD-3-Clause
"""One part of Python's library after the other, each with a checked result; the last line is printed when all is right."""
import asyncio
import ctypes
import hashlib
import json
import mmap
import os
import queue
import random
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import tempfile
import threading
import time

TMP = tempfile.mkdtemp()


def threads():
    work, done, lock, total = queue.Queue(), queue.Queue(), threading.Lock(), [0]

    def worker():
        while (item := work.get()) is not None:
            with lock:
                total[0] += item
            done.put(item * item)
    pool = [threading.Thread(target=worker) for _ in range(16)]
    for t in pool:
        t.start()
    for i in range(2000):
        work.put(i)
    for _ in pool:
        work.put(None)
    for t in pool:
        t.join()
    assert total[0] == sum(range(2000))
    assert sorted(done.get() for _ in range(2000)) == [i * i for i in range(2000)]
    ready, passed = threading.Barrier(8), []
    event, condition = threading.Event(), threading.Condition()

    def meet():
        for _ in range(5):
            ready.wait()
        event.wait(20)
        with condition:
            passed.append(1)
            condition.notify_all()
    for _ in range(8):
        threading.Thread(target=meet).start()
    event.set()
    with condition:
        assert condition.wait_for(lambda: len(passed) == 8, 20)


def databases():
    db = sqlite3.connect(TMP + "/db", isolation_level=None)
    db.execute("pragma journal_mode=wal")
    db.execute("create table t (id integer primary key, name text, n int)")
    errors = []

    def writer(k):
        try:
            own = sqlite3.connect(TMP + "/db", timeout=60, isolation_level=None)
            for i in range(12):
                own.execute("begin immediate")
                own.execute("insert into t (name, n) values (?, ?)", (f"{k}-{i}", i))
                own.execute("commit")
        except sqlite3.Error as e:
            errors.append(e)
    pool = [threading.Thread(target=writer, args=(k,)) for k in range(4)]
    for t in pool:
        t.start()
    for t in pool:
        t.join()
    assert not errors, errors
    assert db.execute("select count(*), sum(n) from t").fetchone() == (48, 4 * sum(range(12)))
    assert db.execute("pragma integrity_check").fetchone() == ("ok",)


def tls():
    """A handshake and data between two TLS ends in memory, with a certificate nobody checks (none is needed)."""
    client, server = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    client.set_ciphers("AECDH-AES256-SHA:@SECLEVEL=0")
    server.set_ciphers("AECDH-AES256-SHA:@SECLEVEL=0")
    client.maximum_version = server.maximum_version = ssl.TLSVersion.TLSv1_2
    a, b = socket.socketpair()
    got = []

    def serve():
        with server.wrap_socket(b, server_side=True) as s:
            got.append(s.recv(100))
            s.sendall(got[0][::-1])
    t = threading.Thread(target=serve)
    t.start()
    with client.wrap_socket(a) as c:
        c.sendall(b"through tls")
        assert c.recv(100) == b"slt hguorht"
    t.join()
    assert got == [b"through tls"]


def unix_sockets():
    async def main():
        async def serve(r, w):
            while line := await r.readline():
                w.write(line.upper())
                await w.drain()
            w.close()

        async def client(i):
            r, w = await asyncio.open_unix_connection(TMP + "/socket")
            for k in range(10):
                w.write(f"client {i} line {k}\n".encode())
                await w.drain()
                assert await r.readline() == f"CLIENT {i} LINE {k}\n".encode()
            w.close()
            return i
        server = await asyncio.start_unix_server(serve, TMP + "/socket")
        assert await asyncio.gather(*(client(i) for i in range(20))) == list(range(20))
        server.close()
        child = await asyncio.create_subprocess_exec("/bin/cat", stdin=asyncio.subprocess.PIPE,
                                                     stdout=asyncio.subprocess.PIPE)
        out, _ = await child.communicate(b"x" * 100000)
        assert out == b"x" * 100000 and child.returncode == 0
        try:
            await asyncio.wait_for(asyncio.sleep(60), 0.05)
        except asyncio.TimeoutError:
            pass
    asyncio.run(main())


def foreign_functions():
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.strlen(b"four") == 4 and libc.open(b"/nowhere", 0) == -1 and ctypes.get_errno() == 2
    compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
    values = (ctypes.c_int * 5)(5, 1, 4, 2, 3)
    libc.qsort(values, 5, 4, compare(lambda x, y: x[0] - y[0]))
    assert list(values) == [1, 2, 3, 4, 5]


def files():
    data = random.Random(1).randbytes(300000)
    with open(TMP + "/file", "w+b") as f:
        f.write(data)
        f.flush()
        with mmap.mmap(f.fileno(), 0) as m:
            assert m[1000:2000] == data[1000:2000] and hashlib.sha256(m).digest() == hashlib.sha256(data).digest()
            m[0:5] = b"hello"
        f.seek(0)
        assert f.read(5) == b"hello"
    os.rename(TMP + "/file", TMP + "/other")
    assert sorted(os.listdir(TMP)) == sorted(e.name for e in os.scandir(TMP)) and os.path.getsize(TMP + "/other") == 300000
    text = {"numbers": list(range(1000)), "nested": {"a": [None, True, 1.5, "\u00e9\n"]}}
    with open(TMP + "/json", "w") as f:
        json.dump(text, f)
    with open(TMP + "/json") as f:
        assert json.load(f) == text


def processes():
    done = subprocess.run(["/bin/sh", "-c", "cat; echo err >&2; exit 9"], input=b"in", capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (9, b"in", b"err\n")
    caught = []
    signal.signal(signal.SIGALRM, lambda *a: caught.append(a[0]))
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    deadline = time.monotonic() + 20
    while not caught and time.monotonic() < deadline:
        time.sleep(0.01)
    assert caught == [signal.SIGALRM]
    pid = os.fork()
    if pid == 0:
        os._exit(11)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 11


def imports():
    names = """abc argparse array ast base64 bisect bz2 calendar cmath cmd code codecs collections colorsys compileall
        concurrent.futures configparser contextlib copy csv curses datetime dbm decimal difflib dis email.message enum
        fileinput fnmatch fractions ftplib functools getopt gettext glob graphlib gzip heapq hmac html.parser http.client
        imaplib inspect ipaddress itertools keyword linecache locale logging.config lzma mailbox mimetypes multiprocessing
        numbers operator optparse pathlib pdb pickle platform plistlib pprint profile re readline reprlib sched secrets
        selectors shelve shlex shutil smtplib socketserver statistics string struct tarfile textwrap timeit token trace
        tracemalloc turtle types unicodedata unittest urllib.request uuid venv wave weakref xml.etree.ElementTree
        xmlrpc.client zipfile zlib zoneinfo""".split()
    names.remove("turtle")  # wants a display
    for name in names:
        __import__(name)
    assert len(names) > 50
    import decimal
    import lzma
    import zlib
    for c, d in ((zlib.compress, zlib.decompress), (lzma.compress, lzma.decompress)):
        assert d(c(b"abc" * 10000)) == b"abc" * 10000
    decimal.getcontext().prec = 50
    assert str(decimal.Decimal(2).sqrt()).startswith("1.414213562373095048801688724209698078569671875")


for part in (threads, databases, tls, unix_sockets, foreign_functions, files, processes, imports):
    part()
    print(part.__name__, "right", flush=True)
sys.exit(5)
