"""The studies that every figure has to stand, by name; and searches with more of everything, made by a real Optuna."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from search.records.history import History
from search.records.study import read
from search.study import attributes
from tests.records import studies

HOSTILE = "</script><img src=x onerror=alert(1)>"
ODD_NAMES = (HOSTILE, "größe.\u202eläuft", "a<b>&\"c'", "%{odd}", "train.lr")
ODD_METRIC = f"{HOSTILE} %{{odd}}"


def history_of(results: Path, trials: Sequence[FrozenTrial], *, name: str = "s", **changes: object) -> History:
    """Return a study of these trials, written to disk and read back."""
    return History.of(read(studies.store(results, name, trials, **changes)))  # type: ignore[arg-type]


def made(
    number: int,
    params: dict[str, object],
    distributions: dict[str, BaseDistribution],
    values: Sequence[float] | None,
    *,
    state: str = "complete",
    curve: Sequence[float] = (),
    reason: str | None = None,
    text: str = "full budget",
    stage_s: dict[str, float] | None = None,
    worker: str = "10.0.0.1:100",
    metrics: Sequence[str] = ("val_loss",),
) -> FrozenTrial:
    """Return a trial that began at `number` seconds and took two, with all that an owner notes of it."""
    ended = state in ("complete", "pruned", "fail")
    system: dict[str, object] = {
        attributes.ATTEMPT: {"token": "t", "worker": worker, "node": "n", "at_s": float(number), "lost": 0}
    }
    if ended:
        told = dict(zip(metrics, values or (), strict=False))
        end = {"reason": reason, "text": text, "step": len(curve) or 1, "metrics": told, "units": len(curve)}
        times = {"held_s": 2.0, "at_s": number + 2.0, "stage_s": stage_s or {"train": 1.5, "evaluate": 0.2}}
        system[attributes.END] = {**end, **times, "lost": 0}
    if state == "pruned":
        system[attributes.PRUNING] = {**studies.PRUNED_BY, "step": len(curve)}
    trial = create_trial(
        state=TrialState[state.upper()],
        values=None if values is None or state == "fail" else [*values],
        params=params,
        distributions=distributions,
        system_attrs=system,
        intermediate_values=dict(enumerate(curve, 1)),
    )
    trial.datetime_start = studies.BEGAN + timedelta(seconds=number)
    trial.datetime_complete = studies.BEGAN + timedelta(seconds=number + 2) if ended else None
    return trial


def searched(count: int = 120, *, seed: int = 0) -> tuple[FrozenTrial, ...]:
    """Return a search whose loss is ruled by `train.lr`, with a conditional parameter, curves, pruning and failures."""
    dice = np.random.default_rng(seed)
    rate = FloatDistribution(1e-5, 1.0, log=True)
    family = CategoricalDistribution(("mlp", "forest"))
    scale = CategoricalDistribution(("standard", "minmax", "none"))
    dropout = FloatDistribution(0.0, 0.5)
    trials = []
    for number in range(count):
        lr, kind = float(10 ** dice.uniform(-5, 0)), ("mlp", "forest")[dice.integers(2)]
        prepared = ("standard", "minmax", "none")[dice.integers(3)]
        params: dict[str, object] = {"train.lr": lr, "model.family": kind, "preprocess.scale": prepared}
        known: dict[str, BaseDistribution] = {"train.lr": rate, "model.family": family, "preprocess.scale": scale}
        if kind == "mlp":
            params["model.dropout"], known["model.dropout"] = float(dice.uniform(0, 0.5)), dropout
        loss = 0.1 + 0.1 * (math.log10(lr) + 2) ** 2 + (0.05 if prepared == "none" else 0) + 0.02 * dice.random()
        curve = [float(loss * (1 + 2 / step)) for step in range(1, 10)]
        worker = f"10.0.0.{1 + number % 2}:{100 + number % 3}"
        if number % 17 == 16:
            failed = {"reason": "nan", "text": f"metric 'val_loss' is nan at epoch {number % 5}"}
            trials.append(made(number, params, known, None, state="fail", curve=curve[:2], worker=worker, **failed))  # type: ignore[arg-type]
        elif loss > 0.45 and number > 4:
            trials.append(made(number, params, known, [curve[2]], state="pruned", curve=curve[:3], worker=worker))
        else:
            trials.append(made(number, params, known, [curve[-1]], curve=curve, worker=worker))
    return tuple(trials)


def rested(trials: Sequence[FrozenTrial]) -> tuple[FrozenTrial, ...]:
    """Return the same trials, those that were pruned as they would rest where they ended."""
    found = []
    for one in trials:
        if one.state is TrialState.PRUNED:
            curve = [*one.intermediate_values.values()]
            one = made(one.number, one.params, one.distributions, None, state="running", curve=curve)
            rung: dict[str, Any] = {
                attributes.LEASE: {"held": False},
                attributes.RUNG: {"rung": len(curve), "rests": True},
            }
            one.system_attrs = {**one.system_attrs, **rung}
        found.append(one)
    return tuple(found)


def foreseen(count: int = 60, *, seed: int = 0) -> list[FrozenTrial]:
    """Return the search by somebody who predicts: all but the first ten, and every third when it was taken on."""
    dice, trials = np.random.default_rng(seed), searched(count, seed=seed)
    for number, one in enumerate(trials):
        lr = one.params["train.lr"]
        middle = (0.11 + 0.1 * (math.log10(lr) + 2) ** 2) * 11 / 9 + 0.02 * float(dice.normal())
        predicted = {"step": 9, "value": middle, "low": middle - 0.08, "high": middle + 0.08}
        told: dict[str, Any] = {"by": "start"} if number < 10 else {"by": "model", "predicted": predicted, "among": 500}
        one.system_attrs = {**one.system_attrs, attributes.WHY: told}
        if number >= 10 and number % 3 == 0:
            went_on: list[Any] = [{"from": 3, "to": 9, "predicted": predicted, "at_trials": number + 1}]
            one.system_attrs = {**one.system_attrs, attributes.WENT_ON: went_on}
        if one.state is TrialState.PRUNED:
            foretold = {"rule": "auto", "predicted": predicted, "chance": 0.004, "best": 0.1}
            pruning: dict[str, Any] = {**studies.PRUNED_BY, "step": 3, **foretold}
            one.system_attrs = {**one.system_attrs, attributes.PRUNING: pruning}
    return [*trials]


def _oddly_foreseen() -> list[FrozenTrial]:
    """Return trials whose attributes hold predictions of every size, and things that are none."""
    fine = {"step": 2, "value": 0.4, "low": 0.3, "high": 0.5}
    odd: list[Any] = [
        fine,
        {**fine, "step": 10**9},
        {**fine, "value": math.nan},
        {**fine, "low": -math.inf},
        {**fine, "low": 0.45},
        {"step": 2, "value": 1e300, "low": -1e300, "high": 1e305},
        {"step": 1, "value": 0.0, "low": 0.0, "high": 0.0},
        HOSTILE,
        [1, 2],
        None,
    ]
    trials = []
    for number, one in enumerate(odd * 2):
        made_ = made(number, {"x": number / 40}, {"x": FloatDistribution(0.0, 1.0)}, [0.5], curve=[0.6, 0.5])
        told = {"by": HOSTILE, "predicted": one, "among": HOSTILE}
        made_.system_attrs = {
            **made_.system_attrs,
            attributes.WHY: told,
            attributes.WENT_ON: [one, {"from": 1, "to": 2}],
        }
        trials.append(made_)
    return trials


def _wide() -> tuple[FrozenTrial, ...]:
    """Return trials with 300 parameters."""
    dice, plain = np.random.default_rng(1), FloatDistribution(0.0, 1.0)
    names = [f"model.p{place}" for place in range(300)]
    trials = []
    for number in range(30):
        params = {name: float(value) for name, value in zip(names, dice.random(300), strict=True)}
        trials.append(made(number, dict(params), dict.fromkeys(names, plain), [params["model.p7"]]))
    return tuple(trials)


def _odd() -> tuple[FrozenTrial, ...]:
    """Return trials whose names, choices and error texts are markup."""
    plain, choices = FloatDistribution(0.0, 1.0), CategoricalDistribution((HOSTILE, "größe", "a\nb", None, True, 1))
    trials = []
    for number in range(24):
        known: dict[str, BaseDistribution] = dict.fromkeys(ODD_NAMES, plain) | {"choice": choices}
        params = dict.fromkeys(ODD_NAMES, number * 7 % 24 / 24)
        chosen = choices.choices[number % 6]
        failed = number % 6 == 5
        trials.append(
            made(
                number,
                {**params, "choice": chosen},
                known,
                None if failed else [params[HOSTILE]],
                state="fail" if failed else "complete",
                reason="exception" if failed else None,
                text=f"ValueError: {HOSTILE}" if failed else "full budget",
            )
        )
    return tuple(trials)


def _huge() -> tuple[FrozenTrial, ...]:
    plain = FloatDistribution(0.0, 1.0)
    losses = [1e300, 1e-300, 5.0, -1e300, 0.0, math.inf, -math.inf]
    return tuple(made(number, {"x": number / 9}, {"x": plain}, [loss]) for number, loss in enumerate(losses))


def _nan_reports() -> tuple[FrozenTrial, ...]:
    plain = FloatDistribution(0.0, 1.0)
    curves = ([math.nan, 0.5], [0.4, math.nan], [math.inf, 0.3])
    return tuple(made(n, {"x": n / 9}, {"x": plain}, [0.3 + n], curve=curve) for n, curve in enumerate(curves))


def missing(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Return these trials, all of which miss a constraint now."""
    for one in trials:
        one.system_attrs = {**one.system_attrs, "constraints:latency_ms<=30": 4.0}
    return [*trials]


