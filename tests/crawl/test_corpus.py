"""Recordings of one's own, in every layout, from a folder and from a bucket."""

from __future__ import annotations

import io
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from langaudio import catalog
from langaudio.audio import SAMPLE_RATE, decode
from langaudio.crawl.corpus import Corpus
from langaudio.crawl.stage import crawl
from langaudio.crawl.staging import Staging
from langaudio.errors import LangaudioError
from langaudio.services.config import PROJECT
from langaudio.speakers import split_of
from langaudio.store import Store, keys
from langaudio.upload import upload

SPEECH = PROJECT.parent / "shared" / "speech"
FORMATS = {"mp3": ("MP3", None), "flac": ("FLAC", None), "wav": ("WAV", None), "ogg": ("OGG", "VORBIS"),
           "opus": ("OGG", "OPUS")}  # fmt: skip


def fill(folder: Path, files: dict[str, bytes | str]) -> str:
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content.encode() if isinstance(content, str) else content)
    return str(folder)


def found(location: str, language: str = "fr") -> dict[str, tuple[str | None, str | None]]:
    return {one.path: (one.speaker, one.split) for one in Corpus(location).recordings(language)}


@pytest.mark.parametrize("name", ["manifest.csv", "metadata.csv"])
def test_a_manifest_in_csv_is_read(tmp_path: Path, name: str) -> None:
    text = "path,language,speaker,licence,sex\na.wav,fr,anna,CC0,F\nb.wav,pt-BR,bob,,\nc.wav,fr,,,\n"
    corpus = Corpus(fill(tmp_path, {name: text}))
    assert (corpus.layout, corpus.languages()) == ("manifest", ["fr", "pt"])
    first, second = corpus.recordings("fr")
    assert (first.path, first.speaker, first.licence, first.speaker_sex) == ("a.wav", "anna", "CC0", "female")
    assert (second.path, second.speaker, second.licence) == ("c.wav", None, None)


def test_a_manifest_in_json_lines_is_read(tmp_path: Path) -> None:
    lines = '{"audio_filepath": "a.wav", "lang": "fra", "speaker_id": 7}\n\n'
    lines += '{"file_name": "b.wav", "language": "German"}\n'
    corpus = Corpus(fill(tmp_path, {"manifest.jsonl": lines}))
    assert corpus.languages() == ["de", "fr"]
    assert corpus.recordings("fr")[0].speaker == "7"


def test_common_voice_is_read_with_its_sides(tmp_path: Path) -> None:
    head = "client_id\tpath\tsentence\tup_votes\tage\tgender\tlocale\n"
    location = fill(
        tmp_path / "cv-corpus-17.0",
        {
            "fr/train.tsv": head + 'anna\ta.mp3\tDit "non\t2\tthirties\tfemale_feminine\tfr\n',
            "fr/dev.tsv": head + "bob\tb.mp3\tOui\t2\t\t\tfr\n",
            "fr/test.tsv": head + "carl\tc.mp3\tOui\t2\t\tmale\tfr\n",
            "fr/validated.tsv": head + "anna\ta.mp3\tNon\t2\t\t\tfr\ndora\td.mp3\tNon\t2\t\t\tfr\n",
        },
    )
    assert Corpus(location).layout == "common_voice"
    assert found(location) == {
        "fr/clips/a.mp3": ("anna", "train"),
        "fr/clips/b.mp3": ("bob", "dev"),
        "fr/clips/c.mp3": ("carl", "test"),
        "fr/clips/d.mp3": ("dora", None),
    }
    first = Corpus(location).recordings("fr")[0]
    assert (first.speaker_sex, "publicdomain/zero" in str(first.licence)) == ("female", True)


def test_folders_are_read_with_their_sides_and_videos(tmp_path: Path) -> None:
    location = fill(
        tmp_path,
        {
            "train/fr/Xy-1__U__S0---0001.000-0009.000.wav": b"x",
            "train/fr/Xy-1__U__S1---0019.000-0029.000.wav": b"x",
            "validation/fr/b.flac": b"x",
            "test/iw/c.opus": b"x",
            "README.md": "text",
            "train/fr/notes.txt": "text",
        },
    )
    assert Corpus(location).layout == "audiofolder"
    assert Corpus(location).languages() == ["fr", "he"]
    sides = {path.rpartition("/")[2]: (speaker, split) for path, (speaker, split) in found(location).items()}
    assert sides["Xy-1__U__S0---0001.000-0009.000.wav"][0] == "Xy-1"
    assert sides["b.flac"][1] == "test"  # held out under one name only


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({}, "has no recordings of a known language"),
        ({"x/y.wav": b""}, "has no recordings of a known language"),
        ({"manifest.csv": "file,language\na.wav,fr\n"}, "line 2: it needs path and language"),
        ({"manifest.csv": "path,language,split\na.wav,fr,half\n"}, "split 'half' must be"),
        ({"manifest.csv": b"path,language\n\xff.wav,fr\n"}, "not UTF-8"),
        ({"manifest.jsonl": "{"}, "line 1 is no JSON"),
        ({"manifest.jsonl": "[1]"}, "no JSON object"),
        ({"manifest.jsonl": "\n" + "[" * 100_000}, "line 2 is no JSON"),
        ({"manifest.jsonl": '{"path": "a.wav"}'}, "line 1: it needs path and language"),
        ({"manifest.csv": "path,language\n" + "x" * 200_000}, "line 2 is no row of a table"),
        ({"train.tsv": "path\tlocale\n" + "x" * 200_000}, "line 2 is no row of a table"),
    ],
)
def test_what_is_no_corpus_is_refused_in_a_sentence(
    tmp_path: Path, files: dict[str, bytes | str], sentence: str
) -> None:
    with pytest.raises(LangaudioError, match=sentence):
        Corpus(fill(tmp_path, files))


