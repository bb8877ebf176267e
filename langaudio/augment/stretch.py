"""Change the duration of a waveform, not its pitch, by splices where it resembles itself.

The waveform is played as it is. Only where playing has drifted too far from where it should be by then,
it jumps, by a lag at which the waveform resembles itself (for a voice: by whole pitch periods), and fades
over. A semitone of pitch shift takes about six such splices a second; everything between them is the
input's own samples, so neither pitch nor phase nor onsets can suffer there. The idea is that of Malah's
time-domain harmonic scaling (1979), Morita and Itakura's PICOLA (1986), and WSOLA (Verhelst and Roelands,
1993); what is added here is that each splice looks for its place as well as for its lag.

Where to splice is decided on samples that are rounded to whole numbers, whose sums are exact: the decision
does not depend on the order in which a processor adds, and is the same on all.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from langaudio.augment.compiled import compiled
from langaudio.augment.transform import Audio

Integers = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]

# What is played is never further than this from what should be: an onset moves by less than 10 ms.
_MAX_OFFSET_S = 0.0095

# Some multiple of every pitch period up to 19 ms (53 Hz) is in here.
_MIN_LAG_S = 0.004
_MAX_LAG_S = 0.019

_FADE_S = 0.010
_SIMILARITY_WINDOW_S = 0.020

# The search runs on a signal of about this rate: a voice's strongest harmonics are below 2 kHz.
_SEARCH_RATE = 4_000

# Bits of a sample of the search, its sign left out: sums of 150 products stay within 32 bits.
_SEARCH_BITS = 11
# Bits of the samples by which places are aligned: squares of differences stay within 32 bits.
_GUIDE_BITS = 14

# For each place, the best lag of each of so many equal parts of the range is a candidate.
_LAG_GROUPS = 3

# Dissimilarity is from 0 (the same) over 1 (unrelated) to 2 (inverted); these are on its scale.
_LONG_LAG_BONUS = 0.1
_ONSET_PENALTY = 2.0
_TOO_FAR_PENALTY = 4.0

# A dissimilarity and its lag's rank make one whole number, so that the lowest is found by a vector.
_COST_UNIT = 2**20
_MAX_LAGS = 2**7

# An onset: 5 ms with 8 times the power (9 dB) of the 20 ms before. Pitch pulses stay below that.
_ONSET_RATIO = 8
_ONSET_PAST_S = 0.020

# Power below this share of the mean (−40 dB) counts as silence, where any splice is good.
_SILENCE = 1e-4


class _Plan(NamedTuple):
    """The measures of one stretch, in samples unless said otherwise.

    Attributes:
        drift: samples that the place played gains, per output sample, on the place that should be.
        direction: of the jumps that make up for it: 1 forward, −1 back.
        decimation: samples per search sample.
        least_lag, lags: the shortest lag, in search samples, and how many there are.
        fade: length of a fade.
        step: distance of the places at which a splice may begin; two steps are a fade.
        window: length over which similarity is judged, in steps.
        past: length over which the level before an onset is judged, in steps.
    """

    length: int
    drift: float
    direction: int
    max_offset: float
    decimation: int
    least_lag: int
    lags: int
    fade: int
    step: int
    window: int
    past: int

    @classmethod
    def of(cls, played: int, length: int, sample_rate: int) -> _Plan:
        drift = 1 - played / length
        decimation = sample_rate // _SEARCH_RATE
        search_rate = sample_rate / decimation
        # During a fade at most half of what the offset may be is drifted away.
        fade_s = min(_FADE_S, _MAX_OFFSET_S / 2 / abs(drift))
        step = max(1, round(fade_s * search_rate / 2)) * decimation
        least_lag = round(_MIN_LAG_S * search_rate)
        return cls(
            length=length,
            drift=drift,
            direction=-1 if drift > 0 else 1,
            max_offset=_MAX_OFFSET_S * sample_rate,
            decimation=decimation,
            least_lag=least_lag,
            lags=round(_MAX_LAG_S * search_rate) + 1 - least_lag,
            fade=2 * step,
            step=step,
            window=max(2, round(_SIMILARITY_WINDOW_S * sample_rate / step)),
            past=max(1, round(_ONSET_PAST_S * sample_rate / step)),
        )

    @property
    def max_lag(self) -> int:
        return (self.least_lag + self.lags - 1) * self.decimation

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
    peaks = [max(float(channel.max()), -float(channel.min())) for channel in samples]
    loudest = int(np.argmax(peaks))
    guide, searched = _guide(played[loudest], 2.0 ** (_GUIDE_BITS - math.frexp(peaks[loudest])[1]), plan)
    costs, jumps = _candidates(guide, searched, plan)
    splices = _choose(guide, costs, jumps, plan)
    rise = (0.5 - 0.5 * np.cos(np.pi * (np.arange(plan.fade) + 0.5) / plan.fade)).astype(np.float32)
    return _join(played, splices, rise, plan)


@compiled
def _guide(played: Audio, scale: float, plan: _Plan) -> tuple[Integers, Integers]:
    """Return a channel in whole numbers of 14 bits, and the search signal in whole numbers of 11 bits."""
    guide = np.empty(len(played), np.int16)
    factor, highest = np.float32(scale), np.float32(2**_GUIDE_BITS - 1)
    for i in range(len(played)):
        guide[i] = np.int16(min(np.rint(played[i] * factor), highest))
    searched = np.zeros(len(played) // plan.step * plan.step // plan.decimation, np.int32)
    for shift in range(plan.decimation):
        for i in range(len(searched)):
            searched[i] += guide[i * plan.decimation + shift]
    most = max(searched.max(), -searched.min())
    bits = 0
    while most >> (_SEARCH_BITS + bits):
        bits += 1
    for i in range(len(searched)):
        searched[i] >>= bits
    return guide, searched


@compiled
def _candidates(guide: Integers, searched: Integers, plan: _Plan) -> tuple[Audio, Integers]:
    """Return what each splice would cost that may be chosen, and how far it would jump.

    The cost is how unlike the waveform at a place is what lies a lag away: the power of the difference by
    the sum of the powers, over a window that no lag exceeds, so that it has seen all that a splice would
    leave out or play twice. Long lags have a bonus, jumps over onsets a penalty.

    Shape:
        both: ``(places, lag groups)``; place k is at sample ``k * plan.step``.
    """
    step, lags, window = plan.step // plan.decimation, plan.lags, plan.window
    most = plan.least_lag + lags - 1
    blocks = len(searched) // step
    padded = np.zeros(len(searched) + 2 * most, np.int32)
    padded[most : most + len(searched)] = searched
    # Whole numbers far below 2⁵³: float64 holds them exactly, and a vector of it becomes one of float32.
    energy = np.zeros(len(padded) + 1)
    for i in range(len(padded)):
        energy[i + 1] = energy[i] + float(padded[i] * padded[i])
    # Ascending in memory whatever the direction, so that the loops over lags are a vector's.
    nearest, turn = (plan.least_lag, 1) if plan.direction > 0 else (-most, -1)
    ranks = np.arange(lags).astype(np.int32)[::turn].copy()
    bonus = (np.float32(_LONG_LAG_BONUS) * (plan.least_lag + ranks) / most).astype(np.float32)
    silence = np.float32(_SILENCE * window * step * energy[-1] / len(searched) + 1)
    onsets = _onsets(guide, plan)

    places = blocks - window + 1
    costs = np.full((places, _LAG_GROUPS), np.inf, np.float32)
    jumps = np.zeros((places, _LAG_GROUPS), np.int64)
    # Of each lag: what the products of every block add up to, and of the present window.
    products = np.zeros((window, lags), np.int32)
    likeness = np.zeros(lags, np.int32)
    keys = np.empty(lags, np.int32)
    for block in range(blocks):
        row = products[block % window]
        for lag in range(lags):
            likeness[lag] -= row[lag]
        begin = block * step
        _multiply(searched[begin : begin + step], padded[most + nearest + begin :], row)
        for lag in range(lags):
            likeness[lag] += row[lag]
        place = block - window + 1
        if place < 0:
            continue
        begin = most + place * step
        here = energy[begin + window * step] - energy[begin]
        first = energy[begin + nearest : begin + nearest + lags]
        last = energy[begin + nearest + window * step : begin + nearest + window * step + lags]
        for lag in range(lags):
            power = np.float32(here + last[lag] - first[lag])
            unlike = (power - np.float32(2 * likeness[lag])) / (power + silence) - bonus[lag]
            keys[lag] = np.int32(unlike * np.float32(_COST_UNIT)) * _MAX_LAGS + ranks[lag]
        for group in range(_LAG_GROUPS):
            lowest, end = group * lags // _LAG_GROUPS, (group + 1) * lags // _LAG_GROUPS
            if plan.direction < 0:
                lowest, end = lags - end, lags - lowest
            best = np.int32(2**31 - 1)
            for lag in range(lowest, end):
                best = min(best, keys[lag])
            jump = plan.direction * plan.decimation * (plan.least_lag + int(best) % _MAX_LAGS)
            jumps[place, group] = jump
            # What a splice leaves out or plays twice, the fade included.
            reach = -(-abs(jump) // plan.step)
            begin = place - (reach if jump < 0 else 0)
            end = min(place + 3 + (reach if jump > 0 else 0), len(onsets) - 1)
            if place * plan.step + jump >= 0:
                harm = _ONSET_PENALTY * (onsets[end] > onsets[max(begin, 0)])
                costs[place, group] = (best // _MAX_LAGS) / _COST_UNIT + harm
    return costs, jumps


@compiled
def _multiply(block: Integers, there: Integers, products: Integers) -> None:
    """Add up, for each lag, the products of a block with what lies the lag away."""
    lags = len(products)
    products[:] = 0
    for quarter in range(len(block) // 4):
        i = 4 * quarter
        one, two, three, four = block[i], block[i + 1], block[i + 2], block[i + 3]
        for lag in range(lags):
            near, far = one * there[i + lag], four * there[i + lag + 3]
            products[lag] += near + two * there[i + lag + 1] + three * there[i + lag + 2] + far
    for i in range(len(block) // 4 * 4, len(block)):
        for lag in range(lags):
            products[lag] += block[i] * there[i + lag]


@compiled
def _onsets(guide: Integers, plan: _Plan) -> Integers:
    """Return how many onsets there are before each step."""
    steps = len(guide) // plan.step
    energy = np.zeros(steps)
    total = 0.0
    for place in range(steps):
        block = guide[place * plan.step : (place + 1) * plan.step]
        whole = 0
        for i in range(len(block)):
            whole += int(block[i]) * int(block[i])
        energy[place] = whole
        total += energy[place]
    onsets = np.zeros(steps + 1, np.int64)
    before = 0.0
    for place in range(steps):
        quiet = before / plan.past + _SILENCE * total / steps + 1
        onsets[place + 1] = onsets[place] + (energy[place] > _ONSET_RATIO * quiet)
        before += energy[place]
        if place >= plan.past:
            before -= energy[place - plan.past]
    return onsets


@compiled
def _choose(guide: Integers, costs: Audio, jumps: Integers, plan: _Plan) -> Integers:
    """Return the splices, each the cheapest of those between the last one and where it gets too late.

    Shape:
        the result: ``(splices, 3)``; at output sample ``[0]`` a fade begins from input sample ``[1]`` on to
        input sample ``[2]`` on.
    """
    splices = np.empty((plan.length // plan.fade + 1, 3), np.int64)
    count = at = play = 0
    misfit = 0.0
    # The offset changes during the fade as well: it has to be small enough all the way.
    faded = plan.fade * plan.drift / 2
    allowed = plan.max_offset - abs(faded)
    while True:
        offset = play - at * (1 - plan.drift)
        room = (math.copysign(plan.max_offset, plan.drift) - offset) / plan.drift
        if at + room >= plan.length:
            return splices[:count]
        first = -(-play // plan.step)
        last = min(max(first + 1, int(play + room) // plan.step + 1), len(costs))
        leave = jump = -1
        cheapest = np.inf
        for place in range(first, last):
            for group in range(_LAG_GROUPS):
                landing = offset + jumps[place, group] + faded + (place * plan.step - play) * plan.drift
                cost = costs[place, group] + _TOO_FAR_PENALTY * (abs(landing) > allowed)
                if leave < 0 or cost < cheapest:
                    leave, jump, cheapest = place * plan.step, jumps[place, group], cost
        enter, misfit = _align(guide, leave, leave + jump, misfit, plan)
        at += leave - play
        splices[count] = at, leave, enter
        count += 1
        at += plan.fade
        play = enter + plan.fade


@compiled
def _align(guide: Integers, leave: int, enter: int, misfit: float, plan: _Plan) -> tuple[int, float]:
    """Return where to enter so that the waveforms fit best, and by what part of a sample they do not.

    The best fit is between samples. What rounding leaves is carried to the next splice: so the errors
    cancel each other, instead of adding up to a wrong pitch.
    """
    reach = plan.decimation * 3 // 2
    lowest = max(0, enter - reach)
    unlike = np.empty(min(enter + reach - lowest, len(guide) - lowest - plan.fade) + 1)
    wanted = guide[leave : leave + plan.fade]
    for lag in range(len(unlike)):
        there = guide[lowest + lag : lowest + lag + plan.fade]
        difference = 0
        for i in range(plan.fade):
            apart = int(there[i]) - int(wanted[i])
            difference += apart * apart
        unlike[lag] = difference
    best = int(unlike.argmin())
    fitting = best + misfit
    if 0 < best < len(unlike) - 1:
        before, after = unlike[best - 1], unlike[best + 1]
        curvature = before - 2 * unlike[best] + after
        if curvature > 0:
            fitting += (before - after) / 2 / curvature
    taken = min(max(int(np.rint(fitting)), 0), len(unlike) - 1)
    return lowest + taken, min(max(fitting - taken, -0.5), 0.5)


@compiled
def _join(played: Audio, splices: Integers, rise: Audio, plan: _Plan) -> Audio:
    """Play the input with the splices, each a fade of constant power.

    How much the power would sag halfway depends on how alike the two sides are; the gains make up for
    exactly that, so voices and noise keep their level alike.
    """
    channels = len(played)
    result = np.empty((channels, plan.length), np.float32)
    for channel in range(channels):
        source, target = played[channel], result[channel]
        position = play = 0
        for splice in range(len(splices)):
            at, leave, enter = splices[splice]
            target[position:at] = source[play : play + at - position]
            together, left, entered = 0.0, 0.0, 0.0
            for i in range(plan.fade):
                one, other = float(source[leave + i]), float(source[enter + i])
                together += one * other
                left += one * one
                entered += other * other
            likeness = np.float32(max(together, 0.0) / max(math.sqrt(left * entered), 1e-30))
            for i in range(min(plan.fade, plan.length - at)):
                fall = np.float32(1) - rise[i]
                power = rise[i] * rise[i] + fall * fall + np.float32(2) * likeness * rise[i] * fall
                target[at + i] = (source[leave + i] * fall + source[enter + i] * rise[i]) / np.sqrt(power)
            position, play = at + plan.fade, enter + plan.fade
        if position < plan.length:
            target[position:] = source[play : play + plan.length - position]
    return result