def from_step_0() -> list[FrozenTrial]:
    """Return six trials that report at steps 0 and 1, and six that were pruned at step 0."""
    plain = FloatDistribution(0.0, 1.0)
    trials = []
    for number in range(12):
        reports = {0: 1 + number / 99, 1: 0.9 + number / 99} if number < 6 else {0: 1.5}
        state = "complete" if number < 6 else "pruned"
        one = made(number, {"x": number / 40}, {"x": plain}, [[*reports.values()][-1]], state=state)
        one.intermediate_values = dict(reports)
        trials.append(one)
    return trials


def _copies() -> list[FrozenTrial]:
    """Return trials of which all but every fifth took the result of the one before them."""
    plain = FloatDistribution(0.0, 1.0)
    trials = []
    for number in range(30):
        ran = number // 5 * 5
        one = made(number, {"x": ran / 30}, {"x": plain}, [0.5 - ran / 99], curve=[] if number > ran else [0.6, 0.5])
        if number > ran:
            one.system_attrs = {**one.system_attrs, attributes.SAME_AS: ran}
        trials.append(one)
    return trials


def log_values() -> list[FrozenTrial]:
    """Return trials whose values span five powers of ten."""
    return [made(n, {"x": n / 40}, {"x": FloatDistribution(0.0, 1.0)}, [10.0 ** (-n / 6)]) for n in range(30)]


