"""The explorer's page in a real Chromium: a control moved by keyboard changes the picture, a drawing is read."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from explored import Page, serving
from made_runs import make_run
from PIL import Image
from witnesses import REQUIRED, witness

pytestmark = [pytest.mark.peers, pytest.mark.slow]

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    folder = make_run(tmp_path_factory.mktemp("runs") / "tiny", codes="cat:10,uniform,uniform")
    with serving(folder) as found:
        yield found


@pytest.fixture(scope="module")
def browser(page: Page, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    places = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if not all(places) and not REQUIRED:
        pytest.skip("needs chromium and chromedriver")
    witness("selenium")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = places[0]
    for flag in [*FLAGS.split(), f"--user-data-dir={tmp_path_factory.mktemp('profile')}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(places[1]))
    driver.set_window_size(1300, 1000)
    yield driver
    driver.quit()


@pytest.fixture
def opened(browser: Any, page: Page) -> Any:
    """The browser with the page newly loaded and its first picture shown."""
    browser.get(page.url)
    until(browser, lambda: shown(browser).startswith("data:image/png"))
    until(browser, lambda: browser.find_elements("css selector", "#grid td"))
    return browser


def until(browser: Any, holds: Callable[[], Any]) -> Any:
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, 20, poll_frequency=0.05).until(lambda _: holds())


def shown(browser: Any, name: str = "picture") -> str:
    return browser.find_element("id", name).get_attribute("src") or ""


def press(browser: Any, *keys: str) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    ActionChains(browser).send_keys(*keys).perform()


def focus(browser: Any, selector: str) -> None:
    """Walk to an element by Tab alone, as somebody without a mouse does."""
    from selenium.webdriver.common.keys import Keys

    wanted = browser.find_element("css selector", selector)
    browser.execute_script("document.activeElement.blur(); window.getSelection().removeAllRanges()")
    for _ in range(60):
        press(browser, Keys.TAB)
        if browser.switch_to.active_element == wanted:
            return
    raise AssertionError(f"Tab does not reach {selector}")


def test_slider_moved_by_keyboard_changes_the_picture(opened):
    from selenium.webdriver.common.keys import Keys

    before = shown(opened)
    focus(opened, 'input[type="range"][aria-label="c2"]')
    press(opened, *[Keys.ARROW_RIGHT] * 8)
    until(opened, lambda: shown(opened) != before)
    until(opened, lambda: "c2 = 0.40" in opened.find_element("id", "picture").get_attribute("alt"))
    until(opened, lambda: "Q reads c1 = " in opened.find_element("id", "reading-said").text)


def test_category_chosen_by_keyboard_changes_the_picture(opened):
    from selenium.webdriver.common.keys import Keys

    before = shown(opened)
    focus(opened, 'input[name="c1"][value="0"]')
    press(opened, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    until(opened, lambda: "c1 = 2.00" in opened.find_element("id", "picture").get_attribute("alt"))
    assert shown(opened) != before
    assert "--set c1=2,c2=0,c3=0" in opened.find_element("id", "command").get_attribute("textContent")


def test_new_noise_and_seed_change_the_picture(opened):
    before = shown(opened)
    opened.find_element("id", "new-noise").click()
    until(opened, lambda: shown(opened) != before)
    seed = opened.find_element("id", "seed")
    seed.clear()
    seed.send_keys("0")
    until(opened, lambda: shown(opened) == before)


def test_grid_is_walked_by_keyboard_and_chosen_from(opened):
    from selenium.webdriver.common.keys import Keys

    focus(opened, "#grid td button")
    press(opened, Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ARROW_RIGHT, Keys.ENTER)
    until(opened, lambda: "c1 = 2.00, c2 = −1.50" in opened.find_element("id", "picture").get_attribute("alt"))
    chosen = opened.find_elements("css selector", '#grid [aria-selected="true"] button')
    assert [button.get_attribute("aria-label") for button in chosen] == ["c2 = −1.5, c1 = 2"]


def test_drawing_by_mouse_is_read(opened):
    from selenium.webdriver.common.action_chains import ActionChains

    canvas = opened.find_element("id", "canvas")
    ActionChains(opened).scroll_to_element(canvas).move_to_element_with_offset(
        canvas, 0, -60
    ).click_and_hold().perform()
    ActionChains(opened).move_by_offset(0, 60).move_by_offset(0, 60).release().perform()
    until(opened, lambda: "Q reads c1 = " in opened.find_element("id", "own-said").text)
    assert len(opened.find_elements("css selector", "#own-reading .bars tbody tr")) == 10
    first = shown(opened, "seen")
    opened.find_element("id", "adopt").click()
    read = opened.find_element("css selector", "#own-reading .top th").text
    until(opened, lambda: f"c1 = {read}.00" in opened.find_element("id", "picture").get_attribute("alt"))
    opened.find_element("id", "clear").click()
    until(opened, lambda: not opened.find_element("id", "seen").is_displayed())
    assert first.startswith("data:image/png")


def test_drawing_by_keyboard_is_read(opened):
    from selenium.webdriver.common.keys import Keys

    focus(opened, "#canvas")
    press(opened, " ", *[Keys.ARROW_DOWN] * 8)
    until(opened, lambda: "Q reads c1 = " in opened.find_element("id", "own-said").text)


def test_file_is_read_and_a_bad_one_is_said(opened, tmp_path: Path):
    pixels = np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    field = opened.find_element("id", "file")
    field.send_keys(str(tmp_path / "bad.png"))
    until(opened, lambda: "no whole picture" in opened.find_element("id", "trouble").text)
    field.send_keys(str(tmp_path / "good.png"))
    until(opened, lambda: "Q reads c1 = " in opened.find_element("id", "own-said").text)
    assert not opened.find_element("id", "trouble").is_displayed()


def test_nothing_was_asked_of_others_and_nothing_failed(browser, page):
    import json

    sent = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    requests = [m["params"] for m in sent if m["method"] == "Network.requestWillBeSent"]
    own = [r for r in requests if not r["documentURL"].startswith("chrome")]  # the browser's first page asks too
    asked = {r["request"]["url"] for r in own if not r["request"]["url"].startswith("data:")}
    assert f"{page.url}api/picture" in asked and all(url.startswith(page.url) for url in asked)
    severe = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert [text for text in severe if "400" not in text] == []  # the bad file's refusal is logged by Chromium


def test_page_fits_a_narrow_screen(opened):
    opened.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 360, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    )
    assert opened.execute_script("return document.documentElement.scrollWidth") <= 360
    opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
