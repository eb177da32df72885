# SPDX-License-Identifier: BSD-3-Clause
"""The pages of the monitoring service in a headless Chromium; screenshots stay in the build directory."""
import pytest

import browser
import watched

TALK = watched.BUILD / "tests" / "guest" / "tracing" / "talk"
SHOTS = watched.BUILD / "tests" / "screenshots"
pytestmark = pytest.mark.skipif(not browser.available(), reason="needs chromium and chromium-driver")


@pytest.fixture(scope="module")
def guest():
    with watched.machine(program="/bin/sleep 900", memory="32M", files=[f"{TALK}:/bin/talk"],
                         options=["--hostname", "quarry"]) as (g, _):
        yield g


@pytest.fixture(scope="module")
def page():
    with browser.Browser() as b:
        yield b


def live(page, guest):
    page.open(guest.url + "/")
    page.wait("return document.getElementById('state').textContent.startsWith('live')")


def test_figures(guest, page):
    live(page, guest)
    assert page.run("return document.getElementById('host').textContent") == "quarry"
    assert "Carrara" in page.run("return document.getElementById('about').textContent")
    page.wait("return document.querySelectorAll('.core output').length === 2 &&"
              " [...document.querySelectorAll('.core output')].every(o => /^\\d+ %$/.test(o.textContent))")
    page.wait("return [...document.querySelectorAll('#thread-rows td')].some(d => d.textContent === 'httpserver')")
    assert " of " in page.run("return document.getElementById('memory-text').textContent")
    assert page.run("return document.getElementById('interfaces').textContent").count("10.0.2.15") == 1
    assert "vda" in page.run("return document.getElementById('disks').textContent")
    assert "/" in page.run("return document.getElementById('mounts').textContent")
    assert "listening on" in page.wait("return document.getElementById('console').textContent")
    # It is live: the figures of a second look are others.
    first = page.run("return document.getElementById('state').textContent")
    page.wait("return document.getElementById('state').textContent !== arguments[0]".replace("arguments[0]", repr(first)))
    assert page.log() == []


def test_by_keyboard_alone(guest, page):
    """A tracepoint is counted and a program run without a mouse."""
    live(page, guest)
    page.run("document.getElementById('trace-name').focus()")
    page.type("sched_switch" + browser.KEYS["enter"])
    page.wait("return /sched_switch/.test(document.getElementById('counts').textContent)")
    page.wait("return [...document.querySelectorAll('#counts tr')].some(r => parseFloat(r.children[1].textContent) > 0)")
    page.run("document.getElementById('command').focus()")
    page.type("/bin/talk word 0 5")
    page.type(browser.KEYS["tab"])
    assert page.run("return document.activeElement.textContent") == "Run"
    page.type(browser.KEYS["enter"])
    page.wait("return /word 4\\n\\[ended with status 5\\]/.test(document.getElementById('run-output').textContent)")
    page.screenshot(SHOTS / "dashboard.png")
    page.run("document.querySelector('#counts button').focus()")
    page.type(browser.KEYS["enter"])
    page.wait("return document.getElementById('counts').textContent === ''")
    assert guest.get("/trace/count")["list"] == []
    assert page.log() == []


def test_everything_can_be_reached_with_the_tab_key(guest, page):
    live(page, guest)
    wanted = set(page.run("return [...document.querySelectorAll('main button, main input, nav a, select')]"
                          ".filter(e => e.offsetParent).map(e => e.id || e.textContent || e.name)"))
    page.run("document.body.focus()")
    seen = set()
    for _ in range(60):
        page.type(browser.KEYS["tab"])
        seen.add(page.run("const e = document.activeElement; return e.id || e.textContent || e.name"))
    assert wanted <= seen, wanted - seen


def test_failures_are_shown(guest, page):
    live(page, guest)
    page.run("document.getElementById('command').focus()")
    page.type("/bin/nothing" + browser.KEYS["enter"])
    page.wait("return /No such file/.test(document.getElementById('run-output').textContent)")


def test_phone(guest):
    """Nothing is wider than the screen."""
    with browser.Browser(390, 844) as phone:
        live(phone, guest)
        phone.run("window.resizeTo && 0")
        width = phone.run("return [document.documentElement.scrollWidth, window.innerWidth]")
        assert width[0] <= width[1] + 1, width
        assert phone.run("return parseFloat(getComputedStyle(document.body).fontSize)") >= 14
        phone.screenshot(SHOTS / "dashboard-phone.png")


def test_page_of_calls(guest, page):
    page.log()  # what went wrong on purpose before
    page.open(guest.url + "/calls")
    page.wait("return document.querySelectorAll('details.call').length > 50")
    page.run("const d = [...document.querySelectorAll('details.call')].find(d => d.dataset.text.startsWith('get /os/name'));"
             "d.open = true; d.id = 'tried'; d.querySelector('button').click()")
    page.wait("return /\"Carrara\"/.test(document.querySelector('#tried pre').textContent)")
    page.screenshot(SHOTS / "calls.png")
    assert page.log() == []


def test_token(page, tmp_path):
    (tmp_path / "token").write_text("secret-word")
    with watched.service(tmp_path, token="secret-word") as (g, _):
        page.open(g.url + "/")
        page.wait("return !document.getElementById('login').hidden")
        page.run("document.getElementById('token').focus()")
        page.type("secret-word" + browser.KEYS["enter"])
        page.wait("return document.getElementById('state').textContent.startsWith('live')")
