# SPDX-License-Identifier: BSD-3-Clause
"""iperf3, an MQTT broker and an SSH server in machines; curl in a machine as a client, by name over DNS."""
import hashlib
import json
import os
import pty
import re
import subprocess

import pytest
import servers

ADDRESSES = {"4": "10.99.0.2", "6": "fd99::2"}


def need_namespace():
    if not servers.can_make_namespaces():
        pytest.skip("needs a network namespace")


def test_iperf3(tmp_path):
    """TCP and UDP, IPv4 and IPv6, into the machine and out of it."""
    need_namespace()
    iperf = servers.tool("iperf3", "iperf3")
    with servers.network("tap", tmp_path) as net, \
            net.serve(servers.image("iperf3", ["iperf3"]), "/usr/bin/iperf3 -s --forceflush") as vm:
        vm.wait_output("Server listening")
        for family, address in ADDRESSES.items():
            for way in ([], ["-R"]):
                out = json.loads(net.run(*iperf, "-" + family, "-c", address, "-J", "-n", "20M", *way))
                assert "error" not in out, out
                assert out["end"]["sum_received"]["bytes"] >= 10 << 20  # the rest was under way
                out = json.loads(net.run(*iperf, "-" + family, "-c", address, "-J", "-u", "-b", "5M", "-t", "1", *way))
                assert "error" not in out and out["end"]["sum"]["packets"] > 100, out
                assert out["end"]["sum"]["lost_percent"] < 50, out["end"]["sum"]
        out = json.loads(net.run(*iperf, "-c", ADDRESSES["4"], "-J", "-n", "20M", "-P", "4", "--bidir"))
        assert "error" not in out, out


def test_mosquitto(tmp_path):
    pub, sub = (servers.tool(n, "mosquitto-clients") for n in ("mosquitto_pub", "mosquitto_sub"))
    config = "listener 1883\nallow_anonymous true\nuser root\npersistence false\nlog_dest stderr\n"
    img = servers.image("mosquitto", ["mosquitto"], {"/mosquitto.conf": config})
    need_namespace()
    with servers.network("tap", tmp_path) as net, \
            net.serve(img, "/usr/sbin/mosquitto -c /mosquitto.conf", ports=[1883], probe="") as vm:
        at = ["-h", vm.host, "-p", vm.port(1883)]
        receivers = [net.popen(*sub, *at, "-t", "stones/#", "-C", "20", "-q", "1", "-W", "60", "-v", "-i", "sub%d" % i,
                               stdout=subprocess.PIPE, text=True) for i in range(3)]
        # A retained message tells when the receivers have subscribed.
        net.run(*pub, *at, "-t", "stones/first", "-m", "first", "-r", "-q", "1")
        for p in receivers:
            assert p.stdout.readline() == "stones/first first\n"
        for i in range(19):
            net.run(*pub, *at, "-t", "stones/%d" % i, "-m", "x" * (i * 700 + 1), "-q", "1")
        for p in receivers:
            lines = p.communicate(timeout=60)[0].splitlines()
            assert lines == ["stones/%d %s" % (i, "x" * (i * 700 + 1)) for i in range(19)]


def test_ssh(tmp_path):
    """dropbear: a child for each session, programs with and without a terminal, files both ways."""
    need_namespace()
    ssh, key = servers.tool("dbclient", "dropbear-bin"), servers.tool("dropbearkey", "dropbear-bin")
    text = subprocess.run([*key, "-t", "ed25519", "-f", tmp_path / "key"], check=True, capture_output=True,
                          text=True).stdout
    public = [line for line in text.splitlines() if line.startswith("ssh-ed25519")][0]
    img = servers.image("dropbear", ["dropbear-bin", "dash", "coreutils"], {
        "/root/.ssh/authorized_keys": public + "\n", "/etc/shells": "/bin/sh\n", "/etc/dropbear/here": "",
        "/etc/passwd": "root:x:0:0:root:/root:/bin/sh\n", "/etc/group": "root:x:0:\n",
        "/etc/shadow": "root:*:19000:0:99999:7:::\n"})
    with servers.network("tap", tmp_path) as net, \
            net.serve(img, "/usr/sbin/dropbear -R -F -E -p 22", ports=[22], probe="") as vm:
        def remote(*words, **kw):
            p = subprocess.run(net.command(*ssh, "-y", "-y", "-i", tmp_path / "key", "root@" + vm.host, *words),
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=100, check=False, **kw)
            return p.returncode, p.stdout, p.stderr

        assert remote("echo hello; exit 7", stdin=subprocess.DEVNULL)[:2] == (7, b"hello\n"), vm.output()
        data = os.urandom(1000000)
        status, out, err = remote("sha256sum", input=data)
        assert status == 0 and out.split()[0].decode() == hashlib.sha256(data).hexdigest(), err
        status, out, err = remote("cat /usr/bin/sha256sum", stdin=subprocess.DEVNULL)
        assert status == 0 and out == (img.root / "usr/bin/sha256sum").read_bytes(), err
        ours, theirs = pty.openpty()
        status, out, err = remote("-t", "tty; stty size", stdin=theirs)
        os.close(ours)
        os.close(theirs)
        assert status == 0 and re.match(rb"/dev/pts/\d+\r\n\d+ \d+\r\n", out), (out, err)


