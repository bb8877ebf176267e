"""The store against two real S3 servers, against servers that are wrong or away, and through bad networks."""

from __future__ import annotations

import random
import tempfile
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from langaudio.errors import LangaudioError, Unavailable
from langaudio.settings import Settings, settings
from langaudio.store import MissingObject, Store, default_store
from langaudio.store.client import client_config
from langaudio.store.content import MOST_BYTES_AT_ONCE, PART_BYTES
from tests.conftest import S3_KEYS, SOAK, free_port, settings_of
from tests.store.faults import FAULTS, READ_TIMEOUT_S, FaultyProxy

SMALLEST_PART_BYTES = 5 * 2**20
"""Servers refuse smaller parts, but for the last."""


@pytest.fixture
def in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let objects go in parts that are larger than the smallest part."""
    monkeypatch.setattr("langaudio.store.content.PART_BYTES", SMALLEST_PART_BYTES)
    monkeypatch.setattr("langaudio.store.content.MOST_BYTES_AT_ONCE", SMALLEST_PART_BYTES)


def test_what_was_put_is_what_is_got(store: Store) -> None:
    data = bytes(range(256)) * 4000
    store.put("raw/fr/0a.mp3", data)
    assert store.get("raw/fr/0a.mp3") == data
    assert store.exists("raw/fr/0a.mp3")


def test_a_missing_object_is_named(store: Store) -> None:
    assert not store.exists("raw/fr/none.mp3")
    with pytest.raises(MissingObject, match=r"raw/fr/none\.mp3"):
        store.get("raw/fr/none.mp3")


def test_a_listing_is_complete_and_tells_size_and_time(store: Store) -> None:
    for number in range(1005):  # more than one page of a listing
        store.put(f"catalog/fr/{number:04d}", b"x" * (number % 7))
    found = list(store.list("catalog/fr/"))
    assert [item.key for item in found] == [f"catalog/fr/{number:04d}" for number in range(1005)]
    assert [item.size for item in found[:8]] == [0, 1, 2, 3, 4, 5, 6, 0]
    assert abs(found[0].modified - datetime.now(UTC)) < timedelta(minutes=10)
    assert list(store.list("catalog/en/")) == []


def test_folders_are_the_names_below_a_prefix(store: Store) -> None:
    for key in ("catalog/fr/a", "catalog/fr/b", "catalog/en/a"):
        store.put(key, b"")
    assert store.folders("catalog/") == ["en", "fr"]


def test_many_objects_come_in_the_order_asked_for(store: Store) -> None:
    names = [f"raw/fr/{number}" for number in range(100)]
    for name in names:
        store.put(name, name.encode())
    assert list(store.get_many(reversed(names))) == [(name, name.encode()) for name in reversed(names)]


def test_copy_and_delete(store: Store) -> None:
    store.put("raw/fr/a", b"x")
    store.copy("raw/fr/a", "quarantine/fr/a")
    store.delete("raw/fr/a")
    assert store.get("quarantine/fr/a") == b"x"
    assert not store.exists("raw/fr/a")


def test_what_the_server_has_already_is_copied_and_not_sent(store: Store) -> None:
    data = b"x" * 100_000
    store.put("staging/a", data)
    sent = bytes_sent(store)
    with store.writing() as writing:
        writing.put("raw/a", data, copy_of="staging/a")
    assert store.get("raw/a") == data
    assert sum(sent) < 1_000


@pytest.mark.parametrize("there", [b"other", None])
def test_what_cannot_be_copied_is_sent(store: Store, there: bytes | None) -> None:
    if there:
        store.put("staging/a", there)
    with store.writing() as writing:
        for name in ("raw/a", "raw/b"):
            writing.put(name, b"x" * 1_000, copy_of="staging/a")
    assert store.get("raw/a") == store.get("raw/b") == b"x" * 1_000


def bytes_sent(store: Store) -> list[int]:
    """Return a list that grows by the length of every request's body from now on."""
    lengths: list[int] = []

    def sent(request: Any, **_: Any) -> None:
        lengths.append(int(request.headers.get("Content-Length") or 0))

    store._client.meta.events.register("before-send.s3", sent)
    return lengths


