"""What the application keeps while it runs: caches and child processes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, Request

from langaudio.pages.corpus import Corpus
from langaudio.pages.models import Models
from langaudio.pages.pictures import Pictures
from langaudio.workers import Workers


class Parts:
    """One of each, made when the application is.

    Args:
        processes: readers and workers of the caller's, who ends them; else they end with the application.

    Attributes:
        readers: processes that read catalogs.
        workers: processes for what takes longer, so that nobody who only looks waits for it.
        corpus: what the overview tells.
        models: what the registry tells.
        pictures: pictures that were made lately.
        augmentations: what recipes did to clips lately.
    """

    def __init__(self, processes: tuple[Workers, Workers] | None = None) -> None:
        self._are_ours = processes is None
        self.readers, self.workers = processes or (Workers(), Workers())
        self.corpus = Corpus(self.readers)
        self.models = Models(self.workers)
        self.pictures = Pictures(self.workers)
        # A few megabytes each.
        self.augmentations = Pictures(self.workers, kept=4)

    @asynccontextmanager
    async def lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        """End the child processes with the application."""
        try:
            yield
        finally:
            if self._are_ours:
                self.readers.close()
                self.workers.close()


def _parts(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


def _corpus(request: Request) -> Corpus:
    return _parts(request).corpus


def _models(request: Request) -> Models:
    return _parts(request).models


def _workers(request: Request) -> Workers:
    return _parts(request).workers


def _pictures(request: Request) -> Pictures:
    return _parts(request).pictures


def _augmentations(request: Request) -> Pictures:
    return _parts(request).augmentations


CorpusDep = Annotated[Corpus, Depends(_corpus)]
ModelsDep = Annotated[Models, Depends(_models)]
WorkersDep = Annotated[Workers, Depends(_workers)]
PicturesDep = Annotated[Pictures, Depends(_pictures)]
AugmentationsDep = Annotated[Pictures, Depends(_augmentations)]
