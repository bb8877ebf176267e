"""Who becomes champion, and why."""

from __future__ import annotations

from typing import Any

import pytest

from langaudio import registry
from langaudio.promote import decide, promote
from langaudio.registry import CHALLENGER, CHAMPION
from langaudio.settings import Settings
from langaudio.store import Store
from tests.train import spoken


@pytest.fixture
def bucket(store: Store, configured: Settings) -> Store:
    """Test clips: one of German, two of French. So who always hears French beats who always hears German."""
    spoken.prepare_mlflow(configured)
    rows = [row for row in spoken.corpus(["de", "fr"]) if row["split"] == "test"]
    spoken.publish(store, rows[1:])
    return store


def run(answer: str) -> str:
    return spoken.run_of(spoken.constant(["de", "fr"], answer))


def test_the_first_model_becomes_champion(bucket: Store) -> None:
    run_id = run("de")
    decision = promote(bucket, run_id)
    assert (decision.version, decision.alias, decision.promoted) == (1, CHAMPION, True)
    assert decision.reason == "There was no champion."
    assert registry.aliased(CHAMPION) == registry.Version(1, run_id)


def test_a_better_model_takes_its_place(bucket: Store) -> None:
    promote(bucket, run("de"))
    decision = promote(bucket, run("fr"))
    assert (decision.version, decision.alias, decision.promoted) == (2, CHAMPION, True)
    assert decision.reason == (
        "It is better than the champion (version 1): macro-F1 0.400 against 0.250 on 3 test clips."
    )


@pytest.mark.parametrize("answer", ["de", "fr"])
def test_a_model_that_is_worse_or_equal_stays_challenger(bucket: Store, answer: str) -> None:
    promote(bucket, run("fr"))
    decision = promote(bucket, run(answer))
    assert (decision.version, decision.alias, decision.promoted) == (2, CHALLENGER, False)
    assert decision.reason.startswith("It is not better than the champion (version 1): macro-F1 0.")
    champion, challenger = registry.aliased(CHAMPION), registry.aliased(CHALLENGER)
    assert champion is not None
    assert challenger is not None
    assert (champion.number, challenger.number) == (1, 2)


def test_promoting_twice_changes_nothing(bucket: Store) -> None:
    first, second = run("fr"), run("de")
    promote(bucket, first)
    assert promote(bucket, second) == promote(bucket, second)
    again = promote(bucket, first)
    assert (again.version, again.promoted) == (1, True)
    assert registry.register(run("fr")).number == 3


def test_a_run_measured_against_a_former_champion_is_measured_again(bucket: Store) -> None:
    former, late = run("de"), run("de")
    promote(bucket, former)
    assert not promote(bucket, late).promoted
    promote(bucket, run("fr"))
    assert "macro-F1 0.250 against 0.400" in promote(bucket, late).reason


def test_a_challenger_that_wins_later_is_called_challenger_no_more(bucket: Store) -> None:
    promote(bucket, run("fr"))
    late = run("de")
    promote(bucket, late)
    registry.remove_alias(CHAMPION)
    assert promote(bucket, late).promoted
    assert registry.aliased(CHALLENGER) is None


def evaluation(
    ours: float, theirs: float, our_languages: str = "de fr", their_languages: str = "de fr"
) -> dict[str, Any]:
    return {
        "languages": our_languages.split(),
        "macro_f1": 0.1,  # on other clips than the champion's, so it decides nothing
        "comparison": {
            "champion_version": 4,
            "champion_languages": their_languages.split(),
            "challenger": {"macro_f1": ours, "clips": 9},
            "champion": {"macro_f1": theirs, "clips": 9},
        },
    }


@pytest.mark.parametrize(
    ("measured", "promoted", "reason"),
    [
        (evaluation(0.8, 0.7), True, "It is better than"),
        (evaluation(0.7, 0.8), False, "It is not better than"),
        (evaluation(0.7, 0.7), False, "It is not better than"),
        (evaluation(0.7, 0.7, "de fr ru"), True, "It equals the champion (version 4) and also knows ru"),
        (evaluation(0.6, 0.7, "de fr ru"), False, "It is not better than"),
        (evaluation(0.9, 0.7, "de fr", "de fr ru"), False, "It does not know ru, which the champion"),
        (evaluation(0.9, 0.7, "de fr ru", "de fr zh"), False, "It does not know zh, which the champion"),
    ],
)
def test_the_rules(measured: dict[str, Any], promoted: bool, reason: str) -> None:
    decided, why = decide(measured)
    assert decided is promoted
    assert why.startswith(reason)
