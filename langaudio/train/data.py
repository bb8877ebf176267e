"""Audio on its way from the bucket into batches.

Training speech comes from the shards. Each shard is fetched once and unpacked into the local cache as
plain 16-bit samples, so that a crop is one short read from a file and memory does not grow with the
corpus. Speech of dev and test clips is cut from the raw recordings and never augmented.
"""

from __future__ import annotations

import io
import json
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from langaudio import audio
from langaudio.augment.shards import read_index
from langaudio.errors import LangaudioError
from langaudio.store import Store, keys
from langaudio.train import cache
from langaudio.train.processes import ALONE, Place
from langaudio.train.splits import Clip

_PCM, _CONTENTS = "speech.pcm", "contents.json"
_SAMPLE = np.dtype("<i2")
_FULL_SCALE = 32768.0


@dataclass(frozen=True)
class Noise:
    """White noise that is added to some crops, so that no two epochs hear the same.

    Attributes:
        share: of the crops that get some.
        min_snr_db: loudest noise, as its distance below the crop's level.
        max_snr_db: softest.
    """

    share: float = 0.5
    min_snr_db: float = 5.0
    max_snr_db: float = 30.0

    def added_to(self, samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return a crop with noise, or without, as the draws have it; float32, shape ``(samples,)``."""
        if rng.random() >= self.share:
            return samples
        snr_db = rng.uniform(self.min_snr_db, self.max_snr_db)
        level = np.sqrt(np.mean(np.square(samples))) * 10 ** (-snr_db / 20)
        return samples + np.float32(level) * rng.standard_normal(len(samples), np.float32)


@dataclass(frozen=True)
class Speech:
    """A stretch of speech in a file of 16-bit samples at ``SAMPLE_RATE``.

    Attributes:
        language: what is spoken.
        path: the file.
        begin: where it begins in the file, in samples.
        length: in samples.
        copy: number of the augmented copy; 0 is speech as it was spoken.
    """

    language: str
    path: Path
    begin: int
    length: int
    copy: int = 0

    @property
    def seconds(self) -> float:
        return self.length / audio.SAMPLE_RATE

    def read(self, begin: int = 0, length: int | None = None) -> np.ndarray:
        """Return float32 samples, full scale at ±1; ``begin`` counts from the stretch's own beginning."""
        count = self.length - begin if length is None else length
        offset = (self.begin + begin) * _SAMPLE.itemsize
        samples = np.fromfile(self.path, _SAMPLE, count, offset=offset)
        return samples.astype(np.float32) / _FULL_SCALE


def training_speech(store: Store, clips: Iterable[Clip], recipe_id: str) -> list[Speech]:
    """Return the segments and copies of the training clips, after fetching the shards that the cache lacks.

    Args:
        store: the bucket.
        clips: of all sides; those of the training side are taken.
        recipe_id: which augmentation.

    Raises:
        LangaudioError: a language has nothing augmented with this recipe, or a shard is damaged.
    """
    wanted: dict[str, set[str]] = {}
    for clip in clips:
        if clip.split == "train":
            wanted.setdefault(clip.language, set()).add(clip.clip_id)
    speech: list[Speech] = []
    for language, clip_ids in wanted.items():
        index = read_index(store, recipe_id, language).to_pylist()
        cache.keep_only(store, recipe_id, language, {row["shard"] for row in index})
        rows = [row for row in index if row["clip_id"] in clip_ids]
        if not rows:
            raise LangaudioError(
                f"{language!r} has {len(clip_ids)} training clips and no speech of them is augmented with "
                f"recipe {recipe_id!r}: run `langaudio augment {language}` first."
            )
        shards = _unpacked(store, sorted({row["shard"] for row in rows}))
        for row in rows:
            folder, contents = shards[row["shard"]]
            sample = f"{row['clip_id']}-{row['segment']:03d}-{row['copy']:02d}"
            if sample not in contents:
                raise LangaudioError(
                    f"{row['shard']} lacks the sample {sample} that its index names: delete that folder from "
                    f"the bucket, and run `langaudio augment {language}` again."
                )
            speech.append(Speech(language, folder / _PCM, *contents[sample], row["copy"]))
    return speech


def clip_speech(data: bytes) -> list[np.ndarray]:
    """Return the segments of speech of an encoded recording, as training cuts them.

    Each is float32 at ``SAMPLE_RATE``. There are none if nobody speaks for long enough.

    Raises:
        NotAudio: it does not decode.
    """
    return [segment.samples for segment in audio.speech_in(audio.decode_blocks(data))]


def held_out_speech(store: Store, clips: Sequence[Clip]) -> Iterator[tuple[Clip, list[np.ndarray]]]:
    """Yield each clip with its segments of speech, from the raw recordings, in the order given.

    Raises:
        LangaudioError: a recording is not in the bucket, or does not decode.
    """
    recordings = store.get_many(keys.raw(clip.language, clip.clip_id, clip.format) for clip in clips)
    for clip, (_, data) in zip(clips, recordings, strict=True):
        yield clip, clip_speech(data)


class Crops(Dataset[tuple[Tensor, Tensor]]):
    """One epoch of random crops in batches, every language about as often as every other.

    Within a language a stretch is drawn in proportion to its length. What is shorter than a crop is said
    again until the crop is full. Each batch is played a little faster or slower, and noise is added to some
    crops. The same seed and epoch give the same batches, whoever asks for them.

    Args:
        speech: what to crop from.
        languages: the tags in the order of the labels; each must have speech.
        number: of crops in the epoch.
        crop_s: length of a crop, in seconds.
        batch_size: crops in a batch, of all processes together.
        max_speed_change: how much faster or slower at most, as a share.
        noise: what is added.
        seed: of the draws.
        epoch: number of the epoch, from 0.
        place: which of several processes asks: each gets its share of every batch.
    """

    def __init__(
        self,
        speech: Sequence[Speech],
        languages: Sequence[str],
        *,
        number: int,
        crop_s: float,
        batch_size: int,
        max_speed_change: float,
        noise: Noise,
        seed: int,
        epoch: int,
        place: Place = ALONE,
    ) -> None:
        self._by_language = [[one for one in speech if one.language == code] for code in languages]
        self._crop = round(crop_s * audio.SAMPLE_RATE)
        self._batch_size = batch_size
        self._max_speed_change = max_speed_change
        self._noise = noise
        self._seed = seed, epoch
        self._share = place.share(batch_size)
        self._each = max(1, round(number / len(languages)))
        rng = np.random.default_rng(self._seed)
        drawn = [(label, row) for label in range(len(languages)) for row in self._draw(label, rng)]
        self._drawn = [drawn[i] for i in rng.permutation(len(drawn))]

    def __len__(self) -> int:
        return max(1, len(self._drawn) // self._batch_size)

    def __getitem__(self, batch: int) -> tuple[Tensor, Tensor]:
        """Return waveforms ``(batch, samples)`` and labels ``(batch,)``."""
        if not 0 <= batch < len(self):
            raise IndexError(f"batch {batch} of {len(self)}")
        speed = 1 + self._max_speed_change * np.random.default_rng((*self._seed, batch)).uniform(-1, 1)
        length = round(self._crop * speed)
        # A corpus that does not fill a batch is heard again.
        numbers = [(batch * self._batch_size + row) % len(self._drawn) for row in range(self._batch_size)]
        # A generator for each crop: what it is does not depend on the others that this process has.
        drawn = [
            (*self._drawn[number], np.random.default_rng((*self._seed, batch, row)))
            for row, number in enumerate(numbers)
        ][self._share]
        cut = np.stack([_cut(self._by_language[label][row], length, rng) for label, row, rng in drawn])
        # Straight lines between samples are good enough for training, and cost next to nothing.
        waveforms = torch.nn.functional.interpolate(
            torch.from_numpy(cut).unsqueeze(1), self._crop, mode="linear", align_corners=False
        ).squeeze(1)
        noisy = [
            torch.from_numpy(self._noise.added_to(waveform.numpy(), rng))
            for waveform, (_, _, rng) in zip(waveforms, drawn, strict=True)
        ]
        return torch.stack(noisy), torch.tensor([label for label, _, _ in drawn])

    def _draw(self, label: int, rng: np.random.Generator) -> list[int]:
        # Even steps along all the speech laid end to end, from a random start: nothing is drawn much more
        # or much less often than its length deserves.
        ends = np.cumsum([one.length for one in self._by_language[label]])
        at = (np.arange(self._each) + rng.random()) / self._each * ends[-1]
        rows: list[int] = np.searchsorted(ends, at, side="right").tolist()
        return rows


class HeldOut(Dataset[tuple[list[Tensor], int]]):
    """Clips of one side with their segments, read again for every epoch: ``(segments, label)``.

    Args:
        store: the bucket.
        clips: what to hold.
        languages: the tags in the order of the labels.
        folder: an empty folder that lives as long as this does.
    """

    def __init__(self, store: Store, clips: Sequence[Clip], languages: Sequence[str], folder: Path) -> None:
        self._languages = list(languages)
        path = folder / _PCM
        self._clips: list[list[Speech]] = []
        with path.open("wb") as file:
            for clip, segments in held_out_speech(store, clips):
                held = [Speech(clip.language, path, *_append(file, segment)) for segment in segments]
                if held:
                    self._clips.append(held)

    def __len__(self) -> int:
        return len(self._clips)

    def __getitem__(self, number: int) -> tuple[list[Tensor], int]:
        segments = self._clips[number]
        label = self._languages.index(segments[0].language)
        return [torch.from_numpy(segment.read()) for segment in segments], label


def _cut(speech: Speech, length: int, rng: np.random.Generator) -> np.ndarray:
    spare = speech.length - length
    if spare >= 0:
        return speech.read(int(rng.integers(spare + 1)), length)
    return np.roll(np.resize(speech.read(), length), int(rng.integers(length)))


def _unpacked(store: Store, shards: Sequence[str]) -> dict[str, tuple[Path, dict[str, tuple[int, int]]]]:
    """Return for each shard its folder in the cache, and where in the folder's file each sample is."""
    # Two at once: one is fetched while another is decoded, and no more than two are in memory.
    with ThreadPoolExecutor(2) as pool:
        folders = list(pool.map(lambda shard: _unpack(store, shard), shards))
    return {
        shard: (folder, json.loads((folder / _CONTENTS).read_text()))
        for shard, folder in zip(shards, folders, strict=True)
    }


def _unpack(store: Store, shard: str) -> Path:
    folder = cache.folder_of(store, shard)
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache.root(store), prefix=".unpacking-") as scratch:
        unfinished = Path(scratch) / "shard"
        unfinished.mkdir()
        contents: dict[str, tuple[int, int]] = {}
        with (
            tarfile.open(fileobj=io.BytesIO(store.get(shard))) as tar,
            (unfinished / _PCM).open("wb") as file,
        ):
            for member in tar:
                name, _, extension = member.name.rpartition(".")
                content = tar.extractfile(member)
                if extension == "flac" and content is not None:
                    samples = audio.decode(content.read()).samples
                    contents[name] = _append(file, samples)
        (unfinished / _CONTENTS).write_text(json.dumps(contents))
        try:
            unfinished.rename(folder)  # complete or absent, whatever happens
        except OSError:
            # Another process was faster: its folder is as good as ours.
            if not folder.exists():
                raise
    return folder


def _append(file: BinaryIO, samples: np.ndarray) -> tuple[int, int]:
    """Write float samples as 16-bit ones; return where they begin, in samples, and their number."""
    begin = file.tell() // _SAMPLE.itemsize
    scaled = np.round(samples * _FULL_SCALE).clip(-_FULL_SCALE, _FULL_SCALE - 1)
    file.write(scaled.astype(_SAMPLE).tobytes())
    return begin, len(samples)
