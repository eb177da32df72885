# SPDX-License-Identifier: BSD-3-Clause
"""Every call of the monitoring service against a running machine, checked with what the machine says in /proc."""
import hashlib
import json
import re
import socket
import time

import pytest

import watched
from watched import metric

TALK = watched.BUILD / "tests" / "guest" / "tracing" / "talk"


@pytest.fixture(scope="module")
def guest():
    with watched.machine(files=[f"{TALK}:/bin/talk"], options=["--env", "COLOUR=green", "--hostname", "quarry"]) as (g, _):
        yield g


def test_names(guest):
    assert guest.get("/os/name") == "Carrara"
    assert guest.get("/os/version") in guest.file("/proc/version")
    assert guest.get("/os/vendor") == "Carrara project"
    assert guest.get("/os/hostname") == "quarry" == guest.file("/proc/sys/kernel/hostname").strip()
    assert guest.get("/os/cmdline") == guest.file("/proc/cmdline").strip()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", guest.get("/os/date"))


def test_uptime(guest):
    before = float(guest.file("/proc/uptime").split()[0])
    assert int(before) <= guest.get("/os/uptime") <= float(guest.file("/proc/uptime").split()[0])


def test_memory(guest):
    info = dict(line.split(":") for line in guest.file("/proc/meminfo").splitlines())
    total, free = (int(info[k].split()[0]) * 1024 for k in ("MemTotal", "MemFree"))
    assert guest.get("/os/memory/total") == total
    assert abs(guest.get("/os/memory/free") - free) < 8 << 20
    assert guest.get("/os/memory/balloon") == 0


def test_hardware(guest):
    info = guest.file("/proc/cpuinfo")
    assert guest.get("/hardware/processor/count") == 2 == info.count("processor\t:")
    assert guest.get("/hardware/processor/flags").strip() == re.search(r"^flags\s*: (.*)$", info, re.M)[1].strip()
    assert guest.get("/hardware/hypervisor") in ("QEMU TCG", "KVM")
    assert isinstance(guest.get("/hardware/firmware/vendor"), str)


def test_hostname_is_set(guest):
    assert guest.call("POST", "/os/hostname", {"name": "marble-2"}).json == "marble-2"
    assert guest.file("/proc/sys/kernel/hostname").strip() == "marble-2" == guest.get("/os/hostname")
    assert guest.call("POST", "/os/hostname", {"name": "a b"}).status == 400
    assert guest.call("POST", "/os/hostname", {"name": "quarry"}).status == 200


def test_logs(guest):
    assert guest.get("/os/dmesg") == guest.file("/proc/kmsg")
    console = guest.get("/os/console")
    assert "httpserver: listening on 0.0.0.0:8000" in console["text"]
    assert guest.get("/os/console", offset=console["offset"]) == {"offset": console["offset"], "text": ""}


def test_environment(guest):
    assert "COLOUR=green" in guest.get("/env/")
    assert guest.get("/env/COLOUR") == "green"
    assert guest.call("POST", "/env/COLOUR", {"val": "a=b c"}).json == "a=b c"
    assert guest.get("/env/COLOUR") == "a=b c"
    assert guest.call("DELETE", "/env/COLOUR").status == 200
    assert guest.call("GET", "/env/COLOUR").status == 404
    assert guest.call("POST", "/env/COLOUR").status == 400  # no val


def test_threads(guest):
    first = guest.get("/os/threads")
    fields = {"id", "cpu", "cpu_ms", "switches", "migrations", "preemptions", "priority", "stack_size", "status", "name"}
    assert all(fields <= set(t) for t in first["list"])
    names = {t["name"] for t in first["list"]}
    assert {"sleep", "httpserver", "idle/0", "idle/1"} <= names
    own = [t for t in first["list"] if t["name"] == "sleep"]
    stat = guest.file(f"/proc/{own[0]['id']}/stat").split()
    assert stat[1] == "(sleep)" and abs(own[0]["cpu_ms"] - 10 * (int(stat[13]) + int(stat[14]))) < 1000
    second = guest.get("/os/threads")
    assert second["time_ms"] > first["time_ms"]
    for t in second["list"]:
        old = [o for o in first["list"] if o["id"] == t["id"] and o["name"] == t["name"]]
        assert not old or (t["cpu_ms"] >= old[0]["cpu_ms"] and t["switches"] >= old[0]["switches"])


