"""An object as a file that is read where it is wanted."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langaudio.store import ObjectInfo, Store


class ObjectFile(io.RawIOBase):
    """What ``Store.open`` returns."""

    def __init__(self, store: Store, item: ObjectInfo) -> None:
        self._store, self._item, self._at = store, item, 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._item.size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        end = min(self._at + len(buffer), self._item.size)
        if end <= self._at:
            return 0
        data = self._store.get_range(self._item.key, self._at, end)
        buffer[: len(data)] = data
        self._at = end
        return len(data)
