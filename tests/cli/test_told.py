"""`sweep show --trial` says why a point was suggested, what came of what was expected, and why it went no further.

Mutations that turn these red: tell none of the sentences in text, or none in JSON; leave the sampler out of a study
that stores no reasons; reckon anew how a trial stands whose rule has said it; drop predictions from the tables.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from search.cli.main import main
from search.paths import StudyFolder
from search.records.study import read
from search.records.tables import trials
from search.study import attributes
from search.study.predicted import Predicted
from search.study.pruners import Pruning, Reached
from tests.cli.test_why import PROMOTE, results, shown, stored
from tests.records import studies

__all__ = ["results"]

FORETOLD = {"step": 3, "value": 0.46, "low": 0.4, "high": 0.55}
WHY = {"by": "near", "predicted": FORETOLD, "among": 600}
PRUNED = Pruning("auto", 9, 0.38, predicted=Predicted(27, 0.31, 0.27, 0.36), chance=0.02, best=0.25)
PROSPECT = "val_loss 0.38 now, 0.31 (0.27 to 0.36) expected at epoch 27, chance 2% to be better than all others, 0.25"


def told_of(results: Path, **kept: Any) -> None:
    """Store a study of two trials: one of no story, and one with these attributes."""
    plain, other = studies.trial("complete", [0.9, 0.8, 0.5]), kept.pop("made")
    other.system_attrs = {**other.system_attrs, **kept.pop("attrs")}
    studies.store(results, "s", [plain, other], sampler="auto", pruner="auto", max_epochs=27, **kept)


def json_of(number: int, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert main(["show", "s", "--trial", str(number), "--json"]) == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    return told


def text_of(number: int, capsys: pytest.CaptureFixture[str]) -> list[str]:
    assert main(["show", "s", "--trial", str(number)]) == 0
    return capsys.readouterr().out.splitlines()


def test_a_trial_says_why_it_was_suggested_and_what_came_of_it(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    went_on = [{"from": 1, "to": 3, "predicted": {**FORETOLD, "value": 0.41}, "at_trials": 41}]
    attrs = {attributes.WHY: WHY, attributes.WENT_ON: went_on}
    told_of(results, made=studies.trial("complete", [0.9, 0.7, 0.5]), attrs=attrs)
    lines, told = text_of(1, capsys), json_of(1, capsys)
    assert lines[2:4] == [
        (
            "  suggested by the model: the best of 600 candidates, drawn near a good trial, "
            "with val_loss 0.46 (0.4 to 0.55) expected at epoch 3 and 0.5 seen"
        ),
        (
            "  taken on from epoch 1 towards 3 instead of a new trial, when there were 41 trials, "
            "with val_loss 0.41 (0.4 to 0.55) expected at epoch 3 and 0.5 seen"
        ),
    ]
    assert told["suggested"] == {
        "by": "near",
        "study": None,
        "trial": None,
        "at_launch": False,
        "among": 600,
        "predicted": {**FORETOLD, "seen": 0.5},
        "went_on": [{**went_on[0], "predicted": {**FORETOLD, "value": 0.41, "seen": 0.5}}],
        "sampler": "auto",
        "why": [line.strip() for line in lines[2:4]],
    }


def test_where_no_reason_is_stored_the_sampler_is_named(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stored(results, trials=2, told=99, pruner="none")
    assert "  drawn at random" in text_of(0, capsys)
    told = json_of(0, capsys)["suggested"]
    assert (told["by"], told["sampler"], told["why"]) == (None, "random", ["drawn at random"])


def test_an_imported_study_does_not_know_who_suggested_it(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = studies.store(results, "s", [studies.trial("complete", [0.5])])
    launch = json.loads(folder.plan.read_text())
    folder.plan.write_text(json.dumps({**launch, "imported": {"tool": "optuna"}}))
    assert "suggested" not in " ".join(text_of(0, capsys))
    assert json_of(0, capsys)["suggested"]["sampler"] is None


@pytest.mark.parametrize(
    ("state", "attrs", "sentence"),
    [
        ("pruned", {attributes.PRUNING: PRUNED.to_json()}, f"pruned by auto at epoch 9: {PROSPECT}"),
        (
            "pruned",
            {attributes.PRUNING: PRUNED.to_json(), attributes.RUNG: {"rung": 9, "rests": True}},
            f"pruned by auto at epoch 9, where it rested to the end: {PROSPECT}",
        ),
        (
            "paused",
            {attributes.RUNG: Reached(9, rests=True, told=PRUNED).to_json()},
            f"rests at epoch 9: {PROSPECT}",
        ),
    ],
)
def test_a_trial_that_went_no_further_says_what_was_expected_of_it(
    state: str, attrs: dict[str, Any], sentence: str, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told_of(results, made=studies.trial(state, [0.9, 0.5, 0.38]), attrs=attrs)
    said, told = shown(1, capsys)
    assert said == [sentence]
    if state == "pruned":
        assert (told["pruning"]["chance"], told["pruning"]["predicted"]["step"]) == (0.02, 27)
    page = results / "s" / "report.html"
    assert main(["report", "s"]) == 0
    card = sentence.replace("pruned by auto at epoch 9", "pruned at epoch 9 by auto").replace(
        ", where it rested to the end", ""
    )
    assert card in page.read_text(encoding="utf-8")


def test_a_trial_that_waits_at_a_rung_of_another_rule_is_reckoned_anew(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stored(results, trials=9, told=4, pruner=PROMOTE)
    assert shown(2, capsys)[0][0].startswith("rests at rung 1: val_loss 0.2, cutoff 0, 3rd of 3 as of now")


def test_the_tables_hold_what_was_expected(results: Path) -> None:
    attrs = {attributes.WHY: WHY, attributes.PRUNING: PRUNED.to_json()}
    told_of(results, made=studies.trial("pruned", [0.9, 0.38]), attrs=attrs)
    frame = trials(read(StudyFolder(results / "s")))
    names = [name for name in frame.columns if name.startswith(("pruned.", "suggested."))]
    assert frame.loc[1, names].to_dict() == {
        "pruned.rule": "auto",
        "pruned.step": 9,
        "pruned.cutoff": None,
        "pruned.predicted": 0.31,
        "pruned.low": 0.27,
        "pruned.high": 0.36,
        "pruned.chance": 0.02,
        "suggested.by": "near",
        "suggested.step": 3,
        "suggested.predicted": 0.46,
        "suggested.low": 0.4,
        "suggested.high": 0.55,
    }
    assert frame.loc[0, names].isna().all()
