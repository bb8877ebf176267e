"""A real training of a small network, on synthetic speech, through a real bucket and a real MLflow."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch.utils.data import Dataset

from langaudio import registry, stages
from langaudio.augment.stage import seeded_id
from langaudio.errors import LangaudioError
from langaudio.evaluate import evaluate
from langaudio.serve import Model
from langaudio.services.config import PROJECT
from langaudio.settings import Settings, settings
from langaudio.store import Store, default_store, keys
from langaudio.train import splits
from langaudio.train.artifact import load_model
from langaudio.train.checkpoints import BEST, Checkpoints
from langaudio.train.data import held_out_speech, training_speech
from langaudio.train.fit import (
    Hyperparameters,
    _devices,
    _Fitting,
    _running_average,
    settle,
    share_of_peak,
)
from langaudio.train.network import NetworkSettings, clip_log_probabilities
from langaudio.train.processes import ALONE
from langaudio.train.stage import train
from tests.conftest import S3_KEYS
from tests.train import spoken

LANGUAGES = ["de", "fr", "ru"]
EPOCHS = 12
SMALL = Hyperparameters(
    rounds=1,
    batch_size=16,
    crop_s=1.0,
    peak_lr=1e-2,
    averaging=0.9,
    network=NetworkSettings(
        members=2, planes=(8, 16, 16), channels=48, kernel_sizes=(5, 7, 9), squeezed=8, attention=16
    ),
)


FIT = """
from langaudio.store import default_store
from tests.train.test_fit import fitted
fitted(default_store())
"""


@dataclass(frozen=True)
class Trained:
    store: Store
    run_id: str
    log: list[str]
    best: dict[str, torch.Tensor]


def fitted(store: Store, seed: int = 0, epochs: int = EPOCHS) -> str:
    return train(store, LANGUAGES, recipe_id=spoken.RECIPE, epochs=epochs, seed=seed, hyperparameters=SMALL)


@pytest.fixture(scope="module")
def trained(s3_endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trained]:
    """One training that the tests of this module look at from all sides."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "HOME": home,
            "S3_ENDPOINT": s3_endpoint,
            "S3_ACCESS_KEY": S3_KEYS[0],
            "S3_SECRET_KEY": S3_KEYS[1],
            "BUCKET": "test-trained",
            "MLFLOW_URI": f"sqlite:///{home}/mlflow.db",
        }.items():
            patch.setenv(f"LANGAUDIO_{name}", str(value))
        settings.cache_clear()
        default_store.cache_clear()
        spoken.prepare_mlflow(settings())
        store = default_store()
        store.create_bucket()
        clips = spoken.corpus(LANGUAGES, speakers=8)
        spoken.publish(store, clips)
        spoken.augment(store, clips, copies=3)
        told: list[str] = []
        handler = logging.Handler()
        handler.emit = lambda record: told.append(record.getMessage())  # type: ignore[method-assign]
        logger = logging.getLogger("langaudio.train")
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        best: dict[str, torch.Tensor] = {}

        def put(self: Checkpoints, run_id: str, file: Path) -> None:
            if file.name == BEST:
                best.update(torch.load(file, weights_only=True)["state_dict"])
            put_away(self, run_id, file)

        put_away = Checkpoints.put
        patch.setattr(Checkpoints, "put", put)
        run_id = fitted(store)
        patch.setattr(Checkpoints, "put", put_away)
        yield Trained(store, run_id, told, {name.removeprefix("network."): best[name] for name in best})
        logger.removeHandler(handler)
    settings.cache_clear()
    default_store.cache_clear()


def test_it_learns_to_tell_unheard_speakers_apart(trained: Trained) -> None:
    assert evaluate(trained.store, trained.run_id).scores.macro_f1.value > 0.8  # chance: 0.33


def weights(run_id: str) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(registry.model_folder(run_id) / "weights.safetensors")


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(trained: Trained) -> None:
    first, same, other = (weights(fitted(trained.store, seed, epochs=2)) for seed in (0, 0, 1))
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not torch.equal(first["members.0.head.2.weight"], other["members.0.head.2.weight"])


