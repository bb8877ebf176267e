"""Several objects on their way into the bucket at a time."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Self

from langaudio.store.content import md5
from langaudio.store.errors import MissingObject

if TYPE_CHECKING:
    from langaudio.store import Store

WRITERS = 4
_MAX_WAITING_BYTES = 32 * 2**20


class Writing:
    """Writes several objects at a time; see ``Store.writing``.

    An error of a write is raised by one of the next ``put``, or at the end.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._pool = ThreadPoolExecutor(WRITERS)
        self._waiting: deque[tuple[Future[None], int]] = deque()
        self._bytes = 0
        self._copies_tell = True

    def put(self, key: str, data: bytes, copy_of: str = "") -> None:
        """Write an object soon; wait if too many bytes wait already.

        Args:
            key: where.
            data: its bytes.
            copy_of: key of an object that should have the same bytes. If it has, the server copies them, and
                they are not sent.
        """
        if copy_of and self._copies_tell:
            write = self._pool.submit(self._copy, key, data, copy_of)
        else:
            write = self._pool.submit(self._store.put, key, data)
        self._waiting.append((write, len(data)))
        self._bytes += len(data)
        while self._bytes > _MAX_WAITING_BYTES or (self._waiting and self._waiting[0][0].done()):
            self._wait_for_first()

    def wait(self) -> None:
        """Wait until all is written."""
        while self._waiting:
            self._wait_for_first()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self.wait()
        finally:
            self._pool.shutdown(cancel_futures=True)

    def _copy(self, key: str, data: bytes, source: str) -> None:
        try:
            if self._store.copy(source, key) == md5(data):
                return
            # Other bytes, or a server whose ETags are no MD5, so that nobody can tell.
            self._copies_tell = False
        except MissingObject:
            pass
        self._store.put(key, data)

    def _wait_for_first(self) -> None:
        write, size = self._waiting.popleft()
        write.result()
        self._bytes -= size
