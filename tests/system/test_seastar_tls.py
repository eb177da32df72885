# SPDX-License-Identifier: BSD-3-Clause
"""TLS of the framework against other implementations: openssl, curl, Python."""
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess

import pytest

TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), "../.."))
BUILD = os.environ.get("CARRARA_BUILD", os.path.join(TOP, "build"))
COMMON = ["-c1", "-m128M", "--thread-affinity=false"]
ECHO = os.path.join(BUILD, "apps", "echo", "echo")
CLIENT = os.path.join(BUILD, "seastar", "examples", "tutorial_tls_client")


def openssl(*args, **kw):
    return subprocess.run(["openssl", *args], check=True, capture_output=True, timeout=60, **kw)


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    """A CA, a server certificate for localhost and a client's."""
    d = tmp_path_factory.mktemp("pki")

    def key(name):
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", d / f"{name}.key")

    key("ca")
    openssl("req", "-x509", "-new", "-key", d / "ca.key", "-out", d / "ca.pem", "-days", "2",
            "-subj", "/CN=Test CA")
    for name, san in (("server", "DNS:localhost,IP:127.0.0.1"), ("client", "DNS:client")):
        key(name)
        openssl("req", "-new", "-key", d / f"{name}.key", "-out", d / f"{name}.csr",
                "-subj", f"/CN={name}")
        (d / "ext").write_text(f"subjectAltName={san}\n")
        openssl("x509", "-req", "-in", d / f"{name}.csr", "-CA", d / "ca.pem", "-CAkey",
                d / "ca.key", "-CAcreateserial", "-out", d / f"{name}.pem", "-days", "2",
                "-extfile", d / "ext")
    return d


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    def __init__(self, pki, *more):
        self.port = free_port()
        self.p = subprocess.Popen(
            [ECHO, *COMMON, "--address", "127.0.0.1", "--port", str(self.port), "--tls-cert",
             pki / "server.pem", "--tls-key", pki / "server.key", *more],
            stdout=subprocess.PIPE, text=True)
        assert "listening" in self.p.stdout.readline()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.p.send_signal(signal.SIGTERM)
        try:
            assert self.p.wait(20) == 0
        finally:
            self.p.kill()


def s_client(port, pki, *more, data=b""):
    """openssl s_client: sends data, waits for a line if there was some, then ends."""
    with subprocess.Popen(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", pki / "ca.pem",
             "-verify_return_error", "-servername", "localhost", *more],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as p:
        if data:
            try:
                p.stdin.write(data)
                p.stdin.flush()
            except BrokenPipeError:
                pass
            line = p.stdout.readline()
        else:
            line = b""
        try:
            out, err = p.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            p.kill()
            raise
    return subprocess.CompletedProcess(p.args, p.returncode, line + out, err)


@pytest.mark.parametrize("backend", ["epoll", "linux-aio", "io_uring"])
def test_python_client(pki, backend):
    with Server(pki, "--reactor-backend", backend) as s:
        ctx = ssl.create_default_context(cafile=pki / "ca.pem")
        with socket.create_connection(("127.0.0.1", s.port), 20) as raw, \
                ctx.wrap_socket(raw, server_hostname="localhost") as c:
            data = os.urandom(30000)
            c.sendall(data)
            got = b""
            while len(got) < len(data):
                part = c.recv(65536)
                assert part
                got += part
            assert got == data
            # An orderly end: the server answers our close_notify with its own.
            c.unwrap()


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_s_client(pki, version):
    with Server(pki, "--tls-alpn", "one,two") as s:
        r = s_client(s.port, pki, version, "-alpn", "two", "-quiet", "-no_ign_eof",
                     "-verify_hostname", "localhost", data=b"hello\n")
        assert r.returncode == 0, r.stderr
        assert b"hello" in r.stdout
        r = s_client(s.port, pki, version, "-alpn", "two")
        assert b"ALPN protocol: two" in r.stdout
        assert b"Verify return code: 0 (ok)" in r.stdout
        # Nothing in common: an alert, and the server lives.
        assert b"no application protocol" in s_client(s.port, pki, version, "-alpn", "x").stderr
        assert s_client(s.port, pki, version).returncode == 0


