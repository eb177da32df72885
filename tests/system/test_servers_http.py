# SPDX-License-Identifier: BSD-3-Clause
"""HTTP servers in languages' own ways, each in a machine: Python (threads and asyncio), Node, Java, Go; and haproxy in
front of servers of the host."""
import hashlib
import re
import subprocess

import debian
import pytest
import servers

JAVA = "/usr/lib/jvm/java-17-openjdk-amd64/bin/java"
BODY = bytes(range(256)) * 2000
SUM = hashlib.sha256(BODY).hexdigest()

# Some clients at once, each with several requests on a connection; bodies go there and back.
CLIENT = """
import hashlib, http.client, sys, threading
host, port, n, posts = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == 'posts'
good = []
def client(k):
    c = http.client.HTTPConnection(host, port, timeout=60)
    for i in range(5):
        c.request('GET', '/data')
        r = c.getresponse()
        got = r.read()
        assert r.status == 200 and hashlib.sha256(got).hexdigest() == sys.argv[5], (i, r.status, len(got), got[:200])
        if posts:
            body = bytes([k, i]) * (1000 * i + 1)
            c.request('POST', '/echo', body)
            r = c.getresponse()
            assert r.status == 200 and r.read() == body, i
    good.append(k)
threads = [threading.Thread(target=client, args=(k,)) for k in range(n)]
[t.start() for t in threads]
[t.join() for t in threads]
assert len(good) == n
"""

PYTHON_SERVER = "/usr/bin/python3 -m http.server --protocol HTTP/1.1 --directory /srv 8000"

ASYNCIO_SERVER = """
import asyncio
DATA = open('/srv/data', 'rb').read()
async def serve(r, w):
    try:
        while line := await r.readline():
            length = 0
            while (header := await r.readline()) not in (b'\\r\\n', b''):
                if header.lower().startswith(b'content-length:'):
                    length = int(header.split(b':')[1])
            body = await r.readexactly(length) if length else DATA
            w.write(b'HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n' % len(body) + body)
            await w.drain()
    finally:
        w.close()
async def main():
    await (await asyncio.start_server(serve, '', 8000)).serve_forever()
asyncio.run(main())
"""

NODE_SERVER = """
const http = require('http'), fs = require('fs');
http.createServer((request, response) => {
	if (request.method === 'POST')
		request.pipe(response);
	else
		fs.createReadStream('/srv/data').pipe(response);
}).listen(8000);
"""

JAVA_SERVER = """
import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.nio.file.*;
import java.util.concurrent.Executors;
public class Serve {
	public static void main(String[] a) throws Exception {
		byte[] data = Files.readAllBytes(Path.of("/srv/data"));
		HttpServer s = HttpServer.create(new InetSocketAddress(8000), 0);
		s.createContext("/", x -> {
			byte[] in = x.getRequestBody().readAllBytes();
			byte[] out = x.getRequestMethod().equals("POST") ? in : data;
			x.sendResponseHeaders(200, out.length);
			x.getResponseBody().write(out);
			x.close();
		});
		s.setExecutor(Executors.newFixedThreadPool(8));
		s.start();
	}
}
"""


def check(net, vm, clients=8, posts=True):
    net.python(CLIENT, vm.host, vm.port(8000), str(clients), "posts" if posts else "", SUM)


def python_image():
    return servers.image("python-web", ["python3"], {"/srv/data": BODY, "/serve.py": ASYNCIO_SERVER})


def test_python_http_server(tmp_path):
    with servers.network(servers.best(), tmp_path) as net, net.serve(python_image(), PYTHON_SERVER, ports=[8000]) as vm:
        check(net, vm, posts=False)


def test_python_asyncio(tmp_path):
    with servers.network(servers.best(), tmp_path) as net, \
            net.serve(python_image(), "/usr/bin/python3 /serve.py", ports=[8000]) as vm:
        check(net, vm, 30)


def test_node(tmp_path):
    img = servers.image("node-web", ["nodejs"], {"/srv/data": BODY, "/serve.js": NODE_SERVER})
    with servers.network(servers.best(), tmp_path) as net, \
            net.serve(img, "/usr/bin/node /serve.js", ports=[8000], memory="1G") as vm:
        check(net, vm)