def _measured(results: Path, metric: str) -> History:
    """Return the search with its metric called so."""
    trials = searched(60)
    for one in trials:
        if attributes.END in one.system_attrs:
            end = one.system_attrs[attributes.END]
            end["metrics"] = dict(zip((metric,), end["metrics"].values(), strict=False))
    return history_of(results, trials, metrics=(metric,), max_epochs=9, baseline={metric: 1.0})


def _several(results: Path) -> History:
    """Return a study of two metrics with a front."""
    dice, plain = np.random.default_rng(2), FloatDistribution(0.0, 1.0)
    trials = []
    for number in range(60):
        x, y = float(dice.random()), float(dice.random())
        values = [x * x + 0.1 * y, 1 - x]
        trials.append(made(number, {"x": x, "y": y}, {"x": plain, "y": plain}, values, metrics=("loss", "score")))
    changes: dict[str, Any] = {"metrics": ("loss", "score"), "directions": ("minimize", "maximize")}
    return history_of(results, trials, **changes)


def _front_and_pruned(results: Path) -> History:
    """Return a study whose two metrics pull `x` apart, with reports of both; every fourth trial was pruned."""
    dice, plain = np.random.default_rng(3), FloatDistribution(0.0, 1.0)
    trials, metrics = [], ("loss", "score")
    for number in range(80):
        x, y = dice.random(2).tolist()
        pruned, values = number % 4 == 3, [(x - 0.3) ** 2 + y / 9, 1 - x]
        state, told = ("pruned", None) if pruned else ("complete", values)
        known: dict[str, BaseDistribution] = {"x": plain, "y": plain}
        one = made(number, {"x": x, "y": y}, known, told, state=state, metrics=metrics)
        reports = {
            attributes.metrics_key(step): {"loss": values[0] + 1 / step - 1 / 3, "score": values[1]}
            for step in range(1, 2 if pruned else 4)
        }
        one.system_attrs = {**one.system_attrs, **reports}
        trials.append(one)
    changes: dict[str, Any] = {"metrics": metrics, "directions": ("minimize", "maximize")}
    return history_of(results, trials, **changes)


