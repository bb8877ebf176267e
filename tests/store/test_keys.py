"""Keys: the contract's layout, and no way out of a prefix."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langaudio.errors import LangaudioError
from langaudio.store import keys


def test_keys_are_those_of_the_contract() -> None:
    assert keys.staging("demo", "run", "fr", "items.jsonl") == "staging/demo/run/fr/items.jsonl"
    assert keys.staging("demo", "run", "fr", "audio/ab") == "staging/demo/run/fr/audio/ab"
    assert keys.raw("fr", "0a", "mp3") == "raw/fr/0a.mp3"
    assert keys.quarantine("fr", "0a", "json") == "quarantine/fr/0a.json"
    assert keys.catalog("fr", "run") == "catalog/fr/run.parquet"
    assert keys.augmented("r1", "fr", "run", "index.parquet") == "augmented/r1/fr/run/index.parquet"


HOSTILE = st.one_of(
    st.text(max_size=300),
    # Of what is special in keys, paths and addresses a random text has little.
    st.text(alphabet="./\\\0%2eaF-_ \n\u2025\uff0e\uff0f", max_size=12),
    st.sampled_from(["..", "../..", "fr/../../x", "/", "//", "./", "a/..", "\ud800", "fr\n", "\u0661"]),
)


@given(HOSTILE)
def test_no_name_makes_a_key_outside_its_prefix(name: str) -> None:
    for make, prefix in (
        (lambda: keys.raw("fr", name, "mp3"), "raw/fr/"),
        (lambda: keys.raw(name, "0a", "mp3"), "raw/"),
        (lambda: keys.staging("demo", name, "fr", name), "staging/demo/"),
        (lambda: keys.catalog("fr", name), "catalog/fr/"),
        (lambda: keys.augmented(name, "fr", name, name), "augmented/"),
        (lambda: keys.augmented("r1", name, "run", name), "augmented/r1/"),
        (lambda: keys.quarantine("fr", name, name), "quarantine/fr/"),
        (lambda: keys.quarantine(name, "0a", "json"), "quarantine/"),
        (lambda: keys.forgotten("speaker", name), "forgotten/speaker/"),
        (lambda: keys.below("raw", name), "raw/"),
        (lambda: keys.staging(name, name, name, name), "staging/"),
        (lambda: keys.staging("demo", keys.run_id(name), "fr", name), "staging/demo/"),
    ):
        try:
            key = make()
        except LangaudioError:
            continue
        assert key.startswith(prefix)
        assert not {"", ".", ".."} & set(key.rstrip("/").split("/"))


@given(st.text(min_size=1, max_size=300))
def test_a_runs_name_becomes_a_key_or_a_clear_refusal(name: str) -> None:
    try:
        run = keys.run_id(name)
    except LangaudioError:
        assert not name.lstrip(".")
    else:
        assert keys.run_id(run) == run


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "a\x00b", "x" * 201])
def test_a_hostile_name_is_refused_with_the_allowed_characters(name: str) -> None:
    with pytest.raises(LangaudioError, match="letters, digits"):
        keys.raw(name, "0a", "mp3")
