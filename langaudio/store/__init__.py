"""The bucket: a thin wrapper of boto3's S3 client that speaks in keys and bytes.

Only what every S3 has is used: PUT, GET, HEAD, LIST, COPY and DELETE of whole objects. An object is
complete or absent, because a PUT is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import boto3
import botocore.exceptions
from botocore.config import Config

from langaudio import __version__
from langaudio.errors import LangaudioError, Unavailable
from langaudio.settings import settings
from langaudio.store import keys

__all__ = ["MissingObject", "ObjectInfo", "Store", "default_store", "keys", "store_of_bucket"]

_CONNECTIONS = 16


class MissingObject(LangaudioError):
    """There is no object under this key."""


@dataclass(frozen=True)
class ObjectInfo:
    """What a listing says of an object. ``modified`` is in UTC; ``etag`` is another for other content."""

    key: str
    size: int
    modified: datetime
    etag: str


class Store:
    """One bucket.

    Args:
        client: a boto3 S3 client; Airflow hands in one made from a connection.
        bucket: its name.
    """

    def __init__(self, client: Any, bucket: str) -> None:
        self._client = client
        self.bucket = bucket
        client.meta.events.register_last("before-call.s3.PutObject", _send_at_once, unique_id="langaudio")

    def put(self, key: str, data: bytes) -> None:
        with self._explained(key):
            self._client.put_object(Bucket=self.bucket, Key=key, Body=data)

    def get(self, key: str, max_bytes: int | None = None) -> bytes:
        """Return an object's bytes.

        Raises:
            MissingObject: there is none.
            LangaudioError: it is larger than ``max_bytes``.
        """
        with self._explained(key):
            answer = self._client.get_object(Bucket=self.bucket, Key=key)
            if max_bytes is not None and answer["ContentLength"] > max_bytes:
                answer["Body"].close()
                raise LangaudioError(f"{key!r} is larger than {max_bytes} bytes.")
            body: bytes = answer["Body"].read()
            return body

    def get_many(self, wanted: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Yield ``(key, bytes)`` in the order asked for, reading a few objects ahead."""
        ahead: deque[tuple[str, Any]] = deque()
        with ThreadPoolExecutor(_CONNECTIONS) as pool:
            for key in wanted:
                ahead.append((key, pool.submit(self.get, key)))
                if len(ahead) >= 2 * _CONNECTIONS:
                    first, future = ahead.popleft()
                    yield first, future.result()
            for first, future in ahead:
                yield first, future.result()

    def exists(self, key: str) -> bool:
        try:
            with self._explained(key):
                self._client.head_object(Bucket=self.bucket, Key=key)
        except MissingObject:
            return False
        return True

    def folders(self, prefix: str) -> list[str]:
        """Return the names directly below a prefix that have objects below them."""
        with self._explained(prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=prefix, Delimiter="/"
            )
            return [
                item["Prefix"].removeprefix(prefix).rstrip("/")
                for page in pages
                for item in page.get("CommonPrefixes", ())
            ]

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield the objects under a prefix, in the order of their keys."""
        with self._explained(prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
            for page in pages:
                for item in page.get("Contents", ()):
                    yield ObjectInfo(item["Key"], item["Size"], item["LastModified"], item.get("ETag", ""))

    def copy(self, source: str, target: str) -> None:
        with self._explained(source):
            self._client.copy_object(
                Bucket=self.bucket, Key=target, CopySource={"Bucket": self.bucket, "Key": source}
            )

    def delete(self, key: str) -> None:
        with self._explained(key):
            self._client.delete_object(Bucket=self.bucket, Key=key)

    def create_bucket(self) -> None:
        """Make the bucket, unless it is there."""
        try:
            self._client.head_bucket(Bucket=self.bucket)
        except botocore.exceptions.ClientError as error:
            if _status(error) != 404:
                raise self._explanation(error, "") from error
            with self._explained(""):
                self._client.create_bucket(Bucket=self.bucket)
        except botocore.exceptions.BotoCoreError as error:
            raise self._explanation(error, "") from error

    @contextmanager
    def _explained(self, key: str) -> Iterator[None]:
        try:
            yield
        except (botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError) as error:
            raise self._explanation(error, key) from error

    def _explanation(self, error: Exception, key: str) -> LangaudioError:
        where = f"bucket {self.bucket!r} at {self._client.meta.endpoint_url}"
        if isinstance(error, botocore.exceptions.ClientError):
            code = error.response.get("Error", {}).get("Code", "")
            if code == "NoSuchBucket":
                return LangaudioError(f"There is no {where}: create it, or set LANGAUDIO_BUCKET.")
            if _status(error) == 404:
                return MissingObject(f"There is no object {key!r} in {where}.")
            if _status(error) in (401, 403):
                return LangaudioError(
                    f"The {where} refuses our keys ({code}): check LANGAUDIO_S3_ACCESS_KEY and "
                    "LANGAUDIO_S3_SECRET_KEY, or the credentials of the AWS SDK."
                )
        if isinstance(error, botocore.exceptions.NoCredentialsError):
            return LangaudioError(
                f"There are no keys for the {where}: set LANGAUDIO_S3_ACCESS_KEY and "
                "LANGAUDIO_S3_SECRET_KEY, configure the AWS SDK, or start the local services with `make up`."
            )
        return Unavailable(f"The {where} does not answer ({error}): is it running?")


@lru_cache(maxsize=1)
def default_store() -> Store:
    """Return the store that the settings name: one client a process."""
    return store_of_bucket(settings().bucket)


def store_of_bucket(bucket: str) -> Store:
    """Return the store of another bucket of the same S3."""
    return Store(_client(), bucket)


def _client() -> Any:
    wanted = settings()
    return boto3.client(
        "s3",
        endpoint_url=wanted.s3_endpoint or None,
        region_name=wanted.s3_region,
        aws_access_key_id=wanted.s3_access_key and wanted.s3_access_key.get_secret_value(),
        aws_secret_access_key=wanted.s3_secret_key and wanted.s3_secret_key.get_secret_value(),
        config=Config(
            signature_version="s3v4",
            user_agent=f"langaudio/{__version__}",  # boto's own is made anew for every request
            retries={"mode": "adaptive", "max_attempts": 4},
            connect_timeout=5,
            read_timeout=30,
            max_pool_connections=_CONNECTIONS,
            # AWS takes boto's CRC32 trailers, not every other S3 does.
            **({"request_checksum_calculation": "when_required"} if wanted.s3_endpoint else {}),
            s3={"addressing_style": "path"} if wanted.s3_endpoint else {},
        ),
    )


def _send_at_once(params: dict[str, Any], **_: Any) -> None:
    """Do without ``Expect: 100-continue``, which costs small objects a round trip each."""
    params["headers"].pop("Expect", None)


def _status(error: botocore.exceptions.ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
