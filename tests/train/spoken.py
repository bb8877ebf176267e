"""A small corpus of synthetic speech in a real bucket, as the stages before training leave it."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import tempfile
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soxr
import torch

from langaudio import audio, catalog, registry
from langaudio.augment.shards import INDEX_SCHEMA
from langaudio.calibration import Calibration
from langaudio.demo.voices import SAMPLE_RATE, VOICES, speak
from langaudio.settings import Settings
from langaudio.store import Store, keys
from langaudio.train.artifact import save_model
from langaudio.train.network import LanguageNetwork, NetworkSettings

RECIPE = "0123456789ab"
TINY = NetworkSettings(members=2, planes=(4, 8), channels=24, kernel_sizes=(5, 7), squeezed=8, attention=16)
SIDES = ("train", "train", "dev", "test")  # of the speakers, in turn

_SENTENCES = {
    "de": ("Guten Morgen, wir gehen heute zusammen in die Schule.", "Ich möchte noch eine Tasse Kaffee."),
    "fr": ("Bonjour, nous allons ensemble à l'école ce matin.", "Je voudrais encore une tasse de café."),
    "ru": ("Доброе утро, сегодня мы идём вместе в школу.", "Я хотел бы ещё чашку кофе."),
}


@lru_cache
def said(language: str, voice: int, sentence: int = 0) -> np.ndarray:
    """Return one sentence, float32 at 16 kHz; different voices are different speakers."""
    sentences = speak(_SENTENCES[language], language, VOICES[voice])
    return soxr.resample(sentences[sentence], SAMPLE_RATE, audio.SAMPLE_RATE)


def clip(samples: np.ndarray, language: str, speaker: str | None, split: str) -> dict[str, Any]:
    """Return a catalog row, and the recording itself under ``data``."""
    data = audio.to_flac(samples, audio.SAMPLE_RATE)
    sha256 = hashlib.sha256(data).hexdigest()
    seen = datetime(2026, 11, 1, tzinfo=UTC)
    seconds = len(samples) / audio.SAMPLE_RATE
    return {
        "clip_id": sha256[:20], "language": language, "source": "demo", "source_url": "http://x/1.mp3",
        "speaker_id": speaker, "duration_s": seconds, "sample_rate": audio.SAMPLE_RATE, "channels": 1,
        "bitrate": 128000, "speech_s": seconds, "sha256": sha256, "bytes": len(data), "split": split,
        "first_seen": seen, "last_seen": seen, "gone": False, "format": "flac", "data": data,
    }  # fmt: skip


def corpus(languages: Sequence[str], speakers: int = 4) -> list[dict[str, Any]]:
    """Return clips of each language, one of each sentence by each speaker."""
    return [
        clip(said(language, voice, sentence), language, f"{language}-{voice}", SIDES[voice % len(SIDES)])
        for language in languages
        for voice in range(speakers)
        for sentence in range(2)
    ]


def publish(store: Store, clips: Iterable[dict[str, Any]], run: str = "run") -> None:
    """Write recordings and catalog."""
    clips = list(clips)
    for language in sorted({one["language"] for one in clips}):
        rows = [one for one in clips if one["language"] == language]
        for row in rows:
            store.put(keys.raw(language, row["clip_id"], "flac"), row["data"])
        catalog.write_part(store, language, run, [{**row, "data": None} for row in rows])


def augment(
    store: Store,
    clips: Iterable[dict[str, Any]],
    copies: int = 1,
    run: str = "run",
    recipe_id: str = RECIPE,
) -> None:
    """Write shards of the training clips: copies are the recording itself, quieter each time."""
    training = [one for one in clips if one["split"] == "train"]
    for language in sorted({one["language"] for one in training}):
        rows = [one for one in training if one["language"] == language]
        shard = keys.augmented(recipe_id, language, run, "shard-000000.tar")
        index, buffer = [], io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for row in rows:
                samples = audio.decode(row["data"]).samples
                for copy in range(copies + 1):
                    entry = {"clip_id": row["clip_id"], "segment": 0, "copy": copy, "shard": shard}
                    index.append(entry | {"begin_s": 0.0, "end_s": row["duration_s"]})
                    _add(
                        tar, f"{row['clip_id']}-000-{copy:02d}.flac", audio.to_flac(samples / 2**copy, 16_000)
                    )
                    _add(tar, f"{row['clip_id']}-000-{copy:02d}.json", json.dumps(entry).encode())
        store.put(shard, buffer.getvalue())
        parquet = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(index, schema=INDEX_SCHEMA), parquet)
        store.put(keys.augmented(recipe_id, language, run, "index.parquet"), parquet.getvalue())


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def constant(languages: Sequence[str], answer: str, sure: float = 2.0) -> LanguageNetwork:
    """Return a network that hears the same language in everything, by so many nats more than any other.

    All who ask for the same share one.
    """
    return _constant(tuple(languages), answer, sure)


@lru_cache
def _constant(languages: tuple[str, ...], answer: str, sure: float) -> LanguageNetwork:
    network = LanguageNetwork(list(languages), TINY)
    with torch.no_grad():
        for member in network.members:
            last = member.get_submodule("head.2")
            assert isinstance(last, torch.nn.Linear)
            last.weight.zero_()
            last.bias.copy_(torch.tensor([sure if code == answer else 0.0 for code in languages]))
    return network.eval()


def run_of(network: LanguageNetwork, calibration: Calibration | None = None, **parameters: object) -> str:
    """Return the id of a run that ended with this network."""
    run_id = registry.start_run("a test", parameters)
    with tempfile.TemporaryDirectory() as folder:
        for name, content in _files(network, calibration or Calibration()).items():
            Path(folder, name).write_bytes(content)
        registry.log_model(run_id, Path(folder))
    registry.finish_run(run_id)
    return run_id


@lru_cache
def _files(network: LanguageNetwork, calibration: Calibration) -> dict[str, bytes]:
    """Return the files of a model: writing the one for ONNX takes a second."""
    with tempfile.TemporaryDirectory() as folder:
        save_model(network, calibration, Path(folder))
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def prepare_mlflow(configured: Settings) -> None:
    """Give a test MLflow's database with its tables made: making them takes seconds."""
    Path(configured.mlflow_uri.removeprefix("sqlite:///")).write_bytes(_empty_database())


@lru_cache
def _empty_database() -> bytes:
    from mlflow import MlflowClient

    with tempfile.TemporaryDirectory() as folder:
        MlflowClient(f"sqlite:///{folder}/mlflow.db").search_experiments()
        return Path(folder, "mlflow.db").read_bytes()
