"""The evaluation stage: what a run's network makes of the test clips, and what the champion makes of them.

Test speakers were in no training and chose no epoch. A clip gets one answer, from all its speech. Clips
without speech are counted and not scored: what they call for is "no speech", and no language.

The comparison with the champion is made on equal terms: on the clips of the languages that both know, and
each network chooses among these languages only. What a network knows beyond them neither helps nor hurts.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from langaudio import figures, registry
from langaudio.errors import LangaudioError
from langaudio.store import Store

log = logging.getLogger(__name__)

EVALUATION = "evaluation.json"
"""The artifact of a run that keeps what ``evaluate`` returns."""

CURVES = ("loss", "dev_loss", "dev_macro_f1")


@dataclass(frozen=True)
class _Answer:
    """Log-probabilities for a clip, by network."""

    language: str
    log_probabilities: dict[str, np.ndarray]


def evaluate(store: Store, run_id: str) -> dict[str, Any]:
    """Score a run's network on the test clips of its languages, and store the result with the run.

    Returns:
        What ``evaluation.json`` holds: ``accuracy``, ``macro_f1``, ``per_language`` (precision, recall,
        f1, support), ``confusion_matrix`` (rows are what was spoken, columns what was heard, both in the
        order of ``languages``), and ``comparison`` with the champion of this moment, or None.

    Raises:
        LangaudioError: the run has no network, or there are no test clips with speech.
        Unavailable: the bucket or MLflow does not answer.
    """
    from langaudio.train.artifact import load_model

    champion = registry.aliased(registry.CHAMPION)
    networks = {run_id: load_model(registry.model_folder(run_id))}
    if champion is not None:
        networks.setdefault(champion.run_id, load_model(registry.model_folder(champion.run_id)))
    languages = networks[run_id].languages
    answers, without_speech = _ask(store, networks, languages)
    result: dict[str, Any] = {
        "run_id": run_id,
        "languages": languages,
        "clips_without_speech": without_speech,
        **_scores(answers, run_id, languages, languages),
        "comparison": None,
    }
    if champion is not None:
        shared = [code for code in languages if code in networks[champion.run_id].languages]
        result["comparison"] = {
            "champion_version": champion.number,
            "champion_run_id": champion.run_id,
            "champion_languages": networks[champion.run_id].languages,
            "languages": shared,
            "challenger": _scores(answers, run_id, languages, shared),
            "champion": _scores(answers, champion.run_id, networks[champion.run_id].languages, shared),
        }
    _store(run_id, result)
    return result


def scores(spoken: Sequence[int], heard: Sequence[int], languages: Sequence[str]) -> dict[str, Any]:
    """Return the scores of answers, both given as positions in ``languages``.

    A language without clips has no recall to speak of and is left out of macro-F1.

    >>> result = scores([0, 0, 1, 1], [0, 1, 1, 1], ["fr", "oc"])
    >>> result["accuracy"], result["confusion_matrix"], round(result["macro_f1"], 3)
    (0.75, [[1, 1], [0, 2]], 0.733)
    """
    matrix = np.zeros((len(languages), len(languages)), int)
    np.add.at(matrix, (np.asarray(spoken, int), np.asarray(heard, int)), 1)
    right, support, answered = matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0)
    precision = right / np.maximum(answered, 1)
    recall = right / np.maximum(support, 1)
    f1 = 2 * right / np.maximum(support + answered, 1)
    return {
        "clips": len(spoken),
        "accuracy": float(right.sum() / max(1, len(spoken))),
        "macro_f1": float(f1[support > 0].mean()) if support.any() else 0.0,
        "per_language": {
            code: {
                "precision": float(precision[i]),
                "recall": float(recall[i]),
                "f1": float(f1[i]),
                "support": int(support[i]),
            }
            for i, code in enumerate(languages)
        },
        "confusion_matrix": matrix.tolist(),
    }


def _ask(store: Store, networks: Mapping[str, Any], languages: Sequence[str]) -> tuple[list[_Answer], int]:
    """Return what every network says of every test clip, and how many clips have no speech."""
    import torch

    from langaudio.train import splits
    from langaudio.train.data import held_out_speech
    from langaudio.train.network import clip_log_probabilities

    clips = [clip for clip in splits.read(store, languages) if clip.split == "test"]
    answers: list[_Answer] = []
    with torch.inference_mode():
        for clip, segments in held_out_speech(store, clips):
            if segments:
                waveforms = [torch.from_numpy(segment) for segment in segments]
                said = {
                    name: clip_log_probabilities(network, waveforms).numpy()
                    for name, network in networks.items()
                }
                answers.append(_Answer(clip.language, said))
    if not answers:
        raise LangaudioError(
            f"There are no test clips with speech in {', '.join(languages)}: crawl clips of more speakers "
            "first."
        )
    return answers, len(clips) - len(answers)


def _scores(
    answers: Sequence[_Answer], name: str, known: Sequence[str], among: Sequence[str]
) -> dict[str, Any]:
    """Score one network on the clips of some languages, with only these languages to choose from."""
    columns = [known.index(code) for code in among]
    asked = [answer for answer in answers if answer.language in among]
    spoken = [among.index(answer.language) for answer in asked]
    heard = [int(np.argmax(answer.log_probabilities[name][columns])) for answer in asked]
    return scores(spoken, heard, among)


def _store(run_id: str, result: Mapping[str, Any]) -> None:
    languages = result["languages"]
    log.info(
        "run %s: macro-F1 %.3f, accuracy %.3f on %d test clips; recall: %s",
        run_id, result["macro_f1"], result["accuracy"], result["clips"],
        ", ".join(f"{code} {result['per_language'][code]['recall']:.2f}" for code in languages),
    )  # fmt: skip
    per_language = {
        f"test_{name}_{code}": value
        for code, measured in result["per_language"].items()
        for name, value in measured.items()
    }
    overall = {f"test_{name}": float(result[name]) for name in ("accuracy", "macro_f1", "clips")}
    registry.log_metrics(run_id, overall | per_language)
    curves = {name: registry.curve(run_id, name) for name in CURVES}
    registry.log_file(
        run_id, "confusion_matrix.png", figures.confusion_matrix(result["confusion_matrix"], languages)
    )
    registry.log_file(run_id, "training_curves.png", figures.training_curves(curves))
    registry.log_file(run_id, EVALUATION, (json.dumps(result, indent=2) + "\n").encode())
