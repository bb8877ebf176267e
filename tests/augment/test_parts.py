"""How a language is shared out among tasks."""

from __future__ import annotations

import pyarrow as pa
import pytest

from langaudio.augment.parts import FirstPart, Part
from langaudio.errors import LangaudioError


def test_every_clip_is_in_one_part_and_stays_there() -> None:
    clips = pa.chunked_array([[f"{number:020x}" for number in range(0, 64_000, 16)]])
    shares = [Part(number, 5).holds(clips).to_pylist() for number in range(1, 6)]
    assert {sum(told) for told in zip(*shares, strict=True)} == {1}
    assert all(700 < sum(share) < 900 for share in shares)
    backwards = pa.chunked_array([clips.to_pylist()[::-1]])
    assert Part(2, 5).holds(backwards).to_pylist()[::-1] == shares[1]


def test_a_whole_language_is_one_part() -> None:
    assert Part().holds(pa.chunked_array([["aa", "bb"]])).to_pylist() == [True, True]
    assert Part().others() == []


def test_the_other_parts_are_all_but_this_one() -> None:
    assert [str(part) for part in Part.named("2/4").others()] == ["1/4", "3/4", "4/4"]


@pytest.mark.parametrize(("hours", "of"), [(0, 1), (10, 1), (10.1, 2), (35, 4), (10_000, 8)])
def test_there_are_as_many_parts_as_work_up_to_the_most(hours: float, of: int) -> None:
    assert FirstPart(part_hours=10, max_parts=8).chosen(hours) == Part(1, of)


@pytest.mark.parametrize("name", ["", "2", "0/4", "5/4", "1/0", "-1/4", "1/4/2", "one/two", "1 / 4"])
def test_what_names_no_part_is_refused_in_a_sentence(name: str) -> None:
    with pytest.raises(LangaudioError, match=r"part"):
        Part.named(name)
