"""The served file: front-end, network and calibration as one ONNX graph, run without torch.

Its input ``waveforms`` has the shape ``(windows, samples)``, at 16 kHz, any number and length of at least
a tenth of a second; its output ``log_probabilities`` has the shape ``(windows, languages)``. What else is
to be known (the languages, the length of a window, the threshold of ``unknown``) is JSON in its metadata,
under the key ``langaudio``.
"""

from __future__ import annotations

import copy
import io
import json
import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
import torchaudio
from torch import Tensor, nn

from langaudio.audio import SAMPLE_RATE
from langaudio.audio.speech import onnx_session
from langaudio.serve.model import DESCRIPTION, INPUT, OUTPUT
from langaudio.train.network import LanguageNetwork

TOLERANCE = 1e-4
"""How far a log-probability of the file may be from the network's own."""

_OPSET = 18
_PROBED = ((1, 8_001), (3, 47_999))  # windows and samples, unlike those of the example, and odd


def export(network: LanguageNetwork, temperature: float, description: Mapping[str, Any], path: Path) -> None:
    """Write the served file of a network that is in evaluation mode.

    Args:
        network: what to export; it is not changed.
        temperature: what its log-probabilities are divided by.
        description: goes into the metadata.
        path: the file.

    Raises:
        ArithmeticError: the file answers otherwise than the network: something in it cannot be exported.
    """
    served = _Served(network, temperature).eval()
    buffer = io.BytesIO()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it is traced, and which of torch's exporters does it
        # By tracing, which takes a second; torch.export takes ten, and wants lengths to divide.
        torch.onnx.export(
            served,
            (torch.zeros(2, 2 * SAMPLE_RATE),),
            buffer,  # type: ignore[arg-type]  # the tracing exporter writes to it
            dynamo=False,
            opset_version=_OPSET,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_axes={INPUT: {0: "windows", 1: "samples"}, OUTPUT: {0: "windows"}},
        )
    model = onnx.load_from_string(buffer.getvalue())
    for node in model.graph.node:
        node.ClearField("doc_string")  # where in the source it comes from, with the paths of this machine
    onnx.helper.set_model_props(model, {DESCRIPTION: json.dumps(description)})
    path.write_bytes(model.SerializeToString(deterministic=True))
    _verify(network, temperature, path)


def _verify(network: nn.Module, temperature: float, path: Path) -> None:
    session = onnx_session(path)
    rng = np.random.default_rng(0)
    for shape in _PROBED:
        waveforms = 0.1 * rng.standard_normal(shape).astype(np.float32)
        with torch.no_grad():
            said = network(torch.from_numpy(waveforms))
        wanted = torch.log_softmax(said / temperature, dim=-1).numpy()
        (answered,) = session.run([OUTPUT], {INPUT: waveforms})
        apart = float(np.abs(answered - wanted).max())
        if not apart < TOLERANCE:
            raise ArithmeticError(
                f"The exported network is {apart:.2g} from its own answers on waveforms of shape {shape}."
            )


class MatrixMelSpectrogram(nn.Module):
    """``torchaudio.transforms.MelSpectrogram`` as matrix products, which any runtime knows and does fast.

    Where a frame is said to begin changes the phase of its spectrum and not its power; so only the samples
    under the window are transformed, and only into bins that are in some band.

    Shape: ``(batch, samples)`` → ``(batch, mels, frames)``.

    Raises:
        ValueError: the spectrogram is of a kind that is not known here.
    """

    basis: Tensor
    filters: Tensor

    def __init__(self, mel: torchaudio.transforms.MelSpectrogram) -> None:
        super().__init__()
        of = mel.spectrogram
        kind = (of.power, of.center, of.pad_mode, of.normalized, of.onesided, of.pad, of.win_length % 2)
        if kind != (2.0, True, "constant", False, True, 0, 0):
            raise ValueError(
                "Only a spectrogram of power, centred, padded with zeros, not normalised, with a window of "
                "an even number of samples can be exported."
            )
        self._hop, self._size = of.hop_length, of.win_length
        used = mel.mel_scale.fb.any(dim=1)
        frequency = 2 * math.pi * torch.arange(of.n_fft // 2 + 1, dtype=torch.float64)[used] / of.n_fft
        angle = torch.arange(self._size, dtype=torch.float64).unsqueeze(1) * frequency
        basis = torch.cat([angle.cos(), angle.sin()], dim=1) * of.window.double().unsqueeze(1)
        self.register_buffer("basis", basis.float())
        self.register_buffer("filters", mel.mel_scale.fb[used])

    def forward(self, waveform: Tensor) -> Tensor:
        padded = nn.functional.pad(waveform, (self._size // 2, self._size // 2))
        real, imaginary = (self._frames(padded) @ self.basis).chunk(2, dim=-1)
        power = real.square() + imaginary.square()
        return (power @ self.filters).transpose(-1, -2)

    def _frames(self, padded: Tensor) -> Tensor:
        """Shape: ``(batch, samples)`` → ``(batch, frames, samples of a frame)``."""
        samples = padded.shape[-1]
        number = (samples - self._size) // self._hop + 1
        hops = -(-self._size // self._hop)
        rows = nn.functional.pad(padded, (0, (number + hops) * self._hop - samples))
        rows = rows.reshape(padded.shape[0], number + hops, self._hop)
        shifted = [rows[:, at : at + number] for at in range(hops)]
        return torch.cat(shifted, dim=-1)[..., : self._size]


class _Served(nn.Module):
    """A copy of the network that can be exported, with the temperature behind it."""

    def __init__(self, network: LanguageNetwork, temperature: float) -> None:
        super().__init__()
        self._network = copy.deepcopy(network)
        self._temperature = temperature
        for module in list(self._network.modules()):
            for name, child in list(module.named_children()):
                if isinstance(child, torchaudio.transforms.MelSpectrogram):
                    setattr(module, name, MatrixMelSpectrogram(child))

    def forward(self, waveforms: Tensor) -> Tensor:
        return torch.log_softmax(self._network(waveforms) / self._temperature, dim=-1)
