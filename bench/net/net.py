#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Servers in Carrara and in Debian's Linux cloud kernel under the same load, side by side.

usage: net.py BUILD [--pairs N] [--seconds S] [LOAD...]      net.py BUILD --icount
       net.py BUILD --profile [--seconds S] LOAD...

Both guests run at once, each with one CPU and a virtio-net card on a tap device (vhost off) in a network namespace of its
own; loads alternate between them, so a neighbour on the machine disturbs both. QEMU is bound to one host CPU, the client
to another. For each load: operations per second in both (medians), the median of the pairs' ratios with their spread, and
the host CPU time that QEMU took for an operation. With --icount: instructions per round trip over loopback, deterministic.
Needs root. --profile shows where Carrara's first CPU is under a load.
"""
import argparse
import glob
import json
import os
import re
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "bench"))
import guest  # noqa: E402
import samples  # noqa: E402

MODULES = ["virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "failover",
           "net_failover", "virtio_net"]
NGINX = """daemon off; master_process off; user root; pid /tmp/nginx.pid; error_log stderr error;
events { worker_connections 1024; }
http { access_log off; keepalive_requests 100000000; sendfile %s; root /srv; server { listen 80; } }
"""
SERVERS = {  # name: (packages, command)
    "redis": (["redis-server"], "/usr/bin/redis-server --protected-mode no --save '' --appendonly no --dir /tmp"),
    "memcached": (["memcached"], "/usr/bin/memcached -u root -t 1 -U 0 -l 0.0.0.0"),
    "nginx": (["nginx"], "/usr/sbin/nginx -c /srv/on.conf"),
    "nginx-copy": (["nginx"], "/usr/sbin/nginx -c /srv/off.conf"),
    "iperf3": (["iperf3"], "/usr/bin/iperf3 -s"),
    "echo1": ([], "/netload serve 7 1"),
    "echo1k": ([], "/netload serve 7 1024"),
}
PORTS = {"redis": 6379, "memcached": 11211, "nginx": 80, "nginx-copy": 80, "iperf3": 5201, "echo1": 7, "echo1k": 7}
LOADS = {  # name: (server, target ratio)
    "redis-get": ("redis", 2.0), "redis-set": ("redis", 2.0), "redis-get-p16": ("redis", 1.2),
    "redis-set-p16": ("redis", 1.2), "memcached-get": ("memcached", 2.4), "nginx-sendfile": ("nginx", 1.5),
    "nginx-copy": ("nginx-copy", 1.5), "iperf3-in": ("iperf3", 2.0), "iperf3-out": ("iperf3", 1.2),
    "rr-1": ("echo1", 1.5), "rr-1k": ("echo1k", 1.5), "rr-1-single": ("echo1", None), "connect": ("echo1", 1.5),
}
EXTRA = []  # more arguments for QEMU


def debian(build):
    """tests/system/debian.py: packages unpacked below the build directory."""
    os.environ["CARRARA_BUILD"] = build
    sys.path.insert(0, os.path.join(TOP, "tests", "system"))
    import debian as module  # pylint: disable=import-outside-toplevel
    return module


def tool(build, name, package):
    d = debian(build)
    root = d.unpack("tool-" + package, [package])
    return [str(root / "lib64" / "ld-linux-x86-64.so.2"), "--library-path", str(root / d.LIBRARIES),
            str(root / "usr" / "bin" / name)]


class Guest:
    """One guest with a server, in a namespace of its own."""
    address = "10.98.0.2"

    def __init__(self, build, kind, server, where, cpu):
        self.kind, self.where, self.ns = kind, where, "carrara-bench-%d-%s" % (os.getpid(), kind)
        packages, command = SERVERS[server]
        root = os.path.join(where, "root")
        if not os.path.exists(root):
            self.make_root(build, packages, root)
        subprocess.run(["ip", "netns", "add", self.ns], check=True)
        for line in ("link set lo up", "tuntap add tap0 mode tap vnet_hdr", "addr add 10.98.0.1/24 dev tap0",
                     "link set tap0 up"):
            subprocess.run(self.command("ip", *line.split()), check=True)
        args = self.carrara(build, root, command) if kind == "carrara" else self.linux(build, root, command)
        self.log = open(os.path.join(where, kind + ".log"), "wb")
        self.proc = subprocess.Popen(self.command("taskset", "-c", str(cpu), *args), stdin=subprocess.DEVNULL,
                                     stdout=self.log, stderr=subprocess.STDOUT)
        self.wait(PORTS[server])

    @staticmethod
    def make_root(build, packages, root):
        if packages:
            source = debian(build).unpack("bench-" + packages[0], packages,
                                          **({"without": ["iproute2"]} if packages == ["nginx"] else {}))
            subprocess.run(["cp", "-a", str(source), root], check=True)
        for name in ("dev", "proc", "sys", "tmp", "run", "etc", "srv", "var/log/nginx", "var/lib/nginx", "modules"):
            os.makedirs(os.path.join(root, name), exist_ok=True)
        with open(root + "/etc/passwd", "w", encoding="ascii") as f:
            f.write("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")
        with open(root + "/etc/group", "w", encoding="ascii") as f:
            f.write("root:x:0:\nnogroup:x:65534:\n")
        for mode in ("on", "off"):
            with open(root + "/srv/%s.conf" % mode, "w", encoding="ascii") as f:
                f.write(NGINX % mode)
        with open(root + "/srv/file", "w", encoding="ascii") as f:
            f.write("x" * 612)
        shutil.copy(build + "/bench/net/netload", root + "/netload")
        shutil.copy(build + "/bench/net/linux_init", root + "/init")

    def carrara(self, build, root, command):
        image = self.where + "/root.erofs"
        if not os.path.exists(image):
            subprocess.run(["mkfs.erofs", "-T0", "--all-root", image, root], check=True, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
        return self.machine() + [
            "-kernel", build + "/kernel/carrara.elf", "-append", "--ip=%s/24 %s" % (self.address, command),
            "-drive", "if=none,id=root,format=raw,readonly=on,file=" + image, "-device", "virtio-blk-pci,drive=root"]

    def linux(self, build, root, command):
        kernel = guest.linux_kernel(build)
        initrd = self.where + "/initrd"
        if not os.path.exists(initrd):
            base = os.path.join(os.path.dirname(os.path.dirname(kernel)), "lib", "modules")
            for i, name in enumerate(MODULES):
                found = glob.glob("%s/**/%s.ko" % (base, name), recursive=True)
                shutil.copy(found[0], "%s/modules/%02d-%s.ko" % (root, i, name))
            with open(initrd, "wb") as f:
                f.write(guest.cpio(tree(root)))
        words = [self.address] + shlex.split(command)
        quoted = " ".join(w if w and " " not in w else '"%s"' % w for w in words if w != "''")
        return self.machine() + [
            "-kernel", kernel, "-initrd", initrd, "-append",
            "console=ttyS0 quiet loglevel=3 panic=-1 mitigations=off rdinit=/init -- " + quoted]

    @staticmethod
    def machine():
        return guest.common(machine="q35", mem=512) + [
            "-netdev", "tap,id=n,ifname=tap0,script=no,downscript=no,vhost=off",
            "-device", "virtio-net-pci,netdev=n,mac=52:54:00:98:00:02"] + EXTRA

    def command(self, *argv):
        return ["ip", "netns", "exec", self.ns, *argv]

    def wait(self, port):
        """Until the server listens. iperf3 takes every connection for a client: for it, until the machine answers."""
        code = """
