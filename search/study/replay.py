"""Applies the records of a journal as Optuna does, but to the trials that have not ended alone: the `Replay`.

A trial that has ended never changes again. So whoever knows what the records up to some point came to needs only the
open trials of that moment to go on from there. Rules and record kinds: `optuna.storages.journal._storage`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Any, Final, cast

from search.study.internal import UnsupportedError, parse
from search.study.record import TrialRecord, from_frozen
from search.trial import ParamValue

_OURS: Final = ("sweep:", "constraints")
"""How the attributes begin that a `TrialRecord` is made of; others are not kept."""

_FAULTS: Final = (KeyError, ValueError, TypeError, AttributeError, IndexError, OverflowError)
"""What a record raises whose fields are missing or of a wrong kind."""


class TrialState(IntEnum):
    """Optuna's states."""

    RUNNING = 0
    COMPLETE = 1
    PRUNED = 2
    FAIL = 3
    WAITING = 4

    @property
    def is_finished(self) -> bool:
        return self in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


@dataclass(slots=True)
class RawTrial:
    """A trial as its records left it; named like Optuna's `FrozenTrial`, as far as it goes.

    Attributes:
        distributions: JSON by parameter.
        system_attrs: Those of ours.
        start: When it began, as written.
        complete: When it ended, as written.
    """

    number: int
    state: TrialState
    params: dict[str, ParamValue] = field(default_factory=dict)
    distributions: dict[str, str] = field(default_factory=dict)
    values: list[float] | None = None
    intermediate_values: dict[int, float] = field(default_factory=dict)
    system_attrs: dict[str, Any] = field(default_factory=dict)
    start: str | None = None
    complete: str | None = None

    @property
    def datetime_start(self) -> datetime | None:
        return None if self.start is None else _local(self.start)

    @property
    def datetime_complete(self) -> datetime | None:
        return None if self.complete is None else _local(self.complete)

    def record(self) -> TrialRecord:
        """Return the trial as everything else knows it."""
        return from_frozen(cast(Any, self))

    def to_json(self) -> list[Any]:
        return [
            self.number,
            int(self.state),
            self.params,
            self.distributions,
            self.values,
            [*self.intermediate_values.items()],
            self.system_attrs,
            self.start,
            self.complete,
        ]

    @classmethod
    def from_json(cls, values: list[Any]) -> RawTrial:
        number, state, params, distributions, told, reports, attrs, start, complete = values
        return cls(number, TrialState(state), params, distributions, told, dict(reports), attrs, start, complete)


