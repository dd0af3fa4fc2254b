"""Random histories of a study, written into a journal by plain Optuna: every kind of record, in any order."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState, create_trial

from search.paths import StudyFolder
from search.study import attributes
from tests.records import studies

DISTRIBUTIONS: dict[str, tuple[BaseDistribution, ...]] = {
    "train.lr": (FloatDistribution(1e-5, 1.0, log=True), FloatDistribution(1e-4, 0.5, log=True)),
    "train.momentum": (FloatDistribution(0.0, 0.9, step=0.1), FloatDistribution(0.0, 1.0, log=False)),
    "model.width": (IntDistribution(1, 1024), IntDistribution(1, 64, log=True), FloatDistribution(0.0, 2.0)),
    "model.family": (
        CategoricalDistribution(("linear", "mlp", "Größe 100%")),
        CategoricalDistribution((None, True, 3, 0.5, "x")),
    ),
    "model.odd": (CategoricalDistribution((math.nan, 1.5)), CategoricalDistribution((1, 2))),
}
ENDS = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


def write(results: Path, seed: int, *, name: str = "m", steps: int = 60) -> StudyFolder:
    """Make the study of that seed: its plan and journal."""
    dice = random.Random(seed)
    several = seed % 4 == 3
    changes: dict[str, Any] = {"metrics": ("val_loss",), "directions": (dice.choice(("minimize", "maximize")),)}
    if several:
        changes = {"metrics": ("val_loss", "val_accuracy"), "directions": ("minimize", "maximize")}
    folder = studies.store(results, name, stopped=None, **changes)
    storage = JournalStorage(JournalFileBackend(str(folder.journal)))
    history = _History(dice, storage, storage.get_study_id_from_name(name), 2 if several else 1)
    for _ in range(steps):
        history.step()
    return folder


class _History:
    def __init__(self, dice: random.Random, storage: JournalStorage, study_id: int, metrics: int) -> None:
        self.dice, self.storage, self.study_id, self.metrics = dice, storage, study_id, metrics
        self.count = 0

    def step(self) -> None:
        """Do one thing at random; what Optuna refuses it has written all the same, and ignores when it reads."""
        dice = self.dice
        number = dice.randrange(self.count + 1)
        try:
            match dice.choice("ccpprrrmmuaaesswkt"):
                case "c":
                    self.create(dice.choice((TrialState.RUNNING, TrialState.WAITING)))
                case "k":
                    self.create(dice.choice(ENDS))
                case "w":
                    template = create_trial(state=TrialState.WAITING, system_attrs={"fixed_params": {"x": 1}})
                    template.datetime_start = None
                    self.made(template)
                case "p":
                    name, distribution, value = self.parameter()
                    self.storage.set_trial_param(number, name, distribution.to_internal_repr(value), distribution)
                case "r":
                    self.storage.set_trial_intermediate_value(number, dice.randrange(1, 9), self.value())
                case "m":
                    step, told = dice.randrange(1, 9), {"val_loss": self.value(finite=True), "other": 1}
                    self.storage.set_trial_system_attr(number, attributes.metrics_key(step), told)
                case "u":
                    self.storage.set_trial_user_attr(number, "note", "ü" * dice.randrange(5))
                case "a":
                    self.attribute(number)
                case "e":
                    self.end(number, dice.choice(ENDS))
                case "s":
                    self.storage.set_trial_state_values(number, dice.choice((TrialState.RUNNING, TrialState.WAITING)))
                case "t":
                    self.of_the_study()
        except (KeyError, UpdateFinishedTrialError, ValueError, AssertionError, optuna.exceptions.DuplicatedStudyError):
            pass

    def create(self, state: TrialState) -> None:
        chosen = [self.parameter() for _ in range(self.dice.randrange(4))]
        values = None
        if state is TrialState.COMPLETE or (state is TrialState.PRUNED and self.dice.random() < 0.5):
            values = [self.value(finite=True) for _ in range(self.metrics)]
        reports = {self.dice.randrange(1, 9): self.value() for _ in range(self.dice.randrange(3))}
        template = create_trial(
            state=state,
            values=values,
            params={name: value for name, _, value in chosen},
            distributions={name: distribution for name, distribution, _ in chosen},
            system_attrs={attributes.REQUEST: "a:1", **({attributes.END: self.told()} if state in ENDS else {})},
            intermediate_values=reports,
        )
        self.made(template)

    def made(self, template: Any) -> None:
        self.storage.create_new_trial(self.study_id, template_trial=template if self.dice.random() < 0.9 else None)
        self.count += 1

    def parameter(self) -> tuple[str, BaseDistribution, Any]:
        name = self.dice.choice([*DISTRIBUTIONS])
        distribution = self.dice.choice(DISTRIBUTIONS[name])
        if isinstance(distribution, CategoricalDistribution):
            return name, distribution, self.dice.choice(distribution.choices)
        if isinstance(distribution, IntDistribution):
            return name, distribution, self.dice.randint(distribution.low, distribution.high)
        assert isinstance(distribution, FloatDistribution)
        return name, distribution, self.dice.choice((distribution.low, distribution.high))

    def attribute(self, number: int) -> None:
        dice = self.dice
        several: tuple[tuple[str, Any], ...] = (
            (attributes.ATTEMPT, {"token": dice.choice("ab"), "worker": "w", "lost": 1, "at_s": dice.random()}),
            (attributes.LEASE, {"held": dice.random() < 0.5, "token": dice.choice("ab"), "request": "a:1"}),
            (attributes.PRUNING, studies.PRUNED_BY),
            (attributes.REQUEST, "b:2"),
            ("optuna:other", {"x": [1]}),
        )
        key, value = dice.choice(several)
        self.storage.set_trial_system_attr(number, key, value)

    def end(self, number: int, state: TrialState) -> None:
        if self.dice.random() < 0.8:
            self.storage.set_trial_system_attr(number, attributes.END, self.told())
        values = None
        if state is TrialState.COMPLETE:
            values = [self.value(finite=True) for _ in range(self.metrics)]
        self.storage.set_trial_state_values(number, state, values)

    def told(self) -> dict[str, Any]:
        dice = self.dice
        return {
            "reason": dice.choice((None, "nan", "exception")),
            "text": dice.choice(("", f"shape {dice.randrange(99)} is wrong", "other")),
            "step": dice.randrange(9),
            "metrics": {"val_loss": self.value(finite=True)},
            "units": dice.randrange(9),
            "lost": dice.randrange(2),
            "at_s": dice.random() * 100,
        }

    def value(self, *, finite: bool = False) -> float:
        if not finite and self.dice.random() < 0.1:
            return self.dice.choice((math.nan, math.inf, -math.inf))
        return self.dice.choice((0.5, 1.0, self.dice.random()))

    def of_the_study(self) -> None:
        key, value = self.dice.choice(
            ((attributes.STOPPED, None), (attributes.CLOCK, self.dice.random()), (attributes.CHANGES, {"trials": 80}))
        )
        self.storage.set_study_system_attr(self.study_id, key, value)
        if self.dice.random() < 0.3:
            self.storage.create_new_study([optuna.study.StudyDirection.MINIMIZE], study_name="m")


def cuts(journal: bytes, dice: random.Random, count: int) -> list[int]:
    """Return where complete records end: the first, the last, and some between."""
    ends = [index + 1 for index, byte in enumerate(journal) if byte == ord("\n")]
    return sorted({ends[0], ends[-1], *(dice.choice(ends) for _ in range(count))})


def text(record: Any) -> str:
    """Return a record so that NaN equals NaN, and 1 is not 1.0."""
    return json.dumps(record, default=repr, sort_keys=False)
