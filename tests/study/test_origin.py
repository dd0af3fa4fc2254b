"""How a trial came about is read from what was stored, whatever else stands in its attributes.

Mutations that turn these red: let what a sampler said outrank a user's wish; forget which trial is run again; take a
prediction that is not finite, or is outside its own interval; store empty fields of rules that predict nothing.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from search.errors import FailReason
from search.study import attributes
from search.study.origin import NOWHERE, Origin, WentOn, origin_of
from search.study.owner import StudyOwner
from search.study.predicted import Predicted
from search.study.pruners import Pruning, Reached
from search.study.record import from_frozen
from search.study.runs import Run
from search.study.warm import take
from search.trial import Ending, Outcome
from tests.study.studies import flat_space
from tests.study.test_promote import plan_of

FORETOLD = Predicted(27, 0.103, 0.081, 0.142)


@pytest.mark.parametrize("value", [FORETOLD, Predicted(1, 0.0, 0.0, 0.0), Predicted(9, -2.0, -1e30, 5.0)])
def test_a_prediction_stands_a_round_trip(value: Predicted) -> None:
    assert Predicted.from_json(json.loads(json.dumps(value.to_json()))) == value


@pytest.mark.parametrize("value", [WentOn(3, 9), WentOn(3, 9, FORETOLD, 41)])
def test_a_trial_that_went_on_stands_a_round_trip(value: WentOn) -> None:
    assert WentOn.from_json(json.loads(json.dumps(value.to_json()))) == value


@pytest.mark.parametrize(
    "value",
    [
        Pruning("asha", 9, 0.4, 0.3, 4, 9, 9, keep=3, front=1, fronts=2),
        Pruning("auto", 9, 0.38, predicted=FORETOLD, chance=0.02, best=0.25),
        Pruning("auto", 9, 0.38, chance=0.0),
    ],
)
def test_a_pruning_stands_a_round_trip(value: Pruning) -> None:
    stored = json.loads(json.dumps(value.to_json()))
    assert Pruning.from_json(stored) == value
    assert Pruning.from_json({**stored, "of a later version": 1}) == value


def test_a_pruning_that_was_not_finite_is_read_back_as_such() -> None:
    assert math.isnan(Pruning.from_json(Pruning("asha", 1, math.inf).to_json()).value)


def test_rules_that_predict_nothing_store_nothing_of_it() -> None:
    assert {"predicted", "chance", "best"}.isdisjoint(Pruning("asha", 9, 0.4).to_json())
    assert Reached(9, rests=True).to_json() == {"rung": 9, "rests": True}
    told = Pruning("auto", 9, 0.4, chance=0.5)
    assert Reached(9, rests=True, told=told).to_json()["told"]["chance"] == 0.5


def test_what_is_seen_is_the_last_report_up_to_the_step() -> None:
    reports = {3: 0.9, 20: 0.4, 30: 0.3}
    assert FORETOLD.seen(reports) == 0.4
    assert FORETOLD.seen({3: 0.9, 20: 0.4}) is None
    assert FORETOLD.seen({30: 0.3}) is None
    assert FORETOLD.seen({27: math.nan, 30: 0.3}) is None
    assert FORETOLD.seen({}) is None


MODEL = {"by": "model", "predicted": FORETOLD.to_json(), "among": 500}


@pytest.mark.parametrize(
    ("attrs", "origin"),
    [
        ({}, NOWHERE),
        ({attributes.REQUEST: "r", "constraints:x": 1}, NOWHERE),
        ({attributes.WHY: {"by": "start"}}, Origin("start")),
        ({attributes.WHY: MODEL}, Origin("model", among=500, predicted=FORETOLD)),
        ({attributes.WISH: "launch:0"}, Origin("enqueued", at_launch=True)),
        ({attributes.WISH: "17"}, Origin("enqueued")),
        (
            {attributes.WISH: "17", attributes.WHY: MODEL},
            Origin("enqueued", among=500, predicted=FORETOLD),
        ),
        ({attributes.WISH: "launch:0:moved:3", attributes.MOVED_FROM: 3}, Origin("enqueued", trial=3, at_launch=True)),
        ({attributes.WISH: "17:4", attributes.RETRY_OF: 4}, Origin("retry", trial=4)),
        ({attributes.WARM: "before"}, Origin("warm", study="before")),
        (
            {attributes.WARM: "before", attributes.WHY: MODEL},
            Origin("warm", study="before", among=500, predicted=FORETOLD),
        ),
        (
            {attributes.WENT_ON: [{"from": 3, "to": 9, "predicted": FORETOLD.to_json(), "at_trials": 41}, "?", {}]},
            Origin(went_on=(WentOn(3, 9, FORETOLD, 41),)),
        ),
        ({attributes.WHY: "?", attributes.WENT_ON: 7}, Origin()),
        ({attributes.WHY: {"by": None, "among": "many", "predicted": {**FORETOLD.to_json(), "low": 0.11}}}, Origin()),
    ],
)
def test_an_origin_is_read_from_what_is_stored(attrs: dict[str, Any], origin: Origin) -> None:
    assert origin_of(attrs) == origin


def test_a_trial_tells_who_wanted_it(tmp_path: Path) -> None:
    """Enqueued at the launch, by hand, run again, near an earlier study's, and by the sampler."""
    before = optuna.create_study()
    floats, ints = optuna.distributions.FloatDistribution(-1, 1), optuna.distributions.IntDistribution(1, 9)
    for n in range(1, 9):
        ended = {"state": TrialState.COMPLETE, "value": float(n), "distributions": {"x": floats, "n": ints}}
        before.add_trial(create_trial(params={"x": n / 9, "n": n}, **ended))  # type: ignore[arg-type]
    source = take("before", before.trials, ["minimize"], space={"x": floats, "n": ints}, wanted=["minimize"])
    plan = plan_of(tmp_path, pruner="none", enqueued=({"x": 0.25},), sampler="random")
    owner = StudyOwner.open(plan, tmp_path, flat_space, slots=1, run=Run("r"))
    owner.prepare({}, [source.to_json()])

    def run(turn: int, outcome: Outcome) -> Origin:
        asked = owner.ask(f"slot:{turn}").spec
        assert asked is not None
        owner.begin(asked.number, "t")
        owner.tell(asked.number, "t", outcome)
        return from_frozen(owner._parts.study.get_trials(deepcopy=False)[asked.number]).origin

    good = Outcome(Ending.COMPLETE, 1, {"val_loss": 0.5}, units=1)
    assert run(0, Outcome(Ending.FAIL, reason=FailReason.NAN)) == Origin("enqueued", at_launch=True)
    owner.steering.enqueue({"n": 3}, wish="17")
    owner.steering.retry([0], wish="18")
    assert run(1, good) == Origin("enqueued")
    assert run(2, good) == Origin("retry", trial=0)
    assert run(3, good) == Origin("warm", study="before")
    later = [run(turn, good) for turn in range(4, 25)]
    assert {*later} <= {NOWHERE, Origin("warm", study="before")}
    owner.finish()
    owner.close()
