"""Tables for the terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.table import Table

from langaudio import languages, services
from langaudio.services import config
from langaudio.settings import settings

if TYPE_CHECKING:
    from langaudio.identify import Identification


def services_table() -> Table:
    """The local services: where each is, and where the login is."""
    file, _ = config.password(settings())
    table = Table(title="langaudio's local services", title_justify="left")
    for column in ("Service", "Address", "Login"):
        table.add_column(column)
    logins = {"Airflow": f"admin, password in {file}", "S3": f"keys in {settings().home / 'settings.env'}"}
    for service in services.listening(settings()):
        table.add_row(service.title, service.url, logins.get(service.title, "none"))
    return table


def identification_table(found: Iterable[tuple[str, Identification]]) -> Table:
    """Recordings with the three likeliest languages of each."""
    table = Table(title="Which language is it?", title_justify="left")
    for column in ("Recording", "Language", "Probability", "Next"):
        table.add_column(column, justify="right" if column == "Probability" else "left")
    for name, answer in found:
        if answer.language is None:
            table.add_row(name, "no speech", "", "")
            continue
        (first, share), *others = answer.probabilities.items()
        rest = ", ".join(f"{code} {other:.1%}" for code, other in others[:2])
        table.add_row(name, f"{languages.get(first).name} ({first})", f"{share:.1%}", rest)
    return table