def test_file_systems(guest):
    mounts = {line.split()[1]: line.split()[2] for line in guest.file("/proc/mounts").splitlines()}
    everything = guest.get("/fs/df/")
    assert {"/"} <= {m["mount"] for m in everything} <= set(mounts)
    for m in everything:
        assert m["btotal"] >= m["bfree"] >= 0 and m["blocksize"] > 0 and m["type"] == mounts[m["mount"]]
    assert guest.get("/fs/df/dev/shm")[0]["mount"] == "/dev/shm"
    assert guest.call("GET", "/fs/df/nothing").status == 404


def test_network(guest):
    everything = guest.get("/network/ifconfig/")
    assert [i["config"]["name"] for i in everything] == \
        [line.split(":")[0].strip() for line in guest.file("/proc/net/dev").splitlines()[2:]]
    one = guest.get("/network/ifconfig/eth0")
    assert one["config"]["addr"] == "10.0.2.15" and one["config"]["mask"] == "255.255.255.0"
    assert one["config"]["mtu"] == 1500 and re.fullmatch(r"([0-9a-f]{2}:){5}[0-9a-f]{2}", one["config"]["phys_addr"])
    line = [x for x in guest.file("/proc/net/dev").splitlines() if "eth0" in x][0].split(":")[1].split()
    again = guest.get("/network/ifconfig/eth0")
    assert one["data"]["ifi_ibytes"] <= int(line[0]) <= again["data"]["ifi_ibytes"]
    assert one["data"]["ifi_opackets"] <= int(line[9]) <= again["data"]["ifi_opackets"]
    routes = guest.get("/network/route/")
    assert {"destination": "default", "gateway": "10.0.2.2", "flags": "UG", "netif": "eth0", "ipv6": False} in routes
    assert guest.call("GET", "/network/ifconfig/eth9").status == 404


def test_files(guest):
    data = bytes(range(256)) * 3000
    assert guest.call("PUT", "/file/tmp/f/deep?op=MKDIRS").status == 200
    assert guest.call("PUT", "/file/tmp/f/deep/data?op=CREATE", body=data).status == 200
    assert guest.call("GET", "/file/tmp/f/deep/data").body == data
    assert guest.call("GET", "/file/tmp/f/deep/data", offset=1000, length=77).body == data[1000:1077]
    assert guest.call("GET", "/file/tmp/f/deep/data", offset=10 ** 7).body == b""
    status = guest.get("/file/tmp/f/deep/data", op="GETFILESTATUS")["FileStatus"]
    assert status["length"] == len(data) and status["type"] == "FILE" and status["permission"] == "644"
    assert abs(status["modificationTime"] / 1000 - time.time()) < 600
    names = [e["pathSuffix"] for e in guest.get("/file/tmp/f", op="LISTSTATUS")["FileStatuses"]["FileStatus"]]
    assert names == ["deep"]
    summary = guest.get("/file/tmp/f", op="GETCONTENTSUMMARY")["ContentSummary"]
    assert (summary["directoryCount"], summary["fileCount"], summary["length"]) == (2, 1, len(data))
    checksum = guest.get("/file/tmp/f/deep/data", op="GETFILECHECKSUM")["FileChecksum"]
    assert checksum["bytes"] == hashlib.sha256(data).hexdigest()
    assert guest.call("PUT", "/file/tmp/f/deep/data", op="COPY", destination="/tmp/f/copy").status == 200
    assert guest.call("PUT", "/file/tmp/f/deep/data", op="COPY", destination="/tmp/f/copy").status == 409
    assert guest.call("PUT", "/file/tmp/f/copy", op="SETPERMISSION", permission="640").status == 200
    assert guest.get("/file/tmp/f/copy", op="GETFILESTATUS")["FileStatus"]["permission"] == "640"
    assert guest.call("PUT", "/file/tmp/f/copy", op="RENAME", destination="/tmp/f/moved").status == 200
    assert guest.call("GET", "/file/tmp/f/copy").status == 404
    assert guest.call("GET", "/file/tmp/f/moved").body == data
    assert guest.call("PUT", "/file/tmp/f/text", content="some text").status == 200
    assert guest.file("/tmp/f/text") == "some text"
    assert guest.call("DELETE", "/file/tmp/f", op="DELETE").status == 409  # not empty
    assert guest.call("DELETE", "/file/tmp/f", op="DELETE", recursive="true").status == 200
    assert guest.call("GET", "/file/tmp/f", op="GETFILESTATUS").status == 404


