"""Whether so much of the corpus has changed since the last training that another one is worth its while."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from langaudio import registry
from langaudio.store import Store
from langaudio.train import splits

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Change:
    """What has changed since a training.

    Attributes:
        percent: how many clips are new or gone, in percent of those that were learned from; 100 if there is
            nothing to compare with.
        detail: the same in a sentence.
    """

    percent: float
    detail: str


def change(store: Store, languages: Sequence[str], recipe_id: str) -> Change:
    """Return how much of the corpus has changed since the last training, or since the champion's.

    That is the newest version of the model. Without it, a corpus whose network was not better would be
    trained on again every night. The least change of the two counts.

    Raises:
        Unavailable: the bucket or MLflow does not answer.
    """
    champion = registry.aliased(registry.CHAMPION)
    if champion is None:
        return Change(100.0, "There is no champion.")
    trained = {version.run_id: version for version in (champion, registry.versions()[-1])}
    changes = [_since(store, version, languages, recipe_id) for version in trained.values()]
    return min(changes, key=lambda one: one.percent)


def _since(store: Store, version: registry.Version, languages: Sequence[str], recipe_id: str) -> Change:
    made = registry.parameters(version.run_id)
    named = f"version {version.number}"
    if made.get("recipe_id") != recipe_id:
        return Change(100.0, f"{named} learned from copies of another recipe.")
    if sorted(made.get("languages", "").split()) != sorted(languages):
        return Change(100.0, f"{named} knows other languages: {made.get('languages')}.")
    learned = set(json.loads(registry.read_file(version.run_id, registry.CLIPS) or b"[]"))
    clips = {clip.clip_id for clip in splits.read(store, languages) if clip.split != "test"}
    new, gone = len(clips - learned), len(learned - clips)
    percent = 100 * (new + gone) / max(1, len(learned))
    return Change(
        percent,
        f"Of the {len(learned)} clips that {named} was trained on, {gone} are gone; {new} are new. "
        f"That is {percent:.2f} %.",
    )
