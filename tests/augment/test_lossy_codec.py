import io

import numpy as np
import pytest
import soundfile

from langaudio.audio import mp3
from langaudio.augment import BadParameter, LossyCodec
from tests.augment.signals import level_db, noise, tone, vowel

RATES = [8_000, 9_999, 11_025, 12_000, 16_000, 22_050, 24_000, 30_000, 32_000, 44_100, 48_000]


def delay(heard, sent):
    size = 2 ** int(np.ceil(np.log2(2 * len(sent))))
    correlation = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(sent, size)))
    at = int(np.argmax(correlation))
    return at if at < size // 2 else at - size


@pytest.mark.parametrize("sample_rate", RATES)
@pytest.mark.parametrize("bitrate", [8.0, 24.0, 33.3, 64.0, 128.0, 320.0])
def test_speech_does_not_move_by_a_sample_at_any_rate_and_bitrate(sample_rate, bitrate):
    sent = vowel(130, 1, sample_rate) + noise(1, sample_rate, amplitude=1e-3)
    sent[:100] = 0
    heard = LossyCodec.apply(sent, sample_rate, {"bitrate": bitrate})
    assert heard.shape == sent.shape
    assert delay(heard, sent) == 0


@pytest.mark.parametrize("sample_rate", [8_000, 16_000, 32_000, 48_000])
@pytest.mark.parametrize("bitrate", [16.0, 64.0, 128.0, 175.0, 177.0, 192.0, 209.0, 224.0, 241.0, 320.0])
def test_the_level_stays(sample_rate, bitrate):
    sent = tone(440, 2, sample_rate)
    heard = LossyCodec.apply(sent, sample_rate, {"bitrate": bitrate})
    assert np.dot(heard, sent) / np.dot(sent, sent) == pytest.approx(1, abs=0.002)


def test_the_lower_the_bitrate_the_more_is_lost():
    sent = vowel(130, 3) + noise(3, amplitude=0.01)
    lost = [
        level_db(sent - LossyCodec.apply(sent, 16_000, {"bitrate": bitrate})) - level_db(sent)
        for bitrate in (8.0, 16.0, 32.0, 64.0, 128.0)
    ]
    assert lost == sorted(lost, reverse=True)
    assert lost[0] > -15
    assert lost[-1] < -19


@pytest.mark.parametrize("bitrate", [8, 16, 24, 32, 48, 64, 96, 128])
def test_the_codec_runs_at_the_bitrate_that_was_asked_for(bitrate):
    data = mp3.encode(noise(20), 16_000, bitrate)
    assert len(data) * 8 / 20 / 1000 == pytest.approx(bitrate, rel=0.02)
    assert soundfile.info(io.BytesIO(data)).samplerate == 16_000


def test_what_is_too_loud_for_the_codec_is_not_clipped():
    sent = tone(440, amplitude=4.0)
    heard = LossyCodec.apply(sent, 16_000, {"bitrate": 64.0})[1_000:-1_000]
    assert np.abs(heard).max() == pytest.approx(4, rel=0.02)


def test_silence_stays_silence():
    heard = LossyCodec(p=1)(np.zeros(16_000, np.float32), 16_000, np.random.default_rng(0))
    assert np.abs(heard).max() < 1e-6


def test_bitrates_are_drawn_evenly():
    samples, rng = tone(200, 0.02), np.random.default_rng(0)
    drawn = [LossyCodec(8, 64, p=1).draw(rng, samples, 16_000)["bitrate"] for _ in range(2_000)]
    counts, _ = np.histogram(drawn, bins=8, range=(8, 64))
    assert counts.sum() == 2_000
    assert np.all(np.abs(counts - 250) < 60)


@pytest.mark.parametrize("bad", [{"min_bitrate": 4}, {"max_bitrate": 500}, {"max_bitrate": "low"}])
def test_bad_bitrate_is_refused_with_its_range(bad):
    with pytest.raises(BadParameter, match="from 8 to 320"):
        LossyCodec(**bad)


@pytest.mark.parametrize("bitrate", [0, 7.9, 321.0, "64", None])
def test_bad_recorded_bitrate_is_refused(bitrate):
    with pytest.raises(BadParameter, match="is not allowed"):
        LossyCodec.apply(tone(200), 16_000, {"bitrate": bitrate})