def test_upload(guest):
    data = b"first line\r\n--boundary, but not at a line's beginning" * 5000
    body = b"--edge\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nnothing\r\n--edge\r\n" \
           b"Content-Disposition: form-data; name=\"file\"; filename=\"x\"\r\nContent-Type: text/plain\r\n\r\n" \
           + data + b"\r\n--edge--\r\n"
    reply = guest.call("POST", "/file/tmp/uploaded", body=body, headers={"Content-Type": "multipart/form-data; boundary=edge"})
    assert reply.status == 200, reply
    assert guest.call("GET", "/file/tmp/uploaded").body == data
    reply = guest.call("POST", "/file/tmp/half", body=body[:-60], headers={"Content-Type": "multipart/form-data; boundary=edge"})
    assert reply.status == 400 and guest.call("GET", "/file/tmp/half").status == 404  # whole or not at all


def test_programs(guest):
    assert guest.run("/bin/talk word 0 3") == (3, "".join(f"word {i}\n" for i in range(5)))
    tid = guest.call("PUT", "/app/", {"command": "/bin/talk 'two words' 600", "new_program": "true"}).json
    assert guest.get("/app/finished", tid=tid) is False
    end = time.monotonic() + 30
    while "two words 4\n" not in guest.get("/app/output", tid=tid)["text"]:
        assert time.monotonic() < end
    assert guest.file(f"/proc/{tid}/cmdline") == "/bin/talk\0two words\x00600\0"
    assert guest.call("DELETE", f"/app/{tid}", signal=9).status == 200
    while not guest.get("/app/finished", tid=tid):
        assert time.monotonic() < end
    status = guest.get("/app/status", tid=tid)
    assert status["signal"] == 9 and status["exit_code"] == -1
    assert tid in [j["tid"] for j in guest.get("/app/")]
    assert guest.call("PUT", "/app/", {"command": "/bin/nothing"}).status == 404
    assert guest.call("PUT", "/app/", {"command": "'open"}).status == 400
    assert guest.call("GET", "/app/finished", tid=99999).status == 404
    assert guest.call("GET", "/app/finished").status == 400


def test_trace_counts(guest):
    """As OSv's freq script asks, with Python's spelling of true."""
    for name in ("vfs_open", "vfs_open_ret"):
        assert guest.call("POST", f"/trace/count/{name}", {"enabled": True}).status == 200
    before = {c["name"]: c["count"] for c in guest.get("/trace/count")["list"]}
    for _ in range(10):
        guest.file("/proc/uptime")
    reply = guest.get("/trace/count")
    now = {c["name"]: c["count"] for c in reply["list"]}
    assert set(now) == {"vfs_open", "vfs_open_ret"} and reply["time_ms"] > 0
    assert now["vfs_open"] >= before["vfs_open"] + 10
    kernel = dict(line.split() for line in guest.file("/sys/kernel/tracing/counts").splitlines())
    assert int(kernel["vfs_open"]) >= now["vfs_open"]
    assert guest.call("POST", "/trace/count/vfs_open", {"enabled": False}).status == 200
    assert [c["name"] for c in guest.get("/trace/count")["list"]] == ["vfs_open_ret"]
    assert guest.call("DELETE", "/trace/count").json["list"] == []
    assert guest.call("POST", "/trace/count/no_such", {"enabled": True}).status == 404


