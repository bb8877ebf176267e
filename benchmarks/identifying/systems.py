"""What names languages: ours and its peers, each trained from scratch on the same clips for the same time.

Every system is trained on one thread and is given CPU seconds: ten minutes on two cores are 1,200 of them,
however busy the machine is. What the clock shows decides the learning rate of the peers, and how many epochs
ours takes. Of each network those weights are kept that did best on speakers it had not heard.
"""

from __future__ import annotations

import copy
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from _speech import Ask, Clips, Recording, say
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from speechbrain.lobes.features import Fbank
from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN
from speechbrain.lobes.models.Xvector import Xvector
from torch import Tensor, nn

from langaudio.audio import SAMPLE_RATE
from langaudio.evaluate.measures import macro_f1
from langaudio.train.data import Crops, Noise, Speech
from langaudio.train.features import SpecAugment
from langaudio.train.fit import Hyperparameters, fit, share_of_peak
from langaudio.train.network import LanguageNetwork

BATCH_SIZE, CROP_S = 32, Hyperparameters().crop_s
_PLANNED = 0.95  # of the time, by ours: epochs are not equally long, and more than the time is not fair
_LOOKS = 12  # at the speakers that the weights are chosen by


@dataclass(frozen=True)
class Task:
    """What is learned from what.

    Attributes:
        languages: tags, in the order of the labels.
        speech: what to learn from; copies are what augmentation made.
        chosen_by: clips of other speakers, for the choice of the weights.
        cpu_s: how long.
        seed: of everything that is drawn.
        scratch: an empty folder.
        known: a network of ours to start from, which knows some of the languages.
    """

    languages: Sequence[str]
    speech: Sequence[Speech]
    chosen_by: Sequence[Recording]
    cpu_s: float
    seed: int
    scratch: Path
    known: LanguageNetwork | None = None


@dataclass(frozen=True)
class Trained:
    """A system that has learned.

    Attributes:
        ask: what it says of windows.
        examples: crops that it learned from.
        took_s: CPU seconds that it took, all included.
        parameters: number of its weights.
    """

    ask: Ask
    examples: int
    took_s: float
    parameters: int


def ours(task: Task) -> Trained:
    """Train as ``langaudio train`` does; two short trainings tell for how many epochs there is time."""
    hyper = Hyperparameters()

    def trained(epochs: int, folder: Path) -> tuple[LanguageNetwork, int, float]:
        folder.mkdir()
        ended = _Epochs()
        begin = time.process_time()
        network = fit(
            task.languages,
            task.speech,
            Clips(task.chosen_by, task.languages),
            epochs=epochs,
            seed=task.seed,
            hyper=hyper,
            scratch=folder,
            known=task.known,
            callbacks=[ended],
        )
        return network, ended.number, time.process_time() - begin

    # The longer one first: what only the first training of a process costs must not make epochs look cheap.
    (*_, three_s), (*_, one_s) = (trained(epochs, task.scratch / str(epochs)) for epochs in (3, 1))
    epoch_s = (three_s - one_s) / 2
    there_is_time_for = max(1, int((_PLANNED * task.cpu_s - (one_s - epoch_s)) / epoch_s))
    network, epochs, took_s = trained(there_is_time_for, task.scratch / "all")
    spoken_s = sum(one.seconds for one in task.speech if one.copy == 0)
    return Trained(network, epochs * hyper.crops(spoken_s), took_s, _size(network))


def logistic_regression(task: Task) -> Trained:
    """Means and standard deviations of log-mels over a crop, and a straight line between them."""
    features = _Features(40)
    begin = time.process_time()
    rows, labels = [], []
    for batch in range(len(crops := _crops(task, 0))):
        waveforms, spoken = crops[batch]
        rows.append(_statistics(features, waveforms))
        labels.append(spoken.numpy())
    known = np.concatenate(rows), np.concatenate(labels)
    line, best = None, -1.0
    for strength in (1e-4, 1e-3, 1e-2, 1e-1, 1.0):
        candidate = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=500)).fit(*known)

        def ask(waveforms: Tensor, fitted: Any = candidate) -> Tensor:
            return torch.from_numpy(fitted.predict_log_proba(_statistics(features, waveforms))).float()

        if (score := score_of(ask, task.chosen_by, task.languages)) > best:
            line, best = ask, score
    assert line is not None
    return Trained(line, len(known[1]), time.process_time() - begin, 80 * len(task.languages))


def ecapa(task: Task) -> Trained:
    """SpeechBrain's ECAPA-TDNN (Desplanques et al., 2020) of 512 channels, on 80 log-mels."""
    return _trained(task, _Features(80), _Embedding(ECAPA_TDNN(80, lin_neurons=192), 192, task), 1e-3)


def xvector(task: Task) -> Trained:
    """SpeechBrain's x-vector (Snyder et al., 2018), on 40 log-mels."""
    return _trained(task, _Features(40), _Embedding(Xvector(in_channels=40), 512, task), 1e-3)