@pytest.mark.parametrize("location", ["", "/nowhere/at/all"])
def test_no_folder_is_refused_in_a_sentence(location: str) -> None:
    with pytest.raises(LangaudioError, match=r"a corpus is a folder|give its folder"):
        Corpus(location)


def test_a_speaker_on_two_sides_is_refused(tmp_path: Path) -> None:
    text = "path,language,speaker,split\na.wav,fr,anna,train\nb.wav,fr,anna,test\n"
    with pytest.raises(LangaudioError, match="one speaker on two sides"):
        Corpus(fill(tmp_path, {"manifest.csv": text})).recordings("fr")


def test_a_language_that_nobody_knows_is_left_out_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = "path,language\na.wav,fr\nb.wav,tlh\nc.wav,tlh\n"
    assert Corpus(fill(tmp_path, {"manifest.csv": text})).languages() == ["fr"]
    assert "2 recordings are of languages that are not known: 'tlh'" in caplog.text


def test_one_held_out_side_becomes_two(tmp_path: Path) -> None:
    rows = [f"t{number}.wav,fr,speaker-{number},train" for number in range(12)]
    rows += [f"d{number}.wav,fr,other-{number},dev" for number in range(3)]
    sides: dict[str | None, set[str]] = defaultdict(set)
    manifest = {"manifest.csv": "path,language,speaker,split\n" + "\n".join(rows)}
    for speaker, split in found(fill(tmp_path, manifest)).values():
        sides[split].add(str(speaker))
    assert {side: len(speakers) for side, speakers in sides.items()} == {"train": 10, "dev": 2, "test": 3}
    assert all(speaker.startswith("other") for speaker in sides["test"])


@pytest.mark.parametrize(
    "path", ["../secret.txt", "/etc/passwd", "link.wav", "folder", "absent.wav", "a\0b", "x" * 300]
)
def test_nothing_outside_the_corpus_is_read(store: Store, tmp_path: Path, path: str) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    root = tmp_path / "corpus"
    location = fill(
        root,
        {
            "manifest.jsonl": f'{{"path": {path!r}, "language": "fr"}}'.replace("'", '"').replace(
                "\\x00", "\\u0000"
            )
        },
    )
    (root / "folder").mkdir()
    (root / "link.wav").symlink_to(tmp_path / "secret.txt")
    stats = crawl(store, "fr", source="corpus", run="one", location=location)
    assert stats["refused"] == {"unreadable": 1}
    report = upload(store, "fr", source="corpus", run="one")
    assert report.quarantined == {"unreadable": 1}


def test_what_is_no_text_in_names_and_manifests_goes_into_the_catalog_as_text(
    store: Store, tmp_path: Path, spoken: bytes, also_spoken: bytes
) -> None:
    folder = Path(fill(tmp_path / "mine", {"fr/a.mp3": spoken}))
    (folder / "fr" / "caf\udce9.mp3").write_bytes(also_spoken)  # Latin-1
    crawl(store, "fr", source="corpus", run="one", location=str(folder))
    assert upload(store, "fr", source="corpus", run="one").published == 2
    assert {row["page_url"] for row in catalog.read(store, "fr", ["page_url"]).to_pylist()} == {
        "corpus:mine/fr/a.mp3", "corpus:mine/fr/caf\\udce9.mp3",
    }  # fmt: skip
    assert crawl(store, "fr", source="corpus", run="two", location=str(folder))["new"] == 0

    half = json.dumps({"path": "a.mp3", "language": "de", "speaker": "\ud800", "title": "\ud800"})
    location = fill(tmp_path / "other", {"manifest.jsonl": half, "a.mp3": spoken + b"TAG".ljust(128)})
    crawl(store, "de", source="corpus", run="one", location=location)
    assert upload(store, "de", source="corpus", run="one").published == 1
    assert catalog.read(store, "de", ["title"]).to_pylist() == [{"title": "\\ud800"}]


