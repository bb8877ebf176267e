"""From the bytes of a clip to the samples of a shard. No bucket, no state: it runs in any process."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from langaudio import audio
from langaudio.augment.recipe import Recipe


@dataclass(frozen=True)
class Job:
    """A clip and what is wanted of it.

    Attributes:
        clip_id: its id.
        speaker_id: its speaker's pseudonym, if there is one.
        copies: numbers of the renderings of each segment; 0 is the segment as it was spoken.
        data: the encoded recording.
        speech_regions: where there is speech, as the catalog has it; it is found out if the catalog does not
            say.
    """

    clip_id: str
    speaker_id: str | None
    copies: Sequence[int]
    data: bytes
    speech_regions: Sequence[int] | None = None


@dataclass(frozen=True)
class Sample:
    """One rendering of one segment, encoded.

    Attributes:
        clip_id: the clip that the segment is from.
        segment: its number within the clip.
        copy: number of the rendering; 0 is the segment as it was spoken.
        begin_s: where the segment begins in the clip, in seconds.
        end_s: where it ends.
        flac: the rendering.
        described: JSON with all of the above but the rendering, and with the steps that made it.
    """

    clip_id: str
    segment: int
    copy: int
    begin_s: float
    end_s: float
    flac: bytes
    described: bytes

    @property
    def name(self) -> str:
        return f"{self.clip_id}-{self.segment:03d}-{self.copy:02d}"


@dataclass(frozen=True)
class Renderer:
    """What is the same for all clips of a run."""

    language: str
    recipe: Recipe
    recipe_id: str
    seed: int

    def render(self, job: Job) -> Iterator[Sample]:
        """Yield the wanted renderings of each segment of speech of a clip.

        Raises:
            NotAudio: it does not decode.
        """
        samples = audio.decode(job.data).samples
        # Both ways give the same edges, so that a copy does not depend on what the catalog knows.
        edges = (
            audio.in_samples(audio.speech_regions(samples))
            if job.speech_regions is None
            else job.speech_regions
        )
        segments = audio.speech_segments(audio.from_samples(edges))
        for segment, (begin_s, end_s) in enumerate(segments):
            spoken = samples[round(begin_s * audio.SAMPLE_RATE) : round(end_s * audio.SAMPLE_RATE)]
            for copy in job.copies:
                rendered, steps = (
                    self.recipe.copy(spoken, audio.SAMPLE_RATE, self.seed, job.clip_id, copy, segment)
                    if copy
                    else (spoken, [])
                )
                place = {
                    "clip_id": job.clip_id,
                    "segment": segment,
                    "copy": copy,
                    "begin_s": begin_s,
                    "end_s": end_s,
                }
                described = place | {
                    "language": self.language,
                    "speaker_id": job.speaker_id,
                    "recipe_id": self.recipe_id,
                    "seed": self.seed,
                    "steps": steps,
                }
                yield Sample(
                    # Its values are of several types, each that of the field of its name.
                    **place,  # type: ignore[arg-type]
                    flac=audio.to_flac(rendered, audio.SAMPLE_RATE),
                    described=json.dumps(described, sort_keys=True).encode(),
                )
