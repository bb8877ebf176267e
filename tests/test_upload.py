"""What upload publishes, what it refuses and why; on staged clips made here, in a real bucket."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
import soundfile

from langaudio import catalog
from langaudio.crawl.clips import Sighting, StagedClip, audio_name, to_json_lines
from langaudio.crawl.staging import Staging
from langaudio.errors import LangaudioError
from langaudio.examine import Reason
from langaudio.services.config import PROJECT
from langaudio.speakers import split_of
from langaudio.store import Store, keys
from langaudio.upload import UploadReport, upload
from tests.store.test_store import bytes_sent

RATE = 22_050
LATER = datetime(2026, 11, 8, tzinfo=UTC)


def mp3(samples: np.ndarray, rate: int = RATE) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="MP3")
    return buffer.getvalue()


def stage(
    store: Store,
    run: str,
    clips: dict[str, bytes],
    language: str = "fr",
    sightings: Sequence[Sighting] = (),
    **fields: Any,
) -> None:
    staging = Staging(store, "demo", run, language)
    items = []
    for name, data in clips.items():
        url = f"http://site.example/{name}.mp3"
        staging.put(f"audio/{audio_name(url)}", data)
        described = {
            "language": language, "source": "demo", "page_url": f"http://site.example/{language}/{name}",
            "title": name, "source_url": url, "speaker_id": "ab" * 10, "speaker_sex": "female",
            "speaker_age": "adult", "cefr_level": "B1", "licence": "cc", "permission": None,
            "seen": datetime(2026, 11, 1, tzinfo=UTC), "audio": audio_name(url),
        } | fields  # fmt: skip
        items.append(StagedClip(**described))
    staging.put("items.jsonl", to_json_lines(items))
    if sightings:
        staging.put("sightings.jsonl", to_json_lines(sightings))
    staging.succeed()


def reasons(store: Store, language: str = "fr") -> dict[str, str]:
    """Title or clip id → reason, of all that is in quarantine."""
    found = [json.loads(store.get(keys.quarantine(language, clip, "json")))
             for clip in catalog.quarantined(store, language)]  # fmt: skip
    return {reason.get("title") or reason["clip_id"]: reason["reason"] for reason in found}


def test_a_good_clip_is_published_byte_for_byte_with_its_row(store: Store, spoken: bytes) -> None:
    stage(store, "one", {"good": spoken})
    assert upload(store, "fr", source="demo", run="one").published == 1
    (row,) = catalog.read(store, "fr").to_pylist()
    assert store.get(keys.raw("fr", row["clip_id"], "mp3")) == spoken
    assert row["sha256"].startswith(row["clip_id"])
    decoded = soundfile.info(io.BytesIO(spoken))
    assert row["duration_s"] == pytest.approx(decoded.duration)
    assert (row["sample_rate"], row["channels"]) == (decoded.samplerate, decoded.channels)
    assert row["bytes"] == len(spoken)
    assert 1 < row["speech_s"] <= row["duration_s"]
    assert row["split"] == split_of("ab" * 10)
    assert row["first_seen"] == row["last_seen"] == datetime(2026, 11, 1, tzinfo=UTC)


def test_what_is_staged_is_copied_within_the_server(store: Store, spoken: bytes) -> None:
    stage(store, "one", {"first": spoken})
    sent = bytes_sent(store)
    assert upload(store, "fr", source="demo", run="one").published == 1
    (key,) = (item.key for item in store.list("raw/fr/"))
    assert store.get(key) == spoken
    assert sum(sent) < len(spoken)


def test_every_bad_clip_is_quarantined_with_its_reason(store: Store, spoken: bytes) -> None:
    seconds = np.arange(3 * RATE) / RATE
    stage(
        store,
        "one",
        {
            "good": spoken,
            "text": b"The recording follows.",
            "empty": b"",
            "truncated": spoken[: len(spoken) // 2],
            "short": mp3(np.sin(2000 * seconds[: RATE // 3])),
            "silent": mp3(np.zeros(3 * RATE)),
            "tone": mp3(0.5 * np.sin(2 * np.pi * 440 * seconds)),
        },
    )
    report = upload(store, "fr", source="demo", run="one")
    assert report.published == 1
    assert reasons(store) == {
        "text": Reason.NOT_AUDIO,
        "empty": Reason.NOT_AUDIO,
        "truncated": Reason.NOT_AUDIO,
        "short": Reason.TOO_SHORT,
        "silent": Reason.SILENT,
        "tone": Reason.LITTLE_SPEECH,
    }
    assert sum(report.quarantined.values()) == 6


def test_a_refused_clip_keeps_its_bytes(store: Store) -> None:
    stage(store, "one", {"text": b"no audio at all"})
    upload(store, "fr", source="demo", run="one")
    (clip_id,) = catalog.quarantined(store, "fr")
    assert store.get(keys.quarantine("fr", clip_id, "mp3")) == b"no audio at all"


def test_a_clip_without_a_file_is_quarantined_by_its_page(store: Store) -> None:
    stage(store, "one", {"gone": b""}, audio=None, problem="download_failed", problem_detail="404")
    upload(store, "fr", source="demo", run="one")
    assert reasons(store) == {"gone": Reason.DOWNLOAD_FAILED}


def test_a_second_run_changes_nothing(store: Store, spoken: bytes) -> None:
    stage(store, "one", {"good": spoken, "text": b"no audio"})
    upload(store, "fr", source="demo", run="one")
    before = {item.key: store.get(item.key) for item in store.list("")}
    report = upload(store, "fr", source="demo", run="one")
    assert (report.published, report.known, report.quarantined) == (0, 2, {})
    assert {item.key: store.get(item.key) for item in store.list("")} == before


def test_the_same_bytes_twice_are_one_clip_and_a_known_duplicate(store: Store, spoken: bytes) -> None:
    stage(store, "one", {"a": spoken, "b": spoken})
    stage(store, "two", {"c": spoken})
    assert upload(store, "fr", source="demo", run="one").published == 1
    assert upload(store, "fr", source="demo", run="two").published == 0
    assert catalog.read(store, "fr", ["title"])["title"].to_pylist() == ["a"]
    # Its entry is on record, so that a crawl does not fetch it every night.
    assert reasons(store) == {"b": Reason.DUPLICATE, "c": Reason.DUPLICATE}


def test_what_a_source_says_anew_changes_the_row_and_nothing_else(store: Store, spoken: bytes) -> None:
    stage(store, "one", {"good": spoken})
    upload(store, "fr", source="demo", run="one")
    (before,) = catalog.read(store, "fr").to_pylist()
    stage(store, "two", {}, sightings=[Sighting(before["clip_id"], LATER, changes={"title": "better"})])
    assert upload(store, "fr", source="demo", run="two").changed == 1
    assert catalog.read(store, "fr").to_pylist() == [before | {"title": "better", "last_seen": LATER}]


def test_a_clip_that_is_gone_is_marked_and_stays(store: Store, spoken: bytes) -> None:
    stage(store, "one", {"good": spoken, "text": b"no audio"})
    upload(store, "fr", source="demo", run="one")
    (row,) = catalog.read(store, "fr").to_pylist()
    (refused,) = catalog.quarantined(store, "fr")
    gone = [Sighting(clip_id, LATER, gone=True) for clip_id in (row["clip_id"], refused)]
    stage(store, "two", {}, sightings=gone)
    assert upload(store, "fr", source="demo", run="two").gone == 2
    (after,) = catalog.read(store, "fr").to_pylist()
    assert after["gone"]
    assert store.get(keys.raw("fr", row["clip_id"], "mp3")) == spoken
    assert [reason["gone"] for reason in catalog.refusals(store, "fr")] == [True]


def test_another_file_on_a_page_leaves_the_old_one_gone(
    store: Store, spoken: bytes, also_spoken: bytes
) -> None:
    stage(store, "one", {"page": spoken})
    upload(store, "fr", source="demo", run="one")
    (old,) = catalog.read(store, "fr", ["clip_id"])["clip_id"].to_pylist()
    stage(store, "two", {"page": also_spoken}, source_url="http://site.example/new.mp3", replaces=old)
    assert upload(store, "fr", source="demo", run="two").published == 1
    gone = {row["clip_id"]: row["gone"] for row in catalog.read(store, "fr").to_pylist()}
    assert gone.pop(old) is True
    assert list(gone.values()) == [False]


def test_a_file_that_only_moved_keeps_its_row(store: Store, spoken: bytes) -> None:
    stage(store, "one", {"page": spoken})
    upload(store, "fr", source="demo", run="one")
    (old,) = catalog.read(store, "fr").to_pylist()
    moved = "http://site.example/moved.mp3"
    stage(store, "two", {"page": spoken}, source_url=moved, replaces=old["clip_id"])
    assert upload(store, "fr", source="demo", run="two").published == 0
    assert catalog.read(store, "fr").to_pylist() == [old | {"source_url": moved}]


def test_a_clip_whose_page_moved_keeps_its_row(store: Store, spoken: bytes) -> None:
    stage(store, "one", {"page": spoken})
    upload(store, "fr", source="demo", run="one")
    (old,) = catalog.read(store, "fr").to_pylist()
    stage(store, "two", {"other-page": spoken}, sightings=[Sighting(old["clip_id"], LATER, gone=True)])
    upload(store, "fr", source="demo", run="two")
    (row,) = catalog.read(store, "fr").to_pylist()
    assert row["page_url"].endswith("/other-page")
    assert not row["gone"]
    assert reasons(store) == {}


def test_a_file_that_comes_at_last_takes_its_reason_away(store: Store, spoken: bytes) -> None:
    stage(store, "one", {"late": b""}, audio=None, problem="download_failed", problem_detail="404")
    upload(store, "fr", source="demo", run="one")
    stage(store, "two", {"late": spoken})
    assert upload(store, "fr", source="demo", run="two").published == 1
    assert reasons(store) == {}


def test_a_clip_that_moved_to_another_language_is_no_longer_in_the_first(store: Store, spoken: bytes) -> None:
    stage(store, "one", {"moving": spoken}, "fr")
    upload(store, "fr", source="demo", run="one")
    (row,) = catalog.read(store, "fr").to_pylist()
    stage(store, "two", {}, "fr", [Sighting(row["clip_id"], LATER, gone=True)])
    upload(store, "fr", source="demo", run="two")
    stage(store, "two", {"moving": spoken}, "en")
    assert upload(store, "en", source="demo", run="two").published == 1
    assert catalog.read(store, "fr").num_rows == 0
    assert list(reasons(store).values()) == [Reason.RELABELLED]
    assert catalog.read(store, "en").num_rows == 1


def test_a_second_upload_after_the_rows_still_finds_what_is_contested(store: Store, spoken: bytes) -> None:
    for language in ("fr", "en"):
        stage(store, "one", {"shared": spoken}, language)
    upload(store, "fr", source="demo", run="one")
    upload(store, "en", source="demo", run="one")
    # As if it had been killed after its rows were written and before anything was withdrawn.
    for language in ("fr", "en"):
        for clip_id in catalog.quarantined(store, language):
            store.delete(keys.quarantine(language, clip_id, "json"))
    store.delete("staging/demo/one/en/_UPLOADED")
    upload(store, "en", source="demo", run="one")
    assert [list(reasons(store, language).values()) for language in ("fr", "en")] == [
        [Reason.TWO_LANGUAGES]
    ] * 2


def test_a_file_is_kept_under_the_extension_of_what_it_is(store: Store, spoken: bytes) -> None:
    samples, rate = soundfile.read(io.BytesIO(spoken))
    flac = io.BytesIO()
    soundfile.write(flac, samples, rate, format="FLAC")
    stage(store, "one", {"named-mp3": flac.getvalue()})
    upload(store, "fr", source="demo", run="one")
    (row,) = catalog.read(store, "fr", ["clip_id", "format"]).to_pylist()
    assert row["format"] == "flac"
    assert store.get(keys.raw("fr", row["clip_id"], "flac")) == flac.getvalue()


def test_nothing_new_writes_nothing(store: Store) -> None:
    stage(store, "one", {})
    before = {item.key for item in store.list("")}
    assert upload(store, "fr", source="demo", run="one") == UploadReport(0, 0, 0, 0, {})
    assert {item.key for item in store.list("")} == before


def test_one_file_under_two_languages_is_quarantined_from_both(store: Store, spoken: bytes) -> None:
    stage(store, "one", {"shared": spoken}, "fr")
    stage(store, "one", {"shared": spoken}, "en")
    assert upload(store, "fr", source="demo", run="one").published == 1
    assert upload(store, "en", source="demo", run="one").published == 0
    for language in ("fr", "en"):
        assert list(reasons(store, language).values()) == [Reason.TWO_LANGUAGES]
        assert catalog.read(store, language).num_rows == 0
        (clip_id,) = catalog.quarantined(store, language)
        assert store.get(keys.raw(language, clip_id, "mp3")) == spoken


def test_what_a_person_releases_stays_released(store: Store, spoken: bytes) -> None:
    for language in ("fr", "en"):
        stage(store, "one", {"shared": spoken}, language)
        upload(store, language, source="demo", run="one")
    (clip_id,) = catalog.quarantined(store, "fr")
    store.delete(keys.quarantine("fr", clip_id, "json"))
    stage(store, "two", {"shared": spoken}, "fr")
    upload(store, "fr", source="demo", run="two")
    assert catalog.read(store, "fr").num_rows == 1
    assert catalog.read(store, "en").num_rows == 0


def test_an_upload_that_was_cut_off_is_simply_run_again(store: Store, spoken: bytes) -> None:
    stage(store, "one", {"good": spoken})
    upload(store, "fr", source="demo", run="one")
    # As if it had been killed between the file and the row.
    store.delete(keys.catalog("fr", "one"))
    assert upload(store, "fr", source="demo", run="one").published == 1
    assert catalog.read(store, "fr").num_rows == 1


def test_an_incomplete_crawl_is_refused(store: Store) -> None:
    with pytest.raises(LangaudioError, match="has no complete crawl of 'fr'"):
        upload(store, "fr", source="demo", run="one")


def test_the_same_recording_encoded_anew_is_reported_and_published(store: Store, spoken: bytes) -> None:
    stage(store, "one", {"first": spoken})
    upload(store, "fr", source="demo", run="one")
    samples, rate = soundfile.read(io.BytesIO(spoken))
    stage(store, "two", {"again": mp3(0.7 * samples, rate)})
    report = upload(store, "fr", source="demo", run="two")
    assert report.published == 1
    clip_ids = catalog.read(store, "fr", ["clip_id"])["clip_id"].to_pylist()
    assert report.same_recording == [tuple(clip_ids)]


def test_the_same_recording_under_another_language_is_reported(store: Store, spoken: bytes) -> None:
    stage(store, "one", {"first": spoken}, "en")
    upload(store, "en", source="demo", run="one")
    samples, rate = soundfile.read(io.BytesIO(spoken))
    stage(store, "two", {"again": mp3(samples, rate)}, "fr")
    report = upload(store, "fr", source="demo", run="two")
    clip_ids = [catalog.read(store, code, ["clip_id"])["clip_id"][0].as_py() for code in ("en", "fr")]
    assert report.same_recording == [tuple(sorted(clip_ids))]


def test_every_reason_is_documented_and_nothing_else() -> None:
    page = (PROJECT / "docs" / "bucket.md").read_text()
    table = page.partition("## Reasons of quarantine")[2].partition("\n## ")[0]
    documented = [name for line in table.splitlines() if line.startswith("| `")
                  for name in re.findall("`([a-z_]+)`", line.split("|")[1])]  # fmt: skip
    assert sorted(documented) == sorted(Reason)


def test_what_is_clipped_to_noise_is_refused(store: Store, spoken: bytes) -> None:
    samples, rate = soundfile.read(io.BytesIO(spoken))
    buffer = io.BytesIO()
    soundfile.write(buffer, np.clip(60 * samples, -1, 1), rate, format="FLAC")
    stage(store, "one", {"loud": buffer.getvalue()})
    upload(store, "fr", source="demo", run="one")
    assert reasons(store) == {"loud": Reason.CLIPPED}
