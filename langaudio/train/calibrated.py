"""Calibrates a network on the dev clips, as the last step of training."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from langaudio.audio import SAMPLE_RATE
from langaudio.calibration import Calibration, Heard, calibrate
from langaudio.train.data import HeldOut
from langaudio.train.network import LanguageNetwork
from langaudio.voting import windows


def calibrated(network: LanguageNetwork, dev: HeldOut) -> Calibration:
    """Return the temperature and the threshold that the dev clips call for.

    Args:
        network: in evaluation mode.
        dev: clips that it was not fitted on.
    """
    clips = [dev[number] for number in range(len(dev))]
    return calibrate([hear(network, segments) for segments, _ in clips], [spoken for _, spoken in clips])


def hear(network: LanguageNetwork, segments: list[Tensor]) -> Heard:
    """Return what a network in evaluation mode says of segments; ``langaudio.serve`` does so of its file."""
    said, weights = [], []
    with torch.inference_mode():
        for segment in segments:
            cut = torch.from_numpy(windows(segment.numpy()))
            said.append(network(cut).numpy())
            weights += [len(segment) / SAMPLE_RATE / len(cut)] * len(cut)
    return Heard(np.concatenate(said), np.array(weights))
