"""The model card of a version (Mitchell et al., "Model Cards for Model Reporting", 2019), in Markdown.

Its front matter is that of the Hugging Face Hub, so that a model's folder can be published with it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from langaudio import catalog, languages, registry
from langaudio.evaluate import Evaluation, Scores
from langaudio.registry import Version
from langaudio.serve import Model
from langaudio.serve.model import FILE
from langaudio.settings import settings
from langaudio.store import Store

CARD = "model_card.md"
"""The artifact of a run that holds the card."""

_COLUMNS = ("clip_id", "speaker_id", "speech_s", "licence", "permission", "source", "split")
_FEW_SPEAKERS = 5
_WEAK_RECALL = 0.5


@dataclass
class _Learned:
    """What a model has learned from in one language, or was chosen by."""

    clips: int = 0
    speech_s: float = 0.0
    speakers: set[str] = field(default_factory=set)


@dataclass
class _Data:
    languages: dict[str, _Learned]
    licences: Counter[str]
    permissions: Counter[str]
    sources: Counter[str]
    forgotten: int


def model_card(store: Store, version: Version, evaluation: Evaluation, decision: str) -> str:
    """Return the card.

    Args:
        store: the corpus, which knows the clips that were learned from.
        version: whose card it is.
        evaluation: what it is worth.
        decision: what promotion said of it.
    """
    learned = json.loads(registry.read_file(version.run_id, registry.CLIPS) or b"[]")
    data = _data(store, evaluation.languages, set(learned))
    made = registry.parameters(version.run_id)
    model = Model(registry.model_folder(version.run_id) / FILE)
    sections = (
        _front_matter(version, evaluation),
        _summary(version, evaluation, model, decision),
        _use(evaluation),
        _data_section(data),
        _scores(evaluation),
        _limits(evaluation, model, data),
        _making(version, made),
    )
    return "\n\n".join("\n".join(section) for section in sections) + "\n"


def _data(store: Store, codes: Sequence[str], learned: Collection[str]) -> _Data:
    data = _Data({code: _Learned() for code in codes}, Counter(), Counter(), Counter(), 0)
    found = 0
    for code in codes:
        for row in catalog.read(store, code, _COLUMNS).to_pylist():
            if row["clip_id"] not in learned:
                continue
            found += 1
            one = data.languages[code]
            one.clips += 1
            one.speech_s += row["speech_s"]
            if row["speaker_id"]:
                one.speakers.add(row["speaker_id"])
            data.licences[row["licence"] or "not stated"] += 1
            data.sources[row["source"]] += 1
            if row["permission"]:
                data.permissions[row["permission"]] += 1
    data.forgotten = len(learned) - found
    return data


def _front_matter(version: Version, evaluation: Evaluation) -> Iterator[str]:
    scores = evaluation.scores
    metrics = {
        "accuracy": scores.accuracy.value,
        "f1": scores.macro_f1.value,
        "c_avg": scores.c_avg.value,
        "expected_calibration_error": scores.calibration_error.value,
    }
    named = settings().bucket
    yield "---"
    # JSON is YAML, and quotes what has to be quoted: `no` is a language, and no truth value.
    yield f"language: {json.dumps(evaluation.languages)}"
    yield "library_name: onnx"
    yield "pipeline_tag: audio-classification"
    yield 'tags: ["spoken-language-identification", "langaudio"]'
    yield 'metrics: ["accuracy", "f1"]'
    yield "model-index:"
    yield f"- name: {json.dumps(f'{named} {version.number}')}"
    yield "  results:"
    yield '  - task: {type: "audio-classification", name: "Spoken language identification"}'
    yield f"    dataset: {{type: {json.dumps(named)}, name: {json.dumps(named)}, split: test}}"
    yield "    metrics:"
    for name, value in metrics.items():
        yield f"    - {{type: {name}, value: {value:.4f}}}"
    yield "---"


def _summary(version: Version, evaluation: Evaluation, model: Model, decision: str) -> Iterator[str]:
    scores = evaluation.scores
    yield f"# {settings().bucket}, version {version.number}"
    yield ""
    yield f"Names the language of recorded speech: {_named(evaluation.languages)}."
    yield ""
    yield (
        f"On {scores.clips} test clips of {scores.speakers} speakers that it has never heard its macro-F1 is "
        f"{scores.macro_f1} and its calibration error {scores.calibration_error}. It answers on ten seconds "
        f"of speech in {evaluation.latency_ms:.0f} ms on one thread of the machine that evaluated it. "
        f"{decision}"
    )


def _use(evaluation: Evaluation) -> Iterator[str]:
    yield "## Intended use"
    yield ""
    yield (
        "Sorting recordings of speech by language, and choosing what listens to them next. The answer is a "
        "probability for each language; `unknown` where the evidence is weak or the language is another; "
        "`no speech` for silence, noise and music."
    )
    yield ""
    yield (
        "It is not made to tell who speaks, where somebody comes from, or how well somebody speaks a "
        "language, and must decide nothing about a person."
    )


def _data_section(data: _Data) -> Iterator[str]:
    yield "## Data"
    yield ""
    yield "What it has learned from, or was chosen by; the test clips are others, of other speakers."
    yield ""
    yield "| Language | Clips | Speakers | Hours of speech |"
    yield "|---|---:|---:|---:|"
    for code, one in data.languages.items():
        yield f"| {_named([code])} | {one.clips} | {len(one.speakers)} | {one.speech_s / 3600:.2f} |"
    for title, counts in (
        ("Sources", data.sources),
        ("Licences", data.licences),
        ("Permissions", data.permissions),
    ):
        if counts:
            listed = "; ".join(f"{name}: {count} clips" for name, count in counts.most_common())
            yield ""
            yield f"{title}: {listed}."
    if data.forgotten:
        yield ""
        yield f"{data.forgotten} clips that it has learned from are in the corpus no more."


def _scores(evaluation: Evaluation) -> Iterator[str]:
    yield "## Scores"
    yield ""
    yield "On the test clips, with 95 % intervals by bootstrap over speakers; C_avg is that of NIST LRE 2009."
    yield ""
    yield "| Heard | Clips | Accuracy | Macro-F1 | C_avg | Calibration error |"
    yield "|---|---:|---|---|---|---|"
    groups: list[tuple[str, Mapping[str, Scores]]] = [
        ("first {}", {name: one for name, one in evaluation.by_duration.items() if name != "all"}),
        ("{}", {"everything": evaluation.scores}),
        ("of {}", evaluation.by_source if len(evaluation.by_source) > 1 else {}),
        ("spoken by {}", evaluation.by_sex),
    ]
    for title, group in groups:
        for name, one in group.items():
            cells = (one.accuracy, one.macro_f1, one.c_avg, one.calibration_error)
            yield f"| {title.format(name)} | {one.clips} | {' | '.join(map(str, cells))} |"
    yield ""
    yield "| Language | Test clips | Precision | Recall |"
    yield "|---|---:|---|---|"
    for code, scored in evaluation.per_language.items():
        yield f"| {_named([code])} | {scored.support} | {scored.precision} | {scored.recall} |"


def _limits(evaluation: Evaluation, model: Model, data: _Data) -> Iterator[str]:
    calibration = model.calibration
    weak = [
        code
        for code, one in evaluation.per_language.items()
        if one.support and one.recall.value < _WEAK_RECALL
    ]
    few = [code for code, one in data.languages.items() if len(one.speakers) < _FEW_SPEAKERS]
    shortest = evaluation.by_duration["1 s"].macro_f1.value
    yield "## Limits"
    yield ""
    yield f"- Of one second of speech its macro-F1 is {shortest:.2f}. Less than a second gets no answer."
    if weak:
        yield f"- It misses more than half of the clips in {_named(weak)}."
    if few:
        yield f"- It has heard fewer than {_FEW_SPEAKERS} speakers of {_named(few)}."
    sources = ", ".join(sorted(data.sources)) or "none known"
    yield f"- Recordings unlike its sources ({sources}) were not tried."
    if not evaluation.by_sex:
        yield "- Whether it serves women and men alike is not known: the corpus does not tell."
    yield (
        f"- `unknown` is said where {calibration.score.replace('_', ' ')} is below "
        f"{calibration.threshold:.3f}, which holds for {calibration.false_rejects:.1%} of the dev clips and "
        f"{evaluation.rejected:.1%} of the test clips. Of the others {evaluation.accuracy_of_accepted:.1%} "
        "are right. A language that sounds "
        "like one of its own may pass for it."
        if calibration.threshold is not None
        else "- It never says `unknown`."
    )
    yield "- Singing was not tried."


def _making(version: Version, made: Mapping[str, str]) -> Iterator[str]:
    rows: dict[str, Any] = {
        "MLflow run": version.run_id,
        "augmentation recipe": made.get("recipe_id"),
        "corpus fingerprint": made.get(registry.FINGERPRINT),
        "epochs": made.get("epochs"),
        "seed": made.get("seed"),
        "langaudio": made.get("langaudio"),
        "git revision": made.get("git_revision"),
    }
    yield "## How it was made"
    yield ""
    yield "| | |"
    yield "|---|---|"
    for name, value in rows.items():
        if value is not None:
            yield f"| {name} | `{value}` |"
    yield ""
    yield (
        f"`model/{FILE}` is what is served: front-end, network and calibration in one graph. "
        "`model/weights.safetensors` has the weights. Nothing has to be unpickled."
    )


def _named(codes: Sequence[str]) -> str:
    return ", ".join(f"{languages.get(code).name} ({code})" for code in codes)
