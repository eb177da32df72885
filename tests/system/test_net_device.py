# SPDX-License-Identifier: BSD-3-Clause
"""The network device itself: several queues, jumbo frames, over PCI and MMIO; the link going down and up."""
import json
import os
import socket

import pytest
import servers

# Port 8000: what arrives is sent back, each connection in a thread. Port 8001: what /sys says about the device.
SERVER = """
import socket, threading
def echo(c):
    while d := c.recv(1 << 16):
        c.sendall(d)
    c.close()
def about(c):
    d = '/sys/class/net/eth0/'
    words = [open(d + n).read().strip() for n in ('mtu', 'operstate')]
    c.sendall(' '.join(words).encode() + b'\\\\n')
    c.close()
def listen(port, fn):
    l = socket.create_server(('', port), backlog=64)
    while True:
        c, _ = l.accept()
        threading.Thread(target=fn, args=(c,), daemon=True).start()
threading.Thread(target=listen, args=(8001, about), daemon=True).start()
listen(8000, echo)
""".replace("\\\\", "\\")

# Eight connections at once, each with bytes of its own; everything comes back as it went.
ECHO = """
import hashlib, os, socket, sys, threading
wrong = []
def one(n):
    s = socket.create_connection((sys.argv[1], 8000), 60)
    data = os.urandom(1 << 20)
    threading.Thread(target=lambda: (s.sendall(data), s.shutdown(socket.SHUT_WR)), daemon=True).start()
    got = b''.join(iter(lambda: s.recv(1 << 16), b''))
    if hashlib.sha256(got).digest() != hashlib.sha256(data).digest():
        wrong.append((n, len(got)))
threads = [threading.Thread(target=one, args=(n,)) for n in range(8)]
[t.start() for t in threads]
[t.join() for t in threads]
print('wrong', wrong)
"""


def image():
    return servers.image("python-netdev", ["python3"], {"/serve.py": SERVER})


def machine(net, machine_type, device, queues, more=()):
    qemu = ["-netdev", f"tap,id=m0,ifname=tapq,queues={queues},script=no,downscript=no,vhost=off",
            "-device", device + ",netdev=m0,mac=52:54:00:99:00:07", *more]
    args = [w for q in qemu for w in ("--qemu-arg", q)]
    env = {**os.environ, "CAPSTAN_ROOT": str(image().home)}
    return servers.Machine(net, [image().name, "--machine", machine_type, "-n", "none", "-c", str(queues), "-m", "256M",
                                 "--loglevel", "6", "--kernel-arg", "--ip=10.98.0.2/24", *args, "-e", "/usr/bin/python3 /serve.py"], 90, env)


def tap(net, mtu, queues):
    several = "multi_queue" if queues > 1 else ""
    for line in (f"tuntap add tapq mode tap vnet_hdr {several}", "addr add 10.98.0.1/24 dev tapq",
                 f"link set tapq mtu {mtu} up"):
        net.run("ip", *line.split())


def about(net):
    return net.python("import socket\ns = socket.create_connection(('10.98.0.2', 8001), 20)\nprint(s.makefile().read())").split()


@pytest.mark.parametrize("machine_type,device,mtu", [
    ("q35", "virtio-net-pci,mq=on,vectors=10,host_mtu=9000", 9000),
    ("q35", "virtio-net-pci,mq=on,vectors=10,mrg_rxbuf=off,csum=off,gso=off", 1500),
    ("microvm", "virtio-net-device,mq=on,host_mtu=9000", 9000)])
def test_queues_and_jumbo_frames(tmp_path, machine_type, device, mtu):
    with servers.network("tap", tmp_path) as net:
        tap(net, mtu, 4)
        with machine(net, machine_type, device, 4) as vm:
            net.python(servers.WAIT, "10.98.0.2", "8000", "25", "x")
            assert f"MTU {mtu}, 4 queues" in vm.output() and about(net) == [str(mtu), "up"]
            assert net.python(ECHO, "10.98.0.2").strip() == "wrong []"


def test_link_down_and_up(tmp_path):
    with servers.network("tap", tmp_path) as net:
        tap(net, 1500, 1)
        with machine(net, "q35", "virtio-net-pci,id=nic", 1, ["-qmp", f"unix:{tmp_path}/qmp,server=on,wait=off"]) as vm:
            net.python(servers.WAIT, "10.98.0.2", "8000", "25", "x")
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(str(tmp_path / "qmp"))
                f = s.makefile("rw")

                def command(execute, **arguments):
                    f.write(json.dumps({"execute": execute, "arguments": arguments}) + "\n")
                    f.flush()
                    while "return" not in (answer := json.loads(f.readline())):
                        assert "error" not in answer, answer

                f.readline()
                command("qmp_capabilities")
                command("set_link", name="nic", up=False)
                vm.wait_output("eth0: link down")
                command("set_link", name="nic", up=True)
                vm.wait_output("eth0: link up")
            assert about(net) == ["1500", "up"]
            assert net.python(ECHO, "10.98.0.2").strip() == "wrong []"
