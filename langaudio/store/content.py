"""What is written to the bucket: bytes, or a file of which only parts are in memory."""

from __future__ import annotations

import hashlib
import math
import os
from typing import BinaryIO

MOST_BYTES_AT_ONCE = 100 * 2**20
"""Objects that are larger are written in parts, as AWS advises; the embedded server hashes those twice."""

PART_BYTES = 8 * 2**20


class Content:
    """Bytes, or an open file, whole or in parts of ``PART_BYTES``.

    A file is read where it is wanted, parts of it by whatever thread, and must not change until it is
    written.
    """

    def __init__(self, source: bytes | BinaryIO) -> None:
        self._source = source
        self._part_bytes = PART_BYTES
        if isinstance(source, bytes):
            self.size = len(source)
        else:
            source.flush()
            self.size = os.fstat(source.fileno()).st_size
        self.parts = range(1, math.ceil(self.size / self._part_bytes) + 1)

    @property
    def goes_at_once(self) -> bool:
        """Whether it is small enough to be written at once."""
        return self.size <= MOST_BYTES_AT_ONCE

    @property
    def whole(self) -> bytes | BinaryIO:
        """All of it: the bytes, or the file at its beginning."""
        if not isinstance(self._source, bytes):
            self._source.seek(0)
        return self._source

    def part(self, number: int) -> bytes:
        """Return a part, counted from 1 as S3 does."""
        begin = (number - 1) * self._part_bytes
        if isinstance(self._source, bytes):
            return self._source[begin : begin + self._part_bytes]
        return os.pread(self._source.fileno(), self._part_bytes, begin)

    @property
    def digest(self) -> str:
        """What S3 makes the ETag of an object that was written at once."""
        whole = hashlib.md5(usedforsecurity=False)
        for number in self.parts:
            whole.update(self.part(number))
        return whole.hexdigest()

    @property
    def digest_of_parts(self) -> str:
        """What S3 makes the ETag of an object that was written in these parts."""
        digests = b"".join(bytes.fromhex(md5(self.part(number))) for number in self.parts)
        return f"{md5(digests)}-{len(self.parts)}"


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
