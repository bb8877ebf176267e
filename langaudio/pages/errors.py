"""Errors of those who ask for what is not there."""

from langaudio.errors import LangaudioError


class NotThere(LangaudioError):
    """What was asked for is not in the corpus, or not in the registry."""
