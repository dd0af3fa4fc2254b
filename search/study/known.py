"""What is known already: which trial of a study had the same parameters, and what came of it; the `Known`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from optuna.trial import FrozenTrial, TrialState, create_trial

from search.study import attributes
from search.study.record import TrialRecord
from search.trial import ParamValue

MOST_IN_A_ROW: Final = 100
"""Suggestions in a row that may all be known before a search counts as having tried everything."""

_OF_THE_RUN: Final = (
    *("units", "stage_s", "held_s", "at_s", "lost", "notes", "peak_mb", "prepared"),
    *("gpus", "gpu_s", "micro_batches", "short", "gpu_peak_mb", "gpu_mb", "gpu_idle"),
)
"""What a trial's end says of its own run, which its copy did not have."""


class Known:
    """The trials of a study by their parameters: those that have a result, and those that are on the way to one.

    A COMPLETE or PRUNED trial has a result; a FAIL has none, since the same may go well another time. A trial without
    parameters is like no other.
    """

    def __init__(self) -> None:
        self._results: dict[bytes, int] = {}
        self._open: dict[bytes, int] = {}
        self._unended: set[int] = set()
        self._stale: set[int] = set()  # of those, the trials whose results will not hold

    def forget(self) -> None:
        """Have no result that is known, or on the way, hold from here on."""
        self._stale |= self._unended
        self._results, self._open = {}, {}

    def begin(self, number: int, params: Mapping[str, ParamValue]) -> None:
        """Take in a trial that has not ended."""
        if params:
            self._open.setdefault(_key(params), number)
            self._unended.add(number)

    def end(self, record: TrialRecord, *, counts: bool = True) -> None:
        """Take in that a trial has ended.

        Args:
            record: As it ended.
            counts: Whether its result still holds: of other code or data it does not.
        """
        if not record.params:
            return
        key = _key(record.params)
        if self._open.get(key) == record.number:
            del self._open[key]
        self._unended.discard(record.number)
        holds = counts and record.number not in self._stale
        if holds and record.state in ("complete", "pruned"):  # pruned of several metrics has no values
            self._results.setdefault(key, record.number)

    def has(self, params: Mapping[str, ParamValue]) -> bool:
        """Tell whether a trial has these parameters, and a result or somebody who runs it."""
        return self.result_of(params) is not None or self.under_way(params) is not None

    def result_of(self, params: Mapping[str, ParamValue]) -> int | None:
        """Return the first trial that had these parameters and a result."""
        return self._results.get(_key(params)) if params else None

    def under_way(self, params: Mapping[str, ParamValue]) -> int | None:
        """Return the trial that has these parameters and has not ended."""
        return self._open.get(_key(params)) if params else None


def copy_of(known: FrozenTrial, draft: FrozenTrial, *, at_s: float) -> FrozenTrial:
    """Return a new trial that has ended already, with the result and the reports of another one.

    Args:
        known: Has the same parameters, and has ended.
        draft: The new trial, as it was suggested.
        at_s: Seconds of the study's life at this moment.
    """
    given = {key: value for key, value in draft.system_attrs.items() if key != attributes.REQUEST}
    now = datetime.now()
    made = create_trial(
        state=known.state,
        values=known.values,
        params=draft.params,
        distributions=draft.distributions,
        intermediate_values=known.intermediate_values,
        user_attrs=known.user_attrs,
        system_attrs={**given, **result_attributes(known, at_s=at_s)},
    )
    made.datetime_start = made.datetime_complete = now
    return made


def result_attributes(known: FrozenTrial, *, at_s: float) -> dict[str, Any]:
    """Return the attributes that a copy takes from a trial that has ended: its result, but not its costs.

    Args:
        known: The trial.
        at_s: Seconds of the study's life at which the copy ends.
    """
    attrs, first = known.system_attrs, known.system_attrs.get(attributes.SAME_AS, known.number)
    end = {key: value for key, value in attrs.get(attributes.END, {}).items() if key not in _OF_THE_RUN}
    told = {
        key: value
        for key, value in attrs.items()
        if key == attributes.PRUNING or key.startswith((attributes.METRICS, "constraints"))
    }
    text = f"same parameters as trial {first}: its result"
    return {
        **told,
        attributes.SAME_AS: first,
        attributes.END: {**end, "text": text, "units": 0, "stage_s": {}, "lost": 0, "held_s": 0.0, "at_s": at_s},
    }


def store_copy(storage: Any, trial_id: int, known: FrozenTrial, *, at_s: float) -> None:
    """End a stored trial, which has the parameters of another one already, with that one's result.

    Args:
        storage: Optuna's, open for writing.
        trial_id: Of the trial, RUNNING.
        known: The other one, which has ended.
        at_s: As in `copy_of`.
    """
    for step, value in known.intermediate_values.items():
        storage.set_trial_intermediate_value(trial_id, step, value)
    for key, value in known.user_attrs.items():
        storage.set_trial_user_attr(trial_id, key, value)
    for key, value in result_attributes(known, at_s=at_s).items():
        storage.set_trial_system_attr(trial_id, key, value)
    storage.set_trial_state_values(trial_id, known.state, known.values)


def is_result(trial: FrozenTrial) -> bool:
    """Tell whether a trial came to a result of its own, and took it from no other."""
    told = trial.state in (TrialState.COMPLETE, TrialState.PRUNED) and trial.values is not None
    return told and attributes.SAME_AS not in trial.system_attrs


def is_open(trial: FrozenTrial) -> bool:
    """Tell whether somebody runs a stored trial, or it waits for whoever goes on with it."""
    return trial.state is TrialState.RUNNING and attributes.REQUEST in trial.system_attrs


def _key(params: Mapping[str, ParamValue]) -> bytes:
    """Return what tells a set of parameters apart: 1, 1.0, true and "1" are four values."""
    text = json.dumps(sorted(params.items()), default=repr)
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=16).digest()