def plain_cnn(task: Task) -> Trained:
    """Five blocks of convolution, normalisation and pooling over an image of log-mels, and a global mean."""
    widths = (1, 32, 64, 128, 128, 128)
    blocks = [
        nn.Sequential(
            nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(), nn.MaxPool2d(2)
        )
        for before, after in itertools.pairwise(widths)
    ]
    head = nn.Sequential(
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.3), nn.Linear(widths[-1], len(task.languages))
    )
    return _trained(task, _Features(64), nn.Sequential(_Image(), *blocks, head), 1e-3)


SYSTEMS: Mapping[str, Callable[[Task], Trained]] = {
    "langaudio": ours,
    "ECAPA-TDNN": ecapa,
    "x-vector": xvector,
    "plain CNN": plain_cnn,
    "logistic regression": logistic_regression,
}


def score_of(ask: Ask, clips: Sequence[Recording], languages: Sequence[str]) -> float:
    confusion = np.zeros((len(languages),) * 2)
    for clip in clips:
        confusion[languages.index(clip.language), int(say(ask, clip.segments).argmax())] += 1
    return float(macro_f1(confusion))


class _Epochs(lightning.Callback):
    """Counts the epochs of a training, which may end before its time."""

    number = 0

    def on_train_epoch_end(self, *_: Any) -> None:
        self.number += 1


class _Features:
    """SpeechBrain's log-mels, less their mean over time; masked for learning, where that is asked for."""

    def __init__(self, mels: int) -> None:
        self.fbank = Fbank(n_mels=mels)
        self.spec_augment = SpecAugment()

    def log_mel(self, waveforms: Tensor) -> Tensor:
        """Shape: ``(batch, samples)`` → ``(batch, frames, mels)``."""
        found: Tensor = self.fbank(waveforms)
        return found - found.mean(dim=1, keepdim=True)


class _Embedding(nn.Module):
    def __init__(self, network: nn.Module, width: int, task: Task) -> None:
        super().__init__()
        self.network, self.head = network, nn.Linear(width, len(task.languages))

    def forward(self, log_mel: Tensor) -> Tensor:
        return self.head(self.network(log_mel).squeeze(1))


class _Image(nn.Module):
    def forward(self, log_mel: Tensor) -> Tensor:
        return log_mel.unsqueeze(1)


def _trained(task: Task, features: _Features, network: nn.Module, peak_lr: float) -> Trained:
    """Fit a network of log-mels by AdamW in one cycle, until the time is over."""
    augmented = any(one.copy for one in task.speech)
    torch.manual_seed(task.seed)
    rng = np.random.default_rng(task.seed)
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=0.01)

    def ask(waveforms: Tensor) -> Tensor:
        # Peers want a second; what is shorter is said again.
        again = -(-SAMPLE_RATE // waveforms.shape[1])
        return torch.log_softmax(network(features.log_mel(waveforms.repeat(1, again))), dim=-1)

    best, weights = -1.0, copy.deepcopy(network.state_dict())
    # Looking at the other speakers is not counted: large networks would lose a third of their time to it.
    spent_s, looked, examples, epoch = 0.0, 0, 0, 0
    while spent_s < task.cpu_s:
        crops = _crops(task, epoch)
        epoch += 1
        for batch in range(len(crops)):
            begin = time.process_time()
            for group in optimizer.param_groups:
                group["lr"] = peak_lr * share_of_peak(round(1e4 * spent_s / task.cpu_s), 10_001)
            waveforms, labels = crops[batch]
            log_mel = features.log_mel(waveforms)
            if augmented:
                draws = torch.from_numpy(features.spec_augment.draw(len(labels), rng))
                log_mel = features.spec_augment(log_mel.transpose(1, 2), draws).transpose(1, 2)
            loss = nn.functional.cross_entropy(network(log_mel), labels)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
            examples += len(labels)
            spent_s += time.process_time() - begin
            if spent_s >= (looked + 1) * task.cpu_s / _LOOKS:
                looked += 1
                best, weights = _better(network, ask, task, best, weights)
            if spent_s >= task.cpu_s:
                break
    network.load_state_dict(weights)
    network.eval()
    return Trained(ask, examples, spent_s, _size(network))


def _better(
    network: nn.Module, ask: Ask, task: Task, best: float, weights: dict[str, Any]
) -> tuple[float, dict[str, Any]]:
    network.eval()
    score = score_of(ask, task.chosen_by, task.languages)
    network.train()
    return (score, copy.deepcopy(network.state_dict())) if score >= best else (best, weights)


def _crops(task: Task, epoch: int) -> Crops:
    spoken_s = sum(one.seconds for one in task.speech if one.copy == 0)
    augmented = any(one.copy for one in task.speech)
    return Crops(
        task.speech,
        task.languages,
        number=round(3 * spoken_s / CROP_S),
        crop_s=CROP_S,
        batch_size=BATCH_SIZE,
        max_speed_change=0.1 if augmented else 0.0,
        noise=Noise() if augmented else Noise(share=0.0),
        seed=task.seed,
        epoch=epoch,
    )


def _statistics(features: _Features, waveforms: Tensor) -> np.ndarray:
    log_mel = features.fbank(waveforms)
    return torch.cat([log_mel.mean(dim=1), log_mel.std(dim=1)], dim=1).numpy()


def _size(network: nn.Module) -> int:
    return sum(weights.numel() for weights in network.parameters())
