"""What a recipe does to one recording, to be seen and heard: a page, and its pictures as PNGs.

Each transform is shown by itself, and then some copies: just those that the augment stage makes of this
recording's first segment.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

import jinja2
import numpy as np

from langaudio import audio, figures
from langaudio.augment import TRANSFORMS, Transform, load
from langaudio.augment.compose import Combination
from langaudio.augment.recipe import Recipe
from langaudio.augment.transform import Augmenter
from langaudio.crawl.clips import content_id
from langaudio.figures import Version

PAGE = "index.html"
_COPIES = 3


@dataclass(frozen=True)
class Card:
    """One version of a recording.

    Attributes:
        group: 0 for the recording as it was spoken; else the number of one of ``Shown.groups``, from 1.
        name: what was done.
        told: with which values, in words.
        seconds: its duration.
        picture: waveform and log-mel, a PNG.
        sound: FLAC.
    """

    group: int
    name: str
    told: str
    seconds: float
    picture: bytes
    sound: bytes


@dataclass(frozen=True)
class Shown:
    """What a recipe does to a recording; ``groups`` are the titles of what comes after it."""

    recipe: str
    recipe_id: str
    description: str
    seed: int
    begin_s: float
    groups: list[str]
    cards: list[Card]


def preview(file: Path, folder: Path, *, recipe: str = "default", seed: int = 0) -> Iterator[Path]:
    """Write the page, the pictures and the sounds, and yield each file as it is written, the page last.

    Args:
        file: a recording of any common format; its first segment of speech is shown, or its first 10 s if
            nobody speaks.
        folder: where to; made if it is not there.
        recipe: name of a packaged recipe, or path or s3:// address of one.
        seed: of all random draws.

    Raises:
        LangaudioError: the file cannot be read or decoded, or the recipe is wrong.
    """
    loaded = load(recipe)
    shown = show(figures.read_clip(file), content_id(file.read_bytes()), loaded, seed)
    folder.mkdir(parents=True, exist_ok=True)
    for number, card in enumerate(shown.cards):
        name = f"{number:02d}-{card.name.replace(' ', '-') if number else 'before'}"
        for extension, content in (("png", card.picture), ("flac", card.sound)):
            (folder / f"{name}.{extension}").write_bytes(content)
            yield folder / f"{name}.{extension}"
    (folder / PAGE).write_text(_page(file, shown), encoding="utf-8")
    yield folder / PAGE


def show(samples: np.ndarray, clip_id: str, recipe: Recipe, seed: int) -> Shown:
    """Return what a recipe does to a recording: each transform by itself, and some copies.

    Args:
        samples: the recording, mono at ``audio.SAMPLE_RATE``, float32, shape ``(samples,)``.
        clip_id: its id, of which the copies' random draws come.
        recipe: the recipe.
        seed: of all random draws.
    """
    begin_s, end_s = next(iter(audio.speech_segments(audio.speech_regions(samples))), (0.0, 10.0))
    spoken = samples[round(begin_s * audio.SAMPLE_RATE) : round(end_s * audio.SAMPLE_RATE)]
    inside = [replace(each, p=1.0) for each in _transforms(recipe.transform)]
    kinds = {type(each) for each in inside}
    outside = [kind(p=1.0) for kind in TRANSFORMS.values() if kind not in kinds]
    versions = figures.versions_of(spoken, audio.SAMPLE_RATE, [*inside, *outside], seed)
    for copy in range(1, _COPIES + 1):
        rendered, steps = recipe.copy(spoken, audio.SAMPLE_RATE, seed, clip_id, copy)
        told = "; ".join(f"{step['transform']} {figures.tell(step)}".strip() for step in steps)
        versions.append(Version(f"Copy {copy}", told or "as it was spoken", rendered))
    groups = [0] + [1] * len(inside) + [2] * len(outside) + [3] * _COPIES
    pictures = figures.before_after(versions, audio.SAMPLE_RATE)
    cards = [
        Card(
            group,
            version.name if group else "As it was spoken",
            version.told,
            len(version.samples) / audio.SAMPLE_RATE,
            picture,
            # A gain may have brought it beyond full scale, and FLAC would clip it.
            audio.to_flac(version.samples / max(1.0, np.abs(version.samples).max()), audio.SAMPLE_RATE),
        )
        for group, version, picture in zip(groups, versions, pictures, strict=True)
    ]
    titles = [
        f"In the recipe {recipe.name}",
        "Not in the recipe, with their defaults",
        "Copies that the recipe makes",
    ]
    return Shown(recipe.name, recipe.id, recipe.description, seed, begin_s, titles, cards)


def _page(file: Path, shown: Shown) -> str:
    template = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
        resources.files("langaudio").joinpath("preview.html").read_text(encoding="utf-8")
    )
    (before, *_), *after = [
        [_embedded(card) for card in shown.cards if card.group == group]
        for group in range(len(shown.groups) + 1)
    ]
    return template.render(
        file=file.name, shown=shown, before=before, groups=list(zip(shown.groups, after, strict=True))
    )


def _embedded(card: Card) -> dict[str, object]:
    return {
        "name": card.name,
        "told": card.told,
        "seconds": card.seconds,
        "picture": base64.b64encode(card.picture).decode(),
        "sound": base64.b64encode(card.sound).decode(),
    }


def _transforms(augmenter: Augmenter) -> Iterator[Transform]:
    """Yield the transforms of a recipe, those within combinations as well."""
    if isinstance(augmenter, Combination):
        for each in augmenter.transforms:
            yield from _transforms(each)
    elif isinstance(augmenter, Transform):
        yield augmenter