class Replay:
    """One study in a journal, and what its records have come to so far.

    Args:
        study: Its name.
        count: Trials in all.
        open_trials: Those that have not ended.
        attributes: Of the study.
        first: By parameter: its distribution in the first trial that had it, which Optuna holds later ones against.
        exists: Whether the study has been created.
    """

    def __init__(
        self,
        study: str,
        *,
        count: int = 0,
        open_trials: Iterable[RawTrial] = (),
        attributes: Mapping[str, Any] | None = None,
        first: Mapping[str, str] | None = None,
        exists: bool = False,
    ) -> None:
        self._study = study
        self.count = count
        self.open = {trial.number: trial for trial in open_trials}
        self.attributes = dict(attributes or {})
        self.first = dict(first or {})
        self.exists = exists
        self._texts: dict[str, str] = {}  # each distribution is kept once

    def apply(self, record: Mapping[str, Any]) -> RawTrial | None:
        """Apply a record; return the trial that it changed, made or ended, None if it changed none.

        Raises:
            UnsupportedError: It is not what Optuna writes, or of another study.
        """
        try:
            operation = record["op_code"]
            if operation in (5, 6, 7, 8, 9):
                trial = self.open.get(record["trial_id"])
                return None if trial is None else self._change(trial, operation, record)
            if operation == 4:
                return self._create(record)
            self._of_the_study(operation, record)
        except _FAULTS as error:
            raise UnsupportedError(f"record {str(record)[:200]}") from error
        return None

    def _change(self, trial: RawTrial, operation: int, record: Mapping[str, Any]) -> RawTrial | None:
        if operation == 9:
            ((key, value),) = record["system_attr"].items()
            if key.startswith(_OURS):
                trial.system_attrs[key] = value
        elif operation == 7:
            trial.intermediate_values[_step(record["step"])] = _number(record["intermediate_value"])
        elif operation == 8:
            ((_, _),) = record["user_attr"].items()
        elif operation == 6:
            return self._set_state(trial, record)
        else:
            self._set_param(trial, record["param_name"], record["param_value_internal"], record["distribution"])
        return trial

    def _create(self, record: Mapping[str, Any]) -> RawTrial | None:
        if record["study_id"] != 0 or not self.exists:
            return None
        trial = RawTrial(self.count, TrialState(record.get("state", TrialState.RUNNING)))
        texts = {name: self._text(text) for name, text in record.get("distributions", {}).items()}
        known = {name: parse(text) for name, text in texts.items()}
        trial.distributions = texts
        trial.params = {name: known[name].external(value) for name, value in record.get("params", {}).items()}
        value, values = record.get("value"), record.get("values")
        if value is not None and values is not None:
            raise ValueError("value and values")
        trial.values = [_number(value)] if value is not None else _numbers(values)
        reports = record.get("intermediate_values", {}).items()
        trial.intermediate_values = {int(step): _number(reported) for step, reported in reports}
        attrs = record.get("system_attrs", {}).items()
        trial.system_attrs = {key: attr for key, attr in attrs if key.startswith(_OURS)}
        trial.start = _stamp(record["datetime_start"]) if record["datetime_start"] is not None else None
        trial.complete = _stamp(record["datetime_complete"]) if "datetime_complete" in record else None
        if (trial.complete is not None) != trial.state.is_finished:
            raise ValueError("a trial has an end exactly if it has ended")
        self.count += 1
        for name in trial.params:
            self.first.setdefault(name, texts[name])
        if not trial.state.is_finished:
            self.open[trial.number] = trial
        return trial

    def _set_state(self, trial: RawTrial, record: Mapping[str, Any]) -> RawTrial | None:
        state = TrialState(record["state"])
        if state is TrialState.RUNNING and trial.state is TrialState.RUNNING:
            return None  # another worker was first to take a waiting trial
        values = _numbers(record["values"])
        if state is TrialState.RUNNING:
            trial.start = _stamp(record["datetime_start"])
        if state.is_finished:
            trial.complete = _stamp(record["datetime_complete"])
            del self.open[trial.number]
        trial.state = state
        if values is not None:
            trial.values = values
        return trial

    def _set_param(self, trial: RawTrial, name: str, value: float, text: str) -> None:
        given = parse(text)
        first = self.first.get(name)
        if first is not None and not parse(first).is_compatible(given):
            return
        trial.params[name] = given.external(value)
        trial.distributions[name] = self._text(text)
        if first is None:
            self.first[name] = text

    def _of_the_study(self, operation: int, record: Mapping[str, Any]) -> None:
        if operation == 0:
            if record["study_name"] != self._study or not {*record["directions"]} <= {0, 1, 2}:
                raise ValueError("another study")
            self.exists = True
        elif operation in (2, 3):
            if record["study_id"] != 0 or not self.exists:
                return
            ((key, value),) = record["user_attr" if operation == 2 else "system_attr"].items()
            if operation == 3:
                self.attributes[key] = value
        else:
            raise ValueError("an operation of another kind")

    def _text(self, text: str) -> str:
        return self._texts.setdefault(text, text)


def _local(stamp: str) -> datetime:
    return datetime.fromisoformat(stamp).astimezone().replace(tzinfo=None)


def _stamp(text: str) -> str:
    datetime.fromisoformat(text)
    return text


def _step(step: int) -> int:
    if type(step) is not int:
        raise TypeError("a step")
    return step


def _number(value: float) -> float:
    if type(value) is not float and type(value) is not int:
        raise TypeError("a value")
    return value


def _numbers(values: list[float] | None) -> list[float] | None:
    return None if values is None else [_number(value) for value in values]
