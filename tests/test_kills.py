"""Upload and augment, killed at random moments, leave after one more run what an undisturbed run leaves."""

from __future__ import annotations

import io
import os
import random
import signal
import subprocess
import sys
import tarfile
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from langaudio import catalog
from langaudio.audio import decode
from langaudio.augment.shards import read_index
from langaudio.augment.stage import seeded_id
from langaudio.doctor import diagnose
from langaudio.store import Store, store_of_bucket
from tests.conftest import SOAK, settings_of
from tests.test_upload import mp3, stage

KILLS = 50 if SOAK else 12
CLIPS = 6

# Forked, so that runs do not import everything again and again.
RUNS = """
import os, sys
from langaudio import upload as uploads
from langaudio.augment import stage
from langaudio.store import default_store
import langaudio.audio
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        try:
            os.environ["LANGAUDIO_BUCKET"], *runs = line.split()
            for run in runs:
                uploads.upload(default_store(), "fr", source="demo", run=run)
                stage.augment(default_store(), "fr", run=run, copies=1, balance_minutes=0, shard_mib=1)
        finally:
            os._exit(sys.exc_info()[0] is not None)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Runs:
    """Runs the two stages in a process of their own, again and again."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", RUNS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdin
        assert self._process.stdout
        self._in, self._out = self._process.stdin, self._process.stdout

    def run(self, bucket: str, runs: str, kill_after_s: float | None = None) -> int:
        """Run; return the exit status, -9 if it was killed."""
        self._in.write(f"{bucket} {runs}\n")
        self._in.flush()
        child = int(self._out.readline())
        if kill_after_s is not None:
            time.sleep(kill_after_s)
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        return int(self._out.readline())

    def close(self) -> None:
        self._in.close()
        self._process.wait(10)


def staged(store: Store, spoken: bytes) -> None:
    """Two overlapping runs of crawls, with clips that are alike, none, and the same."""
    samples = decode(spoken).samples
    clips = {f"clip{number}": mp3(np.roll(samples, 999 * number), 16_000) for number in range(CLIPS)}
    clips["text"], clips["same"] = b"no audio", clips["clip1"]
    names = list(clips)
    stage(store, "one", {name: clips[name] for name in names[: CLIPS // 2]}, speaker_id=None)
    stage(store, "two", {name: clips[name] for name in names[CLIPS // 3 :]}, speaker_id=None)


def content(store: Store) -> dict[str, bytes]:
    """Return all objects; of shards the samples: whichever run comes first makes those that are missing.

    A run that is killed between a shard and its index leaves a shard that does not count: if another run
    makes its samples, it lies there until it is old enough for `langaudio doctor --repair` to remove it. If
    the server was still at work on the index, that counts too: such samples are there twice, and the same.
    """
    found: dict[str, bytes] = {}
    present = {item.key for item in store.list("")}
    for key in sorted(present):
        data = store.get(key)
        if not key.startswith("augmented/"):
            found[key] = data
        elif key.endswith(".tar") and f"{key.rpartition('/')[0]}/index.parquet" in present:
            with tarfile.open(fileobj=io.BytesIO(data)) as tar:
                samples = {member.name: _bytes(tar, member) for member in tar}
            assert all(found.get(name, sample) == sample for name, sample in samples.items())
            found |= samples
    return found


def _bytes(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    assert file
    return file.read()


def moment(store: Store) -> str:
    """Tell by what is there which stage was killed."""
    ends = Counter(item.key.rpartition("/")[2] for item in store.list(""))
    indexes = sum(item.key.endswith("/index.parquet") for item in store.list("augmented/"))
    return "augment" if ends["_UPLOADED"] > indexes else "upload"


def new_bucket(name: str, spoken: bytes) -> Store:
    store = store_of_bucket(name)
    store.create_bucket()
    assert not list(store.list(""))
    staged(store, spoken)
    return store


def test_kills_and_clean_runs_are_as_one_clean_run(s3_endpoint: str, tmp_path: Path, spoken: bytes) -> None:
    chance, killed = random.Random(0), Counter[str]()
    with settings_of(s3_endpoint, tmp_path, "kills"), closing(Runs()) as runs:
        undisturbed = new_bucket("kills-undisturbed", spoken)
        runs.run("none", "one")  # fails, and imports what is imported late
        begin = time.monotonic()
        assert runs.run(undisturbed.bucket, "one two") == 0
        whole_s = time.monotonic() - begin
        expected = content(undisturbed)
        buckets = (new_bucket(f"kills-{number}", spoken) for number in count())
        while killed.total() < KILLS:
            store = next(buckets)
            while killed.total() < KILLS:
                # The runs go on where they were killed, so the last ones are sooner at their end.
                if runs.run(store.bucket, "one two", chance.uniform(0, whole_s)) == 0:
                    break
                killed[moment(store)] += 1
                # No row without its object, at any moment.
                assert diagnose(store).faults == 0
            assert runs.run(store.bucket, "one two") == 0
            assert diagnose(store, deep=True).findings == []
            assert content(store) == expected
    assert min(killed["upload"], killed["augment"]) >= KILLS // 10


@pytest.mark.parametrize(("first", "second"), [("one", "two"), ("one two", "one two")])
def test_runs_that_overlap_publish_each_clip_once(
    s3_endpoint: str, tmp_path: Path, spoken: bytes, first: str, second: str
) -> None:
    with (
        settings_of(s3_endpoint, tmp_path, "overlaps"),
        closing(Runs()) as some,
        closing(Runs()) as others,
        ThreadPoolExecutor() as pool,
    ):
        store = new_bucket(f"overlap-{first.replace(' ', '-')}", spoken)
        under_way = [
            pool.submit(runs.run, store.bucket, names) for runs, names in ((some, first), (others, second))
        ]
        looks = 0
        while not all(run.done() for run in under_way):
            assert diagnose(store).faults == 0
            looks += 1
        assert looks > 1
        assert [run.result() for run in under_way] == [0, 0]
        assert diagnose(store, deep=True).findings == []
        published = catalog.read(store, "fr", ["clip_id"])["clip_id"].to_pylist()
        assert len(published) == len(set(published)) == CLIPS
        copies = defaultdict(set)
        for sample in read_index(store, seeded_id("default", 0), "fr").to_pylist():
            copies[sample["clip_id"]].add(sample["copy"])
        assert copies == {clip_id: {0, 1} for clip_id in published}
