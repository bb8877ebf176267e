"""The store against a real S3 server, and against servers that are wrong or away."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from langaudio.errors import LangaudioError, Unavailable
from langaudio.settings import settings
from langaudio.store import MissingObject, Store, default_store
from tests.conftest import free_port


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


def test_creating_a_bucket_twice_keeps_it(store: Store) -> None:
    store.put("raw/fr/a", b"x")
    store.create_bucket()
    assert store.get("raw/fr/a") == b"x"


def _with(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Store:
    for name, value in variables.items():
        monkeypatch.setenv(f"LANGAUDIO_{name}", value)
    settings.cache_clear()
    default_store.cache_clear()
    return default_store()


@pytest.mark.usefixtures("store")
def test_wrong_keys_are_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = _with(monkeypatch, S3_SECRET_KEY="wrong")
    for attempt in (lambda: wrong.get("a"), lambda: list(wrong.list("a")), wrong.create_bucket):
        with pytest.raises(LangaudioError, match="LANGAUDIO_S3_SECRET_KEY") as caught:
            attempt()
        assert not isinstance(caught.value, Unavailable)


@pytest.mark.usefixtures("configured")
def test_a_bucket_that_is_not_there_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LangaudioError, match=r"There is no bucket 'other-bucket'.*LANGAUDIO_BUCKET"):
        list(_with(monkeypatch, BUCKET="other-bucket").list("a"))


@pytest.mark.usefixtures("configured")
def test_a_server_that_is_away_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    away = _with(monkeypatch, S3_ENDPOINT=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(Unavailable, match="does not answer"):
        away.get("a")
