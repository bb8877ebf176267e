"""The stages as the CLI and the DAGs run them: plain values in, a plain report out.

A report is a dictionary that fits an XCom: what the stage found, and what it cost (``seconds``,
``peak_rss_mib``).
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable, Sequence
from importlib import resources
from typing import TYPE_CHECKING, Any

from langaudio import languages
from langaudio.backfill import BRING_IN, READ_AGAIN
from langaudio.errors import LangaudioError
from langaudio.memory import children_peak_mib, peak_mib
from langaudio.settings import settings

# DAG files import this module to be parsed, again and again: what is heavy is imported where it is used.
if TYPE_CHECKING:
    from langaudio.store import Store
    from langaudio.train.stage import Start

log = logging.getLogger(__name__)

FIRST = "first"
"""The first part of a language, of as many as LANGAUDIO_PART_HOURS asks for."""


def plan(wanted: Sequence[str], source: str, location: str = "") -> list[str]:
    """Check which languages are to be worked on, before anything is; return each once, in order.

    Args:
        wanted: their tags. None mean all that a corpus of one's own has.
        source: where they come from.
        location: the corpus of one's own; LANGAUDIO_CORPUS if empty.

    Raises:
        LangaudioError: none are wanted, or one is unknown or not to be had at the source.
    """
    from langaudio.crawl.sources import source_named

    where = source_named(source)
    for code in wanted:
        where.section(code)
    if source == "corpus":
        offered = _corpus_of_ones_own(location)
        if lacking := [code for code in wanted if code not in offered]:
            raise LangaudioError(f"The corpus has no {lacking[0]!r}; it has {', '.join(offered)}.")
        wanted = wanted or offered
    if not wanted:
        raise LangaudioError(f"No language was chosen; {source} has {', '.join(where.languages())}.")
    return list(dict.fromkeys(wanted))


def recipes() -> list[str]:
    """Return the names of the packaged recipes, without importing the transforms as ``recipe.names`` does."""
    folder = resources.files("langaudio").joinpath("augment", "recipes")
    return sorted(file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml"))


def check_recipe(recipe: str) -> None:
    """Read a recipe, before anything is fetched for it.

    Raises:
        LangaudioError: there is no such recipe, it cannot be read, or it is wrong.
    """
    from langaudio.augment.recipe import load

    load(recipe)


def _corpus_of_ones_own(location: str) -> list[str]:
    from langaudio.crawl.corpus import Corpus

    return Corpus(location or settings().corpus).languages()


def plan_known(wanted: Sequence[str], source: str, location: str = "") -> list[str]:
    """Take the wanted languages, or if none are named, all of the corpus that the source has.

    Raises:
        LangaudioError: the corpus has no language of this source, or a wanted one is unknown.
    """
    from langaudio.crawl.sources import source_named

    offered = source_named(source).languages()
    known = [code for code in _corpus_languages() if code in offered]
    if not wanted and not known:
        raise LangaudioError(
            f"The corpus has no language that {source} offers: bring one in with the DAG "
            "backfill_languages or language_audio first."
        )
    return plan(wanted or known, source, location)


def plan_lacking(wanted: Sequence[str], source: str, location: str = "") -> list[str]:
    """Take those of the wanted languages that the corpus lacks.

    Raises:
        LangaudioError: it lacks none of them, or one is unknown.
    """
    known = _corpus_languages()
    lacking = [code for code in plan(wanted, source, location) if code not in known]
    if not lacking:
        raise LangaudioError(
            f"The corpus has {', '.join(wanted)} already: choose languages that it lacks, or bring "
            "these up to date with the DAG language_audio."
        )
    return lacking


def plan_backfill(
    work: str, wanted: Sequence[str], source: str, location: str = "", *, recipe: str, seed: int
) -> list[str]:
    """Take the languages of a backfill; ``work`` is one of ``langaudio.backfill.WORKS``.

    Raises:
        LangaudioError: the work cannot be done for one of them, or the training that follows would lack
            other languages of the corpus.
    """
    from langaudio import backfill
    from langaudio.augment.stage import seeded_id
    from langaudio.store import default_store

    if work == BRING_IN:
        chosen = plan_lacking(wanted, source, location)
    else:
        chosen = backfill.again(default_store(), wanted)
        if work == READ_AGAIN:
            chosen = plan(chosen, source, location)
    backfill.check_others(default_store(), chosen, seeded_id(recipe, seed))
    return chosen


def survey(language: str, *, source: str, run: str, **options: Any) -> dict[str, Any]:
    """Look how much a crawl will fetch; ``options`` are those of ``langaudio.crawl.survey.survey``."""
    from langaudio.crawl.survey import survey

    return _reported(survey, language, source=source, run=run, **options)


def crawl(language: str, *, source: str, run: str, **options: Any) -> dict[str, Any]:
    """Crawl a language; ``options`` are those of ``langaudio.crawl.stage.crawl``."""
    from langaudio.crawl.stage import crawl

    return _reported(crawl, language, source=source, run=run, **options)


def upload(language: str, *, source: str, run: str) -> dict[str, Any]:
    from langaudio.upload import upload

    return _reported(upload, language, source=source, run=run)


def augment(
    language: str, *, run: str, workers: int | None = None, part: str = "", **options: Any
) -> dict[str, Any]:
    """Augment a language; ``options`` are those of ``langaudio.augment.stage.augment``.

    Args:
        language: its tag.
        run: the run's id.
        workers: processes; LANGAUDIO_WORKERS if None.
        part: of the language, as in ``2/4``; all of it if empty; `FIRST` if other tasks see to the
            `other_parts` of a language that is too large for one.
        **options: see there.
    """
    from langaudio.augment.parts import WHOLE, FirstPart, Part
    from langaudio.augment.stage import augment

    wanted = settings()
    options["workers"] = wanted.workers if workers is None else workers
    if part == FIRST:
        options["part"] = FirstPart(wanted.part_hours, wanted.max_parts)
    else:
        options["part"] = Part.named(part) if part else WHOLE
    return _reported(augment, language, run=run, shard_mib=wanted.shard_mib, **options)


def other_parts(part: str) -> list[str]:
    """Return the names of a language's other parts; none if it is not divided."""
    from langaudio.augment.parts import Part

    return [str(other) for other in Part.named(part).others()]


