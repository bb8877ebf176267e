"""Plans, and the reports that stages give."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from langaudio import catalog, stages
from langaudio.augment import recipe
from langaudio.errors import LangaudioError
from langaudio.store import Store, keys
from tests.test_catalog import row


def test_a_plan_names_each_language_once_in_order() -> None:
    assert stages.plan(["ru", "fr", "ru"], "demo") == ["ru", "fr"]


@pytest.mark.parametrize(
    ("wanted", "source", "sentence"),
    [
        ([], "demo", "No language was chosen; demo has"),
        (["fr", "xx"], "demo", "'xx' is not a known language tag"),
        (["nl"], "audio_lingua", "has no"),
        (["fr"], "dmo", "did you mean 'demo'"),
    ],
)
def test_a_plan_that_cannot_be_is_refused_in_a_sentence(
    wanted: list[str], source: str, sentence: str
) -> None:
    with pytest.raises(LangaudioError, match=sentence):
        stages.plan(wanted, source)


def test_a_plan_of_ones_own_corpus_takes_what_it_has(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("path,language\na.wav,fr\nb.wav,nl\n")
    assert stages.plan([], "corpus", str(tmp_path)) == ["fr", "nl"]
    assert stages.plan(["nl"], "corpus", str(tmp_path)) == ["nl"]
    with pytest.raises(LangaudioError, match="The corpus has no 'de'; it has fr, nl"):
        stages.plan(["de"], "corpus", str(tmp_path))
    with pytest.raises(LangaudioError, match="No corpus is named"):
        stages.plan([], "corpus")


def test_the_known_are_those_of_the_corpus_that_the_source_has(store: Store) -> None:
    with pytest.raises(LangaudioError, match="bring one in"):
        stages.plan_known([], "audio_lingua")
    for language in ("fr", "nl"):
        catalog.write_part(store, language, "run", [row("aa", language=language)])
    assert stages.plan_known([], "audio_lingua") == ["fr"]
    assert stages.plan_known([], "demo") == ["fr", "nl"]
    assert stages.plan_known(["de"], "demo") == ["de"]


def test_the_lacking_are_those_that_the_corpus_has_not(store: Store) -> None:
    catalog.write_part(store, "fr", "run", [row("aa")])
    assert stages.plan_lacking(["de", "fr"], "demo") == ["de"]
    with pytest.raises(LangaudioError, match="has fr already"):
        stages.plan_lacking(["fr"], "demo")


def test_packaged_recipes_are_known_without_importing_the_transforms() -> None:
    assert stages.recipes() == recipe.names()


def test_a_recipe_is_read_before_anything_is_fetched_for_it(store: Store, tmp_path: Path) -> None:
    text = '[[transforms]]\ntransform = "PolarityInversion"\n'
    store.put("recipes/mine.toml", text.encode())
    (tmp_path / "mine.toml").write_text(text)
    stages.check_recipe("default")
    stages.check_recipe(f"s3://{store.bucket}/recipes/mine.toml")
    in_the_bucket = recipe.load(f"s3://{store.bucket}/recipes/mine.toml")
    assert in_the_bucket == recipe.load(tmp_path / "mine.toml")
    with pytest.raises(LangaudioError, match=r"no object 'recipes/absent\.toml'"):
        stages.check_recipe(f"s3://{store.bucket}/recipes/absent.toml")
    store.put("recipes/odd.toml", b"\xff")
    with pytest.raises(LangaudioError, match=r"recipes/odd\.toml' cannot be read"):
        stages.check_recipe(f"s3://{store.bucket}/recipes/odd.toml")
    with pytest.raises(LangaudioError, match="did you mean 'default'"):
        stages.check_recipe("defualt")


def test_a_report_is_short_json_with_what_the_stage_cost(store: Store) -> None:
    store.put(keys.staging("demo", "one", "fr", "items.jsonl"), b"")
    store.put(keys.staging("demo", "one", "fr", "_SUCCESS"), b"")
    report = stages.upload("fr", source="demo", run="one")
    assert report["published"] == 0
    assert report["seconds"] >= 0
    assert report["peak_rss_mib"] > 10
    assert len(json.dumps(report)) < 1000


def test_training_on_too_little_says_what_to_do(store: Store) -> None:
    with pytest.raises(LangaudioError, match="two are the least to tell apart"):
        stages.train(["fr"], recipe="default", epochs=1, seed=0)


def test_importing_the_stages_imports_nothing_heavy() -> None:
    heavy = ("torch", "scrapy", "mlflow", "boto3", "numba", "scipy")
    code = f"import sys, langaudio.stages; print([name for name in {heavy} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
