# SPDX-License-Identifier: BSD-3-Clause
"""The hub and its client: publishing, pulling, and everything that can go wrong on the way."""
import contextlib
import gzip
import hashlib
import http.client
import http.server
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
import urllib.parse

from capstan_env import BUILD, Capstan, capstan  # noqa: F401

TOKEN = "secret-token"


class Hub:
    def __init__(self, capstan, *options):
        self.dir = capstan.tmp / "hub"
        self.process = subprocess.Popen(
            [str(BUILD / "capstan" / "capstan"), "hub", "serve", str(self.dir), "--port", "0", "--token", TOKEN,
             *options], env=capstan.env, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        self.url = re.search(r"at (https?://\S+)", line)[1]
        self.port = int(self.url.rsplit(":", 1)[1])
        self.key = re.search(r"key: (\w+)", self.process.stdout.readline())[1]
        self.env = {"CAPSTAN_REPO_URL": self.url, "CAPSTAN_HUB_TOKEN": TOKEN}

    def request(self, method, path, body=None, headers=()):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        c.putrequest(method, path, skip_host=False)
        for k, v in dict(headers).items():
            c.putheader(k, v)
        if body is not None:
            c.putheader("Content-Length", str(len(body)))
        c.endheaders(body)
        r = c.getresponse()
        return r.status, r.read(), dict(r.getheaders())

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)
        self.process.stdout.close()
        return self.process.returncode


@contextlib.contextmanager
def hub(capstan, *options):
    h = Hub(capstan, *options)
    try:
        yield h
    finally:
        if h.process.poll() is None:
            h.stop()


def build(capstan, name, version, files=None, **kw):
    d = capstan.package(name, files or {f"data-{name}": version * 10}, version=version,
                        directory=capstan.tmp / "src" / f"{name}-{version}", **kw)
    capstan("package", "build", cwd=d)
    return d / f"{name}.mpm"


def clean_root(capstan, name="other"):
    return {"CAPSTAN_ROOT": str(capstan.tmp / name)}


def test_publish_and_use_on_a_clean_root(capstan):
    with hub(capstan) as h:
        first = build(capstan, "base", "1.0")
        out, _ = capstan("package", "push", first, env=h.env)
        assert out == "Published base 1.0\n"
        assert "already" in capstan("package", "push", first, env=h.env)[0]
        capstan("package", "push", build(capstan, "base", "1.1"), env=h.env)
        capstan("package", "push", build(capstan, "base", "2.0"), env=h.env)
        capstan("package", "push", build(capstan, "tool", "0.1", require=["base ^1.0"]), env=h.env)
        env = {**h.env, **clean_root(capstan)}
        out, _ = capstan("package", "search", env=env)
        assert f"trusting its key {h.key}" in out and out.count("\nbase ") == 3 and "tool title" in out
        assert "base" not in capstan("package", "search", "too", env=env)[0]
        d = capstan.package("app", {"x": "y"}, require=["tool"], run="runtime: native\nbootcmd: /x\n")
        assert "--pull-missing" in capstan("package", "compose", "i", cwd=d, env=env, status=1)[1]
        out, _ = capstan("package", "compose", "i", "--pull-missing", cwd=d, env=env)
        assert "Pulling tool 0.1" in out and "Pulling base 1.1" in out
        capstan("package", "pull", "base", env=env)
        assert json.loads(capstan("--json", "package", "describe", "base", env=env)[0])["version"] == "2.0"
        capstan("package", "pull", "base =1.0", env=env)
        assert json.loads(capstan("--json", "package", "describe", "base", env=env)[0])["version"] == "1.0"
        _, err = capstan("package", "pull", "base >2", env=env, status=65)
        assert "1.0, 1.1, 2.0" in err
        assert "did you mean base" in capstan("package", "pull", "bsae", env=env, status=1)[1]
        assert h.stop() == 0


