"""From MP3 bytes to shards: beside the straightforward way, on two processes, and with growing work.

Plain functions that measure and return dictionaries; `benchmarks/augment.py` calls them. The straightforward
way is a clip at a time: librosa loads, resamples and splits it, audiomentations makes a copy, soundfile makes
FLAC, tarfile the shard. Both ways cut segments by the same rules, take the same six transforms, each of them
every time and with the same ranges, and keep each segment as it was spoken beside its copy.

langaudio goes both ways that the stage does: with the regions of speech that upload has put into the catalog,
and without.
"""

from __future__ import annotations

import csv
import io
import json
import os
import resource
import statistics
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import soundfile
import soxr
from threadpoolctl import threadpool_limits

from langaudio import audio, catalog
from langaudio.audio import mp3
from langaudio.augment import Recipe, from_dict, load
from langaudio.augment.compose import Compose
from langaudio.augment.rendering import Job, Renderer
from langaudio.augment.stage import augment
from langaudio.augment.workers import Workers
from langaudio.demo.site import build_synthetic
from langaudio.store import Store, keys

PROJECT = Path(__file__).resolve().parents[2]

_RATE, _KBPS = 44_100, 128  # of the MP3 files: as most of the web's are
LANGUAGE = "fr"
_SEEN = datetime(2026, 11, 1, tzinfo=UTC)

Rendered = Iterable[tuple[str, bytes, bytes]]
"""Of each sample its name, FLAC and JSON."""

_T = TypeVar("_T")


def recordings(folder: Path, seconds: float, number: int) -> list[bytes]:
    """Return MP3 files of about so many seconds: of real speech where it is at hand, else of the demo's.

    Args:
        folder: for the demo's voices, if they are needed.
        seconds: of each file, or somewhat more.
        number: of files, at most.
    """
    made: list[bytes] = []
    joined: list[np.ndarray] = []
    for samples in _speech(folder):
        joined.append(samples)
        if sum(map(len, joined)) >= seconds * audio.SAMPLE_RATE:
            spoken = soxr.resample(np.concatenate(joined), audio.SAMPLE_RATE, _RATE)
            made.append(mp3.encode(spoken, _RATE, _KBPS))
            joined = []
        if len(made) == number:
            break
    return made


def publish(store: Store, clips: Sequence[bytes], numbers: range) -> None:
    """Publish clips again and again, under ids that are made of these numbers."""
    rows = []
    with store.writing() as writing:
        for number in numbers:
            data, clip_id = clips[number % len(clips)], f"{number:020d}"
            writing.put(keys.raw(LANGUAGE, clip_id, "mp3"), data)
            rows.append(_row(clip_id, data))
    catalog.write_part(store, LANGUAGE, f"bench-{numbers.start}", rows)


