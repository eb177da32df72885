# SPDX-License-Identifier: BSD-3-Clause
"""gdb commands for a Carrara guest. Start QEMU with -s (capstan run --gdb), then:

    gdb build/kernel/carrara.debug -x tools/carrara-gdb.py -ex 'target remote :1234'

    carrara-threads            all threads, with state, CPU and program
    carrara-areas [TID]        the address space of a thread's program
    carrara-symbols [SYSROOT]  loads the symbols of every executable and library mapped in programs,
                               from the host's file of the same path (below SYSROOT if given)
"""
import os
import subprocess

import gdb

STATES = ["ready", "running", "waiting", "dead"]


def entries(head, type_name, member):
    """Walks a struct list."""
    kind = gdb.lookup_type(type_name)
    offset = next(f.bitpos // 8 for f in kind.fields() if f.name == member)
    node = head["next"]
    while node != head.address:
        yield gdb.Value(int(node) - offset).cast(kind.pointer()).dereference()
        node = node["next"]


def threads():
    return entries(gdb.parse_and_eval("all_threads"), "struct thread", "all_link")


def tree(node):
    """Walks a red-black tree in order."""
    if int(node) == 0:
        return
    yield from tree(node["left"])
    yield node
    yield from tree(node["right"])


def areas(mm):
    kind = gdb.lookup_type("struct vma")
    offset = next(f.bitpos // 8 for f in kind.fields() if f.name == "node")
    for node in tree(mm["areas"]["root"]):
        yield gdb.Value(int(node) - offset).cast(kind.pointer()).dereference()


def dentry_path(dentry):
    parts = []
    while int(dentry) and int(dentry["parent"]) and int(dentry["parent"]) != int(dentry):
        parts.append(dentry["name"].string() if dentry["name"].type.code == gdb.TYPE_CODE_PTR
                     else dentry["name"].address.cast(gdb.lookup_type("char").pointer()).string())
        dentry = dentry["parent"]
    return "/" + "/".join(reversed(parts))


def area_path(area):
    file = area["file"]
    if not int(file) or not int(file["dentry"]):
        return None
    return dentry_path(file["dentry"])


class Threads(gdb.Command):
    """All threads of the guest."""

    def __init__(self):
        super().__init__("carrara-threads", gdb.COMMAND_STATUS)

    def invoke(self, arg, from_tty):
        for t in threads():
            state = STATES[int(t["state"]) & 3]
            program = int(t["program"]["pid"]) if int(t["program"]) else "kernel"
            print("%6d  cpu %-2d  %-8s  program %-6s  %s" % (
                int(t["tid"]), int(t["cpu"]), state, program, t["name"].string()))


class Areas(gdb.Command):
    """The areas of a thread's address space (default: the first program's)."""

    def __init__(self):
        super().__init__("carrara-areas", gdb.COMMAND_STATUS)

    def invoke(self, arg, from_tty):
        for t in threads():
            if not int(t["program"]) or (arg and int(t["tid"]) != int(arg, 0)):
                continue
            for a in areas(t["program"]["mm"].dereference()):
                prot = int(a["prot"])
                print("%012x-%012x %s%s%s %s" % (
                    int(a["start"]), int(a["end"]), "r" if prot & 1 else "-", "w" if prot & 2 else "-",
                    "x" if prot & 4 else "-", area_path(a) or ""))
            return
        print("no such program thread")


def text_offset(path):
    """Address of .text in the file, to place it where it was mapped."""
    out = subprocess.run(["readelf", "-lW", path], capture_output=True, text=True, check=False).stdout
    for line in out.splitlines():
        words = line.split()
        if words[:1] == ["LOAD"] and int(words[1], 16) == 0:
            return int(words[2], 16)
    return 0


class Symbols(gdb.Command):
    """Loads the symbols of everything that is mapped executable."""

    def __init__(self):
        super().__init__("carrara-symbols", gdb.COMMAND_FILES)

    def invoke(self, arg, from_tty):
        seen = set()
        for t in threads():
            if not int(t["program"]) or not int(t["program"]["mm"]):
                continue
            for a in areas(t["program"]["mm"].dereference()):
                path = area_path(a)
                if not path or int(a["pgoff"]) != 0 or path in seen:
                    continue
                seen.add(path)
                host = os.path.realpath((arg or "") + path)
                if os.path.exists(host):
                    base = int(a["start"]) - text_offset(host)
                    gdb.execute("add-symbol-file %s -o 0x%x" % (host, base), to_string=True)
                    print("%s at 0x%x" % (host, base))


Threads()
Areas()
Symbols()
