"""What a recipe does to a clip: the same as it does in the pipeline, to hear and to see."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile
from fastapi.testclient import TestClient

from langaudio import stages
from langaudio.audio import decode
from langaudio.augment import load


def clip_id(small: TestClient, language: str = "fr") -> str:
    found: str = small.get(f"/api/languages/{language}/clips?split=train").json()["clips"][0]["clip_id"]
    return found


def test_each_transform_and_some_copies_are_shown(small: TestClient) -> None:
    address = f"/api/languages/fr/clips/{clip_id(small)}/augmentation"
    told = small.get(address).json()
    assert told["recipe_id"] == load("default").id
    names = [one["name"] for one in told["versions"]]
    assert names[0] == "As it was spoken"
    assert names[-3:] == ["Copy 1", "Copy 2", "Copy 3"]
    assert {"PitchScale", "TimeMask", "RoomReverb"} < set(names)
    for number in (0, len(names) - 1):
        assert small.get(f"{address}/{number}.png").content.startswith(b"\x89PNG")
        sound, rate = soundfile.read(io.BytesIO(small.get(f"{address}/{number}.flac").content))
        assert (rate, len(sound) > 0) == (16_000, True)
    assert small.get(f"{address}/{len(names)}.png").status_code == 404
    page = small.get(f"/augmentation?language=fr&clip={clip_id(small)}").text
    assert page.count("<audio") == len(names)


def test_a_copy_is_the_one_that_the_pipeline_makes(small: TestClient) -> None:
    one = clip_id(small)
    address = f"/api/languages/fr/clips/{one}/augmentation"
    numbers = {
        version["name"]: version["number"] for version in small.get(f"{address}?seed=5").json()["versions"]
    }
    heard = {
        name: decode(small.get(f"{address}/{numbers[name]}.flac?seed=5").content).samples
        for name in ("As it was spoken", "Copy 2")
    }
    expected, _ = load("default").copy(heard["As it was spoken"], 16_000, 5, one, 2)
    # FLAC keeps 16 bits of both.
    np.testing.assert_allclose(heard["Copy 2"], expected, atol=0.05)


def test_another_seed_draws_anew(small: TestClient) -> None:
    address = f"/api/languages/fr/clips/{clip_id(small)}/augmentation"
    first, again, other = (
        [one["told"] for one in small.get(f"{address}?seed={seed}").json()["versions"]] for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other
    page = small.get(f"/augmentation?language=fr&clip={clip_id(small)}&seed=1").text
    assert "seed=2" in page


def test_without_being_told_a_clip_of_the_corpus_is_shown(small: TestClient) -> None:
    assert "As it was spoken" in small.get("/augmentation").text
    assert "As it was spoken" in small.get("/augmentation?language=ru").text


def test_an_empty_corpus_has_nothing_to_augment(client: TestClient) -> None:
    assert "nothing to augment" in client.get("/augmentation").text


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("recipe=none", 404),
        ("recipe=/etc/passwd.toml", 422),
        ("recipe=s3://secrets/a.toml", 422),
        ("seed=-1", 422),
        ("seed=x", 422),
    ],
)
def test_only_packaged_recipes_are_shown(small: TestClient, query: str, status: int) -> None:
    assert small.get(f"/api/languages/fr/clips/{clip_id(small)}/augmentation?{query}").status_code == status
    assert small.get("/api/recipes").json() == stages.recipes()
