# SPDX-License-Identifier: BSD-3-Clause
"""Interpreters and runtimes of Debian's packages: each runs a script that checks its own results and ends with a status
of its own."""
import subprocess
from pathlib import Path

import pytest

import debian

SCRIPTS = Path(__file__).resolve().parent / "scripts"


def script(name):
    return SCRIPTS / name


@pytest.fixture(scope="module")
def interpreters():
    return debian.Image("interpreters", ["python3", "perl", "perl-base", "lua5.4", "sqlite3", "dash", "coreutils"],
                        {f"/test/{n}": script(n) for n in ("programs.py", "programs.pl", "programs.lua", "workload.sql")})


@pytest.mark.parametrize("cpus", [1, 2, 4])
def test_python(interpreters, cpus):
    r = interpreters.run("/usr/bin/python3 /test/programs.py", cpus=cpus)
    assert r.out.count(" right\n") == 8 and r.out.endswith("imports right\n"), r
    assert r.status == 5


@pytest.mark.parametrize("cpus", [1, 4])
def test_perl(interpreters, cpus):
    r = interpreters.run("/usr/bin/perl /test/programs.pl", cpus=cpus)
    assert r.status == 7 and r.out.endswith("exceptions\nencoding\n"), r


def test_lua(interpreters):
    r = interpreters.run("/usr/bin/lua5.4 /test/programs.lua")
    assert r.status == 9 and r.out.endswith("sort\nstrings\n"), r


@pytest.mark.parametrize("cpus", [1, 2])
def test_sqlite(interpreters, tmp_path, cpus):
    with open(script("workload.sql"), "rb") as f:
        here = debian.on_host(interpreters.root, "/usr/bin/sqlite3", tmp_path / "db", stdin=f, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE).stdout.decode()
    assert here.splitlines()[-1] == "ok" and here.count("\n") > 30
    with open(script("workload.sql"), "rb") as f:
        r = interpreters.run("/usr/bin/sqlite3 /tmp/db", cpus=cpus, stdin=f)
    assert r.out == here and "CHECK constraint failed" in r.err
    assert r.status == 1  # of the statement that had to fail


@pytest.fixture(scope="module")
def node():
    return debian.Image("node", ["nodejs"], {"/test/programs.js": script("programs.js")})


@pytest.mark.parametrize("cpus", [1, 2, 4])
def test_node(node, cpus):
    r = node.run("/usr/bin/node /test/programs.js", cpus=cpus, memory="1G")
    assert r.status == 6 and r.out.endswith("workers\ncomputing\ntimers\nall right\n"), r


@pytest.fixture(scope="module")
def java(tmp_path_factory):
    root = debian.unpack("java", ["openjdk-17-jre-headless"])
    classes = tmp_path_factory.mktemp("java")
    tool = root / "usr/lib/jvm/java-17-openjdk-amd64/bin/java"  # it has the compiler in it
    subprocess.run([str(tool), "-m", "jdk.compiler/com.sun.tools.javac.Main", "-d", str(classes), script("Programs.java")],
                   check=True, timeout=120)
    return debian.Image("java", ["openjdk-17-jre-headless"], {f"/test/{c.name}": c for c in classes.iterdir()})


@pytest.mark.parametrize("cpus,collector", [(1, "Serial"), (2, "G1"), (4, "Parallel")])
def test_java(java, cpus, collector):
    r = java.run(f"/usr/lib/jvm/java-17-openjdk-amd64/bin/java -Xmx48m -XX:+Use{collector}GC -Xshare:auto -cp /test Programs",
                 cpus=cpus, memory="1G", timeout=240)
    words = "exceptions by null\nstack overflow\nthreads\nhand over\ninterrupt\ngarbage\n"
    assert r.status == 8 and r.out.startswith(words) and r.out.endswith("floating point\n"), r
    assert "compiled 9d7633765aeac240 -802929798" in r.out


GO = "./usr/lib/go-1.19/pkg"


@pytest.fixture(scope="module")
def go(tmp_path_factory):
    """Compiler, linker and library alone: the rest of the package is 200 MB of commands and sources."""
    root = debian.unpack("go", ["golang-1.19-go"], depends=False, members=[
        f"--exclude={GO}/linux_amd64/cmd", f"{GO}/tool/linux_amd64/compile", f"{GO}/tool/linux_amd64/link",
        f"{GO}/linux_amd64/*"])
    package, work = root / GO, tmp_path_factory.mktemp("go")
    library = str(package / "linux_amd64")
    subprocess.run([package / "tool/linux_amd64/compile", "-o", work / "main.o", "-p", "main", "-complete", "-I", library,
                    script("programs.go")], check=True, timeout=120)
    subprocess.run([package / "tool/linux_amd64/link", "-o", work / "programs", "-L", library, work / "main.o"], check=True,
                   timeout=120)
    return work / "programs"


@pytest.mark.parametrize("cpus", [1, 2, 4])
def test_go(go, cpus):
    done = subprocess.run([str(debian.CAPSTAN), "run", "-c", str(cpus), "-m", "256M", "--host", str(go)],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, check=False)
    assert done.returncode == 4, done
    assert done.stdout.decode().replace("nil pointer", "nil-pointer").split() == \
        ["goroutines", "ring", "timers", "preemption", "garbage", "nil-pointer", "files", "pipe"], done
