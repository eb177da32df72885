# SPDX-License-Identifier: BSD-3-Clause
"""A machine with the monitoring service, and calls of its interface."""
import contextlib
import http.client
import json
import os
import re
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.parse
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("CARRARA_BUILD", TOP / "build"))
CAPSTAN = BUILD / "capstan" / "capstan"
SERVICE = BUILD / "apps" / "httpserver" / "httpserver"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def text(self):
        return self.body.decode()

    def __repr__(self):
        return f"{self.status} {self.body[:500]!r}"


class Guest:
    """One running service; calls keep a connection. token and context are for services that want them."""

    def __init__(self, port, token=None, context=None):
        self.port, self.token, self.context = port, token, context
        self.url = f"http{'s' if context else ''}://127.0.0.1:{port}"
        self.connection = None

    def connect(self):
        if self.context:
            return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=60, context=self.context)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def call(self, method, path, form=None, body=None, headers=None, **query):
        """form and query are parameters; body is sent as it is."""
        headers = dict(headers or {})
        if self.token:
            headers["Authorization"] = "Bearer " + self.token
        if query:
            path += "?" + urllib.parse.urlencode(query)
        if form is not None:
            body = urllib.parse.urlencode(form)
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        for attempt in range(2):
            if not self.connection:
                self.connection = self.connect()
            try:
                self.connection.request(method, path, body, headers)
                reply = self.connection.getresponse()
                return Reply(reply.status, reply.headers, reply.read())
            except (http.client.HTTPException, ConnectionError):
                self.connection.close()
                self.connection = None
                if attempt:
                    raise

    def get(self, path, **query):
        """The JSON of a call that must succeed."""
        reply = self.call("GET", path, **query)
        assert reply.status == 200, (path, reply)
        return reply.json

    def file(self, path):
        """A file of the guest, as its programs see it."""
        reply = self.call("GET", "/file" + path)
        assert reply.status == 200, (path, reply)
        return reply.text

    def run(self, command, seconds=60):
        """Runs a program to its end: (exit code, output)."""
        reply = self.call("PUT", "/app/", {"command": command})
        assert reply.status == 200, (command, reply)
        tid, end = reply.json, time.monotonic() + seconds
        while not self.get("/app/finished", tid=tid):
            assert time.monotonic() < end, command
            time.sleep(0.1)
        output = self.get("/app/output", tid=tid)
        return output["exit_code"], output["text"]

    def wait_up(self, process, seconds=90):
        end = time.monotonic() + seconds
        while True:
            assert process.poll() is None and time.monotonic() < end, "the machine does not answer"
            try:
                if self.call("GET", "/os/name").status in (200, 401):
                    return
            except (OSError, http.client.HTTPException):
                self.connection = None
            time.sleep(0.3)


@contextlib.contextmanager
def machine(program="/bin/sleep 600", memory="128M", cpus=2, files=(), options=(), token=None, context=None):
    """A machine that runs a program of this host with the service beside it: yields (guest, process). What the
    service finds in /etc/httpserver comes by `files`, "HOST:GUEST"."""
    with tempfile.TemporaryDirectory() as directory:
        log = open(Path(directory) / "console", "w+b")
        command = [CAPSTAN, "run", "--host", "--watch", "-m", memory, "-c", str(cpus),
                   *(a for f in files for a in ("--file", f)), *options, *program.split()]
        env = {**os.environ, "CAPSTAN_ROOT": directory, "CARRARA_HTTPSERVER": str(SERVICE)}
        process = subprocess.Popen([*map(str, command)], stdin=subprocess.DEVNULL, stdout=log,
                                   stderr=subprocess.STDOUT, env=env)
        try:
            end = time.monotonic() + 60
            while not (m := re.search(r"http://127.0.0.1:(\d+)/", Path(log.name).read_text(errors="replace"))):
                assert process.poll() is None and time.monotonic() < end, Path(log.name).read_text(errors="replace")
                time.sleep(0.1)
            guest = Guest(int(m[1]), token, context)
            guest.console = lambda: Path(log.name).read_text(errors="replace")
            guest.wait_up(process)
            yield guest, process
        finally:
            process.terminate()
            process.wait(30)
            log.close()


@contextlib.contextmanager
def service(directory, *options, token=None, context=None):
    """The service on this host, as for a unit test: yields (guest, process)."""
    guest = Guest(free_port(), token, context)
    process = subprocess.Popen([SERVICE, "--address", "127.0.0.1", "--port", str(guest.port), "--config", directory,
                                *options], stdin=subprocess.DEVNULL)
    try:
        guest.wait_up(process)
        yield guest, process
    finally:
        process.terminate()
        process.wait(30)


def client_context(ca, cert=None, key=None):
    context = ssl.create_default_context(cafile=str(ca))
    context.check_hostname = False
    if cert:
        context.load_cert_chain(str(cert), str(key))
    return context


def metric(text, series, /, **labels):
    """Value of a line of /metrics."""
    for line in text.splitlines():
        m = re.match(r"([\w:]+)(?:\{(.*)\})? (\S+)$", line)
        if m and m[1] == series and all(f'{k}="{v}"' in (m[2] or "") for k, v in labels.items()):
            return float(m[3])
    raise AssertionError(f"no metric {series} {labels}")
