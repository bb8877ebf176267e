"""Name the language of a recording."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Literal

import numpy as np

from langaudio import audio
from langaudio.calibration import Heard
from langaudio.errors import LangaudioError, suggest
from langaudio.serve.champion import load_champion
from langaudio.serve.model import Model
from langaudio.voting import normalised

Recording = bytes | str | PathLike[str]
"""An encoded file, or its path."""

Outcome = Literal["language", "unknown", "no speech"]


@dataclass(frozen=True)
class Identification:
    """What a recording is in.

    Attributes:
        outcome: ``language``; ``unknown``, if the evidence is too weak for an answer or the language is none
            of the model's; or ``no speech``.
        probabilities: language tag → probability, the likeliest first; empty if nobody speaks. Of an unknown
            language it is what the model would have said.
        speech_s: seconds of speech that the answer rests on.
        version: the version of the model; None if it came from a file.
    """

    outcome: Outcome
    probabilities: dict[str, float]
    speech_s: float
    version: int | None

    @property
    def language(self) -> str | None:
        """The likeliest language; None if it is unknown or nobody speaks."""
        return next(iter(self.probabilities)) if self.outcome == "language" else None

    def __str__(self) -> str:
        shares = ", ".join(f"{code} {share:.1%}" for code, share in self.probabilities.items())
        return {"language": shares, "unknown": f"unknown ({shares})", "no speech": "no speech"}[self.outcome]


def identify(
    recording: Recording, model: Model | None = None, *, among: Sequence[str] = ()
) -> Identification:
    """Say which language a recording is in.

    Nothing is asked of the network where nobody speaks for a second: of silence, noise and music.

    Args:
        recording: an encoded file or its path, of any length; whatever libsndfile reads.
        model: whom to ask; the champion if None.
        among: the languages that it may be in; all that the model knows if empty. Who restricts them says
            that it is one of them: the answer is the likeliest and never ``unknown``.

    Raises:
        NotAudio: the recording does not decode.
        LangaudioError: the file cannot be read, the model does not know a language of ``among``, or there is
            no champion yet.
        Unavailable: MLflow does not answer, and no champion is known from before.
    """
    with explained(recording) as given:
        segments = audio.speech_in(audio.decode_blocks(given))
        # Whoever gives a file that is none learns it without a server.
        first = list(itertools.islice(segments, 1))
        model = model or load_champion()
        columns = columns_of(model, among)
        heard = model.hear(segment.samples for segment in itertools.chain(first, segments))
    if heard is None:
        return Identification("no speech", {}, 0.0, model.version)
    outcome: Outcome = "language" if among or model.calibration.accepts(heard) else "unknown"
    probabilities = shares(model, heard, columns)
    return Identification(outcome, probabilities, float(heard.weights.sum()), model.version)


def columns_of(model: Model, among: Sequence[str]) -> list[int]:
    """Return where in a model's answers the languages are; all if none are named.

    Raises:
        LangaudioError: the model does not know one of them.
    """
    for code in among:
        if code not in model.languages:
            raise LangaudioError(
                f"The model does not know {code!r}{suggest(code, model.languages)}; "
                f"it knows {', '.join(model.languages)}."
            )
    return [model.languages.index(code) for code in dict.fromkeys(among or model.languages)]


def shares(model: Model, heard: Heard, columns: Sequence[int]) -> dict[str, float]:
    """Return the probability of each language, the likeliest first."""
    probabilities = np.exp(normalised(heard.answer[list(columns)]))
    order = np.argsort(-probabilities, kind="stable")
    return {model.languages[columns[i]]: float(probabilities[i]) for i in order}


@contextmanager
def explained(recording: Recording) -> Iterator[bytes | Path]:
    """Hand over a recording as its bytes or its path, and name it in what is told of it."""
    given = recording if isinstance(recording, bytes) else Path(recording)
    name = "The recording" if isinstance(given, bytes) else given
    try:
        yield given
    except audio.NotAudio as error:
        raise audio.NotAudio(
            f"{name} is no audio that can be read ({error}): give MP3, FLAC, Ogg, Opus or WAV."
        ) from None
    except OSError as error:
        raise LangaudioError(f"{name} cannot be read: {error.strerror}.") from None
