"""The bucket: a thin wrapper of boto3's S3 client that speaks in keys and bytes.

Only what every S3 has is used: PUT, GET, HEAD, LIST, COPY and DELETE of whole objects, ranges of them, and
multipart uploads. An object is complete or absent, because a PUT is.

What is written and read is compared with its MD5, which S3 tells as the ETag; of an object that was written
in parts, with the MD5 of its parts' MD5s. Where a server's ETags are no MD5 (AWS with KMS, for example), that
is found out and remembered, and the SDK's own checksums have to do.
"""

from __future__ import annotations

import base64
import functools
import io
import random
import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, BinaryIO, TypeVar

import botocore.exceptions

from langaudio.errors import LangaudioError
from langaudio.settings import settings
from langaudio.store import keys
from langaudio.store.client import CONNECTIONS, client, use_client
from langaudio.store.content import Content, md5
from langaudio.store.errors import (
    S3_ERRORS,
    Damaged,
    MissingObject,
    TooLarge,
    code,
    explanation,
    is_worth_another_try,
    status,
)
from langaudio.store.object_file import ObjectFile
from langaudio.store.writing import WRITERS, Writing

__all__ = [
    "MissingObject",
    "ObjectInfo",
    "Store",
    "UnfinishedUpload",
    "Writing",
    "default_store",
    "keys",
    "store_of_bucket",
    "use_client",
]

_T = TypeVar("_T")

_ATTEMPTS = 5
_FIRST_PAUSE_S = 0.1

_MAX_AHEAD_BYTES = 4 * 2**20
"""Of an object that is read ahead. So 32 of them take no more than 128 MiB, however large objects are."""

_MD5 = re.compile(r"[0-9a-f]{32}(-\d+)?")


@dataclass(frozen=True)
class ObjectInfo:
    """What a listing says of an object. ``modified`` is in UTC; ``etag`` is another for other content."""

    key: str
    size: int
    modified: datetime
    etag: str


@dataclass(frozen=True)
class UnfinishedUpload:
    """A multipart upload that was neither completed nor aborted."""

    key: str
    upload_id: str
    begun: datetime


