# SPDX-License-Identifier: BSD-3-Clause
"""An installed library is enough to build the tutorial's programs; the reference has no warnings."""
import glob
import os
import subprocess

import pytest

TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), "../.."))
BUILD = os.environ.get("CARRARA_BUILD", os.path.join(TOP, "build"))


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--tags",
                    "devel,runtime", "--destdir", str(root)], check=True, capture_output=True)
    pc = glob.glob(f"{root}/**/seastar.pc", recursive=True)
    assert len(pc) == 1
    env = dict(os.environ, PKG_CONFIG_PATH=os.path.dirname(pc[0]), PKG_CONFIG_SYSROOT_DIR=str(root))
    lib = glob.glob(f"{root}/**/libseastar.so.0", recursive=True)[0]
    return env, os.path.dirname(lib)


def flags(env, *args):
    return subprocess.run(["pkg-config", *args, "seastar"], env=env, check=True,
                          capture_output=True, text=True).stdout.split()


@pytest.mark.parametrize("static", [False, True])
def test_pkg_config(installed, tmp_path, static):
    env, libdir = installed
    cflags = flags(env, "--cflags")
    libs = flags(env, "--libs", *(["--static"] if static else []))
    if static:
        libs = ["-l:libseastar.a" if x == "-lseastar" else x for x in libs]
    examples = f"{TOP}/seastar/examples"
    for name in ("getting_started", "values", "echo_server"):
        sources = [f"{examples}/{name}.c"]
        if name != "getting_started":
            sources.append(f"{examples}/main.c")
        subprocess.run(["cc", "-Wall", "-Werror", "-o", str(tmp_path / name), *sources, *cflags,
                        *libs], check=True)
    run = dict(os.environ, LD_LIBRARY_PATH=libdir)
    for name, out in (("getting_started", "Hello world\n"), ("values", "Got 3\nGot 3\n")):
        got = subprocess.run([str(tmp_path / name), "-c1", "-m64M"], env=run, timeout=20,
                             capture_output=True, text=True)
        assert (got.stdout, got.returncode) == (out, 0), got.stderr


def test_headers_stand_alone(installed, tmp_path):
    env, _ = installed
    for path in glob.glob(f"{TOP}/seastar/include/seastar/*.h"):
        src = tmp_path / "x.c"
        src.write_text(f"#include <seastar/{os.path.basename(path)}>\nint main(void) {{ return 0; }}\n")
        subprocess.run(["cc", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", str(src),
                        *flags(env, "--cflags")], check=True)


def test_reference_has_no_warnings(tmp_path):
    text = open(f"{TOP}/docs/seastar/Doxyfile").read() + f"\nOUTPUT_DIRECTORY = {tmp_path}\n"
    got = subprocess.run(["doxygen", "-"], input=text, cwd=TOP, capture_output=True, text=True)
    assert got.returncode == 0 and got.stderr == ""
    assert os.path.exists(tmp_path / "html/index.html")
