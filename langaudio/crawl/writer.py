"""A process that writes objects for another one, which goes on meanwhile.

Signing and sending a small object takes Python as long as fetching one from a web site. A crawl that did both
in one process would take twice as long.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from langaudio.errors import LangaudioError, Unavailable

_THREADS = 4
_AHEAD = 32
"""Objects that wait in the process at a time: what bounds its memory."""


class Writer:
    """Writes to the default store through a process of its own, which starts now and ends with this one."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._pipes: asyncio.Future[asyncio.StreamWriter] | None = None
        self._answers: asyncio.Future[None] | None = None
        self._ahead = asyncio.Semaphore(_AHEAD)

    async def put(self, key: str, data: bytes) -> None:
        """Write an object; return when it is written.

        Raises:
            LangaudioError: what ``Store.put`` raises.
        """
        if self._pipes is None:
            self._pipes = asyncio.ensure_future(self._connect())
        stdin = await self._pipes
        async with self._ahead:
            number = next(self._numbers)
            written = self._waiting[number] = asyncio.get_running_loop().create_future()
            stdin.write(f"{number} {len(data)} {key}\n".encode() + data)
            await stdin.drain()
            await written

    async def finish(self) -> None:
        """Let the process end, when all is written."""
        if self._pipes is not None and self._answers is not None:
            (await self._pipes).close()
            await self._answers

    def close(self) -> None:
        """End the process, if it has not ended."""
        if self._answers is None:
            self._process.communicate()
        elif not self._answers.done():
            self._process.kill()
        self._process.wait()

    async def _connect(self) -> asyncio.StreamWriter:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), self._process.stdout)
        transport, protocol = await loop.connect_write_pipe(
            asyncio.streams.FlowControlMixin, self._process.stdin
        )
        self._answers = asyncio.ensure_future(self._read(reader))
        return asyncio.StreamWriter(transport, protocol, None, loop)

    async def _read(self, answers: asyncio.StreamReader) -> None:
        async for line in answers:
            answer = json.loads(line)
            written = self._waiting.pop(answer["number"])
            error = answer.get("error")
            if error:
                written.set_exception((Unavailable if answer["may_pass"] else LangaudioError)(error))
            else:
                written.set_result(None)
        for written in self._waiting.values():
            written.set_exception(RuntimeError("the process that writes to the bucket has ended"))


def main() -> None:
    """Write what comes on standard input, ``NUMBER SIZE KEY`` and the bytes; answer a line for each."""
    from langaudio.store import default_store

    store, lock, ahead = default_store(), threading.Lock(), threading.Semaphore(_AHEAD)

    def write(number: int, key: str, data: bytes) -> None:
        answer: dict[str, Any] = {"number": number}
        try:
            store.put(key, data)
        except LangaudioError as error:
            answer |= {"error": str(error), "may_pass": isinstance(error, Unavailable)}
        with lock:
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()
        ahead.release()

    with ThreadPoolExecutor(_THREADS) as pool:
        while header := sys.stdin.buffer.readline():
            number, size, key = header.decode().rstrip("\n").split(" ", 2)
            data = sys.stdin.buffer.read(int(size))
            ahead.acquire()
            pool.submit(write, int(number), key, data)


if __name__ == "__main__":
    main()
