"""The promotion stage: whether a run's model takes the place of the champion; and the way back.

Without a champion any model becomes one. Otherwise it has to keep every rule:

- it knows all languages that the champion knows: whoever asks for one would get wrong answers from one day to
  the next;
- its macro-F1 is higher on the same test clips, by more than the choice of speakers explains; or it is
  equal by that measure, and the model knows more languages;
- no language's recall is clearly lower, and by more than LANGAUDIO_MAX_RECALL_LOSS;
- it is about as sure as it is right: LANGAUDIO_MAX_CALIBRATION_ERROR;
- it answers in time: LANGAUDIO_MAX_LATENCY_MS.

Where a person was asked (``langaudio.proposal``), the person's answer counts instead of the rules.

See ``langaudio.evaluate`` for how the two are compared. Every version gets a model card.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from langaudio import registry
from langaudio.card import CARD, model_card
from langaudio.errors import LangaudioError
from langaudio.evaluate import EVALUATION, Comparison, Evaluation, evaluate, from_json
from langaudio.registry import CHALLENGER, CHAMPION, CHAMPION_SINCE, Alias, Version
from langaudio.serve import Model
from langaudio.serve.model import FILE
from langaudio.settings import Settings, settings
from langaudio.store import Store

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rule:
    """What is asked of a challenger, whether it keeps it, and the numbers, in one sentence."""

    name: str
    kept: bool
    detail: str


@dataclass(frozen=True)
class Answer:
    """What a person said who was asked.

    Attributes:
        granted: whether the model is to become champion.
        by: who said so; empty if nobody answered in time.
    """

    granted: bool
    by: str = ""


@dataclass(frozen=True)
class Decision:
    """What became of a run's model.

    Attributes:
        version: its number in the registry.
        alias: what it is called there.
        promoted: whether it is the champion now.
        reason: why; of a model that is not, every rule that it broke.
    """

    version: int
    alias: Alias
    promoted: bool
    reason: str


def promote(store: Store, run_id: str, answer: Answer | None = None) -> Decision:
    """Register a run's model and make it champion if it deserves it; doing it again changes nothing.

    A run that was not evaluated, or that was evaluated against another champion than today's, is evaluated
    first.

    Args:
        store: the bucket.
        run_id: the run.
        answer: of a person who has seen the evaluation; None if the rules are to decide.

    Raises:
        LangaudioError: the run has no model, or cannot be evaluated.
        Unavailable: the bucket or MLflow does not answer.
    """
    champion = registry.aliased(CHAMPION)
    if champion is not None and champion.run_id == run_id:
        return _told(Decision(champion.number, CHAMPION, True, "It is the champion already."))
    seen = stored_evaluation(run_id)
    evaluation = seen if seen and is_against(seen, champion) else evaluate(store, run_id)
    promoted, reason = decide(evaluation, settings())
    if answer is not None:
        # Whoever compared it with one champion has said nothing of another.
        fresh = evaluation is seen or not answer.granted
        promoted, reason = answered(answer, reason) if fresh else (False, _OUTDATED)
    version = registry.register(run_id)
    _describe(store, version, evaluation, reason)
    if promoted:
        _crown(version)
    else:
        registry.set_alias(CHALLENGER, version)
    return _told(Decision(version.number, CHAMPION if promoted else CHALLENGER, promoted, reason))


def rollback(number: int | None = None) -> Decision:
    """Make a former version champion again.

    Args:
        number: which; if None, the last one before the present champion that was champion, and that has not
            learned from clips that are forgotten now.

    Raises:
        LangaudioError: there is no such version, or its model cannot be loaded.
        Unavailable: MLflow does not answer.
    """
    champion = registry.aliased(CHAMPION)
    versions = registry.versions()
    known = ", ".join(str(one.number) for one in versions) or "none"
    if number is None:
        if champion is None:
            raise LangaudioError(f"There is no champion to go back from; versions are: {known}.")
        before = [
            one
            for one in versions
            if one.number < champion.number
            and CHAMPION_SINCE in one.tags
            and registry.FORGOTTEN not in one.tags
        ]
        if not before:
            raise LangaudioError(
                f"No version before {champion.number} was champion; name one to go to: {known}."
            )
        chosen = max(before, key=lambda one: one.number)
    else:
        found = [one for one in versions if one.number == number]
        if not found:
            raise LangaudioError(f"There is no version {number}; there are: {known}.")
        (chosen,) = found
    if registry.FORGOTTEN in chosen.tags:
        log.warning("version %d has learned from clips that are forgotten now", chosen.number)
    Model(registry.model_folder(chosen.run_id) / FILE)  # a model that does not load must not be champion
    left = "there was no champion" if champion is None else f"version {champion.number} was champion"
    _crown(chosen)
    return _told(Decision(chosen.number, CHAMPION, True, f"Somebody went back to it: {left}."))


def decide(evaluation: Evaluation, limits: Settings) -> tuple[bool, str]:
    """Return whether the rules make the evaluated model champion, and why."""
    if evaluation.comparison is None:
        return True, "There was no champion."
    rules = list(judge(evaluation, evaluation.comparison, limits))
    broken = [rule.detail for rule in rules if not rule.kept]
    quality = next(rule.detail for rule in rules if rule.name == "quality")
    return not broken, " ".join(broken) if broken else quality


def answered(answer: Answer, rules: str) -> tuple[bool, str]:
    """Return what a person's answer makes of the model, and why; ``rules`` is what the rules say."""
    if answer.granted:
        return True, f"{answer.by} approved it. By the rules: {rules}"
    who = f"{answer.by} refused it" if answer.by else "nobody answered in time, and no answer is no promotion"
    return False, f"Not promoted: {who}. By the rules: {rules}"


