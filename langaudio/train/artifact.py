"""A trained network as files that nobody has to unpickle.

``model.onnx`` is what is served, and is enough by itself. ``weights.safetensors`` and ``model.json`` are what
training goes on from.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import safetensors.torch
from safetensors import SafetensorError

from langaudio.calibration import Calibration
from langaudio.errors import LangaudioError
from langaudio.serve.model import FILE, describe
from langaudio.train.export import export
from langaudio.train.features import FeatureSettings
from langaudio.train.network import LanguageNetwork, NetworkSettings

WEIGHTS, DESCRIPTION = "weights.safetensors", "model.json"

_FORMAT = 4


def save_model(model: LanguageNetwork, calibration: Calibration, folder: Path) -> None:
    """Write all three files into a folder, which is made if it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    served = describe(model.languages, calibration)
    description = {**served, "format": _FORMAT, "network": asdict(model.settings)}
    (folder / DESCRIPTION).write_text(json.dumps(description, indent=2) + "\n")
    export(model, calibration.temperature, served, folder / FILE)
    weights = {name: value.contiguous() for name, value in model.state_dict().items()}
    safetensors.torch.save_file(weights, folder / WEIGHTS)


def load_model(folder: Path) -> LanguageNetwork:
    """Return the network of a folder, ready to be asked.

    Raises:
        LangaudioError: a file is missing or damaged, or another version of langaudio wrote it.
    """
    try:
        description = json.loads((folder / DESCRIPTION).read_text())
        if description["format"] != _FORMAT:
            raise LangaudioError(
                f"The model in {folder} has format {description['format']} and this langaudio reads "
                f"{_FORMAT}: use the version that trained it, or train again."
            )
        model = LanguageNetwork(description["languages"], _settings(description["network"]))
        model.load_state_dict(safetensors.torch.load_file(folder / WEIGHTS))
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise LangaudioError(
            f"{folder} holds no model that can be loaded ({error}): train again, or remove the folder if it "
            "is a cached copy."
        ) from error
    return model.eval()


def _settings(described: dict) -> NetworkSettings:
    return NetworkSettings(
        **described
        | {
            "planes": tuple(described["planes"]),
            "kernel_sizes": tuple(described["kernel_sizes"]),
            "features": FeatureSettings(**described["features"]),
        }
    )