def test_trace_events(guest):
    everything = guest.get("/trace/status")
    assert len(everything) > 250 and not any(e["enabled"] for e in everything)
    assert {e["name"] for e in everything} == set(guest.file("/sys/kernel/tracing/available_events").split())
    some = guest.call("POST", "/trace/status", {"match": "vfs_mkdir*", "enabled": "true", "backtrace": "true"}).json
    assert [(e["id"], e["enabled"], e["backtrace"]) for e in some] == \
        [("vfs_mkdir", True, True), ("vfs_mkdir_err", True, True), ("vfs_mkdir_ret", True, True)]
    assert guest.call("POST", "/trace/event/vfs_mkdir_err", {"enabled": "no"}).json["enabled"] is False
    assert guest.get("/trace/event/vfs_mkdir")["backtrace"] is True
    assert guest.call("POST", "/trace/event/vfs_mkdir", {"enabled": 1}).json == \
        {"name": "vfs_mkdir", "id": "vfs_mkdir", "enabled": True, "backtrace": False, "counted": False, "printed": False}
    assert guest.call("PUT", "/file/tmp/traced?op=MKDIRS").status == 200
    log = guest.call("GET", "/trace/log").text
    assert "vfs_mkdir: path=traced" in log or "path=/tmp/traced" in log, log[-2000:]
    dump = guest.call("GET", "/trace/buffers")
    assert dump.body.startswith(b"CTRACE1\n") and dump.headers["Content-Type"] == "application/octet-stream"
    assert guest.call("POST", "/trace/status", {"match": "*", "enabled": "false"}).status == 200
    assert guest.call("DELETE", "/trace/buffers").status == 200 and guest.call("GET", "/trace/log").text == ""
    for name in ("no_such", "a%0Ab", "sched_switch%20count"):
        assert guest.call("GET", f"/trace/event/{name}").status == 404, name
    assert guest.call("POST", "/trace/status", {"match": "!*\n"}).status == 400


def test_sampler(guest):
    assert guest.call("POST", "/trace/sampler", {"freq": 200}).json == {"freq": 200}
    assert guest.get("/trace/sampler") == {"freq": 200}
    for _ in range(5):
        guest.get("/trace/status")
    assert guest.call("POST", "/trace/sampler", {"freq": 0}).json == {"freq": 0}
    assert "sampler_tick" in guest.call("GET", "/trace/log").text
    assert guest.call("POST", "/trace/sampler", {"freq": 20000}).status == 400
    assert guest.call("POST", "/trace/sampler", {"freq": "fast"}).status == 400


def test_batch(guest):
    commands = [{"method": "GET", "path": "/os/name"}, {"path": "/no/such"}, {"method": "POST", "path": "/os/name"},
                {"method": "PUT", "path": "/file/tmp/batched", "parameters": {"content": "by batch"}},
                {"method": "GET", "relative_url": "/file/tmp/batched"},
                {"method": "POST", "path": "/api/batch", "parameters": [{"name": "batch", "value": "[]"}]}]
    replies = guest.call("POST", "/api/batch", {"batch": json.dumps(commands)}).json
    assert [r["code"] for r in replies] == [200, 404, 405, 200, 200, 400]
    assert replies[0]["body"] == "Carrara" and replies[4]["body"] == "by batch"
    assert guest.call("POST", "/api/batch", {"batch": "[{"}).status == 400
    assert guest.call("POST", "/api/batch", {"batch": json.dumps([{}] * 101)}).status == 413
    assert guest.call("POST", "/api/batch").status == 400


def test_metrics(guest):
    reply = guest.call("GET", "/metrics")
    text = reply.text
    assert reply.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    for line in text.splitlines():
        assert line.startswith("#") or re.fullmatch(r"[a-zA-Z_:][\w:]*(\{.*\})? -?[\d.]+(e[+-]?\d+)?", line), line
    total = int(re.search(r"MemTotal:\s+(\d+)", guest.file("/proc/meminfo"))[1]) * 1024
    assert metric(text, "node_memory_MemTotal_bytes") == total
    for cpu in ("0", "1"):
        assert metric(text, "node_cpu_seconds_total", cpu=cpu, mode="idle") > 0
    assert metric(text, "node_network_receive_bytes_total", device="eth0") > 0
    assert metric(text, "node_filesystem_size_bytes", mountpoint="/") > 0
    assert metric(text, "carrara_thread_switches_total", name="sleep") > 0
    assert metric(text, "node_disk_reads_completed_total", device="vda") > 0


