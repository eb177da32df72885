# SPDX-License-Identifier: BSD-3-Clause
"""Who may ask the monitoring service, what it may touch, and how it and its machine end."""
import http.client
import ssl
import subprocess
import time

import pytest

import watched

TALK = watched.BUILD / "tests" / "guest" / "tracing" / "talk"


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """A signer, a certificate for the service, one for a client and one of a stranger."""
    d = tmp_path_factory.mktemp("keys")

    def openssl(*words):
        subprocess.run(["openssl", *map(str, words)], cwd=d, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    for name in ("ca", "stranger"):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}-key.pem",
                "-out", f"{name}.pem", "-subj", f"/CN={name}", "-days", "30")
    for name in ("server", "client"):
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}-key.pem",
                "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca-key.pem", "-CAcreateserial",
                "-out", f"{name}.pem", "-days", "30")
    return d


def test_token_and_tls_from_the_image(keys, tmp_path):
    (tmp_path / "token").write_text("secret-word\n")
    files = [f"{tmp_path}/token:/etc/httpserver/token", f"{keys}/server.pem:/etc/httpserver/cert.pem",
             f"{keys}/server-key.pem:/etc/httpserver/key.pem", f"{keys}/ca.pem:/etc/httpserver/ca.pem"]
    context = watched.client_context(keys / "ca.pem", keys / "client.pem", keys / "client-key.pem")
    with watched.machine(files=files, token="secret-word", context=context) as (guest, _):
        assert guest.get("/os/name") == "Carrara"
        for wrong in (None, "secret-wor", "secret-word2", ""):
            other = watched.Guest(guest.port, wrong, context)
            reply = other.call("GET", "/os/name")
            assert reply.status == 401 and reply.headers["WWW-Authenticate"] == "Bearer", wrong
            assert other.call("GET", "/").status == 200  # the page asks for the token
        for stranger in (watched.client_context(keys / "ca.pem"),
                         watched.client_context(keys / "ca.pem", keys / "stranger.pem", keys / "stranger-key.pem")):
            with pytest.raises((ssl.SSLError, OSError, http.client.HTTPException)):
                watched.Guest(guest.port, "secret-word", stranger).call("GET", "/os/name")
        out = subprocess.run([watched.CAPSTAN, "exec", "-g", guest.url, "--token", "secret-word", "--ca", keys / "ca.pem",
                              "--cert", keys / "client.pem", "--key", keys / "client-key.pem", "--insecure",
                              "/usr/bin/sleep", "0"], capture_output=True, timeout=60)
        assert out.returncode == 0, out


def test_32_mib(tmp_path):
    with watched.machine(memory="32M", files=[f"{TALK}:/bin/talk"]) as (guest, _):
        for _ in range(20):
            guest.get("/os/threads")
            guest.call("GET", "/metrics")
        assert guest.run("/bin/talk word 0 0")[0] == 0
        assert guest.get("/os/memory/free") > 8 << 20


@pytest.mark.parametrize("how", ["poweroff", "shutdown", "reboot"])
def test_the_end_of_the_machine(how):
    with watched.machine(cpus=1) as (guest, process):
        assert guest.call("POST", f"/os/{how}").json == "OK"
        assert process.wait(60) is not None


def test_stop_leaves_the_machine(tmp_path):
    with watched.machine(cpus=1) as (guest, process):
        assert guest.call("POST", "/api/stop").json == "OK"
        end = time.monotonic() + 30
        while True:
            try:
                watched.Guest(guest.port).call("GET", "/os/name")
            except (OSError, http.client.HTTPException):
                break
            assert time.monotonic() < end
        assert process.poll() is None


def test_read_only_below_a_root(tmp_path):
    """On this host, as the service is built for both."""
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / "inside").write_text("in")
    (tmp_path / "outside").write_text("out")
    (root / "sub" / "link").symlink_to(tmp_path / "outside")
    (root / "sub" / "up").symlink_to("../../outside")
    with watched.service(tmp_path, "--file-root", root, "--read-only") as (g, _):
        assert g.file("/inside") == "in"
        for path in ("/sub/link", "/sub/up", "/../outside", "/sub/../../outside", "/sub/up/../x"):
            reply = g.call("GET", "/file" + path)
            assert reply.status in (400, 404) and b"out" != reply.body, (path, reply)
        for method, path in (("PUT", "/file/new"), ("POST", "/file/new"), ("DELETE", "/file/inside"), ("PUT", "/app/"),
                             ("POST", "/env/A"), ("POST", "/os/hostname")):
            assert g.call(method, path, {"command": "/bin/true", "val": "1", "name": "x"}).status == 403, (method, path)
        assert g.file("/inside") == "in" and not (root / "new").exists()


def test_links_do_not_lead_writes_out(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "target").mkdir()
    (root / "link").symlink_to(tmp_path / "target")
    with watched.service(tmp_path, "--file-root", root) as (g, _):
        assert g.call("PUT", "/file/link/new", content="x").status in (400, 404)
        assert g.call("DELETE", "/file/link/new").status in (400, 404)
        assert g.call("PUT", "/file/ok", content="x").status == 200
        assert list((tmp_path / "target").iterdir()) == [] and (root / "ok").read_text() == "x"
        assert g.call("DELETE", "/file/link", recursive="true").status == 200  # the link, not what it leads to
        assert (tmp_path / "target").is_dir()


def test_empty_token_is_refused(tmp_path):
    (tmp_path / "token").write_text("\n")
    done = subprocess.run([watched.SERVICE, "--config", tmp_path, "--port", str(watched.free_port())],
                          capture_output=True, timeout=30)
    assert done.returncode == 1 and b"token" in done.stderr
