"""Who becomes champion, and why; and the way back."""

from __future__ import annotations

import dataclasses
import shutil

import pytest

from langaudio import registry
from langaudio.card import CARD
from langaudio.errors import LangaudioError
from langaudio.evaluate import Comparison, Estimate, Evaluation, Scores, evaluate
from langaudio.promote import Answer, decide, promote, rollback
from langaudio.proposal import proposal
from langaudio.registry import CHALLENGER, CHAMPION
from langaudio.settings import Settings
from langaudio.store import Store
from tests.train import spoken


@pytest.fixture
def bucket(store: Store, configured: Settings) -> Store:
    """Test clips of four Germans: who always hears German is always right."""
    spoken.prepare_mlflow(configured)
    spoken.publish(
        store,
        [spoken.clip(spoken.said("de", voice), "de", f"de-{voice}", "test") for voice in range(4)],
    )
    return store


def run(answer: str, languages: str = "de fr") -> str:
    return spoken.run_of(spoken.constant(languages.split(), answer, sure=8.0))


def test_the_first_model_becomes_champion(bucket: Store) -> None:
    run_id = run("fr")
    decision = promote(bucket, run_id)
    assert (decision.version, decision.alias, decision.promoted) == (1, CHAMPION, True)
    assert decision.reason == "There was no champion."
    assert registry.aliased(CHAMPION) == registry.Version(1, run_id)


def test_a_better_model_takes_its_place(bucket: Store) -> None:
    promote(bucket, run("fr"))
    decision = promote(bucket, run("de"))
    assert (decision.version, decision.alias, decision.promoted) == (2, CHAMPION, True)
    assert decision.reason == (
        "It is better than the champion (version 1): macro-F1 1.000 against 0.000, a difference of +1.000 "
        "(+1.000 to +1.000), on 4 test clips of 4 speakers."
    )


@pytest.mark.parametrize("answer", ["de", "fr"])
def test_a_model_that_is_worse_or_equal_stays_challenger(bucket: Store, answer: str) -> None:
    promote(bucket, run("de"))
    decision = promote(bucket, run(answer))
    assert (decision.version, decision.alias, decision.promoted) == (2, CHALLENGER, False)
    assert decision.reason.startswith("It is not better than the champion (version 1): macro-F1 ")
    champion, challenger = registry.aliased(CHAMPION), registry.aliased(CHALLENGER)
    assert champion is not None
    assert challenger is not None
    assert (champion.number, challenger.number) == (1, 2)


def test_an_equal_model_with_more_languages_takes_its_place(bucket: Store) -> None:
    promote(bucket, run("de"))
    decision = promote(bucket, run("de", "de fr ru"))
    assert decision.promoted
    assert "equals the champion (version 1) and also knows ru" in decision.reason


def test_promoting_twice_changes_nothing(bucket: Store) -> None:
    first, second = run("de"), run("fr")
    promote(bucket, first)
    assert promote(bucket, second) == promote(bucket, second)
    again = promote(bucket, first)
    assert (again.version, again.promoted) == (1, True)
    assert registry.register(run("de")).number == 3


def test_a_run_measured_against_a_former_champion_is_measured_again(bucket: Store) -> None:
    former, late = run("fr"), run("fr")
    promote(bucket, former)
    assert not promote(bucket, late).promoted
    promote(bucket, run("de"))
    assert "macro-F1 0.000 against 1.000" in promote(bucket, late).reason


def test_a_challenger_that_wins_later_is_called_challenger_no_more(bucket: Store) -> None:
    promote(bucket, run("de"))
    late = run("fr")
    promote(bucket, late)
    registry.remove_alias(CHAMPION)
    assert promote(bucket, late).promoted
    assert registry.aliased(CHALLENGER) is None


