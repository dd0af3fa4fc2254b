"""A model is named by itself, an alias, a version or a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from search.bundle.bundle import CARD
from search.errors import InputError, RefusedError, SurroundingsError
from search.registry.resolving import all_models, resolve
from tests.bundle.bundles import tiny
from tests.registry.models import add, registry, three


@pytest.fixture
def results(tmp_path: Path) -> Path:
    one = three(tmp_path / "results")
    one.move("candidate", 1, "")
    add(registry(tmp_path / "results", "rain"))
    return tmp_path / "results"


@pytest.mark.parametrize(
    ("text", "version", "alias"),
    [
        ("churn", 3, "production"),
        ("churn@production", 3, "production"),
        ("churn@candidate", 1, "candidate"),
        ("churn:2", 2, None),
        ("rain:1", 1, None),
    ],
)
def test_names_lead_to_versions(results: Path, text: str, version: int, alias: str | None) -> None:
    found = resolve(results, text)
    name = text.partition(":")[0].partition("@")[0]
    assert (found.name, found.version, found.alias) == (name, version, alias)
    assert found.root.resolve() == (results / "models" / name / str(version)).resolve()
    assert found.open().digest == found.digest
    assert found.text == f"{name}:{version}"


def test_a_folder_leads_to_itself(results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = tiny(tmp_path / "toy")
    monkeypatch.chdir(tmp_path)
    for text in ("toy", "./toy", str(tmp_path / "toy")):
        found = resolve(results, text)
        assert (found.name, found.version, found.alias, found.digest) == ("toy", None, None, None)
        assert found.open().digest == digest


def test_a_versions_folder_is_held_against_its_registry(results: Path) -> None:
    folder = results / "models" / "churn" / "2"
    found = resolve(results, str(folder))
    assert (found.name, found.version) == ("churn", 2)
    (folder / CARD).unlink()
    with pytest.raises(RefusedError, match=r"card.md is missing"):
        found.open()


def test_a_number_that_its_registry_does_not_know_is_no_version(results: Path) -> None:
    """A killed process left it, or somebody copied it there."""
    tiny(results / "models" / "churn" / "9")
    with pytest.raises(InputError, match="churn has no version 9") as told:
        resolve(results, str(results / "models" / "churn" / "9"))
    assert told.value.hint == "it has versions 1, 2, 3"


UNKNOWN = [
    ("churm", "no model 'churm'", "did you mean 'churn'?"),
    ("zzz", "no model 'zzz'", "known: churn, rain"),
    ("zzz:1", "no model 'zzz'", "known: churn, rain"),
    ("churn:9", "churn has no version '9'", "it has versions 1, 2, 3"),
    ("churn:0", "churn has no version '0'", "it has versions 1, 2, 3"),
    ("churn:", "churn has no version ''", "it has versions 1, 2, 3"),
    ("churn:two", "churn has no version 'two'", "it has versions 1, 2, 3"),
    ("churn:²", "churn has no version '²'", "it has versions 1, 2, 3"),
    ("churn:" + "9" * 5000, "churn has no version", "it has versions 1, 2, 3"),
    ("churn@prodction", "churn has no alias 'prodction'", "did you mean 'production'?"),
    ("churn@", "churn has no alias ''", "known: candidate, production"),
    ("rain", "rain has no alias 'production'", "it has no alias, and versions 1"),
    ("./nowhere", "no bundle in nowhere", "name a model"),
    ("../churn", "no bundle in ../churn", "name a model"),
    (".", "no bundle in .", "name a model"),
    ("", "a model name is", ""),
    ("a b", "a model name is", ""),
    ("churn@production:1", "a model name is", ""),
    ("\0", "a model name is", ""),
    ("/\0", "no bundle in", "name a model"),
]


@pytest.mark.parametrize(("text", "said", "hint"), UNKNOWN)
def test_what_is_not_there_is_told_with_what_is(results: Path, text: str, said: str, hint: str) -> None:
    with pytest.raises(InputError, match=said.replace("?", r"\?")) as told:
        resolve(results, text)
    assert told.value.hint.startswith(hint)


def test_the_folder_of_a_model_is_told_from_that_of_a_bundle(results: Path) -> None:
    with pytest.raises(InputError, match="is the folder of the model 'churn', and no bundle") as told:
        resolve(results, str(results / "models" / "churn"))
    assert told.value.hint == "name it churn, or a version's folder in it; it has versions 1, 2, 3"


def test_a_damaged_registry_is_told(results: Path) -> None:
    (results / "models" / "churn" / "registry.json").write_text("{}")
    for text in ("churn", "churn:1", str(results / "models" / "churn" / "1")):
        with pytest.raises(SurroundingsError, match="damaged"):
            resolve(results, text)
    assert all_models(results) == ["churn", "rain"]


def test_no_models_are_no_trouble(tmp_path: Path) -> None:
    assert all_models(tmp_path) == []
    with pytest.raises(InputError, match="no model 'churn'") as told:
        resolve(tmp_path, "churn")
    assert told.value.hint == "none is known"