def check() -> dict[str, Any]:
    """Check the bucket in the cheap form; see ``langaudio.doctor.require_health``."""
    from langaudio.doctor import require_health

    return _reported(require_health)


def train(
    wanted: Sequence[str] | None, *, recipe: str, epochs: int, seed: int, start: Start = "champion"
) -> dict[str, Any]:
    """Train on the wanted languages that have augmented speech, or on all of the corpus that have.

    Where there are several GPUs, a process for each does so together, and one reports.
    """
    # Before Lightning is imported, which takes seconds.
    ready, recipe_id = _ready(wanted, recipe, seed)

    def run(store: Store) -> dict[str, Any]:
        from langaudio.train.processes import Place, devices, run_on
        from langaudio.train.stage import train

        if Place.of_this_process().processes == 1 and devices() > 1:
            options = ["--recipe", recipe, "--epochs", str(epochs), "--seed", str(seed), "--from", start]
            return run_on(devices(), ["train", *ready, *options])
        run_id = train(store, ready, recipe_id=recipe_id, epochs=epochs, seed=seed, start=start)
        return {"run_id": run_id, "languages": ready}

    return _reported(run)


def change(wanted: Sequence[str] | None, *, recipe: str, seed: int) -> dict[str, Any]:
    """Return how much of the corpus has changed since the last training."""
    ready, recipe_id = _ready(wanted, recipe, seed)

    def compare(store: Store) -> Any:
        from langaudio.retraining import change

        return change(store, ready, recipe_id)

    return _reported(compare)


def _ready(wanted: Sequence[str] | None, recipe: str, seed: int) -> tuple[list[str], str]:
    from langaudio.augment.shards import read_index
    from langaudio.augment.stage import seeded_id
    from langaudio.store import default_store

    for code in wanted or ():
        languages.get(code)
    store, recipe_id = default_store(), seeded_id(recipe, seed)
    wanted = _corpus_languages() if wanted is None else wanted
    ready = [code for code in wanted if read_index(store, recipe_id, code).num_rows]
    left_out = [code for code in wanted if code not in ready]
    if left_out:
        log.warning("Left out, because nothing of them is augmented: %s", ", ".join(left_out))
    if len(ready) < 2:
        raise LangaudioError(
            f"Of the languages {', '.join(wanted) or 'of the corpus'}, recipe {recipe!r} with seed {seed} "
            f"has augmented {', '.join(ready) or 'none'}; two are the least to tell apart: crawl, upload and "
            "augment more."
        )
    return ready, recipe_id


def evaluate(run_id: str) -> dict[str, Any]:
    from langaudio.evaluate import evaluate

    def run(store: Store) -> dict[str, Any]:
        # The whole evaluation is stored with the model; a report is short.
        result = evaluate(store, run_id)
        scores = result.scores
        told = {name: getattr(scores, name).value for name in ("accuracy", "macro_f1", "calibration_error")}
        return {"run_id": run_id, "languages": result.languages, "clips": scores.clips, **told}

    return _reported(run)


def proposal(run_id: str) -> str:
    """Return what a person reads who is asked whether a run's network shall become the champion."""
    from langaudio.proposal import proposal

    return proposal(run_id)


def promote(run_id: str, *, granted: bool | None = None, by: str = "") -> dict[str, Any]:
    """Promote a run's network by the rules, or by a person's answer: ``granted``, and who gave it."""
    from langaudio.promote import Answer, promote

    answer = None if granted is None else Answer(granted, by)
    return _reported(promote, run_id, answer)


def present(language: str) -> int:
    """Return how many clips of a language its sources still have."""
    import pyarrow.compute as pc

    from langaudio import catalog
    from langaudio.store import default_store

    gone = catalog.read(default_store(), language, ["clip_id", "gone"])["gone"]
    return len(gone) - (pc.sum(gone).as_py() or 0)


def _corpus_languages() -> list[str]:
    from langaudio import catalog
    from langaudio.store import default_store

    return catalog.languages(default_store())


def _reported(stage: Callable[..., Any], *arguments: Any, **options: Any) -> dict[str, Any]:
    from langaudio.store import default_store

    begin = time.monotonic()
    result = stage(default_store(), *arguments, **options)
    # mypy takes a dataclass for a class as well, and asdict wants an instance.
    report: dict[str, Any] = dataclasses.asdict(result) if dataclasses.is_dataclass(result) else dict(result)  # type: ignore[arg-type]
    return report | {
        "seconds": round(time.monotonic() - begin, 2),
        # A crawl's memory is its child's.
        "peak_rss_mib": max(peak_mib(), children_peak_mib()),
    }
