#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The server of `make run`: Debian's nginx, unmodified, alone in a machine, with a page about that machine.

usage: run-web.py BUILD

Makes the image with capstan (the package is downloaded if it is not installed), starts it, fetches the page once. On a
terminal the machine then stays up until Ctrl-C; otherwise it is ended. Exits 0 if the page came.
"""
import html
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
SECONDS = 60  # to the first page, on a slow machine


def image(capstan, env, work):
    """Composes the image demo.web."""
    quiet = {"env": env, "check": True, "stdout": subprocess.DEVNULL}
    subprocess.run([capstan, "package", "from-deb", "nginx", "dash", "--name", "demo.nginx", "--title", "nginx",
                    "--author", "Debian"], **quiet)
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(HERE / "demo" / "web", work)
    subprocess.run([capstan, "package", "compose", "demo.web"], cwd=work, **quiet)


def free_port(first):
    """The first free port from `first` on."""
    for port in range(first, first + 200):
        with socket.socket() as s:
            try:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass
    sys.exit("run-web: no free port from %d on" % first)


def fetch(url, machine):
    """The page; tries until the machine answers."""
    end = time.monotonic() + SECONDS
    while machine.poll() is None and time.monotonic() < end:
        try:
            return urllib.request.urlopen(url, timeout=1).read().decode()
        except OSError:
            time.sleep(0.05)
    return None


def text(page):
    """The page's table rows as lines."""
    rows = re.findall(r"<tr><td>(.*?)<td>(.*)", page)
    return "".join("  %s: %s\n" % (html.unescape(a), html.unescape(b)) for a, b in rows)


def main():
    build = Path(sys.argv[1] if len(sys.argv) > 1 else "build").resolve()
    capstan = str(build / "capstan" / "capstan")
    env = {**os.environ, "CAPSTAN_ROOT": str(build / "demo" / "capstan")}
    stay = sys.stdin.isatty() and sys.stdout.isatty()
    try:
        image(capstan, env, build / "demo" / "web")
    except subprocess.CalledProcessError as e:
        sys.exit("run-web: cannot make the image: %s" % " ".join(e.cmd[:3]))
    port = free_port(8080)
    url = "http://127.0.0.1:%d/" % port
    command = ["run", "demo.web", "-m", "128M", "-c", "2", "-n", "nat", "-f", "127.0.0.1:%d:80" % port]
    print("$ capstan", *command, flush=True)
    start = time.monotonic()
    # In a session of its own: Ctrl-C comes here, and the machine is asked to end.
    machine = subprocess.Popen([capstan, *command], env=env, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        page = fetch(url, machine)
        if page is None or "Carrara machine" not in page:
            print("run-web: no page from", url, file=sys.stderr)
            return 1
        print("%s answered after %.2f s:\n%s" % (url, time.monotonic() - start, text(page)), end="", flush=True)
        if stay:
            print("The machine is up: open %s (Ctrl-C ends it)" % url, flush=True)
            machine.wait()
    except KeyboardInterrupt:
        print()
    finally:
        if machine.poll() is None:
            machine.send_signal(signal.SIGTERM)
            try:
                machine.wait(15)
            except subprocess.TimeoutExpired:
                machine.kill()
                machine.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
