# SPDX-License-Identifier: BSD-3-Clause
"""capstan top, freq, exec, cp and trace against running machines."""
import filecmp
import json
import os
import pty
import re
import select
import subprocess
import time

import pytest

import watched

TALK = watched.BUILD / "tests" / "guest" / "tracing" / "talk"


def capstan(*words, status=0, **options):
    done = subprocess.run([watched.CAPSTAN, *map(str, words)], capture_output=True, timeout=120, text=True, **options)
    assert done.returncode == status, (words, done)
    return done.stdout


@pytest.fixture(scope="module")
def guest():
    with watched.machine(files=[f"{TALK}:/bin/talk"], options=["--hostname", "one"]) as (g, _):
        yield g


@pytest.fixture(scope="module")
def other(guest):
    with watched.machine(files=[f"{TALK}:/bin/talk"], cpus=1, memory="64M") as (g, _):
        yield g


def test_top(guest):
    out = capstan("top", guest.url, "-n", "2", "-i", "0.5")
    assert out.count("%CPU") == 2
    assert re.search(r"^ +\d+ httpserver +\d+ +[\d.]+ +[\d.]+s ", out, re.M) and "idle/" not in out
    rows = [json.loads(line) for line in capstan("--json", "top", guest.url, "-n", "2", "-i", "0.5", "--idle").splitlines()]
    assert len(rows) == 2
    names = {r["name"] for r in rows[1]}
    assert {"sleep", "httpserver", "idle/0", "idle/1"} <= names == {t["name"] for t in guest.get("/os/threads")["list"]}
    idle = sum(r["percent"] for r in rows[1] if r["name"].startswith("idle/"))
    assert idle > 20  # of 200: the machine does little, but the host may be busy


def test_top_of_several(guest, other):
    rows = json.loads(capstan("--json", "top", guest.url, "-g", other.url, "-n", "1", "-i", "0.5"))
    assert {r["guest"] for r in rows} == {f"127.0.0.1:{g.port}" for g in (guest, other)}
    assert "GUEST" in capstan("top", guest.url, other.url, "-n", "1", "-i", "0.2").splitlines()[0]


def test_top_refreshes_a_terminal(guest):
    """The screen is drawn anew, and q ends it."""
    master, slave = pty.openpty()
    with subprocess.Popen([watched.CAPSTAN, "top", guest.url, "-i", "0.3"], stdin=slave, stdout=slave,
                          env={**os.environ, "TERM": "xterm"}) as p:
        os.close(slave)
        seen, end = b"", time.monotonic() + 60
        while seen.count(b"\x1b[H\x1b[2J") < 3:
            assert time.monotonic() < end, seen
            if select.select([master], [], [], 1)[0]:
                seen += os.read(master, 65536)
        os.write(master, b"q\n")
        assert p.wait(60) == 0
    os.close(master)


def test_freq(guest):
    out = capstan("--json", "freq", "-g", guest.url, "-n", "1", "-i", "1", "sched_switch", "net_packet_*")
    rates = {r["name"]: r for r in json.loads(out)}
    assert {"sched_switch", "net_packet_in", "net_packet_out"} <= set(rates)
    assert rates["sched_switch"]["per_second"] > 0 and rates["sched_switch"]["count"] > 0
    assert guest.get("/trace/count")["list"] == []  # off again
    capstan("freq", "-g", guest.url, "-n", "1", "-i", "0.2", "--keep", "timer_fired")
    assert [c["name"] for c in guest.get("/trace/count")["list"]] == ["timer_fired"]
    guest.call("DELETE", "/trace/count")


def test_exec(guest, other):
    assert capstan("exec", "-g", guest.url, "/bin/talk", "a 'quoted' \"word\"", "0", "3", status=3) == \
        "".join(f"a 'quoted' \"word\" {i}\n" for i in range(5))
    assert capstan("exec", "-i", "-g", guest.url, "/usr/bin/sleep", "0", input="") == ""
    both = capstan("exec", "-g", guest.url, "-g", other.url, "/bin/talk", "x", "0")
    assert both.count(f"127.0.0.1:{guest.port}: x") == 5 == both.count(f"127.0.0.1:{other.port}: x")
    tid = int(capstan("exec", "-d", "-g", guest.url, "/bin/talk", "x", "300"))
    assert guest.get("/app/finished", tid=tid) is False
    assert guest.call("DELETE", f"/app/{tid}", signal=9).status == 200
    capstan("exec", "-g", guest.url, "/bin/nothing", status=1)


