"""Every picture, as PNG bytes.

All stand on a light card of their own, so that they can be read on a light and on a dark page alike.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

from langaudio import audio, catalog, registry
from langaudio.errors import LangaudioError
from langaudio.store import Store, keys

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from torchaudio.transforms import MelSpectrogram

    from langaudio.augment.transform import Transform
    from langaudio.evaluate.measures import Bin, Estimate
    from langaudio.serve import Timeline

_CARD, _INK, _QUIET, _GRID = "#fbfbfa", "#24292f", "#6e7781", "#e3e5e8"
_TRAIN, _DEV, _TEST = "#3b6fb6", "#e69f00", "#1b9e77"  # told apart by colour-blind eyes too
_SHADES = LinearSegmentedColormap.from_list("langaudio", [_CARD, "#a9c4e6", _TRAIN, "#173a6b"])
_DPI = 144

_SPLITS = {"train": _TRAIN, "dev": _DEV, "test": _TEST}
_BANDS = 80
_UNKNOWN = "unknown"
_SHOWN_S = 5
# Of what a transform drew: its name is the title, and a seed says nothing.
_UNTOLD = {"transform", "noise_seed", "room_seed"}


def confusion_matrix(matrix: Sequence[Sequence[int]], languages: Sequence[str]) -> bytes:
    """Draw how many clips of each language were heard as each.

    Args:
        matrix: counts; rows are what was spoken, columns what was heard.
        languages: the tags, in the order of both.
    """
    counts = np.asarray(matrix)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 2.2 + 0.42 * len(languages)
    figure = _figure(side + 0.6, side)
    axes = figure.add_subplot()
    image = axes.imshow(shares, cmap=_SHADES, vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        if count:
            colour = _CARD if shares[row, column] > 0.45 else _INK
            axes.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=8)
    axes.set_xticks(range(len(languages)), languages)
    axes.set_yticks(range(len(languages)), languages)
    axes.set(xlabel="heard", ylabel="spoken")
    _titled(axes, "Test clips by language")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(image, ax=axes, shrink=0.8, format=lambda share, _: f"{share:.0%}")
    bar.ax.tick_params(length=0, colors=_QUIET, labelsize=8)
    bar.outline.set_visible(False)
    return _png(figure)


def reliability(bins: Sequence[Bin], error: Estimate) -> bytes:
    """Draw how often a model is right for how sure it is; on the diagonal it is as sure as it should be.

    Args:
        bins: of confidence, those that have clips.
        error: the calibration error, which the title tells.
    """
    figure = _figure(4.4, 4.2)
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color=_QUIET, linewidth=1, linestyle=(0, (4, 3)))
    most = max((one.clips for one in bins), default=1)
    for one in bins:
        axes.plot([one.confidence] * 2, [one.confidence, one.accuracy], color=_DEV, linewidth=1.4, zorder=2)
        size = 20 + 180 * one.clips / most
        axes.scatter(one.confidence, one.accuracy, s=size, color=_TRAIN, linewidths=0, zorder=3)
    axes.set(xlim=(0, 1.03), ylim=(0, 1.03), xlabel="confidence", ylabel="share that is right")
    _titled(axes, f"Calibration error {error.value:.3f}")
    _quiet(axes, grid="both")
    axes.set_title("larger: more clips", loc="right", fontsize=8, color=_QUIET)
    return _png(figure)


def timeline(found: Timeline) -> bytes:
    """Draw which language is spoken when: a lane for each, and one below for where anybody speaks."""
    lanes = [code for code in found.seconds_by_language() if code is not None]
    lanes += [_UNKNOWN] if any(span.language is None for span in found.spans) else []
    unit, name = (60, "minutes") if found.duration_s >= 180 else (1, "seconds")
    figure = _figure(9.2, 1.3 + 0.36 * (len(lanes) + 1))
    axes = figure.add_subplot()
    for number, lane in enumerate(lanes):
        own = [span for span in found.spans if (span.language or _UNKNOWN) == lane]
        bars = [(span.begin_s / unit, (span.end_s - span.begin_s) / unit) for span in own]
        # How sure it is shows as how strong the colour is.
        shades = [_SHADES(0.25 + 0.6 * span.probability) for span in own]
        axes.broken_barh(bars, (number - 0.36, 0.72), facecolors=_QUIET if lane == _UNKNOWN else shades)
    speech = [(begin / unit, (end - begin) / unit) for begin, end in found.speech]
    axes.broken_barh(speech, (len(lanes) - 0.12, 0.24), facecolors=_TEST)
    axes.set_yticks(range(len(lanes) + 1), [*lanes, "speech"])
    axes.set(xlim=(0, max(found.duration_s, 1) / unit), ylim=(len(lanes) + 0.5, -0.6), xlabel=name)
    _titled(axes, "Languages over time")
    _quiet(axes, grid="x")
    return _png(figure)


def training_curves(curves: Mapping[str, Sequence[float]]) -> bytes:
    """Draw loss and dev macro-F1 by epoch.

    Args:
        curves: values per epoch of ``loss``, ``dev_loss`` and ``dev_macro_f1``; what is missing is not drawn.
    """
    figure = _figure(8.4, 3.2)
    left, right = figure.subplots(1, 2)
    for name, label, colour in (("loss", "train", _TRAIN), ("dev_loss", "dev", _DEV)):
        _curve(left, curves.get(name, ()), label, colour)
    _curve(right, curves.get("dev_macro_f1", ()), "dev", _DEV)
    right.set_ylim(0, 1.02)
    for axes, title in ((left, "Loss"), (right, "Macro-F1")):
        _titled(axes, title)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        _quiet(axes, grid="both")
    if left.lines:
        left.legend(frameon=False, labelcolor=_INK, fontsize=9)
    return _png(figure)


def speech_per_language(speech_s: Mapping[str, Mapping[str, float]]) -> bytes:
    """Draw the minutes of speech of each language on each side of the split.

    Args:
        speech_s: language tag → side → seconds, from ``corpus_speech``.
    """
    languages = sorted(speech_s, key=lambda code: sum(speech_s[code].values()))
    figure = _figure(7.2, 1.4 + 0.34 * max(2, len(languages)))
    axes = figure.add_subplot()
    begin = np.zeros(len(languages))
    for split, colour in _SPLITS.items():
        minutes = np.array([speech_s[code].get(split, 0.0) / 60 for code in languages])
        axes.barh(languages, minutes, left=begin, color=colour, height=0.66, label=split)
        begin += minutes
    _titled(axes, "Speech by language")
    axes.set_xlabel("minutes of speech")
    _quiet(axes, grid="x")
    axes.legend(
        frameon=False, labelcolor=_INK, fontsize=9, ncols=3, loc="lower right", bbox_to_anchor=(1, 0.99)
    )
    return _png(figure)


def corpus_speech(store: Store) -> dict[str, dict[str, float]]:
    """Return the seconds of speech in the catalog: language tag → side of the split → seconds."""
    speech_s: dict[str, dict[str, float]] = {}
    for language in catalog.languages(store):
        sides = speech_s.setdefault(language, dict.fromkeys(_SPLITS, 0.0))
        for row in catalog.read(store, language, ["split", "speech_s"]).to_pylist():
            sides[row["split"]] += row["speech_s"]
    return speech_s


@dataclass(frozen=True, eq=False)  # arrays are not compared
class Version:
    """A clip as it is, or after a transform.

    Attributes:
        name: what was done.
        told: with which values, in words.
        samples: mono, float32, shape ``(samples,)``.
    """

    name: str
    told: str
    samples: np.ndarray


def versions_of(
    samples: np.ndarray, sample_rate: int, transforms: Sequence[Transform], seed: int = 0
) -> list[Version]:
    """Return a clip as it is, and after each transform by itself.

    Args:
        samples: mono, float32, shape ``(samples,)``.
        sample_rate: in Hz.
        transforms: with ``p=1``, or chance may leave the clip as it is.
        seed: of what they draw; each begins from it anew.
    """
    versions = [Version("before", "", samples)]
    for transform in transforms:
        rendered, steps = transform.render(samples, sample_rate, np.random.default_rng(seed))
        told = "; ".join(map(tell, steps))
        versions.append(Version(type(transform).__name__, told, rendered))
    return versions


def before_after(versions: Sequence[Version], sample_rate: int) -> list[bytes]:
    """Draw waveform and log-mel of each version, all with the same scales: a picture each."""
    scales = _Scales(versions, sample_rate)
    pictures = []
    for version in versions:
        figure = _figure(9.2, 1.9)
        axes = figure.subplots(1, 2)
        scales.draw(axes, version, titled=False)
        pictures.append(_png(figure))
    return pictures


def transform_before_after(
    samples: np.ndarray, sample_rate: int, transforms: Sequence[Transform], seed: int = 0
) -> bytes:
    """Draw what ``versions_of`` returns as one picture: a row of waveform and log-mel each."""
    versions = versions_of(samples, sample_rate, transforms, seed)
    scales = _Scales(versions, sample_rate)
    figure = _figure(9.2, 1.05 * len(versions) + 0.5)
    rows = figure.subplots(len(versions), 2, squeeze=False, sharex=True)
    for axes, version in zip(rows, versions, strict=True):
        scales.draw(axes, version, titled=True)
    return _png(figure)


def tell(step: Mapping[str, Any]) -> str:
    """Return what a transform drew, in words."""
    return ", ".join(
        f"{name.replace('_', ' ')} {value:.3g}"
        if isinstance(value, float)
        else f"{name.replace('_', ' ')} {value}"
        for name, value in step.items()
        if name not in _UNTOLD
    )


class _Scales:
    """What versions of a clip need in common, so that the eye can compare them."""

    def __init__(self, versions: Sequence[Version], sample_rate: int) -> None:
        self._sample_rate = sample_rate
        self._longest_s = max(len(version.samples) for version in versions) / sample_rate
        self._log_mels = {version: _log_mel(version.samples, sample_rate) for version in versions}
        self._top_db = max(float(log_mel.max()) for log_mel in self._log_mels.values())

    def draw(self, axes: Sequence[Axes], version: Version, *, titled: bool) -> None:
        waveform, spectrogram = axes
        duration_s = len(version.samples) / self._sample_rate
        seconds = np.arange(len(version.samples)) / self._sample_rate
        log_mel = self._log_mels[version]
        waveform.set_facecolor(_CARD)
        waveform.plot(seconds, version.samples, color=_TRAIN, linewidth=0.4)
        waveform.set(ylim=(-1.05, 1.05), xlim=(0, self._longest_s), yticks=(-1, 0, 1))
        if titled:
            _titled(waveform, version.name)
            spectrogram.set_title(version.told, loc="left", fontsize=8, color=_QUIET)
        spectrogram.imshow(
            log_mel,
            origin="lower",
            aspect="auto",
            cmap="magma",
            vmin=self._top_db - 80,
            vmax=self._top_db,
            extent=(0, duration_s, 0, len(log_mel)),
        )
        spectrogram.set(xlim=(0, self._longest_s), yticks=(), facecolor=_CARD)
        _quiet(waveform)
        _quiet(spectrogram)
        waveform.set_xlabel("seconds")
        spectrogram.set_xlabel("seconds; log-mel, low bands below")
        for each in axes:
            each.label_outer()


def draw_all(store: Store, folder: Path, clip: Path | None = None) -> Iterator[Path]:
    """Draw every picture that there is something to draw of, and yield the files as they are written.

    Args:
        store: the corpus.
        folder: made if it is not there.
        clip: what the transforms are shown on; the first training clip of the corpus if None.

    Raises:
        LangaudioError: the clip cannot be read, or there is neither a clip nor a corpus.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pictures: dict[str, Callable[[], bytes | None]] = {
        "transforms.png": lambda: _transforms_on(_a_clip(store) if clip is None else read_clip(clip))
    }
    if catalog.languages(store):
        pictures["corpus.png"] = lambda: speech_per_language(corpus_speech(store))
    champion = registry.aliased(registry.CHAMPION)
    if champion is not None:
        for name in ("confusion_matrix.png", "reliability.png", "training_curves.png"):
            pictures[name] = partial(registry.read_file, champion.run_id, name)
    for name, draw in pictures.items():
        picture = draw()
        if picture is not None:
            (folder / name).write_bytes(picture)
            yield folder / name


