# SPDX-License-Identifier: BSD-3-Clause
"""HTTP inside Carrara: the unit tests, and httpd reached from outside."""
import os
import re
import signal
import socket
import subprocess
import threading

import pytest

from capstan_env import BUILD

CAPSTAN = BUILD / "capstan" / "capstan"
UNIT = BUILD / "tests" / "unit" / "seastar"


def command(tmp_path, program, *args, more=()):
    env = {k: v for k, v in os.environ.items() if not k.startswith("CAPSTAN_")}
    env.update(CAPSTAN_ROOT=str(tmp_path / "root"), CARRARA_KERNEL=str(BUILD / "kernel"))
    return [str(CAPSTAN), "run", "-c", "2", "-m", "768M", *more, "--host", str(program), *map(str, args)], env


@pytest.mark.parametrize("name", ["http", "metrics", "websocket"])
def test_unit(tmp_path, name):
    cmd, env = command(tmp_path, UNIT / f"seastar_test_{name}_plain")
    r = subprocess.run(cmd, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=200)
    lines = (r.stdout + r.stderr).splitlines()
    assert r.returncode == 0, "\n".join(line for line in lines if not line.startswith("ok"))
    plan = [line for line in lines if line.startswith("1..")]
    assert plan and len([line for line in lines if line.startswith("ok ")]) == int(plan[0][3:])


def test_httpd(tmp_path):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    cmd, env = command(tmp_path, BUILD / "apps/httpd/httpd", "-c2", "-m128M", "-p", "8080", "--fixed",
                       "from the guest", "--metrics", "/metrics", more=("-f", f"{port}:8080"))
    p = subprocess.Popen(cmd, env=env, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        lines = []
        for line in p.stdout:
            lines.append(line)
            if "listening" in line:
                break
        else:
            raise AssertionError("".join(lines))
        threading.Thread(target=lambda: lines.extend(p.stdout), daemon=True).start()
        url = f"http://127.0.0.1:{port}"
        out = subprocess.run(["curl", "-s", "--max-time", "30", url + "/a", url + "/b"], check=True,
                             capture_output=True, text=True).stdout
        assert out == "from the guest" * 2
        out = subprocess.run(["wrk", "-t1", "-c20", "-d2s", url + "/"], check=True, capture_output=True,
                             text=True).stdout
        served = int(re.search(r"(\d+) requests in", out).group(1))
        assert served > 20 and "Non-2xx" not in out and "Socket errors" not in out, out
        text = subprocess.run(["curl", "-s", "--max-time", "30", url + "/metrics"], check=True, capture_output=True,
                              text=True).stdout
        assert int(re.search(r"^http_requests (\d+)$", text, re.M).group(1)) >= served
        p.send_signal(signal.SIGTERM)
        p.wait(30)
    finally:
        p.kill()