def test_openapi(guest):
    """Every call that is documented answers, and with JSON errors."""
    document = guest.get("/openapi.json")
    calls = [(m.upper(), path) for path, methods in document["paths"].items() for m in methods]
    assert len(calls) > 55 and document["openapi"].startswith("3.")
    leave = {"/os/poweroff", "/os/shutdown", "/os/reboot", "/api/stop", "/os/cmdline"}
    for method, path in calls:
        if path in leave and method == "POST":
            continue
        reply = guest.call(method, re.sub(r"\{\w+\}", "none-such", path))
        assert reply.status in (200, 400, 404), (method, path, reply)
        if reply.status >= 400:
            assert reply.json["code"] == reply.status and reply.json["message"], (method, path, reply)


def test_pages(guest):
    for path in ("/", "/dashboard", "/calls", "/dashboard.js", "/dashboard.css", "/calls.js"):
        reply = guest.call("GET", path)
        assert reply.status == 200 and len(reply.body) > 500, path
        assert not re.search(r"(src|href)=\"https?://", reply.text), path  # nothing from elsewhere


def raw(guest, data, seconds=40):
    """Sends bytes and returns all that comes back."""
    with socket.create_connection(("127.0.0.1", guest.port), timeout=seconds) as s:
        s.sendall(data)
        answer = b""
        try:
            while part := s.recv(65536):
                answer += part
        except (TimeoutError, ConnectionResetError):
            pass
        return answer


@pytest.mark.parametrize("name,request_text,status", [
    ("traversal", b"GET /file/../etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 400),
    ("encoded traversal", b"GET /file/tmp/%2e%2e/etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 400),
    ("zero byte", b"GET /file/tmp/%00 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 400),
    ("bad encoding", b"GET /file/%zz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 400),
    ("long head", b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 20000 + b"\r\n\r\n", 431),
    ("no HTTP", b"hello\r\n\r\n", 400),
    ("large form", b"PUT /app/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
     b"Content-Length: 99999999\r\nConnection: close\r\n\r\ncommand=a", 413),
    ("two lengths", b"PUT /app/ HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef", 400),
    ("wrong method", b"PATCH /os/name HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 405),
    ("other site", b"POST /os/poweroff HTTP/1.1\r\nHost: x\r\nOrigin: http://evil.example\r\nConnection: close\r\n\r\n", 403),
    ("device", b"GET /file/dev/zero HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 403),
    ("directory", b"GET /file/etc HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 409),
])
def test_bad_requests(guest, name, request_text, status):
    answer = raw(guest, request_text)
    assert answer.startswith(b"HTTP/1.1 %d " % status), (name, answer[:300])
    body = answer.split(b"\r\n\r\n", 1)[1]
    assert json.loads(body)["code"] == status, (name, answer)
    assert guest.get("/os/name") == "Carrara"


def test_slow_clients_hold_nobody_up(guest):
    slow = [socket.create_connection(("127.0.0.1", guest.port)) for _ in range(20)]
    for s in slow:
        s.sendall(b"GET /os/name HTTP/1.1\r\nHos")
    assert guest.get("/os/name") == "Carrara"
    for s in slow:
        s.close()


def test_client_in_the_style_of_osv(guest):
    """What OSv's top and freq scripts do: fetch every second, subtract, show rates."""
    import urllib.parse
    import urllib.request
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def fetch(path, data=None):
        data = urllib.parse.urlencode(data).encode() if data else None
        with opener.open(guest.url + path, data, timeout=60) as f:
            return json.loads(f.read() or b"null")

    fetch("/trace/count/sched_switch", {"enabled": "True"})
    before, counts = fetch("/os/threads"), fetch("/trace/count")
    cpu = {t["id"]: t["cpu_ms"] for t in before["list"]}
    switches = {t["id"]: t["switches"] for t in before["list"]}
    time.sleep(1)
    now, counts_now = fetch("/os/threads"), fetch("/trace/count")
    interval = now["time_ms"] - before["time_ms"]
    assert interval >= 900
    percent = {t["name"]: 100.0 * (t["cpu_ms"] - cpu.get(t["id"], 0)) / interval for t in now["list"]}
    assert 0 <= percent["sleep"] < 50 and sum(percent.values()) < 300
    assert sum(t["switches"] - switches.get(t["id"], 0) for t in now["list"]) > 0
    hits = {c["name"]: c["count"] for c in counts["list"]}
    hits_now = {c["name"]: c["count"] for c in counts_now["list"]}
    assert (hits_now["sched_switch"] - hits["sched_switch"]) * 1000 / (counts_now["time_ms"] - counts["time_ms"]) > 0
