"""The page in a real browser: opened, walked through, a running campaign stopped and resumed in it."""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

pytestmark = pytest.mark.slow

DEADLINE_SECONDS = 300.0
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--enable-unsafe-swiftshader",  # WebGL without a graphics card
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--window-size=1400,1000",
)


class Seen(NamedTuple):
    """A browser, the page's address, and the folder of the campaign that runs."""

    browser: Any
    url: str
    campaign: Path

    def open(self, address: str) -> None:
        self.browser.get(self.url + address)

    def find(self, selector: str) -> Any:
        """The element, as soon as there is one."""
        return self.until(lambda: self.all(selector), selector)[0]

    def all(self, selector: str) -> list[Any]:
        found: list[Any] = self.browser.find_elements("css selector", selector)
        return found

    def text(self, selector: str) -> str:
        """What an element says; it may be replaced at any moment."""
        script = "return document.querySelector(arguments[0])?.textContent ?? ''"
        return str(self.browser.execute_script(script, selector)).strip()

    def until(self, condition: Callable[[], Any], what: str) -> Any:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not (found := condition()):
            assert time.monotonic() < deadline, f"waited in vain for {what}: {self.complaints()}"
            time.sleep(0.1)
        return found

    def press(self, selector: str) -> None:
        script = "document.querySelector(arguments[0]).click()"
        self.find(selector)
        self.browser.execute_script(script, selector)

    def complaints(self) -> list[str]:
        """Errors on the browser's console: of scripts, of the content security policy, of requests."""
        return [
            entry["message"]
            for entry in self.browser.get_log("browser")
            if entry["level"] == "SEVERE"
        ]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    selenium = pytest.importorskip("selenium.webdriver")
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("chromium and chromedriver are not installed (deploy/setup.sh test)")
    options = selenium.ChromeOptions()
    options.binary_location = chromium
    options.page_load_strategy = "eager"  # what comes later is waited for by name
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    opened = selenium.Chrome(options, selenium.ChromeService(driver))
    yield opened
    opened.quit()


@pytest.fixture(scope="module")
def seen(
    browser: Any,
    made_up: Path,
    quick_campaign_text: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Seen]:
    place = tmp_path_factory.mktemp("served")
    running = place / "running"
    running.mkdir()
    text = quick_campaign_text.replace("name: quick", "name: running")
    text = text.replace("calculations: 10", "calculations: 40")
    (running / "campaign.yaml").write_text(text)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
    server = subprocess.Popen(
        [sys.executable, "-m", "discover.page", "--port", str(port), str(made_up), str(running)],
        env={**environment, "DISCOVER_HOME": str(place / "home")},
    )
    found = Seen(browser, f"http://127.0.0.1:{port}", running)
    try:
        found.until(lambda: answers(f"{found.url}/health"), "the page's server")
        yield found
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_from_the_list_to_a_structure(seen: Seen) -> None:
    seen.open("/")
    assert seen.text("h1") == "Campaigns"
    seen.press('a.campaign[href="/campaigns/made-up"]')
    for chart in ("search", "map", "parity"):
        seen.find(f'[data-chart="{chart}"][data-drawn] .main-svg')
    assert len(seen.all('[data-chart="search"] .scatterlayer .point')) >= 23
    seen.press('.tabs a[href$="/models"]')
    for chart in ("parity", "calibration", "domain", "models"):
        seen.find(f'[data-chart="{chart}"][data-drawn] .main-svg')
    seen.press('.tabs a[href$="/ranking"]')
    seen.press("#ranking tbody tr:first-child td.pic a")
    assert seen.find("#viewer[data-drawn]").get_attribute("data-atoms") == "27"
    assert seen.text(".chain li:first-child b") == "made-up"
    assert colours_on_canvas(seen) > 20
    seen.press('button[data-repeat="2"]')
    seen.until(lambda: seen.find("#viewer").get_attribute("data-atoms") == "125", "more cells")
    assert seen.complaints() == []


def colours_on_canvas(seen: Seen) -> int:
    """Different colours on the viewer's canvas, which a blank one has one of."""
    from PIL import Image

    script = "return document.querySelector('#viewer canvas').toDataURL('image/png')"
    png = base64.b64decode(seen.browser.execute_script(script).partition(",")[2])
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).reshape(-1, 3)
    return len(np.unique(pixels // 8, axis=0))


def test_a_campaign_is_started_stopped_given_more_and_resumed(seen: Seen) -> None:
    seen.open("/campaigns/running")
    assert seen.text("#head .state") == "new"
    seen.press('button[data-order="resume"]')
    assert seen.until(lambda: seen.text("#head .state") == "running", "the start")
    seen.until(lambda: " done" in seen.text("#tiles") and results(seen) >= 2, "two results")
    seen.find('[data-chart="search"][data-drawn]')  # drawn as results come, without a reload
    seen.press('button[data-order="stop"]')
    seen.until(lambda: seen.text("#head .state") == "stopped", "the stop")
    assert "stopped" in seen.text(".goal")
    before = results(seen)

    seen.press('button[data-open="budget-form"]')
    seen.find('#budget-form input[name="calculations"]').send_keys("41")
    seen.press('#budget-form button[type="submit"]')
    seen.until(lambda: "of 41" in seen.text("#tiles"), "the larger budget")
    assert "calculations: 41" in (seen.campaign / "campaign.yaml").read_text()

    seen.press('button[data-order="resume"]')
    seen.until(lambda: seen.text("#head .state") == "running", "the resumption")
    seen.until(lambda: results(seen) > before, "another result")
    seen.press('button[data-order="stop"]')
    seen.until(lambda: seen.text("#head .state") == "stopped", "the second stop")
    assert seen.complaints() == []


def results(seen: Seen) -> int:
    with urllib.request.urlopen(f"{seen.url}/api/campaigns/running") as answer:
        return int(json.load(answer)["calculations"]["done"])
