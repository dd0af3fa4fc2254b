"""Why a trial was pruned, rests or went on: the figures in each sentence are those of the rule that decided."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from search.cli.main import main
from search.cli.why import why
from search.paths import StudyFolder
from search.study import pruners
from search.study.choice import Choice
from search.study.owner import StudyOwner
from search.study.pruners import Pruning
from search.study.record import TrialRecord
from search.study.runs import Run
from search.trial import Ending, Outcome, Progress, Verdict
from tests.study.studies import flat_space
from tests.study.test_promote import plan_of


def trial(number: int, reports: dict[int, float], state: TrialState = TrialState.RUNNING) -> FrozenTrial:
    value = list(reports.values())[-1] if state is TrialState.COMPLETE else None
    made = create_trial(state=state, value=value, intermediate_values=reports)
    made.number = number
    return made


def verdict_of(text: str, direction: str) -> Pruning:
    """Let a rule prune a poor trial after nine good ones."""
    rule = pruners.make(Choice.parse(text), directions=[direction], seed=0, max_epochs=27)
    study, sign = optuna.create_study(), 1 if direction == "minimize" else -1
    for number in range(9):
        reports = {step: sign * (0.1 + number / 100 + step / 1000) for step in range(1, 10)}
        for last in (1, 3, 9):
            rule.judge(study, trial(number, {step: value for step, value in reports.items() if step <= last}))
        rule.settle(trial(number, reports, TrialState.COMPLETE))
    for last in range(1, 10):
        poor = trial(9, {step: sign * (0.5 + step / 100) for step in range(1, last + 1)})
        judged = rule.judge(study, poor)
        if isinstance(judged, Pruning):
            return judged
    raise AssertionError(f"{text} prunes nobody")


@pytest.mark.parametrize(
    ("pruner", "direction", "sentence"),
    [
        (
            "asha",
            "minimize",
            (
                "pruned by asha at epoch 1 (rung 1): val_loss 0.51, cutoff 0.121, 10th of 10; "
                "it needed 0.121 or less, the best 3 of 10"
            ),
        ),
        (
            "asha",
            "maximize",
            (
                "pruned by asha at epoch 1 (rung 1): val_loss -0.51, cutoff -0.121, 10th of 10; "
                "it needed -0.121 or more, the best 3 of 10"
            ),
        ),
        (
            "median",
            "minimize",
            (
                "pruned by median at epoch 1: val_loss 0.51 at best, cutoff 0.141, 10th beside 9 completed; "
                "it needed 0.141 or less"
            ),
        ),
        (
            "percentile:percentile=10",
            "minimize",
            (
                "pruned by percentile at epoch 1: val_loss 0.51 at best, cutoff 0.109, 10th beside 9 completed; "
                "it needed 0.109 or less"
            ),
        ),
        (
            "patient:patience=1",
            "minimize",
            (
                "pruned by patient at epoch 3: the best of its last reports was val_loss 0.52; "
                "it needed 0.51 or less, as it had before"
            ),
        ),
        (
            "wilcoxon",
            "minimize",
            (
                "pruned by wilcoxon at epoch 4: worse than the best trial with p 0.0625 over 4 epochs; "
                "it needed p 0.1 or more"
            ),
        ),
    ],
)
def test_a_pruning_says_what_it_would_have_taken(pruner: str, direction: str, sentence: str) -> None:
    told = verdict_of(pruner, direction)
    record = TrialRecord(9, "pruned", {}, pruning=told.to_json())
    assert why(record, ["val_loss"], [direction], ()) == [sentence]


def test_hyperband_speaks_of_the_trials_own_bracket() -> None:
    rule = pruners.make(Choice("hyperband"), directions=["minimize"], seed=0, max_epochs=27)
    study = optuna.create_study()
    own = [number for number in range(99) if rule.rungs_of(number) == [1, 3, 9]][:4]
    for place, number in enumerate(own):
        judged = rule.judge(study, trial(number, {1: float(place)}))
    assert isinstance(judged, Pruning)
    record = TrialRecord(own[-1], "pruned", {}, pruning=judged.to_json())
    assert why(record, ["val_loss"], ["minimize"], ()) == [
        "pruned by hyperband at epoch 1 (rung 1): val_loss 3, cutoff 0, 4th of 4; it needed 0 or less, the best 1 of 4"
    ]


@pytest.mark.parametrize(
    ("pruning", "sentence"),
    [
        (Pruning("asha", 1, float("nan"), rung=1), "pruned by asha at epoch 1 (rung 1): val_loss was not a number"),
        (
            Pruning("patient asha", 3, 0.53, 0.2, 4, 6, 3, keep=2),
            (
                "pruned by patient asha at epoch 3 (rung 3): val_loss 0.53, cutoff 0.2, 4th of 6; "
                "it needed 0.2 or less, the best 2 of 6"
            ),
        ),
        (
            Pruning("asha", 3, 0.4, None, 2, 2, 3, keep=0),
            "pruned by asha at epoch 3 (rung 3): val_loss 0.4, 2nd of 2; of 2 none had earned to go on",
        ),
    ],
)
def test_a_pruning_that_is_stored_is_told(pruning: Pruning, sentence: str) -> None:
    assert why(TrialRecord(0, "pruned", {}, pruning=pruning.to_json()), ["val_loss"], ["minimize"], ()) == [sentence]


def test_a_pruning_of_an_earlier_version_is_told_as_far_as_it_goes() -> None:
    pruning = {"rule": "asha", "step": 3, "value": 0.9, "cutoff": 0.5, "rank": 4, "of": 4, "rung": 3}
    told = why(TrialRecord(0, "pruned", {}, pruning=pruning), ["val_loss"], ["minimize"], ())
    assert told == ["pruned by asha at epoch 3 (rung 3): val_loss 0.9, cutoff 0.5, 4th of 4; it needed 0.5 or less"]


# --- from a study on the disk ---

STOP, PROMOTE = "asha", "asha:promote=true"


def stored(results: Path, *, trials: int, told: int, pruner: str, metrics: tuple[str, ...] = ("val_loss",)) -> None:
    """Store a study whose trial n comes to a loss of n / 10, as far as `told` trials."""
    directions = ("minimize", "maximize")[: len(metrics)]
    pair = {"sampler": "random", "pruner": pruner}
    plan = plan_of(results, trials=trials, max_epochs=9, metrics=metrics, directions=directions, **pair)
    folder = StudyFolder.of(results, "s")
    folder.root.mkdir(parents=True)
    folder.plan.write_text(json.dumps({"schema": 1, "plan": plan.to_json()}))
    owner = StudyOwner.open(plan, folder.root, flat_space, slots=1, run=Run("r"))
    owner.prepare({})
    for turn in range(told):
        asked = owner.ask(f"slot:{turn}").spec
        if asked is None:
            break
        number, token = asked.number, f"token {turn}"
        owner.begin(number, token)
        held = owner._hands.get(number)
        assert held is not None
        for epoch in range(held.step + 1, 10):
            measured = {"val_loss": number / 10, "speed": -number / 10, "other": 1.0}
            verdict = owner.report(number, token, Progress(epoch, measured, epoch))
            if verdict is not Verdict.CONTINUE:
                break
        ending = {Verdict.CONTINUE: Ending.COMPLETE, Verdict.PAUSE: Ending.PAUSED, Verdict.PRUNE: Ending.PRUNED}
        owner.tell(number, token, Outcome(ending[verdict], epoch, measured, units=epoch, text="full budget"))
    owner.finish()
    owner.close()


def shown(number: int, capsys: pytest.CaptureFixture[str]) -> tuple[list[str], dict[str, Any]]:
    """Return what `show --trial` says below the values of a trial, and as JSON."""
    assert main(["show", "s", "--trial", str(number)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert main(["show", "s", "--trial", str(number), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [f"  {line}" for line in told["why"]] == [line for line in lines if line[2:] in told["why"]]
    return told["why"], told


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SWEEP_RESULTS", raising=False)
    return tmp_path / "results"


def test_a_complete_trial_tells_its_places_at_the_rungs(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stored(results, trials=6, told=99, pruner=STOP)
    said, told = shown(0, capsys)
    assert said == ["passed rungs 1 (cutoff 0.1, 1st of 6), 3 (cutoff 0, 1st of 1): its places as of now"]
    assert [(one["rung"], one["rank"], one["of"]) for one in told["rungs"]] == [(1, 1, 6), (3, 1, 1)]


def test_a_resting_trial_tells_what_it_waits_for(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stored(results, trials=9, told=2, pruner=PROMOTE)
    assert shown(1, capsys)[0] == [
        (
            "rests at rung 1: val_loss 0.1, 2nd of 2 as of now; "
            "it waits for more trials to come there: of 2 none goes on yet"
        )
    ]


def test_a_resting_trial_tells_what_it_has_to_be_among(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stored(results, trials=9, told=4, pruner=PROMOTE)
    assert shown(2, capsys)[0] == [
        (
            "rests at rung 1: val_loss 0.2, cutoff 0, 3rd of 3 as of now; "
            "it goes on once it is among the best 1 of 3, 0 or less, whose number grows"
        )
    ]


def test_a_trial_that_rested_to_the_end_says_so(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stored(results, trials=4, told=99, pruner=PROMOTE)
    assert shown(3, capsys)[0] == [
        (
            "pruned by asha at epoch 1 (rung 1), where it rested to the end: val_loss 0.3, cutoff 0, 4th of 4; "
            "it needed 0 or less, the best 1 of 4"
        )
    ]


def test_with_several_metrics_the_front_is_told(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stored(results, trials=6, told=99, pruner=STOP, metrics=("val_loss", "speed"))
    said, told = shown(5, capsys)
    assert said == [
        (
            "pruned by asha at epoch 1 (rung 1): val_loss 0.5  speed -0.5; in front 6 of 6, 6th of 6; "
            "the first 2 of 6 went on"
        )
    ]
    assert told["pruning"]["front"] == 6


def test_a_front_is_shown_with_its_hypervolume(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Trial 0 is the front, and the last of six, worse by a half in both metrics, is where it is measured from."""
    stored(results, trials=6, told=99, pruner="none", metrics=("val_loss", "speed"))
    assert main(["show", "s"]) == 0
    line = "volume   0.25 is the hypervolume of the front, from val_loss 0.5 (worst seen), speed -0.5 (worst seen)"
    assert line in capsys.readouterr().out.splitlines()
    assert main(["show", "s", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["hypervolume"]
    assert told == {"value": 0.25, "reference": {"val_loss": 0.5, "speed": -0.5}, "naive": []}


@pytest.mark.parametrize("standings", [[], [{"rung": 1, "rank": 1, "of": 3, "cutoff": None}]])
def test_a_trial_that_is_paused_and_does_not_rest_says_where_it_goes_on(standings: list[dict[str, Any]]) -> None:
    paused = TrialRecord(0, "paused", {}, reports={1: 0.5, 2: 0.4}, rung={"rung": 1, "rests": False})
    said = why(paused, ["val_loss"], ["minimize"], standings)
    assert said[-1] == "paused at epoch 2, and goes on from there"
    assert len(said) == 1 + len(standings)