def test_versions_are_chosen_together(capstan):
    """The newest "web" would need a "lib" that "db" cannot work with: an older "web" is the answer."""
    with hub(capstan) as h:
        for name, version, require in [
                ("lib", "1.0", []), ("lib", "1.5", []), ("lib", "2.0", []), ("db", "1.0", ["lib ^1.2"]),
                ("web", "1.0", ["lib >=1"]), ("web", "2.0", ["lib >=2"]), ("bad", "1.0", ["lib >=2", "db"]),
                ("gone", "1.0", ["nothing >=1"])]:
            capstan("package", "push", build(capstan, name, version, require=require), env=h.env)
        env = {**h.env, **clean_root(capstan)}
        d = capstan.package("app", {"x": "y"}, require=["web", "db"], run="runtime: native\nbootcmd: /x\n")
        capstan("package", "compose", "i", "-p", cwd=d, env=env)
        have = {p["name"]: p["version"] for p in json.loads(capstan("--json", "package", "list", env=env)[0])}
        assert have == {"web": "1.0", "db": "1.0", "lib": "1.5"}
        # What is here and fits is kept, and the hub is not even asked.
        capstan("package", "compose", "i", "-p", cwd=d, env={**env, "CAPSTAN_REPO_URL": "http://127.0.0.1:1"})
        d = capstan.package("app2", {}, require=["bad"])
        _, err = capstan("package", "collect", "-p", cwd=d, env=env, status=65)
        assert "no versions fit together" in err and "bad 1.0 requires lib >=2" in err and "db 1.0 requires lib ^1.2" in err
        d = capstan.package("app3", {}, require=["gone"])
        _, err = capstan("package", "collect", "-p", cwd=d, env=env, status=1)
        assert "gone 1.0 requires nothing >=1, but no repository has nothing" in err
        d = capstan.package("app4", {}, require=["lib >=3"])
        _, err = capstan("package", "collect", "-p", cwd=d, env=env, status=65)
        assert "app4 requires lib >=3, but there is only" in err


def versions(capstan, env):
    return {p["name"]: p["version"] for p in json.loads(capstan("--json", "package", "list", env=env)[0])}


def test_lock_file_binds_until_update(capstan):
    with hub(capstan) as h:
        for name, version, require in [("lib", "1.0", []), ("lib", "1.1", []), ("web", "1.0", ["lib ^1.0"])]:
            capstan("package", "push", build(capstan, name, version, require=require), env=h.env)
        env = {**h.env, **clean_root(capstan)}
        d = capstan.package("app", {"x": "y"}, require=["web"], run="runtime: native\nbootcmd: /x\n")
        lock = d / "meta/lock.yaml"
        capstan("package", "collect", "-p", cwd=d, env=env)
        first = lock.read_text()
        digest = hashlib.sha256((capstan.tmp / "other/packages/lib.mpm").read_bytes()).hexdigest()
        assert "  lib:\n    version: 1.1\n    sha256: " + digest in first
        assert "lock" not in capstan("package", "collect", cwd=d, env=env)[0]
        # A newer version appears: another machine composes with what is locked all the same.
        capstan("package", "push", build(capstan, "lib", "1.2"), env=h.env)
        capstan("package", "push", build(capstan, "web", "1.1", require=["lib ^1.1"]), env=h.env)
        third = {**h.env, **clean_root(capstan, "third")}
        capstan("package", "collect", "-p", cwd=d, env=third)
        assert versions(capstan, third) == {"lib": "1.1", "web": "1.0"} and lock.read_text() == first
        # One name is renewed, then all.
        assert "lib 1.1 -> 1.2\n" in capstan("package", "update", "lib", cwd=d, env=third)[0]
        assert versions(capstan, third) == {"lib": "1.2", "web": "1.0"}
        out, _ = capstan("package", "update", cwd=d, env=third)
        assert "web 1.0 -> 1.1\n" in out and "lib" not in out
        assert "the newest that fits" in capstan("package", "update", cwd=d, env=third)[0]
        # The machine with the old packages is told, and gets the locked ones.
        _, err = capstan("package", "collect", cwd=d, env=env, status=65)
        assert "lock.yaml of app has lib 1.2, but 1.1 is in the local repository" in err
        capstan("package", "collect", "-p", cwd=d, env=env)
        assert versions(capstan, env) == {"lib": "1.2", "web": "1.1"}
        # The same version with other content is not the same package.
        capstan("package", "import", build(capstan, "lib", "1.2", {"other": "content"}), env=env)
        assert "other content" in capstan("package", "collect", cwd=d, env=env, status=65)[1]
        capstan("package", "collect", "-p", cwd=d, env=env)
        # Requirements that have left the lock's versions behind choose anew.
        capstan.package("app", {}, require=["web", "lib =1.1"])
        capstan("package", "collect", "-p", cwd=d, env=env)
        assert "    version: 1.1\n" in lock.read_text() and versions(capstan, env)["lib"] == "1.1"
        lock.write_text("packages:\n  lib:\n    sha256: 12\n")
        assert "lock.yaml:3:5: the sha256 of lib is not a digest" in capstan("package", "collect", cwd=d, env=env, status=65)[1]


