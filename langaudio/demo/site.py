"""The demo site: build a folder of clips, then serve it as audio-lingua served its own.

A site folder holds ``site.json`` and ``IMG/mp3/``, and nothing else.
"""

from langaudio.demo.corpus import build_from_corpus
from langaudio.demo.synthetic import build_synthetic
from langaudio.demo.web import app, serve

__all__ = ["app", "build_from_corpus", "build_synthetic", "serve"]