def test_a_training_that_was_killed_goes_on_after_its_last_epoch(trained: Trained) -> None:
    def epochs(run_id: str) -> list[float]:
        return registry.curve(run_id, "dev_loss")

    before = set(registry.runs())
    process = subprocess.Popen([sys.executable, "-c", FIT], stderr=subprocess.DEVNULL, start_new_session=True)
    while not (new := set(registry.runs()) - before) or len(epochs(*new)) < 3:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.2)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    seen = len(trained.log)
    assert {fitted(trained.store)} == new
    (run_id,) = new
    told = [line for line in trained.log[seen:] if line.startswith("epoch ")]
    assert 0 < len(told) < EPOCHS - 1
    assert epochs(run_id)[-len(told) :] == epochs(trained.run_id)[-len(told) :]
    assert all(torch.equal(one, weights(run_id)[name]) for name, one in weights(trained.run_id).items())
    assert not list(trained.store.list("models/checkpoints/"))


ON_TWO = """
from langaudio.store import default_store
from tests.train.test_fit import without_dropout
print(without_dropout(default_store()))
"""


def without_dropout(store: Store) -> str | None:
    """Train without dropout, which is another in each process."""
    hyper = replace(SMALL, network=replace(SMALL.network, dropout=0.0))
    return train(store, LANGUAGES, recipe_id=spoken.RECIPE, epochs=2, hyperparameters=hyper)


def test_two_processes_come_to_what_one_comes_to(trained: Trained, tmp_path: Path) -> None:
    script = tmp_path / "on_two.py"
    script.write_text(ON_TWO)
    alone = without_dropout(trained.store)
    assert alone
    on_two = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", script],
        stdout=subprocess.PIPE, text=True, check=True, env=os.environ | {"PYTHONPATH": str(PROJECT)},
    ).stdout.split()  # fmt: skip
    assert on_two[1:] == ["None"] or on_two[:-1] == ["None"]
    (run_id,) = {*on_two} - {"None"}
    for name in ("loss", "dev_loss"):
        assert registry.curve(run_id, name) == pytest.approx(registry.curve(alone, name), abs=1e-3)
    one, two = (
        torch.cat([part.float().flatten() for part in weights(run).values()]) for run in (alone, run_id)
    )
    # Rounding differs, and the optimizer divides by how large gradients are: the least of them differ most.
    assert (two - one).norm() < 1e-2 * one.norm()


