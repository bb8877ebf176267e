"""What is told of a run."""

from __future__ import annotations

from langaudio.outcome import LanguageOutcome, Outcome

QUIET = LanguageOutcome("fr")


def test_a_run_without_news_says_nothing_new() -> None:
    outcome = Outcome("night", [QUIET, LanguageOutcome("ru")], model="Nothing is trained.")
    assert outcome.message == "night: Nothing new.\nNothing new of: fr, ru.\nNothing is trained."
    assert not outcome.in_trouble


def test_counts_are_told_of_what_has_news() -> None:
    news = LanguageOutcome("de", new=12, changed=1, gone=3, quarantined=2, clips=118)
    outcome = Outcome("night", [QUIET, news])
    assert outcome.headline == "All well: 2 languages."
    assert "\nde: 12 new, 1 changed, 3 gone, 2 quarantined.\nNothing new of: fr." in outcome.message
    assert not outcome.in_trouble


def test_a_failed_language_is_named_with_its_reason() -> None:
    outcome = Outcome("night", [QUIET, LanguageOutcome("it", failure="crawl failed: It answers 404.")])
    assert outcome.headline == "1 of 2 languages failed: it."
    assert "\nit: crawl failed: It answers 404.\n" in outcome.message
    assert outcome.in_trouble
    assert outcome.failed == ["it"]


def test_a_language_that_failed_after_it_had_news_has_both_lines() -> None:
    outcome = Outcome("night", [LanguageOutcome("it", new=3, failure="augment failed: No speech.")])
    assert "it: augment failed: No speech.\nit: 3 new, 0 changed, 0 gone, 0 quarantined." in outcome.message


def test_a_task_of_all_languages_that_failed_comes_first() -> None:
    outcome = Outcome("night", [QUIET], {"check": "1 row_without_object."}, "")
    assert outcome.message.splitlines()[:2] == [
        "night: check failed.",
        "check failed: 1 row_without_object.",
    ]
    assert outcome.in_trouble


def test_a_count_that_drops_is_a_warning() -> None:
    outcome = Outcome("night", [LanguageOutcome("ru", new=1, gone=4, clips=114)])
    assert "Warning: ru has fewer clips: 4 are gone, 1 are new; 114 are left." in outcome.message
    assert outcome.in_trouble
    assert outcome.headline == "All well: 1 language."
