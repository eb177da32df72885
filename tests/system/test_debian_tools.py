# SPDX-License-Identifier: BSD-3-Clause
"""Compressors, openssl, benchmarks and compiled programs with Debian's libraries; what a crash leaves behind."""
import hashlib
import re
import subprocess
from pathlib import Path

import pytest

import debian

SCRIPTS = Path(__file__).resolve().parent / "scripts"


@pytest.fixture(scope="module")
def tools():
    data = b"".join(b"%d %s\n" % (i, hashlib.md5(b"%d" % (i // 3)).hexdigest().encode()) for i in range(60000))
    image = debian.Image("tools", ["xz-utils", "zstd", "openssl", "sysbench", "fio", "dash", "coreutils"],
                         {"/test/data": data})
    image.data = data
    return image


@pytest.mark.parametrize("cpus", [1, 2, 4])
@pytest.mark.parametrize("pack,unpack", [("xz -1 -T2 --block-size=512KiB", "xz -d -T2"), ("zstd -3 -T2", "zstd -d")])
def test_compressors_with_threads(tools, pack, unpack, cpus):
    script = f"{pack} -c </test/data >/tmp/packed && {unpack} -c </tmp/packed | sha256sum && wc -c </tmp/packed"
    r = tools.run(f'/bin/sh -c "{script}"', cpus=cpus)
    digest, size = r.out.split()[0], int(r.out.split()[-1])
    assert r.status == 0 and digest == hashlib.sha256(tools.data).hexdigest(), r
    assert 0 < size < len(tools.data)


def test_packed_in_the_machine_unpacked_here(tools):
    image = tools
    done = subprocess.run([str(debian.CAPSTAN), "run", image.name, "-n", "none", "-c", "2", "-e",
                           "/usr/bin/xz -0 -T2 -c /test/data"], env=image._environment(), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=120, check=True)
    import lzma
    assert lzma.decompress(done.stdout) == image.data


def test_openssl_digests_and_speed(tools):
    script = "for d in md5 sha1 sha256 sha3-512 blake2b512; do openssl dgst -$d -r /test/data; done; " \
             "openssl enc -aes-256-cbc -pbkdf2 -k secret -in /test/data -out /tmp/e && " \
             "openssl enc -d -aes-256-cbc -pbkdf2 -k secret -in /tmp/e | sha256sum; " \
             "openssl genpkey -algorithm ed25519 -out /tmp/key && openssl pkey -in /tmp/key -pubout -out /tmp/pub && " \
             "openssl pkeyutl -sign -rawin -inkey /tmp/key -in /bin/true -out /tmp/sig && " \
             "openssl pkeyutl -verify -rawin -pubin -inkey /tmp/pub -in /bin/true -sigfile /tmp/sig; " \
             "openssl speed -seconds 1 -bytes 1024 -evp sha256 2>&1 | tail -n 1"
    r = tools.run(f"/bin/sh -c '{script}'")
    lines = r.out.splitlines()
    for line, name in zip(lines, ("md5", "sha1", "sha256", "sha3_512", "blake2b")):
        assert line.split()[0] == getattr(hashlib, name)(tools.data).hexdigest(), r
    assert lines[5].split()[0] == hashlib.sha256(tools.data).hexdigest() and "Verified Successfully" in lines[6], r
    assert float(lines[7].split()[1].rstrip("k")) > 0 and r.status == 0, r


@pytest.mark.parametrize("cpus", [1, 2, 4])
@pytest.mark.parametrize("test,events", [("cpu --cpu-max-prime=500 --threads=4", 400),
                                         ("threads --threads=8 --thread-yields=20 --thread-locks=3", 400),
                                         ("mutex --threads=8 --mutex-num=64 --mutex-locks=200 --mutex-loops=50", 8),
                                         ("memory --threads=2 --memory-block-size=64K --memory-total-size=8M", 128)])
def test_sysbench(tools, test, events, cpus):
    limit = "" if test.startswith(("mutex", "memory")) else f"--events={events}"
    r = tools.run(f"/usr/bin/sysbench --time=0 {limit} {test} run", cpus=cpus)
    assert r.status == 0, r
    assert int(re.search(r"total number of events:\s+(\d+)", r.out)[1]) == events, r


@pytest.mark.parametrize("cpus", [1, 2, 4])
def test_fio_verifies_a_raw_disk(tools, tmp_path, cpus):
    disk = tmp_path / "disk"
    with open(disk, "wb") as f:
        f.truncate(32 << 20)
    common = "--filename=/dev/vdb --thread --verify=crc32c --group_reporting --minimal --end_fsync=1"
    jobs = "--name=mixed --rw=randwrite --bs=4k --ioengine=psync --numjobs=3 --size=2m --offset_increment=4m " \
           "--name=direct --stonewall --rw=write --bs=64k --direct=1 --ioengine=libaio --iodepth=8 --size=8m --offset=16m " \
           "--name=helpers --stonewall --rw=randwrite --bs=32k --ioengine=posixaio --iodepth=4 --size=4m --offset=24m"
    r = tools.run(f"/usr/bin/fio {common} {jobs}", "--disk", str(disk), cpus=cpus)
    assert r.status == 0, r
    for line in [li for li in r.out.splitlines() if li.startswith("3;")]:
        assert line.split(";")[4] == "0", r  # its error number
    written = disk.read_bytes()
    assert any(written[:2 << 20]) and any(written[16 << 20:24 << 20]) and any(written[24 << 20:28 << 20])
    assert not any(written[28 << 20:])


@pytest.fixture(scope="module")
def fortran(tmp_path_factory):
    root = debian.unpack("gfortran", ["gfortran-12", "libgfortran-12-dev", "libgfortran5", "libgomp1", "libquadmath0"],
                         depends=False)
    work, own = tmp_path_factory.mktemp("fortran"), "usr/lib/gcc/x86_64-linux-gnu/12"
    # f951 and its headers from the package; assembler, linker and C library are this machine's.
    subprocess.run([root / own / "f951", SCRIPTS / "openmp.f90", "-fopenmp", "-O2", "-quiet", "-fintrinsic-modules-path",
                    root / own / "finclude", "-o", work / "openmp.s"], check=True, timeout=120)
    libraries = root / debian.LIBRARIES
    subprocess.run(["cc", "-o", work / "openmp", work / "openmp.s", libraries / "libgfortran.so.5",
                    libraries / "libgomp.so.1", libraries / "libquadmath.so.0", "-lm", "-lpthread"], check=True, timeout=120)
    return debian.Image("fortran", ["libgfortran5", "libgomp1"], {"/test/openmp": work / "openmp"})


@pytest.mark.parametrize("cpus", [1, 2, 4])
def test_openmp_in_fortran(fortran, cpus):
    r = fortran.run("--env=OMP_WAIT_POLICY=passive /test/openmp", cpus=cpus)
    assert r.out.splitlines() == ["threads 6 6", "product 8910960.0 T", "sum 1.644924", "critical 1000", "tasks 610"], r
    assert r.status == 12 and "STOP 12" in r.err


@pytest.mark.parametrize("linked,cpus", [("static", 1), ("static", 2), ("dynamic", 1), ("dynamic", 2), ("dynamic", 4)])
def test_musl(tmp_path, linked, cpus):
    program = tmp_path / "program"
    subprocess.run(["musl-gcc", *(["-static"] if linked == "static" else []), "-O1", "-o", program, SCRIPTS / "musl.c"],
                   check=True)
    image = debian.Image(f"musl-{linked}", ["musl", "dash"] if linked == "dynamic" else ["dash"], {"/test/program": program})
    r = image.run("/test/program", cpus=cpus)
    words = ["threads", "cancellation", "signals", "spawn", "printf", "files", "popen", "time"]
    assert (r.status, r.out.splitlines()) == (13, words), r


CRASH = """
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
struct list { struct list *next; int value; };
__attribute__((noinline)) int last_value(struct list *l) { while (l->value >= 0) l = l->next; return l->value; }
__attribute__((noinline)) int sum_of_lists(struct list *l) { return last_value(l) + 1; }
static void *waiting(void *p) { pthread_setname_np(pthread_self(), "bystander"); pause(); return p; }
int main(void)
{
	pthread_t t;
	struct list only = {0, 5};
	puts("before");
	fflush(stdout);
	pthread_create(&t, 0, waiting, 0);
	usleep(50000);
	printf("%d\\n", sum_of_lists(&only));
	return 0;
}
"""


@pytest.mark.parametrize("cpus", [1, 2])
def test_crash_report_without_a_debugger(tmp_path, cpus):
    (tmp_path / "crash.c").write_text(CRASH)
    subprocess.run(["cc", "-O1", "-fno-omit-frame-pointer", "-rdynamic", "-pthread", "-o", tmp_path / "crash",
                    tmp_path / "crash.c"], check=True)
    done = subprocess.run([str(debian.CAPSTAN), "run", "-c", str(cpus), "--host", str(tmp_path / "crash")],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False)
    report = done.stderr.decode().replace("\r\n", "\n")
    assert (done.returncode, done.stdout) == (128 + 11, b"before\n")
    assert "SIGSEGV" in report and "read of address 0x8: nothing is mapped there" in report
    chain = [re.search(rf"#\d+ .*{name}\+0x", report) for name in ("last_value", "sum_of_lists", "main")]
    assert all(chain) and [m.start() for m in chain] == sorted(m.start() for m in chain), report
    assert "bystander" in report and "memory:" in report