def test_update_of_the_local_repository(capstan):
    with hub(capstan) as h:
        for version in ("1.0", "1.10", "1.9"):
            capstan("package", "push", build(capstan, "a", version), env=h.env)
        env = {**h.env, **clean_root(capstan)}
        capstan("package", "pull", "a =1.0", env=env)
        capstan("package", "import", build(capstan, "mine", "1"), env=env)
        assert "a 1.0 -> 1.10\n" in capstan("package", "update", env=env)[0]
        assert versions(capstan, env) == {"a": "1.10", "mine": "1"}
        assert "No newer versions" in capstan("package", "update", "a", env=env)[0]
        assert "zzz is not in the local" in capstan("package", "update", "zzz", env=env, status=1)[1]


def test_images_are_pushed_and_pulled(capstan):
    with hub(capstan) as h:
        d = capstan.package("app", {"x": "y"}, version="1.0", run="runtime: native\nbootcmd: /x --port 80\n")
        capstan("package", "compose", "team/app", "--size", "64M", cwd=d)
        env = {**h.env, **clean_root(capstan)}
        assert capstan("push", "team/app", env=h.env)[0].endswith("Published image team/app 1.0\n")
        assert "already" in capstan("push", "team/app", env=h.env)[0]
        out, _ = capstan("search", "app", env=env)
        assert re.search(r"team/app +image +1.0 .*app title", out)
        capstan("pull", "team/app", env=env)
        pulled = capstan.tmp / "other/repository/team/app/app.qemu"
        assert pulled.read_bytes() == capstan.image("team/app").read_bytes()
        images = json.loads(capstan("--json", "images", env=env)[0])
        assert images[0]["name"] == "team/app" and images[0]["version"] == "1.0"
        assert "/x --port 80" in capstan("info", "team/app", env=env)[0]
        assert "did you mean team/app" in capstan("pull", "team/ap", env=env, status=1)[1]
        # The page for people, and the original tool's layout.
        page = h.request("GET", "/")[1].decode()
        assert "1 images" in page and "team/app" in page
        assert h.request("GET", "/team/app/app.qemu.gz")[0] == 200
        assert b"version: 1.0" in h.request("GET", "/team/app/index.yaml")[1]
        # Another content needs another version; the digest is checked; nobody else may push.
        (d / "x").write_text("changed")
        capstan("package", "compose", "team/app", "--size", "64M", cwd=d)
        assert "needs a new version" in capstan("push", "team/app", env=h.env, status=65)[1]
        stored = next(h.dir.glob("team/app/app-*.qemu.gz"))
        stored.write_bytes(gzip.compress(b"evil"))
        _, err = capstan("pull", "team/app", env=env, status=65)
        assert "wrong size" in err or "SHA-256" in err
        assert pulled.read_bytes() != b"evil"
        put = {"Authorization": f"Bearer {TOKEN}"}
        assert h.request("PUT", "/app/app.qemu.gz", b"x")[0] == 401
        status, text, _ = h.request("PUT", "/app/app.qemu.gz", gzip.compress(b"no image"), put)
        assert status == 422 and b"not a Carrara image" in text
        assert h.request("PUT", "/app/app.qemu.gz", b"not gzip", put)[0] == 422
        assert h.request("PUT", "/app/other.qemu.gz", b"", put)[0] == 400
        assert h.request("PUT", "/packages/packages.qemu.gz", b"", put)[0] == 400
        assert not list((h.dir / ".hub/uploads").iterdir())


