"""What Airflow's UI gains: the Languages pages, behind Airflow's login and permissions.

Every process of Airflow imports its plugins. So nothing is imported here but what Airflow has imported
already; the pages come with the first request, in the API server alone.
"""

from __future__ import annotations

import asyncio
import threading
from functools import lru_cache
from typing import TYPE_CHECKING

from airflow.plugins_manager import AirflowPlugin

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import Receive, Scope, Send

DAG = "language_audio"
"""Who may read it sees the pages, and who may run it may choose the champion: its runs do."""

_MAKING = threading.Lock()


async def _serve(scope: Scope, receive: Receive, send: Send) -> None:
    # Making it takes a second, in which the server answers others.
    app = await asyncio.to_thread(_app)
    await app(scope, receive, send)


def _app() -> FastAPI:
    with _MAKING:
        return _made()


@lru_cache(maxsize=1)
def _made() -> FastAPI:
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
    from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
    from airflow.api_fastapi.core_api.security import get_user, requires_access_dag
    from airflow.models.dag import DagModel
    from fastapi import Depends

    from langaudio.pages.access import Person
    from langaudio.pages.app import create_app

    may_read = Depends(requires_access_dag("GET", None, DAG))
    logged_in = Depends(get_user)

    def who(user: BaseUser = logged_in, _: None = may_read) -> Person:
        may_run = get_auth_manager().is_authorized_dag(
            method="POST",
            access_entity=DagAccessEntity.RUN,
            details=DagDetails(id=DAG, team_name=DagModel.get_team_name(DAG)),
            user=user,
        )
        return Person(user.get_name(), may_run)

    return create_app(who)


class LanguagesPlugin(AirflowPlugin):
    """The pages, and their place in the navigation."""

    name = "languages"
    fastapi_apps = [{"app": _serve, "url_prefix": "/languages", "name": "Languages"}]  # noqa: RUF012
    external_views = [  # noqa: RUF012
        {
            "name": "Languages",
            # Without a slash before it, it is below whatever path Airflow is served at.
            "href": "languages/overview",
            "destination": "nav",
            "url_route": "languages",
            "category": "browse",
            "icon": "languages/assets/icon.svg",
        }
    ]
