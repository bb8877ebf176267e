from __future__ import annotations

import hashlib
import io
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from langaudio.demo import contents, sentences
from langaudio.demo.contents import Entry
from langaudio.demo.site import build_synthetic
from langaudio.demo.synthetic import DEFECTS
from langaudio.errors import LangaudioError
from langaudio.speakers import speaker_id, split_of
from tests.demo.conftest import keyed

TINY: dict[str, Any] = {"languages": ("fr", "zh"), "speakers": 1, "clips": 1}


def file_of(site: Path, entry: Entry) -> Path:
    assert entry.mp3 is not None
    return site / contents.MP3_FOLDER / entry.mp3


def bytes_of(site: Path) -> dict[str, bytes]:
    return {str(path.relative_to(site)): path.read_bytes() for path in site.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def good(site: Path) -> list[Entry]:
    return [entry for entry in contents.read(site) if entry.defect is None]


@pytest.fixture(scope="module")
def bad(site: Path) -> dict[str, list[Entry]]:
    entries = contents.read(site)
    return {defect: [entry for entry in entries if entry.defect == defect] for defect in DEFECTS}


def test_every_language_has_all_its_good_clips_beside_the_bad(good: list[Entry]) -> None:
    assert Counter(entry.language for entry in good) == dict.fromkeys(sentences.LANGUAGES, 10)


def test_good_clips_last_4_to_12_s_and_sound(site: Path, good: list[Entry]) -> None:
    for entry in good:
        samples, sample_rate = soundfile.read(file_of(site, entry), always_2d=True)
        assert 4 <= len(samples) / sample_rate <= 12
        assert len(samples) / sample_rate == pytest.approx(entry.duration_s, abs=0.1)
        assert 0.03 < np.sqrt(np.mean(samples**2)) < 0.2


def test_recordings_differ_in_rate_channels_and_bitrate_alike_in_all_languages(
    site: Path, good: list[Entry]
) -> None:
    recordings: dict[str, Counter[tuple[int, int, int]]] = {}
    for entry in good:
        info = soundfile.info(file_of(site, entry))
        kbps = round(entry.bytes * 8 / info.duration / 8000) * 8
        recordings.setdefault(entry.language, Counter())[info.samplerate, info.channels, kbps] += 1
    french = recordings["fr"]
    for position, fewest in ((0, 5), (1, 2), (2, 5)):
        assert len({recording[position] for recording in french}) >= fewest
    assert all({r[:2] for r in own} == {r[:2] for r in french} for own in recordings.values())


def test_no_two_good_clips_are_the_same_file(site: Path, good: list[Entry]) -> None:
    assert len({hashlib.sha256(file_of(site, entry).read_bytes()).digest() for entry in good}) == len(good)


@pytest.mark.usefixtures("speaker_key")
def test_a_speaker_is_one_number_on_the_side_that_the_pipeline_decides(good: list[Entry]) -> None:
    auteurs = {entry.auteur: (entry.language, entry.speaker) for entry in good}
    assert len(auteurs) == len(set(auteurs.values())) == 3 * len(sentences.LANGUAGES)
    for entry in good:
        assert split_of(speaker_id(source="demo", speaker=f"auteur{entry.auteur}")) == entry.side
    for language in sentences.LANGUAGES:
        sides = Counter(entry.side for entry in good if entry.language == language)
        assert sides == {"train": 4, "dev": 3, "test": 3}


def test_test_speakers_say_nothing_that_training_speakers_say(good: list[Entry]) -> None:
    said = {side: {e.summary for e in good if e.side == side} for side in ("train", "dev", "test")}
    assert not said["train"] & said["test"]
    assert not said["train"] & said["dev"]
    assert not said["dev"] & said["test"]


def test_the_sex_tag_is_the_voices(good: list[Entry]) -> None:
    tags = {
        entry.speaker.split(" (")[0]: set(entry.tags) & {16, 17} for entry in good if entry.language == "fr"
    }
    assert tags == {"Camille": {17}, "Adrien": {16}, "Élodie": {17}}


def test_bad_entries_are_spread_over_the_languages(bad: dict[str, list[Entry]]) -> None:
    assert {defect: len(entries) for defect, entries in bad.items()} == {
        **dict.fromkeys(DEFECTS, 1),
        "two_languages": 2,
    }
    assert {entry.language for entries in bad.values() for entry in entries} == set(sentences.LANGUAGES)


def test_no_audio_names_no_file(bad: dict[str, list[Entry]]) -> None:
    assert bad["no_audio"][0].mp3 is None


def test_text_as_mp3_is_text(site: Path, bad: dict[str, list[Entry]]) -> None:
    file = file_of(site, bad["text_as_mp3"][0])
    assert file.suffix == ".mp3"
    assert file.read_text("ascii").rstrip().isprintable()
    with pytest.raises(soundfile.LibsndfileError):
        soundfile.read(file)


def test_truncated_ends_before_the_length_that_it_announces(site: Path, bad: dict[str, list[Entry]]) -> None:
    data = file_of(site, bad["truncated"][0]).read_bytes()
    announced = soundfile.info(io.BytesIO(data)).frames
    samples, _ = soundfile.read(io.BytesIO(data))
    assert 0 < len(samples) < announced / 2


def test_silent_is_a_valid_file_without_a_sound(site: Path, bad: dict[str, list[Entry]]) -> None:
    samples, sample_rate = soundfile.read(file_of(site, bad["silent"][0]))
    assert len(samples) / sample_rate >= 4
    assert np.abs(samples).max() < 1e-4


def test_two_languages_list_one_valid_file(site: Path, bad: dict[str, list[Entry]]) -> None:
    one, other = bad["two_languages"]
    assert one.mp3 == other.mp3
    assert {one.language, other.language} == {"ru", "zh"}
    assert one.article != other.article
    assert soundfile.info(file_of(site, one)).duration >= 4


def test_missing_file_is_named_and_not_there(site: Path, bad: dict[str, list[Entry]]) -> None:
    assert not file_of(site, bad["missing_file"][0]).exists()


def test_the_folder_holds_only_what_the_site_needs(site: Path) -> None:
    named = {entry.mp3 for entry in contents.read(site) if entry.defect not in ("no_audio", "missing_file")}
    assert set(bytes_of(site)) == {"site.json", *(f"IMG/mp3/{name}" for name in named)}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site that tests copy, to build again over the copy."""
    folder = tmp_path_factory.mktemp("demo") / "tiny"
    with keyed():
        build_synthetic(folder, **TINY)
    return folder


@pytest.mark.usefixtures("speaker_key")
def test_two_builds_give_the_same_bytes(tmp_path: Path, tiny: Path) -> None:
    build_synthetic(tmp_path / "site", **TINY)
    assert bytes_of(tmp_path / "site") == bytes_of(tiny)


@pytest.mark.usefixtures("speaker_key")
def test_a_complete_folder_is_left_alone(tiny: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in tiny.rglob("*")}
    build_synthetic(tiny, **TINY)
    assert {path: path.stat().st_mtime_ns for path in tiny.rglob("*")} == before


@pytest.mark.usefixtures("speaker_key")
def test_an_incomplete_folder_is_made_again(tmp_path: Path, tiny: Path) -> None:
    folder = Path(shutil.copytree(tiny, tmp_path / "site"))
    (folder / "site.json").unlink()
    (folder / "IMG/mp3/fr_0001.mp3").write_bytes(b"half a fi")
    (folder / "IMG/mp3/xx_0001.mp3").write_bytes(b"of an earlier site")
    build_synthetic(folder, **TINY)
    assert bytes_of(folder) == bytes_of(tiny)


def test_another_key_renumbers_the_speakers_so_that_they_stay_on_their_sides(tmp_path: Path) -> None:
    numbers = []
    for key in ("one", "other"):
        with keyed(key):
            build_synthetic(tmp_path, languages=("fr",), speakers=3, clips=3)
            auteurs = {entry.side: entry.auteur for entry in contents.read(tmp_path) if entry.defect is None}
            for side, auteur in auteurs.items():
                assert split_of(speaker_id(source="demo", speaker=f"auteur{auteur}")) == side
            numbers.append(auteurs)
    assert numbers[0] != numbers[1]


@pytest.mark.usefixtures("speaker_key")
@pytest.mark.parametrize("changed", [{"clips": 2}, {"speakers": 2, "clips": 2}, {"languages": ("fr",)}])
def test_other_arguments_build_another_site(tmp_path: Path, tiny: Path, changed: dict[str, object]) -> None:
    folder = Path(shutil.copytree(tiny, tmp_path / "site"))
    build_synthetic(folder, **{**TINY, **changed})
    assert contents.read(folder) != contents.read(tiny)


@pytest.mark.usefixtures("speaker_key")
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"languages": ()}, "at least one language"),
        ({"languages": ("fr", "fr")}, "each once"),
        ({"languages": ("oc",)}, "do not speak 'oc'"),
        ({"speakers": 0}, "speakers=0 must be 1 to 16"),
        ({"speakers": 17, "clips": 17}, "speakers=17 must be 1 to 16"),
        ({"speakers": 3, "clips": 2}, "clips=2 must be at least speakers=3"),
    ],
)
def test_an_argument_out_of_range_is_told_and_nothing_is_written(
    tmp_path: Path, arguments: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(LangaudioError, match=sentence):
        build_synthetic(tmp_path / "site", **arguments)
    assert not (tmp_path / "site").exists()


def test_without_a_key_of_speakers_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(LangaudioError, match="LANGAUDIO_SPEAKER_KEY is not set"):
        build_synthetic(tmp_path / "site", **TINY)
    assert not (tmp_path / "site").exists()