def mp3_to_shard(clips: Sequence[bytes], rounds: int = 5) -> dict[str, Any]:
    """Measure the ways on one thread, clip by clip in turn; milliseconds are for 10 s of recording.

    They are the time of the processor, so that other programs of this machine do not count.
    """
    seconds = sum(audio.decode(data).duration_s for data in clips)
    ways = {
        "straightforward": _straightforward(),
        "langaudio": _ours(known_speech=True),
        "langaudio_without_regions": _ours(known_speech=False),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    with threadpool_limits(1):
        jobs = [_job(data) for data in clips]
        for way in ways.values():
            _shard(way(jobs[0]))
        for turn in range(rounds):
            spent = dict.fromkeys(ways, 0.0)
            for number, job in enumerate(jobs):
                for name, way in _turned(list(ways.items()), turn + number):
                    begin = time.process_time()
                    _shard(way(job))
                    spent[name] += time.process_time() - begin
            for name, total in spent.items():
                times[name].append(total)
    medians = {name: statistics.median(each) for name, each in times.items()}
    return {
        "clips": len(clips),
        "seconds": round(seconds, 1),
        "ms_per_10_s": {name: round(each / seconds * 1e4, 2) for name, each in medians.items()},
        "speedup": round(medians["straightforward"] / medians["langaudio"], 2),
        "speedup_without_regions": round(
            medians["straightforward"] / medians["langaudio_without_regions"], 2
        ),
        "parts_ms_per_10_s": _parts(clips, seconds),
    }


def flac_levels(clips: Sequence[bytes], rounds: int = 5) -> dict[str, dict[str, float]]:
    """Measure libFLAC's levels of compression, in turn: CPU milliseconds and kilobytes for 10 s of speech."""
    spoken = [(audio.decode(data).samples * 32767).astype(np.int16) for data in clips]
    seconds = sum(map(len, spoken)) / audio.SAMPLE_RATE
    times: dict[int, list[float]] = {level: [] for level in range(9)}
    sizes: dict[int, int] = {}
    for turn in range(rounds):
        for level, taken in _turned(list(times.items()), turn):
            begin, sizes[level] = time.process_time(), 0
            for samples in spoken:
                file = io.BytesIO()
                soundfile.write(file, samples, audio.SAMPLE_RATE, format="FLAC", compression_level=level / 8)
                sizes[level] += len(file.getvalue())
            taken.append(time.process_time() - begin)
    return {
        str(level): {
            "ms": round(statistics.median(taken) / seconds * 1e4, 2),
            "kilobytes": round(sizes[level] / seconds / 100, 1),
        }
        for level, taken in times.items()
    }


def two_processes(clips: Sequence[bytes], rounds: int = 5) -> dict[str, Any]:
    """Measure the stage's processes, one and two in turn, from MP3 files in memory to shards in memory."""
    jobs = [replace(_job(data), clip_id=f"{number:020d}") for number, data in enumerate(clips)]
    renderer = Renderer(LANGUAGE, load("default"), "bench", 0)

    def render(workers: int) -> float:
        with Workers(workers, renderer) as processes:
            for _ in processes.map((None, partial(replace, job)) for job in jobs[: 2 * workers]):
                pass  # they have started and compiled
            begin = time.perf_counter()
            done = processes.map((None, partial(replace, job)) for job in jobs)
            _shard(
                (sample.name, sample.flac, sample.described) for _, made in done for sample in made.result()
            )
            return time.perf_counter() - begin

    return {"clips": len(clips)} | _one_and_two(render, rounds)


def two_processes_of_the_stage(
    store: Store, clips: Sequence[bytes], number: int = 1_000, rounds: int = 3
) -> dict[str, Any]:
    """Measure the stage on one process and on two, in turn, from the bucket and back to it.

    Args:
        store: an empty bucket that the settings name.
        clips: which are published again and again, under other ids.
        number: of ids.
        rounds: how often.
    """
    publish(store, clips, range(number))
    seeds = count()

    def render(workers: int) -> float:
        begin = time.perf_counter()
        # Another seed is another place in the bucket: everything is made anew.
        report = augment(
            store, LANGUAGE, run="bench", copies=1, balance_minutes=0, seed=next(seeds), workers=workers
        )
        assert report.failed == 0
        return time.perf_counter() - begin

    return {"clips": number} | _one_and_two(render, rounds)


def _one_and_two(render: Callable[[int], float], rounds: int) -> dict[str, float]:
    times: dict[int, list[float]] = {1: [], 2: []}
    for turn in range(rounds):
        for workers in (1, 2) if turn % 2 else (2, 1):
            times[workers].append(render(workers))
    one, two = (statistics.median(times[workers]) for workers in (1, 2))
    return {
        "one_process_s": round(one, 2),
        "two_processes_s": round(two, 2),
        "speedup": round(one / two, 2),
    }


def cost_against_work(
    store: Store, clips: Sequence[bytes], sizes: Sequence[int] = (100, 1_000, 10_000)
) -> dict[str, Any]:
    """Measure time and memory of the command for growing languages, and for ten clips more.

    Both the time that passes and that of the processors, which other work on the machine disturbs least.

    Args:
        store: an empty bucket that the settings name.
        clips: short ones, which are published again and again under other ids.
        sizes: numbers of clips, growing.
    """
    found, published = [], 0
    for size in sizes:
        publish(store, clips, range(published, size))
        new, published = size - published, size
        found.append({"clips": new, "known_clips": size - new} | _command())
    publish(store, clips, range(published, published + 10))
    more = {"clips": 10, "known_clips": published} | _command()
    nothing = {"clips": 0, "known_clips": published + 10} | _command()
    return {"runs": [*found, more, nothing]}


def _command() -> dict[str, Any]:
    """Run ``langaudio augment`` in a process of its own; return what it cost."""
    command = [sys.executable, "-m", "langaudio.cli", "augment", LANGUAGE]
    command += ["--copies", "1", "--balance-minutes", "0", "--workers", "1"]
    before = _children_s()
    ran = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
    report = json.loads(ran.stdout)
    assert report["failed"] == 0
    told = {name: report[name] for name in ("written", "seconds", "peak_rss_mib")}
    return told | {"cpu_s": round(_children_s() - before, 2)}


def _children_s() -> float:
    """Return the seconds of processors that children, and theirs, have used until they ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _row(clip_id: str, data: bytes) -> dict[str, Any]:
    speech_s = len(data) * 8 / 1000 / _KBPS
    return {
        "clip_id": clip_id, "language": LANGUAGE, "source": "bench", "title": None, "speaker_id": None,
        "source_url": f"http://site.example/{clip_id}.mp3", "page_url": None, "speaker_sex": None,
        "speaker_age": None, "cefr_level": None, "licence": None, "permission": None, "duration_s": speech_s,
        "sample_rate": _RATE, "channels": 1, "bitrate": 1000 * _KBPS, "speech_s": speech_s,
        "sha256": clip_id.zfill(64), "bytes": len(data), "split": "train", "first_seen": _SEEN,
        "last_seen": _SEEN, "gone": False, "format": "mp3", "fingerprint": None,
        "speech_regions": audio.in_samples(audio.speech_regions(audio.decode(data).samples)),
    }  # fmt: skip


def _speech(folder: Path) -> Iterator[np.ndarray]:
    speech = Path(os.environ.get("SPEECH", PROJECT.parent / "shared" / "speech")).resolve()
    if speech.is_dir():
        with (speech / "manifest.csv").open(newline="") as file:
            paths = [speech / row["path"] for row in csv.DictReader(file)]
    else:
        os.environ["LANGAUDIO_SPEAKER_KEY"] = "a key for measurements"
        build_synthetic(folder / "site", ["fr", "en"], speakers=3, clips=9)
        paths = sorted((folder / "site").rglob("*.mp3"))
    for path in paths:
        try:
            yield audio.decode(path.read_bytes()).samples
        except audio.NotAudio:
            continue  # the demo's site has some that are not


def _job(data: bytes) -> Job:
    """Return what the stage makes of a row of the catalog: a clip, itself and one copy."""
    regions = audio.in_samples(audio.speech_regions(audio.decode(data).samples))
    return Job("clip", None, [0, 1], data, regions)


def _ours(*, known_speech: bool) -> Callable[[Job], Rendered]:
    renderer = Renderer(LANGUAGE, Recipe("every", _every_time()), "bench", 0)

    def way(job: Job) -> Rendered:
        for sample in renderer.render(job if known_speech else replace(job, speech_regions=None)):
            yield sample.name, sample.flac, sample.described

    return way


def _straightforward() -> Callable[[Job], Rendered]:
    import librosa

    chain = _audiomentations()

    def way(job: Job) -> Rendered:
        samples, rate = librosa.load(io.BytesIO(job.data), sr=audio.SAMPLE_RATE)
        spoken = [(begin / rate, end / rate) for begin, end in librosa.effects.split(samples, top_db=40)]
        for segment, (begin, end) in enumerate(audio.speech_segments(spoken)):
            cut = samples[round(begin * rate) : round(end * rate)]
            for copy, rendered in enumerate((cut, chain(cut, sample_rate=int(rate)))):
                flac = io.BytesIO()
                soundfile.write(flac, rendered, int(rate), format="FLAC", subtype="PCM_16")
                described = json.dumps({"segment": segment, "copy": copy, "begin_s": begin, "end_s": end})
                yield f"clip-{segment:03d}-{copy:02d}", flac.getvalue(), described.encode()

    return way


def _turned(ways: list[_T], turns: int) -> list[_T]:
    return ways[turns % len(ways) :] + ways[: turns % len(ways)]


def _every_time() -> Compose:
    """Return the default recipe's transforms, none of them left to chance."""
    described = load("default").transform.to_dict()
    described["transforms"] = [each | {"p": 1.0} for each in described["transforms"]]
    compose = from_dict(described)
    assert isinstance(compose, Compose)
    return compose


def _audiomentations() -> Any:
    """Return the same transforms with the same ranges, in the same order."""
    import audiomentations

    peers: dict[str, Callable[..., Any]] = {
        "PitchScale": audiomentations.PitchShift,
        "TimeMask": audiomentations.TimeMask,
        "HighPassFilter": lambda rolloff, **ranges: audiomentations.HighPassFilter(
            min_rolloff=int(rolloff), max_rolloff=int(rolloff), **ranges
        ),
        "WhiteNoise": audiomentations.AddGaussianSNR,
        "RandomGain": audiomentations.Gain,
        "PolarityInversion": audiomentations.PolarityInversion,
    }
    return audiomentations.Compose(
        [
            peers[each["transform"]](**{name: value for name, value in each.items() if name != "transform"})
            for each in _every_time().to_dict()["transforms"]
        ]
    )


def _shard(rendered: Rendered) -> bytes:
    shard = io.BytesIO()
    with tarfile.open(fileobj=shard, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, flac, described in rendered:
            for extension, content in (("flac", flac), ("json", described)):
                member = tarfile.TarInfo(f"{name}.{extension}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return shard.getvalue()


def _parts(clips: Sequence[bytes], seconds: float) -> dict[str, float]:
    """Return where our time goes."""
    recipe = Recipe("every", _every_time())
    spent = dict.fromkeys(("decode_mp3", "resample", "find_speech", "augment", "flac"), 0.0)

    @contextmanager
    def timed(name: str) -> Iterator[None]:
        begin = time.process_time()
        yield
        spent[name] += time.process_time() - begin

    with threadpool_limits(1):
        for data in clips:
            with timed("decode_mp3"):
                decoded, rate = soundfile.read(io.BytesIO(data), dtype="float32")
            with timed("resample"):
                samples = soxr.resample(decoded, rate, audio.SAMPLE_RATE)
            with timed("find_speech"):
                segments = audio.speech_segments(audio.speech_regions(samples))
            for number, (begin, end) in enumerate(segments):
                cut = samples[round(begin * audio.SAMPLE_RATE) : round(end * audio.SAMPLE_RATE)]
                with timed("augment"):
                    copy, _ = recipe.copy(cut, audio.SAMPLE_RATE, 0, "clip", 1, number)
                with timed("flac"):
                    for rendered in (cut, copy):
                        audio.to_flac(rendered, audio.SAMPLE_RATE)
    return {name: round(total / seconds * 1e4, 2) for name, total in spent.items()}
