"""The evaluation of a run, and what is stored of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from langaudio import figures, registry
from langaudio.errors import LangaudioError
from langaudio.evaluate.clips import ALL, DURATIONS_S, TestClip, answers, hear, latency_ms
from langaudio.evaluate.measures import Bin, Estimate, LanguageScores, Scores
from langaudio.serve import Model
from langaudio.serve.model import FILE
from langaudio.store import Store

log = logging.getLogger(__name__)

EVALUATION = "evaluation.json"
"""The artifact of a run that keeps what ``evaluate`` returns."""

CURVES = ("loss", "dev_loss", "dev_macro_f1")


@dataclass(frozen=True)
class Comparison:
    """A challenger and the champion, on the same clips, choosing among the languages that both know.

    Attributes:
        champion_version: the champion's number in the registry.
        champion_run_id: its run.
        champion_languages: what it knows.
        languages: what both know.
        challenger: the scores of the evaluated run.
        champion: those of the champion; None, like all that follow, if no clip is in a language of both.
        macro_f1_gain: by how much the challenger's macro-F1 is higher; the interval is of a paired bootstrap.
        recall_gains: the same of each language's recall.
    """

    champion_version: int
    champion_run_id: str
    champion_languages: list[str]
    languages: list[str]
    challenger: Scores | None = None
    champion: Scores | None = None
    macro_f1_gain: Estimate | None = None
    recall_gains: dict[str, Estimate] | None = None


@dataclass(frozen=True)
class Evaluation:
    """What a run's model is worth on the test clips.

    Attributes:
        run_id: the run.
        languages: what it knows, in the order of the matrix.
        clips_without_speech: clips that were not scored.
        scores: on all of the speech in each clip.
        per_language: the same for each language.
        confusion_matrix: counts; rows are what was spoken, columns what was heard.
        reliability: how sure it was, and how often right.
        by_duration: on the first seconds of speech; what has less is heard whole. All clips are in each.
        by_source: on the clips of each source.
        by_sex: on the clips of speakers whose sex is known.
        rejected: share of the clips that it would call unknown.
        accuracy_of_accepted: share of right answers among the others.
        latency_ms: from file to answer, of ten seconds of speech, on one thread.
        comparison: with the champion of that moment; None if there was none.
    """

    run_id: str
    languages: list[str]
    clips_without_speech: int
    scores: Scores
    per_language: dict[str, LanguageScores]
    confusion_matrix: list[list[int]]
    reliability: list[Bin]
    by_duration: dict[str, Scores]
    by_source: dict[str, Scores]
    by_sex: dict[str, Scores]
    rejected: float
    accuracy_of_accepted: float
    latency_ms: float
    comparison: Comparison | None


def evaluate(store: Store, run_id: str) -> Evaluation:
    """Score a run's model on the test clips of its languages, and store the result with the run.

    Raises:
        LangaudioError: the run has no model, or there are no test clips with speech.
        Unavailable: the bucket or MLflow does not answer.
    """
    champion = registry.aliased(registry.CHAMPION)
    models = {run_id: Model(registry.model_folder(run_id) / FILE)}
    if champion is not None and champion.run_id not in models:
        models[champion.run_id] = Model(registry.model_folder(champion.run_id) / FILE)
    model = models[run_id]
    clips, without_speech, took_ms = _ask(store, models, run_id)
    found = answers(clips, run_id, model.languages, model.languages)
    accepted = [clip for clip in clips if clip.accepted[run_id]]
    evaluation = Evaluation(
        run_id=run_id,
        languages=model.languages,
        clips_without_speech=without_speech,
        scores=found.scores(),
        per_language=dict(zip(model.languages, found.per_language(), strict=True)),
        confusion_matrix=found.confusion_matrix().tolist(),
        reliability=found.reliability(),
        by_duration={
            heard: answers(clips, run_id, model.languages, model.languages, heard).scores()
            for heard in (*(f"{seconds:g} s" for seconds in DURATIONS_S), ALL)
        },
        by_source=_by(clips, run_id, model, lambda clip: clip.source),
        by_sex=_by(clips, run_id, model, lambda clip: clip.sex),
        rejected=1 - len(accepted) / len(clips),
        accuracy_of_accepted=(
            answers(accepted, run_id, model.languages, model.languages).scores().accuracy.value
            if accepted
            else 0.0
        ),
        latency_ms=took_ms,
        comparison=_compared(clips, run_id, models, champion) if champion else None,
    )
    _store(evaluation)
    return evaluation


def from_json(stored: bytes) -> Evaluation:
    """Read what was stored of an evaluation.

    Raises:
        ValueError: another version of langaudio wrote it, in another form.
    """
    from pydantic import TypeAdapter

    return TypeAdapter(Evaluation).validate_json(stored)


def _ask(store: Store, models: dict[str, Model], run_id: str) -> tuple[list[TestClip], int, float]:
    """Return the clips with what the models say, how many have no speech, and how long an answer takes."""
    from langaudio.train import splits
    from langaudio.train.data import held_out_speech

    languages = models[run_id].languages
    known = [clip for clip in splits.read(store, languages) if clip.split == "test"]
    clips, took_ms = [], 0.0
    for clip, segments in held_out_speech(store, known):
        if segments:
            took_ms = took_ms or latency_ms(models[run_id], segments)
            said, accepted = hear(models, segments)
            clips.append(
                TestClip(clip.language, clip.speaker_id, clip.source, clip.speaker_sex, said, accepted)
            )
    if not clips:
        raise LangaudioError(
            f"There are no test clips with speech in {', '.join(languages)}: crawl clips of more speakers "
            "first."
        )
    return clips, len(known) - len(clips), took_ms


def _by(
    clips: Sequence[TestClip], name: str, model: Model, group: Callable[[TestClip], str | None]
) -> dict[str, Scores]:
    groups: dict[str, list[TestClip]] = {}
    for clip in clips:
        if of := group(clip):
            groups.setdefault(of, []).append(clip)
    return {
        of: answers(members, name, model.languages, model.languages).scores()
        for of, members in sorted(groups.items())
    }


def _compared(
    clips: Sequence[TestClip], run_id: str, models: dict[str, Model], champion: registry.Version
) -> Comparison:
    theirs = models[champion.run_id].languages
    shared = [code for code in models[run_id].languages if code in theirs]
    asked = [clip for clip in clips if clip.language in shared]
    comparison = Comparison(champion.number, champion.run_id, theirs, shared)
    if not asked:
        return comparison
    challenger = answers(asked, run_id, models[run_id].languages, shared)
    reigning = answers(asked, champion.run_id, theirs, shared)
    gains = challenger.recall_gains(reigning)
    return replace(
        comparison,
        challenger=challenger.scores(),
        champion=reigning.scores(),
        macro_f1_gain=challenger.macro_f1_gain(reigning),
        recall_gains=dict(zip(shared, gains, strict=True)),
    )


def _store(evaluation: Evaluation) -> None:
    from pydantic import TypeAdapter

    run_id, languages, scores = evaluation.run_id, evaluation.languages, evaluation.scores
    log.info(
        "run %s: macro-F1 %s, accuracy %s, C_avg %s, calibration error %s on %d test clips of %d speakers; "
        "recall: %s",
        run_id, scores.macro_f1, scores.accuracy, scores.c_avg, scores.calibration_error, scores.clips,
        scores.speakers,
        ", ".join(f"{code} {evaluation.per_language[code].recall.value:.2f}" for code in languages),
    )  # fmt: skip
    metrics = {f"test_{name}": getattr(scores, name).value for name in _SCORES}
    metrics |= {"test_clips": scores.clips, "test_rejected": evaluation.rejected}
    metrics |= {"latency_ms": evaluation.latency_ms}
    for code, one in evaluation.per_language.items():
        metrics |= {f"test_{name}_{code}": getattr(one, name).value for name in ("precision", "recall", "f1")}
    registry.log_metrics(run_id, metrics)
    curves = {name: registry.curve(run_id, name) for name in CURVES}
    pictures = {
        "confusion_matrix.png": figures.confusion_matrix(evaluation.confusion_matrix, languages),
        "reliability.png": figures.reliability(evaluation.reliability, scores.calibration_error),
        "training_curves.png": figures.training_curves(curves),
    }
    for name, picture in pictures.items():
        registry.log_file(run_id, name, picture)
    registry.log_file(run_id, EVALUATION, TypeAdapter(Evaluation).dump_json(evaluation, indent=1) + b"\n")


_SCORES = ("accuracy", "macro_f1", "c_avg", "calibration_error")