def test_where_there_are_two_devices_two_processes_train_and_one_reports(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("langaudio.train.processes.devices", lambda: 2)
    spoken.augment(trained.store, spoken.corpus(LANGUAGES, speakers=8), recipe_id=seeded_id("default", 0))
    before = set(registry.runs())
    report = stages.train(LANGUAGES, recipe="default", epochs=1, seed=0)
    assert {report["run_id"]} == set(registry.runs()) - before
    assert report["languages"] == LANGUAGES
    assert Model(registry.model_folder(report["run_id"]) / "model.onnx").languages == LANGUAGES


def test_a_training_that_adds_a_language_starts_from_the_champion(trained: Trained) -> None:
    smaller = train(
        trained.store, LANGUAGES[:2], recipe_id=spoken.RECIPE, epochs=EPOCHS // 2, hyperparameters=SMALL
    )
    assert smaller
    registry.set_alias(registry.CHAMPION, registry.register(smaller))
    try:
        added = train(trained.store, LANGUAGES, recipe_id=spoken.RECIPE, epochs=1, hyperparameters=SMALL)
        anew = train(
            trained.store,
            LANGUAGES,
            recipe_id=spoken.RECIPE,
            epochs=1,
            hyperparameters=SMALL,
            start="scratch",
        )
    finally:
        registry.remove_alias(registry.CHAMPION)
    assert added
    assert anew
    assert registry.parameters(added)["started_from"] == smaller
    assert registry.parameters(anew)["started_from"] == "scratch"
    assert registry.curve(added, "dev_loss")[0] < registry.curve(anew, "dev_loss")[0]


def test_a_champion_of_another_version_is_no_obstacle(
    trained: Trained, caplog: pytest.LogCaptureFixture
) -> None:
    older = spoken.run_of(spoken.constant(LANGUAGES[:2], "de"))
    description = registry.model_folder(older) / "model.json"
    description.write_text(description.read_text().replace('"format": 4', '"format": 0'))
    registry.set_alias(registry.CHAMPION, registry.register(older))
    try:
        anew = train(trained.store, LANGUAGES, recipe_id=spoken.RECIPE, epochs=1, hyperparameters=SMALL)
    finally:
        registry.remove_alias(registry.CHAMPION)
    assert anew
    assert registry.parameters(anew)["started_from"] == "scratch"
    assert "has format 0" in caplog.text


@pytest.mark.usefixtures("trained")
def test_a_run_that_is_gone_is_not_gone_on_with() -> None:
    assert not registry.resume_run("0" * 32)


def test_the_epoch_of_least_loss_on_dev_is_kept(trained: Trained) -> None:
    network = load_model(registry.model_folder(trained.run_id))
    kept = {name for name, weights in network.named_parameters() if torch.equal(weights, trained.best[name])}
    assert kept == {name for name, _ in network.named_parameters()}
    network.load_state_dict(trained.best)
    dev = [clip for clip in splits.read(trained.store, LANGUAGES) if clip.split == "dev"]
    losses = []
    with torch.inference_mode():
        for clip, segments in held_out_speech(trained.store, dev):
            said = clip_log_probabilities(network, [torch.from_numpy(segment) for segment in segments])
            losses.append(-float(said[LANGUAGES.index(clip.language)]))
    least, next_one = sorted(registry.curve(trained.run_id, "dev_loss"))[:2]
    # Training may be in bfloat16; it is nearer to this epoch's than to any other's all the same.
    assert np.mean(losses) == pytest.approx(least, abs=min((next_one - least) / 2, 5e-3))


def test_normalisation_is_by_speech_as_it_was_spoken(trained: Trained) -> None:
    network = load_model(registry.model_folder(trained.run_id))
    ours = {name: value.clone() for name, value in network.named_buffers() if "running" in name}
    assert not any(torch.equal(value, trained.best[name]) for name, value in ours.items())
    clips = splits.read(trained.store, LANGUAGES)
    speech = training_speech(trained.store, clips, spoken.RECIPE)
    as_spoken = [one for one in speech if one.copy == 0]
    for wanted, learned_from in ((True, as_spoken), (False, as_spoken[::2])):
        network.load_state_dict(trained.best)  # whose statistics are those of training
        settle(network, learned_from)
        assert wanted == all(torch.equal(dict(network.named_buffers())[name], ours[name]) for name in ours)
    assert not any(module.training for module in network.modules())


def test_every_epoch_is_a_point_on_the_curves_and_a_line_in_the_log(trained: Trained) -> None:
    for name in ("loss", "dev_loss", "dev_macro_f1", "epoch_s"):
        assert len(registry.curve(trained.run_id, name)) == EPOCHS
    losses = registry.curve(trained.run_id, "loss")
    assert losses[-1] < losses[0]
    lines = [line for line in trained.log if line.startswith("epoch ")]
    assert lines[0].startswith(f"epoch 1 of {EPOCHS}: loss {losses[0]:.3f}, dev loss ")


def test_the_run_says_what_it_was_made_of(trained: Trained) -> None:
    parameters = registry.parameters(trained.run_id)
    fingerprint = splits.corpus_fingerprint(trained.store, LANGUAGES, spoken.RECIPE)
    assert parameters["languages"] == "de fr ru"
    assert parameters[registry.FINGERPRINT] == fingerprint
    assert (parameters["recipe_id"], parameters["epochs"], parameters["seed"]) == (
        spoken.RECIPE,
        str(EPOCHS),
        "0",
    )
    assert parameters["network.channels"] == "48"
    assert parameters["network.features.mels"] == str(SMALL.network.features.mels)
    assert load_model(registry.model_folder(trained.run_id)).languages == LANGUAGES


def test_the_served_file_is_calibrated_on_the_dev_clips(trained: Trained) -> None:
    model = Model(registry.model_folder(trained.run_id) / "model.onnx")
    assert model.languages == LANGUAGES
    assert model.calibration.temperature != 1
    assert model.calibration.threshold is not None
    assert model.calibration.false_rejects <= 0.05


def test_nothing_is_left_on_the_local_disk_but_the_cache_of_shards(trained: Trained) -> None:
    left = {path.name for path in (settings().home / "cache").iterdir()}
    assert left <= {"shards", "models"}


def test_a_language_that_cannot_be_scored_is_refused_before_a_run_begins(
    store: Store, configured: Settings
) -> None:
    rows = spoken.corpus(["de", "fr"])
    spoken.publish(store, [row for row in rows if row["language"] == "de" or row["split"] == "train"])
    with pytest.raises(
        LangaudioError, match=r"'fr' has 4 clips of 2 speakers and none of them in dev or test"
    ):
        train(store, ["de", "fr"], recipe_id=spoken.RECIPE)
    assert not Path(configured.mlflow_uri.removeprefix("sqlite:///")).exists()


def test_the_gradients_of_members_are_clipped_apart() -> None:
    hyper = replace(SMALL, max_gradient=2.0)
    fitting = _Fitting(LANGUAGES, [], Dataset(), 0, hyper, None, ALONE)
    large, small = fitting.network.members
    for member, size in ((large, 1.0), (small, 1e-4)):
        for weights in member.parameters():
            weights.grad = torch.full_like(weights, size)
    before = [weights.grad.clone() for weights in small.parameters()]
    fitting.configure_gradient_clipping()
    norm = torch.cat([weights.grad.flatten() for weights in large.parameters()]).norm()
    assert float(norm) == pytest.approx(2.0, rel=1e-4)
    assert all(weights.grad.equal(old) for weights, old in zip(small.parameters(), before, strict=True))


@pytest.mark.parametrize(
    ("able", "precision"),
    [
        ({}, "32-true"),
        ({"avx2": True, "avx512_bf16": False}, "32-true"),
        ({"avx512_bf16": True}, "bf16-mixed"),
        ({"amx_bf16": True}, "bf16-mixed"),
    ],
)
def test_a_cpu_trains_in_bfloat16_if_it_has_instructions_for_it(
    monkeypatch: pytest.MonkeyPatch, able: dict[str, bool], precision: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    assert _devices(ALONE)["precision"] == precision


def test_the_average_of_the_weights_forgets_its_first_steps_soon() -> None:
    average = _running_average(0.9)
    for steps, new in ((0, 0.9), (1, 9 / 11), (1_000, 0.1)):
        averaged = [torch.zeros(2), torch.zeros(3)]
        average(averaged, [torch.ones(2), torch.ones(3)], torch.tensor(steps))
        for weights in averaged:
            torch.testing.assert_close(weights, torch.full_like(weights, new))


@pytest.mark.parametrize("steps", [1, 2, 5, 10, 1_000])
def test_the_learning_rate_rises_and_falls_in_any_number_of_steps(steps: int) -> None:
    shares = [share_of_peak(step, steps) for step in range(steps)]
    peak = shares.index(max(shares))
    assert shares[: peak + 1] == sorted(shares[: peak + 1])
    assert shares[peak:] == sorted(shares[peak:], reverse=True)
    assert min(shares) > 0
    if steps >= 5:
        assert max(shares) == 1
        assert peak == steps // 5


def test_no_epochs_are_refused(store: Store) -> None:
    with pytest.raises(LangaudioError, match=r"epochs is 0; it must be 1 or more"):
        train(store, ["de", "fr"], recipe_id=spoken.RECIPE, epochs=0)


def test_a_run_that_fails_is_called_failed(store: Store, configured: Settings) -> None:
    from mlflow import MlflowClient

    spoken.prepare_mlflow(configured)
    rows = spoken.corpus(["de", "fr"])
    spoken.publish(store, rows)
    spoken.augment(store, rows)
    store.delete(keys.augmented(spoken.RECIPE, "fr", "run", "shard-000000.tar"))
    with pytest.raises(LangaudioError, match="no object"):
        train(store, ["de", "fr"], recipe_id=spoken.RECIPE)
    client = MlflowClient(configured.mlflow_uri)
    (experiment,) = [one for one in client.search_experiments() if one.name == configured.bucket]
    assert [run.info.status for run in client.search_runs([experiment.experiment_id])] == ["FAILED"]
