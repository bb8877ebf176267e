"""The network: any length in, log-probabilities out; and how a clip's windows vote."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from langaudio.audio import SAMPLE_RATE
from langaudio.train.network import LanguageNetwork, _AttentiveStatistics, _slopes, clip_log_probabilities
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
    assert sum(weights.numel() for weights in LanguageNetwork(["de", "fr"]).parameters()) < 2_000_000


def test_the_answer_is_the_mean_of_the_members_probabilities(network: LanguageNetwork) -> None:
    planes = network._planes(network.log_mel(torch.randn(2, SAMPLE_RATE)))
    each = torch.stack([member(planes) for member in network.members])
    assert len(each) == 2
    assert (each[0] - each[1]).abs().min() > 1e-4
    said = network.classify(planes[:, 0])
    torch.testing.assert_close(said.exp(), each.exp().mean(dim=0))


@pytest.mark.parametrize(("begin", "end"), [(0, 6), (0, 2), (2, 6), (3, 6)])
def test_members_learn_from_examples_of_their_own_whichever_process_has_them(
    network: LanguageNetwork, begin: int, end: int
) -> None:
    log_mel = network.log_mel(torch.randn(6, SAMPLE_RATE))
    planes = network._planes(log_mel)
    said = network.classify_apart(log_mel[begin:end], begin)
    for number, own in zip(range(begin, end), said, strict=True):
        alone = network.members[number % 2](planes[number : number + 1])
        torch.testing.assert_close(own, alone[0], atol=1e-5, rtol=1e-5)


def test_a_network_starts_from_one_that_knows_some_of_its_languages(network: LanguageNetwork) -> None:
    torch.manual_seed(1)
    more = LanguageNetwork(["cs", "fr", "ru"], spoken.TINY).eval()
    own = [member.head[-1].weight[0].clone() for member in more.members]
    more.start_from(network)
    features = network.log_mel(torch.randn(2, SAMPLE_RATE))
    for member, theirs, drawn in zip(more.members, network.members, own, strict=True):
        known, of_more = theirs(network._planes(features)), member(more._planes(features))
        # Whatever the first says of its own language, between the two others they agree.
        torch.testing.assert_close(of_more[:, 1] - of_more[:, 2], known[:, 1] - known[:, 2])
        torch.testing.assert_close(member.head[-1].weight[0], drawn)


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


def test_statistics_are_exact_though_the_frames_are_in_bfloat16() -> None:
    pooling = _AttentiveStatistics(1, 1)
    for weights in pooling.parameters():
        torch.nn.init.zeros_(weights)  # every frame matters equally
    # Their squares are near 1024, where bfloat16 goes by eights.
    frames = torch.tensor([[[31.0, 33.0] * 50]], dtype=torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(pooling(frames), torch.tensor([[32.0, 1.0]]), atol=1e-3, rtol=0)


def test_in_bfloat16_answers_are_about_the_same(network: LanguageNetwork) -> None:
    waveforms = torch.randn(2, SAMPLE_RATE)
    with torch.autocast("cpu", torch.bfloat16):
        said = network(waveforms)
    assert said.dtype == torch.float32
    torch.testing.assert_close(said.exp(), network(waveforms).exp(), atol=0.02, rtol=0)