import socket, sys, time
for i in range(300):
    try:
        if sys.argv[2] == '5201':
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.settimeout(.2)
            s.connect((sys.argv[1], 9))
            s.send(b'x')
            s.recv(1)
        else:
            socket.create_connection((sys.argv[1], int(sys.argv[2])), .2)
            sys.exit(0)
    except ConnectionRefusedError:
        if sys.argv[2] == '5201':
            time.sleep(3)
            sys.exit(0)
    except OSError:
        pass
    time.sleep(.1)
sys.exit(1)
"""
        if subprocess.run(self.command("/usr/bin/python3", "-c", code, self.address, str(port)), check=False).returncode:
            self.log.flush()
            with open(self.log.name, errors="replace", encoding="utf-8") as f:
                raise RuntimeError("%s: nobody answers\n%s" % (self.kind, f.read()[-3000:]))

    def cpu_time(self):
        """Seconds of host CPU time QEMU has taken."""
        with open("/proc/%d/stat" % self.proc.pid, encoding="ascii") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def client(self, cpu, argv, seconds=300):
        return subprocess.run(self.command("taskset", "-c", str(cpu), *map(str, argv)), check=True, text=True,
                              capture_output=True, timeout=seconds).stdout

    def close(self):
        self.proc.kill()
        self.proc.wait()
        self.log.close()
        subprocess.run(["ip", "netns", "del", self.ns], check=False)


def tree(root):
    """A directory as entries of guest.cpio()."""
    entries = []
    for path, dirs, files in os.walk(root):
        for name in dirs + files:
            full = os.path.join(path, name)
            mode, data = os.lstat(full).st_mode, b""
            if os.path.islink(full):
                data = os.readlink(full).encode()
            elif os.path.isfile(full):
                with open(full, "rb") as f:
                    data = f.read()
            entries.append((os.path.relpath(full, root), mode, data, 0))
    entries.append(("dev/console", 0o20600, b"", 5 << 8 | 1))
    return entries


def measure(build, g, load, seconds, cpu):
    """(operations per second, operations) of one run of a load."""
    netload = build + "/bench/net/netload"
    start = time.monotonic()
    if load.startswith("redis"):
        pipeline = 16 if load.endswith("p16") else 1
        n = int(seconds * (40000 if pipeline == 16 else 7000))
        text = g.client(cpu, tool(build, "redis-benchmark", "redis-tools") + [
            "-h", g.address, "-t", load.split("-")[1], "-n", n, "-c", 50, "-P", pipeline, "--csv"])
        return float(re.search(r'^"(?:GET|SET)","([0-9.]+)"', text, re.M).group(1)), n
    if load == "memcached-get":
        rate = float(g.client(cpu, [netload, "get", g.address, 11211, 50, seconds]))
    elif load.startswith("nginx"):
        text = g.client(cpu, tool(build, "wrk", "wrk") + ["-t1", "-c50", "-d%gs" % max(1, round(seconds)),
                                                          "http://%s/file" % g.address])
        n = int(re.search(r"(\d+) requests in", text).group(1))
        return float(re.search(r"Requests/sec: +([0-9.]+)", text).group(1)), n
    elif load.startswith("iperf3"):
        text = g.client(cpu, tool(build, "iperf3", "iperf3") + [
            "-c", g.address, "-J", "-t", max(1, round(seconds)), *(["-R"] if load == "iperf3-out" else [])])
        end = json.loads(text)["end"]["sum_received"]
        return end["bits_per_second"] / 1e6, end["bytes"] * 8 / 1e6
    elif load.startswith("rr"):
        rate = float(g.client(cpu, [netload, "rr", g.address, 7, 1024 if load == "rr-1k" else 1,
                                    1 if load.endswith("single") else 50, seconds]))
    else:
        rate = float(g.client(cpu, [netload, "connect", g.address, 7, 20, seconds]))
    return rate, rate * (time.monotonic() - start)


def compare(build, server, loads, pairs, seconds):
    cpus = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as d:
        guests = []
        try:
            for kind in ("carrara", "linux"):
                guests.append(Guest(build, kind, server, d, cpus[0]))
            for load in loads:
                rates, costs, ratios = {"carrara": [], "linux": []}, {"carrara": [], "linux": []}, []
                for _ in range(pairs):
                    for g in guests:
                        before = g.cpu_time()
                        rate, n = measure(build, g, load, seconds, cpus[-1])
                        rates[g.kind].append(rate)
                        costs[g.kind].append((g.cpu_time() - before) * 1e6 / n)
                    ratios.append(rates["carrara"][-1] / rates["linux"][-1])
                show(load, rates, costs, ratios)
        finally:
            for g in guests:
                g.close()


def show(load, rates, costs, ratios):
    target = LOADS[load][1]
    a, b = (statistics.median(costs[k]) for k in ("carrara", "linux"))
    print("%-16s %10.0f %10.0f %7.2f (%.2f-%.2f) %6s %9.1f %9.1f %7.2f" % (
        load, statistics.median(rates["carrara"]), statistics.median(rates["linux"]), statistics.median(ratios),
        min(ratios), max(ratios), target or "", a, b, b / a if a else 0), flush=True)


def profile_loads(build, loads, seconds):
    """Where Carrara spends its time under a load: samples of the guest's instruction pointer."""
    cpus = sorted(os.sched_getaffinity(0))
    for load in loads:
        with tempfile.TemporaryDirectory() as d:
            EXTRA[:] = ["-qmp", "unix:%s/qmp,server=on,wait=off" % d]
            g = Guest(build, "carrara", LOADS[load][0], d, cpus[0])
            try:
                run = threading.Thread(target=measure, args=(build, g, load, seconds + 2, cpus[-1]))
                run.start()
                time.sleep(1)
                print("== " + load)
                samples.main(build, d + "/qmp", seconds)
                run.join()
            finally:
                g.close()
    return 0


