"""Change the duration of a waveform, not its pitch, by splices where it resembles itself.

The waveform is played as it is. Only where playing has drifted too far from where it should be by then,
it jumps, by a lag at which the waveform resembles itself (for a voice: by whole pitch periods), and fades
over. A semitone of pitch shift takes about six such splices a second; everything between them is the
input's own samples, so neither pitch nor phase nor onsets can suffer there. The idea is that of Malah's
time-domain harmonic scaling (1979), Morita and Itakura's PICOLA (1986), and WSOLA (Verhelst and Roelands,
1993); what is added here is that each splice looks for its place as well as for its lag.

Where to splice is decided on samples that are rounded to whole numbers, by sums that float64 holds
exactly: the decision does not depend on the order in which a processor adds, and is the same on all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from langaudio.augment.transform import Audio

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

# What is played is never further than this from what should be: an onset moves by less than 10 ms.
_MAX_OFFSET_S = 0.0095

# Some multiple of every pitch period up to 19 ms (53 Hz) is in here.
_MIN_LAG_S = 0.004
_MAX_LAG_S = 0.019

_FADE_S = 0.010
_SIMILARITY_WINDOW_S = 0.020

# The search runs on a signal of about this rate: a voice's strongest harmonics are below 2 kHz.
_SEARCH_RATE = 4_000

# For each place, the best lag of each of so many equal parts of the range is a candidate.
_LAG_GROUPS = 3

# Dissimilarity is from 0 (the same) over 1 (unrelated) to 2 (inverted); these are on its scale.
_LONG_LAG_BONUS = 0.1
_ONSET_PENALTY = 2.0
_TOO_FAR_PENALTY = 4.0

# An onset: 5 ms with 8 times the power (9 dB) of the 20 ms before. Pitch pulses stay below that.
_ONSET_RATIO = 8
_ONSET_PAST_S = 0.020

# Power below this share of the mean (−40 dB) counts as silence, where any splice is good.
_SILENCE = 1e-4


class Splice(NamedTuple):
    """At output sample ``at``, a fade begins from input sample ``leave`` on to input sample ``enter`` on."""

    at: int
    leave: int
    enter: int


@dataclass(frozen=True)
class _Plan:
    """The measures of one stretch, in samples unless said otherwise.

    Attributes:
        drift: samples that the place played gains, per output sample, on the place that should be.
        direction: of the jumps that make up for it: 1 forward, −1 back.
        decimation: samples per search sample.
        lags: in search samples, ascending.
        fade: length of a fade.
        step: distance of the places at which a splice may begin; two steps are a fade.
        window: length over which similarity is judged, in steps.
    """

    length: int
    drift: float
    direction: int
    max_offset: float
    decimation: int
    lags: range
    fade: int
    step: int
    window: int
    sample_rate: int

    @classmethod
    def of(cls, played: int, length: int, sample_rate: int) -> _Plan:
        drift = 1 - played / length
        max_offset = _MAX_OFFSET_S * sample_rate
        decimation = sample_rate // _SEARCH_RATE
        search_rate = sample_rate / decimation
        # During a fade at most half of what the offset may be is drifted away.
        fade_s = min(_FADE_S, _MAX_OFFSET_S / 2 / abs(drift))
        step = max(1, round(fade_s * search_rate / 2)) * decimation
        return cls(
            length=length,
            drift=drift,
            direction=-1 if drift > 0 else 1,
            max_offset=max_offset,
            decimation=decimation,
            lags=range(round(_MIN_LAG_S * search_rate), round(_MAX_LAG_S * search_rate) + 1),
            fade=2 * step,
            step=step,
            window=max(2, round(_SIMILARITY_WINDOW_S * sample_rate / step)),
            sample_rate=sample_rate,
        )

    @property
    def max_lag(self) -> int:
        return self.lags[-1] * self.decimation

    @property
    def margin(self) -> int:
        """How far beyond its end the input may be played or looked at."""
        return math.ceil(self.max_offset) + (self.window + 4) * self.step + 2 * self.max_lag


def stretch_to(samples: Audio, length: int, sample_rate: int) -> Audio:
    """Return the waveform with another duration and the same pitch.

    Args:
        samples: float32; the channels are spliced at the same places, which the loudest decides.
        length: wanted samples, a quarter to four times as many as there are.
        sample_rate: in Hz.

    Shape:
        samples: ``(channels, samples)``; the result is ``(channels, length)``.

    Example:
        >>> import numpy as np
        >>> tone = np.sin(2 * np.pi * 200 * np.arange(16_000) / 16_000, dtype=np.float32)[np.newaxis]
        >>> longer = stretch_to(tone, 20_000, 16_000)
        >>> longer.shape, int(np.argmax(np.abs(np.fft.rfft(longer[0])))) * 16_000 / 20_000
        ((1, 20000), 200.0)
    """
    if samples.shape[1] == length:
        return samples.copy()
    plan = _Plan.of(samples.shape[1], length, sample_rate)
    # Playing may end up to the largest offset late: there it goes on with the end, mirrored.
    played = np.pad(samples, ((0, 0), (0, plan.margin)), mode="symmetric")
    guide = _guide(played)
    costs, jumps = _candidates(guide, plan)
    return _join(played, _choose(guide, costs, jumps, plan), plan)


def _guide(played: Audio) -> Floats:
    """Return the loudest channel in whole numbers of up to 15 bits."""
    loudest = played[np.argmax(np.max(np.abs(played), axis=1))]
    _, exponent = np.frexp(np.max(np.abs(loudest)))
    return np.rint(np.ldexp(loudest.astype(np.float64), 15 - int(exponent)))


def _candidates(guide: Floats, plan: _Plan) -> tuple[Audio, Integers]:
    """Return what each splice would cost that may be chosen, and how far it would jump.

    Shape:
        both: ``(lag groups, places)``; place k is at sample ``k * plan.step``.
    """
    dissimilarity = _dissimilarity(guide, plan)
    groups = np.array_split(np.arange(len(plan.lags)), _LAG_GROUPS)
    best = np.stack([group[0] + dissimilarity[group].argmin(axis=0) for group in groups])
    costs = np.take_along_axis(dissimilarity, best, axis=0)
    costs += _ONSET_PENALTY * _near_onsets(guide, plan)[: costs.shape[1]]
    jumps = plan.direction * plan.decimation * (best + plan.lags[0])
    costs[jumps + plan.step * np.arange(costs.shape[1]) < 0] = np.inf
    return costs, jumps


def _dissimilarity(guide: Floats, plan: _Plan) -> Audio:
    """Return how unlike the waveform at each place is what lies a lag away, less a bonus for long lags.

    It is the power of the difference by the sum of the powers, over a window that no lag exceeds: so it
    has seen all that a splice would leave out or play twice.

    Shape:
        the result: ``(lags, places)``.
    """
    step, most = plan.step // plan.decimation, plan.lags[-1]
    places = len(guide) // plan.step
    searched = guide[: places * plan.step].reshape(-1, plan.decimation).sum(axis=1)
    padded = np.pad(searched, most)
    energy_before = np.concatenate([[0.0], np.cumsum(np.square(padded))])
    ones, window = np.ones(step), np.ones(plan.window)
    silence = _SILENCE * plan.window * step * energy_before[-1] / len(searched) + 1

    def energies(start: int) -> Floats:
        edges = energy_before[start : start + len(searched) + 1 : step]
        return edges[plan.window :] - edges[: -plan.window]

    here = energies(most)
    product = np.empty((places, step))
    result = np.empty((len(plan.lags), len(here)), dtype=np.float32)
    for row, lag in zip(result, plan.lags, strict=True):
        start = most + plan.direction * lag
        np.multiply(searched, padded[start : start + len(searched)], out=product.reshape(-1))
        powers = here + energies(start)
        likeness = np.convolve(product @ ones, window, mode="valid")
        row[:] = (powers - 2 * likeness) / (powers + silence) - _LONG_LAG_BONUS * lag / most
    return result


def _near_onsets(guide: Floats, plan: _Plan) -> npt.NDArray[np.bool_]:
    """Return for each place whether a splice there might leave out an onset, or play it twice."""
    blocks = guide[: len(guide) // plan.step * plan.step].reshape(-1, plan.step)
    energy = np.einsum("ij,ij->i", blocks, blocks)
    before = np.concatenate([[0.0], np.cumsum(energy)])[:-1]
    past = max(1, round(_ONSET_PAST_S * plan.sample_rate / plan.step))
    mean_before = (before - np.pad(before, (past, 0))[: len(before)]) / past
    onsets = energy > _ONSET_RATIO * (mean_before + _SILENCE * energy.mean() + 1)
    reach = -(-plan.max_lag // plan.step)
    behind, ahead = (reach, 2) if plan.direction < 0 else (0, reach + 2)
    near = np.convolve(onsets, np.ones(behind + ahead + 1))
    return near[ahead : ahead + len(onsets)] > 0


def _choose(guide: Floats, costs: Audio, jumps: Integers, plan: _Plan) -> list[Splice]:
    """Return the splices, each the cheapest of those between the last one and where it gets too late."""
    splices: list[Splice] = []
    at = play = 0
    misfit = 0.0
    # The offset changes during the fade as well: it has to be small enough all the way.
    faded = plan.fade * plan.drift / 2
    allowed = plan.max_offset - abs(faded)
    landings = jumps + plan.step * plan.drift * np.arange(costs.shape[1]) + faded
    while True:
        offset = play - at * (1 - plan.drift)
        room = (math.copysign(plan.max_offset, plan.drift) - offset) / plan.drift
        if at + room >= plan.length:
            return splices
        first = -(-play // plan.step)
        last = max(first + 1, int(play + room) // plan.step + 1)
        too_far = np.abs(landings[:, first:last] + (offset - play * plan.drift)) > allowed
        cheapest = int((costs[:, first:last] + _TOO_FAR_PENALTY * too_far).argmin())
        group, place = divmod(cheapest, last - first)
        place += first
        leave = place * plan.step
        enter, misfit = _align(guide, leave, leave + int(jumps[group, place]), misfit, plan)
        at += leave - play
        splices.append(Splice(at, leave, enter))
        at += plan.fade
        play = enter + plan.fade


def _align(guide: Floats, leave: int, enter: int, misfit: float, plan: _Plan) -> tuple[int, float]:
    """Return where to enter so that the waveforms fit best, and by what part of a sample they do not.

    The best fit is between samples. What rounding leaves is carried to the next splice: so the errors
    cancel each other, instead of adding up to a wrong pitch.
    """
    reach = plan.decimation * 3 // 2
    lowest = max(0, enter - reach)
    around = guide[lowest : enter + reach + plan.fade]
    energy = np.correlate(np.square(around), np.ones(plan.fade), mode="valid")
    unlike = energy - 2 * np.correlate(around, guide[leave : leave + plan.fade], mode="valid")
    best = int(unlike.argmin())
    wanted = best + misfit
    if 0 < best < len(unlike) - 1:
        before, there, after = unlike[best - 1 : best + 2].tolist()
        curvature = before - 2 * there + after
        wanted += (before - after) / 2 / curvature if curvature > 0 else 0
    taken = min(max(round(wanted), 0), len(unlike) - 1)
    return lowest + taken, min(max(wanted - taken, -0.5), 0.5)


def _join(played: Audio, splices: list[Splice], plan: _Plan) -> Audio:
    """Play the input with the splices, each a fade of constant power.

    How much the power would sag halfway depends on how alike the two sides are; the gains make up for
    exactly that, so voices and noise keep their level alike.
    """
    result = np.empty((len(played), plan.length + plan.fade + plan.step), dtype=np.float32)
    faded = _fades(played, splices, plan.fade)
    position = play = 0
    for splice, fade in zip(splices, faded, strict=True):
        result[:, position : splice.at] = played[:, play : splice.leave]
        position = splice.at + plan.fade
        play = splice.enter + plan.fade
        result[:, splice.at : position] = fade
    rest = max(plan.length - position, 0)
    result[:, position : position + rest] = played[:, play : play + rest]
    return result[:, : plan.length]


def _fades(played: Audio, splices: list[Splice], fade: int) -> Audio:
    """Return what is played during the fades.

    Shape:
        the result: ``(splices, channels, fade)``.
    """
    time = np.arange(fade)
    places = np.array(splices, dtype=np.int64).reshape(-1, 3)
    leaving = played[:, places[:, 1, np.newaxis] + time]
    entering = played[:, places[:, 2, np.newaxis] + time]
    rise = (0.5 - 0.5 * np.cos(np.pi * (time + 0.5) / fade)).astype(np.float32)
    fall = 1 - rise
    together, left, entered = (
        np.einsum("cst,cst->cs", one, other, dtype=np.float64)
        for one, other in ((leaving, entering), (leaving, leaving), (entering, entering))
    )
    likeness = np.maximum(together, 0) / np.maximum(np.sqrt(left * entered), 1e-30)
    power = rise**2 + fall**2 + 2 * likeness.astype(np.float32)[..., np.newaxis] * (rise * fall)
    faded: Audio = (leaving * fall + entering * rise) / np.sqrt(power)
    return faded.swapaxes(0, 1)
