"""The served file, loaded: speech in, calibrated log-probabilities out.

``langaudio.train.export`` writes it; nothing of torch is needed to run it, and nothing in it is code.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from langaudio.audio import SAMPLE_RATE
from langaudio.audio.speech import onnx_session
from langaudio.calibration import Calibration, Heard
from langaudio.errors import LangaudioError
from langaudio.voting import WINDOW_S, windows

FILE = "model.onnx"
DESCRIPTION, INPUT, OUTPUT = "langaudio", "waveforms", "log_probabilities"

_FORMAT = 1


def describe(languages: Iterable[str], calibration: Calibration) -> dict[str, Any]:
    """Return what goes into the metadata of a served file."""
    return {
        "format": _FORMAT,
        "sample_rate": SAMPLE_RATE,
        "window_s": WINDOW_S,
        "languages": list(languages),
        "calibration": asdict(calibration),
    }


class Model:
    """A served network.

    Args:
        path: the served file.
        version: its number in the registry; None for a file that comes from elsewhere.

    Attributes:
        languages: BCP-47 tags, in the order of the answers.
        calibration: how sure its answers have to be.
        version: as above.

    Raises:
        LangaudioError: the file is missing or damaged, or another version of langaudio wrote it.
    """

    def __init__(self, path: Path, version: int | None = None) -> None:
        from onnxruntime.capi import onnxruntime_pybind11_state as failures

        if not path.is_file():
            raise LangaudioError(f"There is no model at {path}: give the path of a {FILE}.")
        try:
            self._session = onnx_session(path)
        except (failures.InvalidProtobuf, failures.InvalidGraph, failures.Fail, failures.NoSuchFile) as error:
            raise LangaudioError(
                f"{path} is no model that can be loaded: give a {FILE}, or remove it if it is a cached copy."
            ) from error
        described = self._session.get_modelmeta().custom_metadata_map.get(DESCRIPTION)
        if described is None:
            raise LangaudioError(f"{path} is no model of langaudio: it says no languages.")
        self._read(path, json.loads(described))
        self.version = version

    def _read(self, path: Path, description: Mapping[str, Any]) -> None:
        if description["format"] != _FORMAT:
            raise LangaudioError(
                f"The model {path} has format {description['format']} and this langaudio reads {_FORMAT}: "
                "use the version that trained it, or train again."
            )
        self.languages: list[str] = description["languages"]
        self.calibration = Calibration(**description["calibration"])
        self._window_s: float = description["window_s"]

    def hear(self, segments: Iterable[np.ndarray]) -> Heard | None:
        """Return what the network says of segments of speech; None if there are none.

        Args:
            segments: mono at 16 kHz, float32, shape ``(samples,)`` each. Each counts by its length, however
                many windows cover it.
        """
        said, weights = [], []
        for segment in segments:
            cut = windows(segment, self._window_s)
            said.append(self._session.run([OUTPUT], {INPUT: cut})[0])
            weights += [len(segment) / SAMPLE_RATE / len(cut)] * len(cut)
        return Heard(np.concatenate(said), np.array(weights)) if said else None