DNS = """
import socket, struct, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 53))
print('ready', flush=True)
while True:
    q, who = s.recvfrom(2000)
    end = q.index(b'\\0', 12) + 5
    name = q[12:end - 5]
    kind = struct.unpack('!H', q[end - 4:end - 2])[0]
    known = name == b'\\x05stone\\x04test'
    answer = b''
    if known and kind == 1:
        answer = b'\\xc0\\x0c' + struct.pack('!HHIH', 1, 1, 60, 4) + socket.inet_aton(sys.argv[1])
    s.sendto(q[:2] + (b'\\x81\\x80' if known else b'\\x81\\x83') + b'\\0\\1' + struct.pack('!H', bool(answer)) +
             b'\\0\\0\\0\\0' + q[12:end] + answer, who)
"""


def test_curl_in_the_machine(tmp_path):
    """A client in the machine: name by DNS, files down and up, errors as everywhere."""
    need_namespace()
    img = servers.image("curl", ["curl"], {"/etc/nsswitch.conf": "hosts: files dns\n"})
    site = tmp_path / "site"
    site.mkdir()
    data = os.urandom(3000000)
    (site / "data").write_bytes(data)
    with servers.network("tap", tmp_path) as net:
        web = net.popen(servers.PYTHON, "-m", "http.server", "-d", site, "8080", stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL)
        dns = net.popen(servers.PYTHON, "-c", DNS, net.gateway, stdout=subprocess.PIPE, text=True)
        try:
            assert dns.stdout.readline() == "ready\n"
            net.python(servers.WAIT, net.gateway, "8080", "30", servers.HTTP)

            def curl(*words):
                with net.serve(img, "/usr/bin/curl -sS --max-time 30 " + " ".join(words)) as vm:
                    return vm.end(), vm.output()

            status, text = curl("-w '%{http_code} %{size_download} %{remote_ip}'",
                                "-o /tmp/x http://stone.test:8080/data")
            assert status == 0 and "200 3000000 10.99.0.1" in text, text
            status, text = curl("http://nobody.test:8080/")
            assert status == 6 and "Could not resolve host: nobody.test" in text, text
            status, text = curl("http://stone.test:8081/")
            assert status == 7 and "refused" in text.lower() or "connect to" in text, text
        finally:
            for p in (web, dns):
                p.kill()
                p.wait()


SHORT = r"""
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
static int listener;
static void *serve(void *arg)
{
	char b[16];
	int fd;
	(void)arg;
	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		if (read(fd, b, sizeof b) != 5 || write(fd, "reply", 5) != 5)
			abort();
		close(fd);
	}
	return NULL;
}
static long available(void)
{
	char line[200];
	long kb = -1;
	FILE *f = fopen("/proc/meminfo", "r");
	while (fgets(line, sizeof line, f))
		sscanf(line, "MemFree: %ld", &kb);
	fclose(f);
	return kb;
}
int main(int argc, char **argv)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(7), .sin_addr.s_addr = htonl(0x7f000001)};
	pthread_t t;
	char b[16];
	long n = atol(argv[1]), before = 0;
	(void)argc;
	listener = socket(AF_INET, SOCK_STREAM, 0);
	bind(listener, (void *)&a, sizeof a);
	listen(listener, 100);
	pthread_create(&t, NULL, serve, NULL);
	for (long i = 0; i < n; i++) {
		int s = socket(AF_INET, SOCK_STREAM, 0);
		if (i == n / 2)
			before = available();
		if (connect(s, (void *)&a, sizeof a) || write(s, "hello", 5) != 5 || read(s, b, sizeof b) != 5) {
			perror("connection");
			printf("number %ld\n", i);
			return 1;
		}
		/* Every other time the client closes first, so both ends get their TIME_WAIT. */
		if (i & 1 && read(s, b, 1) != 0)
			return 2;
		close(s);
	}
	printf("lost %ld KiB\n", before - available());
	return 0;
}
"""


def test_hundred_thousand_short_connections(tmp_path):
    """One after another over loopback: none fails, and the second half leaves no memory behind."""
    source, program = tmp_path / "short.c", tmp_path / "short"
    source.write_text(SHORT)
    subprocess.run(["gcc", "-O1", "-static", "-pthread", "-o", program, source], check=True)
    out = subprocess.run([servers.CAPSTAN, "run", "-c", "1", "-m", "256M", "--host", program, "100000"],
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600,
                         check=False)
    text = out.stdout.decode()
    assert out.returncode == 0 and "lost" in text, text
    assert int(text.split("lost ")[1].split()[0]) < 2048, text
