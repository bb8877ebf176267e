"""A proxy before an S3 server that does what networks and servers do on bad days."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

FAULTS = (
    "internal_error",
    "slow_down",
    "slow_answer",
    "reset_before",
    "reset_in_request",
    "reset_after",
    "reset_in_answer",
    "truncated_answer",
    "flipped_request",
    "flipped_answer",
    "clock_skew",
)

READ_TIMEOUT_S = 0.5
"""Of the client that the proxy is meant for: about half of the slow answers are too slow for it."""

_ERROR = (
    '<?xml version="1.0" encoding="UTF-8"?><Error><Code>{}</Code><Message>injected</Message>'
    "<RequestId>1</RequestId></Error>"
)


@dataclass
class Message:
    """A request or an answer: its first line, its headers as they came, its body."""

    first: bytes
    headers: list[bytes]
    body: bytes

    def header(self, name: bytes) -> bytes | None:
        for line in self.headers:
            key, _, value = line.partition(b":")
            if key.strip().lower() == name:
                return value.strip()
        return None

    @property
    def path(self) -> bytes:
        return self.first.split(b" ")[1].partition(b"?")[0]

    def bytes(self, body: bytes | None = None) -> bytes:
        return b"".join((self.first, *self.headers, b"\r\n", self.body if body is None else body))


class FaultyProxy:
    """Passes requests on, some of them with a fault.

    Args:
        backend: address of the S3 server.
        share: of requests that meet a fault.
        seed: of what happens when.
        faults: those that happen.
        foreign_etags: whether ETags become something else that looks like an MD5.

    Attributes:
        injected: how often each fault was.
    """

    def __init__(
        self,
        backend: str,
        share: float,
        seed: int,
        *,
        faults: Sequence[str] = FAULTS,
        foreign_etags: bool = False,
    ) -> None:
        parts = urlsplit(backend)
        self._host, self._port = str(parts.hostname), int(parts.port or 80)
        self._share, self._random = share, random.Random(seed)
        self._faults, self._foreign_etags = faults, foreign_etags
        self._burst: list[str] = []
        self._turns: defaultdict[bytes, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.injected: Counter[str] = Counter()

    @contextmanager
    def served(self) -> Iterator[str]:
        """Serve from a thread; yield the address."""
        loop, started = asyncio.new_event_loop(), threading.Event()
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))

        async def serve() -> None:
            await asyncio.start_server(self._talk, sock=listener, limit=2**20)
            started.set()

        def run() -> None:
            loop.create_task(serve())
            loop.run_forever()

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        started.wait()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            loop.call_soon_threadsafe(_end, loop)
            thread.join()
            loop.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while request := await _message(reader):
                if not await self._answer(request, writer):
                    break
        writer.close()

    async def _answer(self, request: Message, writer: asyncio.StreamWriter) -> bool:
        """Answer a request; tell whether the connection lives on."""
        fault = self._fault(request)
        if fault:
            self.injected[fault] += 1
        if fault in ("internal_error", "slow_down", "clock_skew"):
            status, code = {
                "internal_error": ("500 Internal Server Error", "InternalError"),
                "slow_down": ("503 Service Unavailable", "SlowDown"),
                "clock_skew": ("403 Forbidden", "RequestTimeTooSkewed"),
            }[fault]
            body = b"" if request.first.startswith(b"HEAD ") else _ERROR.format(code).encode()
            writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
            await writer.drain()
            return True
        if fault == "reset_before":
            return _reset(writer)
        if fault == "reset_in_request":
            # The server sees a request that ends too early.
            await self._forward(request, upto=len(request.bytes()) - max(1, len(request.body) // 2))
            return _reset(writer)
        if fault == "flipped_request":
            request.body = self._flipped(request.body)
        answer = await self._forward(request)
        if answer is None or fault == "reset_after":
            return _reset(writer)
        if fault == "slow_answer":
            await asyncio.sleep(self._random.uniform(0, 2 * READ_TIMEOUT_S))
        body = answer.body
        if self._foreign_etags:
            answer.headers = [_reversed(line) for line in answer.headers]
        if fault == "flipped_answer":
            body = self._flipped(body)
        if fault == "truncated_answer":
            body = body[: len(body) // 2]
            answer.headers = [
                line for line in answer.headers if not line.lower().startswith(b"content-length")
            ]
            answer.headers.append(f"Content-Length: {len(body)}\r\n".encode())
        if fault == "reset_in_answer":
            whole = answer.bytes(body)
            writer.write(whole[: len(whole) - max(1, len(body) // 2)])
            await writer.drain()
            return _reset(writer)
        writer.write(answer.bytes(body))
        await writer.drain()
        return True

    def _fault(self, request: Message) -> str | None:
        if not self._burst:
            if self._random.random() >= self._share:
                return None
            fault = self._random.choice(self._faults)
            # Servers that are overloaded are so for a while.
            self._burst = [fault] * (self._random.randint(1, 6) if fault in FAULTS[:2] else 1)
        fault = self._burst.pop()
        # S3 gives listings and ranges no checksum: a bit that flips there is for TLS to find.
        has_checksum = b"?" not in request.first and not request.header(b"range")
        if fault == "flipped_answer" and not has_checksum:
            return None
        return None if fault == "truncated_answer" and b"?" in request.first else fault

    def _flipped(self, body: bytes) -> bytes:
        if not body:
            return body
        flipped = bytearray(body)
        flipped[self._random.randrange(len(body))] ^= 1 << self._random.randrange(8)
        return bytes(flipped)

    async def _forward(self, request: Message, upto: int | None = None) -> Message | None:
        # A request that its client has given up is done before the next one that names the same object: S3
        # promises no order, and a client has no way to ask for one.
        async with self._turns[request.path]:
            reader, writer = await asyncio.open_connection(self._host, self._port, limit=2**20)
            try:
                writer.write(request.bytes()[:upto])
                await writer.drain()
                if upto is None:
                    return await _message(reader, to_head=request.first.startswith(b"HEAD "))
                writer.write_eof()
                await reader.read()
                return None
            finally:
                writer.close()


def _end(loop: asyncio.AbstractEventLoop) -> None:
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    ended = asyncio.gather(*tasks, return_exceptions=True)
    ended.add_done_callback(lambda _: loop.stop())


def _reversed(header: bytes) -> bytes:
    name, _, value = header.partition(b":")
    etag = value.strip().strip(b'"')
    return b'ETag: "' + etag[::-1] + b'"\r\n' if name.lower() == b"etag" else header


def _reset(writer: asyncio.StreamWriter) -> bool:
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    return False


async def _message(reader: asyncio.StreamReader, *, to_head: bool = False) -> Message | None:
    first = await reader.readline()
    if not first:
        return None
    headers = []
    while (line := await reader.readline()) not in (b"\r\n", b""):
        headers.append(line)
    message = Message(first, headers, b"")
    if to_head or b" 204 " in first or b" 304 " in first:
        return message
    if (length := message.header(b"content-length")) is not None:
        message.body = await reader.readexactly(int(length))
    elif message.header(b"transfer-encoding"):
        message.body = await _chunks(reader)
    return message


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    """Read a chunked body as it came, its framing included."""
    whole = b""
    while True:
        size = await reader.readline()
        chunk = await reader.readexactly(int(size, 16) + 2)
        whole += size + chunk
        if int(size, 16) == 0:
            return whole
