"""Files hold a network, and nothing in them is ever unpickled."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from langaudio.calibration import Calibration
from langaudio.errors import LangaudioError
from langaudio.train.artifact import load_model, save_model
from langaudio.train.features import FeatureSettings
from langaudio.train.network import LanguageNetwork, NetworkSettings

SETTINGS = NetworkSettings(
    planes=(4, 8), channels=16, kernel_sizes=(3, 5), squeezed=4, features=FeatureSettings(mels=40)
)


@pytest.fixture
def network() -> LanguageNetwork:
    return LanguageNetwork(["fr", "de"], SETTINGS).eval()


def test_a_loaded_network_answers_as_the_saved_one(network: LanguageNetwork, tmp_path: Path) -> None:
    save_model(network, Calibration(), tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert loaded.languages == ["fr", "de"]
    assert loaded.settings == SETTINGS
    assert not loaded.training
    waveform = torch.randn(2, 8000)
    torch.testing.assert_close(loaded(waveform), network(waveform), rtol=0, atol=0)


def test_nothing_is_pickled(
    network: LanguageNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_model(network, Calibration(), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "model.json",
        "model.onnx",
        "weights.safetensors",
    ]
    monkeypatch.setattr("pickle.Unpickler", None)
    monkeypatch.setattr("torch.load", None)
    load_model(tmp_path)


def test_a_model_of_another_format_is_refused(network: LanguageNetwork, tmp_path: Path) -> None:
    save_model(network, Calibration(), tmp_path)
    description = json.loads((tmp_path / "model.json").read_text())
    (tmp_path / "model.json").write_text(json.dumps(description | {"format": 7}))
    with pytest.raises(LangaudioError, match="has format 7 and this langaudio reads 4"):
        load_model(tmp_path)


@pytest.mark.parametrize("name", ["model.json", "weights.safetensors"])
@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_a_damaged_model_is_told_in_one_sentence(
    network: LanguageNetwork, tmp_path: Path, name: str, damage: str
) -> None:
    save_model(network, Calibration(), tmp_path)
    path = tmp_path / name
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(LangaudioError, match="holds no model that can be loaded"):
        load_model(tmp_path)
