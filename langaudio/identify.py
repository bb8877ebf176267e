"""Name the language of a recording, with the champion."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from langaudio import audio, registry
from langaudio.errors import LangaudioError

if TYPE_CHECKING:
    from langaudio.train.network import LanguageNetwork


@dataclass(frozen=True)
class Champion:
    """The champion, loaded."""

    version: int
    network: LanguageNetwork


@dataclass(frozen=True)
class Identification:
    """What a recording is in.

    Attributes:
        probabilities: language tag → probability, the likeliest first; empty if nobody speaks.
        speech_s: seconds of speech that the answer rests on.
        version: the version of the model.
    """

    probabilities: dict[str, float]
    speech_s: float
    version: int

    @property
    def language(self) -> str | None:
        """The likeliest language, or None for no speech."""
        return next(iter(self.probabilities), None)

    def __str__(self) -> str:
        if self.language is None:
            return "no speech"
        return ", ".join(f"{code} {share:.1%}" for code, share in self.probabilities.items())


def load_champion() -> Champion:
    """Fetch the champion, unless the local cache has it, and load it.

    Raises:
        LangaudioError: there is no champion yet.
        Unavailable: MLflow does not answer.
    """
    from langaudio.train.artifact import load_model

    champion = registry.aliased(registry.CHAMPION)
    if champion is None:
        raise LangaudioError(
            "There is no champion yet: trigger the DAG `language_audio`, or run the stages `train`, "
            "`evaluate` and `promote`."
        )
    return Champion(champion.number, load_model(registry.model_folder(champion.run_id)))


def identify(recording: bytes | Path, champion: Champion | None = None) -> Identification:
    """Say which language a recording is in.

    Args:
        recording: an encoded file or its path; whatever libsndfile reads.
        champion: from ``load_champion``, to ask it more than once; fetched if None.

    Raises:
        NotAudio: the recording does not decode.
        LangaudioError: the file cannot be read, or there is no champion yet.
        Unavailable: MLflow does not answer.
    """
    import torch

    from langaudio.train.data import clip_speech
    from langaudio.train.network import clip_log_probabilities

    try:
        segments = clip_speech(_bytes(recording))
    except audio.NotAudio as error:
        name = "The recording" if isinstance(recording, bytes) else recording
        raise audio.NotAudio(
            f"{name} is no audio that can be read ({error}): give MP3, FLAC, Ogg, Opus or WAV."
        ) from None
    champion = champion or load_champion()
    speech_s = sum(map(len, segments)) / audio.SAMPLE_RATE
    if not segments:
        return Identification({}, speech_s, champion.version)
    with torch.inference_mode():
        said = clip_log_probabilities(champion.network, [torch.from_numpy(one) for one in segments])
    shares = zip(champion.network.languages, said.exp().tolist(), strict=True)
    return Identification(dict(sorted(shares, key=lambda pair: -pair[1])), speech_s, champion.version)


def _bytes(recording: bytes | Path) -> bytes:
    if isinstance(recording, bytes):
        return recording
    try:
        return recording.read_bytes()
    except OSError as error:
        raise LangaudioError(f"{recording} cannot be read: {error.strerror}.") from None
