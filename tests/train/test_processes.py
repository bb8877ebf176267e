"""Several processes that train one network."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from langaudio.errors import LangaudioError
from langaudio.services.config import PROJECT
from langaudio.train.processes import BatchNorm1d, BatchNorm2d, Place, run_on

NORMALISED = """
import sys
import torch
from langaudio.train.processes import BatchNorm2d, Place
place = Place.of_this_process()
torch.distributed.init_process_group("gloo")
torch.manual_seed(0)
values = torch.randn(8, 5, 4, 30, requires_grad=True)
norm = BatchNorm2d(5)
out = norm(values[place.share(8)])
(out.square() * torch.arange(30)).sum().backward()
torch.distributed.all_reduce(values.grad)
if place.is_first:
    found = {"out": out, "grad": values.grad, "mean": norm.running_mean, "var": norm.running_var}
    torch.save(found, sys.argv[1])
torch.distributed.destroy_process_group()
"""


def test_batches_are_normalised_as_if_one_process_had_them(tmp_path: Path) -> None:
    script, told = tmp_path / "normalised.py", tmp_path / "told.pt"
    script.write_text(NORMALISED)
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    subprocess.run([sys.executable, *torchrun, script, told], check=True, env=environment)
    on_two = torch.load(told, weights_only=True)
    torch.manual_seed(0)
    values = torch.randn(8, 5, 4, 30, requires_grad=True)
    alone = torch.nn.BatchNorm2d(5)
    out = alone(values)
    (out.square() * torch.arange(30)).sum().backward()
    torch.testing.assert_close(on_two["out"], out[:4])
    torch.testing.assert_close(on_two["grad"], values.grad, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(on_two["mean"], alone.running_mean)
    torch.testing.assert_close(on_two["var"], alone.running_var)


def test_alone_it_is_the_usual_normalisation() -> None:
    frames, bands = torch.randn(8, 5, 30), torch.randn(8, 5, 4, 30)
    torch.testing.assert_close(BatchNorm1d(5)(frames), torch.nn.BatchNorm1d(5)(frames), rtol=0, atol=0)
    torch.testing.assert_close(BatchNorm2d(5)(bands), torch.nn.BatchNorm2d(5)(bands), rtol=0, atol=0)


@pytest.mark.parametrize(("number", "processes"), [(32, 1), (32, 2), (32, 3), (6, 4), (7, 2)])
def test_shares_are_whole_pairs_and_together_everything(number: int, processes: int) -> None:
    shares = [Place(rank, processes).share(number) for rank in range(processes)]
    rows = list(range(number))
    assert [row for share in shares for row in rows[share]] == rows
    assert all(share.start % 2 == 0 for share in shares)


def test_what_ends_badly_is_told() -> None:
    with pytest.raises(LangaudioError, match="2 devices ended with exit status 1"):
        run_on(2, ["no-such-command"])
