from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from langaudio.demo import contents
from langaudio.demo.site import app, build_from_corpus
from langaudio.errors import LangaudioError
from langaudio.speakers import speaker_id, split_of
from tests.demo.conftest import served

pytestmark = pytest.mark.usefixtures("speaker_key")

COLUMNS = ["path", "language", "speaker", "split", "duration_s", "licence", "source"]
LICENCE = "CC BY-SA 4.0 (the card); speakers keep their rights"


def row(number: int, language: str, speaker: str, split: str = "train") -> dict[str, Any]:
    return {
        "path": f"{language}/{number}.flac",
        "language": language,
        "speaker": speaker,
        "split": split,
        "duration_s": 1.0,
        "licence": LICENCE,
        "source": "A <b>corpus</b>",
    }


def write_manifest(corpus: Path, rows: list[dict[str, Any]], columns: list[str] = COLUMNS) -> None:
    with (corpus / "manifest.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Two languages: thirteen training speakers of Dutch, two who are held out, one speaker of Persian."""
    rows = [row(number, "nl", f"s{number}") for number in range(13)]
    rows += [
        row(13, "nl", "s0"),
        row(14, "nl", "held1", "dev"),
        row(15, "nl", "held2", "test"),
        row(16, "fa", "p"),
    ]
    folder = tmp_path / "corpus"
    for number, clip in enumerate(rows):
        path = folder / clip["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        tone = 0.3 * np.sin(2 * np.pi * (200 + 50 * number) * np.arange(16_000) / 16_000)
        soundfile.write(path, tone, 16_000)
    write_manifest(folder, rows)
    return folder


def test_held_out_speakers_are_tested_and_every_sixth_of_the_others_is_dev(
    tmp_path: Path, corpus: Path
) -> None:
    build_from_corpus(tmp_path / "site", corpus)
    side_of = {
        entry.auteur: entry.side for entry in contents.read(tmp_path / "site") if entry.language == "nl"
    }
    assert Counter(side_of.values()) == {"train": 11, "dev": 2, "test": 2}
    for auteur, side in side_of.items():
        assert split_of(speaker_id(source="demo", speaker=f"auteur{auteur}")) == side


def test_every_clip_is_the_recording_as_mp3_under_its_speakers_number(tmp_path: Path, corpus: Path) -> None:
    build_from_corpus(tmp_path / "site", corpus)
    entries = [entry for entry in contents.read(tmp_path / "site") if entry.language == "nl"]
    heard: dict[int, set[int]] = {}
    for entry in entries:
        assert entry.mp3 is not None
        samples, sample_rate = soundfile.read(tmp_path / "site" / contents.MP3_FOLDER / entry.mp3)
        assert (len(samples), sample_rate) == (16_000, 16_000)
        heard.setdefault(entry.auteur, set()).add(int(np.abs(np.fft.rfft(samples)).argmax()))
    tones = {200 + 50 * number for number in range(16)}
    assert set.union(*heard.values()) == tones
    assert {200, 200 + 50 * 13} in heard.values()


def test_a_corpus_is_served_in_the_same_structure_with_its_own_licence(tmp_path: Path, corpus: Path) -> None:
    build_from_corpus(tmp_path / "site", corpus)
    with served(tmp_path / "site") as browser:
        page = browser.get("/spip.php?rubrique102&lang=en").text
    assert "<h2>16 Resources</h2>" in page
    assert 'href="https://creativecommons.org/licenses/by-sa/4.0/"' in page
    assert "A &lt;b&gt;corpus&lt;/b&gt;" in page
    assert "<b>corpus</b>" not in page


def test_the_same_manifest_is_not_encoded_twice_and_a_changed_one_is(tmp_path: Path, corpus: Path) -> None:
    site = tmp_path / "site"
    build_from_corpus(site, corpus)
    before = (site / "site.json").stat().st_mtime_ns
    build_from_corpus(site, corpus)
    assert (site / "site.json").stat().st_mtime_ns == before
    write_manifest(corpus, [row(0, "nl", "s0")])
    build_from_corpus(site, corpus)
    assert [path.name for path in (site / contents.MP3_FOLDER).iterdir()] == ["nl_0001.mp3"]


def test_a_folder_without_a_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LangaudioError, match=r"manifest\.csv does not exist"):
        build_from_corpus(tmp_path / "site", tmp_path)


@pytest.mark.parametrize("column", ["path", "language", "speaker", "split", "licence", "source"])
def test_a_missing_column_is_named(tmp_path: Path, corpus: Path, column: str) -> None:
    write_manifest(corpus, [row(0, "nl", "s0")], [name for name in COLUMNS if name != column])
    with pytest.raises(LangaudioError, match=f"lacks the column {column};"):
        build_from_corpus(tmp_path / "site", corpus)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"path": "nl/none.flac"}, r"line 3: the file 'nl/none\.flac' does not exist"),
        ({"path": ""}, "line 3: the file '' does not exist"),
        ({"language": "xx"}, "line 3: 'xx' is not a known language tag"),
        ({"split": "valid"}, "line 3: split 'valid' must be train, dev or test"),
    ],
)
def test_a_wrong_row_is_told_with_its_line_before_anything_is_built(
    tmp_path: Path, corpus: Path, wrong: dict[str, str], sentence: str
) -> None:
    write_manifest(corpus, [row(0, "nl", "s0"), {**row(1, "nl", "s1"), **wrong}])
    with pytest.raises(LangaudioError, match=sentence):
        build_from_corpus(tmp_path / "site", corpus)
    assert not (tmp_path / "site").exists()


def test_an_empty_manifest_is_refused(tmp_path: Path, corpus: Path) -> None:
    write_manifest(corpus, [])
    with pytest.raises(LangaudioError, match="names no clip"):
        build_from_corpus(tmp_path / "site", corpus)


def test_a_file_that_is_no_audio_is_named_and_leaves_no_complete_site(tmp_path: Path, corpus: Path) -> None:
    (corpus / "nl/0.flac").write_text("not audio")
    with pytest.raises(LangaudioError, match=r"nl/0\.flac cannot be made an MP3"):
        build_from_corpus(tmp_path / "site", corpus)
    with pytest.raises(LangaudioError, match="not a complete demo site"):
        app(tmp_path / "site")
