"""The corpus for other tools: tables, and a folder of clips."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from langaudio import catalog
from langaudio.crawl.corpus import Corpus
from langaudio.errors import LangaudioError
from langaudio.export import export_to
from langaudio.store import Store, keys
from tests.test_catalog import row


@pytest.fixture
def corpus(store: Store) -> Store:
    for language, number in (("fr", 3), ("en", 2)):
        rows = [row(f"{clip:020x}", language=language, title='a "b", c') for clip in range(number)]
        rows[0] |= {"speaker_id": "ab", "split": "test" if language == "fr" else "train"}
        catalog.write_part(store, language, "one", rows)
        for one in rows:
            store.put(keys.raw(language, one["clip_id"], "mp3"), one["clip_id"].encode())
    return store


def test_a_csv_has_a_row_for_each_clip(corpus: Store, tmp_path: Path) -> None:
    assert export_to(corpus, tmp_path / "all.csv") == 5
    with (tmp_path / "all.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [one["language"] for one in rows] == ["en"] * 2 + ["fr"] * 3
    assert rows[0]["title"] == 'a "b", c'
    assert rows[0]["first_seen"].startswith("2026-11-01T00:00:00")


def test_json_lines_keep_types(corpus: Store, tmp_path: Path) -> None:
    assert export_to(corpus, tmp_path / "fr.jsonl", ["fr"]) == 3
    rows = [json.loads(line) for line in (tmp_path / "fr.jsonl").read_text().splitlines()]
    assert rows[0]["duration_s"] == 5.0
    assert rows[0]["page_url"] is None


def test_a_folder_is_an_audiofolder_that_can_be_imported(corpus: Store, tmp_path: Path) -> None:
    assert export_to(corpus, tmp_path / "folder") == 5
    # Hugging Face's loader reads a side's metadata.csv, whose file names are relative to it.
    for side, number in (("train", 4), ("test", 1)):
        with (tmp_path / "folder" / side / "metadata.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == number
        for one in rows:
            clip = tmp_path / "folder" / side / one["file_name"]
            assert clip.read_bytes() == clip.stem.encode()
            assert clip.parent.name == one["language"]
    again = Corpus(str(tmp_path / "folder"))
    assert again.languages() == ["en", "fr"]
    (tested,) = (one for one in again.recordings("fr") if one.split == "test")
    assert again.read(tested, 100) == f"{0:020x}".encode()
    assert tested.speaker == "ab"
    assert len(again.recordings("fr")) == 3


def test_what_cannot_be_exported_is_told(corpus: Store, tmp_path: Path) -> None:
    with pytest.raises(LangaudioError, match="has no 'de'; it has en, fr"):
        export_to(corpus, tmp_path / "a.csv", ["de"])
    with pytest.raises(LangaudioError, match=r"name a \.csv or a \.jsonl file"):
        export_to(corpus, tmp_path / "a.xlsx")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    for taken in (tmp_path / "full", tmp_path / "full" / "file"):
        with pytest.raises(LangaudioError, match="is there and not empty"):
            export_to(corpus, taken)
    with pytest.raises(LangaudioError, match=r"nowhere/a\.csv cannot be written: No such file"):
        export_to(corpus, tmp_path / "nowhere" / "a.csv")
