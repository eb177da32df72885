# SPDX-License-Identifier: BSD-3-Clause
"""What `make run` shows: a program with its exit status, and nginx that answers until it is told to end."""
import os
import pty
import re
import signal
import subprocess
import time
import urllib.request
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("CARRARA_BUILD", TOP / "build")).resolve()


def test_without_a_terminal_it_proves_and_ends():
    p = subprocess.run([TOP / "tools" / "run-demo", BUILD], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, timeout=200, check=False)
    text = p.stdout.decode()
    assert p.returncode == 0, text
    assert "sum of squares" in text and "exit status: 0" in text
    assert re.search(r"http://127.0.0.1:\d+/ answered after", text) and re.search(r"Kernel: .*Carrara", text), text


def test_one_program_and_its_status():
    p = subprocess.run([TOP / "tools" / "run-demo", BUILD, "/bin/sh", "-c", "exit 9"], stdin=subprocess.DEVNULL,
                       timeout=100, check=False)
    assert p.returncode == 9


def test_on_a_terminal_it_stays_until_control_c():
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(TOP / "tools" / "run-web.py", ["run-web.py", str(BUILD)])
    text, end = "", time.monotonic() + 150
    try:
        while "Ctrl-C ends it" not in text:
            assert time.monotonic() < end, text
            text += os.read(terminal, 4096).decode()
        url = re.search(r"open (http://\S+)", text).group(1)
        assert b"Carrara machine" in urllib.request.urlopen(url, timeout=60).read()
        os.write(terminal, b"\x03")
        try:
            while os.read(terminal, 4096):
                pass
        except OSError:  # the other end is closed
            pass
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        pid = 0
    finally:
        if pid:
            os.kill(pid, signal.SIGTERM)
        os.close(terminal)
