"""What a person is shown who is asked whether a network shall become the champion, in Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from langaudio import languages, registry
from langaudio.evaluate import Evaluation, Scores
from langaudio.promote import decide, stored_evaluation
from langaudio.settings import settings

_SCORES = {
    "macro_f1": "macro-F1",
    "accuracy": "accuracy",
    "c_avg": "C_avg (less is better)",
    "calibration_error": "calibration error (less is better)",
}


def proposal(run_id: str) -> str:
    """Show a run's network beside the champion it was compared with, and what the rules say.

    Raises:
        LangaudioError: the run is unknown.
        Unavailable: MLflow does not answer.
    """
    evaluation = stored_evaluation(run_id)
    if evaluation is None:
        raise RuntimeError(f"run {run_id} is proposed and was not evaluated")
    by_the_rules, reason = decide(evaluation, settings())
    verdict = "would be promoted" if by_the_rules else "would not be promoted"
    sections = (
        [f"By the rules it **{verdict}**: {reason}"],
        _scores(evaluation),
        _recall(evaluation),
        _links(run_id),
    )
    return "\n\n".join("\n".join(section) for section in sections)


def _scores(evaluation: Evaluation) -> Iterator[str]:
    compared = evaluation.comparison
    ours: Scores | None = evaluation.scores
    theirs = None
    if compared is not None:
        # On the same clips, among the languages that both know.
        ours, theirs = compared.challenger or ours, compared.champion
    reigning = f"champion (version {compared.champion_version})" if compared else "no champion yet"
    yield f"| | challenger | {reigning} |"
    yield "|---|---|---|"
    for name, title in _SCORES.items():
        yield f"| {title} | {getattr(ours, name)} | {getattr(theirs, name) if theirs else ''} |"
    known = f"{len(compared.champion_languages)}" if compared else ""
    yield f"| languages | {len(evaluation.languages)} | {known} |"
    yield f"| milliseconds to answer | {evaluation.latency_ms:.1f} | |"
    clips = ours.clips if ours else evaluation.scores.clips
    yield f"\nMeasured on {clips} test clips; in brackets are intervals of 95 %."


def _recall(evaluation: Evaluation) -> Iterator[str]:
    gains = (evaluation.comparison and evaluation.comparison.recall_gains) or {}
    yield "| recall of | challenger | against the champion |"
    yield "|---|---|---|"
    for code, scores in evaluation.per_language.items():
        gain = gains.get(code)
        told = f"{gain.value:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})" if gain else "new"
        yield f"| {languages.get(code).name} ({code}) | {scores.recall} | {told if gains else ''} |"


def _links(run_id: str) -> Iterator[str]:
    page = registry.run_url(run_id)
    if page:
        pictures = f"{page}/artifacts"
        yield f"[Confusion matrix]({pictures}/confusion_matrix.png)"
        yield f"· [reliability]({pictures}/reliability.png)"
        yield f"· [training curves]({pictures}/training_curves.png)"
        yield f"· [the run in MLflow]({page})"
    else:
        yield f"Confusion matrix and curves are artifacts of run {run_id} in MLflow."
