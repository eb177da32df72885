# SPDX-License-Identifier: BSD-3-Clause
"""Unmodified programs of the host, each the only thing in a virtual machine: their output and exit status."""
import hashlib
import os
import shutil
import socket
import subprocess
import time
import urllib.request

import pytest

BUILD = os.environ.get("CARRARA_BUILD", os.path.join(os.path.dirname(__file__), "..", "..", "build"))
CAPSTAN = os.path.join(BUILD, "capstan", "capstan")
PYTHON = "/usr/bin/python3"


def run(*args, stdin=subprocess.DEVNULL, seconds=120, **kw):
    """capstan run ARGS: (exit status, output)."""
    p = subprocess.run([CAPSTAN, "run", *args], stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       timeout=seconds, check=False, **kw)
    return p.returncode, p.stdout.decode(errors="replace").replace("\r\n", "\n")


def program(name):
    path = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
    if not path:
        pytest.skip(name + " is not installed")
    return path


def test_exit_status_reaches_the_caller():
    assert run("--host", program("sh"), "-c", "exit 42") == (42, "")


def test_death_by_signal_is_told():
    status, _ = run("--host", program("sh"), "-c", "kill -9 $$")
    assert status == 128 + 9


def test_missing_program_is_named():
    status, text = run("--host", "/no/such/program")
    assert status != 0 and "/no/such/program" in text


@pytest.mark.parametrize("cpus", ["1", "2", "4"])
def test_shell_builtins(cpus):
    status, text = run("-c", cpus, "--host", program("bash"), "-c",
                       "for i in 1 2 3; do echo $i; done; a=(x y z); echo ${#a[@]} $((6*7)); printf '%05d\\n' 7")
    assert (status, text) == (0, "1\n2\n3\n3 42\n00007\n")


def test_environment_and_directory():
    status, text = run("--env", "GREETING=hello world", "--cwd", "/etc", "--host", program("bash"), "-c",
                       "echo $GREETING; pwd")
    assert (status, text) == (0, "hello world\n/etc\n")


def test_coreutils_read_files():
    digest = hashlib.sha256(open("/etc/passwd", "rb").read()).hexdigest()
    status, text = run("--file", "/etc/passwd:/data/passwd", "--host", program("sha256sum"), "/data/passwd")
    assert status == 0 and text.startswith(digest)
    status, text = run("--host", program("seq"), "5")
    assert (status, text) == (0, "1\n2\n3\n4\n5\n")


def test_perl():
    status, text = run("--host", program("perl"), "-e", 'print join(",", map { $_ * $_ } 1..5), "\\n"; exit 3')
    assert (status, text) == (3, "1,4,9,16,25\n")


PYTHON_SCRIPT = """
import asyncio, ctypes, hashlib, json, os, socket, sqlite3, ssl, sys, tempfile, threading, zlib
results = []
def work(i):
    results.append(sum(range(i * 1000)))
threads = [threading.Thread(target=work, args=(i,)) for i in range(20)]
[t.start() for t in threads]
[t.join() for t in threads]
assert sorted(results) == [sum(range(i * 1000)) for i in range(20)]
db = sqlite3.connect("/tmp/t.db")
db.execute("create table t (a integer primary key, b text)")
db.executemany("insert into t values (?, ?)", [(i, str(i) * 10) for i in range(2000)])
db.commit()
assert db.execute("select count(*) from t where b like '1%'").fetchone()[0] == 1111
assert db.execute("pragma integrity_check").fetchone()[0] == "ok"
async def echo():
    async def serve(r, w):
        w.write(await r.readline())
        await w.drain()
        w.close()
    server = await asyncio.start_unix_server(serve, "/tmp/echo")
    r, w = await asyncio.open_unix_connection("/tmp/echo")
    w.write(b"through a unix socket\\n")
    line = await r.readline()
    server.close()
    return line
assert asyncio.run(echo()) == b"through a unix socket\\n"
assert zlib.decompress(zlib.compress(b"x" * 100000)) == b"x" * 100000
assert ctypes.CDLL(None).abs(-5) == 5
with tempfile.TemporaryDirectory() as d:
    open(d + "/f", "w").write("text")
    assert os.listdir(d) == ["f"]
print(json.dumps({"ssl": ssl.OPENSSL_VERSION.split()[0], "hash": hashlib.sha256(b"a").hexdigest()[:8]}))
sys.exit(7)
"""


@pytest.mark.parametrize("cpus", ["1", "2"])
def test_python(tmp_path, cpus):
    script = tmp_path / "script.py"
    script.write_text(PYTHON_SCRIPT)
    status, text = run("-c", cpus, "--file", "%s:/script.py" % script, "--host", PYTHON, "/script.py")
    assert (status, text) == (7, '{"ssl": "OpenSSL", "hash": "ca978112"}\n')


def test_openssl():
    digest = hashlib.sha256(open("/etc/passwd", "rb").read()).hexdigest()
    status, text = run("--file", "/etc/passwd:/data", "--host", program("openssl"), "dgst", "-sha256", "/data")
    assert status == 0 and digest in text


def test_node():
    status, text = run("-c", "2", "-m", "1G", "--host", program("node"), "-e",
                       "console.log(require('crypto').createHash('sha256').update('a').digest('hex'))")
    assert status == 0 and text.startswith("ca978112")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def test_python_web_server_answers_from_outside(tmp_path):
    script = tmp_path / "serve.py"
    script.write_text("import http.server\n"
                      "http.server.HTTPServer(('', 8000), http.server.SimpleHTTPRequestHandler).serve_forever()\n")
    data = os.urandom(300000)
    (tmp_path / "data").write_bytes(data)
    port = free_port()
    p = subprocess.Popen([CAPSTAN, "run", "-n", "nat", "-f", "%d:8000" % port, "--cwd", "/srv", "--file",
                          "%s/serve.py:/serve.py" % tmp_path, "--file", "%s/data:/srv/data" % tmp_path, "--host",
                          PYTHON, "/serve.py"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        got = None
        while got is None:
            try:
                got = urllib.request.urlopen("http://127.0.0.1:%d/data" % port, timeout=20).read()
            except OSError:
                assert time.monotonic() < deadline, "no answer"
                time.sleep(0.3)
        assert got == data
        for _ in range(20):
            assert urllib.request.urlopen("http://127.0.0.1:%d/data" % port, timeout=20).read() == data
    finally:
        p.terminate()
        p.wait(20)
