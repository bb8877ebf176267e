"""A trained network as two files that nobody has to unpickle: ``weights.safetensors`` and ``model.json``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import safetensors.torch
from safetensors import SafetensorError

from langaudio.audio import SAMPLE_RATE
from langaudio.errors import LangaudioError
from langaudio.train.features import FeatureSettings
from langaudio.train.network import LanguageNetwork, NetworkSettings

WEIGHTS, DESCRIPTION = "weights.safetensors", "model.json"

_FORMAT = 1


def save_model(model: LanguageNetwork, folder: Path) -> None:
    """Write both files into a folder, which is made if it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    description = {
        "format": _FORMAT,
        "sample_rate": SAMPLE_RATE,
        "languages": model.languages,
        "network": asdict(model.settings),
    }
    (folder / DESCRIPTION).write_text(json.dumps(description, indent=2) + "\n")
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
            "kernel_sizes": tuple(described["kernel_sizes"]),
            "features": FeatureSettings(**described["features"]),
        }
    )
