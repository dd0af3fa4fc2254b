"""The trials from which importances are judged, in order from good to bad: the `Judged`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from search.errors import FailReason
from search.plan import SweepPlan
from search.records.history import Floats, History, Ints
from search.records.parameters import Parameter, parameters_of
from search.study.constraints import violation
from search.study.record import TrialRecord, valued

LEAST_TRIALS: Final = 20
"""Trials below which an importance says more about chance than about a parameter."""

OWN: Final = frozenset(reason.value for reason in FailReason if reason.is_the_trials_own)
"""Reasons of failures that are the configuration's own, and so tell something about it."""

_COMPLETE, _STOPPED, _INFEASIBLE, _FAILED = range(4)


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Trials that ended or rest, the best one first.

    Completed ones come first, by their value; then those that were pruned or rest, by the step they reached and then
    by their last value; then completed ones that miss a constraint, by how much; then those that failed for a reason
    of their own, which are all alike. A trial whose worker was lost says nothing about its parameters, and is left
    out.

    Attributes:
        parameters: Those that some of these trials have; their rows are these trials.
        rank: (trials,): 0 for the best; equal for trials that nothing sets apart.
        loss: (trials,): the value, so that less is better; NaN of a failed one.
        complete: How many completed.
        pruned: How many were pruned.
        resting: How many rest.
        failed: How many failed.
        of: How many there were, if these are a sample.
    """

    parameters: tuple[Parameter, ...]
    rank: Ints
    loss: Floats
    complete: int
    pruned: int
    resting: int
    failed: int
    of: int

    @classmethod
    def of_history(cls, history: History, metric: int, most: int) -> Judged:
        """Take the trials of a study, at most so many, evenly spread over all; judged by one of the metrics."""
        failed = history.are("fail") & np.isin(np.arange(len(history)), [*_own(history.reason.items())])
        rests = np.isin(np.arange(len(history)), [*history.resting])
        told = np.flatnonzero(history.are("complete", "pruned") | rests | failed)
        rows = told[evenly(len(told), most)]
        loss = history.signs[metric] * history.values[rows, metric]
        complete, pruned = history.are("complete")[rows], history.are("pruned")[rows]
        parameters = tuple(_taken(one, rows) for one in history.parameters)
        epochs, missed = history.epochs[rows], history.violation[rows]
        return _ordered(parameters, complete, pruned, rests[rows], loss, epochs, missed, len(told))

    @classmethod
    def of_records(cls, records: Iterable[TrialRecord], plan: SweepPlan, of: int) -> Judged:
        """Take trials that ended or rest, judged by the first metric."""
        chosen = [one for one in records if one.state != "fail" or one.end.get("reason") in OWN]
        sign = 1.0 if plan.directions[0] == "minimize" else -1.0
        return _ordered(
            parameters_of(chosen),
            np.array([one.state == "complete" for one in chosen], bool),
            np.array([one.state == "pruned" for one in chosen], bool),
            np.array([one.rests for one in chosen], bool),
            np.array([sign * values[0] if (values := valued(one, plan.metrics)) else np.nan for one in chosen], float),
            np.array([one.last_step for one in chosen], np.int64),
            np.array([violation(one.constraints) for one in chosen], float),
            of,
        )

    def __len__(self) -> int:
        return len(self.rank)

    @property
    def valued(self) -> NDArray[np.bool_]:
        """(trials,): which have a value."""
        return ~np.isnan(self.loss)

    @property
    def judgeable(self) -> tuple[Parameter, ...]:
        """The parameters that can be judged: enough trials have them and differ in them, and they are of one kind."""
        return tuple(
            one for one in self.parameters if one.varies and not one.is_mixed and int(one.active.sum()) >= LEAST_TRIALS
        )

    def groups(self) -> list[tuple[Ints, tuple[Parameter, ...]]]:
        """Return the judgeable parameters by the trials that have them: those rows, and their parameters cut to them.

        What all trials have comes first.
        """
        found: dict[bytes, tuple[Ints, list[Parameter]]] = {}
        for one in self.judgeable:
            rows, members = found.setdefault(one.active.tobytes(), (np.flatnonzero(one.active), []))
            members.append(_taken(one, rows))
        return [(rows, tuple(members)) for rows, members in sorted(found.values(), key=lambda group: -len(group[0]))]

    def condition(self, parameter: Parameter) -> str:
        """Return what decides that a trial has a parameter: "model.family=mlp".

        Returns:
            "" if all trials have it, and if no one parameter decides it.
        """
        active = parameter.active
        if active.all():
            return ""
        parents = sorted((one for one in self.parameters if one.kind != "float"), key=lambda one: len(one.choices))
        for parent in parents:
            present = parent.active
            if not (active <= present).all() or not (present & ~active).any():
                continue
            having, lacking = np.unique(parent.values[active]), np.unique(parent.values[present & ~active])
            if parent.is_choice and not np.isin(having, lacking).any() and len(having) <= _MOST_CHOICES:
                return f"{parent.name}={'|'.join(str(parent.choices[int(one)]) for one in having)}"
            if parent.kind == "int" and having.min() > lacking.max():
                return f"{parent.name}>={having.min():g}"
            if parent.kind == "int" and having.max() < lacking.min():
                return f"{parent.name}<={having.max():g}"
        return ""


_MOST_CHOICES: Final = 3


def evenly(count: int, most: int) -> Ints:
    """Return at most so many indices below a count, evenly spread."""
    taken = min(count, most)
    return np.arange(taken, dtype=np.int64) * count // max(1, taken)


def _own(reasons: Iterable[tuple[int, str]]) -> Iterable[int]:
    return (number for number, reason in reasons if reason in OWN)


def _taken(parameter: Parameter, rows: Ints) -> Parameter:
    return replace(parameter, values=parameter.values[rows])


def _ordered(
    parameters: Sequence[Parameter],
    complete: NDArray[np.bool_],
    pruned: NDArray[np.bool_],
    rests: NDArray[np.bool_],
    loss: Floats,
    epochs: Ints,
    missed: Floats,
    of: int,
) -> Judged:
    kind = np.where(complete, np.where(missed > 0, _INFEASIBLE, _COMPLETE), np.where(pruned | rests, _STOPPED, _FAILED))
    loss = np.where(kind == _FAILED, np.nan, loss)
    first = np.select([kind == _STOPPED, kind == _INFEASIBLE], [-epochs.astype(float), missed], 0.0)
    keys = np.stack([np.where(np.isnan(loss), np.inf, loss), first, kind])  # np.lexsort: the last one counts most
    order = np.lexsort(keys)
    ordered = keys[:, order]
    moved = (ordered[:, 1:] != ordered[:, :-1]).any(axis=0)
    return Judged(
        parameters=tuple(_taken(one, order) for one in parameters),
        rank=np.concatenate([[0], np.cumsum(moved)]).astype(np.int64)[: len(order)],
        loss=loss[order],
        complete=int(complete.sum()),
        pruned=int(pruned.sum()),
        resting=int(rests.sum()),
        failed=len(kind) - int((complete | pruned | rests).sum()),
        of=of,
    )
