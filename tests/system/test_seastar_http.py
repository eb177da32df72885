# SPDX-License-Identifier: BSD-3-Clause
"""httpd from outside: files, curl, wrk, nginx in front, TLS, slow and greedy clients, floods."""
import json
import os
import random
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
import urllib.request

import pytest

TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), "../.."))
BUILD = os.environ.get("CARRARA_BUILD", os.path.join(TOP, "build"))
HTTPD = os.path.join(BUILD, "apps/httpd/httpd")
NGINX = shutil.which("nginx") or "/usr/sbin/nginx"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Httpd:
    def __init__(self, *options, shards=1, backend="auto"):
        self.port = free_port()
        self.proc = subprocess.Popen(
            [HTTPD, f"-c{shards}", "-m128M", "--overprovisioned", "--reactor-backend", backend, "-a", "127.0.0.1",
             "-p", str(self.port), *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert "listening" in self.proc.stdout.readline(), self.proc.stderr.read()

    def url(self, path="/"):
        return f"http://127.0.0.1:{self.port}{path}"

    def dial(self, timeout=20):
        return socket.create_connection(("127.0.0.1", self.port), timeout=timeout)

    def talk(self, data):
        """All that comes back until the end of the connection."""
        with self.dial() as s:
            s.sendall(data)
            got = b""
            while part := s.recv(65536):
                got += part
            return got

    def resident(self):
        text = open(f"/proc/{self.proc.pid}/status").read()
        return int(re.search(r"VmRSS:\s+(\d+)", text).group(1)) * 1024

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.proc.pid}/fd"))

    def stop(self):
        self.proc.send_signal(signal.SIGTERM)
        assert self.proc.wait(30) == 0

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.proc.kill()
        self.proc.wait()
        self.proc.stdout.close()
        self.proc.stderr.close()


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    top = tmp_path_factory.mktemp("root")
    (top / "index.html").write_text("<h1>home</h1>")
    (top / "sub dir").mkdir()
    (top / "sub dir" / "index.html").write_text("below")
    (top / "empty").mkdir()
    (top / "nothing.txt").write_bytes(b"")
    (top / "small.json").write_text("{}")
    (top / "big.bin").write_bytes(random.Random(1).randbytes(3_000_000))
    (top / "out").symlink_to("/etc/passwd")
    (top / "inside").symlink_to("small.json")
    os.mkfifo(top / "fifo")
    (top.parent / "secret").write_text("secret")
    return top


def curl(*args, check=True):
    return subprocess.run(["curl", "-s", "--max-time", "30", "--path-as-is", *args], check=check, capture_output=True)


def status(url, *args):
    return curl("-o", "/dev/null", "-w", "%{http_code}", *args, url).stdout.decode()


def test_files(root):
    with Httpd("--root", str(root), "--cache-control", "max-age=5") as h:
        assert curl(h.url()).stdout == b"<h1>home</h1>"
        assert curl(h.url("/sub%20dir/")).stdout == b"below"
        assert curl("-w", "%{redirect_url}", h.url("/sub%20dir?x")).stdout.decode() == h.url("/sub%20dir/?x")
        head = curl("-I", h.url("/small.json")).stdout.decode()
        assert "Content-Type: application/json\r\n" in head and "Content-Length: 2\r\n" in head
        assert "Cache-Control: max-age=5\r\n" in head
        assert curl(h.url("/nothing.txt")).stdout == b""
        assert curl(h.url("/inside")).stdout == b"{}"
        big = (root / "big.bin").read_bytes()
        assert curl(h.url("/big.bin")).stdout == big
        for path in ("/gone", "/small.json/x", "/" + "a" * 300):
            assert status(h.url(path)) == "404"
        for path in ("/empty/", "/out", "/fifo", "/../secret", "/sub%20dir/../../secret", "/%2e%2e/secret",
                     "/..%2fsecret", "/%2fetc/passwd", "/..%5csecret"):
            assert status(h.url(path)) == "403", path
        assert status(h.url("/a%00b")) == "400"
        assert status(h.url(), "-X", "DELETE") == "405"
        h.stop()


def test_conditions_and_ranges(root):
    big = (root / "big.bin").read_bytes()
    with Httpd("--root", str(root)) as h:
        url = h.url("/big.bin")
        head = curl("-I", url).stdout.decode()
        etag = re.search(r"ETag: (\S+)", head).group(1)
        date = re.search(r"Last-Modified: (.*)\r", head).group(1)
        assert status(url, "-H", f"If-None-Match: {etag}") == "304"
        assert status(url, "-H", f"If-None-Match: \"x\", W/{etag}") == "304"
        assert status(url, "-H", "If-None-Match: \"x\"", "-H", f"If-Modified-Since: {date}") == "200"
        assert status(url, "-H", f"If-Modified-Since: {date}") == "304"
        assert status(url, "-H", "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT") == "200"
        for text, want in (("0-0", big[:1]), ("100-", big[100:]), ("-77", big[-77:]), ("5-9999999", big[5:]),
                           ("200000-700000", big[200000:700001])):
            r = curl("-w", "%{http_code}", "-r", text, url).stdout
            assert r == want + b"206", text
        for text in ("0-1,5-6", "x-1", "9-8"):
            assert curl("-H", f"Range: bytes={text}", url).stdout == big
        assert status(url, "-H", "Range: bytes=3000000-") == "416"
        assert status(url, "-r", "0-5", "-H", f"If-Range: {etag}") == "206"
        assert status(url, "-r", "0-5", "-H", "If-Range: \"x\"") == "200"


def test_files_change_while_they_are_sent(tmp_path):
    path = tmp_path / "shrinks"
    path.write_bytes(b"x" * 50_000_000)
    with Httpd("--root", str(tmp_path)) as h, h.dial() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        s.sendall(b"GET /shrinks HTTP/1.1\r\nHost: x\r\n\r\n")
        assert s.recv(4096)
        os.truncate(path, 1000)
        got = 0
        while part := s.recv(1 << 20):
            got += len(part)
        assert got < 50_000_000
        assert status(h.url("/shrinks")) == "200"


@pytest.mark.parametrize("backend", ["epoll", "linux-aio", "io_uring"])
def test_wrk(root, backend):
    with Httpd("--fixed", "hello", "--metrics", "/metrics", shards=2, backend=backend) as h:
        out = subprocess.run(["wrk", "-t2", "-c40", "-d1s", h.url("/x")], check=True, text=True,
                             capture_output=True).stdout
        assert int(re.search(r"(\d+) requests in", out).group(1)) > 100
        assert "Non-2xx" not in out and "Socket errors" not in out
        text = urllib.request.urlopen(h.url("/metrics"), timeout=10).read().decode()
        served = int(re.search(r"^http_requests (\d+)$", text, re.M).group(1))
        assert served >= int(re.search(r"(\d+) requests in", out).group(1))
        metrics = json.load(urllib.request.urlopen(h.url("/metrics?format=json&shards=1&name=http_"), timeout=10))
        samples = [m for m in metrics["metrics"] if m["name"] == "http_requests"][0]["samples"]
        assert sorted(s["labels"]["shard"] for s in samples) == ["0", "1"]
        assert sum(s["value"] for s in samples) >= served
        h.stop()


def test_nginx_in_front(root, tmp_path):
    with Httpd("--root", str(root)) as h:
        port = free_port()
        conf = tmp_path / "nginx.conf"
        user = "user root; " if os.geteuid() == 0 else ""  # its files belong to us
        conf.write_text(f"""{user}daemon off; worker_processes 1; pid {tmp_path}/pid; error_log {tmp_path}/error info;
events {{ worker_connections 256; }}
http {{ access_log off;
client_body_temp_path {tmp_path}/b; proxy_temp_path {tmp_path}/p; fastcgi_temp_path {tmp_path}/f;
uwsgi_temp_path {tmp_path}/u; scgi_temp_path {tmp_path}/s;
upstream ours {{ server 127.0.0.1:{h.port}; keepalive 8; }}
server {{ listen 127.0.0.1:{port};
location / {{ proxy_pass http://ours; proxy_http_version 1.1; proxy_set_header Connection ""; }}
location /old/ {{ proxy_pass http://127.0.0.1:{h.port}/; proxy_http_version 1.0; }} }} }}
""")
        proxy = subprocess.Popen([NGINX, "-c", str(conf), "-p", str(tmp_path)], stderr=subprocess.DEVNULL)
        try:
            for _ in range(200):
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    time.sleep(0.05)
            base = f"http://127.0.0.1:{port}"
            big = (root / "big.bin").read_bytes()
            for _ in range(5):
                assert curl(base + "/big.bin").stdout == big
                assert curl(base + "/old/big.bin").stdout == big
                assert curl("-r", "7-99", base + "/big.bin").stdout == big[7:100]
            assert status(base + "/gone") == "404"
            assert status(base + "/gone", "-d", "x" * 100_000) == "405"
            out = subprocess.run(["wrk", "-t1", "-c20", "-d1s", base + "/small.json"], check=True, text=True,
                                 capture_output=True).stdout
            assert "Non-2xx" not in out and "Socket errors" not in out
            assert "upstream" not in (tmp_path / "error").read_text()
        finally:
            proxy.send_signal(signal.SIGTERM)
            proxy.wait(20)


def test_tls(root, tmp_path):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
                    "-keyout", key, "-out", cert], check=True, capture_output=True)
    with Httpd("--root", str(root), "--tls-cert", str(cert), "--tls-key", str(key), "--header-timeout-ms", "500",
               "--idle-timeout-ms", "500") as h:
        url = f"https://127.0.0.1:{h.port}"
        assert curl("--cacert", str(cert), url + "/big.bin").stdout == (root / "big.bin").read_bytes()
        # Two requests on one connection, the second incomplete: the limit applies inside TLS too.
        with ssl.create_default_context(cafile=str(cert)).wrap_socket(h.dial(), server_hostname="127.0.0.1") as s:
            s.sendall(b"GET /small.json HTTP/1.1\r\nHost: x\r\n\r\nGET /smal")
            got = b""
            while part := s.recv(65536):
                got += part
            assert b"HTTP/1.1 200 OK" in got and b"HTTP/1.1 408 " in got
        # Who never speaks TLS, or never speaks at all, is shown out.
        with h.dial() as s:
            assert s.recv(1) == b""
        with h.dial() as s:
            s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            while s.recv(4096):
                pass
        assert curl("--cacert", str(cert), url + "/small.json").stdout == b"{}"