def test_s_client_old_version(pki):
    with Server(pki) as s:
        r = s_client(s.port, pki, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0")
        assert r.returncode != 0 and b"alert protocol version" in r.stderr


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_session_resumed(pki, tmp_path, version):
    session = tmp_path / "session"
    with Server(pki) as s:
        # The ticket of TLS 1.3 is there when data has come back.
        s_client(s.port, pki, version, "-sess_out", session, "-quiet", "-no_ign_eof",
                 data=b"hello\n")
        r = s_client(s.port, pki, version, "-sess_in", session)
        assert b"Reused, TLS" in r.stdout


def test_client_certificate(pki):
    with Server(pki, "--tls-client-ca", pki / "ca.pem") as s:
        good = s_client(s.port, pki, "-cert", pki / "client.pem", "-key", pki / "client.key",
                        "-quiet", "-no_ign_eof", data=b"hello\n")
        assert b"hello" in good.stdout
        none = s_client(s.port, pki, "-quiet", "-no_ign_eof", "-tls1_2", data=b"hello\n")
        assert none.returncode != 0 and b"hello" not in none.stdout
        # Our own client.
        args = [CLIENT, *COMMON, "--address", f"127.0.0.1:{s.port}", "--ca", pki / "ca.pem"]
        mine = subprocess.run([*args, "--cert", pki / "client.pem", "--key", pki / "client.key"],
                              capture_output=True, text=True, timeout=60)
        assert mine.returncode == 0 and mine.stdout.endswith("hello\n"), mine.stderr
        bare = subprocess.run(args, capture_output=True, text=True, timeout=60)
        assert bare.returncode == 1 and "hello" not in bare.stdout
        assert "alert" in bare.stderr


@pytest.mark.skipif(not shutil.which("curl"), reason="no curl")
def test_curl(pki):
    """curl speaks HTTP, the echo sends it back, and curl says so: the TLS below is in order."""
    with Server(pki) as s:
        r = subprocess.run(["curl", "-sS", "--http0.9", "--max-time", "20", "--cacert",
                            pki / "ca.pem", "-v", f"https://localhost:{s.port}/x", "--resolve",
                            f"localhost:{s.port}:127.0.0.1", "--raw", "-m", "3"],
                           capture_output=True, text=True, timeout=60)
        assert "GET /x HTTP/1.1" in r.stdout
        r = subprocess.run(["curl", "-sS", "--max-time", "20",
                            f"https://127.0.0.1:{s.port}/"], capture_output=True, text=True,
                           timeout=60)
        assert r.returncode == 60  # not signed by anybody curl trusts


@pytest.fixture
def s_server(pki):
    def run(*more):
        port = free_port()
        p = subprocess.Popen(
            ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", pki / "server.pem",
             "-key", pki / "server.key", "-rev", *more], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True)
        started.append(p)
        for line in p.stdout:
            if "ACCEPT" in line:
                break
        return port

    started = []
    yield run
    for p in started:
        p.kill()
        p.wait()


def client(port, pki, *more):
    return subprocess.run(
        [CLIENT, *COMMON, "--address", f"127.0.0.1:{port}", "--ca", pki / "ca.pem", *more],
        capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_s_server(pki, s_server, version):
    r = client(s_server("-tls" + version.replace(".", "_")), pki, "--send", "stressed")
    assert r.returncode == 0, r.stderr
    assert r.stdout == f"TLSv{version}, certificate of CN=server\ndesserts\n"


def test_s_server_refused(pki, s_server, tmp_path):
    port = s_server()
    r = client(port, pki, "--name", "elsewhere")
    assert r.returncode == 1 and "hostname mismatch" in r.stderr
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", tmp_path / "k", "-out", tmp_path / "other.pem", "-subj", "/CN=Other")
    r = client(port, pki, "--ca", tmp_path / "other.pem")
    assert r.returncode in (1, 2)
    r = subprocess.run([CLIENT, *COMMON, "--address", f"127.0.0.1:{port}", "--ca",
                        tmp_path / "other.pem"], capture_output=True, text=True, timeout=60)
    assert r.returncode == 1 and re.search("local issuer|self-signed", r.stderr)


def test_bad_files(pki, tmp_path):
    for more, what in ((["--tls-cert", tmp_path / "none"], "No such file"),
                       (["--tls-cert", pki / "server.key", "--tls-key", pki / "server.key"],
                        "no certificate"),
                       (["--tls-cert", pki / "server.pem"], "private key"),
                       (["--tls-cert", pki / "server.pem", "--tls-key", pki / "client.key"],
                        "client.key: key values mismatch")):
        r = subprocess.run([ECHO, *COMMON, "--port", "1", *more], capture_output=True, text=True,
                           timeout=30)
        assert r.returncode == 1 and what in r.stderr, r.stderr
