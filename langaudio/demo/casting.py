"""Which number a demo speaker gets, so that the pipeline puts the speaker on the side that the demo needs.

The pipeline decides train, dev or test by a keyed hash of the speaker's number. That is fair for hundreds
of speakers; of a language's twelve, chance would now and then leave a side without any. So the demo picks
the numbers: a speaker who should be tested gets the next number that the hash puts on the test side.

The hash is keyed by the operator, so a site fits one key. ``fingerprint`` tells whether it is still that one.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from typing import get_args

from langaudio.speakers import Split, speaker_id, split_of


def side_of(auteur: int) -> Split:
    """Return the side that the pipeline puts the demo's ``spip.php?auteur<N>`` on.

    Raises:
        LangaudioError: the key of speakers is not set.
    """
    return split_of(speaker_id(source="demo", speaker=f"auteur{auteur}"))


def numbers() -> dict[Split, Iterator[int]]:
    """Return, for each side, the numbers that belong to it: ascending, without end, each on one side."""
    return {side: _numbers_on(side) for side in get_args(Split)}


def sides(speakers: int) -> list[Split]:
    """Return the sides of a language's speakers: of twelve, eight train, two are dev and two are test.

    >>> sides(4)
    ['train', 'train', 'dev', 'test']

    Below three speakers there is nothing to share, and all train.
    """
    held_out = max(1, round(speakers / 6)) if speakers >= 3 else 0
    shares: dict[Split, int] = {"train": speakers - 2 * held_out, "dev": held_out, "test": held_out}
    return [side for side, share in shares.items() for _ in range(share)]


def fingerprint() -> str:
    """Return 16 hex digits that change when the key, or the shares of the sides, change the numbering."""
    hash_of = hashlib.sha256(" ".join(side_of(auteur) for auteur in range(1, 257)).encode())
    return hash_of.hexdigest()[:16]


def _numbers_on(side: Split) -> Iterator[int]:
    return (auteur for auteur in itertools.count(1) if side_of(auteur) == side)
