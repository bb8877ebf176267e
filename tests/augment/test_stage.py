"""The augment stage on published clips, in a real bucket."""

from __future__ import annotations

import io
import json
import tarfile
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import soundfile

from langaudio import audio, catalog
from langaudio.augment import rebuild, stage
from langaudio.augment.parts import FirstPart, Part
from langaudio.augment.shards import read_index
from langaudio.augment.stage import augment, copies_for, seeded_id
from langaudio.errors import LangaudioError, Unavailable
from langaudio.examine import Examined, examine
from langaudio.store import Store, keys
from tests.test_catalog import row

RECIPE = "default"


def publish(
    store: Store, clips: dict[str, bytes], split: str = "train", part: str = "one", **fields: Any
) -> None:
    rows = []
    for clip_id, data in clips.items():
        store.put(keys.raw("fr", clip_id, "mp3"), data)
        # A part that comes later is the newer word.
        fields = {"speech_s": 5.0, "split": split} | fields
        rows.append(row(clip_id, 2 if part == "two" else 1, **fields))
    catalog.write_part(store, "fr", part, rows)


def samples_of(store: Store, recipe_id: str) -> dict[str, tuple[bytes, dict]]:
    """Name → FLAC and description, of all samples that the index names."""
    found: dict[str, tuple[bytes, dict]] = {}
    for shard in sorted(set(read_index(store, recipe_id, "fr")["shard"].to_pylist())):
        with tarfile.open(fileobj=io.BytesIO(store.get(shard))) as tar:
            content = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
        for name in content:
            if name.endswith(".flac"):
                stem = name.removesuffix(".flac")
                found[stem] = content[name], json.loads(content[f"{stem}.json"])
    return found


def test_every_training_segment_gets_itself_and_its_copies(store: Store, spoken: bytes) -> None:
    publish(store, {"aa": spoken, "bb": spoken})
    report = augment(store, "fr", run="one", copies=2, balance_minutes=0)
    found = samples_of(store, report.recipe_id)
    assert {name.rsplit("-", 1)[1] for name in found} == {"00", "01", "02"}
    assert {description["clip_id"] for _, description in found.values()} == {"aa", "bb"}
    assert len(found) == report.written == read_index(store, report.recipe_id, "fr").num_rows
    for flac, description in found.values():
        decoded, rate = soundfile.read(io.BytesIO(flac), dtype="float32")
        assert rate == 16_000
        assert decoded.ndim == 1
        assert len(decoded) / rate == pytest.approx(description["end_s"] - description["begin_s"], abs=1e-3)
        assert description["language"] == "fr"
        assert bool(description["steps"]) <= bool(description["copy"])


def test_a_copys_json_rebuilds_it(store: Store, spoken: bytes) -> None:
    publish(store, {"aa": spoken})
    report = augment(store, "fr", run="one", copies=4, balance_minutes=0)
    speech = audio.decode(spoken).samples
    rebuilt = 0
    for flac, description in samples_of(store, report.recipe_id).values():
        begin, end = (round(description[edge] * 16_000) for edge in ("begin_s", "end_s"))
        copy = rebuild(speech[begin:end], 16_000, description["steps"])
        assert audio.to_flac(copy, 16_000) == flac
        rebuilt += bool(description["steps"])
    assert rebuilt >= 3


def test_dev_and_test_clips_are_never_augmented(store: Store, spoken: bytes) -> None:
    publish(store, {"aa": spoken})
    publish(store, {"bb": spoken}, split="dev", part="two")
    publish(store, {"cc": spoken}, split="test", part="three")
    report = augment(store, "fr", run="one", copies=1)
    assert set(read_index(store, report.recipe_id, "fr")["clip_id"].to_pylist()) == {"aa"}


def test_a_second_run_writes_nothing(store: Store, spoken: bytes) -> None:
    publish(store, {"aa": spoken})
    augment(store, "fr", run="one", copies=1, balance_minutes=0)
    before = {item.key for item in store.list("")}
    assert augment(store, "fr", run="two", copies=1, balance_minutes=0).written == 0
    assert {item.key for item in store.list("")} == before