def test_cp(guest, tmp_path):
    source = tmp_path / "source"
    (source / "deep").mkdir(parents=True)
    (source / "deep" / "data").write_bytes(os.urandom(700000))
    (source / "a name with blanks & more").write_text("x")
    (source / "tool").write_text("#!/bin/sh\n")
    (source / "tool").chmod(0o755)
    capstan("cp", "-r", source, f"{guest.url}:/tmp/there")
    capstan("cp", "-r", f"{guest.url}:/tmp/there", tmp_path / "back")
    assert filecmp.cmpfiles(source, tmp_path / "back", ["a name with blanks & more", "deep/data", "tool"], shallow=False)[0] \
        == ["a name with blanks & more", "deep/data", "tool"]
    assert guest.get("/file/tmp/there/tool", op="GETFILESTATUS")["FileStatus"]["permission"] == "755"
    capstan("cp", source / "tool", f"{guest.url}:/tmp/")
    assert guest.file("/tmp/tool") == "#!/bin/sh\n"
    capstan("cp", source, f"{guest.url}:/tmp/x", status=1)  # a directory without -r
    capstan("cp", f"{guest.url}:/no/such", tmp_path / "no", status=1)
    assert not (tmp_path / "no").exists()
    capstan("cp", source / "tool", tmp_path / "other", status=64)


def test_trace(guest, tmp_path):
    file = tmp_path / "t.trace"
    with subprocess.Popen([watched.CAPSTAN, "trace", "record", "-g", guest.url, "-d", "2", "-b", "-s", "200", "-o", file,
                           "sched_switch", "vfs_open"]) as record:
        while record.poll() is None:
            guest.file("/proc/uptime")
    assert record.returncode == 0
    text = capstan("trace", "show", file)
    assert re.search(r"^\[\d{3}\] httpserver +\d+ +\d+\.\d{9} vfs_open +path=\S*proc/uptime", text, re.M), text[:3000]
    times = [float(m) for m in re.findall(r"^\[\d+\] .{15} +-?\d+ +(\d+\.\d+)", text, re.M)]
    assert times == sorted(times) and len(times) > 50
    records = [json.loads(line) for line in capstan("--json", "trace", "show", file).splitlines()]
    assert {"sched_switch", "vfs_open"} <= {r["name"] for r in records} and all(r["tid"] and r["time_ns"] for r in records)
    folded = capstan("trace", "flame", "-e", "sched_switch", file).splitlines()
    assert all(re.fullmatch(r"[^;]+(;[^;]+)+ \d+", line) for line in folded), folded[:5]
    assert any(line.startswith("httpserver;") and ";schedule" in line for line in folded)
    chrome = json.loads(capstan("trace", "chrome", file))
    slices = [e for e in chrome["traceEvents"] if e["ph"] == "X"]
    assert slices and all(e["dur"] >= 0 for e in slices) and {"httpserver"} <= {e["name"] for e in slices}
    assert not any(e["enabled"] for e in guest.get("/trace/status")) and guest.get("/trace/sampler")["freq"] == 0


def test_bad_traces(tmp_path):
    for name, data in (("empty", b""), ("text", b"no trace at all" * 10), ("cut", b"CTRACE1\n" + bytes(24) + b"\1\0\0\0\xff\xff\0\0")):
        (tmp_path / name).write_bytes(data)
        done = subprocess.run([watched.CAPSTAN, "trace", "show", tmp_path / name], capture_output=True, text=True)
        assert done.returncode == 65 and "no trace of a Carrara machine" in done.stderr, (name, done)


def test_no_guest(tmp_path):
    env = {**os.environ, "CAPSTAN_ROOT": str(tmp_path)}
    done = subprocess.run([watched.CAPSTAN, "top", "no-such-instance", "-n", "1"], capture_output=True, text=True, env=env)
    assert done.returncode != 0 and "no-such-instance" in done.stderr
    done = subprocess.run([watched.CAPSTAN, "top", "http://127.0.0.1:1", "-n", "1"], capture_output=True, text=True, env=env)
    assert done.returncode == 1 and "127.0.0.1:1" in done.stderr
