"""Corpora of one's own: a folder or an ``s3://`` prefix of recordings, read as a source.

Three layouts are recognised by what is there: a manifest (``manifest.csv``, ``metadata.csv`` or either as
``.jsonl``), Common Voice (``train.tsv`` … beside ``clips/``), and a folder per language (Hugging Face's
``audiofolder``, VoxLingua107), below ``train/``, ``dev/`` and ``test/`` or not.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import logging
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from langaudio import languages
from langaudio.crawl.clips import Entry
from langaudio.crawl.harvest import Harvest
from langaudio.crawl.job import Put
from langaudio.errors import LangaudioError
from langaudio.settings import settings
from langaudio.speakers import Split, speaker_id, split_of
from langaudio.store import MissingObject, Store, store_of_bucket

log = logging.getLogger(__name__)

_MANIFESTS = ("manifest.csv", "manifest.jsonl", "metadata.csv", "metadata.jsonl")
_AUDIO = (".mp3", ".flac", ".wav", ".ogg", ".opus")
_TSV = ("train.tsv", "dev.tsv", "test.tsv", "validated.tsv")
_SPLITS: dict[str, Split] = {
    "train": "train", "dev": "dev", "valid": "dev", "validation": "dev", "test": "test",
}  # fmt: skip
_CC0 = "https://creativecommons.org/publicdomain/zero/1.0/"
# VoxLingua107 cuts videos: its file names begin with the video's id, which stands in for the speaker.
_VIDEO = re.compile(r"(.+)__U__S\d")


@dataclass(frozen=True)
class Recording:
    """A recording as its corpus describes it; None is what it does not say.

    Attributes:
        path: where it lies, relative to the corpus, with ``/``.
        speaker: whatever identifies the speaker in this corpus.
        split: side that the corpus puts the speaker on.
    """

    path: str
    language: str
    speaker: str | None = None
    split: Split | None = None
    licence: str | None = None
    title: str | None = None
    speaker_sex: str | None = None
    speaker_age: str | None = None


class Corpus:
    """A folder or prefix, with the layout that was recognised.

    Args:
        location: path of a folder, or ``s3://bucket/prefix``.

    Attributes:
        name: its last part, which the addresses of its recordings begin with.
        layout: ``manifest``, ``common_voice`` or ``audiofolder``.

    Raises:
        LangaudioError: there is nothing, or nothing that is recognised, or a manifest that cannot be read.
    """

    def __init__(self, location: str) -> None:
        if not location:
            raise LangaudioError(
                "No corpus is named: give its folder or s3:// prefix, or set LANGAUDIO_CORPUS."
            )
        self._files: _Files = (
            _bucket_files(location) if location.startswith("s3://") else _Folder(Path(location))
        )
        self.name = (
            PurePosixPath(location.rstrip("/")).name if "://" in location else Path(location).resolve().name
        )
        manifest = next((name for name in _MANIFESTS if self._files.exists(name)), None)
        listed = [] if manifest else sorted(self._files.paths())
        tables = [path for path in listed if PurePosixPath(path).name in _TSV]
        if manifest:
            self.layout, found = "manifest", list(_of_manifest(self._files, manifest))
        elif tables:
            self.layout, found = "common_voice", list(_of_common_voice(self._files, tables, self.name))
        else:
            self.layout, found = "audiofolder", list(_of_folders(listed))
        self._by_language: dict[str, list[Recording]] = defaultdict(list)
        for recording in _known_languages(found, location):
            self._by_language[recording.language].append(recording)
        if not self._by_language:
            raise LangaudioError(
                f"{location} has no recordings of a known language: it needs {', '.join(_MANIFESTS)}, Common "
                "Voice's *.tsv, or a folder per language with audio files in it (docs/adding-a-source.md)."
            )

    def languages(self) -> list[str]:
        """Return the tags of its languages, sorted."""
        return sorted(self._by_language)

    def recordings(self, language: str) -> list[Recording]:
        """Return a language's recordings, with the side of the split that is wanted for each.

        A corpus that holds out speakers under one name only (``dev`` or ``test``) tests them, and every sixth
        of its other speakers is held out on the side that is missing: training needs all three.

        Raises:
            LangaudioError: a speaker is on two sides.
        """
        return _on_all_sides(self._by_language[language])

    def read(self, recording: Recording, max_bytes: int) -> bytes:
        """Return the bytes of a recording.

        Raises:
            LangaudioError: there is no such file in the corpus, or it is larger than ``max_bytes``.
        """
        return self._files.read(recording.path, max_bytes)


def read(harvest: Harvest, put: Put, location: str) -> None:
    """Stage the recordings of a language that are not known: the reader of the source ``corpus``."""
    corpus = Corpus(location or settings().corpus)
    # What other corpora have had is none of this one's.
    harvest.full, harvest.scope = True, f"corpus:{_printable(corpus.name)}/"
    for recording in corpus.recordings(harvest.language):
        address = harvest.scope + _printable(recording.path)
        speaker = recording.speaker or (recording.path if recording.split not in (None, "train") else None)
        clip = harvest.meet(
            Entry(
                page_url=address,
                audio_url=address,
                title=recording.title,
                speaker=speaker
                and _named(harvest.source, _printable(f"{corpus.name} {speaker}"), recording.split),
                speaker_sex=recording.speaker_sex,
                speaker_age=recording.speaker_age,
                licence=recording.licence,
            )
        )
        if clip is None:
            continue
        if harvest.is_staged(clip):
            harvest.keep(clip)
            continue
        try:
            data = corpus.read(recording, round(settings().max_clip_mib * 2**20))
        except LangaudioError as error:
            harvest.keep(replace(clip, audio=None, problem="unreadable", problem_detail=str(error)))
            continue
        put(f"audio/{clip.audio}", data)
        harvest.keep(clip, len(data))


def _named(source: str, speaker: str, split: Split | None) -> str:
    """Return the name under which a speaker's pseudonym falls on a side of the split.

    The side is a function of the pseudonym alone. So a corpus that has sides of its own is honoured by the
    choice of the name: the speaker's own, or the first of its numbered ones that falls on the right side.
    """
    if split is None:
        return speaker
    names = itertools.chain([speaker], (f"{speaker} #{number}" for number in itertools.count(1)))
    return next(name for name in names if split_of(speaker_id(source, name)) == split)


def _on_all_sides(recordings: list[Recording]) -> list[Recording]:
    sides: dict[str, set[Split]] = defaultdict(set)
    for recording in recordings:
        if recording.speaker and recording.split:
            sides[recording.speaker].add(recording.split)
    for speaker, found in sides.items():
        if len(found) > 1:
            raise LangaudioError(
                f"The corpus has one speaker on two sides of its split ({', '.join(sorted(found))}; "
                f"{speaker[:40]!r}): a score would mean nothing. Put each speaker on one side."
            )
    present = {recording.split for recording in recordings}
    if present != {"train", "dev"} and present != {"train", "test"}:
        return recordings
    training = sorted({one.speaker for one in recordings if one.speaker and one.split == "train"})
    also_dev = set(training[5::6])
    return [
        replace(one, split="test" if one.split != "train" else "dev" if one.speaker in also_dev else "train")
        for one in recordings
    ]


def _known_languages(found: Iterable[Recording], location: str) -> Iterator[Recording]:
    unknown: Counter[str] = Counter()
    for recording in found:
        code = languages.recognise(recording.language)
        if code:
            yield replace(recording, language=code)
        else:
            unknown[recording.language] += 1
    if unknown:
        names = ", ".join(repr(name) for name, _ in unknown.most_common(5))
        log.warning(
            "%s: %d recordings are of languages that are not known: %s", location, unknown.total(), names
        )


def _printable(text: str) -> str:
    """Return a text that can be encoded: names of files may be no UTF-8, and JSON has half characters."""
    return text.encode(errors="backslashreplace").decode()


def _of_manifest(files: _Files, name: str) -> Iterator[Recording]:
    for number, row in _json_lines(files, name) if name.endswith(".jsonl") else _csv(files, name):
        told = {str(key).strip().lower(): str(value).strip() for key, value in row.items() if value}
        path = _first(told, "path", "file_name", "audio_filepath")
        language = _first(told, "language", "locale", "lang")
        if not path or not language:
            raise LangaudioError(
                f"{name}, line {number}: it needs path and language, and has {', '.join(told)}."
            )
        told = {key: _printable(value) for key, value in told.items()}
        split = _first(told, "split")
        if split and split.lower() not in _SPLITS:
            raise LangaudioError(f"{name}, line {number}: split {split!r} must be train, dev or test.")
        yield Recording(
            path=path,
            language=language,
            speaker=_first(told, "speaker", "speaker_id", "client_id"),
            split=_SPLITS[split.lower()] if split else None,
            licence=_first(told, "licence", "license"),
            title=_first(told, "title"),
            speaker_sex=_sex(_first(told, "sex", "gender")),
            speaker_age=_first(told, "age"),
        )


def _of_common_voice(files: _Files, tables: list[str], name: str) -> Iterator[Recording]:
    seen: set[str] = set()
    # Sentences and their voices stand in validated.tsv, too: the tables with a side come first.
    for table in sorted(tables, key=lambda path: _TSV.index(PurePosixPath(path).name)):
        folder = PurePosixPath(table).parent
        split = _SPLITS.get(PurePosixPath(table).stem)
        for _, row in _csv(files, table, delimiter="\t", quoting=csv.QUOTE_NONE):
            path = str(folder / "clips" / (row.get("path") or ""))
            if path in seen:
                continue
            seen.add(path)
            yield Recording(
                path=path,
                language=row.get("locale") or folder.name or name,
                speaker=row.get("client_id") or None,
                split=split,
                licence=_CC0,
                speaker_sex=_sex(row.get("gender")),
                speaker_age=row.get("age") or None,
            )


def _of_folders(paths: Iterable[str]) -> Iterator[Recording]:
    for path in paths:
        if not path.lower().endswith(_AUDIO):
            continue
        *folders, name = PurePosixPath(path).parts
        split = _SPLITS.get(folders[0].lower()) if folders else None
        if split:
            folders = folders[1:]
        if folders:
            video = _VIDEO.match(name)
            yield Recording(path, folders[0], speaker=video[1] if video else None, split=split)


def _text(files: _Files, name: str) -> str:
    try:
        return files.read(name, 2**30).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise LangaudioError(f"{name} is not UTF-8: {error.reason} at byte {error.start}.") from None


def _csv(files: _Files, name: str, **dialect: Any) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the rows of a table, each with the number of its last line."""
    rows = csv.DictReader(io.StringIO(_text(files, name), newline=""), **dialect)
    try:
        for row in rows:
            yield rows.line_num, row
    except csv.Error as error:
        raise LangaudioError(f"{name}, line {rows.line_num + 1} is no row of a table: {error}.") from None


