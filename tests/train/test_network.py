"""The network: any length in, log-probabilities out; and how a clip's windows vote."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from langaudio.audio import SAMPLE_RATE
from langaudio.train.network import LanguageNetwork, _slopes, clip_log_probabilities
from langaudio.voting import WINDOW_S
from tests.train import spoken

WINDOW = round(WINDOW_S * SAMPLE_RATE)


@pytest.fixture(scope="module")
def network() -> LanguageNetwork:
    torch.manual_seed(0)
    return LanguageNetwork(["de", "fr", "ru"], spoken.TINY).eval()


@pytest.mark.parametrize("samples", [0, 1, 400, SAMPLE_RATE, 20 * SAMPLE_RATE])
def test_any_length_gives_probabilities(network: LanguageNetwork, samples: int) -> None:
    said = network(torch.randn(2, samples))
    assert said.shape == (2, 3)
    torch.testing.assert_close(said.exp().sum(dim=1), torch.ones(2))


def test_an_answer_does_not_depend_on_its_neighbours_in_the_batch(network: LanguageNetwork) -> None:
    waveforms = torch.randn(4, SAMPLE_RATE)
    torch.testing.assert_close(network(waveforms)[2:3], network(waveforms[2:3]), atol=1e-5, rtol=1e-5)


def test_it_is_small() -> None:
    assert sum(weights.numel() for weights in LanguageNetwork(["de", "fr"]).parameters()) < 800_000


def test_a_network_starts_from_one_that_knows_some_of_its_languages(network: LanguageNetwork) -> None:
    torch.manual_seed(1)
    more = LanguageNetwork(["cs", "fr", "ru"], spoken.TINY).eval()
    own = more.head[-1].weight[0].clone()
    more.start_from(network)
    waveforms = torch.randn(2, SAMPLE_RATE)
    features = network.log_mel(waveforms)
    known, of_more = (one.classify(features) for one in (network, more))
    # Whatever the first says of its own language, between the two others they agree.
    torch.testing.assert_close(of_more[:, 1] - of_more[:, 2], known[:, 1] - known[:, 2])
    torch.testing.assert_close(more.head[-1].weight[0], own)


def test_slopes_are_how_fast_the_bands_rise() -> None:
    ramp = torch.arange(12.0).expand(1, 2, 12) * torch.tensor([[0.5], [-2.0]])
    slopes = _slopes(ramp)
    torch.testing.assert_close(slopes[0, :, 2:-2], torch.tensor([[0.5], [-2.0]]).expand(2, 8))
    assert _slopes(torch.ones(1, 2, 1)).tolist() == [[[0.0], [0.0]]]


def test_a_clip_is_the_mean_of_its_segments_by_their_length(network: LanguageNetwork) -> None:
    short, long = torch.randn(SAMPLE_RATE), torch.randn(2 * SAMPLE_RATE)
    said = clip_log_probabilities(network, [short, long])
    by_hand = (network(short[None])[0] + 2 * network(long[None])[0]) / 3
    torch.testing.assert_close(said, by_hand - by_hand.logsumexp(dim=0))
    torch.testing.assert_close(said.exp().sum(), torch.tensor(1.0))


@pytest.mark.parametrize("samples", [1, WINDOW, WINDOW + 1, 10 * SAMPLE_RATE])
def test_windows_cover_a_segment_from_end_to_end(samples: int) -> None:
    heard: list[Tensor] = []

    class Listener(LanguageNetwork):
        def forward(self, waveform: Tensor) -> Tensor:
            heard.append(waveform)
            return torch.zeros(len(waveform), len(self.languages))

    clip_log_probabilities(Listener(["de", "fr"], spoken.TINY), [torch.arange(float(samples))])
    (windows,) = heard
    assert windows.shape[1] == min(samples, WINDOW)
    assert set(windows.flatten().tolist()) == set(range(samples))