def _transforms_on(clip: np.ndarray) -> bytes:
    from langaudio import augment

    samples = clip[: _SHOWN_S * audio.SAMPLE_RATE]
    transforms = [
        augment.TimeMask(p=1.0),
        augment.HighPassFilter(p=1.0, min_cutoff_freq=600.0),
        augment.WhiteNoise(p=1.0, max_snr_db=10.0),
        augment.PitchScale(p=1.0, min_semitones=3.0),
        augment.PolarityInversion(p=1.0),
        augment.RandomGain(p=1.0, max_gain_db=-6.0),
        augment.SpeedPerturbation(p=1.0, max_rate=0.85, min_rate=0.8),
        augment.RoomReverb(p=1.0, min_target_rt60=0.8, max_target_rt60=1.2, max_drr_db=0.0),
        augment.TelephoneBand(p=1.0),
        augment.LossyCodec(p=1.0, max_bitrate=8.0),
    ]
    return transform_before_after(samples, audio.SAMPLE_RATE, transforms)


def _a_clip(store: Store) -> np.ndarray:
    for language in catalog.languages(store):
        for row in catalog.read(store, language, ["clip_id", "format"]).to_pylist():
            return audio.decode(store.get(keys.raw(language, row["clip_id"], row["format"]))).samples
    raise LangaudioError("There is no clip to show the transforms on: give one by --clip.")


