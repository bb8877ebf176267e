"""What came of a run over many languages, in words: for the log, and for whoever is told of it.

It knows neither Airflow nor a bucket: counts, failures and decisions in, a message out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class LanguageOutcome:
    """What came of one language.

    Attributes:
        language: its tag.
        new: clips that were published.
        changed: known clips of which the source says something new.
        gone: clips that the source has lost.
        quarantined: clips that were refused.
        clips: how many the source still has; None if nobody counted.
        failure: the stage that failed and why; empty if none did.
    """

    language: str
    new: int = 0
    changed: int = 0
    gone: int = 0
    quarantined: int = 0
    clips: int | None = None
    failure: str = ""

    @property
    def has_news(self) -> bool:
        return bool(self.new or self.changed or self.gone or self.quarantined)

    @property
    def counts(self) -> str:
        return f"{self.new} new, {self.changed} changed, {self.gone} gone, {self.quarantined} quarantined"

    @property
    def dropped(self) -> bool:
        """Whether the source has fewer clips than before."""
        return self.gone > self.new


@dataclass(frozen=True)
class Outcome:
    """What came of a run.

    Attributes:
        run: its name, for people.
        languages: what came of each.
        failures: task → why it failed, of the tasks that are none of a language's.
        model: what became of the model, or why none was trained.
    """

    run: str
    languages: Sequence[LanguageOutcome]
    failures: dict[str, str] = field(default_factory=dict)
    model: str = ""

    @property
    def failed(self) -> list[str]:
        """The languages that failed."""
        return [one.language for one in self.languages if one.failure]

    @property
    def in_trouble(self) -> bool:
        """Whether a person should look."""
        return bool(self.failed or self.failures or any(one.dropped for one in self.languages))

    @property
    def headline(self) -> str:
        """One sentence."""
        failed = self.failed
        if self.failures:
            return f"{', '.join(self.failures)} failed."
        if failed:
            return f"{len(failed)} of {len(self.languages)} languages failed: {', '.join(failed)}."
        if not any(one.has_news for one in self.languages):
            return "Nothing new."
        return f"All well: {len(self.languages)} language{'' if len(self.languages) == 1 else 's'}."

    @property
    def message(self) -> str:
        """Everything, a line each; languages of which there is nothing to say share one."""
        return "\n".join([f"{self.run}: {self.headline}", *self._lines()])

    def _lines(self) -> Iterator[str]:
        for task, why in self.failures.items():
            yield f"{task} failed: {why}"
        for one in self.languages:
            if one.failure:
                yield f"{one.language}: {one.failure}"
        for one in self.languages:
            if one.has_news:
                yield f"{one.language}: {one.counts}."
        quiet = [one.language for one in self.languages if not one.has_news and not one.failure]
        if quiet:
            yield f"Nothing new of: {', '.join(quiet)}."
        for one in self.languages:
            if one.dropped:
                left = "" if one.clips is None else f"; {one.clips} are left"
                moved = f"{one.gone} are gone, {one.new} are new{left}"
                yield f"Warning: {one.language} has fewer clips: {moved}."
        if self.model:
            yield self.model