_OUTDATED = (
    "Not promoted: another model became champion while the answer was awaited. Clear the tasks `evaluate` "
    "and `approve` to compare with it and to ask anew."
)


def judge(evaluation: Evaluation, comparison: Comparison, limits: Settings) -> Iterator[Rule]:
    """Yield every rule, kept or not."""
    champion = f"the champion (version {comparison.champion_version})"
    lacking = sorted(set(comparison.champion_languages) - set(evaluation.languages))
    detail = f"It does not know {', '.join(lacking)}, which {champion} knows."
    yield Rule("languages", not lacking, detail if lacking else f"It knows all that {champion} knows.")
    yield _quality(evaluation, comparison, champion)

    lost = {
        code: gain
        for code, gain in (comparison.recall_gains or {}).items()
        # A clip or two of a few are chance: the interval has to say that it is a loss, too.
        if gain.value < -limits.max_recall_loss and gain.high < 0
    }
    detail = f"Its recall is lower by more than {limits.max_recall_loss} for " + ", ".join(
        f"{code}, by {-gain.value:.3f} ({-gain.high:.3f} to {-gain.low:.3f})" for code, gain in lost.items()
    )
    yield Rule("no loss", not lost, f"{detail}." if lost else "No language loses.")

    error = evaluation.scores.calibration_error
    sure = error.low <= limits.max_calibration_error
    detail = f"Its calibration error is {error}; at most {limits.max_calibration_error} is allowed."
    yield Rule("calibration", sure, detail)
    in_time = evaluation.latency_ms <= limits.max_latency_ms
    detail = (
        f"It takes {evaluation.latency_ms:.1f} ms to answer on ten seconds; "
        f"at most {limits.max_latency_ms:g} ms are allowed."
    )
    yield Rule("latency", in_time, detail)


def _quality(evaluation: Evaluation, comparison: Comparison, champion: str) -> Rule:
    gain, ours, theirs = comparison.macro_f1_gain, comparison.challenger, comparison.champion
    if gain is None or ours is None or theirs is None:
        return Rule("quality", False, f"No test clip is in a language that it and {champion} know.")
    measured = (
        f"macro-F1 {ours.macro_f1.value:.3f} against {theirs.macro_f1.value:.3f}, a difference of "
        f"{gain.value:+.3f} ({gain.low:+.3f} to {gain.high:+.3f}), on {ours.clips} test clips of "
        f"{ours.speakers} speakers"
    )
    more = sorted(set(evaluation.languages) - set(comparison.champion_languages))
    if gain.low > 0:
        return Rule("quality", True, f"It is better than {champion}: {measured}.")
    if gain.high >= 0 and more:
        known = ", ".join(more)
        return Rule("quality", True, f"It equals {champion} and also knows {known}: {measured}.")
    return Rule("quality", False, f"It is not better than {champion}: {measured}.")


def stored_evaluation(run_id: str) -> Evaluation | None:
    """Return what was stored of a run's evaluation; None if it was never evaluated."""
    stored = registry.read_file(run_id, EVALUATION)
    return None if stored is None else from_json(stored)


def is_against(evaluation: Evaluation, champion: Version | None) -> bool:
    """Tell whether an evaluation compares with this champion; None means that there is none."""
    compared = evaluation.comparison
    return (compared and compared.champion_run_id) == (champion and champion.run_id)


def _describe(store: Store, version: Version, evaluation: Evaluation, reason: str) -> None:
    card = model_card(store, version, evaluation, reason)
    registry.log_file(version.run_id, CARD, card.encode())
    registry.describe(version, card)


def _crown(version: Version) -> None:
    registry.set_alias(CHAMPION, version)
    registry.tag_version(version, CHAMPION_SINCE, datetime.now(UTC).isoformat(timespec="seconds"))
    if registry.aliased(CHALLENGER) == version:
        registry.remove_alias(CHALLENGER)


def _told(decision: Decision) -> Decision:
    log.info("version %d is %s: %s", decision.version, decision.alias, decision.reason)
    return decision