def test_every_version_has_its_card(bucket: Store) -> None:
    for number, run_id in enumerate((run("de"), run("fr")), 1):
        promote(bucket, run_id)
        card = (registry.read_file(run_id, CARD) or b"").decode()
        assert card.startswith("---\nlanguage: ")
        assert f"# {registry.settings().bucket}, version {number}" in card
        described = registry._client().get_model_version(registry.settings().bucket, str(number)).description
        assert described[:1000] == card[:1000]
        assert len(described) <= 5000


def test_a_person_may_approve_what_the_rules_would_not(bucket: Store) -> None:
    promote(bucket, run("de"))
    late = run("fr")
    evaluate(bucket, late)
    decision = promote(bucket, late, Answer(granted=True, by="ada"))
    assert (decision.alias, decision.promoted) == (CHAMPION, True)
    assert decision.reason.startswith("ada approved it. By the rules: It is not better than the champion")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Answer(granted=False, by="ada"), "ada refused it."),
        (Answer(granted=False), "nobody answered in time, and no answer is no promotion."),
    ],
)
def test_what_nobody_approves_is_not_promoted(bucket: Store, answer: Answer, why: str) -> None:
    promote(bucket, run("fr"))
    late = run("de")
    evaluate(bucket, late)
    decision = promote(bucket, late, answer)
    assert (decision.alias, decision.promoted) == (CHALLENGER, False)
    assert decision.reason.startswith(f"Not promoted: {why} By the rules: It is better than the champion")


def test_an_approval_beside_a_former_champion_is_none_beside_todays(bucket: Store) -> None:
    promote(bucket, run("fr"))
    late = run("de")
    evaluate(bucket, late)
    promote(bucket, run("de", "de fr ru"))
    decision = promote(bucket, late, Answer(granted=True, by="ada"))
    assert not decision.promoted
    assert "another model became champion while the answer was awaited" in decision.reason


def test_a_person_is_shown_the_numbers_of_both_and_the_rules(bucket: Store) -> None:
    first = run("fr")
    evaluate(bucket, first)
    assert "| | challenger | no champion yet |" in proposal(first)
    promote(bucket, first)
    late = run("de", "de fr ru")
    evaluate(bucket, late)
    shown = proposal(late)
    assert shown.startswith(
        "By the rules it **would be promoted**: It is better than the champion (version 1)"
    )
    assert "| | challenger | champion (version 1) |" in shown
    assert "| macro-F1 | 1.000 (1.000 to 1.000) | 0.000 (0.000 to 0.000) |" in shown
    assert "| languages | 3 | 2 |" in shown
    assert "| German (de) | 1.000 (1.000 to 1.000) | +1.000 (+1.000 to +1.000) |" in shown
    assert f"Confusion matrix and curves are artifacts of run {late}" in shown


def test_one_goes_back_to_the_last_champion_before(bucket: Store) -> None:
    for answer, languages in (("fr", "de fr"), ("de", "de fr"), ("fr", "de fr"), ("de", "de fr ru")):
        promote(bucket, run(answer, languages))  # the third stays challenger
    for number in (2, 1):
        decision = rollback()
        assert (decision.version, decision.alias) == (number, CHAMPION)
        champion = registry.aliased(CHAMPION)
        assert champion is not None
        assert champion.number == number
    with pytest.raises(LangaudioError, match="No version before 1 was champion; name one to go to: 1, 2"):
        rollback()
    assert rollback(4).reason == "Somebody went back to it: version 1 was champion."


def test_a_version_that_learned_from_what_is_forgotten_is_not_gone_back_to_unasked(bucket: Store) -> None:
    runs = [run("fr"), run("de"), run("de", "de fr ru")]
    for run_id in runs:
        promote(bucket, run_id)
    registry.mark(runs[1], registry.FORGOTTEN, "3")
    assert rollback().version == 1


