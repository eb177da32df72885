# SPDX-License-Identifier: BSD-3-Clause
"""The two walk-throughs of docs/capstan.md, with packages made from Debian's, booted and used from outside."""
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time
import urllib.request

import pytest

from capstan_env import BUILD, Capstan

RECIPES = pathlib.Path(__file__).resolve().parents[2] / "packages/build"


def real_capstan(tmp):
    c = Capstan(tmp)
    for name in ("CAPSTAN_QEMU", "FAKE_RECORD", "FAKE_DISK_COPY"):
        del c.env[name]
    c.env["CARRARA_KERNEL"] = str(BUILD / "kernel")
    c.env["CAPSTAN"] = str(BUILD / "capstan" / "capstan")
    return c


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    return real_capstan(tmp_path_factory.mktemp("walk"))


def recipe(c, *names):
    r = subprocess.run([RECIPES, *names], env=c.env, capture_output=True, text=True, timeout=300)
    assert r.returncode == 0, r.stderr


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Service:
    """`capstan run` in the background, asked over a forwarded port until it answers."""

    def __init__(self, c, *args, env=None, cwd=None):
        self.process = subprocess.Popen([c.env["CAPSTAN"], "run", *args], env={**c.env, **(env or {})}, cwd=cwd or c.tmp,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        text=True)

    def get(self, port, path="/", seconds=120):
        end = time.monotonic() + seconds
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as r:
                    return r.read().decode()
            except OSError:
                if self.process.poll() is not None or time.monotonic() > end:
                    self.process.kill()
                    raise AssertionError(self.process.communicate()[0]) from None
                time.sleep(0.2)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=30)


def test_node_application_with_46000_files(real):
    """The manual's tutorial application has this shape: a small server and 46,000 files of modules."""
    recipe(real, "carrara.node")
    d = real.tmp / "word-finder"
    for module in range(460):
        m = d / "node_modules" / f"module{module}"
        m.mkdir(parents=True)
        (m / "index.js").write_text(f"exports.words = ['word{module}', ...require('./part1').more];\n")
        for part in range(1, 100):
            (m / f"part{part}.js").write_text(f"exports.more = ['more{module}-{part}'];\n")
    (d / "start.js").write_text("""
const http = require('http'), words = [];
for (let i = 0; i < 460; i += 46) words.push(...require('module' + i).words);
http.createServer((request, response) => {
  const wanted = decodeURIComponent(request.url.slice(1));
  response.end(JSON.stringify({wanted, found: words.includes(wanted), port: process.env.PORT}));
}).listen(process.env.PORT);
""")
    real("package", "init", "--name", "com.example.word-finder", "--title", "Word Finder", "--author", "Lemmy", cwd=d)
    real("runtime", "init", "--runtime", "node", cwd=d)
    (d / "meta/run.yaml").write_text("runtime: node\nconfig_set:\n  word_count:\n    main: /start.js\n"
                                     "    env:\n      PORT: 4000\nconfig_set_default: word_count\n")
    real("package", "compose", "com.example.word-finder", "--size", "2G", cwd=d)
    port = free_port()
    with Service(real, "com.example.word-finder", "-f", f"127.0.0.1:{port}:4000") as s:
        assert json.loads(s.get(port, "/word46")) == {"wanted": "word46", "found": True, "port": "4000"}
        assert json.loads(s.get(port, "/more414-1"))["found"] is True
        assert json.loads(s.get(port, "/nonsense"))["found"] is False


def test_python_service_published_and_run_elsewhere(real):
    recipe(real, "carrara.python3")
    d = real.tmp / "service"
    (d / "meta").mkdir(parents=True)
    (d / "server.py").write_text("import http.server, os\nport = int(os.environ['PORT'])\n"
                                 "http.server.test(http.server.SimpleHTTPRequestHandler, port=port)\n")
    real("package", "init", "-n", "service", "-t", "A small service", "-a", "me", "--version", "1.0.0",
         "--require", "carrara.python3", cwd=d)
    (d / "meta/run.yaml").write_text("runtime: python\nmain: /server.py\n")
    (d / "meta/opts").write_text("PORT:\n  name: port\n  description: port to listen on\n  default: 8000\n")
    real("package", "validate", cwd=d)
    real("package", "build", cwd=d)
    hub = subprocess.Popen([real.env["CAPSTAN"], "hub", "serve", real.tmp / "hub", "--port", "0"], env=real.env,
                           stdout=subprocess.PIPE, text=True)
    try:
        url = re.search(r"at (http://\S+)", hub.stdout.readline())[1]
        env = {"CAPSTAN_REPO_URL": url, "CAPSTAN_HUB_TOKEN": (real.tmp / "hub/.hub/token").read_text()}
        packages = real.root / "packages"
        real("package", "push", d / "service.mpm", packages / "carrara.python3.mpm", cwd=d, env=env)
        # Somebody with an empty root directory.
        env["CAPSTAN_ROOT"] = str(real.tmp / "elsewhere")
        assert "A small service" in real("package", "search", env=env)[0]
        mine = real.tmp / "mine"
        mine.mkdir()
        real("package", "init", "-n", "mine", "-t", "Mine", "-a", "me", "--require", "service ^1.0", cwd=mine, env=env)
        real("package", "compose", "mine", "--pull-missing", cwd=mine, env=env)
        port = free_port()
        with Service(real, "mine", "--port", "8080", "-f", f"127.0.0.1:{port}:8080", env=env) as s:
            assert "server.py" in s.get(port)
        # The image itself goes through the hub, too.
        real("push", "mine", cwd=mine, env=env)
        env["CAPSTAN_ROOT"] = str(real.tmp / "third")
        real("pull", "mine", cwd=mine, env=env)
        with Service(real, "mine", "-f", f"127.0.0.1:{port}:8000", env=env) as s:
            assert "server.py" in s.get(port)
    finally:
        hub.send_signal(signal.SIGTERM)
        hub.communicate(timeout=20)


# Recipe, what to run, what it says.
SMOKE = [
    ("carrara.shell", "/bin/busybox sh -c 'echo $((6 * 7))'", "42"),
    ("carrara.lua", "/usr/bin/lua5.4 -e 'print(6*7)'", "42"),
    ("carrara.perl", "/usr/bin/perl -e 'print 6*7'", "42"),
    ("carrara.sqlite", "/usr/bin/sqlite3 :memory: 'select 6*7'", "42"),
    ("carrara.redis", "/usr/bin/redis-server --version", "Redis server v="),
    ("carrara.memcached", "/usr/bin/memcached --version", "memcached 1."),
    ("carrara.nginx", "/usr/sbin/nginx -t", "test is successful"),
    ("carrara.java", "/usr/bin/java -version", "OpenJDK 64-Bit Server VM"),
    ("carrara.erlang", "/usr/bin/erl -noshell -eval 'io:format(\"~p~n\",[6*7]),halt().'", "42"),
    ("carrara.openmpi", "/usr/bin/mpirun --version", "mpirun (Open MPI)"),
]


@pytest.mark.parametrize("name,command,expected", SMOKE)
def test_recipes_make_packages_that_run(real, name, command, expected):
    recipe(real, name)
    d = real.package("with-" + name, {}, require=[name])
    real("package", "compose", "with-" + name, cwd=d)
    said = real("run", "with-" + name, "-n", "none", "-m", "768M", "--execute", command, timeout=120)
    assert any(expected in text for text in said)  # on standard output or, as some do, standard error
    os.unlink(real.image("with-" + name))
