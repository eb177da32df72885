# SPDX-License-Identifier: BSD-3-Clause
"""What cannot run ends with one clear message and a status that is not zero: damaged executables, interpreters and
images, command lines that name nothing, calls the kernel does not know."""
import shutil
import struct
import subprocess

import pytest

import guest

HELLO = '#include <stdio.h>\nint main(void) { puts("hello"); return 0; }\n'
LIBRARY = "int seven(void) { return 7; }\n"
USER = "int seven(void);\nint main(void) { return seven(); }\n"
CALLS = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <unistd.h>
#include <sys/syscall.h>
int main(void)
{
	int good = 0;
	for (int i = 0; i < 3; i++) {
		errno = 0;
		good += syscall(1000) == -1 && errno == ENOSYS;
		errno = 0;
		good += syscall(SYS_bpf, 0, 0, 0) == -1 && errno == ENOSYS;
		errno = 0;
		good += syscall(-1) == -1 && errno == ENOSYS;
	}
	printf("%d\n", good);
	return good == 9 ? 0 : 1;
}
"""
EHDR = {"class": (4, "B"), "data": (5, "B"), "type": (16, "H"), "machine": (18, "H"), "entry": (24, "Q"),
        "phoff": (32, "Q"), "phentsize": (54, "H"), "phnum": (56, "H")}
PHDR = {"type": (0, "I"), "flags": (4, "I"), "offset": (8, "Q"), "vaddr": (16, "Q"), "filesz": (32, "Q"),
        "memsz": (40, "Q"), "align": (48, "Q")}
PT_LOAD, PT_INTERP = 1, 3


def compile_c(directory, name, source, *options):
    (directory / f"{name}.c").write_text(source)
    subprocess.run(["gcc", "-O1", "-o", directory / name, directory / f"{name}.c", *options], check=True)
    return (directory / name).read_bytes()


class Elf(bytearray):
    """An executable whose headers can be changed."""

    def head(self, **fields):
        for name, value in fields.items():
            at, kind = EHDR[name]
            struct.pack_into("<" + kind, self, at, value)
        return self

    def segment(self, wanted, **fields):
        """Changes the first program header of a type."""
        phoff, = struct.unpack_from("<Q", self, 32)
        phnum, = struct.unpack_from("<H", self, 56)
        for i in range(phnum):
            at = phoff + i * 56
            if struct.unpack_from("<I", self, at)[0] == wanted:
                for name, value in fields.items():
                    off, kind = PHDR[name]
                    struct.pack_into("<" + kind, self, at + off, value)
                return self
        raise AssertionError("no such segment")


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    d = tmp_path_factory.mktemp("programs")
    return {"static": compile_c(d, "static", HELLO, "-static"), "dynamic": compile_c(d, "dynamic", HELLO),
            "calls": compile_c(d, "calls", CALLS, "-static"),
            "library": compile_c(d, "libseven.so", LIBRARY, "-shared", "-fPIC"),
            "user": compile_c(d, "user", USER, f"-L{d}", "-lseven")}


def with_interpreter(program, path):
    """The dynamic program asking for another interpreter; the old path is long enough."""
    old = b"/lib64/ld-linux-x86-64.so.2\0"
    assert program.count(old) >= 1 and len(path) < len(old)
    return program.replace(old, path.encode().ljust(len(old), b"\0"), 1)


def broken_files(p):
    static, dynamic = p["static"], p["dynamic"]
    ld = b"\x7fELF" + bytes(8)
    return {
        "empty": b"",
        "text": b"this is not a program\n",
        "short": static[:40],
        "no-headers": static[:80],
        "half": static[:len(static) // 2],
        "class-32": bytes(Elf(static).head(**{"class": 1})),
        "big-endian": bytes(Elf(static).head(data=2)),
        "arm": bytes(Elf(static).head(machine=183)),
        "object": bytes(Elf(static).head(type=1)),
        "core": bytes(Elf(static).head(type=4)),
        "phentsize": bytes(Elf(static).head(phentsize=1)),
        "no-segments": bytes(Elf(static).head(phnum=0)),
        "many-segments": bytes(Elf(static).head(phnum=65535)),
        "far-headers": bytes(Elf(static).head(phoff=2**63)),
        "kernel-address": bytes(Elf(static).segment(PT_LOAD, vaddr=0xffffffff80000000)),
        "wrapping": bytes(Elf(static).segment(PT_LOAD, memsz=2**64 - 4096)),
        "file-larger": bytes(Elf(static).segment(PT_LOAD, filesz=1 << 20, memsz=4096)),
        "huge": bytes(Elf(static).segment(PT_LOAD, memsz=2**46)),
        "far-offset": bytes(Elf(static).segment(PT_LOAD, offset=2**62)),
        "wild-entry": bytes(Elf(static).head(entry=0x10)),
        "no-interpreter": with_interpreter(dynamic, "/lib/none.so"),
        "interpreter-text": with_interpreter(dynamic, "/bad/text"),
        "interpreter-empty": with_interpreter(dynamic, "/bad/empty"),
        "interpreter-short": with_interpreter(dynamic, "/bad/ld"),
        "interpreter-arm": with_interpreter(dynamic, "/bad/arm"),
        "interpreter-directory": with_interpreter(dynamic, "/bad"),
        "interpreter-itself": with_interpreter(dynamic, "/bad/interpreter-itself"),
        "interpreter-unending": bytes(Elf(dynamic).segment(PT_INTERP, filesz=2)),
        "interpreter-long": bytes(Elf(dynamic).segment(PT_INTERP, filesz=1 << 40)),
        "interpreter-nowhere": bytes(Elf(dynamic).segment(PT_INTERP, offset=2**62)),
        "script-no-interpreter": b"#!/bin/none\n",
        "script-empty": b"#!\n",
        "script-itself": b"#!/bad/script-itself\n",
        "ld": ld,
    }


@pytest.fixture(scope="module")
def image(programs, tmp_path_factory):
    files = {f"/bad/{name}": content for name, content in broken_files(programs).items()}
    files.update({"/bin/static": programs["static"], "/bin/calls": programs["calls"], "/bin/user": programs["user"],
                  "/bin/dynamic": programs["dynamic"]})
    for line in subprocess.run(["ldd", "/bin/true"], check=True, capture_output=True, text=True).stdout.split():
        if line.startswith("/"):
            files[line] = line
    return guest.make_image(tmp_path_factory.mktemp("image"), files)


NAMES = [
    "empty", "text", "short", "no-headers", "half", "class-32", "big-endian", "arm", "object", "core", "phentsize",
    "no-segments", "many-segments", "far-headers", "kernel-address", "wrapping", "file-larger", "huge", "far-offset",
    "wild-entry", "no-interpreter", "interpreter-text", "interpreter-empty", "interpreter-short", "interpreter-arm",
    "interpreter-directory", "interpreter-itself", "interpreter-unending", "interpreter-long", "interpreter-nowhere",
    "script-no-interpreter", "script-empty", "script-itself", "ld"]


def explained(r, word):
    """Ended by itself, not well, and the console names the thing."""
    assert r.returncode is not None and not r.panicked, r
    assert r.signal or r.status, r
    assert word in r.output, r.output
    assert len(r.output) < 20000


def test_names(programs):
    assert sorted(NAMES) == sorted(broken_files(programs))


def test_good_ones_run(image):
    for program in ("static", "dynamic"):
        r = guest.boot(image, f"/bin/{program}")
        assert r.status == 0 and r.output.strip() == "hello", r


@pytest.mark.parametrize("name", NAMES)
def test_program(image, name):
    r = guest.boot(image, f"/bad/{name}", timeout=30)
    explained(r, f"/bad/{name}")
    if not r.signal:
        assert r.status in (126, 127), r
        assert len(r.output.strip().splitlines()) == 1, r.output


def test_missing_library(image):
    r = guest.boot(image, "/bin/user")
    explained(r, "libseven.so")
    assert r.status == 127


def test_directory(image):
    explained(guest.boot(image, "/bad"), "/bad")


@pytest.mark.parametrize("command", ["", "--env=A=B", "--", "''", "'unfinished", "--mount=nonsense /bin/static",
                                     "--loglevel=nine /bin/static", "--env=1 /bin/static", "${NOT_THERE}"])
def test_command_line(image, command):
    r = guest.boot(image, command, timeout=30)
    assert r.status and r.status != 0 and not r.panicked, r
    lines = r.output.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("carrara: "), r.output


def test_unknown_calls_are_logged_once(image):
    r = guest.boot(image, "--loglevel=5 /bin/calls")
    assert r.status == 0, r
    for name in ("unknown (1000)", "bpf (321)"):
        assert r.output.count(f"system call {name} is not implemented: ENOSYS") == 1, r.output


def damaged(tmp_path, image, change):
    copy = tmp_path / "damaged"
    shutil.copy(image, copy)
    content = bytearray(copy.read_bytes())
    copy.write_bytes(change(content))
    return copy


def flip(content, start, end, step):
    for at in range(start, min(end, len(content)), step):
        content[at] ^= 0xff
    return content


def test_truncated_image(image, tmp_path):
    r = guest.boot(damaged(tmp_path, image, lambda c: c[:8192]), "/bin/static", timeout=30)
    explained(r, "carrara: ")


@pytest.mark.parametrize("where", ["checksum", "root", "block size", "feature"])
def test_damaged_superblock(image, tmp_path, where):
    at, value = {"checksum": (1024 + 4, b"\x12\x34\x56\x78"), "root": (1024 + 14, b"\xff\xff"),
                 "block size": (1024 + 12, b"\x1f"), "feature": (1024 + 80, b"\xff\xff\xff\x7f")}[where]

    def change(content):
        content[at:at + len(value)] = value
        return content
    r = guest.boot(damaged(tmp_path, image, change), "/bin/static", timeout=30)
    explained(r, "vda")
    assert r.status == 66, r


@pytest.mark.parametrize("start", [2048, 65536, 262144])
def test_damaged_content(image, tmp_path, start):
    """Whatever is hit: the program runs, or there is an explanation; never a hang or a crash of the kernel."""
    copy = damaged(tmp_path, image, lambda c: flip(c, start, len(c), 97))
    r = guest.boot(copy, "/bin/static", timeout=30)
    assert r.returncode is not None and not r.panicked, r
    assert r.output.strip() == "hello" if r.status == 0 else "carrara: " in r.output or r.signal, r


def test_memory_runs_out(image, tmp_path):
    (tmp_path / "hog").mkdir()
    hog = compile_c(tmp_path / "hog", "hog", """
#include <stdlib.h>
#include <string.h>
int main(void) { for (;;) { char *p = malloc(1 << 20); if (!p) return 3; memset(p, 1, 1 << 20); } }
""", "-static")
    r = guest.boot(guest.make_image(tmp_path, {"/bin/hog": hog}), "/bin/hog", memory=24)
    explained(r, "out of memory")
