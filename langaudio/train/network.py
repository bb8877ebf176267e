"""The network: waveform in, log-probabilities of the languages out, any length in between.

A CNN over log-mels and their slopes over time [1]. First come convolutions over bands and frames alike: what
another voice says a few bands higher or lower meets the same filters. Then come blocks, each of which is a
convolution over frames, weighs its channels by what the whole recording sounds like (squeeze-excitation [2]),
and adds its input. The recording becomes one vector by attentive statistics pooling [3]: mean and standard
deviation over time, of the frames that matter.

All this is there several times over (deep ensembles [4]): members begin with other weights, learn from other
crops, and their probabilities are averaged. What one makes too much of, where there are few speakers to
learn from, the next does not.

[1] Furui, "Speaker-Independent Isolated Word Recognition Using Dynamic Features of Speech Spectrum", 1986.
[2] Hu et al., "Squeeze-and-Excitation Networks", 2018.
[3] Okabe et al., "Attentive Statistics Pooling for Deep Speaker Embedding", 2018.
[4] Lakshminarayanan et al., "Simple and Scalable Predictive Uncertainty Estimation using Deep Ensembles",
    2017.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from langaudio.audio import SAMPLE_RATE
from langaudio.train.features import FeatureSettings, LogMel
from langaudio.train.processes import BatchNorm1d, BatchNorm2d
from langaudio.voting import WINDOW_S, window_begins

_LAST = ("head.2.weight", "head.2.bias")
_SLOPE_SCALE = 3.0  # brings the slopes of speech to about the size of its log-mels


@dataclass(frozen=True)
class NetworkSettings:
    """The size of the network.

    Attributes:
        members: networks whose probabilities are averaged; all that follows is of each.
        planes: widths of the convolutions over bands and frames, each of which halves the bands.
        channels: width of every block.
        kernel_sizes: frames that each block sees at once, one number a block; odd.
        halve_after: number of blocks at 20 ms a frame; those that follow work at 40 ms.
        squeezed: width of the squeeze of the squeeze-excitation.
        attention: width of the attention of the pooling.
        dropout: share of the pooled vector that training leaves out.
        slopes: whether it is told how fast the bands rise, or has to find out by itself.
        features: the front end.
    """

    members: int = 3
    planes: tuple[int, ...] = (16, 32, 32)
    channels: int = 160
    kernel_sizes: tuple[int, ...] = (5, 5, 5, 5)
    halve_after: int = 1
    squeezed: int = 24
    attention: int = 64
    dropout: float = 0.3
    slopes: bool = True
    features: FeatureSettings = field(default_factory=FeatureSettings)


class LanguageNetwork(nn.Module):
    """Waveform → log-probabilities of the languages.

    Shape: ``(batch, samples)`` → ``(batch, languages)``.

    Attributes:
        languages: BCP-47 tags, in the order of the output.
        settings: what it was built with.
    """

    def __init__(self, languages: list[str], settings: NetworkSettings | None = None) -> None:
        super().__init__()
        self.languages = list(languages)
        self.settings = settings or NetworkSettings()
        self.log_mel = LogMel(self.settings.features)
        self.members = nn.ModuleList(
            _Member(len(languages), self.settings) for _ in range(self.settings.members)
        )

    def forward(self, waveform: Tensor) -> Tensor:
        return self.classify(self.log_mel(waveform))

    def start_from(self, known: LanguageNetwork) -> None:
        """Take over the weights of a network of the same size; languages new to it keep what was drawn."""
        mine, theirs = self.state_dict(), known.state_dict()
        last = [name for name in mine if name.endswith(_LAST)]
        for name in last:
            for row, code in enumerate(self.languages):
                if code in known.languages:
                    mine[name][row] = theirs[name][known.languages.index(code)]
        self.load_state_dict(theirs | {name: mine[name] for name in last})

    def classify(self, log_mel: Tensor) -> Tensor:
        """Return what the members say together.

        Shape: ``(batch, mels, frames)`` → ``(batch, languages)``.
        """
        planes = self._planes(log_mel)
        said = torch.stack([member(planes) for member in self.members])
        return said.logsumexp(dim=0) - math.log(len(self.members))

    def classify_apart(self, log_mel: Tensor, begin: int = 0) -> Tensor:
        """Return what one member says of each example, for training: every so-manieth is a member's own.

        Shape: ``(batch, mels, frames)`` → ``(batch, languages)``.

        Args:
            log_mel: examples; training masks them before it hands them in.
            begin: number of the first of them in the whole batch, of which other processes have the rest.
        """
        planes = self._planes(log_mel)
        number = len(self.members)
        said = log_mel.new_empty(len(log_mel), len(self.languages))
        for member, network in enumerate(self.members):
            own = slice((member - begin) % number, None, number)
            said[own] = network(planes[own])
        return said

    def _planes(self, log_mel: Tensor) -> Tensor:
        """Shape: ``(batch, mels, frames)`` → ``(batch, planes, mels, frames)``."""
        planes = [log_mel, _SLOPE_SCALE * _slopes(log_mel)] if self.settings.slopes else [log_mel]
        return torch.stack(planes, dim=1)


def clip_log_probabilities(network: LanguageNetwork, segments: Sequence[Tensor]) -> Tensor:
    """Return what the network says of a whole clip: the mean over windows.

    Each segment of speech counts by its length, however many windows cover it.

    Args:
        network: in evaluation mode.
        segments: waveforms, one at least, shape ``(samples,)`` each.

    Shape: → ``(languages,)``, normalised again, so that the probabilities sum to one.
    """
    length = sum(len(segment) for segment in segments)
    votes = [network(_windows(segment)).mean(dim=0) * (len(segment) / length) for segment in segments]
    return torch.log_softmax(torch.stack(votes).sum(dim=0), dim=-1)


def _windows(segment: Tensor) -> Tensor:
    """Shape: ``(samples,)`` → ``(windows, samples)``."""
    size = min(len(segment), round(WINDOW_S * SAMPLE_RATE))
    return torch.stack([segment[begin : begin + size] for begin in window_begins(len(segment))])


def _slopes(log_mel: Tensor) -> Tensor:
    """Return how fast each band rises, in each frame: the slope of a line through it and two on either side.

    Shape: ``(batch, mels, frames)`` → ``(batch, mels, frames)``.
    """
    frames = log_mel.shape[-1]
    padded = nn.functional.pad(log_mel, (2, 2), mode="replicate")
    before2, before1, _, after1, after2 = (padded[..., shift : shift + frames] for shift in range(5))
    return (after1 - before1 + 2 * (after2 - before2)) / 10


class _Member(nn.Module):
    """Shape: ``(batch, planes, mels, frames)`` → ``(batch, languages)``."""

    def __init__(self, languages: int, settings: NetworkSettings) -> None:
        super().__init__()
        width = settings.channels
        self.stem = _Stem((1 + settings.slopes, *settings.planes), settings.features.mels, width)
        blocks: list[nn.Module] = [_Block(width, size, settings.squeezed) for size in settings.kernel_sizes]
        blocks.insert(settings.halve_after, nn.AvgPool1d(2, ceil_mode=True))
        self.blocks = nn.Sequential(*blocks)
        self.pooling = _AttentiveStatistics(width, settings.attention)
        self.head = nn.Sequential(
            BatchNorm1d(2 * width), nn.Dropout(settings.dropout), nn.Linear(2 * width, languages)
        )

    def forward(self, planes: Tensor) -> Tensor:
        said = self.head(self.pooling(self.blocks(self.stem(planes))))
        return torch.log_softmax(said.float(), dim=-1)


class _Stem(nn.Module):
    """Shape: ``(batch, planes, mels, frames)`` → ``(batch, channels, half of the frames)``."""

    def __init__(self, planes: Sequence[int], mels: int, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for number, (before, after) in enumerate(itertools.pairwise(planes)):
            over_frames = 1 if number else 2
            layers += [
                nn.Conv2d(before, after, 3, stride=(2, over_frames), padding=1, bias=False),
                BatchNorm2d(after),
                nn.SiLU(),
            ]
            mels = -(-mels // 2)
        self.over_bands = nn.Sequential(*layers)
        self.mix = nn.Sequential(
            nn.Conv1d(planes[-1] * mels, width, 1, bias=False), BatchNorm1d(width), nn.SiLU()
        )

    def forward(self, planes: Tensor) -> Tensor:
        # Convolutions and their normalisation are faster where the planes of a point lie side by side.
        planes = planes.contiguous(memory_format=torch.channels_last)
        return self.mix(self.over_bands(planes).flatten(1, 2))


class _Block(nn.Module):
    def __init__(self, width: int, kernel_size: int, squeezed: int) -> None:
        super().__init__()
        self.mix = nn.Sequential(
            nn.Conv1d(width, width, kernel_size, padding=kernel_size // 2, bias=False),
            BatchNorm1d(width),
            nn.SiLU(),
        )
        self.excite = nn.Sequential(
            nn.Linear(width, squeezed), nn.SiLU(), nn.Linear(squeezed, width), nn.Sigmoid()
        )

    def forward(self, frames: Tensor) -> Tensor:
        mixed = self.mix(frames)
        return frames + mixed * self.excite(mixed.mean(dim=-1)).unsqueeze(-1)


class _AttentiveStatistics(nn.Module):
    """Shape: ``(batch, channels, frames)`` → ``(batch, 2 × channels)``."""

    def __init__(self, width: int, attention: int) -> None:
        super().__init__()
        self.attend = nn.Sequential(nn.Conv1d(width, attention, 1), nn.Tanh(), nn.Conv1d(attention, width, 1))

    def forward(self, frames: Tensor) -> Tensor:
        weights = torch.softmax(self.attend(frames).float(), dim=-1)
        # In float32 whatever the precision of the rest: squares are summed.
        frames = frames.float()
        mean = (frames * weights).sum(dim=-1)
        variance = (frames.square() * weights).sum(dim=-1) - mean.square()
        return torch.cat([mean, variance.clamp(min=1e-5).sqrt()], dim=-1)
