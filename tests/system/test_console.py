# SPDX-License-Identifier: BSD-3-Clause
"""What a program in a machine reads and writes: pipes and files pass unchanged, a terminal is one."""
import fcntl
import hashlib
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

import pytest

BUILD = os.environ.get("CARRARA_BUILD", os.path.join(os.path.dirname(__file__), "..", "..", "build"))
CAPSTAN = os.path.join(BUILD, "capstan", "capstan")
PYTHON = "/usr/bin/python3"


def run(*args, **kw):
    return subprocess.run([CAPSTAN, "run", "-m", "256M", *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=120, check=False, **kw)


def test_a_script_from_a_pipe_is_not_echoed():
    r = run("--host", PYTHON, input=b"print(1+1)\nimport sys\nprint(sys.stdin.isatty(), sys.stdout.isatty())\n")
    assert (r.returncode, r.stdout, r.stderr) == (0, b"2\nFalse False\n", b"")


def test_end_of_input_reaches_the_program():
    assert run("--host", "/bin/cat", stdin=subprocess.DEVNULL).stdout == b""
    r = run("--host", "/usr/bin/wc", "-c", input=b"no newline at the end")
    assert r.stdout == b"21\n"


@pytest.mark.parametrize("cpus", ["1", "2"])
def test_binary_data_passes_unchanged(tmp_path, cpus):
    data = os.urandom(1 << 20) + b"\r\n\x04\x03\x11\x13\x1d\n\r\n"
    (tmp_path / "data").write_bytes(data)
    with open(tmp_path / "data", "rb") as f:
        r = run("-c", cpus, "--host", "/usr/bin/sha256sum", stdin=f)
    assert r.stdout.split()[0].decode() == hashlib.sha256(data).hexdigest()
    assert run("-c", cpus, "--host", "/bin/cat", input=data).stdout == data


def test_output_and_errors_are_apart():
    r = run("--host", "/bin/sh", "-c", "echo out; echo err >&2; echo more >/dev/stderr; exit 3")
    assert (r.returncode, r.stdout, r.stderr) == (3, b"out\n", b"err\nmore\n")


def test_output_and_errors_in_one_pipe_keep_their_order():
    script = "for i in 1 2 3 4 5 6 7 8 9; do echo out $i; echo err $i >&2; done"
    done = subprocess.run([CAPSTAN, "run", "--host", "/bin/sh", "-c", script], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=True)
    assert done.stdout.decode() == "".join(f"out {i}\nerr {i}\n" for i in range(1, 10))


def test_crash_report_is_no_output():
    r = run("--host", PYTHON, "-c", "import ctypes; print('before', flush=True); ctypes.string_at(0)")
    assert r.returncode == 128 + signal.SIGSEGV
    assert r.stdout == b"before\n" and b"SIGSEGV" in r.stderr


def test_a_reader_that_leaves_ends_the_writer():
    with subprocess.Popen([CAPSTAN, "run", "--host", "/usr/bin/yes"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL) as p:
        assert p.stdout.read(4) == b"y\ny\n"
        p.stdout.close()
        assert p.wait(60) == 128 + signal.SIGPIPE


def test_input_while_the_program_runs():
    script = "import sys\nfor line in sys.stdin:\n    print(line.strip()[::-1], flush=True)\n"
    with subprocess.Popen([CAPSTAN, "run", "--host", PYTHON, "-c", script], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as p:
        for word in (b"abc", b"hello", b"x" * 5000):
            p.stdin.write(word + b"\n")
            p.stdin.flush()
            assert p.stdout.readline() == word[::-1] + b"\n"
        p.stdin.close()
        assert p.stdout.read() == b"" and p.wait(60) == 0


def test_closed_descriptors():
    done = subprocess.run(["/bin/sh", "-c", f"{CAPSTAN} run --host /bin/echo hi <&-; {CAPSTAN} run --host /bin/echo hi >&-"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"hi\n", b"")


class Terminal:
    """capstan on a pseudo-terminal of 40 rows and 100 columns."""

    def __init__(self, *args):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
                os.environ["TERM"] = "dumb"
                os.execv(CAPSTAN, [CAPSTAN, "run", "-m", "256M", "--env", "TERM=dumb", *args])
            finally:
                os._exit(126)
        self.seen = ""

    def until(self, pattern, seconds=60):
        """Waits until the text since the last call matches; returns the match."""
        deadline = time.monotonic() + seconds
        while True:
            found = re.search(pattern, self.seen)
            if found:
                self.seen = self.seen[found.end():]
                return found
            assert time.monotonic() < deadline, f"no {pattern!r} in {self.seen!r}"
            if select.select([self.fd], [], [], 1)[0]:
                try:
                    data = os.read(self.fd, 4096)
                except OSError:  # the other side is closed
                    data = b""
                assert data, f"ended without {pattern!r}: {self.seen!r}"
                self.seen += data.decode(errors="replace")

    def send(self, text):
        os.write(self.fd, text.encode())

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        os.kill(self.pid, signal.SIGWINCH)

    def end(self):
        """Reads to the end; the exit status."""
        try:
            while os.read(self.fd, 4096):
                pass
        except OSError:
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def close(self):
        os.close(self.fd)
        try:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass


@pytest.fixture
def terminal():
    made = []

    def make(*args):
        made.append(Terminal(*args))
        return made[-1]
    yield make
    for t in made:
        t.close()


def test_python_prompt(terminal):
    t = terminal("--host", PYTHON, "-q")
    t.until(r">>> ")
    t.send("print(6*7)\r")
    t.until(r"print\(6\*7\)\r\n42\r\n>>> ")
    t.send("while True: pass\r\r")
    t.until(r"\.\.\. ")
    time.sleep(0.5)
    t.send("\x03")
    t.until(r"KeyboardInterrupt\r\n>>> ")
    t.send("import os; os.get_terminal_size()\r")
    t.until(r"columns=100, lines=40")
    t.send("\x04")
    assert t.end() == 0


def test_bash_prompt(terminal):
    t = terminal("--file", "/bin/stty:/bin/stty", "--file", "/bin/sleep:/bin/sleep", "--env", "PS1=ready> ", "--host",
                 "/bin/bash", "--norc", "--noprofile")
    t.until(r"ready> ")
    t.send("echo wrong\x7f\x7f\x7f\x7f\x7fri\x02\x05ght\r")  # erased, to the left, to the end
    t.until(r"\nright\r\n")
    t.until(r"ready> ")
    t.send("stty size\r")
    t.until(r"\n40 100\r\n")
    t.resize(25, 81)
    deadline = time.monotonic() + 60
    while True:
        t.send("stty size\r")
        if t.until(r"\n(\d+ \d+)\r\n")[1] == "25 81":
            break
        assert time.monotonic() < deadline
    t.send("sleep 600\r")
    t.until("sleep 600")
    time.sleep(0.5)
    t.send("\x03")
    t.until(r"ready> ")
    t.send("echo $?\r")
    t.until(r"\n130\r\n")
    t.until(r"ready> ")
    t.send("exit 5\r")
    assert t.end() == 5


def test_escape_ends_the_machine(terminal):
    t = terminal("--host", PYTHON, "-q")
    t.until(r">>> ")
    t.send("\x1dq")
    assert t.end() == 128 + signal.SIGTERM