def _alone(trials: Sequence[FrozenTrial]) -> Callable[[Path], History]:
    return lambda results: history_of(results, trials)


EXTREMES: dict[str, Callable[[Path], History]] = {
    **{name: _alone(trials) for name, trials in studies.EXTREMES.items()},
    "one parameter": lambda results: history_of(
        results, [made(n, {"x": n / 30}, {"x": FloatDistribution(0.0, 1.0)}, [(n / 30 - 0.4) ** 2]) for n in range(30)]
    ),
    "no parameters": lambda results: history_of(results, [made(n, {}, {}, [n / 3]) for n in range(5)]),
    "equal values": lambda results: history_of(
        results, [made(n, {"x": n / 30}, {"x": FloatDistribution(0.0, 1.0)}, [1.0]) for n in range(30)]
    ),
    "searched": lambda results: history_of(results, searched(), baseline={"val_loss": 1.0}, max_epochs=9),
    "300 parameters": lambda results: history_of(results, _wide()),
    "odd names": lambda results: history_of(results, _odd()),
    "huge values": lambda results: history_of(results, _huge()),
    "not finite reports": lambda results: history_of(results, _nan_reports()),
    "several metrics": _several,
    "a front and pruned trials": _front_and_pruned,
    "all miss a constraint": lambda results: history_of(results, missing(searched(60)), max_epochs=9),
    "some miss a constraint": lambda results: history_of(results, [*missing(searched(60)[:40]), *searched(60)[40:]]),
    "reports from step 0": lambda results: history_of(results, from_step_0(), pruner="median", max_epochs=0),
    "predictions": lambda results: history_of(results, foreseen(), sampler="auto", pruner="auto", max_epochs=9),
    "odd predictions": lambda results: history_of(results, _oddly_foreseen(), sampler="auto", max_epochs=9),
    "copied trials": lambda results: history_of(results, _copies()),
    "a baseline on a log scale": lambda results: history_of(results, log_values(), baseline={"val_loss": 2.0}),
    "a metric called trial": lambda results: _measured(results, "trial"),
    "a hostile metric": lambda results: _measured(results, ODD_METRIC),
}


@pytest.fixture(params=list(EXTREMES))
def extreme(request: pytest.FixtureRequest, tmp_path: Path) -> History:
    """Each of the extremes, one after the other."""
    return EXTREMES[request.param](tmp_path)


optuna.logging.set_verbosity(optuna.logging.WARNING)
