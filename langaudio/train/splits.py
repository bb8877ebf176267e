"""Which clips are on which side of the split, and the refusal to train if a result could not be believed.

The side is a function of the speaker (``langaudio.speakers``), so these checks guard against a catalog
that was made or changed otherwise. One speaker may speak two languages: that is no leak, because both are
on the same side.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from langaudio import catalog
from langaudio.audio.fingerprint import matches
from langaudio.augment.shards import read_index
from langaudio.errors import LangaudioError
from langaudio.speakers import Split
from langaudio.store import Store

_SIDES: tuple[Split, ...] = ("train", "dev", "test")
_COLUMNS = ("clip_id", "speaker_id", "split", "format", "source", "speaker_sex", "fingerprint")


@dataclass(frozen=True)
class Clip:
    """What training and evaluation need to know of a clip."""

    clip_id: str
    language: str
    speaker_id: str | None
    split: Split
    format: str = "mp3"
    source: str = ""
    speaker_sex: str | None = None
    fingerprint: bytes | None = None


def read(store: Store, languages: Sequence[str]) -> list[Clip]:
    """Return the clips of the languages that the catalog has, sorted by language and id.

    Clips that are gone from their source count; clips in quarantine do not.
    """
    return [
        Clip(language=language, **row)
        for language in sorted(set(languages))
        for row in catalog.read(store, language, _COLUMNS).to_pylist()
    ]


def verify(clips: Iterable[Clip], languages: Sequence[str]) -> None:
    """Check that a network can be trained on these clips and that its score will mean something.

    Raises:
        LangaudioError: fewer than two languages; a clip, a recording or a speaker on two sides; a clip in
            two languages; a language without training clips, or without a speaker in dev or test.
    """
    if len(set(languages)) < 2:
        raise LangaudioError(
            f"Training needs at least two languages to tell apart, and was given "
            f"{', '.join(sorted(set(languages))) or 'none'}: name more."
        )
    clips = list(clips)
    _verify_apart(clips)
    _verify_recordings_apart(clips)
    lacking = [sentence for code in sorted(set(languages)) if (sentence := _lacking(code, clips))]
    if lacking:
        raise LangaudioError(
            f"{'; '.join(lacking)}: crawl clips of more speakers, or train without "
            f"{'this language' if len(lacking) == 1 else 'these languages'}."
        )


def corpus_fingerprint(store: Store, languages: Sequence[str], recipe_id: str) -> str:
    """Return 32 hex digits that change whenever training or evaluation would see other audio.

    They stand for the clips with their languages and sides, the recipe, and the copies it has made.
    """
    digest = hashlib.sha256(f"recipe {recipe_id}\n".encode())
    clips = read(store, languages)
    training = {clip.clip_id for clip in clips if clip.split == "train"}
    for clip in clips:
        digest.update(f"clip {clip.language} {clip.clip_id} {clip.split}\n".encode())
    for language in sorted(set(languages)):
        index = read_index(store, recipe_id, language)
        for name in zip(
            *(index[column].to_pylist() for column in ("clip_id", "segment", "copy")), strict=True
        ):
            if name[0] in training:
                digest.update(f"copy {language} {name}\n".encode())
    return digest.hexdigest()[:32]


def _verify_apart(clips: list[Clip]) -> None:
    sides: dict[str, set[str]] = defaultdict(set)
    places: dict[str, set[str]] = defaultdict(set)
    for clip in clips:
        places[clip.clip_id].add(f"{clip.split} of {clip.language}")
        if clip.speaker_id is not None:
            sides[clip.speaker_id].add(clip.split)
    doubled = {clip_id: found for clip_id, found in sorted(places.items()) if len(found) > 1}
    if doubled:
        clip_id, found = next(iter(doubled.items()))
        raise LangaudioError(
            f"{len(doubled)} clips have two places, for example {clip_id} in {' and '.join(sorted(found))}: "
            "decide what each is, and put a reason into quarantine for the others."
        )
    straddling = {speaker: found for speaker, found in sorted(sides.items()) if len(found) > 1}
    if straddling:
        speaker, found = next(iter(straddling.items()))
        raise LangaudioError(
            f"{len(straddling)} speakers are on two sides of the split, for example {speaker} in "
            f"{' and '.join(sorted(found))}: this version's `upload` did not write this "
            "catalog; rebuild it."
        )


def _verify_recordings_apart(clips: Sequence[Clip]) -> None:
    """Refuse recordings that are on two sides as files of their own: encoded twice, perhaps cut."""
    training = [clip for clip in clips if clip.split == "train" and clip.fingerprint]
    scored = [clip for clip in clips if clip.split != "train" and clip.fingerprint]
    found = matches(
        [clip.fingerprint or b"" for clip in scored], [clip.fingerprint or b"" for clip in training]
    )
    twice = [(scored[one], training[other]) for one, other in found]
    if twice:
        one, other = twice[0]
        raise LangaudioError(
            f"{len(twice)} recordings are on two sides of the split, for example {one.clip_id} in "
            f"{one.split} of {one.language} and {other.clip_id} in train of {other.language}, which sound "
            f"the same: remove one of the two by `langaudio forget --clip {other.clip_id}`."
        )


def _lacking(language: str, clips: list[Clip]) -> str | None:
    own = [clip for clip in clips if clip.language == language]
    speakers = {side: {clip.speaker_id for clip in own if clip.split == side} for side in _SIDES}
    missing = [side for side in _SIDES if not speakers[side]]
    if not missing:
        return None
    number = len({clip.speaker_id for clip in own})
    return (
        f"{language!r} has {len(own)} clips of {number} speaker{'' if number == 1 else 's'} "
        f"and none of them in {' or '.join(missing)}"
    )