def test_a_second_corpus_leaves_the_first_alone(
    store: Store, tmp_path: Path, spoken: bytes, also_spoken: bytes
) -> None:
    one = fill(tmp_path / "one", {"fr/a.mp3": spoken, "fr/b.mp3": also_spoken})
    other = fill(tmp_path / "other", {"fr/c.mp3": spoken + b"TAG".ljust(128)})
    for run, location in enumerate((one, other)):
        stats = crawl(store, "fr", source="corpus", run=f"{run}", location=location)
        assert upload(store, "fr", source="corpus", run=f"{run}").published == stats["new"]
    assert [row["gone"] for row in catalog.read(store, "fr", ["gone"]).to_pylist()] == [False] * 3
    # What vanishes from a corpus is gone from that one.
    Path(one, "fr/a.mp3").unlink()
    assert crawl(store, "fr", source="corpus", run="3", location=one)["gone"] == 1


def test_a_reader_tells_what_a_spider_tells(store: Store, tmp_path: Path) -> None:
    stats = crawl(store, "fr", source="corpus", run="one", location=fill(tmp_path, {"fr/a.mp3": b"x" * 9}))
    told = (
        "pages",
        "seen",
        "new",
        "changed",
        "gone",
        "audio_bytes",
        "response_bytes",
        "requests",
        "waited_s",
    )
    assert [stats[name] for name in told] == [0, 1, 1, 0, 0, 9, 0, 0, 0]


@given(st.text(max_size=60))
def test_no_path_leads_out(tmp_path_factory: pytest.TempPathFactory, path: str) -> None:
    root = tmp_path_factory.getbasetemp() / "safe"
    fill(root, {"manifest.csv": "path,language\nin.wav,fr\n", "in.wav": b"inside"})
    (root.parent / "outside.txt").write_text("outside")
    try:
        data = Corpus(str(root))._files.read(path, 10_000)
    except LangaudioError:
        return
    assert data in (b"inside", b"path,language\nin.wav,fr\n")


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    corpus = Corpus(fill(tmp_path, {"fr/a.wav": bytes(1000)}))
    with pytest.raises(LangaudioError, match="larger than 999 bytes"):
        corpus.read(corpus.recordings("fr")[0], 999)


@pytest.mark.parametrize("place", ["folder", "bucket"])
def test_every_format_goes_through_the_same_checks_into_the_corpus(
    store: Store, tmp_path: Path, spoken: bytes, place: str
) -> None:
    samples, rate = decode(spoken).samples, SAMPLE_RATE
    files: dict[str, bytes | str] = {
        "fr/text.wav": "no audio",
        "fr/silence.wav": _as(np.zeros(rate * 3), rate, "wav"),
    }
    for number, kind in enumerate(FORMATS):
        files[f"fr/clip.{kind}"] = _as(samples[number * 100 :], rate, kind)
    location = fill(tmp_path / "mine", files)
    if place == "bucket":
        for path, content in files.items():
            store.put(f"given/mine/{path}", content if isinstance(content, bytes) else content.encode())
        location = f"s3://{store.bucket}/given/mine"
    stats = crawl(store, "fr", source="corpus", run="one", location=location)
    assert (stats["seen"], stats["new"]) == (7, 7)
    report = upload(store, "fr", source="corpus", run="one")
    assert (report.published, report.quarantined) == (5, {"not_audio": 1, "silent": 1})
    rows = catalog.read(store, "fr", ["clip_id", "format", "source_url"]).to_pylist()
    assert {row["format"] for row in rows} == set(FORMATS)
    for row in rows:
        assert row["source_url"] == f"corpus:mine/fr/clip.{row['format']}"
        assert store.get(keys.raw("fr", row["clip_id"], row["format"])) == files[f"fr/clip.{row['format']}"]
    again = crawl(store, "fr", source="corpus", run="two", location=location)
    assert (again["new"], again["gone"]) == (0, 0)


def test_the_split_of_a_corpus_is_honoured_by_the_pseudonyms(store: Store, tmp_path: Path) -> None:
    rows = [
        f"{split}{number}.wav,fr,{split}-{number},{split}"
        for split in ("train", "dev", "test")
        for number in range(5)
    ]
    files: dict[str, bytes | str] = {"manifest.csv": "path,language,speaker,split\n" + "\n".join(rows)}
    files |= {row.partition(",")[0]: row for row in rows}
    crawl(store, "fr", source="corpus", run="one", location=fill(tmp_path, files))
    clips = Staging(store, "corpus", "one", "fr").clips()
    assert len({clip.speaker_id for clip in clips}) == 15
    for clip in clips:
        assert split_of(clip.speaker_id) in clip.page_url


def _as(samples: np.ndarray, rate: int, kind: str) -> bytes:
    buffer = io.BytesIO()
    container, subtype = FORMATS[kind]
    soundfile.write(buffer, samples, rate, format=container, subtype=subtype)
    return buffer.getvalue()


if SPEECH.is_dir():

    def test_a_corpus_of_real_speech_has_all_sides_in_every_language() -> None:
        corpus = Corpus(str(SPEECH))
        assert len(corpus.languages()) == 10
        recordings = [one for language in corpus.languages() for one in corpus.recordings(language)]
        assert len(recordings) == 673
        for language in corpus.languages():
            assert {one.split for one in corpus.recordings(language)} == {"train", "dev", "test"}
