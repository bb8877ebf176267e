"""Settings: where they come from, and what is said of a wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest

from langaudio.errors import LangaudioError
from langaudio.services.config import PROJECT
from langaudio.settings import Settings, settings


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LANGAUDIO_HOME", str(tmp_path))
    settings.cache_clear()
    yield
    settings.cache_clear()


def test_the_file_of_the_local_services_is_read(tmp_path: Path) -> None:
    (tmp_path / "settings.env").write_text("LANGAUDIO_BUCKET='from-file'\nAIRFLOW__API__PORT='1'\n")
    assert settings().bucket == "from-file"


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "settings.env").write_text("LANGAUDIO_BUCKET=from-file\n")
    monkeypatch.setenv("LANGAUDIO_BUCKET", "from-environment")
    assert settings().bucket == "from-environment"


def test_a_wrong_value_is_named_with_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGAUDIO_S3_PORT", "ninety")
    with pytest.raises(LangaudioError, match=r"LANGAUDIO_S3_PORT='ninety'.*integer"):
        settings()


@pytest.mark.parametrize(
    ("given", "prefix"), [("", ""), ("/", ""), ("team", "team/"), ("/a-b/c.d/", "a-b/c.d/")]
)
def test_a_prefix_is_a_folder(monkeypatch: pytest.MonkeyPatch, given: str, prefix: str) -> None:
    monkeypatch.setenv("LANGAUDIO_S3_PREFIX", given)
    assert settings().s3_prefix == prefix


@pytest.mark.parametrize("given", ["..", "a/../b", "a//b", "a b", ".hidden", "a\n"])
def test_a_prefix_that_leads_elsewhere_is_refused(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("LANGAUDIO_S3_PREFIX", given)
    with pytest.raises(LangaudioError, match=r"LANGAUDIO_S3_PREFIX=.*use folders of letters"):
        settings()


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("NIGHT_TIMEZONE", "Paris", "it must be a time zone of the tz database"),
        ("NIGHT_TIMEZONE", "/etc/passwd", "it must be a time zone of the tz database"),
        ("NIGHT_LANGUAGES", '["fr", "xx"]', "'xx' is not a known language tag"),
        ("NIGHT_MIN_CHANGE_PERCENT", "101", "less than or equal to 100"),
        ("NIGHT_DEADLINE_HOURS", "0", "greater than 0"),
        ("NOTIFY_WHEN", "never", "'always' or 'trouble'"),
        ("NOTIFIER_ARGS", "text", "is no JSON of its kind"),
    ],
)
def test_a_night_that_cannot_be_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    monkeypatch.setenv(f"LANGAUDIO_{name}", value)
    with pytest.raises(LangaudioError, match=rf"LANGAUDIO_{name}.*{told}"):
        settings()


def test_a_kms_key_without_kms_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGAUDIO_S3_KMS_KEY", "1234")
    with pytest.raises(LangaudioError, match="LANGAUDIO_S3_KMS_KEY needs LANGAUDIO_S3_ENCRYPTION=aws:kms"):
        settings()


def test_a_secret_does_not_show_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGAUDIO_S3_SECRET_KEY", "hush-hush")
    assert "hush-hush" not in repr(settings())


def test_the_user_agent_names_the_contact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGAUDIO_CONTACT", "mailto:crawl@example.org")
    assert settings().user_agent.startswith("langaudio/")
    assert "mailto:crawl@example.org" in settings().user_agent


def test_every_setting_is_documented() -> None:
    documented = (PROJECT / "docs" / "settings.md").read_text()
    for name, field in Settings.model_fields.items():
        assert f"| `LANGAUDIO_{name.upper()}` |" in documented
        assert f"| {field.description} |" in documented
