"""Crawls of a local replica: a full one beside bare Scrapy, and nights with nothing new.

The replica has 14 languages and 6,000 clips. For each language in turn, a bare Scrapy spider downloads the
files, and langaudio's crawl stage walks the list, downloads the files and stages them in S3. Both start a
Scrapy process for each language, whose start and end count; politeness is off, and eight requests are made at
a time. A night is crawled of one language with 600, 6,000 and 60,000 known clips.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from _s3 import bucket, forget

from langaudio import catalog, languages
from langaudio.crawl.stage import crawl
from langaudio.store import default_store

PROJECT = Path(__file__).resolve().parents[1]
RESULTS = PROJECT / "benchmarks" / "results"
PARTS = PROJECT / "benchmarks" / "crawling"
BIN = Path(sys.executable).parent

CLIPS = 6_000
NIGHTS = (600, 6_000, 60_000)
CONCURRENCY = 8
FIRST = datetime(2026, 11, 1, 2, tzinfo=UTC)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="langaudio-") as folder, bucket(Path(folder)):
        os.environ["LANGAUDIO_LOOPBACK_CONCURRENCY"] = str(CONCURRENCY)
        full = _full_crawl()
        flat = {str(clips): _one_language(clips) for clips in (600, 6_000)}
        nights = {str(clips): _night(clips) for clips in NIGHTS}
    result = {
        "headline": {
            "throughput_vs_bare_scrapy": round(full["bare_s"] / full["langaudio_s"], 3),
            **{f"night_requests_{clips}": night["requests"] for clips, night in nights.items()},
            "night_s_60000": nights["60000"]["seconds"],
            "crawl_peak_rss_mib": max(one["peak_rss_mib"] for one in flat.values()),
        },
        "full": full,
        "memory_by_clips": flat,
        "nights": nights,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "crawl.json").write_text(json.dumps(result, indent=1) + "\n")
    (RESULTS / "crawl.md").write_text(_table(result))


def _full_crawl() -> dict[str, Any]:
    """Crawl every language twice, by turns: bare and ours."""
    seconds = {"bare": 0.0, "langaudio": 0.0}
    lists = _lists()
    with _replica(dict(lists.values())) as url:
        for number, (language, (section, clips)) in enumerate(lists.items()):
            # By turns: this machine's clock drifts.
            for name in ("bare", "langaudio") if number % 2 else ("langaudio", "bare"):
                begin = time.perf_counter()
                _bare(url, section, clips) if name == "bare" else _ours(language)
                seconds[name] += time.perf_counter() - begin
        counts = _counts(url)
    assert counts["requests"]["audio"] == 2 * CLIPS
    return {
        "clips": CLIPS,
        "bare_s": round(seconds["bare"], 2),
        "langaudio_s": round(seconds["langaudio"], 2),
        "bare_clips_per_s": round(CLIPS / seconds["bare"]),
        "langaudio_clips_per_s": round(CLIPS / seconds["langaudio"]),
        "requests": counts["requests"],
    }


def _lists() -> dict[str, tuple[str, int]]:
    """Return for each language of audio-lingua its list, and how many of the clips are on it."""
    codes = languages.offered_by("audio_lingua")
    share, rest = divmod(CLIPS, len(codes))
    return {code: (languages.section(code, "demo"), share + (nth < rest)) for nth, code in enumerate(codes)}


def _bare(url: str, rubrique: str, clips: int) -> None:
    options = {"CONCURRENT_REQUESTS_PER_DOMAIN": CONCURRENCY, "DOWNLOAD_DELAY": 0, "LOG_LEVEL": "INFO"}
    result = subprocess.run(
        [
            BIN / "scrapy", "runspider", PARTS / "bare_spider.py",
            *("-a", f"root={url}", "-a", f"rubrique={rubrique}", "-a", f"clips={clips}"),
            *(part for name, value in options.items() for part in ("-s", f"{name}={value}")),
        ],
        stderr=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    assert f"'files': {clips}," in result.stderr, result.stderr[-2000:]


def _ours(language: str) -> None:
    stats = crawl(default_store(), language, source="demo", run="full", at=FIRST)
    assert stats["new"] == stats["announced"]


def _one_language(clips: int) -> dict[str, Any]:
    with _replica({"1": clips}):
        stats = crawl(default_store(), "fr", source="demo", run=f"memory-{clips}", at=FIRST)
    return {name: stats[name] for name in ("new", "seconds", "peak_rss_mib")}


def _night(clips: int) -> dict[str, Any]:
    """Crawl a language of which so many clips are known and none is new."""
    os.environ["LANGAUDIO_BUCKET"] = f"night-{clips}"
    forget()
    default_store().create_bucket()
    with _replica({"1": clips}) as url:
        catalog.write_part(
            default_store(), "fr", "first", [_row(url, number) for number in range(1, clips + 1)]
        )
        before = _counts(url)
        begin = time.perf_counter()
        at = FIRST + timedelta(days=1)
        stats = crawl(default_store(), "fr", source="demo", run="night", at=at)
        seconds = time.perf_counter() - begin
        after = _counts(url)
    assert (stats["new"], stats["changed"], stats["gone"]) == (0, 0, 0)
    asked = {kind: number - before["requests"].get(kind, 0) for kind, number in after["requests"].items()}
    asked.pop("counts")
    return {
        "requests": sum(asked.values()),
        "asked": asked,
        "bytes": stats["response_bytes"],
        "seconds": round(seconds, 2),
        "peak_rss_mib": stats["peak_rss_mib"],
    }


def _row(url: str, number: int) -> dict[str, Any]:
    article = 1_000_000 + number
    return {
        "clip_id": f"{number:020x}", "language": "fr", "source": "demo", "title": f"Recording {article}",
        "source_url": f"{url}IMG/mp3/{article}.mp3", "page_url": f"{url}spip.php?article{article}",
        "speaker_id": f"{number % 97:020x}", "speaker_sex": "male", "speaker_age": "adult",
        "cefr_level": "B1", "licence": "https://creativecommons.org/licenses/by-nc-sa/3.0/",
        "permission": None, "duration_s": 60.0, "sample_rate": 44100, "channels": 1, "bitrate": 128000,
        "speech_s": 50.0, "sha256": f"{number:064x}", "bytes": 900_000, "split": "train",
        "first_seen": FIRST, "last_seen": FIRST, "gone": False, "format": "mp3",
    }  # fmt: skip


@contextmanager
def _replica(clips: dict[str, int]) -> Iterator[str]:
    """Serve a replica from a process of its own, and point the demo source at it."""
    command = [sys.executable, str(PARTS / "replica.py"), json.dumps(clips)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        os.environ["LANGAUDIO_DEMO_URL"] = url.rstrip("/")
        forget()
        try:
            _counts(url)
            yield url
        finally:
            process.terminate()


def _counts(url: str) -> dict[str, Any]:
    for _ in range(100):
        try:
            with urllib.request.urlopen(f"{url}_counts") as answer:
                found: dict[str, Any] = json.load(answer)
                return found
        except OSError:
            time.sleep(0.1)
    raise TimeoutError(f"{url} does not answer")


def _table(result: dict[str, Any]) -> str:
    full = result["full"]
    lines = [
        "# The crawl",
        "",
        f"A full crawl of 14 languages with {full['clips']:,} tiny files, politeness off, a process each:",
        "",
        "| | bare Scrapy (files only) | langaudio (lists, files, staging in S3) | ratio |",
        "|---|---:|---:|---:|",
        f"| seconds | {full['bare_s']} | {full['langaudio_s']} "
        f"| {full['bare_s'] / full['langaudio_s']:.2f} |",
        f"| clips a second | {full['bare_clips_per_s']} | {full['langaudio_clips_per_s']} | |",
        "",
        "A night with nothing new, of one language:",
        "",
        "| known clips | requests | bytes | seconds | peak MiB |",
        "|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {int(clips):,} | {night['requests']} | {night['bytes']:,} | {night['seconds']} "
        f"| {night['peak_rss_mib']} |"
        for clips, night in result["nights"].items()
    ]
    lines += ["", "Memory of a full crawl of one language:", "", "| clips | peak MiB |", "|---:|---:|"]
    lines += [
        f"| {int(clips):,} | {one['peak_rss_mib']} |" for clips, one in result["memory_by_clips"].items()
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