def read_clip(file: Path) -> np.ndarray:
    """Return the samples of a recording at ``audio.SAMPLE_RATE``.

    Raises:
        LangaudioError: it cannot be read, or is no audio.
    """
    try:
        return audio.decode(file.read_bytes()).samples
    except OSError as error:
        raise LangaudioError(f"{file} cannot be read: {error.strerror}.") from None
    except audio.NotAudio as error:
        raise audio.NotAudio(
            f"{file} is no audio that can be read ({error}): give MP3, FLAC, Ogg, Opus or WAV."
        ) from None


def _log_mel(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Return decibels, shape ``(bands, frames)``."""
    import torch

    energies = _mel_spectrogram(sample_rate)(torch.from_numpy(samples))
    decibels: np.ndarray = 10 * np.log10(energies.numpy() + 1e-10)
    return decibels


@lru_cache
def _mel_spectrogram(sample_rate: int) -> MelSpectrogram:
    import torchaudio

    return torchaudio.transforms.MelSpectrogram(
        sample_rate, n_fft=1024, hop_length=sample_rate // 100, n_mels=_BANDS
    )


def _curve(axes: Axes, values: Sequence[float], label: str, colour: str) -> None:
    if values:
        axes.plot(range(1, len(values) + 1), values, color=colour, label=label, linewidth=1.8, marker=".")


def _figure(width: float, height: float) -> Figure:
    """Return an empty figure, its size in inches, drawn without any global state."""
    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.08)
    figure = Figure(figsize=(width, height), dpi=_DPI, facecolor=_CARD, layout=layout)
    FigureCanvasAgg(figure)
    return figure


def _titled(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", fontsize=10, fontweight="bold", color=_INK)
    axes.set_facecolor(_CARD)
    axes.xaxis.label.set_color(_QUIET)
    axes.yaxis.label.set_color(_QUIET)
    axes.tick_params(colors=_INK, labelsize=9)


def _quiet(axes: Axes, grid: str | None = None) -> None:
    axes.spines[:].set_visible(False)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, colors=_QUIET, labelsize=8)
    axes.xaxis.label.set_color(_QUIET)
    axes.xaxis.label.set_fontsize(9)
    if grid is not None:
        axes.grid(axis=grid, color=_GRID, linewidth=0.8)  # type: ignore[arg-type]


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
