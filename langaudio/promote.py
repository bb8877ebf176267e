"""The promotion stage: whether a run's network takes the place of the champion.

It does if there is no champion; if its macro-F1 is higher on the same test clips; or if it is equal and it
knows more languages. It never does if it lacks a language that the champion knows: whoever asks for that
language would get wrong answers from one day to the next. See ``langaudio.evaluate`` for how the two are
compared.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import Any

from langaudio import registry
from langaudio.evaluate import EVALUATION, evaluate
from langaudio.registry import CHALLENGER, CHAMPION, Alias
from langaudio.store import Store

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Decision:
    """What became of a run's network.

    Attributes:
        version: its number in the registry.
        alias: what it is called there.
        promoted: whether it is the champion now.
        reason: one sentence.
    """

    version: int
    alias: Alias
    promoted: bool
    reason: str


def promote(store: Store, run_id: str) -> Decision:
    """Register a run's network and make it champion if it deserves it; doing it again changes nothing.

    A run that was not evaluated, or that was evaluated against another champion than today's, is evaluated
    first.

    Raises:
        LangaudioError: the run has no network, or cannot be evaluated.
        Unavailable: the bucket or MLflow does not answer.
    """
    champion = registry.aliased(CHAMPION)
    if champion is not None and champion.run_id == run_id:
        return _told(Decision(champion.number, CHAMPION, True, "It is the champion already."))
    evaluation = _evaluation(store, run_id, champion)
    promoted, reason = decide(evaluation)
    version = registry.register(run_id)
    alias = CHAMPION if promoted else CHALLENGER
    registry.set_alias(alias, version)
    if promoted and registry.aliased(CHALLENGER) == version:
        registry.remove_alias(CHALLENGER)
    return _told(Decision(version.number, alias, promoted, reason))


def decide(evaluation: dict[str, Any]) -> tuple[bool, str]:
    """Return whether the rules make the evaluated network champion, and why in one sentence."""
    comparison = evaluation["comparison"]
    if comparison is None:
        return True, "There was no champion."
    champion = f"the champion (version {comparison['champion_version']})"
    lacking = sorted(set(comparison["champion_languages"]) - set(evaluation["languages"]))
    if lacking:
        return False, f"It does not know {', '.join(lacking)}, which {champion} knows."
    ours, theirs = comparison["challenger"]["macro_f1"], comparison["champion"]["macro_f1"]
    measured = f"macro-F1 {ours:.3f} against {theirs:.3f} on {comparison['champion']['clips']} test clips"
    if ours > theirs:
        return True, f"It is better than {champion}: {measured}."
    more = sorted(set(evaluation["languages"]) - set(comparison["champion_languages"]))
    if ours == theirs and more:
        return True, f"It equals {champion} and also knows {', '.join(more)}: {measured}."
    return False, f"It is not better than {champion}: {measured}."


def _evaluation(store: Store, run_id: str, champion: registry.Version | None) -> dict[str, Any]:
    stored = registry.read_file(run_id, EVALUATION)
    if stored is not None:
        evaluation: dict[str, Any] = json.loads(stored)
        compared = evaluation["comparison"]
        if (compared and compared["champion_run_id"]) == (champion and champion.run_id):
            return evaluation
    return evaluate(store, run_id)


def _told(decision: Decision) -> Decision:
    log.info("version %d is %s: %s", decision.version, decision.alias, decision.reason)
    return decision
