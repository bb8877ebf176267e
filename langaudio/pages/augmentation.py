"""The page Augmentation: what a recipe does to a clip, to hear and to see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import HTMLResponse

from langaudio import stages
from langaudio.pages import tasks
from langaudio.pages.access import PersonDep
from langaudio.pages.clips import CLIP_ID, Clip, Wanted
from langaudio.pages.corpus import Corpus, LanguageSummary
from langaudio.pages.errors import NotThere
from langaudio.pages.language import ClipId, Tag, sound_of
from langaudio.pages.parts import AugmentationsDep, CorpusDep, PicturesDep
from langaudio.pages.pictures import Pictures
from langaudio.pages.rendering import render

router = APIRouter()

# A path could name any file of the server; so only packaged recipes are shown.
Recipe = Annotated[str, Query(pattern="^[A-Za-z0-9_-]{1,50}$", description="Name of a packaged recipe.")]
Seed = Annotated[int, Query(ge=0, le=2**31 - 1, description="Of all random draws.")]
Number = Annotated[int, Path(ge=0, le=99, description="Number of the version.")]

_CHOICE = 20
_TYPES = {"png": "image/png", "flac": "audio/flac"}


@dataclass(frozen=True)
class VersionOfClip:
    """A clip's first segment of speech, as it was spoken or after something was done to it.

    Attributes:
        number: its number; its picture and sound are ``<number>.png`` and ``<number>.flac`` beside this.
        group: number of the title in ``groups``, from 1; 0 for the segment as it was spoken.
        name: what was done.
        told: with which values.
        seconds: its duration.
    """

    number: int
    group: int
    name: str
    told: str
    seconds: float


@dataclass(frozen=True)
class AugmentedClip:
    """What a recipe does to a clip.

    Attributes:
        recipe: its name.
        recipe_id: hash of it.
        description: for people.
        seed: of all random draws.
        begin_s: where the segment begins in the clip.
        groups: titles.
        versions: each transform by itself, and some copies.
    """

    recipe: str
    recipe_id: str
    description: str
    seed: int
    begin_s: float
    groups: list[str]
    versions: list[VersionOfClip]


@router.get("/augmentation", include_in_schema=False)
def augmentation_page(
    request: Request,
    asking: PersonDep,
    corpus: CorpusDep,
    pictures: PicturesDep,
    augmentations: AugmentationsDep,
    language: Annotated[str, Query(pattern="^([a-z]{2,3})?$")] = "",
    clip: Annotated[str, Query(pattern=f"^$|{CLIP_ID}")] = "",
    recipe: Recipe = "default",
    seed: Seed = 0,
) -> HTMLResponse:
    """A clip before and after each transform."""
    have = [one for one in corpus.summaries() if one.clips]
    language = language or _first(have)
    choice, chosen = _clips(corpus, language, clip) if language else ([], None)
    shown = chosen and _described(
        _shown(corpus, pictures, augmentations, language, chosen.clip_id, recipe, seed)
    )
    return render(
        request,
        "augmentation.html",
        asking=asking,
        languages=have,
        language=language,
        choice=choice,
        clip=chosen,
        recipes=stages.recipes(),
        recipe=recipe,
        seed=seed,
        shown=shown,
    )


@router.get("/api/recipes", tags=["augmentation"])
def list_recipes() -> list[str]:
    """The packaged recipes."""
    return stages.recipes()


@router.get("/api/languages/{language}/clips/{clip_id}/augmentation", tags=["augmentation"])
def get_augmentation(
    corpus: CorpusDep,
    pictures: PicturesDep,
    augmentations: AugmentationsDep,
    language: Tag,
    clip_id: ClipId,
    recipe: Recipe = "default",
    seed: Seed = 0,
) -> AugmentedClip:
    """What a recipe does to a clip."""
    return _described(_shown(corpus, pictures, augmentations, language, clip_id, recipe, seed))


@router.get(
    "/api/languages/{language}/clips/{clip_id}/augmentation/{number}.{kind}",
    tags=["augmentation"],
    response_class=Response,
    responses={200: {"content": {"image/png": {}, "audio/flac": {}}}},
)
def get_version(
    corpus: CorpusDep,
    pictures: PicturesDep,
    augmentations: AugmentationsDep,
    language: Tag,
    clip_id: ClipId,
    number: Number,
    kind: Literal["png", "flac"],
    recipe: Recipe = "default",
    seed: Seed = 0,
) -> Response:
    """The picture or the sound of a version."""
    cards = _shown(corpus, pictures, augmentations, language, clip_id, recipe, seed)["cards"]
    if number >= len(cards):
        raise NotThere(f"There are versions 0 to {len(cards) - 1}, and no {number}.")
    content = cards[number]["picture" if kind == "png" else "sound"]
    return Response(content, media_type=_TYPES[kind], headers={"Cache-Control": "private, max-age=300"})


def _shown(
    corpus: Corpus,
    pictures: Pictures,
    augmentations: Pictures,
    language: str,
    clip_id: str,
    recipe: str,
    seed: int,
) -> dict[str, Any]:
    if recipe not in stages.recipes():
        raise NotThere(f"There is no packaged recipe {recipe!r}; there are {', '.join(stages.recipes())}.")
    key = sound_of(corpus, pictures, language, clip_id).key
    return augmentations.get(
        (key, recipe, seed), lambda workers: workers.call(tasks.augmented, key, clip_id, recipe, seed)
    )


def _described(shown: dict[str, Any]) -> AugmentedClip:
    versions = [
        VersionOfClip(number, card["group"], card["name"], card["told"], card["seconds"])
        for number, card in enumerate(shown["cards"])
    ]
    told = {name: value for name, value in shown.items() if name != "cards"}
    return AugmentedClip(**told, versions=versions)


def _first(have: list[LanguageSummary]) -> str:
    return max(have, key=lambda one: one.train).code if have else ""


def _clips(corpus: Corpus, language: str, clip_id: str) -> tuple[list[Clip], Clip | None]:
    """Return some training clips to choose from, and the one that is shown."""
    choice = corpus.find(language, Wanted(split="train"), 1, _CHOICE).clips
    if not choice:
        choice = corpus.find(language, Wanted(), 1, _CHOICE).clips
    if clip_id and clip_id not in [one.clip_id for one in choice]:
        choice = [corpus.clip(language, clip_id), *choice]
    chosen = next((one for one in choice if one.clip_id == clip_id), choice[0] if choice else None)
    return choice, chosen
