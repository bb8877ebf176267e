"""What a recipe does to one recording, to be seen and heard: a page, and its pictures as PNGs.

Each transform is shown by itself, and then some copies: just those that the augment stage makes of this
recording's first segment.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from dataclasses import replace
from importlib import resources
from pathlib import Path

import jinja2
import numpy as np

from langaudio import audio, figures
from langaudio.augment import TRANSFORMS, Transform, load
from langaudio.augment.compose import Combination
from langaudio.augment.transform import Augmenter
from langaudio.crawl.clips import content_id
from langaudio.figures import Version

PAGE = "index.html"
_COPIES = 3


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
    samples = figures.read_clip(file)
    begin_s, end_s = next(iter(audio.speech_segments(audio.speech_regions(samples))), (0.0, 10.0))
    shown = samples[round(begin_s * audio.SAMPLE_RATE) : round(end_s * audio.SAMPLE_RATE)]
    inside = [replace(each, p=1.0) for each in _transforms(loaded.transform)]
    kinds = {type(each) for each in inside}
    outside = [kind(p=1.0) for kind in TRANSFORMS.values() if kind not in kinds]
    versions = figures.versions_of(shown, audio.SAMPLE_RATE, [*inside, *outside], seed)
    clip_id = content_id(file.read_bytes())
    for copy in range(1, _COPIES + 1):
        rendered, steps = loaded.copy(shown, audio.SAMPLE_RATE, seed, clip_id, copy)
        told = "; ".join(f"{step['transform']} {figures.tell(step)}".strip() for step in steps)
        versions.append(Version(f"Copy {copy}", told or "as it was spoken", rendered))
    groups = (
        ("before", 1),
        (f"In the recipe {loaded.name}", len(inside)),
        ("Not in the recipe, with their defaults", len(outside)),
        ("Copies that the recipe makes", _COPIES),
    )
    folder.mkdir(parents=True, exist_ok=True)
    cards = []
    for number, (version, picture) in enumerate(
        zip(versions, figures.before_after(versions, audio.SAMPLE_RATE), strict=True)
    ):
        name = f"{number:02d}-{version.name.replace(' ', '-')}"
        # A gain may have brought it beyond full scale, and FLAC would clip it.
        sound = audio.to_flac(version.samples / max(1.0, np.abs(version.samples).max()), audio.SAMPLE_RATE)
        for extension, content in (("png", picture), ("flac", sound)):
            (folder / f"{name}.{extension}").write_bytes(content)
            yield folder / f"{name}.{extension}"
        cards.append(
            {
                "name": version.name if number else "As it was spoken",
                "told": version.told,
                "seconds": len(version.samples) / audio.SAMPLE_RATE,
                "picture": base64.b64encode(picture).decode(),
                "sound": base64.b64encode(sound).decode(),
            }
        )
    template = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
        resources.files("langaudio").joinpath("preview.html").read_text(encoding="utf-8")
    )
    (before, *_), *after = _grouped(cards, [number for _, number in groups])
    page = template.render(
        file=file.name,
        begin_s=begin_s,
        recipe=loaded,
        seed=seed,
        before=before,
        groups=list(zip([title for title, _ in groups[1:]], after, strict=True)),
    )
    (folder / PAGE).write_text(page, encoding="utf-8")
    yield folder / PAGE


def _transforms(augmenter: Augmenter) -> Iterator[Transform]:
    """Yield the transforms of a recipe, those within combinations as well."""
    if isinstance(augmenter, Combination):
        for each in augmenter.transforms:
            yield from _transforms(each)
    elif isinstance(augmenter, Transform):
        yield augmenter


def _grouped(cards: list[dict[str, object]], sizes: Iterable[int]) -> Iterator[list[dict[str, object]]]:
    left = iter(cards)
    for size in sizes:
        yield [next(left) for _ in range(size)]
