"""Tables for the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pyarrow.compute as pc
from rich import box
from rich.markup import escape
from rich.table import Table

from langaudio import catalog, languages, services
from langaudio.doctor import FAULTS, Diagnosis
from langaudio.errors import LangaudioError, suggest
from langaudio.examine import Reason
from langaudio.export import chosen_languages
from langaudio.services import config
from langaudio.settings import settings
from langaudio.store import Store, keys


def services_table() -> Table:
    """The local services: where each is, whether it is well, and where the login is."""
    file, _ = config.password(settings())
    table = Table(title="langaudio's local services", title_justify="left")
    for column in ("Service", "Address", "State", "Login"):
        table.add_column(column, overflow="fold")
    logins = {
        "Airflow": f"admin, password in {shown(file)}",
        "S3": f"keys in {shown(settings().home / 'settings.env')}",
    }
    for service in services.listening(settings()):
        state = "well" if services.well(service) else "does not answer"
        table.add_row(service.title, service.url, state, logins.get(service.title, "none"))
    return table


def shown(path: Path) -> str:
    """Return a path as people type it: from where they are, if it lies below."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def diagnosis_table(diagnosis: Diagnosis) -> Table:
    """What a check of the bucket found: every kind with its number, and the first of each."""
    looked_at = ", ".join(f"{count:,} {what}" for what, count in diagnosis.looked_at.items())
    table = Table(title="The bucket", title_justify="left", caption=f"Looked at: {looked_at or 'nothing'}.")
    for column in ("Finding", "Number", "Fault", "For example"):
        table.add_column(column, justify="right" if column == "Number" else "left")
    for kind, count in diagnosis.counts.items():
        first = next((one for one in diagnosis.findings if one.kind == kind), None)
        example = f"{first.key}: {first.detail}" if first else ""
        table.add_row(kind, str(count), "yes" if kind in FAULTS else "", escape(example))
    return table


def catalog_table(store: Store, wanted: Sequence[str] | None) -> Table:
    """The corpus by language: clips, hours of speech, speakers, sides of the split, quarantine."""
    # Nine numbers fit a terminal of 80 columns without a grid, and with tags for languages.
    table = Table(title="The corpus", title_justify="left", box=box.SIMPLE_HEAD, padding=0)
    columns = ("Clips", "Speech", "Speakers", "Train", "Dev", "Test", "Gone", "Refused", "Last seen")
    table.add_column("Language")
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    for code in chosen_languages(store, wanted):
        rows = catalog.read(store, code, ["speech_s", "speaker_id", "split", "gone", "last_seen"])
        sides = Counter(rows["split"].to_pylist())
        seen = pc.max(rows["last_seen"]).as_py()
        table.add_row(
            code,
            f"{rows.num_rows:,}",
            f"{(pc.sum(rows['speech_s']).as_py() or 0) / 3600:.2f} h",
            f"{pc.count_distinct(rows['speaker_id']).as_py():,}",
            *(f"{sides[side]:,}" for side in ("train", "dev", "test")),
            f"{pc.sum(rows['gone']).as_py() or 0:,}",
            f"{len(catalog.quarantined(store, code)):,}",
            f"{seen:%Y-%m-%d}" if seen else "",
        )
    return table


def quarantine_table(store: Store, wanted: Sequence[str] | None) -> Table:
    """How many clips are in quarantine, by language and reason."""
    table = Table(title="In quarantine", title_justify="left")
    for column in ("Language", "Reason", "Clips"):
        table.add_column(column, justify="right" if column == "Clips" else "left")
    for code in _with_quarantine(store, wanted):
        counts = Counter(reason["reason"] for reason in catalog.refusals(store, code))
        for reason, number in counts.most_common():
            table.add_row(f"{languages.get(code).name} ({code})", reason, f"{number:,}")
    return table


def refusals_table(store: Store, wanted: Sequence[str] | None, reason: str) -> Table:
    """The clips that are in quarantine for a reason.

    Raises:
        LangaudioError: there is no such reason.
    """
    reasons = [one.value for one in Reason]
    if reason not in reasons:
        raise LangaudioError(
            f"{reason!r} is no reason{suggest(reason, reasons)}; there are {', '.join(reasons)}."
        )
    table = Table(title=f"In quarantine as {reason}", title_justify="left")
    for column in ("Language", "Clip", "Page", "Detail"):
        table.add_column(column, no_wrap=column == "Clip")
    for code in _with_quarantine(store, wanted):
        for told in catalog.refusals(store, code):
            if told["reason"] == reason:
                page = told.get("page_url") or told.get("source_url") or ""
                table.add_row(code, told["clip_id"], escape(page), escape(told["detail"]))
    return table


def _with_quarantine(store: Store, wanted: Sequence[str] | None) -> Sequence[str]:
    for code in wanted or ():
        languages.get(code)
    return wanted or store.folders(keys.below("quarantine"))
