"""The optimizer, beside AdamW and beside torch's own Muon."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from langaudio.train.muon import Muon, orthogonal


@pytest.mark.parametrize("shape", [(5, 5), (4, 40), (40, 4), (1, 9)])
def test_an_orthogonal_matrix_has_the_directions_of_the_first_and_singular_values_near_one(
    shape: tuple[int, int],
) -> None:
    torch.manual_seed(0)
    matrix = torch.randn(shape)
    found = orthogonal(matrix)
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    values = left.T @ found @ right.T
    assert values.diagonal().min() > 0.6
    assert values.diagonal().max() < 1.3
    torch.testing.assert_close(values, torch.diag(values.diagonal()), atol=1e-4, rtol=0)


def test_a_gradient_of_nothing_moves_nothing() -> None:
    assert orthogonal(torch.zeros(3, 4)).equal(torch.zeros(3, 4))


def batch(step: int) -> torch.Tensor:
    return torch.randn(20, 3, 4, generator=torch.Generator().manual_seed(step))


def stepped(layer: nn.Module, optimizer: torch.optim.Optimizer, steps: int = 3) -> None:
    for step in range(steps):
        optimizer.zero_grad()
        layer(batch(step)).square().sum().backward()
        optimizer.step()


def test_convolutions_learn_as_by_torchs_own_muon_and_their_biases_as_by_adamw() -> None:
    torch.manual_seed(0)
    ours, theirs = nn.Conv1d(3, 6, 3), nn.Conv1d(3, 6, 3)
    theirs.load_state_dict(ours.state_dict())
    stepped(ours, Muon(ours.parameters(), lr=1e-2, weight_decay=0.5))

    flat = nn.Parameter(theirs.weight.detach().flatten(1))

    def by_flat(values: torch.Tensor) -> torch.Tensor:
        return nn.functional.conv1d(values, flat.view(6, 3, 3), theirs.bias)

    muon = torch.optim.Muon([flat], lr=1e-2, weight_decay=0.5, adjust_lr_fn="match_rms_adamw")
    adamw = torch.optim.AdamW([theirs.bias], lr=1e-2, weight_decay=0)
    for step in range(3):
        muon.zero_grad()
        adamw.zero_grad()
        by_flat(batch(step)).square().sum().backward()
        muon.step()
        adamw.step()
    # Theirs iterates in bfloat16.
    torch.testing.assert_close(ours.weight, flat.view(6, 3, 3), atol=1e-3, rtol=0)
    torch.testing.assert_close(ours.bias, theirs.bias, atol=1e-3, rtol=0)


def test_what_has_two_axes_learns_as_by_adamw() -> None:
    torch.manual_seed(0)
    ours, theirs = nn.Linear(4, 5), nn.Linear(4, 5)
    theirs.load_state_dict(ours.state_dict())
    stepped(ours, Muon(ours.parameters(), lr=1e-2, weight_decay=0.5))
    groups = [{"params": [theirs.weight], "weight_decay": 0.5}, {"params": [theirs.bias], "weight_decay": 0}]
    stepped(theirs, torch.optim.AdamW(groups, lr=1e-2))
    torch.testing.assert_close(ours.weight, theirs.weight, rtol=0, atol=0)
    torch.testing.assert_close(ours.bias, theirs.bias, rtol=0, atol=0)


def test_it_goes_on_from_its_state() -> None:
    torch.manual_seed(0)
    whole = nn.Conv1d(3, 6, 3)
    begun = nn.Conv1d(3, 6, 3)
    begun.load_state_dict(whole.state_dict())
    stepped(whole, (optimizer := Muon(whole.parameters(), lr=1e-2, weight_decay=0.5)), 2)
    stepped(begun, (first := Muon(begun.parameters(), lr=1e-2, weight_decay=0.5)), 2)
    second = Muon(begun.parameters(), lr=1e-2, weight_decay=0.5)
    second.load_state_dict(first.state_dict())
    stepped(whole, optimizer, 1)
    stepped(begun, second, 1)
    assert whole.weight.equal(begun.weight)
