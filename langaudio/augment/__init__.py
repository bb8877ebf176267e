"""Audio augmentation for speech: transforms, their combinations, recipes, and the stage that runs them.

Every transform takes float32 samples, ``(samples,)`` or ``(channels, samples)``, at 8 to 48 kHz and a
``numpy.random.Generator``; what it drew is recorded, and `rebuild` makes the same copy from the record.
"""

from langaudio.augment.compose import Compose, OneOf, SomeOf
from langaudio.augment.high_pass_filter import HighPassFilter
from langaudio.augment.lossy_codec import LossyCodec
from langaudio.augment.pitch_scale import PitchScale
from langaudio.augment.polarity_inversion import PolarityInversion
from langaudio.augment.random_gain import RandomGain
from langaudio.augment.recipe import Recipe, load
from langaudio.augment.registry import TRANSFORMS, from_dict, rebuild
from langaudio.augment.room_reverb import RoomReverb
from langaudio.augment.speed_perturbation import SpeedPerturbation
from langaudio.augment.telephone_band import TelephoneBand
from langaudio.augment.time_mask import TimeMask
from langaudio.augment.transform import BadAudio, BadParameter, Transform
from langaudio.augment.white_noise import WhiteNoise

__all__ = [
    "TRANSFORMS",
    "BadAudio",
    "BadParameter",
    "Compose",
    "HighPassFilter",
    "LossyCodec",
    "OneOf",
    "PitchScale",
    "PolarityInversion",
    "RandomGain",
    "Recipe",
    "RoomReverb",
    "SomeOf",
    "SpeedPerturbation",
    "TelephoneBand",
    "TimeMask",
    "Transform",
    "WhiteNoise",
    "from_dict",
    "load",
    "rebuild",
]
