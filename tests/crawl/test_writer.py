"""Objects that another process writes."""

from __future__ import annotations

import asyncio

import pytest

from langaudio.crawl.writer import Writer
from langaudio.errors import LangaudioError
from langaudio.store import Store


async def write(objects: dict[str, bytes]) -> None:
    writer = Writer()
    try:
        await asyncio.gather(*(writer.put(key, data) for key, data in objects.items()))
    finally:
        await writer.finish()
        writer.close()


def test_what_is_written_is_there_when_it_is_said_to_be(store: Store) -> None:
    objects = {f"a/{number} with spaces": bytes([number]) * number * 1000 for number in range(100)}
    asyncio.run(write(objects))
    assert {item.key: store.get(item.key) for item in store.list("a/")} == objects


def test_an_error_comes_back_in_its_sentence(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGAUDIO_BUCKET", "absent")
    with pytest.raises(LangaudioError, match="There is no bucket 'absent'"):
        asyncio.run(write({"key": b"data"}))


def test_a_process_that_ends_fails_what_waits(store: Store) -> None:
    async def kill() -> None:
        writer = Writer()
        await writer.put("first", b"data")
        writer._process.kill()
        writer._process.wait()
        with pytest.raises((RuntimeError, OSError)):
            await writer.put("second", b"data")

    asyncio.run(asyncio.wait_for(kill(), 20))


def test_a_process_that_has_nothing_to_write_ends(store: Store) -> None:
    asyncio.run(write({}))
