"""Asking a trained network: what ``langaudio identify`` and ``langaudio timeline`` run.

Nothing here needs torch, Lightning or MLflow's client; numpy, onnxruntime, soundfile and soxr are enough.
"""

from langaudio.serve.champion import load_champion, load_model
from langaudio.serve.identification import Identification, identify
from langaudio.serve.model import Model
from langaudio.serve.spans import Span, Timeline, timeline

__all__ = [
    "Identification",
    "Model",
    "Span",
    "Timeline",
    "identify",
    "load_champion",
    "load_model",
    "timeline",
]
