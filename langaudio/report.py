"""Tables for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.table import Table

from langaudio import services
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
