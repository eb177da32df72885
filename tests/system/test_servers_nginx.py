# SPDX-License-Identifier: BSD-3-Clause
"""Debian's nginx in a machine: files of 1 B to 100 MB with and without TLS, many clients, clients that misbehave."""
import hashlib
import random
import re
import subprocess

import pytest
import servers

SIZES = [0, 1, 2, 100, 1460, 4096, 65537, 1000000, 10000000, 100000000]
CONFIG = """
daemon off;
master_process off;
user root;
pid /tmp/nginx.pid;
error_log stderr warn;
worker_rlimit_nofile 8192;
events { worker_connections 4096; }
http {
	access_log off;
	sendfile on;
	keepalive_requests 1000000;
	root /srv;
	server {
		listen 80 backlog=2048;
		listen [::]:80 backlog=2048;
		listen 443 ssl;
		listen [::]:443 ssl;
		ssl_certificate /etc/nginx/test.pem;
		ssl_certificate_key /etc/nginx/test.key;
		location /copied/ { sendfile off; alias /srv/; }
	}
}
"""
NGINX = "/usr/sbin/nginx -c /etc/nginx/test.conf"


def content(size):
    return random.Random(size).randbytes(size)


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """nginx's image and the sums of its files by size."""
    d = tmp_path_factory.mktemp("nginx")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650", "-subj", "/CN=carrara",
                    "-keyout", d / "key", "-out", d / "cert"], check=True, stderr=subprocess.DEVNULL)
    files = {"/etc/nginx/test.conf": CONFIG, "/etc/nginx/test.pem": d / "cert", "/etc/nginx/test.key": d / "key",
             "/srv/index.html": "<h1>hello</h1>\n", "/var/log/nginx/error.log": "", "/var/lib/nginx/here": ""}
    for size in SIZES:
        files["/srv/%d" % size] = content(size)
    return (servers.image("nginx", ["nginx"], files, without=["iproute2"]),
            {size: hashlib.sha256(files["/srv/%d" % size]).hexdigest() for size in SIZES})


def sha256(net, url, *options):
    """Checksum of what curl gets."""
    p = net.popen("curl", "-sSfk", "--max-time", "200", *options, url, stdout=subprocess.PIPE)
    digest = hashlib.sha256()
    while chunk := p.stdout.read(1 << 20):
        digest.update(chunk)
    assert p.wait(30) == 0, url
    return digest.hexdigest()


@pytest.mark.parametrize("kind", servers.NETS)
def test_files(tmp_path, image, kind):
    img, sums = image
    with servers.network(kind, tmp_path) as net, net.serve(img, NGINX, ports=[80, 443]) as vm:
        for size in SIZES:
            assert sha256(net, vm.url(80, "/%d" % size)) == sums[size], size
            if size <= (10000000 if kind == "tap" else 65537):
                assert sha256(net, vm.url(80, "/copied/%d" % size)) == sums[size], size
                assert sha256(net, vm.url(443, "/%d" % size, "https")) == sums[size], size
        assert sha256(net, vm.url(80, "/10000000"), "-r", "5000-5999") == hashlib.sha256(
            content(10000000)[5000:6000]).hexdigest()
        if kind == "tap":
            assert sha256(net, "http://[%s]/1000000" % net.guest6) == sums[1000000]
            assert sha256(net, "https://[%s]/1000000" % net.guest6) == sums[1000000]
        assert net.run("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", vm.url(80, "/none")) == "404"


def test_load(tmp_path, image):
    img, _ = image
    wrk, ab = servers.tool("wrk", "wrk"), servers.tool("ab", "apache2-utils")
    with servers.network(servers.best(), tmp_path) as net, net.serve(img, NGINX, ports=[80, 443]) as vm:
        for path in ("/100", "/copied/4096", "/65537"):
            text = net.run(*wrk, "-t1", "-c50", "-d2s", "--timeout", "60s", vm.url(80, path))
            assert int(re.search(r"(\d+) requests in", text).group(1)) > 20 and "Socket errors" not in text \
                and "Non-2xx" not in text, text
        for options in (["-n", "1000", "-c", "20"], ["-n", "2000", "-c", "50", "-k"]):
            text = net.run(*ab, "-q", "-s", "100", *options, vm.url(80, "/1460"))
            assert re.search(r"Failed requests: +0\n", text) and "Non-2xx" not in text, text
        text = net.run(*ab, "-q", "-s", "100", "-n", "20", "-c", "4", vm.url(443, "/4096", "https"))
        assert re.search(r"Failed requests: +0\n", text) and "Non-2xx" not in text, text


THOUSAND = """
import resource, socket, sys
n = int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
many = [socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=60) for i in range(n)]
for round in range(3):
    for s in many:
        s.sendall(b'GET /100 HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n')
    for s in many:
        got = b''
        while b'\\r\\n\\r\\n' not in got or len(got) < got.index(b'\\r\\n\\r\\n') + 104:
            more = s.recv(4096)
            assert more, 'closed'
            got += more
        assert got.startswith(b'HTTP/1.1 200'), got
"""

# Clients that take a large file and do not read it, one that reads slowly, and one that is gone.
BAD = """
import socket, sys, time
bad = []
for i in range(20):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.connect((sys.argv[1], int(sys.argv[2])))
    s.sendall(b'GET /100000000 HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n')
    bad.append(s)
print('ready', flush=True)
while True:
    bad[0].recv(1)
    time.sleep(0.1)
"""


def test_thousand_connections(tmp_path, image):
    img, _ = image
    with servers.network(servers.best(), tmp_path) as net, net.serve(img, NGINX, ports=[80, 443]) as vm:
        net.python(THOUSAND, vm.host, vm.port(80), "1000")


def test_slow_readers_and_a_dead_peer_disturb_nobody(tmp_path, image):
    img, sums = image
    with servers.network("tap", tmp_path) as net, net.serve(img, NGINX, ports=[80, 443]) as vm:
        slow = net.popen(servers.PYTHON, "-c", BAD, vm.host, vm.port(80), stdout=subprocess.PIPE, text=True)
        try:
            assert slow.stdout.readline() == "ready\n"
            # A peer at an address that vanishes in the middle of a transfer: its packets get no answer any more.
            net.run("ip", "addr", "add", "10.99.0.77/24", "dev", "tap0")
            net.run("ip", "neigh", "flush", "dev", "tap0")
            dead = net.popen("curl", "-s", "--interface", "10.99.0.77", "--limit-rate", "200k", "-o", "/dev/null",
                             vm.url(80, "/100000000"))
            for _ in range(5):
                assert sha256(net, vm.url(80, "/1000000")) == sums[1000000]
            net.run("ip", "addr", "del", "10.99.0.77/24", "dev", "tap0")
            for _ in range(20):
                assert sha256(net, vm.url(80, "/65537")) == sums[65537]
            assert sha256(net, vm.url(80, "/10000000")) == sums[10000000]
            dead.kill()
            dead.wait()
        finally:
            slow.kill()
            slow.wait()
        assert sha256(net, vm.url(80, "/10000000")) == sums[10000000]
