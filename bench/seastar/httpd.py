#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""httpd --fixed against nginx and a plain epoll server: the same reply, the servers on CPU 0 and wrk on CPU 1,
one after another in each round. Prints requests per second and the server's CPU time per request (medians over
the rounds), the median ratio of the rounds, and the ratio of the best rounds, which other work on the machine
disturbed least; then what a second shard brings, by CPU time per request.

usage: httpd.py BUILD-DIRECTORY [ROUNDS [SECONDS]]
"""
import glob
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

BUILD = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build")
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 5
SECONDS = int(sys.argv[3]) if len(sys.argv) > 3 else 2
TEXT = "hello, world\n"
PIPELINE = """init = function(args)
   local r = {}
   for i = 1, 16 do r[i] = wrk.format("GET", "/") end
   req = table.concat(r)
end
request = function() return req end
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def pids(root):
    """The process and its children (nginx's worker)."""
    out = [root]
    for path in glob.glob(f"/proc/{root}/task/*/children"):
        for child in open(path).read().split():
            out += pids(int(child))
    return out


def cpu_ns(root):
    total = 0
    for pid in pids(root):
        for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
            total += int(open(path).read().split()[0])
    return total


def wait_port(port):
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"nothing listens on port {port}")


class Server:
    def __init__(self, name, cpus, argv, port):
        self.name, self.port = name, port
        self.proc = subprocess.Popen(["taskset", "-c", cpus, *argv], stdout=subprocess.DEVNULL,
                                     stderr=subprocess.DEVNULL)
        wait_port(port)

    def load(self, connections, script):
        before = cpu_ns(self.proc.pid)
        argv = ["taskset", "-c", "1", "wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s"]
        if script:
            argv += ["-s", script]
        out = subprocess.run([*argv, f"http://127.0.0.1:{self.port}/"], check=True, text=True,
                             capture_output=True).stdout
        if "Non-2xx" in out or "Socket errors" in out:
            raise SystemExit(f"{self.name}: {out}")
        requests = int(re.search(r"(\d+) requests in", out).group(1))
        rate = float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1))
        return rate, (cpu_ns(self.proc.pid) - before) / requests / 1000

    def stop(self):
        self.proc.send_signal(signal.SIGTERM)
        self.proc.wait(10)


def ours(shards, cpus, name="httpd"):
    port = free_port()
    return Server(name, cpus, [os.path.join(BUILD, "apps/httpd/httpd"), f"-c{shards}", "-m64M", "-a", "127.0.0.1",
                               "-p", str(port), "--fixed", TEXT], port)


def nginx(tmp):
    port = free_port()
    conf = os.path.join(tmp, "nginx.conf")
    with open(conf, "w") as f:
        f.write(f"""daemon off; worker_processes 1; pid {tmp}/pid; error_log {tmp}/error;
events {{ worker_connections 4096; }}
http {{ access_log off; keepalive_requests 1000000000; default_type text/plain;
client_body_temp_path {tmp}/b; proxy_temp_path {tmp}/p; fastcgi_temp_path {tmp}/f; uwsgi_temp_path {tmp}/u;
scgi_temp_path {tmp}/s;
server {{ listen 127.0.0.1:{port}; location / {{ return 200 "{TEXT.strip()}"; }} }} }}
""")
    return Server("nginx", "0", [shutil.which("nginx") or "/usr/sbin/nginx", "-c", conf, "-p", tmp], port)


def plain():
    port = free_port()
    return Server("plain epoll", "0", [os.path.join(BUILD, "bench/seastar/httpd_epoll"), str(port), TEXT], port)


def compare(servers, connections, script, title):
    got = {s.name: [] for s in servers}
    for _ in range(ROUNDS):
        for s in servers:
            got[s.name].append(s.load(connections, script))
    rate = {n: statistics.median(r for r, _ in v) for n, v in got.items()}
    cpu = {n: statistics.median(c for _, c in v) for n, v in got.items()}
    # Neighbours in time see the same machine: the ratio of each round, then the median of those.
    first = servers[0].name
    print(f"{title} ({connections} connections, {ROUNDS} rounds of {SECONDS} s)")
    for s in servers:
        ratios = [a[0] / b[0] for a, b in zip(got[first], got[s.name])]
        cpus = [b[1] / a[1] for a, b in zip(got[first], got[s.name])]
        best = [max(r for r, _ in got[first]) / max(r for r, _ in got[s.name]),
                min(c for _, c in got[s.name]) / min(c for _, c in got[first])]
        print(f"  {s.name:12} {rate[s.name]:10.0f} requests/s {cpu[s.name]:7.2f} us CPU/request   "
              f"ours/it: throughput {statistics.median(ratios):.2f} (best {best[0]:.2f}), work per CPU second "
              f"{statistics.median(cpus):.2f} (best {best[1]:.2f})")
    sys.stdout.flush()


def scaling():
    one, two = ours(1, "0", "1 shard"), ours(2, "0,1", "2 shards")
    got = []
    for _ in range(ROUNDS):
        a, b = one.load(64, None)[1], two.load(64, None)[1]
        got.append((a, b))
    gain = statistics.median(2 * a / b for a, b in got)
    print(f"1 -> 2 shards: {statistics.median(a for a, _ in got):.2f} and "
          f"{statistics.median(b for _, b in got):.2f} us CPU/request; two whole CPUs would serve {gain:.2f} times "
          f"as many requests")
    one.stop()
    two.stop()


def main():
    with tempfile.TemporaryDirectory() as tmp:
        script = os.path.join(tmp, "pipeline.lua")
        with open(script, "w") as f:
            f.write(PIPELINE)
        servers = [ours(1, "0"), plain()]
        if os.path.exists("/usr/sbin/nginx"):
            servers.append(nginx(tmp))
        try:
            compare(servers, 50, None, "one request at a time")
            compare(servers, 50, script, "pipelined by 16")
        finally:
            for s in servers:
                s.stop()
    scaling()


main()