def test_creating_a_bucket_twice_keeps_it(store: Store) -> None:
    store.put("raw/fr/a", b"x")
    store.create_bucket()
    assert store.get("raw/fr/a") == b"x"


@pytest.mark.usefixtures("in_parts")
def test_a_large_object_goes_in_parts_and_comes_whole(store: Store) -> None:
    data = bytes(range(256)) * (2 * SMALLEST_PART_BYTES // 256) + b"end"
    sent = bytes_sent(store)
    store.put("augmented/r/fr/shard-0.tar", data)
    assert max(sent) == SMALLEST_PART_BYTES
    assert store.get("augmented/r/fr/shard-0.tar") == data
    assert not store.unfinished_uploads()


@pytest.mark.usefixtures("in_parts")
@pytest.mark.parametrize("size", [0, 1_000, SMALLEST_PART_BYTES, 2 * SMALLEST_PART_BYTES + 1])
def test_a_file_is_written_whole(store: Store, size: int) -> None:
    data = random.Random(0).randbytes(size)
    with tempfile.TemporaryFile() as file:
        file.write(data)
        store.put("augmented/r/fr/shard-0.tar", file)
    assert store.get("augmented/r/fr/shard-0.tar") == data


@pytest.mark.parametrize("size", [MOST_BYTES_AT_ONCE, MOST_BYTES_AT_ONCE + 1])
def test_of_a_large_file_little_is_in_memory(s3_endpoint: str, tmp_path: Path, size: int) -> None:
    # On rclone's server: that of moto is a thread of this process, and its memory would count.
    with settings_of(s3_endpoint, tmp_path, f"large-file-{size}"), tempfile.TemporaryFile() as file:
        store = default_store()
        store.create_bucket()
        file.truncate(size)
        tracemalloc.start()
        store.put("augmented/r/fr/shard-0.tar", file)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        (item,) = store.list("augmented/")
    assert item.size == size
    assert peak < 8 * PART_BYTES


@pytest.mark.usefixtures("in_parts")
def test_a_large_object_whose_parts_fail_leaves_none_of_them(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise Unavailable("gone")

    monkeypatch.setattr(store, "_put_part", fail)
    with pytest.raises(Unavailable, match="gone"):
        store.put("a/b", bytes(2 * SMALLEST_PART_BYTES))
    assert not store.unfinished_uploads()
    assert not store.exists("a/b")


def test_an_upload_that_nobody_finished_is_found_and_thrown_away(store: Store) -> None:
    store._client.create_multipart_upload(Bucket=store.bucket, Key="a/b")
    (left,) = store.unfinished_uploads()
    assert left.key == "a/b"
    store.abort(left)
    assert not store.unfinished_uploads()


def test_an_open_object_is_fetched_where_it_is_read(store: Store) -> None:
    data = bytes(range(256)) * 4000
    store.put("a/b", data)
    (item,) = store.list("a/")
    with store.open(item) as file:
        file.seek(-3, 2)
        assert file.read(10) == data[-3:]
        file.seek(1000)
        assert file.read(5) == data[1000:1005]
        assert file.tell() == 1005


def test_an_object_that_is_too_large_is_not_read(store: Store) -> None:
    store.put("a/b", bytes(1000))
    with pytest.raises(LangaudioError, match="larger than 999 bytes"):
        store.get("a/b", max_bytes=999)


def test_many_objects_are_written_at_a_time(store: Store) -> None:
    with store.writing() as writing:
        for number in range(50):
            writing.put(f"a/{number}", bytes([number]))
    assert {item.key: store.get(item.key) for item in store.list("")} == {
        f"a/{number}": bytes([number]) for number in range(50)
    }


def test_a_write_that_fails_among_many_is_told(store: Store) -> None:
    gone = Store(store._client, "never-made")
    # By this write, if its answer comes at once, or by the wait at the end.
    with pytest.raises(LangaudioError, match="There is no bucket 'never-made'"), gone.writing() as writing:
        writing.put("a", b"")


def test_a_prefix_is_before_every_key_and_never_seen(store: Store) -> None:
    part = Store(store._client, store.bucket, prefix="team/langaudio/")
    part.put("raw/fr/a", b"1")
    part.copy("raw/fr/a", "quarantine/fr/a")
    store.put("raw/fr/b", b"2")
    assert [item.key for item in part.list("")] == ["quarantine/fr/a", "raw/fr/a"]
    assert part.folders("") == ["quarantine", "raw"]
    assert part.get("raw/fr/a") == store.get("team/langaudio/raw/fr/a") == b"1"
    assert not part.exists("raw/fr/b")


@pytest.mark.usefixtures("in_parts")
def test_encryption_is_asked_for(moto_endpoint: str, tmp_path: Path) -> None:
    with settings_of(moto_endpoint, tmp_path, "encrypted", S3_ENCRYPTION="aws:kms", S3_PREFIX="team"):
        store = default_store()
        store.create_bucket()
        store.put("a/b", b"x")
        store.put("a/c", bytes(SMALLEST_PART_BYTES + 1))
        store.copy("a/b", "a/d")
        for key in ("a/b", "a/c", "a/d"):
            found = store._client.head_object(Bucket="encrypted", Key=f"team/{key}")
            assert found["ServerSideEncryption"] == "aws:kms"
        assert store.get("a/b") == b"x"


def test_etags_that_are_no_md5_are_found_out(endpoint: str, tmp_path: Path) -> None:
    with (
        FaultyProxy(endpoint, share=0, seed=0, foreign_etags=True).served() as url,
        settings_of(url, tmp_path, "foreign-etags"),
    ):
        store = default_store()
        store.create_bucket()
        for number in range(3):
            store.put(f"a/{number}", b"x" * number)
            assert store.get(f"a/{number}") == b"x" * number
            with store.writing() as writing:
                writing.put(f"b/{number}", b"x" * number, copy_of=f"a/{number}")
            assert store.get(f"b/{number}") == b"x" * number


@contextmanager
def behind(proxy: FaultyProxy, folder: Path, bucket: str, number: int = 1) -> Iterator[list[Store]]:
    """A new bucket behind a proxy, seen by some clients that wait for an answer for half a second only."""
    with proxy.served() as url, settings_of(url, folder, bucket):
        impatient = Config(read_timeout=READ_TIMEOUT_S)
        clients = [
            boto3.client(
                "s3",
                endpoint_url=url,
                region_name="us-east-1",
                aws_access_key_id=S3_KEYS[0],
                aws_secret_access_key=S3_KEYS[1],
                config=client_config(custom_endpoint=True).merge(impatient),
            )
            for _ in range(number)
        ]
        stores = [Store(client, bucket) for client in clients]
        stores[0].create_bucket()
        yield stores


def operate(store: Store, folder: str, number: int) -> dict[str, bytes]:
    """Do so many operations in a folder; return what is to be there then."""
    chance = random.Random(folder)
    expected: dict[str, bytes] = {}
    operations = ("put", "put", "get", "get", "get", "delete", "copy", "exists", "list", "open", "many")
    for turn in range(number):
        key = f"{folder}/{chance.randrange(60)}"
        match chance.choice(operations):
            case "put":
                large = SMALLEST_PART_BYTES + 1_000 if turn % 50 == 0 else 100_000
                expected[key] = chance.randbytes(chance.choice((0, 1, 5_000, large)))
                store.put(key, expected[key])
            case "open" if expected.get(key):
                (item,) = (item for item in store.list(key) if item.key == key)
                begin = chance.randrange(item.size)
                with store.open(item) as file:
                    file.seek(begin)
                    assert file.read(1_000) == expected[key][begin : begin + 1_000]
            case "many":
                keys = sorted(chance.sample(sorted(expected), min(5, len(expected))))
                assert list(store.get_many(keys)) == [(key, expected[key]) for key in keys]
                with store.writing() as writing:
                    for key in keys:
                        expected[key] = chance.randbytes(1_000)
                        writing.put(key, expected[key])
                    writing.wait()
                    for key in keys:
                        expected[f"{key}-again"] = expected[key]
                        writing.put(f"{key}-again", expected[key], copy_of=key)
            case "get" if key in expected:
                assert store.get(key) == expected[key]
            case "get":
                with pytest.raises(MissingObject):
                    store.get(key)
            case "delete":
                store.delete(key)
                expected.pop(key, None)
            case "copy" if key in expected:
                store.copy(key, key + "-copy")
                expected[key + "-copy"] = expected[key]
            case "exists":
                assert store.exists(key) == (key in expected)
            case "list":
                assert [item.key for item in store.list(f"{folder}/")] == sorted(expected)
    return expected


@pytest.mark.usefixtures("in_parts")
def test_of_many_operations_none_is_lost_doubled_or_wrong(endpoint: str, tmp_path: Path) -> None:
    proxy, folders = FaultyProxy(endpoint, share=0.1, seed=1), "abcdefgh" if SOAK else "abcd"
    with (
        behind(proxy, tmp_path, "faults", len(folders)) as stores,
        ThreadPoolExecutor(len(folders)) as pool,
    ):
        done = list(pool.map(operate, stores, folders, [250 if SOAK else 80] * len(folders)))
        expected = {key: data for each in done for key, data in each.items()}
        assert {item.key: stores[0].get(item.key) for item in stores[0].list("")} == expected
    assert len(proxy.injected) == len(FAULTS)
    assert proxy.injected.total() > (100 if SOAK else 15)


@pytest.mark.usefixtures("in_parts")
@pytest.mark.parametrize("fault", FAULTS[2:])
def test_a_large_object_arrives_through_every_fault(
    endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    data = random.Random(0).randbytes(SMALLEST_PART_BYTES + 1_000)
    proxy = FaultyProxy(endpoint, share=0.2, seed=1, faults=[fault])
    with (
        behind(proxy, tmp_path, f"large-{fault.replace('_', '-')}") as (store,),
        tempfile.TemporaryFile() as file,
    ):
        file.write(data)
        for number, source in enumerate([data, data, file, file]):
            if number == 3:
                monkeypatch.setattr("langaudio.store.content.MOST_BYTES_AT_ONCE", len(data))
            store.put(f"a/{number}", source)
            assert store.get(f"a/{number}") == data
        for left in store.unfinished_uploads():  # of a beginning whose answer was lost
            store.abort(left)
        assert not store.unfinished_uploads()
        assert proxy.injected[fault]


def test_an_answer_with_a_date_that_is_none_is_asked_for_again(endpoint: str, tmp_path: Path) -> None:
    class Garbling(FaultyProxy):
        def _flipped(self, body: bytes) -> bytes:
            return body.replace(b"<LastModified>2", b"<LastModified>?")

    proxy = Garbling(endpoint, share=0.3, seed=1, faults=["flipped_answer"])
    with behind(proxy, tmp_path, "garbled") as (store,):
        store.put("a", b"data")
        for number in range(10):
            store.copy("a", f"b/{number}")
        assert {item.key: store.get(item.key) for item in store.list("b/")} == {
            f"b/{number}": b"data" for number in range(10)
        }
    assert proxy.injected.total() >= 3


@pytest.mark.usefixtures("in_parts")
def test_a_completion_whose_answer_is_lost_counts(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    complete, data = store._client.complete_multipart_upload, bytes(SMALLEST_PART_BYTES + 1)

    def completed_twice(**request: Any) -> Any:
        complete(**request)
        return complete(**request)

    monkeypatch.setattr(store._client, "complete_multipart_upload", completed_twice)
    store.put("a/b", data)
    assert store.get("a/b") == data


@pytest.mark.usefixtures("in_parts")
@pytest.mark.parametrize(
    ("size", "operation"), [(1_000, "put_object"), (SMALLEST_PART_BYTES + 1, "upload_part")]
)
def test_a_server_that_checks_nothing_is_checked(
    store: Store, monkeypatch: pytest.MonkeyPatch, size: int, operation: str
) -> None:
    data, original, damage = bytes(size), getattr(store._client, operation), [True]

    def damaging(**request: Any) -> Any:
        # What it is sent, it takes, whatever the checksum beside it says.
        del request["ContentMD5"]
        return original(
            **request | {"Body": b"\1" + request["Body"][1:]} if damage and damage.pop() else request
        )

    monkeypatch.setattr(store._client, operation, damaging)
    store.put("a/b", data)
    assert not damage
    assert store.get("a/b") == data
    damage += [True] * 100
    with pytest.raises(Unavailable, match="than was sent"):
        store.put("a/c", data)


def test_a_clock_that_is_wrong_is_told(endpoint: str, tmp_path: Path) -> None:
    proxy = FaultyProxy(endpoint, share=1, seed=0, faults=["clock_skew"])
    with (
        proxy.served() as url,
        settings_of(url, tmp_path, "no-bucket"),
        pytest.raises(LangaudioError, match="set this machine's clock"),
    ):
        default_store().get("a")


def test_what_a_server_does_not_take_is_no_outage(store: Store) -> None:
    encrypted = Store(store._client, store.bucket, encryption={"ServerSideEncryption": "rot13"})
    try:
        encrypted.put("a/b", b"x")
    except LangaudioError as error:
        assert not isinstance(error, Unavailable)  # noqa: PT017 (the embedded server takes anything)


def test_retries_adapt_and_waiting_ends(configured: Settings) -> None:
    config = default_store()._client.meta.config
    assert config.retries["mode"] == "adaptive"
    assert config.connect_timeout <= 10
    assert config.read_timeout <= 60


def test_reading_ahead_takes_little_memory(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    large, held, most = 5 * 2**20, 0, 0
    for number in range(20):
        store.put(f"a/{number:02d}", bytes([number]) * large)
    get = store._get

    def counted(key: str, max_bytes: int | None) -> bytes:
        nonlocal held, most
        data = get(key, max_bytes)
        held += len(data)
        most = max(most, held)
        return data

    monkeypatch.setattr(store, "_get", counted)
    for key, data in store.get_many(f"a/{number:02d}" for number in range(20)):
        assert data == bytes([int(key[2:])]) * large
        held -= len(data)
    assert most == large


def _with(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Store:
    for name, value in variables.items():
        monkeypatch.setenv(f"LANGAUDIO_{name}", value)
    settings.cache_clear()
    default_store.cache_clear()
    return default_store()


@pytest.mark.usefixtures("configured")
def test_wrong_keys_are_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = _with(monkeypatch, S3_SECRET_KEY="wrong")
    for attempt in (lambda: wrong.get("a"), lambda: list(wrong.list("a")), wrong.create_bucket):
        with pytest.raises(LangaudioError, match="LANGAUDIO_S3_SECRET_KEY") as caught:
            attempt()
        assert not isinstance(caught.value, Unavailable)


@pytest.mark.usefixtures("store")
def test_empty_keys_are_looked_for_where_the_sdk_does(monkeypatch: pytest.MonkeyPatch) -> None:
    # docker-compose.yaml sets every variable, if only to an empty text.
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", S3_KEYS[0])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", S3_KEYS[1])
    store = _with(monkeypatch, S3_ACCESS_KEY="", S3_SECRET_KEY="")
    store.put("a", b"a")
    assert store.get("a") == b"a"


@pytest.mark.usefixtures("configured")
def test_a_bucket_that_is_not_there_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LangaudioError, match=r"There is no bucket 'other-bucket'.*LANGAUDIO_BUCKET"):
        list(_with(monkeypatch, BUCKET="other-bucket").list("a"))


@pytest.mark.usefixtures("configured")
def test_a_server_that_is_away_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    away = _with(monkeypatch, S3_ENDPOINT=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(Unavailable, match="does not answer"):
        away.get("a")
