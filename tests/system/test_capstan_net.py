# SPDX-License-Identifier: BSD-3-Clause
"""`capstan run -n tap|bridge|nat`: the machine on a network of the host, its MAC address, DHCP, forwarded ports."""
import os
import socket
import time

import pytest
import servers

SERVER = """
import socket, threading
def udp():
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    u.bind(('', 5353))
    while True:
        data, who = u.recvfrom(100)
        u.sendto(data.upper(), who)
threading.Thread(target=udp, daemon=True).start()
s = socket.create_server(('', 8000))
while True:
    c, who = s.accept()
    c.sendall(open('/sys/class/net/eth0/address').read().encode() + who[0].encode() + b'\\n')
    c.close()
"""


def image():
    return servers.image("python-net", ["python3"], {"/serve.py": SERVER})


def command(net, *options):
    """A machine with options of `capstan run`, started in the namespace of net."""
    env = {**os.environ, "CAPSTAN_ROOT": str(image().home)}
    return servers.Machine(net, [image().name, *options, "-m", "256M", "-e", "/usr/bin/python3 /serve.py"], 90, env)


def ask(net, host, port=8000):
    return net.python("import socket, sys\ns = socket.create_connection((sys.argv[1], int(sys.argv[2])), 20)\n"
                      "print(s.makefile().read())", host, str(port)).split()


def test_two_machines_on_a_bridge(tmp_path):
    with servers.network("tap", tmp_path) as net:
        net.run("ip", "link", "add", "br7", "type", "bridge")
        net.run("ip", "addr", "add", "10.97.0.1/24", "dev", "br7")
        net.run("ip", "link", "set", "br7", "up")
        one = command(net, "-n", "bridge", "-b", "br7", "--mac", "52:54:00:97:00:02", "--kernel-arg",
                      "--ip=10.97.0.2/24")
        two = command(net, "-n", "bridge", "-b", "br7", "--kernel-arg", "--ip=10.97.0.3/24")
        with one, two:
            for host in ("10.97.0.2", "10.97.0.3"):
                net.python(servers.WAIT, host, "8000", "90", "x")
            assert ask(net, "10.97.0.2") == ["52:54:00:97:00:02", "10.97.0.1"]
            mac, _ = ask(net, "10.97.0.3")
            assert mac.startswith("52:54:00:") and mac != "52:54:00:97:00:02"
            assert net.run("ip", "-o", "link", "show", "master", "br7").count("carrara") == 2
        for _ in range(50):  # the devices go with the machines
            if "carrara" not in net.run("ip", "-o", "link"):
                break
            time.sleep(0.1)
        assert "carrara" not in net.run("ip", "-o", "link")


def test_tap_with_a_mac(tmp_path):
    with servers.network("tap", tmp_path) as net, \
            command(net, "-n", "tap", "-b", "tap0", "--mac", "52:54:00:12:34:56", "--kernel-arg",
                    "--ip=10.99.0.2/24") as vm:
        net.python(servers.WAIT, vm.host, "8000", "90", "x")
        assert ask(net, vm.host) == ["52:54:00:12:34:56", "10.99.0.1"]
        assert "52:54:00:12:34:56" in net.run("ip", "neigh", "show", vm.host)


def test_missing_tap_and_bridge_are_named(tmp_path):
    with servers.network("tap", tmp_path) as net:
        with command(net, "-n", "bridge", "-b", "br-none") as vm:
            assert vm.end() != 0 and "br-none" in vm.output()


def test_nat_forwards_tcp_and_udp(tmp_path):
    ports = []
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as s:
            s.bind(("127.0.0.1", 0))
            ports.append(s.getsockname()[1])
    with servers.network("nat", tmp_path) as net, \
            command(net, "-n", "nat", "--mac", "52:54:00:00:00:77", "-f", "127.0.0.1:%d:8000" % ports[0],
                    "-f", "127.0.0.1:%d:5353/udp" % ports[1]):
        net.python(servers.WAIT, "127.0.0.1", str(ports[0]), "90", "x")
        assert ask(net, "127.0.0.1", ports[0]) == ["52:54:00:00:00:77", "10.0.2.2"]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as u:
            u.settimeout(2)
            for _ in range(20):
                u.sendto(b"stone", ("127.0.0.1", ports[1]))
                try:
                    assert u.recv(100) == b"STONE"
                    break
                except TimeoutError:
                    continue
            else:
                pytest.fail("no answer over UDP")