def test_new_clips_and_more_copies_make_only_what_is_missing(store: Store, spoken: bytes) -> None:
    publish(store, {"aa": spoken})
    first = augment(store, "fr", run="one", copies=1, balance_minutes=0)
    publish(store, {"bb": spoken}, part="two")
    second = augment(store, "fr", run="two", copies=1, balance_minutes=0)
    assert second.written == first.written
    third = augment(store, "fr", run="two", copies=2, balance_minutes=0)
    assert third.written == first.written  # one copy more, of twice the clips
    names = samples_of(store, first.recipe_id)
    assert len(names) == first.written * 3


def test_shards_are_the_same_bytes_on_any_worker_and_in_any_order(store: Store, spoken: bytes) -> None:
    publish(store, {"aa": spoken, "bb": spoken})
    report = augment(store, "fr", run="one", copies=2, balance_minutes=0)
    before = samples_of(store, report.recipe_id)
    for item in list(store.list("augmented/")):
        store.delete(item.key)
    augment(store, "fr", run="other", copies=1, balance_minutes=0)
    augment(store, "fr", run="another", copies=2, balance_minutes=0)
    assert samples_of(store, report.recipe_id) == before


def test_the_bytes_are_the_same_whatever_the_number_of_workers(
    store: Store, spoken: bytes, also_spoken: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    clips = {f"clip{number}": (spoken, also_spoken)[number % 2] for number in range(9)}
    publish(store, clips | {"clip4": b"no audio"}, speech_s=400.0)
    written = []
    for workers in (1, 3):
        report = augment(store, "fr", run="one", copies=1, balance_minutes=0, shard_mib=0.3, workers=workers)
        written.append({item.key: store.get(item.key) for item in store.list("augmented/")})
        for key in written[-1]:
            store.delete(key)
    assert len(written[0]) > 3
    assert written[0] == written[1]
    assert report.reasons.keys() == {"clip4"}
    assert sum("clip4 is not augmented" in record.getMessage() for record in caplog.records) == 2


def test_the_parts_of_a_language_are_together_what_one_task_makes(
    store: Store, spoken: bytes, also_spoken: bytes
) -> None:
    clips = {f"clip{number}": (spoken, also_spoken)[number % 2] for number in range(6)}
    # So little speech that there are more copies: they are counted by the language, not by the part.
    publish(store, clips, speech_s=150.0)
    options = {"run": "one", "copies": 1, "balance_minutes": 30}
    whole = augment(store, "fr", **options)
    expected = samples_of(store, whole.recipe_id)
    for item in list(store.list("augmented/")):
        store.delete(item.key)
    reports = [augment(store, "fr", part=Part(number, 3), **options) for number in (3, 1, 2)]
    assert [report.part for report in reports] == ["3/3", "1/3", "2/3"]
    assert {(report.clips, report.copies) for report in reports} == {(6, 2)} == {(whole.clips, whole.copies)}
    assert min(report.written for report in reports) > 0
    assert sum(report.written for report in reports) == whole.written
    assert samples_of(store, whole.recipe_id) == expected


def test_parts_of_another_number_do_what_the_first_ones_left(store: Store, spoken: bytes) -> None:
    publish(store, {f"clip{number}": spoken for number in range(6)})
    options = {"run": "one", "copies": 1, "balance_minutes": 0}
    first = augment(store, "fr", part=Part(2, 3), **options)
    rest = [augment(store, "fr", part=Part(number, 2), **options) for number in (1, 2)]
    written = first.written + sum(report.written for report in rest)
    assert written == read_index(store, first.recipe_id, "fr").num_rows
    assert augment(store, "fr", **options).written == 0


def test_two_tasks_on_one_part_do_no_harm(store: Store, spoken: bytes) -> None:
    publish(store, {f"clip{number}": spoken for number in range(4)})

    def work(run: str) -> int:
        return augment(store, "fr", run=run, copies=1, balance_minutes=0, part=Part(1, 2)).written

    with ThreadPoolExecutor(2) as both:
        assert sum(both.map(work, ("one", "two"))) > 0
    whole = augment(store, "fr", run="one", copies=1, balance_minutes=0)
    index = read_index(store, whole.recipe_id, "fr").to_pylist()
    assert len({(row["clip_id"], row["segment"], row["copy"]) for row in index}) == len(index)
    assert {row["clip_id"] for row in index} == {f"clip{number}" for number in range(4)}
    assert len(samples_of(store, whole.recipe_id)) == len(index)


def test_there_are_as_many_parts_as_there_is_to_do(store: Store, spoken: bytes) -> None:
    publish(store, {f"clip{number}": spoken for number in range(8)}, speech_s=3600.0)
    options = {"run": "one", "copies": 1, "balance_minutes": 0}
    # Eight hours, and a copy of them.
    for hours, most, part in ((16, 9, "1/1"), (5, 9, "1/4"), (5, 2, "1/2")):
        report = augment(store, "fr", part=FirstPart(hours, most), **options)
        assert report.part == part
        if part != "1/2":
            for item in list(store.list("augmented/")):
                store.delete(item.key)
    assert augment(store, "fr", part=Part(2, 2), **options).written > 0
    # What is there is not counted again: a copy more of eight hours.
    assert augment(store, "fr", part=FirstPart(4, 9), run="two", copies=2, balance_minutes=0).part == "1/2"


def test_copies_are_the_same_whether_the_catalog_knows_where_there_is_speech(
    store: Store, spoken: bytes
) -> None:
    found = examine(spoken)
    assert isinstance(found, Examined)
    written = []
    for part, regions in (("one", None), ("two", found.speech_regions)):
        publish(store, {"aa": spoken}, part=part, speech_regions=regions)
        report = augment(store, "fr", run=part, copies=2, balance_minutes=0)
        written.append(samples_of(store, report.recipe_id))
        for item in list(store.list("augmented/")):
            store.delete(item.key)
    assert written[0] == written[1]


def test_the_catalog_is_believed_where_there_is_speech(store: Store, spoken: bytes) -> None:
    publish(store, {"aa": spoken}, speech_regions=[8_000, 28_000])
    report = augment(store, "fr", run="one", copies=1, balance_minutes=0)
    index = read_index(store, report.recipe_id, "fr").to_pylist()
    assert {(row["begin_s"], row["end_s"]) for row in index} == {(0.5, 1.75)}


def test_what_a_batch_has_closed_is_not_done_again(
    store: Store, spoken: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "_BATCH_CLIPS", 2)
    publish(store, {f"clip{number}": spoken for number in range(5)})
    whole = augment(store, "fr", run="one", copies=1, balance_minutes=0)
    folders = store.folders(keys.augmented(whole.recipe_id, "fr"))
    assert len(folders) == 3
    everything = {item.key: store.get(item.key) for item in store.list("augmented/")}
    # As if it had been killed before the second batch was closed.
    for item in list(store.list(f"augmented/{whole.recipe_id}/fr/{folders[1]}/")):
        store.delete(item.key)
    again = augment(store, "fr", run="one", copies=1, balance_minutes=0)
    assert 0 < again.written < whole.written
    assert {item.key: store.get(item.key) for item in store.list("augmented/")} == everything


def test_runs_that_overlap_count_once(store: Store, spoken: bytes) -> None:
    publish(store, {"aa": spoken})
    report = augment(store, "fr", run="one", copies=1, balance_minutes=0)
    (folder,) = store.folders(keys.augmented(report.recipe_id, "fr"))
    rows = read_index(store, report.recipe_id, "fr").num_rows
    for item in list(store.list(f"augmented/{report.recipe_id}/fr/{folder}/")):
        store.copy(item.key, item.key.replace(folder, "zz-overlapping"))
    assert read_index(store, report.recipe_id, "fr").num_rows == rows


def test_shards_without_an_index_do_not_count(store: Store, spoken: bytes) -> None:
    publish(store, {"aa": spoken})
    report = augment(store, "fr", run="one", copies=1, balance_minutes=0)
    (folder,) = store.folders(keys.augmented(report.recipe_id, "fr"))
    store.delete(keys.augmented(report.recipe_id, "fr", folder, "index.parquet"))
    assert read_index(store, report.recipe_id, "fr").num_rows == 0
    assert augment(store, "fr", run="one", copies=1, balance_minutes=0).written == report.written


def test_a_shard_is_closed_at_its_size(store: Store, spoken: bytes) -> None:
    publish(store, {"aa": spoken, "bb": spoken})
    report = augment(store, "fr", run="one", copies=2, balance_minutes=0, shard_mib=0)
    shards = read_index(store, report.recipe_id, "fr")["shard"].to_pylist()
    assert len(set(shards)) == report.written > 2


def test_a_clip_that_cannot_be_decoded_is_reported_and_stops_nothing(store: Store, spoken: bytes) -> None:
    publish(store, {"aa": spoken, "bb": b"no audio"})
    report = augment(store, "fr", run="one", copies=1)
    assert report.failed == 1
    assert "does not decode" in report.reasons["bb"]
    assert set(read_index(store, report.recipe_id, "fr")["clip_id"].to_pylist()) == {"aa"}


def test_a_clip_whose_file_is_not_there_is_reported_and_stops_nothing(store: Store, spoken: bytes) -> None:
    publish(store, {"aa": spoken, "bb": spoken})
    store.delete(keys.raw("fr", "aa", "mp3"))
    report = augment(store, "fr", run="one", copies=1)
    assert report.failed == 1
    assert "raw/fr/aa.mp3" in report.reasons["aa"]
    assert set(read_index(store, report.recipe_id, "fr")["clip_id"].to_pylist()) == {"bb"}


def test_a_bucket_that_does_not_answer_stops_the_stage(store: Store, spoken: bytes) -> None:
    publish(store, {"aa": spoken})

    class Away(Store):
        def get(self, key: str, max_bytes: int | None = None) -> bytes:
            if key.startswith("raw/"):
                raise Unavailable("It does not answer.")
            return super().get(key, max_bytes)

    with pytest.raises(Unavailable):
        augment(Away(store._client, store.bucket), "fr", run="one", copies=1)


def test_another_seed_makes_other_copies_beside_the_first(store: Store, spoken: bytes) -> None:
    publish(store, {"aa": spoken})
    first = augment(store, "fr", run="one", copies=3, seed=0, balance_minutes=0)
    second = augment(store, "fr", run="one", copies=3, seed=1, balance_minutes=0)
    assert first.recipe_id == seeded_id(RECIPE, 0) != seeded_id(RECIPE, 1) == second.recipe_id
    one, two = samples_of(store, first.recipe_id), samples_of(store, second.recipe_id)
    assert one.keys() == two.keys()
    assert [name for name in one if one[name][0] != two[name][0]]


def test_less_speech_means_more_copies_up_to_four_times() -> None:
    copies = [copies_for(minutes * 60, 2, 30) for minutes in (0.1, 7.5, 15, 29, 30, 300)]
    assert copies == [8, 8, 4, 3, 2, 2]


@pytest.mark.parametrize(
    ("language", "options", "sentence"),
    [
        ("xx", {}, "'xx' is not a known language"),
        ("fr", {"recipe": "defualt"}, "did you mean 'default'"),
        ("fr", {"copies": -1}, "must be 0 or more"),
        ("fr", {}, "has 0 clips and none for training"),
    ],
)
def test_a_wrong_order_is_refused_in_a_sentence(
    store: Store, language: str, options: dict, sentence: str
) -> None:
    with pytest.raises(LangaudioError, match=sentence):
        augment(store, language, run="one", **options)