def _json_lines(files: _Files, name: str) -> Iterator[tuple[int, dict[str, object]]]:
    """Yield the objects of a file, each with the number of its line."""
    for number, line in enumerate(_text(files, name).split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise LangaudioError(f"{name}, line {number} is no JSON: {error}.") from None
        if not isinstance(row, dict):
            raise LangaudioError(f"{name}, line {number} is no JSON object.")
        yield number, row


def _first(row: dict[str, str], *names: str) -> str | None:
    return next((row[name] for name in names if row.get(name)), None)


def _sex(text: str | None) -> str | None:
    word = (text or "").lower().partition("_")[0]
    return {"male": "male", "m": "male", "female": "female", "f": "female"}.get(word)


class _Files(Protocol):
    def exists(self, path: str) -> bool: ...

    def paths(self) -> Iterator[str]: ...

    def read(self, path: str, max_bytes: int) -> bytes: ...


class _Folder:
    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise LangaudioError(f"{root} is no folder: a corpus is a folder or an s3:// prefix.")
        self._root = root.resolve()

    def exists(self, path: str) -> bool:
        return (self._root / path).is_file()

    def paths(self) -> Iterator[str]:
        for folder, _, names in os.walk(self._root):
            yield from ((Path(folder) / name).relative_to(self._root).as_posix() for name in names)

    def read(self, path: str, max_bytes: int) -> bytes:
        try:
            file = (self._root / path).resolve()
            if not file.is_relative_to(self._root):
                raise LangaudioError(f"{path!r} leads out of the corpus.")
            if not file.is_file():
                raise LangaudioError(f"{path!r} is not there.")
            if file.stat().st_size > max_bytes:
                raise LangaudioError(f"{path!r} is larger than {max_bytes} bytes.")
            return file.read_bytes()
        except (OSError, ValueError, RuntimeError) as error:
            raise LangaudioError(f"{path!r} cannot be read: {error}.") from None


class _Prefix:
    def __init__(self, store: Store, prefix: str) -> None:
        self._store, self._prefix = store, prefix

    def exists(self, path: str) -> bool:
        return self._store.exists(self._prefix + path)

    def paths(self) -> Iterator[str]:
        return (item.key.removeprefix(self._prefix) for item in self._store.list(self._prefix))

    def read(self, path: str, max_bytes: int) -> bytes:
        if not path or {"", ".", ".."} & set(path.split("/")):
            raise LangaudioError(f"{path!r} leads out of the corpus.")
        try:
            return self._store.get(self._prefix + path, max_bytes)
        except MissingObject:
            raise LangaudioError(f"{path!r} is not there.") from None


def _bucket_files(location: str) -> _Prefix:
    bucket, _, prefix = location.removeprefix("s3://").partition("/")
    prefix = prefix.rstrip("/")
    return _Prefix(store_of_bucket(bucket), f"{prefix}/" if prefix else "")
