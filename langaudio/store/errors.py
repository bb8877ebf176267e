"""What goes wrong at an S3, told in sentences; and which of it may pass."""

from __future__ import annotations

from typing import Any

import botocore.exceptions as boto
import urllib3.exceptions
from botocore.parsers import ResponseParserError

from langaudio.errors import LangaudioError, Unavailable

# botocore's parser says ResponseParserError of XML that is none, and ValueError of a date or a number in it.
_GARBLED = (ResponseParserError, ValueError)
# What breaks in mid-body comes from urllib3 as it is.
S3_ERRORS = (boto.ClientError, boto.BotoCoreError, *_GARBLED, urllib3.exceptions.HTTPError)

_DAMAGED = (
    *("BadDigest", "InvalidDigest", "IncompleteBody", "XAmzContentSHA256Mismatch"),
    *("InvalidPart", "MalformedXML", "NoSuchUpload"),  # of an upload in parts, which is begun anew
)
_SKEWED = ("RequestTimeTooSkewed", "RequestExpired")


class MissingObject(LangaudioError):
    """There is no object under this key."""


class TooLarge(LangaudioError):
    """The object is larger than was asked for."""


class Damaged(Unavailable):
    """What arrived is not what was sent."""


def is_worth_another_try(error: Exception) -> bool:
    """Tell whether an operation may succeed now that failed just before, after botocore's own retries."""
    if isinstance(error, boto.ClientError):
        # The answer to a HEAD has no body that would tell a wrong clock from a wrong key.
        unsaid = status(error) == 403 and error.operation_name.startswith("Head")
        passing = (*_DAMAGED, *_SKEWED, "SlowDown", "RequestTimeout")
        return unsaid or status(error) >= 500 or status(error) == 429 or code(error) in passing
    if isinstance(error, boto.EndpointConnectionError | boto.ConnectTimeoutError):
        return False  # botocore has tried; nobody is there
    in_transit = boto.HTTPClientError, boto.ResponseStreamingError, boto.IncompleteReadError
    return isinstance(error, (Damaged, *_GARBLED, urllib3.exceptions.HTTPError, *in_transit))


def explanation(error: Exception, key: str, where: str) -> LangaudioError:
    """Return what to raise for an error.

    Args:
        error: one of ``S3_ERRORS``.
        key: what was asked for.
        where: the bucket and the server, for people.
    """
    if isinstance(error, boto.ClientError):
        if code(error) == "NoSuchBucket":
            return LangaudioError(f"There is no {where}: create it, or set LANGAUDIO_BUCKET.")
        if code(error) in _SKEWED:
            return LangaudioError(
                f"The {where} takes our requests for old or early ({code(error)}): set this machine's clock."
            )
        if status(error) == 404 and code(error) != "NoSuchUpload":
            return MissingObject(f"There is no object {key!r} in {where}.")
        if status(error) in (401, 403):
            return LangaudioError(
                f"The {where} refuses our keys ({code(error)}): check LANGAUDIO_S3_ACCESS_KEY and "
                "LANGAUDIO_S3_SECRET_KEY, or the credentials of the AWS SDK."
            )
        if 400 <= status(error) < 500 and not is_worth_another_try(error):
            return LangaudioError(f"The {where} does not take what it is asked for ({error}).")
    if isinstance(error, boto.NoCredentialsError):
        return LangaudioError(
            f"There are no keys for the {where}: set LANGAUDIO_S3_ACCESS_KEY and "
            "LANGAUDIO_S3_SECRET_KEY, configure the AWS SDK, or start the local services with `make up`."
        )
    # botocore names the whole URL here, query and all.
    reason = "no connection" if isinstance(error, boto.EndpointConnectionError) else error
    return Unavailable(f"The {where} does not answer ({reason}): is it running?")


def code(error: boto.ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def status(error: boto.ClientError) -> int:
    answer: dict[str, Any] = error.response.get("ResponseMetadata", {})
    return int(answer.get("HTTPStatusCode", 0))