def test_java(tmp_path):
    img = servers.image("java-web", ["openjdk-17-jre-headless"], {"/srv/data": BODY, "/Serve.java": JAVA_SERVER})
    source = tmp_path / "Serve.java"
    source.write_text(JAVA_SERVER)
    with servers.network(servers.best(), tmp_path) as net, \
            net.serve(img, JAVA + " -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -cp / /Serve.java", ports=[8000], memory="1G", seconds=240) as vm:
        check(net, vm)


HAPROXY = """
global
	maxconn 500
	nbthread 2
defaults
	mode http
	timeout connect 30s
	timeout client 60s
	timeout server 60s
	retries 3
frontend web
	bind :8000
	default_backend hosts
backend hosts
	balance roundrobin
	http-response set-header X-Way haproxy
	server one GATEWAY:8081
	server two GATEWAY:8082
"""


def test_haproxy(tmp_path):
    """haproxy in the machine, two servers on the host behind it."""
    if not servers.can_make_namespaces():
        pytest.skip("needs a network namespace for the servers behind it")
    ab = servers.tool("ab", "apache2-utils")
    site = tmp_path / "site"
    site.mkdir()
    (site / "data").write_bytes(BODY)
    (site / "small").write_bytes(b"x" * 100)
    with servers.network("tap", tmp_path) as net:
        img = servers.image("haproxy", ["haproxy"], {"/haproxy.cfg": HAPROXY.replace("GATEWAY", net.gateway)})
        behind = [net.popen(servers.PYTHON, "-m", "http.server", "--protocol", "HTTP/1.1", "-d", site, port,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for port in ("8081", "8082")]
        try:
            for port in ("8081", "8082"):
                net.python(servers.WAIT, net.gateway, port, "30", servers.HTTP)
            with net.serve(img, "/usr/sbin/haproxy -db -f /haproxy.cfg", ports=[8000]) as vm:
                check(net, vm, posts=False)
                text = net.run(*ab, "-q", "-n", "300", "-c", "20", vm.url(8000, "/small"))
                assert re.search(r"Failed requests: +0\n", text) and "Non-2xx" not in text, text
                assert "x-way: haproxy" in net.run("curl", "-si", vm.url(8000, "/small")).lower()
                behind[0].terminate()  # one is gone: the other takes all
                behind[0].wait(20)
                assert net.run("curl", "-sf", "--retry", "3", vm.url(8000, "/small")) == "x" * 100
        finally:
            for p in behind:
                p.kill()
                p.wait()


GO_SERVER = """
package main

import (
	"io"
	"net/http"
)

func main() {
	http.HandleFunc("/data", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, "/srv/data") })
	http.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // the server discards the rest when the answer begins
		w.Write(body)
	})
	panic(http.ListenAndServe(":8000", nil))
}
"""
GO = "./usr/lib/go-1.19"
GO_SOURCES = "./usr/share/go-1.19"


def build_go(work, source):
    """A static program of the Go source; what it needs of the library is compiled once, below the build directory."""
    # The sources' package lies in /usr/share, found from /usr/lib/go-1.19 by links.
    root = debian.unpack("go-build", ["golang-1.19-go", "golang-1.19-src"], depends=False, members=[
        f"--exclude={GO_SOURCES}/test", f"--exclude={GO_SOURCES}/src/cmd", f"--exclude={GO}/pkg/linux_amd64*",
        GO, GO_SOURCES, f"{GO}/*", f"{GO_SOURCES}/*"])
    (work / "main.go").write_text(source)
    subprocess.run([root / "usr/lib/go-1.19/bin/go", "build", "-o", work / "server", work / "main.go"], check=True,
                   cwd=work, timeout=580, env={
                       "PATH": servers.PATH, "HOME": str(work), "GO111MODULE": "off",
                       "GOROOT": str(root / "usr/lib/go-1.19"), "GOCACHE": str(debian.HERE / "go-cache"), "CGO_ENABLED": "0", "GOFLAGS": "-p=2"})
    return work / "server"


def test_go(tmp_path):
    """A static program of Go's own HTTP server."""
    server = build_go(tmp_path, GO_SERVER)
    img = servers.image("go-web", [], {"/server": server, "/srv/data": BODY})
    with servers.network(servers.best(), tmp_path) as net, net.serve(img, "/server", ports=[8000]) as vm:
        check(net, vm)