def test_what_cannot_be_gone_back_to_is_told(bucket: Store, configured: Settings) -> None:
    with pytest.raises(LangaudioError, match="no champion to go back from; versions are: none"):
        rollback()
    first = run("de")
    promote(bucket, first)
    with pytest.raises(LangaudioError, match="There is no version 7; there are: 1"):
        rollback(7)
    promote(bucket, run("de", "de fr ru"))
    folder = registry.model_folder(first)
    (folder / "model.onnx").write_bytes(b"damaged")
    with pytest.raises(LangaudioError, match="no model that can be loaded"):
        rollback()
    champion = registry.aliased(CHAMPION)
    assert champion is not None
    assert champion.number == 2
    shutil.rmtree(folder)
    assert rollback().version == 1


def estimate(value: float, width: float = 0.05) -> Estimate:
    return Estimate(value, value - width, value + width)


HONEST = estimate(0.03)


def evaluation(
    gain: Estimate | None = None,
    recall_gains: dict[str, Estimate] | None = None,
    our_languages: str = "de fr",
    their_languages: str = "de fr",
    calibration_error: Estimate = HONEST,
    latency_ms: float = 15.0,
) -> Evaluation:
    ours = Scores(90, 30, estimate(0.8), estimate(0.8), estimate(0.1), calibration_error)
    theirs = dataclasses.replace(ours, macro_f1=estimate(0.8 - gain.value)) if gain else None
    return Evaluation(
        run_id="a run",
        languages=our_languages.split(),
        clips_without_speech=0,
        scores=ours,
        per_language={},
        confusion_matrix=[],
        reliability=[],
        by_duration={},
        by_source={},
        by_sex={},
        rejected=0.0,
        accuracy_of_accepted=0.8,
        latency_ms=latency_ms,
        comparison=Comparison(
            champion_version=4,
            champion_run_id="another",
            champion_languages=their_languages.split(),
            languages=[],
            challenger=ours if gain else None,
            champion=theirs,
            macro_f1_gain=gain,
            recall_gains=recall_gains,
        ),
    )


BETTER, UNCERTAIN, WORSE = Estimate(0.1, 0.02, 0.18), Estimate(0.02, -0.06, 0.1), Estimate(-0.1, -0.18, -0.02)


@pytest.mark.parametrize(
    ("measured", "promoted", "reasons"),
    [
        (evaluation(BETTER), True, ["better than the champion (version 4): macro-F1 0.800 against 0.700"]),
        (evaluation(UNCERTAIN), False, ["not better than", "a difference of +0.020 (-0.060 to +0.100)"]),
        (evaluation(WORSE), False, ["It is not better than"]),
        (evaluation(UNCERTAIN, our_languages="de fr ru"), True, ["equals the champion", "also knows ru"]),
        (evaluation(WORSE, our_languages="de fr ru"), False, ["It is not better than"]),
        (evaluation(BETTER, their_languages="de fr ru"), False, ["It does not know ru, which the champion"]),
        (evaluation(), False, ["No test clip is in a language that it and the champion"]),
        (
            evaluation(BETTER, {"fr": estimate(-0.2)}),
            False,
            ["lower by more than 0.1 for fr, by 0.200 ("],
        ),
        # Less than the margin, and more than it by chance alone.
        (evaluation(BETTER, {"fr": estimate(-0.09), "de": estimate(-0.2, 0.3)}), True, ["It is better"]),
        (
            evaluation(BETTER, calibration_error=estimate(0.18)),
            False,
            ["Its calibration error is 0.180 (0.130 to 0.230); at most 0.1 is allowed"],
        ),
        (evaluation(BETTER, calibration_error=estimate(0.12)), True, ["It is better"]),
        (evaluation(BETTER, latency_ms=140.0), False, ["140.0 ms to answer on ten seconds; at most 100 ms"]),
        (evaluation(WORSE, latency_ms=140.0), False, ["It is not better than", "140.0 ms"]),
    ],
)
def test_the_rules(measured: Evaluation, promoted: bool, reasons: list[str]) -> None:
    decided, why = decide(measured, Settings())
    assert decided is promoted
    assert all(reason in why for reason in reasons), why