class Store:
    """One bucket, or the part of one below a prefix.

    Every method may raise ``Unavailable`` (the server does not answer, or damages what it is sent) and
    ``LangaudioError`` (no such bucket, keys that are refused).

    Args:
        client: a boto3 S3 client.
        bucket: its name.
        prefix: of all keys, with its ``/``; no method shows it.
        encryption: arguments of every write that ask for encryption by the server.
    """

    def __init__(
        self, client: Any, bucket: str, prefix: str = "", encryption: dict[str, str] | None = None
    ) -> None:
        self._client = client
        self.bucket = bucket
        self._prefix = prefix
        self._encryption = encryption or {}
        self._etags_are_md5 = True
        client.meta.events.register_last("before-call.s3", _send_at_once, unique_id="langaudio")

    def put(self, key: str, data: bytes | BinaryIO) -> None:
        """Write an object: bytes, or all of an open file, of which little at a time is in memory."""
        content = Content(data)
        put = self._put if content.goes_at_once else self._put_in_parts
        self._tried(key, lambda: put(key, content))

    def writing(self) -> Writing:
        """Return a context that writes several objects at a time, and whose end waits for all of them."""
        return Writing(self)

    def get(self, key: str, max_bytes: int | None = None) -> bytes:
        """Return an object's bytes.

        Raises:
            MissingObject: there is none.
            TooLarge: it is larger than ``max_bytes``.
        """
        return self._tried(key, lambda: self._get(key, max_bytes))

    def get_many(self, wanted: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Yield ``(key, bytes)`` in the order asked for, reading a few objects ahead.

        An object that is large is not read before its turn.
        """
        ahead: deque[tuple[str, Future[bytes | None]]] = deque()
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            for key in wanted:
                ahead.append((key, pool.submit(self._get_if_small, key)))
                if len(ahead) >= 2 * CONNECTIONS:
                    yield self._awaited(*ahead.popleft())
            while ahead:
                yield self._awaited(*ahead.popleft())

    def open(self, item: ObjectInfo) -> io.RawIOBase:
        """Return an object as a file of which only what is read is fetched."""
        return ObjectFile(self, item)

    def get_range(self, key: str, begin: int, end: int) -> bytes:
        """Return the bytes ``begin`` … ``end`` (exclusive) of an object, which has them."""

        def read() -> bytes:
            data: bytes = self._get_object(key, Range=f"bytes={begin}-{end - 1}")["Body"].read()
            if len(data) != end - begin:
                raise Damaged(f"{len(data)} bytes of {key!r} came instead of {end - begin}.")
            return data

        return self._tried(key, read)

    def exists(self, key: str) -> bool:
        try:
            self._tried(key, lambda: self._client.head_object(Bucket=self.bucket, Key=self._prefix + key))
        except MissingObject:
            return False
        return True

    def folders(self, prefix: str) -> list[str]:
        """Return the names directly below a prefix that have objects below them."""
        whole = self._prefix + prefix

        def read() -> list[str]:
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=whole, Delimiter="/"
            )
            return [
                item["Prefix"].removeprefix(whole).rstrip("/")
                for page in pages
                for item in page.get("CommonPrefixes", ())
            ]

        return self._tried(prefix, read)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield the objects under a prefix, in the order of their keys."""
        token: dict[str, str] | None = {}
        while token is not None:
            page, token = self._tried(prefix, functools.partial(self._page, prefix, token))
            yield from page

    def copy(self, source: str, target: str) -> str:
        """Copy an object within the server; return the ETag of the copy.

        Raises:
            MissingObject: there is none to copy.
        """
        answer = self._tried(
            source,
            lambda: self._client.copy_object(
                Bucket=self.bucket,
                Key=self._prefix + target,
                CopySource={"Bucket": self.bucket, "Key": self._prefix + source},
                **self._encryption,
            ),
        )
        return _etag(answer["CopyObjectResult"])

    def delete(self, key: str) -> None:
        """Delete an object, if it is there."""
        self._tried(key, lambda: self._client.delete_object(Bucket=self.bucket, Key=self._prefix + key))

    def unfinished_uploads(self) -> Sequence[UnfinishedUpload]:
        """Return the multipart uploads that nobody has finished: those of a process that was killed."""

        def read() -> Sequence[UnfinishedUpload]:
            pages = self._client.get_paginator("list_multipart_uploads").paginate(
                Bucket=self.bucket, Prefix=self._prefix
            )
            try:
                return [
                    UnfinishedUpload(
                        item["Key"].removeprefix(self._prefix), item["UploadId"], item["Initiated"]
                    )
                    for page in pages
                    for item in page.get("Uploads", ())
                ]
            except botocore.exceptions.ClientError as error:
                if code(error) != "NoSuchUpload":  # the embedded server's word for none
                    raise
                return ()

        return self._tried("", read)

    def abort(self, upload: UnfinishedUpload) -> None:
        """Throw away the parts of an upload that nobody has finished, if they are there."""

        def abort() -> None:
            where = {"Bucket": self.bucket, "Key": self._prefix + upload.key}
            try:
                self._client.abort_multipart_upload(**where, UploadId=upload.upload_id)
            except botocore.exceptions.ClientError as error:
                if code(error) != "NoSuchUpload":
                    raise

        self._tried(upload.key, abort)

    def create_bucket(self) -> None:
        """Make the bucket, unless it is there."""
        try:
            self._tried("", lambda: self._client.head_bucket(Bucket=self.bucket))
        except MissingObject:
            region = self._client.meta.region_name
            elsewhere = region != "us-east-1" and "amazonaws.com" in self._client.meta.endpoint_url
            place = {"CreateBucketConfiguration": {"LocationConstraint": region}} if elsewhere else {}
            self._tried("", lambda: self._client.create_bucket(Bucket=self.bucket, **place))

    def _put(self, key: str, content: Content) -> None:
        digest = content.digest
        answer = self._client.put_object(
            Bucket=self.bucket,
            Key=self._prefix + key,
            Body=content.whole,
            ContentMD5=base64.b64encode(bytes.fromhex(digest)).decode(),
            **self._encryption,
        )
        if self._tells_another_md5(answer, digest):
            # Either what is there is damaged, or ETags are no MD5 here: reading it tells.
            if md5(self._get_object(key)["Body"].read()) != digest:
                raise Damaged(f"{key!r} is another in the bucket than was sent.")
            self._etags_are_md5 = False

    def _put_in_parts(self, key: str, content: Content) -> None:
        where = {"Bucket": self.bucket, "Key": self._prefix + key}
        begun = _retried(lambda: self._client.create_multipart_upload(**where, **self._encryption))
        upload = where | {"UploadId": begun["UploadId"]}
        try:
            with ThreadPoolExecutor(WRITERS) as pool:
                put_part = functools.partial(self._put_part, key, upload, content)
                parts = list(pool.map(put_part, content.parts))
            _retried(lambda: self._complete(key, upload, parts, content.digest_of_parts))
        except BaseException:
            with suppress(*S3_ERRORS):  # what went wrong first is what is told
                self._client.abort_multipart_upload(**upload)
            raise

    def _put_part(self, key: str, upload: dict[str, Any], content: Content, number: int) -> dict[str, Any]:
        chunk = content.part(number)
        digest = md5(chunk)
        checksum = base64.b64encode(bytes.fromhex(digest)).decode()
        answer = _retried(
            lambda: self._client.upload_part(**upload, PartNumber=number, Body=chunk, ContentMD5=checksum)
        )
        if self._tells_another_md5(answer, digest):
            # The embedded server does not let a part be replaced: all of them are sent again.
            raise Damaged(f"Part {number} of {key!r} arrived as another than was sent.")
        return {"PartNumber": number, "ETag": answer["ETag"]}

    def _complete(
        self, key: str, upload: dict[str, Any], parts: Sequence[dict[str, Any]], digest: str
    ) -> None:
        try:
            answer = self._client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
            whole = not self._tells_another_md5(answer, digest)
        except botocore.exceptions.ClientError as error:
            # Perhaps it was completed before, and the answer was lost on its way.
            if code(error) != "NoSuchUpload":
                raise
            whole = False
        if not whole and not self._holds(key, digest):
            raise Damaged(f"{key!r} is another in the bucket than was sent.")

    def _holds(self, key: str, digest: str) -> bool:
        try:
            return Content(self._get(key, None)).digest_of_parts == digest
        except botocore.exceptions.ClientError as error:
            if status(error) == 404:
                return False
            raise

    def _get_if_small(self, key: str) -> bytes | None:
        try:
            return self.get(key, _MAX_AHEAD_BYTES)
        except TooLarge:
            return None

    def _awaited(self, key: str, read_ahead: Future[bytes | None]) -> tuple[str, bytes]:
        data = read_ahead.result()
        return key, self.get(key) if data is None else data

    def _get(self, key: str, max_bytes: int | None) -> bytes:
        answer = self._get_object(key)
        if max_bytes is not None and answer["ContentLength"] > max_bytes:
            answer["Body"].close()
            raise TooLarge(f"{key!r} is larger than {max_bytes} bytes.")
        data: bytes = answer["Body"].read()
        if len(data) != answer["ContentLength"]:
            raise Damaged(f"{len(data)} bytes of {key!r} came instead of {answer['ContentLength']}.")
        in_parts = "-" in _etag(answer)
        if self._tells_another_md5(answer, Content(data).digest_of_parts if in_parts else md5(data)):
            # What comes twice the same is not damaged on its way: then ETags are no MD5 here, or somebody
            # wrote the object in parts of another size.
            if self._get_object(key)["Body"].read() != data:
                raise Damaged(f"{key!r} was damaged on its way from the bucket.")
            self._etags_are_md5 = in_parts
        return data

    def _get_object(self, key: str, **more: str) -> dict[str, Any]:
        answer: dict[str, Any] = self._client.get_object(Bucket=self.bucket, Key=self._prefix + key, **more)
        return answer

    def _tells_another_md5(self, answer: dict[str, Any], digest: str) -> bool:
        etag, by_kms = _etag(answer), "kms" in answer.get("ServerSideEncryption", "")
        is_md5 = _MD5.fullmatch(etag) and ("-" in etag) == ("-" in digest)
        return self._etags_are_md5 and not by_kms and bool(is_md5) and etag != digest

    def _page(self, prefix: str, token: dict[str, str]) -> tuple[Sequence[ObjectInfo], dict[str, str] | None]:
        """Return a page of a listing, and what asks for the next one."""
        answer = self._client.list_objects_v2(Bucket=self.bucket, Prefix=self._prefix + prefix, **token)
        page = [
            ObjectInfo(
                item["Key"].removeprefix(self._prefix), item["Size"], item["LastModified"], _etag(item)
            )
            for item in answer.get("Contents", ())
        ]
        more = answer.get("IsTruncated") and {"ContinuationToken": answer["NextContinuationToken"]}
        return page, more or None

    def _tried(self, key: str, operation: Callable[[], _T]) -> _T:
        """Do an operation, again if what went wrong may pass, and explain what does not."""
        try:
            return _retried(operation)
        except (*S3_ERRORS, Damaged) as error:
            raise self._explained(error, key) from error

    def _explained(self, error: Exception, key: str) -> LangaudioError:
        where = f"bucket {self.bucket!r} at {self._client.meta.endpoint_url}"
        if isinstance(error, LangaudioError):
            return Damaged(f"{error} So it was {_ATTEMPTS} times, of {where}.")
        return explanation(error, self._prefix + key, where)


@lru_cache(maxsize=1)
def default_store() -> Store:
    """Return the store that the settings name."""
    return store_of_bucket(settings().bucket, settings().s3_prefix)


def store_of_bucket(bucket: str, prefix: str = "") -> Store:
    """Return the store of another bucket of the same S3."""
    wanted = settings()
    asked = {"ServerSideEncryption": wanted.s3_encryption, "SSEKMSKeyId": wanted.s3_kms_key}
    return Store(client(), bucket, prefix, {name: value for name, value in asked.items() if value})


def _retried(operation: Callable[[], _T]) -> _T:
    """Do an operation, again if what went wrong may pass."""
    for attempt in range(1, _ATTEMPTS):
        try:
            return operation()
        except (*S3_ERRORS, Damaged) as error:
            if not is_worth_another_try(error):
                raise
        time.sleep(_FIRST_PAUSE_S * 2**attempt * random.random())  # noqa: S311
    return operation()


def _send_at_once(params: dict[str, Any], **_: Any) -> None:
    """Do without ``Expect: 100-continue``, which costs small objects a round trip each."""
    params["headers"].pop("Expect", None)


def _etag(answer: dict[str, Any]) -> str:
    return str(answer.get("ETag", "")).strip('"')
