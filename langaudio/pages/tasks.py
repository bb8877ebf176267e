"""What child processes do for the pages. Everything heavy is imported when it is called."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langaudio.errors import LangaudioError
from langaudio.store import default_store

if TYPE_CHECKING:
    from langaudio.pages.clips import Clip, ClipPage, RefusalPage, Sound, Wanted
    from langaudio.pages.corpus import Learned, Objects


def learned(found: Mapping[str, Objects]) -> dict[str, Learned]:
    """Return what the objects of some languages say."""
    from langaudio.pages.reading import learned

    return learned(found)


def find_clips(language: str, wanted: Wanted, page: int, per_page: int) -> ClipPage:
    """Return a page of the clips that are wanted."""
    from langaudio.pages import finding

    return finding.find(default_store(), language, wanted, page, per_page)


def sources(language: str) -> list[str]:
    """Return the sources that a language's clips are from."""
    from langaudio.pages import finding

    return finding.sources(default_store(), language)


def clip(language: str, clip_id: str) -> Clip:
    """Return a clip."""
    from langaudio.pages import finding

    return finding.get(default_store(), language, clip_id)


def refused_clips(language: str, reason: str, page: int, per_page: int) -> RefusalPage:
    """Return a page of a language's quarantine."""
    from langaudio.pages import finding

    return finding.refused(default_store(), language, reason, page, per_page)


def sound(language: str, clip_id: str) -> Sound:
    """Return the file of a clip, or of one in quarantine."""
    from langaudio.pages import finding

    return finding.sound(default_store(), language, clip_id)


def registered() -> dict[str, Any]:
    """Return the versions and aliases of the registry."""
    from langaudio import registry

    aliases = {alias: registry.aliased(alias) for alias in (registry.CHAMPION, registry.CHALLENGER)}
    return {
        "aliases": {alias: one.number for alias, one in aliases.items() if one},
        "versions": [
            {"number": one.number, "run_id": one.run_id, "created_ms": one.created_ms, "tags": dict(one.tags)}
            for one in registry.versions()
        ],
    }


def parameters(run_id: str) -> dict[str, str]:
    """Return the parameters of a run."""
    from langaudio import registry
    from langaudio.pages.models import chosen_parameters

    return chosen_parameters(registry.parameters(run_id))


def curves(run_id: str) -> dict[str, list[float]]:
    """Return the training curves of a run."""
    from langaudio import registry
    from langaudio.pages.models import CURVES

    return {name: registry.curve(run_id, name) for name in CURVES}


def run_file(run_id: str, name: str) -> bytes | None:
    """Return an artifact of a run."""
    from langaudio import registry

    return registry.read_file(run_id, name)


def crown(number: int | None) -> str:
    """Make a version champion; the one before the present champion if None."""
    from langaudio.promote import rollback

    decision = rollback(number)
    return f"Version {decision.version} is the champion now. {decision.reason}"


def clip_picture(key: str) -> bytes:
    """Draw waveform and log-mel of a recording in the bucket."""
    from langaudio import audio, figures

    samples = audio.decode(default_store().get(key), max_s=_LONGEST_PICTURE_S).samples
    (picture,) = figures.before_after([figures.Version("clip", "", samples)], audio.SAMPLE_RATE)
    return picture


_LONGEST_PICTURE_S = 1800.0


def identified(path: str, among: list[str]) -> dict[str, Any]:
    """Name the language of an uploaded file, and what is spoken when if it is long."""
    from dataclasses import asdict

    from langaudio.serve import identify, timeline

    file = Path(path)
    try:
        answer = identify(file, among=among)
        spans = timeline(file, among=among)
    except LangaudioError as error:
        # The path is ours, and nothing to the person who sent the file.
        raise type(error)(str(error).replace(path, "The recording")) from None
    return {"answer": asdict(answer) | {"language": answer.language}, "timeline": asdict(spans)}


def augmented(key: str, clip_id: str, recipe: str, seed: int) -> dict[str, Any]:
    """Show what a recipe does to a clip of the bucket; see ``langaudio.preview.Shown``."""
    from dataclasses import asdict

    from langaudio import audio
    from langaudio.augment import load
    from langaudio.preview import show

    samples = audio.decode(default_store().get(key), max_s=_LONGEST_PICTURE_S).samples
    return asdict(show(samples, clip_id, load(recipe), seed))
