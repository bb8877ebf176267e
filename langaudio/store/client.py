"""The S3 client of a process: made from the settings, or handed in by whoever runs a stage."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import boto3
from botocore.config import Config
from pydantic import SecretStr

from langaudio import __version__
from langaudio.settings import settings

CONNECTIONS = 16

_handed_in: Any = None


def client_config(*, custom_endpoint: bool) -> Config:
    """Return how to speak to S3: signatures, retries, time-outs.

    Args:
        custom_endpoint: whether it is another S3 than AWS's.
    """
    return Config(
        signature_version="s3v4",
        user_agent=f"langaudio/{__version__}",  # boto's own is made anew for every request
        retries={"mode": "adaptive", "max_attempts": 4},
        connect_timeout=5,
        read_timeout=30,
        max_pool_connections=CONNECTIONS,
        # AWS takes boto's CRC32 trailers, not every other S3 does.
        **({"request_checksum_calculation": "when_required"} if custom_endpoint else {}),
        s3={"addressing_style": "path"} if custom_endpoint else {},
    )


def use_client(client: Any) -> None:
    """Let this process use a client of the caller's, for example one made from an Airflow connection."""
    global _handed_in
    _handed_in = client


def client() -> Any:
    """Return the process's client."""
    wanted = settings()
    return _handed_in or _made(
        wanted.s3_endpoint or None,
        wanted.s3_region,
        _shown(wanted.s3_access_key),
        _shown(wanted.s3_secret_key),
    )


def _shown(secret: SecretStr | None) -> str | None:
    """Return a secret's text; an empty one is none, so that boto3 looks for keys in its usual places."""
    return (secret.get_secret_value() or None) if secret else None


@lru_cache(maxsize=1)
def _made(endpoint: str | None, region: str, access_key: str | None, secret_key: str | None) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=region,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        config=client_config(custom_endpoint=bool(endpoint)),
    )
