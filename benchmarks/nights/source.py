"""A source for measurements: the replica of audio-lingua, with a list for every language of the registry."""

from __future__ import annotations

import os

from langaudio.crawl.sources import Source
from langaudio.languages import LANGUAGES

SECTIONS = {code: str(number) for number, code in enumerate(sorted(LANGUAGES), 1)}

REPLICA = Source(
    "replica",
    "A replica for measurements",
    spider="langaudio.crawl.spiders.audio_lingua.AudioLinguaSpider",
    sections=SECTIONS,
    own_roots=lambda: [os.environ["REPLICA_URL"]],
)