def test_only_the_token_may_publish_and_only_packages(capstan):
    with hub(capstan) as h:
        mpm = build(capstan, "p", "1.0")
        assert "needs the hub's token" in capstan("package", "push", mpm, env={"CAPSTAN_REPO_URL": h.url}, status=64)[1]
        _, err = capstan("package", "push", mpm, env={**h.env, "CAPSTAN_HUB_TOKEN": "wrong"}, status=1)
        assert "wrong or missing token" in err
        (capstan.tmp / "junk.mpm").write_bytes(b"junk" * 1000)
        assert "refused" in capstan("package", "push", capstan.tmp / "junk.mpm", env=h.env, status=65)[1]
        capstan("package", "push", mpm, env=h.env)
        changed = build(capstan, "p", "1.0", files={"other": "content"})
        _, err = capstan("package", "push", changed, env=h.env, status=65)
        assert "published with other content" in err
        # Another packaging of the same version is something else.
        again = capstan.package("p", {"o": "x"}, version="1.0", manifest='packaging: "2"\n', directory=capstan.tmp / "q")
        capstan("package", "build", cwd=again)
        capstan("package", "push", again / "p.mpm", env=h.env)
        assert list((h.dir / ".hub/uploads").iterdir()) == []
        for path in ("/.hub/token", "/.hub/key", "/packages/../.hub/key", "/%2ehub/key", "//etc/passwd", "/packages", "/../x"):
            status, body, _ = h.request("GET", path)
            assert status in (400, 404) and TOKEN.encode() not in body, path
        assert h.request("DELETE", "/packages/p.mpm")[0] == 405
        assert (h.dir / ".hub/key").stat().st_mode & 0o777 == 0o600
        (h.dir / "link").symlink_to("/etc/passwd")
        assert h.request("GET", "/link")[0] == 404


def test_page_for_people_and_bucket_files(capstan):
    with hub(capstan) as h:
        capstan("package", "push", build(capstan, "nice", "1.5", manifest=""), env=h.env)
        evil = capstan.package("html", {"a": "b"}, version="1", directory=capstan.tmp / "h")
        (evil / "meta/package.yaml").write_text("name: html\ntitle: \"<script>alert(1)</script>\"\nauthor: a\n")
        capstan("package", "build", cwd=evil)
        capstan("package", "push", evil / "html.mpm", env=h.env)
        status, body, headers = h.request("GET", "/")
        assert status == 200 and headers["Content-Type"].startswith("text/html")
        assert b"nice" in body and b"1.5" in body and b"<script" not in body
        assert b"name: nice" in h.request("GET", "/packages/nice.yaml")[1]
        assert h.request("GET", "/packages/nice.mpm")[0] == 200
        status, body, headers = h.request("HEAD", "/index.signed")
        assert status == 200 and body == b"" and int(headers["Content-Length"]) > 100


def test_ranges(capstan):
    with hub(capstan) as h:
        (h.dir / "file").write_bytes(bytes(range(256)) * 4)
        data = bytes(range(256)) * 4
        for header, expect in [("bytes=0-0", data[:1]), ("bytes=1000-", data[1000:]), ("bytes=-24", data[-24:]),
                               ("bytes=10-20", data[10:21]), ("bytes=1000-5000", data[1000:])]:
            status, body, headers = h.request("GET", "/file", headers={"Range": header})
            assert (status, body) == (206, expect) and headers["Content-Range"].endswith("/1024"), header
        for header in ("bytes=1024-", "bytes=5-2", "bytes=-0"):
            assert h.request("GET", "/file", headers={"Range": header})[0] == 416, header
        for header in ("lines=1-2", "bytes=a-b", "bytes=1-2,4-5", "bytes=99999999999999999999999-"):
            status, body, _ = h.request("GET", "/file", headers={"Range": header})
            assert (status, body) == (200, data), header


