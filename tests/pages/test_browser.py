"""Every page as people meet it: in Chromium, light and dark, of an empty, a small and a large bucket.

A page that logs an error, asks another host, or that a screen reader stumbles over (by axe-core) fails.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import soundfile
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from langaudio import audio
from langaudio.pages.app import create_app
from langaudio.pages.parts import Parts
from tests.conftest import launched, served
from tests.pages.conftest import RUNNER, World
from tests.train import spoken

TIMEOUT_MS = 120_000
expect.set_options(timeout=TIMEOUT_MS)
SCHEMES = ("light", "dark")
PAGES = {
    "overview": "overview",
    "clips": "language/{language}",
    "quarantine": "language/{language}/quarantine",
    "crawls": "language/{language}/crawls",
    "augmentation": "augmentation",
    "models": "models",
    "identify": "identify",
    "api": "api/docs",
    "not-there": "nothing",
}
MORE = {
    "filtered": "language/{language}?split=train&sort=title",
    "clip": "language/{language}/clip/{clip}",
    "model": "models/2",
    "question": "models/1/champion",
}

_RULES = {
    "light": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "dark": ["color-contrast"],  # nothing but colours is different
}


@contextmanager
def opened(browser: Browser, scheme: str, site: str, width: int = 1300) -> Iterator[Page]:
    """Give a tab; at its end nothing must have gone wrong in it."""
    context = browser.new_context(
        color_scheme=scheme, viewport={"width": width, "height": 860}, base_url=f"{site}/", locale="en"
    )
    page = context.new_page()
    page.set_default_timeout(TIMEOUT_MS)
    wrong: list[str] = []
    page.on("console", lambda told: wrong.append(told.text) if told.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "request", lambda one: None if one.url.startswith((site, "data:", "blob:")) else wrong.append(one.url)
    )
    yield page
    # A page that is not there is told so by the browser as well.
    assert [one for one in wrong if "404 (Not Found)" not in one] == []
    assert page.evaluate("window.hurt === undefined")
    context.close()


@pytest.fixture
def site(parts: Parts) -> Iterator[Callable[[World], str]]:
    """Return a function that serves the pages of a world."""
    from contextlib import ExitStack

    with ExitStack() as stack:

        def serve(world: World) -> str:
            stack.enter_context(world.settings())
            return stack.enter_context(served(create_app(lambda: RUNNER, parts)))

        yield serve


def look(page: Page, path: str, scheme: str, name: str = "") -> None:
    """Open a page, wait for what its scripts make, and have axe-core read it."""
    page.goto(path)
    if path == "api/docs":
        page.locator(".opblock").first.wait_for()
    for chart in page.locator(".chart").all():
        chart.locator(".main-svg").first.wait_for()
    # Swagger UI's own contrasts and headings are not ours.
    options = {"runOnly": _RULES[scheme]}
    found = Axe().run(page, context={"exclude": [["#swagger"]]}, options=options).response["violations"]
    told = [(one["id"], [node["html"] for node in one["nodes"]][:3]) for one in found]
    assert told == [], path
    if name:
        shoot(page, name)


def shoot(page: Page, name: str) -> None:
    """Keep a picture for the README, if somebody wants them: `make screenshots`."""
    if folder := os.environ.get("SCREENSHOTS"):
        page.wait_for_load_state("networkidle")
        picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        # A third of the bytes, and a difference that nobody sees.
        few = picture.quantize(method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        few.save(Path(folder) / f"pages-{name}.png", optimize=True)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_pages_of_an_empty_bucket(
    browser: Browser, site: Callable[[World], str], empty_world: World, scheme: str
) -> None:
    address = site(empty_world)
    with opened(browser, scheme, address) as page:
        for path in PAGES.values():
            look(page, path.format(language="fr"), scheme)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_pages_of_a_small_corpus(
    browser: Browser, site: Callable[[World], str], small_world: World, scheme: str
) -> None:
    address = site(small_world)
    clip = spoken.corpus(["de", "fr", "ru"])[8]["clip_id"]
    with opened(browser, scheme, address) as page:
        for name, path in (PAGES | MORE).items():
            look(
                page,
                path.format(language="fr", clip=clip),
                scheme,
                name if name in ("augmentation", "clip") and scheme == "light" else "",
            )


@pytest.mark.parametrize("scheme", SCHEMES)
def test_pages_of_a_large_corpus(
    browser: Browser, site: Callable[[World], str], large_world: World, scheme: str
) -> None:
    address = site(large_world)
    dark = "-dark" if scheme == "dark" else ""
    with opened(browser, scheme, address) as page:
        for name, path in (PAGES | {"model": "models/1"}).items():
            if name == "augmentation":
                continue  # its clips have no recordings
            kept = name + dark if name in ("overview", "model") else ""
            look(page, path.format(language="ab"), scheme, kept)
        page.goto("overview?sort=-recall")
        expect(page.locator("tbody tr")).to_have_count(109)


def test_a_narrow_screen_scrolls_tables_and_nothing_else(
    browser: Browser, site: Callable[[World], str], small_world: World
) -> None:
    address = site(small_world)
    with opened(browser, "light", address, width=390) as page:
        for path in ("overview", "language/fr", "models", "models/2", "identify", "augmentation"):
            page.goto(path)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


def test_a_recording_is_played_and_drawn(
    browser: Browser, site: Callable[[World], str], small_world: World
) -> None:
    address = site(small_world)
    with opened(browser, "light", address) as page:
        page.goto("language/fr?sort=title")
        assert page.locator("script, img[src='x']").count() == 1  # the title of one clip is hostile
        heard = page.locator("audio").first.evaluate(
            "player => new Promise((done, failed) => { player.onloadedmetadata = () => done(player.duration);"
            " player.onerror = () => failed(player.error); player.preload = 'metadata'; player.load(); })"
        )
        assert heard > 1
        page.locator("summary").first.click()
        expect(page.locator("details img").first).to_have_js_property("complete", True)
        assert page.locator("details img").first.evaluate("picture => picture.naturalWidth") > 100


def test_everything_is_reached_by_the_keyboard_alone(
    browser: Browser, site: Callable[[World], str], small_world: World
) -> None:
    address = site(small_world)
    with opened(browser, "light", address) as page:
        page.goto("overview")
        page.keyboard.press("Tab")
        assert focused(page) == "Skip to the content"
        page.keyboard.press("Enter")
        tab_to(page, "Show", lambda told: told == "Filter")
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Shift+Tab")
        page.keyboard.type("French")
        page.keyboard.press("Enter")
        expect(page.locator("tbody tr")).to_have_count(1)
        tab_to(page, "French", lambda told: told == "French")
        page.keyboard.press("Enter")
        expect(page.locator("h1")).to_contain_text("French")
        tab_to(page, "Waveform", lambda told: told.startswith("Waveform"))
        page.keyboard.press("Enter")
        expect(page.locator("details[open] img")).to_be_visible()


def test_a_file_is_dropped_and_identified(
    browser: Browser, site: Callable[[World], str], small_world: World, tmp_path: Path
) -> None:
    address = site(small_world)
    recording = tmp_path / "<b>bonjour<b>.flac"
    recording.write_bytes(audio.to_flac(spoken.said("fr", 1), audio.SAMPLE_RATE))
    with opened(browser, "light", address) as page:
        page.goto("identify")
        page.locator("input[type=file]").set_input_files(recording)
        page.get_by_role("button", name="Identify").click()
        expect(page.locator("#answer")).to_contain_text("French")
        expect(page.locator("section p").first).to_contain_text("<b>bonjour<b>.flac")
        shoot(page, "identify")


def test_what_is_spoken_into_the_microphone_is_identified(
    browser: Browser, site: Callable[[World], str], small_world: World, tmp_path: Path
) -> None:
    address, speech = site(small_world), tmp_path / "speech.wav"
    soundfile.write(speech, spoken.said("fr", 1), audio.SAMPLE_RATE)
    with (
        speaking(browser, speech) as with_microphone,
        opened(with_microphone, "light", address) as page,
    ):
        page.goto("identify")
        page.get_by_role("button", name="Record", exact=True).click()
        expect(page.locator("#identify-status")).to_contain_text("Recording: 5 s")
        page.get_by_role("button", name="Stop and identify").click()
        expect(page.locator("#answer")).to_contain_text("French")
        expect(page.locator("section p").first).to_contain_text("spoken.wav")


@contextmanager
def speaking(browser: Browser, speech: Path) -> Iterator[Browser]:
    """Give a browser into whose microphone a recording is spoken again and again."""
    another = launched(
        browser.browser_type,
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={speech}",
    )
    yield another
    another.close()


def test_the_champion_is_chosen_after_a_question(
    browser: Browser, site: Callable[[World], str], small_world: World
) -> None:
    address = site(small_world)
    with opened(browser, "light", address) as page:
        page.goto("models")
        for name in ("Make version 2 champion", "Make version 1 champion"):
            page.get_by_role("link", name=name).click()
            expect(page.locator("h1")).to_contain_text("the champion?")
            page.get_by_role("button").click()
            expect(page.get_by_role("status")).to_contain_text("is the champion now")


def focused(page: Page) -> str:
    told: Any = page.evaluate("document.activeElement.innerText || document.activeElement.ariaLabel || ''")
    return str(told).strip()


def tab_to(page: Page, what: str, is_it: Callable[[str], bool]) -> None:
    for _ in range(80):
        page.keyboard.press("Tab")
        if is_it(focused(page)):
            return
    pytest.fail(f"{what} is not reached by the keyboard")
