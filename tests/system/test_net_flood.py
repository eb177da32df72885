# SPDX-License-Identifier: BSD-3-Clause
"""Hostile and heavy traffic: a machine on a tap device, attacked with raw frames from the namespace beside it,
goes on serving the connection it had and new ones, in bounded memory; and more short connections over the loopback than there are ports."""
import re

import guest
import servers

# Serves an echo on port 7 and, on port 8, what /proc/meminfo and the counters say; in the machine.
SERVER = """
import socket, threading
def echo(c):
    while d := c.recv(4096):
        c.sendall(d)
    c.close()
def listen(port, fn):
    l = socket.create_server(('', port), backlog=64)
    while True:
        c, _ = l.accept()
        threading.Thread(target=fn, args=(c,), daemon=True).start()
def stats(c):
    c.sendall(b''.join(open(f, 'rb').read() for f in ('/proc/meminfo', '/proc/net/snmp', '/proc/net/netstat')))
    c.close()
threading.Thread(target=listen, args=(8, stats)).start()
listen(7, echo)
"""

# Beside the machine: keeps one connection alive with traffic, attacks, asks for the counters.
ATTACK = r"""
import os, random, socket, struct, sys
guest, dev = '10.99.0.2', 'tap0'
random.seed(7)
def csum(b):
    if len(b) % 2: b += b'\0'
    s = sum(struct.unpack('!%dH' % (len(b) // 2), b))
    while s >> 16: s = (s & 0xffff) + (s >> 16)
    return ~s & 0xffff
def ip(proto, payload, src, ident=0, frag=0):
    h = struct.pack('!BBHHHBBH4s4s', 0x45, 0, 20 + len(payload), ident, frag, 64, proto, 0, socket.inet_aton(src),
                    socket.inet_aton(guest))
    return h[:10] + struct.pack('!H', csum(h)) + h[12:] + payload
def tcp(src, sport, dport, seq, ack, flags, data=b'', win=1000):
    h = struct.pack('!HHIIBBHHH', sport, dport, seq & 0xffffffff, ack & 0xffffffff, 0x50, flags, win, 0, 0)
    p = socket.inet_aton(src) + socket.inet_aton(guest) + struct.pack('!BBH', 0, 6, len(h) + len(data))
    return ip(6, h[:16] + struct.pack('!H', csum(p + h + data)) + h[18:] + data, src)
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
raw.bind((dev, 0x800))
mac = bytes.fromhex('525400990002')
own = open('/sys/class/net/%s/address' % dev).read() if os.path.exists('/sys/class/net/' + dev) else '02:00:00:00:00:01'
own = bytes.fromhex(own.strip().replace(':', ''))
def put(packet, kind=b'\x08\x00'):
    raw.send(mac + own + kind + packet)
def stats():
    s = socket.create_connection((guest, 8), timeout=20)
    t = b''
    while d := s.recv(65536): t += d
    t = t.decode()
    out = {}
    lines = t.splitlines()
    for line in lines:
        if line.startswith('MemAvailable:'): out['MemAvailable'] = int(line.split()[1])
    for a, b in zip(lines, lines[1:]):
        if a.split(':')[0] == b.split(':')[0] and a.split()[1:2] and not a.split()[1][0].isdigit() and \
                not a.split()[1][0] == '-':
            out.update({a.split(':')[0] + '.' + k: int(v) for k, v in zip(a.split()[1:], b.split()[1:])})
    return out
kept = socket.create_connection((guest, 7), timeout=20)
kept.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
def alive(text):
    kept.sendall(text)
    got = b''
    while len(got) < len(text):
        got += kept.recv(len(text) - len(got))
    assert got == text, got
    s = socket.create_connection((guest, 7), timeout=20)  # and new ones are let in
    s.sendall(b'new'); assert s.recv(3) == b'new'; s.close()
alive(b'before')
before = stats()
sport, client = kept.getsockname()[1], kept.getsockname()[0]
# SYN flood from all over the world.
for i in range(20000):
    put(tcp('%d.%d.%d.%d' % (random.randint(11, 120), *random.randbytes(3)), random.randint(1, 65535), 7,
            random.getrandbits(32), 0, 2))
    if i % 5000 == 0: alive(b'during the flood')
# Resets, SYNs, data and acknowledgements in the name of the peer, at random places.
for i in range(5000):
    flags = random.choice([4, 4, 2, 0x10, 0x11, 0x18, 0x12, 0, 0x3f, 0x29])
    put(tcp(client, sport, 7, random.getrandbits(32), random.getrandbits(32), flags, b'evil' if flags & 8 else b''))
alive(b'after forged segments')
# ICMP errors about the connection with wrong sequence numbers: unreachable, too big.
for i in range(3000):
    quoted = struct.pack('!BBHHHBBH4s4s', 0x45, 0, 60, 0, 0, 64, 6, 0, socket.inet_aton(guest),
                         socket.inet_aton(client)) + struct.pack('!HHI', 7, sport, random.getrandbits(32))
    m = struct.pack('!BBHI', 3, random.choice([1, 2, 3, 4]), 0, 68) + quoted
    put(ip(1, m[:2] + struct.pack('!H', csum(m)) + m[4:], client))
alive(b'x' * 5000)
# First fragments whose rest never comes, overlapping ones, and more than fits together.
for i in range(5000):
    put(ip(17, random.randbytes(512), '10.99.0.%d' % random.randint(3, 250), i & 0xffff, 0x2000 | (i % 3) * 32))
alive(b'after fragments')
# Frames cut short and garbage.
for i in range(5000):
    p = tcp(client, sport, 7, 1, 1, 0x10, b'abc')
    put(p[:random.randint(1, len(p) - 1)])
    put(random.randbytes(random.randint(1, 80)), random.choice([b'\x08\x00', b'\x86\xdd', b'\x08\x06']))
alive(b'after garbage')
# ARP answers nobody asked for, and a flood of questions from invented neighbours.
for i in range(3000):
    put(struct.pack('!HHBBH6s4s6s4s', 1, 0x800, 6, 4, random.choice([1, 2]), random.randbytes(6)[:6],
                    bytes([10, 99, random.randint(0, 255), random.randint(3, 254)]), mac, bytes([10, 99, 0, 2])),
        b'\x08\x06')
alive(b'after arp')
after = stats()
print('syn cookies', after['TcpExt.SyncookiesSent'] - before['TcpExt.SyncookiesSent'])
print('icmp ignored', after['TcpExt.OutOfWindowIcmps'] - before['TcpExt.OutOfWindowIcmps'])
print('reassembly failed', after['Ip.ReasmFails'] - before['Ip.ReasmFails'])
print('header errors', after['Ip.InHdrErrors'] - before['Ip.InHdrErrors'])
print('lost memory', before['MemAvailable'] - after['MemAvailable'])
kept.close()
"""


def test_attacks_do_not_disturb_a_connection(tmp_path):
    (tmp_path / "server.py").write_text(SERVER)
    with servers.network("tap", tmp_path) as net, \
            servers.Machine(net, [*net.args([7]), "-c", "2", "-m", "512M", "--file",
                                  f"{tmp_path}/server.py:/server.py", "--host", servers.PYTHON, "-S", "/server.py"],
                            90) as vm:
        vm.wait(7, "hello")
        text = net.python(ATTACK, seconds=200)
    n = {k: int(v) for k, v in re.findall(r"^(.*) (-?\d+)$", text, re.M)}
    assert n["syn cookies"] > 100  # the queue of half-open connections was full
    assert n["icmp ignored"] > 1000 and n["reassembly failed"] > 1000 and n["header errors"] > 1000
    assert n["lost memory"] < 65536  # KiB


def test_more_short_connections_than_there_are_ports(tmp_path):
    image = guest.make_image(tmp_path, {"/load": guest.BUILD / "tests" / "guest" / "net_load"})
    r = guest.boot(image, "/load 35000", cpus=2, timeout=400)
    assert r.status == 0, r.output[-2000:]
