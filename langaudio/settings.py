"""Every setting of langaudio, read from ``LANGAUDIO_*`` variables.

The environment wins; what it leaves out is read from ``<home>/settings.env``, which ``langaudio up``
writes for the local services. ``docs/settings.md`` lists them all.
"""

from __future__ import annotations

import os
import re
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from langaudio import languages
from langaudio.errors import LangaudioError

_FOLDER = r"[A-Za-z0-9_-][A-Za-z0-9._-]*"
_WEB = re.compile(r"https?://[^/\s]")


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="LANGAUDIO_", extra="ignore", validate_default=True)

    home: Path = Field(Path(".langaudio"), description="Folder of all local state.")

    bucket: str = Field("langaudio", min_length=3, description="S3 bucket of the corpus.")
    s3_endpoint: str | None = Field(None, description="S3 endpoint URL; empty: AWS.")
    s3_access_key: SecretStr | None = Field(None, description="Empty: the AWS SDK's usual chain.")
    s3_secret_key: SecretStr | None = Field(None, description="Empty: the AWS SDK's usual chain.")
    aws_conn_id: str = Field("", description="Airflow connection to S3, for DAG runs; empty: these settings.")
    s3_region: str = Field("us-east-1", description="S3 region.")
    s3_prefix: str = Field("", description="Prefix of all keys, in a bucket that is shared.")
    s3_encryption: Literal["", "AES256", "aws:kms"] = Field(
        "", description="Encryption that the server is asked for; empty: the bucket's default."
    )
    s3_kms_key: str = Field("", description="Id of the KMS key; empty: the account's default.")

    mlflow_uri: str = Field("http://127.0.0.1:5000", description="MLflow tracking server.")
    mlflow_public_url: str = Field(
        "", description="MLflow's address in links for people; empty: LANGAUDIO_MLFLOW_URI."
    )
    model: Path | None = Field(
        None, description="Served file (model.onnx) that `identify` asks; empty: the champion of MLflow."
    )
    speaker_key: SecretStr | None = Field(
        None, description="Key of the hash that stands for a speaker. Never change it for a bucket."
    )

    contact: str = Field("", description="Address in the crawler's user agent, for site owners.")
    download_delay_s: float = Field(
        1.0, ge=0, description="Seconds between two requests to a host (loopback: no delay)."
    )
    loopback_concurrency: int = Field(
        1,
        ge=1,
        description="Requests at a time to a site on loopback; any other host is asked one at a time.",
    )
    demo_url: str = Field("http://127.0.0.1:8000", description="Where the demo site is served.")
    source_roots: dict[str, list[str]] = Field(
        {}, description="JSON: a source's name → root URLs that replace its own, for example after a move."
    )
    sources: list[str] = Field(
        [], description="JSON: dotted paths of sources of your own (docs/adding-a-source.md)."
    )
    consent: dict[str, str] = Field(
        {}, description="JSON: a source's name → reference of its owner's written consent to AI training."
    )
    corpus: str = Field("", description="Folder or s3:// prefix that the source `corpus` reads.")
    full_walk_days: float = Field(
        7.0, ge=0, description="Days after which a crawl walks a source's whole list again."
    )
    max_missing_share: float = Field(
        0.05, ge=0, le=1, description="Share of the announced clips that a full walk may not find."
    )
    max_gone_share: float = Field(
        0.5, ge=0, le=1, description="Share of the known clips that a full walk may find gone."
    )
    max_wait_s: float = Field(
        600.0, ge=0, description="Seconds that a site may ask a crawl to wait (Retry-After, Crawl-delay)."
    )
    max_clip_mib: float = Field(50.0, gt=0, description="Size (MiB) at which a download is given up.")
    max_download_s: float = Field(120.0, gt=0, description="Seconds after which a download is given up.")

    min_clip_s: float = Field(1.0, gt=0, description="Shorter clips are quarantined.")
    max_clip_s: float = Field(900.0, gt=0, description="Longer clips are quarantined.")
    min_speech_s: float = Field(1.0, ge=0, description="Clips with less speech are quarantined.")

    workers: int = Field(
        0, ge=0, description="Processes that augment a language; 0: as many as there are cores to use."
    )
    part_hours: float = Field(
        500.0,
        gt=0,
        description="Hours of speech, copies counted, that one augment task makes; more are several tasks.",
    )
    max_parts: int = Field(64, ge=1, description="Augment tasks of a language, at most.")
    shard_mib: float = Field(64.0, gt=0, description="Size (MiB) at which a shard is closed.")
    max_recall_loss: float = Field(
        0.1, ge=0, le=1, description="Recall that a language may lose by a promotion."
    )
    max_calibration_error: float = Field(
        0.1, ge=0, le=1, description="Expected calibration error that a promoted model may have."
    )
    max_latency_ms: float = Field(
        100.0, gt=0, description="Milliseconds that a promoted model may take for ten seconds of speech."
    )

    night_schedule: str = Field(
        "0 2 * * *", description="When `nightly_recrawl` starts, as cron has it; empty: never by itself."
    )
    night_timezone: str = Field("UTC", description="Time zone of the schedule, for example Europe/Paris.")
    night_languages: list[str] = Field(
        [], description="JSON: tags of the languages of the night; empty: all that corpus and source have."
    )
    night_source: str = Field("audio_lingua", description="Source of the night.")
    night_min_change_percent: float = Field(
        1.0,
        ge=0,
        le=100,
        description="Share of the clips that has to change for a night to train; 0: always.",
    )
    night_form: dict[str, Any] = Field(
        {}, description='JSON: other fields of the form, as a night fills them in: `{"epochs": 30}`.'
    )
    night_deadline_hours: float = Field(
        6.0, gt=0, description="Hours after which a night that still runs is told of."
    )
    approval_hours: float = Field(
        24.0, gt=0, description="Hours that a promotion waits for an answer, where the form asks for one."
    )
    notifier: str = Field(
        "", description="Dotted path of the Airflow notifier that tells the outcome; empty: the log alone."
    )
    notifier_args: dict[str, Any] = Field(
        {}, description="JSON: its arguments, with `{{ message }}` where the outcome is to stand."
    )
    notify_when: Literal["always", "trouble"] = Field(
        "always", description="`always`, or `trouble`: only of what failed, is late, or needs a look."
    )
    stale_days: float = Field(
        3.0, gt=0, description="Days after its last crawl at which the pages call a language stale."
    )
    max_upload_mib: float = Field(
        64.0, gt=0, description="Size (MiB) of a recording that the page Identify takes."
    )
    max_upload_s: float = Field(
        120.0, gt=0, description="Seconds after which the page Identify gives a recording up."
    )

    airflow_port: int = Field(8080, ge=1, le=65535, description="Port of Airflow's UI and API.")
    s3_port: int = Field(9000, ge=1, le=65535, description="Port of the local S3 server.")
    mlflow_port: int = Field(5000, ge=1, le=65535, description="Port of the local MLflow.")
    demo_port: int = Field(8000, ge=1, le=65535, description="Port of the demo site.")
    parallelism: int = Field(4, ge=1, description="Airflow tasks that run at once, locally.")

    @field_validator("s3_prefix")
    @classmethod
    def _as_a_folder(cls, prefix: str) -> str:
        folders = prefix.strip("/")
        if folders and not re.fullmatch(rf"{_FOLDER}(/{_FOLDER})*", folders):
            raise ValueError("use folders of letters, digits, '.', '_' and '-', none beginning with '.'")
        return f"{folders}/" if folders else ""

    @model_validator(mode="after")
    def _key_is_of_kms(self) -> Self:
        if self.s3_kms_key and self.s3_encryption != "aws:kms":
            raise ValueError("LANGAUDIO_S3_KMS_KEY needs LANGAUDIO_S3_ENCRYPTION=aws:kms")
        return self

    @field_validator("s3_endpoint", "demo_url", "mlflow_public_url")
    @classmethod
    def _of_the_web(cls, url: str | None) -> str | None:
        # Without a scheme boto3 and Scrapy end in tracebacks of their own. An empty text counts as none.
        if url and not _WEB.match(url):
            raise ValueError("it must begin with http:// or https:// and name a host")
        return url

    @field_validator("night_timezone")
    @classmethod
    def _of_the_world(cls, timezone: str) -> str:
        try:
            ZoneInfo(timezone)
        except (KeyError, ValueError, OSError):
            raise ValueError("it must be a time zone of the tz database, like Europe/Paris") from None
        return timezone

    @field_validator("night_languages")
    @classmethod
    def _known(cls, codes: list[str]) -> list[str]:
        for code in codes:
            try:
                languages.get(code)
            except LangaudioError as error:
                raise ValueError(str(error)) from None
        return codes

    @field_validator("source_roots")
    @classmethod
    def _of_the_web_each(cls, roots: dict[str, list[str]]) -> dict[str, list[str]]:
        for urls in roots.values():
            for url in urls:
                cls._of_the_web(url)
        return roots

    @property
    def user_agent(self) -> str:
        from langaudio import __version__

        contact = f" (+{self.contact})" if self.contact else ""
        return f"langaudio/{__version__}{contact}"


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Return the settings of this process, read once.

    Raises:
        LangaudioError: a variable has a value that is not allowed.
    """
    home = Path(os.environ.get("LANGAUDIO_HOME", ".langaudio"))
    try:
        # pydantic-settings takes the file at run time by this underscore argument.
        return Settings(_env_file=home / "settings.env")  # type: ignore[call-arg]
    except ValidationError as error:
        problems = "; ".join(
            f"LANGAUDIO_{'_'.join(map(str, problem['loc'])).upper()}={problem['input']!r}: {problem['msg']}"
            if problem["loc"]
            else problem["msg"]
            for problem in error.errors()
        )
        raise LangaudioError(f"Wrong setting: {problems}.") from None
    except SettingsError as error:
        # Of a value that is no JSON it tells the field, and hides the value in its cause.
        field = re.search(r'field "(\w+)"', str(error))
        name = f"LANGAUDIO_{field[1].upper()}" if field else str(error)
        raise LangaudioError(f"Wrong setting: {name} is no JSON of its kind (docs/settings.md).") from None
