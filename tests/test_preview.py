"""The page that shows a recipe: everything that it tells can be seen, heard, and checked."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from langaudio import audio
from langaudio.augment import TRANSFORMS, load
from langaudio.errors import LangaudioError
from langaudio.preview import preview

RECIPE = """
[[transforms]]
transform = "RandomGain"
p = 0.5
[[transforms]]
transform = "OneOf"
[[transforms.transforms]]
transform = "PolarityInversion"
[[transforms.transforms]]
transform = "WhiteNoise"
"""


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def clip(tmp_path: Path, spoken: bytes) -> Path:
    file = tmp_path / "a <clip> & more.mp3"
    file.write_bytes(spoken)
    return file


def test_every_transform_has_its_picture_its_sound_and_its_place_on_the_page(
    clip: Path, tmp_path: Path
) -> None:
    *files, page_file = preview(clip, tmp_path / "new" / "out")
    names = [file.name for file in files]
    assert all(file.exists() for file in files)
    for name in TRANSFORMS:
        assert len([one for one in names if f"-{name}." in one]) == 2
    for file in files:
        if file.suffix == ".png":
            assert np.asarray(Image.open(file).convert("RGB")).std() > 10
        else:
            samples, rate = soundfile.read(file)
            assert rate == audio.SAMPLE_RATE
            assert np.abs(samples).max() > 0.01
    text = page_file.read_text(encoding="utf-8")
    page = Page(text)
    assert len(page.all("img")) == len(page.all("audio")) == len(TRANSFORMS) + 1 + 3
    # Self-contained: nothing is fetched from anywhere.
    sources = [attributes["src"] or "" for attributes in page.all("img") + page.all("audio")]
    assert all(source.startswith("data:") for source in sources)
    assert not page.all("link")
    assert all(attributes["alt"] for attributes in page.all("img"))
    assert all(attributes["aria-label"] for attributes in page.all("audio"))
    assert page.all("html")[0]["lang"] == "en"
    assert "prefers-color-scheme: dark" in text
    assert "a &lt;clip&gt; &amp; more.mp3" in text


def test_copies_are_those_that_the_stage_makes(clip: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "mine.toml"
    recipe.write_text(RECIPE)
    *_, page_file = preview(clip, tmp_path / "out", recipe=str(recipe), seed=3)
    samples = audio.decode(clip.read_bytes()).samples
    (begin, end), *_ = audio.speech_segments(audio.speech_regions(samples))
    segment = samples[round(begin * 16_000) : round(end * 16_000)]
    clip_id = hashlib.sha256(clip.read_bytes()).hexdigest()[:20]
    sounds = [
        base64.b64decode((attributes["src"] or "").removeprefix("data:audio/flac;base64,"))
        for attributes in Page(page_file.read_text()).all("audio")
    ]
    for copy, sound in enumerate(sounds[-3:], 1):
        rendered, _ = load(recipe).copy(segment, 16_000, 3, clip_id, copy)
        assert sound == audio.to_flac(rendered, 16_000)


def test_the_recipes_own_come_first_each_of_them_applied(clip: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "mine.toml"
    recipe.write_text(RECIPE)
    *_, page_file = preview(clip, tmp_path / "out", recipe=str(recipe))
    headings = re.findall(r"<h[23][^>]*>([^<]*)</h[23]>", page_file.read_text())
    assert headings[:6] == [
        "Before", "As it was spoken", "In the recipe mine", "RandomGain", "PolarityInversion", "WhiteNoise",
    ]  # fmt: skip
    assert headings[6] == "Not in the recipe, with their defaults"
    assert headings[-4:] == ["Copies that the recipe makes", "Copy 1", "Copy 2", "Copy 3"]


def test_a_recording_in_which_nobody_speaks_is_shown_all_the_same(tmp_path: Path) -> None:
    file = tmp_path / "tone.flac"
    tone = 0.1 * np.sin(np.arange(3 * 16_000) / 5).astype(np.float32)
    file.write_bytes(audio.to_flac(tone, 16_000))
    before, *_ = (path for path in preview(file, tmp_path / "out") if path.suffix == ".flac")
    assert soundfile.info(io.BytesIO(before.read_bytes())).duration == 3


def test_what_cannot_be_shown_is_told(tmp_path: Path) -> None:
    file = tmp_path / "text.mp3"
    file.write_bytes(b"no audio")
    with pytest.raises(LangaudioError, match=r"text\.mp3 is no audio"):
        list(preview(file, tmp_path / "out"))
    with pytest.raises(LangaudioError, match="cannot be read"):
        list(preview(tmp_path / "absent.mp3", tmp_path / "out"))
    with pytest.raises(LangaudioError, match="did you mean 'default'"):
        list(preview(file, tmp_path / "out", recipe="defualt"))
    assert not (tmp_path / "out").exists()


def test_the_command_has_two_names(clip: Path, tmp_path: Path) -> None:
    def said(*words: str) -> str:
        command = [sys.executable, "-m", "langaudio.cli", *words]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    page = tmp_path / "out" / "index.html"
    assert said("augment", "preview", str(clip), "--out", str(page.parent)) == str(page)
    assert page.exists()
    assert said("augment", "preview", "--help") == said("preview", "--help")