def test_tampering_is_noticed(capstan):
    with hub(capstan) as h:
        capstan("package", "push", build(capstan, "p", "1.0"), env=h.env)
        old = (h.dir / "index.signed").read_bytes()
        capstan("package", "push", build(capstan, "p", "1.1"), env=h.env)
        env = {**h.env, **clean_root(capstan)}
        capstan("package", "search", env=env)
        new = (h.dir / "index.signed").read_bytes()
        (h.dir / "index.signed").write_bytes(new.replace(b'"1.1"', b'"9.9"'))
        assert "signature does not fit" in capstan("package", "pull", "p", env=env, status=65)[1]
        (h.dir / "index.signed").write_bytes(old)
        assert "refused as a replay" in capstan("package", "pull", "p", env=env, status=65)[1]
        (h.dir / "index.signed").write_bytes(b"junk")
        assert "not a signed index" in capstan("package", "pull", "p", env=env, status=65)[1]
        # A hub that had an index cannot turn into a bucket without one.
        (h.dir / "index.signed").unlink()
        assert "index.signed" in capstan("package", "pull", "p", env=env, status=1)[1]
        (h.dir / "index.signed").write_bytes(new)
        for f in h.dir.glob("packages/p-1.1-*.mpm"):
            f.write_bytes(f.read_bytes()[:-1] + b"x")
        assert "SHA-256" in capstan("package", "pull", "p", env=env, status=65)[1]
        for f in h.dir.glob("packages/p-1.1-*.mpm"):
            f.write_bytes(f.read_bytes()[:-5])
        assert "wrong size" in capstan("package", "pull", "p", env=env, status=65)[1]
        assert "p" not in os.listdir(capstan.tmp / "other") and \
            "Name" in capstan("package", "list", env=env)[0]
        other = {**h.env, **clean_root(capstan, "third"), "CAPSTAN_HUB_KEY": "0" * 64}
        assert "trusted key" in capstan("package", "pull", "p", env=other, status=65)[1]
        bad = {**other, "CAPSTAN_HUB_KEY": "xyz"}
        assert "not a public key" in capstan("package", "pull", "p", env=bad, status=65)[1]


