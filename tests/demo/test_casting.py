from __future__ import annotations

import itertools
from collections import Counter

import pytest

from langaudio.demo import casting
from langaudio.speakers import speaker_id, split_of
from tests.demo.conftest import keyed


@pytest.mark.parametrize("speakers", range(3, 17))
def test_every_side_has_a_speaker_and_about_two_thirds_train(speakers: int) -> None:
    shares = Counter(casting.sides(speakers))
    assert shares.total() == speakers
    assert shares["dev"] == shares["test"] >= 1
    assert abs(shares["train"] - speakers * 2 / 3) <= 1


def test_twelve_speakers_are_eight_two_and_two() -> None:
    assert Counter(casting.sides(12)) == {"train": 8, "dev": 2, "test": 2}


def test_two_speakers_both_train() -> None:
    assert casting.sides(2) == ["train", "train"]


@pytest.mark.usefixtures("speaker_key")
def test_the_pipeline_puts_each_number_on_the_side_it_was_picked_for_and_none_on_two() -> None:
    picked = {side: list(itertools.islice(numbers, 30)) for side, numbers in casting.numbers().items()}
    for side, numbers in picked.items():
        assert {split_of(speaker_id(source="demo", speaker=f"auteur{number}")) for number in numbers} == {
            side
        }
    everybody = [number for numbers in picked.values() for number in numbers]
    assert len(everybody) == len(set(everybody)) == 90


def test_the_fingerprint_belongs_to_the_key() -> None:
    fingerprints = []
    for key in ("one", "other", "one"):
        with keyed(key):
            fingerprints.append(casting.fingerprint())
    assert fingerprints[0] == fingerprints[2] != fingerprints[1]
