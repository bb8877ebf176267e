"""The split: who is on which side, and when training is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from langaudio import catalog
from langaudio.audio.fingerprint import fingerprint
from langaudio.errors import LangaudioError
from langaudio.speakers import Split
from langaudio.store import Store, keys
from langaudio.train import splits
from langaudio.train.splits import Clip
from tests.train import spoken

SOUND = [
    Clip(f"{language}{number}", language, f"{language}-{side}", side)
    for language in ("de", "fr")
    for number, side in enumerate(("train", "dev", "test"))
]


@pytest.fixture
def words() -> bytes:
    """The fingerprint of a recording."""
    said = np.concatenate([spoken.said("fr", 0, sentence) for sentence in range(2)])
    return fingerprint(said)


def test_clips_are_read_but_not_those_in_quarantine(store: Store) -> None:
    clips = spoken.corpus(["fr"])
    spoken.publish(store, clips)
    store.put(keys.quarantine("fr", clips[0]["clip_id"], "json"), b"{}")
    read = splits.read(store, ["fr"])
    assert {clip.clip_id for clip in read} == {row["clip_id"] for row in clips[1:]}
    assert {clip.split for clip in read} == {"train", "dev", "test"}


def test_a_sound_split_passes() -> None:
    splits.verify(SOUND, ["de", "fr"])


def test_a_speaker_of_two_languages_on_one_side_passes() -> None:
    splits.verify([replace(clip, speaker_id=clip.split) for clip in SOUND], ["de", "fr"])


def test_clips_without_a_known_speaker_pass_on_the_training_side() -> None:
    unknown = [Clip("x", "fr", None, "train"), Clip("y", "de", None, "train")]
    splits.verify(SOUND + unknown, ["de", "fr"])


@pytest.mark.parametrize(
    ("clips", "languages", "sentence"),
    [
        (SOUND, ["fr"], r"at least two languages .* given fr"),
        (SOUND, [], r"at least two languages .* given none"),
        (
            [*SOUND, Clip("more", "fr", "fr-test", "train")],
            ["de", "fr"],
            r"1 speakers are on two sides .* fr-test in test and train",
        ),
        (
            [*SOUND, Clip("de0", "fr", "fr-train", "train")],
            ["de", "fr"],
            r"1 clips have two places.*de0 in train of de and train of fr",
        ),
        (
            SOUND[:5],
            ["de", "fr"],
            r"'fr' has 2 clips of 2 speakers and none of them in test: crawl clips of more",
        ),
        (SOUND[:4], ["de", "fr"], r"'fr' has 1 clips of 1 speaker and none of them in dev or test"),
        (SOUND[1:], ["de", "fr"], r"'de' has 2 clips of 2 speakers and none of them in train"),
        (SOUND, ["de", "fr", "it"], r"'it' has 0 clips of 0 speakers .* without this language"),
    ],
)
def test_a_split_that_could_not_be_believed_is_refused(
    clips: list[Clip], languages: list[str], sentence: str
) -> None:
    with pytest.raises(LangaudioError, match=sentence):
        splits.verify(clips, languages)


@pytest.mark.parametrize("side", ["dev", "test"])
def test_a_recording_on_two_sides_is_refused_though_its_files_differ(side: Split, words: bytes) -> None:
    again = np.frombuffer(words, "<u4")[10:].tobytes()  # what is left of it in another encoding
    clips = [*SOUND, Clip("fr9", "fr", None, "train", fingerprint=words)]
    splits.verify(clips, ["de", "fr"])
    splits.verify([*clips, Clip("fr8", "fr", None, "train", fingerprint=again)], ["de", "fr"])
    with pytest.raises(LangaudioError, match=rf"1 recordings .* de9 in {side} of de .* forget --clip fr9"):
        splits.verify([*clips, Clip("de9", "de", "de-more", side, fingerprint=again)], ["de", "fr"])


def test_the_fingerprint_stays_while_the_corpus_stays(store: Store) -> None:
    clips = spoken.corpus(["de", "fr"])
    spoken.publish(store, clips)
    spoken.augment(store, clips)
    before = splits.corpus_fingerprint(store, ["de", "fr"], spoken.RECIPE)
    catalog.write_part(
        store, "fr", "later", [{**clips[-1], "data": None, "title": "seen again", "gone": True}]
    )
    spoken.augment(store, clips, run="twice")
    assert splits.corpus_fingerprint(store, ["fr", "de"], spoken.RECIPE) == before


def test_the_fingerprint_changes_with_every_clip_copy_language_and_recipe(store: Store) -> None:
    clips = spoken.corpus(["de", "fr"])
    spoken.publish(store, clips[1:])
    spoken.augment(store, clips)
    seen = [
        splits.corpus_fingerprint(store, ["de", "fr"], spoken.RECIPE),
        splits.corpus_fingerprint(store, ["de"], spoken.RECIPE),
        splits.corpus_fingerprint(store, ["de", "fr"], "another"),
    ]
    spoken.publish(store, clips[:1], run="another")
    seen.append(splits.corpus_fingerprint(store, ["de", "fr"], spoken.RECIPE))
    spoken.augment(store, clips, copies=2, run="more")
    seen.append(splits.corpus_fingerprint(store, ["de", "fr"], spoken.RECIPE))
    assert len(set(seen)) == len(seen)
