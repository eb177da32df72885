# SPDX-License-Identifier: BSD-3-Clause
"""Several programs in one machine: those before an & run in the background, with their lines marked."""
import pytest

import guest


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    talk = guest.BUILD / "tests" / "guest" / "tracing" / "talk"
    return guest.make_image(tmp_path_factory.mktemp("background"), {
        "/bin/talk": talk, "/bin/agent": talk, "/run/both": b"/bin/agent stored 60 & /bin/talk fore 1 4\n"})


def test_lines_are_marked(image):
    r = guest.boot(image, "/bin/agent back 60 & /bin/talk fore 2 3", cpus=2)
    lines = r.output.splitlines()
    assert r.status == 3, r  # the foreground program's, although the other one would go on
    assert [x for x in lines if "back" in x] == [f"agent: back {i}" for i in range(5)], r.output
    assert [x for x in lines if "fore" in x] == [f"fore {i}" for i in range(5)], r.output


def test_pieces_make_whole_lines(image):
    r = guest.boot(image, "/bin/agent -piece 60 & /bin/agent -other 0 & /bin/talk fore 2", cpus=2)
    lines = r.output.splitlines()
    assert r.status == 0, r
    assert "agent: piece piece piece end" in lines and "agent: other other other end" in lines, r.output
    assert "agent: without a line's end" in lines, r.output  # shown when the second one ended


def test_descriptors(image):
    r = guest.boot(image, "/bin/agent ? 60 & /bin/talk fore 2", cpus=2)
    assert "agent: pid 2, read 0, terminal 1" in r.output and "agent: error output" in r.output, r.output


def test_from_the_image(image):
    r = guest.boot(image, "--boot=both", cpus=1)
    assert r.status == 4 and "agent: stored 4" in r.output and "\nfore 4" in "\n" + r.output, r.output


def test_missing_program(image):
    r = guest.boot(image, "/bin/none & /bin/talk fore 2")
    assert r.status == 127 and "none" in r.output, r
