# SPDX-License-Identifier: BSD-3-Clause
"""The tutorial's examples give the output the tutorial shows."""
import os
import re
import signal
import socket
import struct
import subprocess
import time

import pytest

BUILD = os.environ.get("CARRARA_BUILD", os.path.join(os.path.dirname(__file__), "../../build"))
EXAMPLES = os.path.join(BUILD, "seastar/examples")
ONE = ["-c1", "-m64M", "--thread-affinity=false"]


def start(name, *args):
    return subprocess.Popen([os.path.join(EXAMPLES, "tutorial_" + name), *args],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(name, *args, timeout=30):
    p = start(name, *args)
    try:
        out, err = p.communicate(timeout=timeout)
    finally:
        p.kill()
    return out, err, p.returncode


@pytest.fixture(scope="module")
def slow_ones():
    """The examples that sleep for seconds run side by side."""
    ps = {n: start(n, *ONE) for n in ("gate", "gate_check", "loop_limit", "loop_gate", "sleeping")}
    yield ps
    for p in ps.values():
        p.kill()


def test_getting_started(slow_ones):
    assert run("getting_started", *ONE) == ("Hello world\n", "", 0)


def test_threads():
    cpus = len(os.sched_getaffinity(0))
    assert run("threads", "-m64M")[0] == f"{cpus}\n"
    assert run("threads", "-c1", "-m64M")[0] == "1\n"
    out, err, code = run("threads", f"-c{cpus + 1}")
    assert (out, err, code) == ("", "Couldn't start application: insufficient processing units\n", 1)


def test_memory():
    out, err, code = run("threads", "-c1", "-m10T")
    assert (out, err, code) == ("", "Couldn't start application: insufficient physical memory\n", 1)
    assert run("threads", "-c1", "--reserve-memory", "10T")[2] == 1
    assert "invalid" in run("threads", "-m1X")[1]


def test_parallel_sleep():
    assert run("parallel_sleep", *ONE)[0] == "Sleeping... 100ms 200ms Done.\n"


@pytest.mark.parametrize("mode", [[], ["--debug-preempt"]])
def test_values_captures_errors(mode):
    assert run("values", *ONE, *mode)[0] == "Got 3\nGot 3\n"
    assert run("captures", *ONE, *mode)[0] == "Got 4\nGot 17\n"
    assert run("errors", *ONE, *mode)[0] == (
        "line1\nline2 fails\nfinally: runs in any case\nthen_wrapped: line2 failed\n")
    assert run("pipes", *ONE, *mode)[0] == "".join(f"read {i}\n" for i in range(1, 6)) + "end\n"
    assert run("fibers", *ONE, *mode)[0] == "thread 1 awake\nthread 2 awake\nsum 30\n"


def test_semaphores():
    assert run("semaphores", *ONE)[0] == (
        "limit kept: yes, units back: 100\n2000000 bytes: more than the limit\n")


def test_promises():
    out = run("promises", *ONE)[0]
    assert out == "".join(f"message {i}\n" for i in range(1, 11)) + "10 messages\n"


@pytest.mark.parametrize("args,out", [
    ([], "Size is 100\n"),
    (["--flag"], "Flag is on\nSize is 100\n"),
    (["--flag", "-s", "3"], "Flag is on\nSize is 3\n"),
    (["--size", "3", "hello", "hi"], "Size is 3\nhello\nhi\n"),
    (["--filename", "hello", "--size", "3", "hi"], "Size is 3\nhello\nhi\n"),
])
def test_options(args, out):
    assert run("options", *ONE, *args) == (out, "", 0)


@pytest.mark.parametrize("args,message", [
    (["--size", "x"], "the argument ('x') for option '--size' is invalid"),
    (["--size"], "the required argument is missing for option '--size'"),
    (["--nope"], "unrecognised option '--nope'"),
    (["-Z"], "unrecognised option '-Z'"),
    (["--reactor-backend", "magic"], "unknown --reactor-backend"),
])
def test_bad_options(args, message):
    out, err, code = run("options", *ONE, *args)
    assert out == "" and err == f"Couldn't start application: {message}\n" and code in (1, 2)


def test_help():
    out, _, code = run("options", "--help")
    assert code == 0 and "--size" in out and "--reserve-memory" in out and "App options" in out


def connect(tries=100):
    for _ in range(tries):
        try:
            s = socket.create_connection(("127.0.0.1", 1234), timeout=5)
            # Reset at the end, so that no connection lingers in TIME_WAIT for the next test.
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return s
        except ConnectionRefusedError:
            time.sleep(0.02)
    raise AssertionError("no server")


def stop(p):
    p.send_signal(signal.SIGTERM)
    out, err = p.communicate(timeout=10)
    assert p.returncode == 0, err
    return out


def test_echo_server():
    p = start("echo_server", *ONE)
    try:
        with connect() as a, connect() as b:
            for i in range(50):
                a.sendall(b"x" * i + b"end")
                b.sendall(b"other")
                assert a.recv(i + 3, socket.MSG_WAITALL) == b"x" * i + b"end"
                assert b.recv(5, socket.MSG_WAITALL) == b"other"
            a.shutdown(socket.SHUT_WR)
            assert a.recv(1) == b""
        stop(p)
    finally:
        p.kill()


def test_canned_response():
    p = start("canned", *ONE)
    try:
        for _ in range(3):
            with connect() as s:
                assert s.makefile().read() == "Seastar is the future!\n"
        stop(p)
    finally:
        p.kill()


def test_accept_and_address_in_use():
    """A second server on the port fails as the text says."""
    p = start("accept_log", *ONE)
    try:
        with connect() as s:
            port = s.getsockname()[1]
            assert s.recv(1) == b""
        _, err, code = run("accept_log", *ONE)
        assert code == 1
        assert err == "program failed with uncaught exception: bind: Address already in use\n"
        assert f"Accepted connection from 127.0.0.1:{port}\n" in stop(p)
    finally:
        p.kill()


def test_read_file(tmp_path):
    (tmp_path / "x").write_text("contents\n")
    assert run("read_file", *ONE, str(tmp_path / "x")) == ("contents\n", "", 0)
    assert run("read_file", *ONE, str(tmp_path / "y"))[1] == (
        "program failed with uncaught exception: No such file or directory\n")


def test_slow_examples(slow_ones):
    out = {n: p.communicate(timeout=40) for n, p in slow_ones.items()}
    assert out["sleeping"][0] == "Sleeping... Done.\n"
    assert out["loop_limit"][1] == "." * 456
    assert out["loop_gate"][1] == "." * 456
    starting = "".join(f"starting {i}\n" for i in range(1, 6))
    done = "".join(f"done {i}\n" for i in range(1, 6))
    assert out["gate"][1] == (
        starting + "WARNING: exceptional future ignored of type 'ESHUTDOWN': gate closed\n" + done)
    checked = out["gate_check"][1].splitlines()
    assert [x for x in checked if x.startswith("starting")] == starting.splitlines()
    assert sorted(x for x in checked if x.startswith("done")) == done.splitlines()
    assert all(p.returncode == 0 for p in slow_ones.values())


def test_documentation_names_every_example():
    docs = os.path.join(os.path.dirname(__file__), "../../docs/seastar")
    text = "".join(open(os.path.join(docs, n)).read() for n in os.listdir(docs) if n.endswith(".md"))
    for name in os.listdir(EXAMPLES):
        m = re.fullmatch(r"tutorial_(\w+)", name)
        if m:
            assert m.group(1) + ".c" in text, name