def test_slow_clients_hold_up_nobody(root):
    with Httpd("--root", str(root), "--header-timeout-ms", "1500") as h:
        slow = [h.dial() for _ in range(200)]
        for s in slow:
            s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        begin = time.monotonic()
        assert curl(h.url()).stdout == b"<h1>home</h1>"
        for s in slow:
            try:
                s.sendall(b"a")
            except OSError:
                pass
        # Byte after byte does not make the limit longer.
        while time.monotonic() - begin < 60 and h.descriptors() > 60:
            for s in slow:
                try:
                    s.sendall(b"a")
                except OSError:
                    pass
            time.sleep(0.1)
        assert h.descriptors() <= 60
        got = slow[0].recv(4096)
        assert got.startswith(b"HTTP/1.1 408 ")
        for s in slow:
            s.close()
        assert curl(h.url()).stdout == b"<h1>home</h1>"


def test_clients_that_never_read_cost_bounded_memory(root):
    with Httpd("--root", str(root)) as h:
        curl(h.url("/big.bin"))
        greedy = [h.dial(0.3) for _ in range(20)]
        before = h.resident()
        for i, s in enumerate(greedy):
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            request = b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n" % (b"big.bin" if i % 2 else b"small.json")
            try:
                for _ in range(200):
                    s.sendall(request * 100)
            except TimeoutError:
                pass
        assert h.resident() - before < 20 * 2 * 1024 * 1024
        assert curl(h.url("/small.json")).stdout == b"{}"
        for s in greedy:
            s.close()


