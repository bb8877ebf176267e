"""The served file, loaded without torch."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from langaudio.calibration import Calibration
from langaudio.errors import LangaudioError
from langaudio.serve import Model, load_model
from langaudio.train.artifact import save_model
from tests.train import spoken


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    save_model(spoken.constant(["de", "fr"], "fr"), Calibration(2.0), folder)
    return folder / "model.onnx"


def test_segments_count_by_their_length(file: Path) -> None:
    heard = Model(file).hear([np.zeros(16_000, np.float32), np.ones(128_000, np.float32)])
    assert heard is not None
    assert heard.weights.tolist() == pytest.approx([1, 4, 4])  # one window, and two
    assert heard.log_probabilities.shape == (3, 2)


def test_without_segments_there_is_nothing_to_hear(file: Path) -> None:
    assert Model(file).hear([]) is None


def test_the_temperature_is_in_the_file(file: Path) -> None:
    heard = load_model(str(file)).hear([np.ones(16_000, np.float32)])
    assert heard is not None
    difference = heard.answer[1] - heard.answer[0]
    assert difference == pytest.approx(2.0 / 2.0, abs=1e-5)


def test_what_is_no_model_is_told(file: Path, tmp_path: Path) -> None:
    with pytest.raises(LangaudioError, match="There is no model at"):
        Model(tmp_path / "absent.onnx")
    (tmp_path / "cut.onnx").write_bytes(file.read_bytes()[:1000])
    (tmp_path / "text.onnx").write_text("no model")
    for name in ("cut.onnx", "text.onnx"):
        with pytest.raises(LangaudioError, match="no model that can be loaded"):
            Model(tmp_path / name)


def test_a_model_of_somebody_else_or_of_another_format_is_told(file: Path, tmp_path: Path) -> None:
    model = onnx.load(str(file))
    described = json.loads(model.metadata_props[0].value)
    onnx.helper.set_model_props(model, {"langaudio": json.dumps(described | {"format": 9})})
    onnx.save(model, str(tmp_path / "later.onnx"))
    with pytest.raises(LangaudioError, match="has format 9 and this langaudio reads 1"):
        Model(tmp_path / "later.onnx")
    del model.metadata_props[:]
    onnx.save(model, str(tmp_path / "other.onnx"))
    with pytest.raises(LangaudioError, match="is no model of langaudio"):
        Model(tmp_path / "other.onnx")
