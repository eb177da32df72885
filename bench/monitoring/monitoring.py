#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What watching costs: tracepoints in each mode, and redis in a machine without the monitoring service, with it
idle, scraped every second, and with scheduler and memory events counted. The machines run under -icount, where a
second is 10^9 instructions of its one CPU, so that the ratios do not depend on what else this host does. With
--wall the same by the clock, from outside the machine: medians of the ratios of rounds measured in turn."""
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "tests", "system"))
import guest  # noqa: E402  (bench/ is not a package)
import watched  # noqa: E402

COUNTED = ["sched_switch", "sched_wake", "sched_wait", "sched_queue", "memory_malloc", "memory_free", "memory_page_alloc",
           "memory_page_free"]
SECONDS = 3.0


def tracepoints(build):
    with tempfile.TemporaryDirectory() as d:
        out, _ = guest.run(guest.carrara_args(build, build + "/bench/monitoring/trace_cost", d + "/root", [], icount=True))
    cost = {m[1]: float(m[2]) for m in re.finditer(r"^(\w+-\w+) ([\d.]+)", out, re.M)}
    print("%-44s %10s %10s %10s %10s" % ("instructions (tracepoints passed)", "off", "count", "record", "backtrace"))
    for name, what in (("lseek", "failing lseek (2)"), ("pipe", "byte through a pipe (mutex_unlock)")):
        print("%-44s %10.0f %10.0f %10.0f %10.0f" % (what, *(cost[f"{name}-{m}"] for m in ("off", "count", "record", "backtrace"))))


def libraries(program):
    out = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    return re.findall(r"(/\S+) \(0x", out)


class Counted:
    """A server, its load and perhaps the service in a machine under -icount."""

    def __init__(self, build, directory, server):
        service = build + "/apps/httpserver/httpserver"
        root, self.build, self.image = os.path.join(directory, "root"), build, directory + "/image"
        for name in ("dev", "proc", "sys", "tmp", "run", "etc"):
            os.makedirs(os.path.join(root, name))
        files = {service: "/httpserver", server: "/server", build + "/bench/monitoring/redis_load": "/load",
                 **{f: f for p in (service, server) for f in libraries(p)}}
        for source, target in files.items():
            os.makedirs(root + os.path.dirname(target), exist_ok=True)
            subprocess.run(["cp", "-L", source, root + target], check=True)
        with open(root + "/etc/passwd", "w") as f:
            f.write("root:x:0:0:root:/:/bin/sh\n")
        subprocess.run(["mkfs.erofs", "-T0", "--all-root", self.image, root], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)

    def run(self, options, server, beside, load):
        """(seconds, requests, console)"""
        line = " ".join([*options, f"/server {server} &", *beside, "/load", *load])
        out, _ = guest.run(guest.common(machine="q35", mem=256, icount=True) + [
            "-kernel", self.build + "/kernel/carrara.elf", "-append", line, "-drive",
            "if=none,id=root,format=raw,readonly=on,file=" + self.image, "-device", "virtio-blk-pci,drive=root"])
        m = re.search(r"^load ([\d.]+) (\d+)", out, re.M)
        if not m:
            raise RuntimeError(f"{line}: {out[-2000:]}")
        return float(m[1]), int(m[2]), out


def redis_icount(build, requests):
    counted = [f"--trace={name},count" for name in COUNTED]
    beside = ["/httpserver &"]
    kinds = {"absent": ([], [], []), "idle": ([], beside, []), "scraped": ([], beside, ["scrape"]), "counting": (counted, beside, [])}
    results, notes = {}, {}
    with tempfile.TemporaryDirectory() as d:
        machine = Counted(build, d, "/usr/bin/redis-server")
        for kind, (options, services, load) in kinds.items():
            seconds, n, out = machine.run(options, "--save '' --appendonly no --loglevel warning", services, [str(requests), *load])
            results[kind] = seconds / n
            s = re.search(r"^scrapes (\d+) (\d+)", out, re.M)
            notes[kind] = " (%s scrapes in %.1f s, %d KiB each)" % (s[1], seconds, int(s[2]) // int(s[1]) // 1024) if s else ""
    print("\nredis, %d requests; a machine of one CPU, a second is 10^9 instructions" % requests)
    print("%-10s %16s %18s %8s" % ("service", "ns a request", "throughput, ratio", "wanted"))
    for kind, wanted in (("absent", ""), ("idle", "0.99"), ("scraped", "0.97"), ("counting", "0.95")):
        print("%-10s %16.0f %18.4f %8s%s" % (kind, results[kind] * 1e9, results["absent"] / results[kind], wanted, notes[kind]))


def memcached_icount(build, requests):
    """The modes of scheduler and memory tracepoints on memcached, without the service."""
    results = {}
    with tempfile.TemporaryDirectory() as d:
        machine = Counted(build, d, "/usr/bin/memcached")
        for mode in ("off", "count", "record", "backtrace"):
            options = [f"--trace={name},{mode}" for name in COUNTED] if mode != "off" else []
            seconds, n, _ = machine.run(options, "-u root -m 32 -t 1", [], [str(requests), "memcached"])
            results[mode] = seconds / n
    print("\nmemcached, %d requests; tracepoints %s" % (requests, " ".join(COUNTED)))
    print("%-10s %16s %18s" % ("mode", "ns a request", "throughput, ratio"))
    for mode, value in results.items():
        print("%-10s %16.0f %18.4f" % (mode, value * 1e9, results["off"] / value))


def wait_redis(port):
    for _ in range(300):
        done = subprocess.run(["redis-cli", "-p", str(port), "ping"], capture_output=True, text=True)
        if "PONG" in done.stdout:
            return
        time.sleep(0.2)
    raise RuntimeError("redis does not answer")


def cpu_seconds(pid):
    """CPU time of a process and its descendants."""
    total = 0.0
    pids = [pid]
    while pids:
        p = pids.pop()
        try:
            stat = open(f"/proc/{p}/stat").read().rsplit(")", 1)[1].split()
            total += (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")
            pids += [int(c) for t in os.listdir(f"/proc/{p}/task") for c in open(f"/proc/{p}/task/{t}/children").read().split()]
        except OSError:
            pass
    return total


class Machine:
    def __init__(self, directory, watch):
        self.port = watched.free_port()
        self.log = open(os.path.join(directory, f"log{self.port}"), "w+")
        command = [watched.CAPSTAN, "run", "--host", *(["--watch"] if watch else []), "-m", "256M", "-c", "1", "-f",
                   f"127.0.0.1:{self.port}:6379", "/usr/bin/redis-server", "--bind", "0.0.0.0", "--protected-mode", "no",
                   "--save", "", "--appendonly", "no"]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT,
                                        env={**os.environ, "CAPSTAN_ROOT": directory})
        wait_redis(self.port)
        self.url = None
        if watch:
            self.log.seek(0)
            self.url = re.search(r"http://[\d.:]+", self.log.read())[0]

    def load(self):
        """Requests a second, and CPU microseconds of the whole machine (its emulator) for each."""
        before, start = cpu_seconds(self.process.pid), time.monotonic()
        requests = 0
        while time.monotonic() - start < SECONDS:
            out = subprocess.run(["redis-benchmark", "-p", str(self.port), "-t", "set,get", "-n", "4000", "-c", "20", "-P", "4",
                                  "-q", "--csv"], capture_output=True, text=True).stdout
            requests += 4000 * len(re.findall(r'^"(?:SET|GET)"', out, re.M))
        return requests / (time.monotonic() - start), (cpu_seconds(self.process.pid) - before) / requests * 1e6

    def call(self, method, path, data=None):
        request = urllib.request.Request(self.url + path, data, method=method)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as reply:
            return reply.read()

    def stop(self):
        self.process.terminate()
        self.process.wait(30)


def scraped(machine):
    end = threading.Event()

    def scrape():
        while not end.wait(1):
            machine.call("GET", "/metrics")

    thread = threading.Thread(target=scrape)
    thread.start()
    result = machine.load()
    end.set()
    thread.join()
    return result


def counting(machine):
    for name in COUNTED:
        machine.call("POST", f"/trace/count/{name}", b"enabled=true")
    result = machine.load()
    machine.call("DELETE", "/trace/count")
    return result


def redis(rounds):
    with tempfile.TemporaryDirectory() as directory:
        plain, watch = Machine(directory, False), Machine(directory, True)
        try:
            ratios = {"idle": [], "scraped": [], "counting": []}
            plain.load(), watch.load()
            for i in range(rounds):
                kinds = [("absent", plain.load), ("idle", watch.load), ("scraped", lambda: scraped(watch)),
                         ("counting", lambda: counting(watch))]
                if i % 2:
                    kinds.reverse()
                got = {name: fn() for name, fn in kinds}
                for name in ratios:
                    ratios[name].append((got[name][0] / got["absent"][0], got["absent"][1] / got[name][1]))
        finally:
            plain.stop()
            watch.stop()
    print("\nredis in a machine of one CPU, against one without the service (%d rounds; medians, smallest … largest)" % rounds)
    print("%-10s %28s %28s %8s" % ("service", "throughput, ratio", "1 / CPU time of a request", "wanted"))
    for name, wanted in (("idle", 0.99), ("scraped", 0.97), ("counting", 0.95)):
        cells = ["%.3f (%.3f … %.3f)" % (statistics.median(v), min(v), max(v)) for v in zip(*ratios[name])]
        print("%-10s %28s %28s %8.2f" % (name, *cells, wanted))


def package(build):
    """What the service adds to an image and takes of a small machine's memory."""
    with tempfile.TemporaryDirectory() as directory:
        env = {**os.environ, "CAPSTAN_ROOT": directory, "CAPSTAN": str(watched.CAPSTAN)}
        subprocess.run([watched.TOP / "packages" / "build", "carrara.httpserver"], env=env, check=True, capture_output=True)
        size = os.path.getsize(os.path.join(directory, "packages", "carrara.httpserver.mpm"))
    with watched.machine(memory="32M", cpus=1) as (g, _):
        free = {k: int(v) for k, v in re.findall(r"^(\w+):\s+(\d+) kB", g.file("/proc/meminfo"), re.M)}
        pid = next(t["pid"] for t in g.get("/os/threads")["list"] if t["name"] == "httpserver")
        status = {k: int(v) for k, v in re.findall(r"^(\w+):\s+(\d+) kB", g.file(f"/proc/{pid}/status"), re.M)}
    print("\npackage: %.1f MiB compressed; in a machine of 32 MiB: %.1f MiB resident (files of it can be dropped), %.1f of "
          "%.1f MiB free" % (size / 2 ** 20, status["VmRSS"] / 1024, free["MemFree"] / 1024, free["MemTotal"] / 1024))


def main(build, words):
    os.environ["CARRARA_BUILD"] = build
    tracepoints(build)
    package(build)
    redis_icount(build, 40000)
    memcached_icount(build, 40000)
    if "--wall" in words:
        redis(7)
    return 0


if __name__ == "__main__":
    WORDS = [w for w in sys.argv[1:] if not w.startswith("--")]
    sys.exit(main(os.path.abspath(WORDS[0] if WORDS else "build"), sys.argv[1:]))
