"""Build a site out of real recordings: a folder of audio files with a ``manifest.csv``.

The manifest's columns: ``path`` (relative to the folder), ``language``, ``speaker``, ``split``
(``train``; ``dev`` or ``test`` are held out), ``licence``, ``source``.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import soundfile

from langaudio.audio import mp3
from langaudio.demo import casting, contents
from langaudio.demo.contents import Entry
from langaudio.errors import LangaudioError
from langaudio.languages import get, section
from langaudio.speakers import Split

# Raise it when the same corpus gives another site than before: sites built earlier are then rebuilt.
_VERSION = 1

_COLUMNS = ("path", "language", "speaker", "split", "licence", "source")
_KBPS = 64

_CREATIVE_COMMONS = re.compile(r"\bCC[ -](BY(?:-NC)?(?:-SA|-ND)?)[ -](\d\.\d)\b", re.IGNORECASE)
_CC0 = re.compile(r"\bCC0\b", re.IGNORECASE)

_Row = dict[str, str]


@dataclass(frozen=True)
class _Clip:
    """One clip, planned.

    Attributes:
        row: what the manifest says of it.
        article: number of its page.
        number: which of its language's clips it is, from 1.
        auteur: number of its speaker.
        side: side of the split that the pipeline puts the speaker on.
    """

    row: _Row
    article: int
    number: int
    auteur: int
    side: Split


def build_from_corpus(folder: Path, corpus: Path) -> None:
    """Build a site of a corpus; a folder that was built from the same manifest is left alone.

    A speaker whom the manifest holds out is tested. Of a language's other speakers every sixth is dev. The
    speakers' numbers are chosen so that the pipeline agrees, see ``casting``.

    Args:
        folder: created if it does not exist.
        corpus: folder with ``manifest.csv``.

    Raises:
        LangaudioError: no manifest, a column, a file or a language that is missing, a file that is no audio
            or that MP3 cannot hold, or the key of speakers is not set.
    """
    rows = _rows(corpus)
    contents.build_once(folder, made_with(corpus), lambda mp3s: _make(mp3s, corpus, rows))


def made_with(corpus: Path) -> dict[str, Any]:
    """Return what decides the site of a corpus, as ``contents.made_with`` keeps it.

    Raises:
        LangaudioError: no manifest, or the key of speakers is not set.
    """
    return {
        "kind": "corpus",
        "version": _VERSION,
        "manifest": hashlib.sha256(_manifest(corpus)[1]).hexdigest(),
        "numbering": casting.fingerprint(),
    }


def _manifest(corpus: Path) -> tuple[Path, bytes]:
    manifest = corpus / "manifest.csv"
    if not manifest.is_file():
        raise LangaudioError(f"{manifest} does not exist: a corpus is a folder with a manifest.csv.")
    return manifest, manifest.read_bytes()


def _rows(corpus: Path) -> list[_Row]:
    """Read the manifest and check everything that can be checked before the work begins."""
    manifest, data = _manifest(corpus)
    try:
        reader = csv.DictReader(io.StringIO(data.decode("utf-8-sig")), restval="")
    except UnicodeDecodeError as error:
        raise LangaudioError(f"{manifest} is not UTF-8: {error.reason} at byte {error.start}.") from None
    missing = [column for column in _COLUMNS if column not in (reader.fieldnames or ())]
    if missing:
        raise LangaudioError(f"{manifest} lacks the column {missing[0]}; it needs {', '.join(_COLUMNS)}.")
    rows = []
    for row in reader:
        where = f"{manifest}, line {reader.line_num}:"
        try:
            section(row["language"], "demo")
        except LangaudioError as error:
            raise LangaudioError(f"{where} {error}") from None
        if row["split"] not in ("train", "dev", "test"):
            raise LangaudioError(f"{where} split {row['split']!r} must be train, dev or test.")
        if not (manifest.parent / row["path"]).is_file():
            raise LangaudioError(f"{where} the file {row['path']!r} does not exist.")
        rows.append(row)
    if not rows:
        raise LangaudioError(f"{manifest} names no clip.")
    return rows


def _make(mp3s: Path, corpus: Path, rows: list[_Row]) -> list[Entry]:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(lambda clip: _encode(mp3s, corpus, clip), _plan(rows)))


def _plan(rows: list[_Row]) -> list[_Clip]:
    numbers = casting.numbers()
    sides = _sides(rows)
    auteurs = {speaker: next(numbers[side]) for speaker, side in sides.items()}
    nth_of_language: Counter[str] = Counter()
    numbered = []
    for row in rows:
        nth_of_language[row["language"]] += 1
        numbered.append((nth_of_language[row["language"]], row))
    # Languages take turns, so that each has clips among the site's newest.
    numbered.sort(key=lambda item: item[0])
    return [
        _Clip(row, article, number, auteurs[row["speaker"]], sides[row["speaker"]])
        for article, (number, row) in enumerate(numbered, start=1)
    ]


def _sides(rows: list[_Row]) -> dict[str, Split]:
    """Return the side of each speaker, in the order in which the manifest names them first."""
    held_out = {row["speaker"] for row in rows if row["split"] != "train"}
    language_of: dict[str, str] = {}
    for row in rows:
        language_of.setdefault(row["speaker"], row["language"])
    nth_of_language: Counter[str] = Counter()
    sides: dict[str, Split] = {}
    for speaker, language in language_of.items():
        if speaker in held_out:
            sides[speaker] = "test"
        else:
            nth_of_language[language] += 1
            sides[speaker] = "dev" if nth_of_language[language] % 6 == 0 else "train"
    return sides


def _encode(mp3s: Path, corpus: Path, clip: _Clip) -> Entry:
    """Write the MP3 of a clip, and return its entry."""
    row = clip.row
    name = f"{row['language']}_{clip.number:04}.mp3"
    try:
        samples, sample_rate = soundfile.read(corpus / row["path"], dtype="float32", always_2d=True)
        data = mp3.encode(samples[:, :2], sample_rate, _KBPS)
    except soundfile.LibsndfileError as error:
        raise LangaudioError(f"{row['path']} cannot be made an MP3: {error.error_string}") from None
    (mp3s / name).write_bytes(data)
    duration_s = len(samples) / sample_rate
    return Entry(
        article=clip.article,
        language=row["language"],
        section=int(section(row["language"], "demo")),
        title=f"{get(row['language']).name}, recording {clip.number}",
        summary=f"From {row['source']}.",
        auteur=clip.auteur,
        speaker=f"Speaker {clip.auteur} ({row['source']})",
        side=clip.side,
        tags=(contents.length_tag(duration_s),),
        licence=row["licence"],
        licence_url=_licence_url(row["licence"]),
        mp3=name,
        bytes=len(data),
        duration_s=round(duration_s, 3),
    )


def _licence_url(licence: str) -> str:
    """Return the address of the first Creative Commons licence that a text names, or an empty string.

    >>> _licence_url("CC BY-SA 4.0, see the card")
    'https://creativecommons.org/licenses/by-sa/4.0/'
    """
    if found := _CREATIVE_COMMONS.search(licence):
        return f"https://creativecommons.org/licenses/{found[1].lower()}/{found[2]}/"
    if _CC0.search(licence):
        return "https://creativecommons.org/publicdomain/zero/1.0/"
    return ""