def icount(build):
    """Instructions of a round trip over loopback."""
    print("%-30s %12s %12s %8s" % ("instructions per operation", "carrara", "linux", "ratio"))
    program = build + "/bench/net/netload"
    for size, count in ((1, 2000), (1024, 2000), (16384, 500)):
        with tempfile.TemporaryDirectory() as d:
            words = ["loop", str(size), str(count)]
            ours, _ = guest.run(guest.carrara_args(build, program, d + "/root", words, icount=True))
            os.mkdir(d + "/tree")
            for name in ("dev", "proc", "sys", "tmp", "modules"):
                os.mkdir(d + "/tree/" + name)
            shutil.copy(program, d + "/tree/netload")
            shutil.copy(build + "/bench/net/linux_init", d + "/tree/init")
            with open(d + "/initrd", "wb") as f:
                f.write(guest.cpio(tree(d + "/tree")))
            theirs, _ = guest.run(guest.common(icount=True) + [
                "-kernel", guest.linux_kernel(build), "-initrd", d + "/initrd", "-append",
                "console=ttyS0 quiet loglevel=1 panic=-1 reboot=t mitigations=off rdinit=/init -- none /netload " +
                " ".join(words)])
        a, b = guest.results(ours), guest.results(theirs)
        for name in a:
            print("%-30s %12.0f %12.0f %8.2f" % (name, a[name], b.get(name, 0), b.get(name, 0) / a[name]), flush=True)
        if not a or not b:
            print("no result\n%s\n%s" % (ours[-1000:], theirs[-1000:]))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("build")
    p.add_argument("--pairs", type=int, default=5)
    p.add_argument("--seconds", type=float, default=2)
    p.add_argument("--icount", action="store_true")
    p.add_argument("--profile", action="store_true")
    p.add_argument("loads", nargs="*")
    o = p.parse_intermixed_args()
    build = os.path.abspath(o.build)
    if o.icount:
        return icount(build)
    loads = o.loads or list(LOADS)
    if o.profile:
        return profile_loads(build, loads, o.seconds)
    print("%-16s %10s %10s %7s %11s %6s %9s %9s %7s" % (
        "load", "carrara/s", "linux/s", "ratio", "(spread)", "target", "us/op", "us/op", "ratio"))
    for server in SERVERS:
        mine = [l for l in loads if LOADS[l][0] == server]
        if mine:
            compare(build, server, mine, o.pairs, o.seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
