"""From the bucket into batches."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from langaudio import audio
from langaudio.errors import LangaudioError
from langaudio.store import Store, keys
from langaudio.train import splits
from langaudio.train.data import Crops, HeldOut, Noise, Speech, clip_speech, training_speech
from langaudio.train.processes import ALONE, Place
from tests.train import spoken

NONE = Noise(share=0)
SHARD = keys.augmented(spoken.RECIPE, "fr", "run", "shard-000000.tar")


@pytest.fixture
def published(store: Store) -> Store:
    clips = spoken.corpus(["fr"])
    spoken.publish(store, clips)
    spoken.augment(store, clips, copies=2)
    return store


def read(store: Store) -> list[Speech]:
    return training_speech(store, splits.read(store, ["fr"]), spoken.RECIPE)


def test_every_copy_of_every_training_clip_is_there_bit_for_bit(published: Store) -> None:
    speech = read(published)
    assert len(speech) == 2 * 2 * 3  # speakers, sentences, copies
    clip = min(row["clip_id"] for row in spoken.corpus(["fr"]) if row["split"] == "train")
    spoken_as = audio.decode(published.get(keys.raw("fr", clip, "flac"))).samples
    np.testing.assert_array_equal(speech[0].read(), spoken_as)
    np.testing.assert_allclose(speech[1].read(), spoken_as / 2, atol=1e-4)
    np.testing.assert_array_equal(speech[0].read(1000, 50), spoken_as[1000:1050])


def test_a_shard_is_fetched_once(published: Store) -> None:
    before = read(published)
    published.delete(SHARD)
    assert read(published) == before


def test_a_clip_that_was_quarantined_is_trained_on_no_more(published: Store) -> None:
    refused = next(row for row in spoken.corpus(["fr"]) if row["split"] == "train")
    published.put(keys.quarantine("fr", refused["clip_id"], "json"), b"{}")
    assert len(read(published)) == 2 * 2 * 3 - 3


def test_a_sample_that_two_runs_wrote_is_trained_on_once(published: Store) -> None:
    spoken.augment(published, spoken.corpus(["fr"]), copies=2, run="again")
    assert len(read(published)) == 2 * 2 * 3


def test_a_language_without_shards_says_what_to_run(store: Store) -> None:
    spoken.publish(store, spoken.corpus(["fr"]))
    with pytest.raises(LangaudioError, match=r"'fr' has 4 training clips .* run `langaudio augment fr`"):
        read(store)


def test_a_shard_that_lacks_what_its_index_names_is_told_by_name(published: Store) -> None:
    spoken.augment(published, spoken.corpus(["fr"])[:1], copies=2, run="other")
    published.put(SHARD, published.get(keys.augmented(spoken.RECIPE, "fr", "other", "shard-000000.tar")))
    with pytest.raises(LangaudioError, match=r"run/shard-000000\.tar lacks the sample [0-9a-f]{20}-000-00"):
        read(published)


def stretches(folder: Path, **seconds: float) -> list[Speech]:
    """Return a stretch a language that holds the numbers 1, 2, 3, … as 16-bit samples."""
    speech = []
    for language, length_s in seconds.items():
        length = round(length_s * audio.SAMPLE_RATE)
        path = folder / language
        (np.arange(1, length + 1) % 30_000).astype("<i2").tofile(path)
        speech.append(Speech(language, path, 0, length))
    return speech


def crops(
    speech: list[Speech],
    number: int = 80,
    epoch: int = 0,
    seed: int = 0,
    max_speed_change: float = 0.0,
    noise: Noise = NONE,
    place: Place = ALONE,
) -> Crops:
    languages = sorted({one.language for one in speech})
    return Crops(
        speech,
        languages,
        number=number,
        crop_s=0.5,
        batch_size=4,
        max_speed_change=max_speed_change,
        noise=noise,
        seed=seed,
        epoch=epoch,
        place=place,
    )


def test_languages_are_balanced_whatever_the_corpus_holds(tmp_path: Path) -> None:
    batches = list(crops(stretches(tmp_path, fr=40, de=2)))
    labels = Counter(torch.cat([labels for _, labels in batches]).tolist())
    assert labels[0] == labels[1] == 40


def test_an_epoch_has_the_number_of_crops_asked_for(tmp_path: Path) -> None:
    batches = list(crops(stretches(tmp_path, fr=20, de=20), number=40))
    assert sum(len(labels) for _, labels in batches) == 40
    assert {waveforms.shape for waveforms, _ in batches} == {(4, 8000)}


def test_crops_are_stretches_of_the_recording(tmp_path: Path) -> None:
    waveforms = torch.cat([waveforms for waveforms, _ in crops(stretches(tmp_path, fr=1.8, de=1.8), 8)])
    steps = (waveforms * 32768).diff(dim=1).round()
    assert (steps == 1).all()
    assert len(waveforms[:, 0].unique()) == len(waveforms)


def test_each_batch_has_a_speed_within_the_limits(tmp_path: Path) -> None:
    batches = list(crops(stretches(tmp_path, fr=20, de=20), max_speed_change=0.1))
    speeds = [(waveforms * 32768).diff(dim=1)[:, 100:-100].median() for waveforms, _ in batches]
    assert 0.9 - 1e-3 <= min(speeds) < 0.95 < 1.05 < max(speeds) <= 1.1 + 1e-3
    assert {waveforms.shape for waveforms, _ in batches} == {(4, 8000)}


def test_longer_speech_is_drawn_more_often(tmp_path: Path) -> None:
    short, long = stretches(tmp_path, a=5, b=45)
    speech = [Speech("fr", one.path, 0, one.length) for one in (short, long)]
    counted = Counter(row for _, row in crops(speech, number=100)._drawn)
    assert counted == {0: 10, 1: 90}


def test_speech_shorter_than_a_crop_is_said_again(tmp_path: Path) -> None:
    waveforms, _ = crops(stretches(tmp_path, fr=0.125, de=0.125))[0]
    assert waveforms.shape[1] == 8000
    torch.testing.assert_close(waveforms[:, :2000], waveforms[:, 2000:4000])
    assert len(waveforms[0].unique()) == 2000


def test_seed_and_epoch_make_the_batches(tmp_path: Path) -> None:
    speech = stretches(tmp_path, fr=10, de=10)
    same, again = crops(speech, epoch=1)[3], crops(speech, epoch=1)[3]
    torch.testing.assert_close(same, again, rtol=0, atol=0)
    for other in (crops(speech, epoch=2), crops(speech, epoch=1, seed=1)):
        assert not torch.equal(other[3][0], same[0])


def test_a_corpus_that_does_not_fill_a_batch_is_heard_again(tmp_path: Path) -> None:
    ((waveforms, labels),) = crops(stretches(tmp_path, fr=1, de=1), number=2)
    assert sorted(labels.tolist()) == [0, 0, 1, 1]
    assert waveforms.shape == (4, 8000)


def test_processes_share_what_one_has(tmp_path: Path) -> None:
    speech = stretches(tmp_path, fr=10, de=10)
    options = {"max_speed_change": 0.1, "noise": Noise(share=0.5)}
    whole = crops(speech, **options)
    shares = [crops(speech, **options, place=Place(rank, 2)) for rank in range(2)]
    for batch in range(len(whole)):
        parts = zip(shares[0][batch], shares[1][batch], strict=True)
        for one, part in zip(whole[batch], parts, strict=True):
            torch.testing.assert_close(torch.cat(part), one, rtol=0, atol=0)


def test_noise_is_as_loud_as_was_drawn_and_only_where_it_was_drawn() -> None:
    tone = np.sin(np.arange(audio.SAMPLE_RATE, dtype=np.float32) / 3)
    rng = np.random.default_rng(0)
    heard = [Noise(0.3, 10, 20).added_to(tone, rng) for _ in range(300)]
    noisy = [one - tone for one in heard if not np.array_equal(one, tone)]
    assert 60 < len(noisy) < 120
    snr_db = [-10 * np.log10(np.mean(one**2) / np.mean(tone**2)) for one in noisy]
    assert 9.9 < min(snr_db) < 11
    assert 19 < max(snr_db) < 20.1


def test_speech_is_cut_out_of_a_recording() -> None:
    spoken_s = len(spoken.said("fr", 0)) / audio.SAMPLE_RATE
    pause = np.zeros(3 * audio.SAMPLE_RATE, np.float32)
    recording = np.concatenate([pause, spoken.said("fr", 0), pause])
    (segment,) = clip_speech(audio.to_flac(recording, audio.SAMPLE_RATE))
    assert 0.7 * spoken_s < len(segment) / audio.SAMPLE_RATE < spoken_s + 0.2


def test_held_out_clips_keep_their_segments_and_labels(store: Store, tmp_path: Path) -> None:
    silent = spoken.clip(np.zeros(32_000, np.float32), "fr", "fr-2", "dev")
    rows = [silent, *(row for row in spoken.corpus(["de", "fr"]) if row["split"] == "dev")]
    spoken.publish(store, rows)
    held = HeldOut(store, splits.read(store, ["de", "fr"]), ["de", "fr"], tmp_path)
    assert len(held) == 4  # the silent one is nothing to be right or wrong about
    assert [held[number][1] for number in range(4)] == [0, 0, 1, 1]
    for number, row in enumerate(sorted(rows[1:], key=lambda row: (row["language"], row["clip_id"]))):
        expected = clip_speech(row["data"])
        for segment, wanted in zip(held[number][0], expected, strict=True):
            np.testing.assert_allclose(segment, wanted, atol=1e-6)
