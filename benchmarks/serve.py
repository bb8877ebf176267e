"""Asking a model: file to answer, command to answer, an hour; and the voice activity beside Silero's own.

Only the voice activity has a peer: the rest are the promises of docs/models.md. The network has the size of
the default and has not learned, which makes no difference to its speed. All of it runs on one thread. Times
are the best of many, with the median beside it: on a machine that does other things, too, the best is what
the program needs.

    make bench-serve                         recordings from ../shared/speech, or else synthetic voices
    SPEECH=/other/folder make bench-serve    recordings from elsewhere
"""

from __future__ import annotations

import csv
import functools
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import soundfile
import soxr
import torch

import langaudio
from langaudio import audio
from langaudio.calibration import Calibration
from langaudio.demo.voices import SAMPLE_RATE, VOICES, speak
from langaudio.train.artifact import save_model
from langaudio.train.network import LanguageNetwork

PROJECT = Path(__file__).resolve().parents[1]
RESULTS = PROJECT / "benchmarks" / "results"
LANGUAGES = ["ar", "de", "en", "es", "fa", "fr", "it", "nl", "sv", "tr"]
FORMATS = {"wav": 16_000, "flac": 16_000, "mp3": 44_100}
REPETITIONS = 100

HEAR = """
import json, sys, time, langaudio
from langaudio.memory import peak_mib
model = langaudio.load_model(sys.argv[1])
begin = time.process_time()
found = langaudio.timeline(sys.argv[2], model)
took = time.process_time() - begin
print(json.dumps({"minutes": found.duration_s / 60, "cpu_s": took, "peak_rss_mib": peak_mib()}))
"""


def main() -> None:
    speech = np.concatenate(list(_speech()))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        torch.manual_seed(0)
        save_model(LanguageNetwork(LANGUAGES).eval(), Calibration(), folder)
        file = folder / "model.onnx"
        identified = _identified(file, folder, speech[: 10 * audio.SAMPLE_RATE])
        result: dict[str, Any] = {
            "speech": "recordings" if _recordings().is_dir() else "synthetic voices",
            "identify": identified,
            "voice_activity": _voice_activity(speech[: 10 * audio.SAMPLE_RATE]),
            "command": _command(file, folder / "10s.mp3"),
            "timeline": [_timeline(file, folder, speech, minutes) for minutes in (6, 60)],
        }
    hour = result["timeline"][-1]
    headline = {
        "identify_10s_ms": identified["flac"]["best_ms"],
        "vad_10s_ms": result["voice_activity"]["ours"]["best_ms"],
        "vad_10s_ms_silero": result["voice_activity"]["silero"]["best_ms"],
        "cli_start_s": result["command"]["best_s"],
        "hour_cpu_s": hour["cpu_s"],
        "hour_peak_rss_mib": hour["peak_rss_mib"],
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "serve.json").write_text(json.dumps({"headline": headline} | result, indent=1) + "\n")
    (RESULTS / "serve.md").write_text(_table(result))


def _identified(file: Path, folder: Path, clip: np.ndarray) -> dict[str, dict[str, float]]:
    model, took = langaudio.load_model(file), {}
    for kind, rate in FORMATS.items():
        path = folder / f"10s.{kind}"
        soundfile.write(path, soxr.resample(clip, audio.SAMPLE_RATE, rate), rate)
        took[kind] = _timed(functools.partial(langaudio.identify, path, model))
    return took


def _voice_activity(clip: np.ndarray) -> dict[str, dict[str, float]]:
    package = importlib.util.find_spec("silero_vad")
    assert package is not None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    path = Path(str(package.origin)).parent / "data" / "silero_vad_16k_sequence.onnx"
    silero = onnxruntime.InferenceSession(path, options)
    padded = np.concatenate([np.zeros(64, np.float32), clip[: len(clip) // 512 * 512]])
    windows = np.ascontiguousarray(np.lib.stride_tricks.sliding_window_view(padded, 576)[::512])
    state = np.zeros((1, 1, 128), np.float32)
    return {
        "ours": _timed(lambda: audio.speech_regions(clip)),
        "silero": _timed(lambda: silero.run(None, {"input": windows, "h": state, "c": state})),
    }


def _command(file: Path, recording: Path) -> dict[str, float]:
    program = Path(sys.executable).parent / "langaudio"
    command = [str(part) for part in (program, "identify", recording, "--model", file)]
    took = []
    for _ in range(10):
        begin = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        took.append(time.perf_counter() - begin)
    return {"best_s": min(took), "median_s": statistics.median(took)}


def _timeline(file: Path, folder: Path, speech: np.ndarray, minutes: int) -> dict[str, float]:
    path = folder / f"{minutes}.flac"
    with soundfile.SoundFile(path, "w", audio.SAMPLE_RATE, 1) as written:
        for _ in range(minutes):
            written.write(np.resize(speech, 60 * audio.SAMPLE_RATE))
    done = subprocess.run(
        [sys.executable, "-c", HEAR, file, path], check=True, stdout=subprocess.PIPE, text=True
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _timed(call: Callable[[], object]) -> dict[str, float]:
    call()
    took = []
    for _ in range(REPETITIONS):
        begin = time.perf_counter()
        call()
        took.append(1000 * (time.perf_counter() - begin))
    return {"best_ms": min(took), "median_ms": statistics.median(took)}


def _recordings() -> Path:
    return Path(os.environ.get("SPEECH", PROJECT.parent / "shared" / "speech")).resolve()


def _speech() -> Iterator[np.ndarray]:
    """Yield a minute of speech, or somewhat more."""
    folder = _recordings()
    if folder.is_dir():
        with (folder / "manifest.csv").open() as file:
            paths = [row["path"] for row in csv.DictReader(file)]
        clips = (audio.decode((folder / path).read_bytes()).samples for path in paths[:: len(paths) // 60])
    else:
        sentences = ["Bonjour, nous allons ensemble à l'école ce matin."]
        spoken = (speak(sentences, "fr", voice)[0] for voice in VOICES)
        clips = (soxr.resample(one, SAMPLE_RATE, audio.SAMPLE_RATE) for one in spoken)
    samples = 0
    for clip in clips:
        if samples > 60 * audio.SAMPLE_RATE:
            return
        samples += len(clip)
        yield clip


def _table(result: dict[str, Any]) -> str:
    lines = [
        "# Asking a model",
        "",
        f"Speech: {result['speech']}. One thread.",
        "",
        "| Ten seconds | best | median |",
        "|---|---:|---:|",
    ]
    rows = {f"`identify`, {kind}": one for kind, one in result["identify"].items()}
    rows |= {
        "voice activity, ours": result["voice_activity"]["ours"],
        "voice activity, Silero's own file": result["voice_activity"]["silero"],
    }
    lines += [f"| {name} | {_two(one, 'ms')} |" for name, one in rows.items()]
    lines.append(f"| `langaudio identify`, a process | {_two(result['command'], 's')} |")
    lines += ["", "| Timeline | CPU time | of real time | peak memory |", "|---|---:|---:|---:|"]
    for one in result["timeline"]:
        share = one["cpu_s"] / one["minutes"] / 60
        lines.append(
            f"| {one['minutes']:.0f} min | {one['cpu_s']:.1f} s | {share:.4f} | {one['peak_rss_mib']} MiB |"
        )
    return "\n".join(lines) + "\n"


def _two(took: dict[str, float], unit: str) -> str:
    best, median = (f"{took[f'{which}_{unit}']:.3g} {unit}" for which in ("best", "median"))
    return f"{best} | {median}"


if __name__ == "__main__":
    main()
