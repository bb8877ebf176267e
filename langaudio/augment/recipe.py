"""Recipes: which transforms make a copy, with which ranges. A recipe is a TOML file that users edit."""

from __future__ import annotations

import hashlib
import json
import tomllib
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from langaudio.augment.compose import Compose
from langaudio.augment.random_gain import RandomGain, headroom_db
from langaudio.augment.registry import from_dict
from langaudio.augment.transform import Audio, BadParameter, Step
from langaudio.errors import LangaudioError, suggest

# One more whenever a transform would give other bytes for the same draws, or draw differently.
ALGORITHM = 3

_KEYS = ("description", "transforms")
_MAX_BYTES = 2**20


@dataclass(frozen=True)
class Recipe:
    """What is done to a segment to make a copy of it.

    Attributes:
        name: of the packaged recipe, or of the file without its suffix.
        transform: all transforms, in order.
        description: for people.
    """

    name: str
    transform: Compose
    description: str = ""

    @cached_property
    def id(self) -> str:
        """12 hex digits that change with every parameter and every algorithm, and with nothing else."""
        content = {"algorithm": ALGORITHM, "transform": self.transform.to_dict()}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]

    def copy(
        self, samples: Audio, sample_rate: int, seed: int, clip_id: str, copy: int, segment: int = 0
    ) -> tuple[Audio, list[Step]]:
        """Return one augmented copy of a segment, and the steps from which `rebuild` makes it again.

        The random numbers come from ``(seed, clip_id, segment, copy)`` alone: the copy is the same on any
        worker and in any order. It never passes full scale: where a transform leaves it louder, a last
        RandomGain step takes its peak down to ±1.

        Args:
            samples: the segment, float32 within ±1; left as it is.
            sample_rate: in Hz, 8,000 to 48,000.
            seed: of the run.
            clip_id: of the clip that the segment is from.
            copy: number of the copy.
            segment: number of the segment within the clip.

        Shape:
            samples: ``(samples,)`` or ``(channels, samples)``; the copy has the same.

        Raises:
            BadAudio: the samples or their rate are not as above.
            BadParameter: the recipe does not go with this sample rate.
        """
        rng = _generator(seed, clip_id, segment, copy)
        augmented, steps = self.transform.render(samples, sample_rate, rng)
        headroom = headroom_db(augmented)
        if headroom < 0:
            drawn = {"gain_db": headroom, "wanted_gain_db": 0.0}
            augmented = RandomGain.apply(augmented, sample_rate, drawn)
            steps = [*steps, {"transform": "RandomGain", **drawn}]
        return augmented, steps


def names() -> list[str]:
    """Return the names of the recipes that come with langaudio."""
    return sorted(
        entry.name.removesuffix(".toml") for entry in _packaged().iterdir() if entry.name.endswith(".toml")
    )


def load(name_or_path: str | Path) -> Recipe:
    """Read a recipe.

    Args:
        name_or_path: a packaged recipe's name, or the path or ``s3://bucket/key`` of a file whose name ends
            in ``.toml``.

    Raises:
        LangaudioError: no such recipe, a file that cannot be read, or one that is not TOML.
        BadParameter: an unknown key, transform or parameter, or a value outside its range.

    Example:
        >>> [type(each).__name__ for each in load("default").transform.transforms][:2]
        ['PitchScale', 'TimeMask']
    """
    path = Path(name_or_path)
    if path.suffix == ".toml":
        text = _read(str(name_or_path))
    elif name_or_path in names():
        text = _packaged().joinpath(f"{name_or_path}.toml").read_text(encoding="utf-8")
    else:
        raise LangaudioError(
            f"{str(name_or_path)!r} is not a recipe{suggest(str(name_or_path), names())}; known are "
            f"{', '.join(names())}, or give the path or s3:// address of a file that ends in .toml."
        )
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise LangaudioError(f"The recipe {str(name_or_path)!r} is not TOML: {error}.") from None
    try:
        return _parse(path.stem, content)
    except BadParameter as error:
        raise BadParameter(f"The recipe {str(name_or_path)!r}: {error}") from None


def _read(place: str) -> str:
    try:
        if not place.startswith("s3://"):
            return Path(place).read_text(encoding="utf-8")
        # boto3 takes long to import, and few recipes lie there.
        from langaudio.store import store_of_bucket

        bucket, _, key = place.removeprefix("s3://").partition("/")
        return store_of_bucket(bucket).get(key, _MAX_BYTES).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LangaudioError(f"The recipe {place!r} cannot be read: {error}.") from None


def _parse(name: str, content: dict[str, Any]) -> Recipe:
    for key in content:
        if key not in _KEYS:
            raise BadParameter(f"unknown key {key!r}{suggest(key, _KEYS)}; known are {', '.join(_KEYS)}.")
    description = content.get("description", "")
    if not isinstance(description, str):
        raise BadParameter(f"description={description!r} is not a text.")
    compose = from_dict({"transform": "Compose", "transforms": content.get("transforms", [])})
    assert isinstance(compose, Compose)
    return Recipe(name, compose, description)


def _generator(seed: int, clip_id: str, segment: int, copy: int) -> np.random.Generator:
    digest = hashlib.sha256(json.dumps([int(seed), clip_id, int(segment), int(copy)]).encode()).digest()
    return np.random.default_rng(np.random.SeedSequence(int.from_bytes(digest, "big")))


def _packaged() -> resources.abc.Traversable:
    return resources.files("langaudio.augment").joinpath("recipes")
