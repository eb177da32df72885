# SPDX-License-Identifier: BSD-3-Clause
"""Network tools and runtimes of the host, unmodified, in a virtual machine: what they see of its interfaces."""
import json
import os
import re
import shutil
import subprocess

import pytest

from test_programs import program, run


def with_libraries(*programs):
    """Arguments that put programs and the libraries they need into the image beside the one that runs."""
    files = set()
    for p in programs:
        files.add(p)
        text = subprocess.run(["ldd", p], stdout=subprocess.PIPE, check=True).stdout.decode()
        files.update(re.findall(r"(/\S+) \(0x", text))
    return [a for f in sorted(files) for a in ("--file", f"{f}:{f}")]


def test_ip_lists_links_addresses_and_routes():
    status, text = run("-n", "nat", "--host", program("ip"), "addr")
    assert status == 0 and "1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536" in text and "inet 127.0.0.1/8" in text
    assert re.search(r"2: eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 .*state UP", text)
    status, text = run("--host", program("ip"), "-6", "route")
    assert status == 0 and "::1 dev lo proto kernel metric 256" in text
    status, text = run("--host", program("ip"), "route", "get", "127.0.0.5")
    assert status == 0 and re.search(r"127.0.0.5 dev lo .*src 127.0.0", text)


def test_ip_changes_what_it_shows(tmp_path):
    script = tmp_path / "script"
    script.write_text("ip link set lo mtu 9000\nip addr add 10.9.8.7/24 dev lo\nip route add 10.44.0.0/16 dev lo\n"
                      "ip addr show lo\nip route\nip route del 10.44.0.0/16\nip addr del 10.9.8.7/24 dev lo\n"
                      "ip addr add 10.9.8.7/24 dev nosuch0\nip -o addr\nip route\n")
    status, text = run(*with_libraries(program("ip")), "--file", f"{script}:/script", "--host", program("bash"),
                       "/script")
    before, after = text.split("Cannot find device")
    assert status == 0
    assert "mtu 9000" in before and "inet 10.9.8.7/24" in before and "10.44.0.0/16 dev lo" in before
    assert "10.9.8.7" not in after and "10.44" not in after


def test_tcpdump_sees_the_loopback(tmp_path):
    script = tmp_path / "script"
    script.write_text("exec 3<> <(:)\n"  # something to wait on: there is no sleep
                      "tcpdump -Z root -n -l -i lo -c 2 -A udp port 4242 2>&1 &\np=$!\n"
                      "for i in {1..100}; do read -t 0.3 <&3; echo \"message $i\" >/dev/udp/127.0.0.1/4242\n"
                      "echo other >/dev/udp/127.0.0.1/4243; kill -0 $p || break; done 2>/dev/null\n"
                      "wait $p; echo status $?\n")
    status, text = run(*with_libraries(program("tcpdump")), "--file", f"{script}:/script", "--host", program("bash"),
                       "/script")
    assert status == 0 and "status 0" in text and "2 packets captured" in text
    assert len(re.findall(r"IP 127.0.0.1.\d+ > 127.0.0.1.4242: UDP, length", text)) == 2
    assert "message" in text and "4243:" not in text


NODE = "console.log(JSON.stringify(require('os').networkInterfaces()))"


def test_node_lists_interfaces():
    status, text = run("-m", "512M", "--host", program("node"), "-e", NODE)
    lo = json.loads(text)["lo"]
    assert status == 0 and {a["address"] for a in lo} == {"127.0.0.1", "::1"} and all(a["internal"] for a in lo)


PYTHON = """
import socket, fcntl, struct
assert socket.if_nameindex() == [(1, "lo")]
assert socket.if_nametoindex("lo") == 1
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
r = fcntl.ioctl(s, 0x8915, struct.pack("16s24x", b"lo"))
assert socket.inet_ntoa(r[20:24]) == "127.0.0.1"
print("fine")
"""


def test_python_lists_interfaces():
    assert run("--host", "/usr/bin/python3", "-S", "-c", PYTHON) == (0, "fine\n")


SS = """
import socket, subprocess
l = socket.create_server(("127.0.0.1", 4711))
c = socket.create_connection(("127.0.0.1", 4711))
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
u.bind(("127.0.0.1", 4712))
s, _ = l.accept()
c.sendall(b"x" * 1000)
print(subprocess.run(["%s", "-tuainm"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout.decode())
"""


def test_ss_lists_sockets(tmp_path):
    ss = program("ss")
    (tmp_path / "script.py").write_text(SS % ss)
    status, text = run(*with_libraries(ss), "--file", f"{tmp_path}/script.py:/script.py", "--host",
                       "/usr/bin/python3", "/script.py")
    assert status == 0 and re.search(r"^tcp +LISTEN 0 +\d+ +127.0.0.1:4711", text, re.M), text
    assert re.search(r"^udp +UNCONN 0 +0 +127.0.0.1:4712", text, re.M)
    assert re.search(r"^tcp +ESTAB +1000 +0 +127.0.0.1:4711 ", text, re.M)
    assert re.search(r"cubic .*rto:.*rtt:.*mss:.*cwnd:", text) and "skmem:" in text and "Cannot" not in text


@pytest.mark.skipif(not shutil.which("javac") or not os.path.isdir("/usr/lib/jvm"), reason="no JDK")
def test_java_lists_interfaces(tmp_path):
    (tmp_path / "Nets.java").write_text("""
import java.net.*;
import java.util.*;
public class Nets {
    public static void main(String[] a) throws Exception {
        for (NetworkInterface n : Collections.list(NetworkInterface.getNetworkInterfaces()))
            System.out.println(n.getName() + " " + n.getMTU() + " " + n.isUp() + " " + n.isLoopback() + " "
                + n.getInterfaceAddresses());
    }
}
""")
    subprocess.run(["javac", "Nets.java"], cwd=tmp_path, check=True)
    java = os.path.realpath(program("java"))
    home = os.path.dirname(os.path.dirname(java))
    status, text = run("-m", "1G", "--dir", f"{home}:{home}", "--dir", "/etc/java-17-openjdk:/etc/java-17-openjdk",
                       "--file", f"{tmp_path}/Nets.class:/app/Nets.class", "--host", java, "-Xint", "-cp", "/app",
                       "Nets")
    assert status == 0 and re.search(r"^lo 65536 true true .*127.0.0.1/8", text, re.M), text


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_ping(address):
    status, text = run("--host", program("ping"), "-c", "3", "-i", "0.2", address)
    assert status == 0 and "3 packets transmitted, 3 received, 0% packet loss" in text and "WARNING" not in text