def test_floods(root):
    """Rubbish, heads without end, resets in the middle, many connections: the server answers the next one."""
    rnd = random.Random(7)
    with Httpd("--root", str(root), "--header-timeout-ms", "3000") as h:
        curl(h.url("/big.bin"))
        before = h.resident()

        def attack(kind):
            for _ in range(40):
                try:
                    with h.dial() as s:
                        if kind == 0:
                            s.sendall(rnd.randbytes(rnd.randrange(1, 20000)))
                        elif kind == 1:
                            s.sendall(b"GET / HTTP/1.1\r\n" + b"A: " + b"b" * 100_000)
                        elif kind == 2:
                            s.sendall(b"GET /big.bin HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
                            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                        elif kind == 3:
                            s.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 5000)
                        else:
                            s.sendall(b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n" % (b"%41" * 4000))
                            s.recv(100)
                except OSError:
                    pass

        threads = [threading.Thread(target=attack, args=(i % 5,)) for i in range(10)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert curl(h.url("/small.json")).stdout == b"{}"
        for _ in range(200):
            if h.descriptors() < 30:
                break
            time.sleep(0.1)
        assert h.descriptors() < 30
        assert h.resident() - before < 30 * 1024 * 1024
        h.stop()


def test_too_many_connections(root):
    with Httpd("--root", str(root), "--max-connections", "10") as h:
        held = [h.dial() for _ in range(10)]
        for s in held:
            s.sendall(b"GET /small.json HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"200 OK" in s.recv(4096)
        try:
            with h.dial() as s:
                s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                assert s.recv(100) == b""
        except ConnectionError:
            pass
        held.pop().close()
        for _ in range(100):
            if status(h.url("/small.json")) == "200":
                break
            time.sleep(0.1)
        assert status(h.url("/small.json")) == "200"


def test_stop_while_busy(root):
    """Requests in progress are served to their end, idle connections closed."""
    with Httpd("--root", str(root)) as h:
        idle, busy = h.dial(), h.dial()
        busy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        busy.sendall(b"GET /big.bin HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        got = len(busy.recv(1000))
        h.proc.send_signal(signal.SIGTERM)
        assert idle.recv(1) == b""
        while part := busy.recv(65536):
            got += len(part)
        assert got > 3_000_000
        assert h.proc.wait(30) == 0


def test_options():
    out = subprocess.run([HTTPD, "--help"], check=True, capture_output=True, text=True).stdout
    for name in ("--address", "--port", "--root", "--fixed", "--metrics", "--tls-cert"):
        assert name in out
    for args, message in (([], "--root and --fixed"), (["--fixed", "a", "--root", "/"], "--root and --fixed"),
                          (["--fixed", "a", "-a", "nowhere"], "--address is not an address"),
                          (["--fixed", "a", "--tls-cert", "x"], "belong together"),
                          (["--root", "/does/not/exist"], "No such file"),
                          (["--fixed", "a", "--metrics", "x"], "--metrics is not a path"),
                          (["--fixed", "a", "-p", "0"], "invalid")):
        r = subprocess.run([HTTPD, "-c1", "-m64M", "--overprovisioned", *args], capture_output=True, text=True,
                           timeout=30)
        assert r.returncode in (1, 2) and message in r.stderr, (args, r.stderr)


EXAMPLES = os.path.join(BUILD, "seastar/examples")


def test_example_of_the_documentation():
    port = free_port()
    opts = ["-c1", "-m64M", "--overprovisioned", "-p", str(port)]
    p = subprocess.Popen([os.path.join(EXAMPLES, "tutorial_http_notes"), *opts], stdout=subprocess.PIPE, text=True)
    try:
        assert p.stdout.readline() == f"serving on port {port}\n"
        url = f"http://127.0.0.1:{port}"
        out = subprocess.run([os.path.join(EXAMPLES, "tutorial_http_get"), *opts], check=True, capture_output=True,
                             text=True, timeout=30).stdout
        assert out == ("201 stored\n\n200 two bottles\n404 404 Not Found: no note 'bread'\n\n"
                       "3 requests, 1 connection\n")
        assert status(url + "/notes/milk", "-X", "DELETE") == "401"
        assert curl(url + "/notes").stdout == b"milk: 11 bytes\n"
        assert status(url + "/notes/milk", "-X", "DELETE", "-H", "Authorization: Bearer secret") == "204"
        assert curl("-N", url + "/clock?ticks=2").stdout == b"data: tick 1\n\ndata: tick 2\n\n"
        assert b"notes_changes 2\n" in curl(url + "/metrics").stdout
        # A WebSocket client that is not ours: a handshake, one text, a close.
        with socket.create_connection(("127.0.0.1", port), timeout=20) as s:
            s.sendall(b"GET /echo HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                      b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
            text = b"".join(bytes([c ^ m]) for c, m in zip(b"hello", b"mask" * 2))
            s.sendall(b"\x81\x85mask" + text + b"\x88\x80mask")
            got = b""
            while part := s.recv(4096):
                got += part
            head, frames = got.split(b"\r\n\r\n")
            assert b" 101 " in head and b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head
            assert frames == b"\x81\x05hello\x88\x00"
        p.send_signal(signal.SIGTERM)
        assert p.wait(20) == 0
    finally:
        p.kill()
