"""What a backfill can be: languages that the corpus lacks, or languages that it has, done anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from langaudio import languages
from langaudio.errors import LangaudioError

if TYPE_CHECKING:
    from langaudio.store import Store

BRING_IN = "bring_in"
AUGMENT_AGAIN = "augment_again"
READ_AGAIN = "read_again"

WORKS = {
    BRING_IN: "Bring in languages that the corpus lacks",
    AUGMENT_AGAIN: "Augment anew from the bucket; the source is not asked",
    READ_AGAIN: "Read the source's pages anew; known recordings are not fetched again",
}
"""What to do → for people."""


def again(store: Store, wanted: Sequence[str]) -> list[str]:
    """Return the wanted languages of the corpus, or all of them if none are named.

    Raises:
        LangaudioError: the corpus lacks one, or has none at all.
    """
    from langaudio import catalog

    known = catalog.languages(store)
    for code in wanted:
        languages.get(code)
    lacking = [code for code in wanted if code not in known]
    if lacking or not known:
        raise LangaudioError(
            f"The corpus has no {', '.join(lacking) or 'languages'}, which cannot be done anew then; it has "
            f"{', '.join(known) or 'none'}. Choose {BRING_IN!r} to bring languages in."
        )
    return list(dict.fromkeys(wanted)) or known


def check_others(store: Store, chosen: Sequence[str], recipe_id: str) -> None:
    """Check that the training that follows will have the corpus's other languages, too.

    A network learns from copies of one recipe. A language that has copies of another one only would be left
    out of it, and the champion, which knows it, would stay.

    Raises:
        LangaudioError: there is such a language.
    """
    from langaudio import catalog

    augmented = {known: store.folders(f"augmented/{known}/") for known in store.folders("augmented/")}
    ready = augmented.pop(recipe_id, [])
    others = {code for found in augmented.values() for code in found}
    left = [code for code in catalog.languages(store) if code not in (*chosen, *ready) and code in others]
    if left:
        raise LangaudioError(
            f"{', '.join(left)} have no copies of this recipe and seed, and would be missing from the "
            f"training. Do {AUGMENT_AGAIN!r} with no language chosen, which makes them for all."
        )
