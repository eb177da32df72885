# SPDX-License-Identifier: BSD-3-Clause
"""Every program of tests/guest in a VM with 1, 2 and 4 CPUs: the same binaries that the suite "guest" runs on
the host."""
import os
import re
import subprocess

import pytest

import guest

DIRECTORY = guest.BUILD / "tests" / "guest"
PROGRAMS = sorted(p.name for p in DIRECTORY.glob("*")
                  if p.is_file() and os.access(p, os.X_OK) and not p.suffix) if DIRECTORY.is_dir() else []


@pytest.fixture(scope="session")
def image(tmp_path_factory):
    where = tmp_path_factory.mktemp("guest")
    (where / "root").mkdir()
    for name in PROGRAMS:
        if name.endswith("_overlay"):  # it looks at what it has put into the image
            subprocess.run([DIRECTORY / name, "--prepare", where / "root" / "prepared"], check=True)
    return guest.make_image(where, {f"/guest/{name}": DIRECTORY / name for name in PROGRAMS})


def test_there_are_guest_programs():
    assert PROGRAMS


@pytest.mark.parametrize("cpus", [1, 2, 4])
@pytest.mark.parametrize("program", PROGRAMS)
def test_guest_program(image, program, cpus):
    r = guest.boot(image, f"/guest/{program}", cpus=cpus, timeout=90)
    totals = re.search(r"^(\d+) passed, (\d+) failed$", r.output, re.M)
    assert totals and r.status == 0, r.output[-3000:]
    assert int(totals[1]) > 0 and totals[2] == "0"
