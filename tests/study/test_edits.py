"""A search goes on after its space or its budget was edited: trials stay, and are shown to samplers as they now stand.

Mutations that turn these red: let `SpaceMapping.__call__` return the trial as it is; leave `_check_can_hold` out of
`Enqueued.take_first`, or `_whole` out of `Enqueued.add`; leave `as_edited` out of `StudyOwner`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial
from sqlalchemy.pool import NullPool

from search import loading
from search.contract import Space
from search.errors import FailReason
from search.plan import SweepPlan
from search.records.judged import Judged
from search.study.edits import Edit, SpaceEdit
from search.study.mapping import SpaceMapping
from search.study.owner import StudyOwner
from search.study.record import from_frozen
from search.study.runs import Run
from search.study.samplers import NAMES
from search.study.space import describe
from search.study.spacediff import differences, from_texts
from search.trial import Ending, Outcome, ParamValue, Progress
from tests.threads import one_thread  # noqa: F401  of torch, which gp uses


def old(trial: Trial) -> None:
    family = trial.suggest_categorical("model.family", ["sgd", "adam", "rmsprop"])
    trial.suggest_float("train.lr", 1.0, 9.0, step=0.0625)
    if family == "adam":
        trial.suggest_int("model.width", 1, 4)


def wider(trial: Trial) -> None:
    trial.suggest_categorical("model.family", ["sgd", "adam", "rmsprop", "lion"])
    trial.suggest_float("train.lr", 0.0, 20.0, step=0.0625)
    trial.suggest_int("model.width", 1, 8)


def narrower(trial: Trial) -> None:
    family = trial.suggest_categorical("model.family", ["adam", "sgd"])
    trial.suggest_float("train.lr", 3.0, 6.0, step=0.0625)
    if family == "adam":
        trial.suggest_int("model.width", 1, 4)


def new_parameter(trial: Trial) -> None:
    old(trial)
    trial.suggest_float("train.momentum", 0.0, 1.0, step=0.125)


def without_one(trial: Trial) -> None:
    trial.suggest_categorical("model.family", ["sgd", "adam", "rmsprop"])
    trial.suggest_int("train.depth", 1, 50)


def other_kinds(trial: Trial) -> None:
    trial.suggest_int("model.family", 1, 50)
    trial.suggest_categorical("train.lr", [1.0, 2.0, "auto"])


def other_conditions(trial: Trial) -> None:
    family = trial.suggest_categorical("model.family", ["sgd", "adam", "rmsprop"])
    trial.suggest_float("train.lr", 1.0, 9.0, step=0.0625)
    if family == "sgd":
        trial.suggest_int("model.width", 1, 4)


SPACES: dict[str, Space] = {
    "wider": wider,
    "narrower": narrower,
    "a new parameter": new_parameter,
    "one filled in": new_parameter,
    "one less": without_one,
    "other kinds": other_kinds,
    "other conditions": other_conditions,
}


def plan_of(folder: Path, **changes: Any) -> SweepPlan:
    given: dict[str, Any] = {"seed": 3, "trials": 60, "max_epochs": 1, "pruner": "none", **changes}
    names: dict[str, Any] = {"objective": "o", "space": "s", "study": "s", "results": str(folder)}
    return SweepPlan(**names, metrics=("loss",), directions=("minimize",), **given)


def opened(plan: SweepPlan, folder: Path, space: Space = old, *, run: str = "first", **slots: Any) -> StudyOwner:
    return StudyOwner.open(plan, folder, space, run=Run(run), **{"slots": 1, **slots})


def go(owner: StudyOwner, count: int, turn: str) -> dict[int, dict[str, ParamValue]]:
    """Run so many trials, and return their parameters by number; one in six fails."""
    ran = {}
    for index in range(count):
        spec = owner.ask(f"{turn}:{index}").spec
        if spec is None:
            break
        owner.begin(spec.number, f"{turn}{index}")
        value = sum(float(one) for one in spec.params.values() if isinstance(one, int | float)) + spec.number / 100
        if spec.number % 6 == 5:
            owner.tell(
                spec.number, f"{turn}{index}", Outcome(Ending.FAIL, reason=FailReason.EXCEPTION, text="so it is")
            )
        else:
            owner.report(spec.number, f"{turn}{index}", Progress(1, {"loss": value}, 1))
            owner.tell(spec.number, f"{turn}{index}", Outcome(Ending.COMPLETE, 1, {"loss": value}))
        ran[spec.number] = dict(spec.params)
    return ran


@cache
def digest_of(reference: str) -> str:
    return loading.code_hash(loading.load(reference, kind="space", folder=Path.cwd()))


def edit_of(
    space: Space | None = None, *, wish: str = "w", before: Any = None, fills: Any = None, **changes: Any
) -> Edit:
    another = None
    if space is not None:
        described = describe(space, seed=0)
        texts = {name: str(one) for name, one in described.items()}
        reference = f"{__file__}:{space.__name__}"
        another = SpaceEdit(reference, digest_of(reference), texts, differences({}, described), fills or {})
    return Edit(wish, changes, before or dict.fromkeys(changes), "code", "objective", another)


def is_of(params: dict[str, ParamValue], space: Space) -> bool:
    """Tell whether a space gives exactly these parameters."""
    kinds: dict[str, BaseDistribution] = {name: CategoricalDistribution([value]) for name, value in params.items()}
    trial = create_trial(state=TrialState.COMPLETE, value=0.0, params=params, distributions=kinds)
    shown = SpaceMapping(space, {}, before=1)(trial)
    return (
        shown is not None
        and shown.params == params
        and SpaceMapping(space, {}, before=1).counts([trial])["inside"] == 1
    )


def plain(folder: Path, plan: SweepPlan) -> list[FrozenTrial]:
    """Return the trials as plain Optuna reads them."""
    if plan.storage is None:
        storage: Any = JournalStorage(JournalFileBackend(str(folder / "study.journal")))
        return optuna.load_study(study_name="s", storage=storage).trials
    arguments = {} if plan.storage.startswith("sqlite") else {"client_encoding": "utf8"}
    database = RDBStorage(plan.storage, engine_kwargs={"poolclass": NullPool, "connect_args": arguments})
    trials = optuna.load_study(study_name="s", storage=database).trials
    database.remove_session()
    return trials


@pytest.mark.parametrize("kind", SPACES)
@pytest.mark.parametrize("sampler", NAMES)
def test_every_sampler_goes_on_after_every_edit(sampler: str, kind: str, tmp_path: Path) -> None:
    options = {"tpe": "tpe:n_startup_trials=5", "gp": "gp:n_startup_trials=5", "nsga2": "nsga2:population_size=4"}
    plan = plan_of(tmp_path, sampler=options.get(sampler, sampler))
    owner, space = opened(plan, tmp_path), SPACES[kind]
    go(owner, 9 if sampler == "gp" else 14, "before")
    fills = {"train.momentum": 0.25} if kind == "one filled in" else {}
    owner.steering.edit(edit_of(space, fills=fills), space)
    count = 2 if sampler == "gp" else 8
    after = go(owner, count, "after")
    assert len(after) == count
    assert all(is_of(params, space) for params in after.values()), after
    owner.close()
    read = plain(tmp_path, plan)
    assert {number: read[number].params for number in after} == after


def trial_of(params: dict[str, ParamValue], number: int = 0) -> FrozenTrial:
    named = {name.replace("_", ".", 1): value for name, value in params.items()}
    kinds: dict[str, BaseDistribution] = {name: CategoricalDistribution([value]) for name, value in named.items()}
    made = create_trial(state=TrialState.COMPLETE, value=0.0, params=named, distributions=kinds)
    made.number = number
    return made


def uneven(trial: Trial) -> None:
    if trial.suggest_categorical("train.warm", [True, False]):
        trial.suggest_int("train.steps", 1, trial.suggest_int("train.most", 4, 8))
    trial.suggest_categorical("train.batch", [64])
    if len(trial.params) > 9:
        raise ValueError("no space has that many")


FITS = [
    (narrower, {}, {"model_family": "sgd", "train_lr": 3.0}, "inside"),
    (narrower, {}, {"model_family": "rmsprop", "train_lr": 3.0}, "outside"),
    (narrower, {}, {"model_family": "sgd", "train_lr": 2.0}, "outside"),
    (narrower, {}, {"model_family": "sgd", "train_lr": 3.03}, "outside"),  # between two steps
    (narrower, {}, {"model_family": "adam", "train_lr": 3.0}, "partial"),
    (narrower, {"model.width": 4}, {"model_family": "adam", "train_lr": 3.0}, "filled"),
    (narrower, {"model.width": 9}, {"model_family": "adam", "train_lr": 3.0}, "partial"),  # not in this branch
    (narrower, {"model.width": 4}, {"model_family": "sgd", "train_lr": 3.0}, "inside"),  # is not asked for
    (without_one, {}, {"model_family": "sgd", "train_lr": 3.0}, "partial"),
    (other_kinds, {}, {"model_family": "sgd", "train_lr": 2.0}, "outside"),
    (other_kinds, {}, {"model_family": 7.0, "train_lr": 2}, "inside"),  # a value counts by what it is
    (uneven, {}, {"train_warm": True, "train_most": 4, "train_steps": 3}, "filled"),  # in what has one value
    (uneven, {}, {"train_warm": True, "train_most": 4, "train_steps": 5, "train_batch": 64}, "outside"),
    (uneven, {}, {"train_warm": 1, "train_most": 4, "train_steps": 1, "train_batch": 64}, "outside"),  # 1 is not true
]


@pytest.mark.parametrize(("space", "fills", "params", "fit"), FITS)
def test_a_trial_stands_in_a_space_as_that_itself_takes_its_values(
    space: Space, fills: dict[str, ParamValue], params: dict[str, ParamValue], fit: str
) -> None:
    mapping, trial = SpaceMapping(space, fills, before=1), trial_of(params)
    counts = mapping.counts([trial])
    assert counts == {**dict.fromkeys(counts, 0), fit: 1}
    shown = mapping(trial)
    assert (shown is None) == (fit == "outside")
    if shown is not None:
        shown._validate()  # parameters and distributions agree
    assert mapping(trial_of({"train_lr": "new"}, 1)) is not None  # suggested after the edit


def test_what_the_space_no_longer_asks_for_is_not_shown_and_what_is_filled_in_is() -> None:
    shown = SpaceMapping(without_one, {"train.depth": 5}, before=1)(trial_of({"model_family": "adam", "train_lr": 3.0}))
    assert shown is not None
    assert shown.params == {"model.family": "adam", "train.depth": 5}
    assert shown.distributions["train.depth"] == IntDistribution(1, 50)


LINES: list[tuple[BaseDistribution | None, BaseDistribution | None, list[str]]] = [
    (
        FloatDistribution(1e-5, 0.1, log=True),
        FloatDistribution(1e-6, 0.1, log=True),
        ["x: float [1e-5, 0.1] log -> [1e-6, 0.1] log"],
    ),
    (FloatDistribution(0, 1), FloatDistribution(0, 1, step=0.25), ["x: float [0, 1] -> [0, 1] by 0.25"]),
    (IntDistribution(1, 8), FloatDistribution(1, 8), ["x: int [1, 8] -> float [1, 8]"]),
    (CategoricalDistribution(["sgd", "adam"]), CategoricalDistribution(["lion", "adam"]), ["x: + 'lion', - 'sgd'"]),
    (CategoricalDistribution([1, None]), IntDistribution(1, 2), ["x: one of 1, None -> int [1, 2]"]),
    (CategoricalDistribution([1, 2]), CategoricalDistribution([2, 1]), ["x: one of 1, 2 -> one of 2, 1"]),
    (None, IntDistribution(1, 8), ["+ x: int [1, 8]"]),
    (FloatDistribution(0, 1), None, ["- x"]),
    (FloatDistribution(0, 1), FloatDistribution(0, 1), []),
]


@pytest.mark.parametrize(("before", "after", "lines"), LINES)
def test_a_difference_is_told_in_one_line(
    before: BaseDistribution | None, after: BaseDistribution | None, lines: list[str]
) -> None:
    one, other = ({} if it is None else {"x": it} for it in (before, after))
    assert differences(one, other) == tuple(lines)
    assert from_texts({name: str(it) for name, it in one.items()}) == one  # as plan.json has them
    assert from_texts({"x": "__import__('os')"}) == {}


@pytest.fixture(params=["journal", "sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str | None:
    """Return where a study is stored."""
    if request.param == "journal":
        return None
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'study.db'}"
    new_database: Callable[[], str] = request.getfixturevalue("new_database")
    return new_database()


def test_enqueued_points_are_run_across_an_edit_of_the_choices(place: str | None, tmp_path: Path) -> None:
    plan = plan_of(tmp_path, storage=place)
    owner = opened(plan, tmp_path)
    go(owner, 6, "before")
    before: list[dict[str, ParamValue]] = [
        {"model.family": "sgd"},
        {"train.lr": 1.5},
        {"model.family": "adam", "model.width": 2},
    ]
    for wish, point in enumerate(before):
        owner.steering.enqueue(point, wish=f"before {wish}")
    owner.steering.edit(edit_of(narrower), narrower)
    both: dict[str, ParamValue] = {"model.family": "sgd", "train.lr": 4.0}
    owner.steering.enqueue(both, wish="after")
    owner.steering.enqueue({"model.family": "rmsprop"}, wish="unfit")
    assert owner.status().trials["waiting"] == 5
    assert {one.state for one in plain(tmp_path, plan)[6:]} == {TrialState.WAITING}
    after = go(owner, 4, "after")
    failures = owner.status().failures
    owner.close()
    trials = plain(tmp_path, plan)
    unfit = {
        trial.number: trial for trial in trials[6:] if trial.state is TrialState.FAIL and trial.number not in after
    }
    texts = [trial.system_attrs["sweep:end"]["text"] for trial in unfit.values()]
    moved = "its point goes on as another trial, since the space of model.family was edited since"
    assert sorted(texts) == [
        "it was enqueued, and model.family is one of adam, sgd, got 'rmsprop'",
        "it was enqueued, and train.lr=1.5 is outside [3, 6] of the space",
        moved,
        moved,
    ]
    assert failures["invalid"] == 4
    for point in (before[0], before[2], both):
        assert any(point.items() <= params.items() for params in after.values()), (point, after)
    assert all(is_of(params, narrower) for params in after.values())
    assert {number: trials[number].params for number in after} == after
    reopened = opened(plan, tmp_path, narrower)
    assert reopened.status().trials["waiting"] == 0
    reopened.close()


def test_a_study_that_is_opened_again_within_its_run_comes_back_as_it_was_edited(
    place: str | None, tmp_path: Path
) -> None:
    plan = plan_of(tmp_path, storage=place)
    owner = opened(plan, tmp_path, capacity=4)
    go(owner, 8, "before")
    owner.steering.edit(edit_of(wish="1", trials=9, concurrency=3, memory_bytes=10**9))
    owner.steering.edit(edit_of(narrower, wish="2", trials=12), narrower)
    owner.steering.edit(edit_of(old, wish="2", trials=99), old)  # the same wish
    owner.close()
    again = opened(plan, tmp_path, capacity=4)  # with the plan and the space of its launch
    assert (again.plan.trials, again.plan.concurrency) == (12, 3)
    assert again.plan.memory_bytes is None  # of this run's workers
    assert [edit.wish for edit in again.steering.edited] == ["1", "2"]
    after = go(again, 20, "after")
    assert all(is_of(params, narrower) for params in after.values())
    assert again.finish().why_stopped == "12 of 12 trials"
    again.close()
    resumed = opened(replace(plan, trials=14), tmp_path, narrower, run="second")  # its own changes are what holds
    assert resumed.plan.trials == 14
    assert resumed.steering.edited == ()
    assert all(is_of(params, narrower) for params in go(resumed, 20, "resumed").values())
    resumed.close()


BUDGETS = [
    ({"trials": 5}, "6 trials, and --trials is 5"),
    ({"epochs": 4}, "5 of 4 epochs"),  # one failed before its first
    ({"time_s": 1e-9}, "the time budget of 1e-09 s is used up"),
    ({"plateau": 1}, "the best has not moved for "),
    ({"max_failures": 1}, "1 trials in a row failed"),
]


@pytest.mark.parametrize(("changes", "why"), BUDGETS)
def test_a_budget_that_is_lowered_below_what_is_spent_ends_the_sweep_with_its_reason(
    changes: dict[str, Any], why: str, tmp_path: Path
) -> None:
    owner = opened(plan_of(tmp_path), tmp_path)
    go(owner, 6, "before")  # the last one fails
    owner.steering.edit(edit_of(**changes))
    asked = owner.ask("after:0")
    assert asked.spec is None
    assert (asked.done or "").startswith(why), asked.done
    owner.close()


def test_trials_at_once_are_raised_up_to_what_there_is_room_for_and_lowered_as_trials_end(tmp_path: Path) -> None:
    owner = opened(plan_of(tmp_path, concurrency=2), tmp_path, slots=2, capacity=4)

    def given(turn: str) -> int:
        return sum(owner.ask(f"{turn}:{index}").spec is not None for index in range(9))

    assert given("a") == 2
    owner.steering.edit(edit_of(wish="1", concurrency=3))
    assert given("b") == 1
    owner.steering.edit(edit_of(wish="2", concurrency=100))
    assert given("c") == 1
    owner.steering.edit(edit_of(wish="3", concurrency=1))
    assert given("d") == 0
    owner.close()


def test_importances_the_best_and_what_is_still_to_gain_are_told_all_trials_whatever_their_space_was(
    tmp_path: Path,
) -> None:
    plan = plan_of(tmp_path, trials=200, min_gain=1e-9)
    owner = opened(plan, tmp_path)
    go(owner, 20, "before")
    owner.steering.edit(edit_of(wider, wish="1"), wider)
    go(owner, 20, "then")
    owner.steering.edit(edit_of(other_kinds, wish="2"), other_kinds)
    assert len(go(owner, 12, "after")) == 12
    best = owner.status().best
    owner.close()
    complete = [trial for trial in plain(tmp_path, plan) if trial.state is TrialState.COMPLETE]
    assert best is not None
    assert best.values[0] == min(trial.values[0] for trial in complete)
    records = [from_frozen(trial) for trial in complete]
    of_two_spaces, of_two_kinds = (Judged.of_records(some, plan, len(some)) for some in (records[:30], records))
    assert {"model.family", "train.lr"} <= {one.name for one in of_two_spaces.judgeable}
    assert {"model.family", "train.lr"}.isdisjoint(one.name for one in of_two_kinds.judgeable)
