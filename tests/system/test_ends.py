# SPDX-License-Identifier: BSD-3-Clause
"""How programs end: exit statuses and fatal signals reach the host, a crash is explained on the console."""
import pytest

import guest


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    return guest.make_image(tmp_path_factory.mktemp("ends"),
                            {"/bin/ends": guest.BUILD / "tests" / "guest" / "ends" / "ends"})


@pytest.mark.parametrize("how,status", [("return", 5), ("thread-exit", 9), ("waiting-threads", 7),
                                        ("main-thread-first", 9)])
def test_exit_status(image, how, status):
    r = guest.boot(image, f"/bin/ends {how}", cpus=2)
    assert f"ending by {how}" in r.output
    assert r.status == status and not r.panicked


@pytest.mark.parametrize("how,signal", [("segv", 11), ("abort", 6), ("term", 15), ("kill", 9), ("stack", 11)])
def test_signal(image, how, signal):
    r = guest.boot(image, f"/bin/ends {how}", cpus=2)
    assert f"ending by {how}" in r.output
    assert r.signal == signal and r.status is None and not r.panicked


def test_crash_report(image):
    out = guest.boot(image, "/bin/ends segv").output
    assert "/bin/ends: SIGSEGV (Segmentation fault)" in out
    assert "write to address 0x1234: nothing is mapped there" in out
    assert "write_to_nowhere+0x" in out  # the function that faulted
    assert "main+0x" in out  # and who called it


def test_no_such_program(image):
    r = guest.boot(image, "/bin/no-such-program")
    assert r.status == 127 and "no-such-program" in r.output


def test_bad_command_line(image):
    r = guest.boot(image, "--colour=red /bin/ends")
    assert r.status == 64 and "--colour=red" in r.output