def test_parallel_pushes_pulls_and_kills(capstan):
    packages = [build(capstan, f"p{i}", "1.0", files={"data": os.urandom(20000).hex()}) for i in range(12)]
    program = str(BUILD / "capstan" / "capstan")
    with hub(capstan) as h:
        env = {**capstan.env, **h.env}
        procs = [subprocess.Popen([program, "package", "push", p], env=env, stdout=subprocess.DEVNULL) for p in packages]
        assert [p.wait(60) for p in procs] == [0] * 12
        assert len(json.loads((h.dir / "index.json").read_text())["packages"]) == 12
        # Clients killed at any moment leave complete packages only, and the next attempt succeeds.
        root = clean_root(capstan)
        for i in range(12):
            p = subprocess.Popen([program, "package", "pull", f"p{i}"], env={**env, **root},
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(0.002 * i)
            p.kill()
            p.wait()
            listed = json.loads(capstan("--json", "package", "list", env={**h.env, **root})[0])
            for e in listed:
                capstan("package", "describe", e["name"], "-c", env=root)
        pulls = [subprocess.Popen([program, "package", "pull", f"p{i % 12}"], env={**env, **root},
                                  stdout=subprocess.DEVNULL) for i in range(16)]
        assert [p.wait(60) for p in pulls] == [0] * 16
        assert len(json.loads(capstan("--json", "package", "list", env=root)[0])) == 12
        # A hub killed during uploads keeps a valid index and finishes the rest afterwards.
        more = [build(capstan, f"q{i}", "1.0") for i in range(6)]
        procs = [subprocess.Popen([program, "package", "push", p], env=env, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL) for p in more]
        time.sleep(0.03)
        h.process.kill()
        h.process.wait()
        [p.wait(60) for p in procs]
    with hub(capstan) as h:
        for p in more:
            capstan("package", "push", p, env=h.env)
        names = {p["name"] for p in json.loads((h.dir / "index.json").read_text())["packages"]}
        assert names == {f"p{i}" for i in range(12)} | {f"q{i}" for i in range(6)}


def test_port_in_use_and_wrong_options(capstan):
    with hub(capstan) as h:
        _, err = capstan("hub", "serve", capstan.tmp / "b", "--port", h.port, status=1)
        assert "in use" in err
    assert "not an IPv4" in capstan("hub", "serve", capstan.tmp / "b", "-a", "localhost", status=64)[1]
    assert "go together" in capstan("hub", "serve", capstan.tmp / "b", "--tls-cert", "x", status=64)[1]
    _, err = capstan("package", "pull", "x", env={"CAPSTAN_REPO_URL": "http://127.0.0.1:1"}, status=1)
    assert "cannot fetch" in err
    _, err = capstan("package", "pull", "x", env={"CAPSTAN_REPO_URL": "file:///etc"}, status=1)
    assert "cannot fetch" in err


class Bucket(http.server.BaseHTTPRequestHandler):
    """An S3 bucket with two keys a page, that breaks connections when told."""
    files, cuts = {}, {}

    def do_GET(self):
        url = urllib.parse.urlparse(self.path)
        query = urllib.parse.parse_qs(url.query)
        if url.path == "/":
            marker = query.get("marker", [""])[0]
            keys = sorted(k for k in self.files if k.startswith(query.get("prefix", [""])[0]) and k > marker)
            xml = "<?xml version='1.0'?><ListBucketResult>" + "".join(
                f"<Contents><Key>{k}</Key></Contents>" for k in keys[:2])
            xml += f"<IsTruncated>{'true' if len(keys) > 2 else 'false'}</IsTruncated></ListBucketResult>"
            return self.reply(200, xml.encode())
        key = urllib.parse.unquote(url.path[1:])
        if key not in self.files:
            return self.reply(403, b"<Error/>")
        data, start = self.files[key], 0
        m = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if m:
            start = int(m[1])
        self.send_response(206 if m else 200)
        self.send_header("Content-Length", str(len(data) - start))
        if m:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        end = len(data)
        if self.cuts.get(key, 0) > 0:
            self.cuts[key] -= 1
            end = start + (len(data) - start) // 2
        self.wfile.write(data[start:end])
        Bucket.log.append((key, start))
        if end < len(data):
            self.connection.close()

    def reply(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@contextlib.contextmanager
def bucket(files, cuts=()):
    Bucket.files, Bucket.cuts, Bucket.log = files, dict(cuts), []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Bucket)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield {"CAPSTAN_REPO_URL": f"http://127.0.0.1:{server.server_port}"}
    finally:
        server.shutdown()
        server.server_close()


def test_original_bucket_is_read(capstan):
    files = {}
    for i in range(5):
        mpm = build(capstan, f"eu.project.p{i}", "1.0", files={"d": os.urandom(50000).hex()})
        files[f"packages/eu.project.p{i}.mpm"] = mpm.read_bytes()
        files[f"packages/eu.project.p{i}.yaml"] = (mpm.parent / "meta/package.yaml").read_bytes()
    image = capstan.tmp / "img.raw"
    d = capstan.package("app", {"x": "y"}, run="runtime: native\nbootcmd: /x 1\n")
    capstan("package", "compose", "-o", image, cwd=d)
    files["team/web/web.qemu.gz"] = gzip.compress(image.read_bytes())
    files["team/bad/bad.qemu.gz"] = gzip.compress(image.read_bytes())[:-50]
    key = "packages/eu.project.p3.mpm"
    with bucket(files, {key: 2}) as env:
        out, _ = capstan("package", "search", env=env)
        assert [f"eu.project.p{i}" in out for i in range(5)] == [True] * 5
        # The connection breaks twice; the download goes on from where it broke.
        capstan("package", "pull", "eu.project.p3", env=env)
        starts = [start for k, start in Bucket.log if k == key]
        assert len(starts) == 3 and starts[0] == 0 < starts[1] < starts[2]
        pulled = capstan.root / "packages/eu.project.p3.mpm"
        assert hashlib.sha256(pulled.read_bytes()).digest() == hashlib.sha256(files[key]).digest()
        assert "has no package" in capstan("package", "pull", "eu.project.none", env=env, status=1)[1]
        capstan("pull", "team/web", env=env)
        capstan("run", "team/web")
        assert capstan.cmdline() == "/x 1"
        assert "damaged" in capstan("pull", "team/bad", env=env, status=65)[1] and "team/bad" not in capstan("images")[0]


def test_https(capstan):
    cert, key = capstan.tmp / "cert.pem", capstan.tmp / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert], check=True,
                   stderr=subprocess.DEVNULL)
    with hub(capstan, "--tls-cert", str(cert), "--tls-key", str(key)) as h:
        assert h.url.startswith("https://")
        mpm = build(capstan, "p", "1.0")
        assert "cannot fetch" in capstan("package", "push", mpm, env=h.env, status=1)[1]  # an unknown authority
        trusted = {**h.env, "SSL_CERT_FILE": str(cert)}
        capstan("package", "push", mpm, env=trusted)
        capstan("package", "pull", "p", env={**trusted, **clean_root(capstan)})
    shutil.rmtree(capstan.tmp / "hub")
