"""Suggests a new trial without writing it: the space runs on a real Optuna trial that lives in memory only.

The trial's owner then stores the draft as one record, so a trial never exists half-suggested.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Final

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from search.contract import Space
from search.errors import InputError, SweepError
from search.study.overlay import DRAFT_ID, Overlay
from search.study.ranges import brief, fault_of, in_full, span
from search.trial import ParamValue

_OWN_FILES: Final = (f"{Path(optuna.__file__).parent}{os.sep}", __file__)


def draft(
    study: optuna.Study,
    sampler: BaseSampler,
    space: Space,
    *,
    fixed: Mapping[str, ParamValue],
    attributes: Mapping[str, Any],
    number: int | None = None,
    seen: Callable[[FrozenTrial], FrozenTrial | None] | None = None,
) -> FrozenTrial:
    """Suggest the next trial of a study, with the same result as `study.ask()` and `space` on it.

    Attributes of the study that the sampler sets are stored; the trial is not.

    Args:
        study: Read for its history.
        sampler: Suggests what is not fixed.
        space: Evaluated once.
        fixed: Values of parameters, as of an enqueued trial.
        attributes: System attributes of the new trial, JSON values.
        seen: How a stored trial is shown to the sampler, if not as it is; None hides it.
        number: Of the new trial; counted in the storage if not given, which takes time in a long study.

    Returns:
        A RUNNING trial, for `storage.create_new_trial(study_id, template_trial=...)`.

    Raises:
        InputError: The space is wrong; the sentence names its file and line.
    """
    storage = study._storage
    template = FrozenTrial(
        number=storage.get_n_trials(study._study_id) if number is None else number,
        state=TrialState.RUNNING,
        value=None,
        datetime_start=datetime.now(),
        datetime_complete=None,
        params={},
        distributions={},
        user_attrs={},
        system_attrs={**attributes, **({"fixed_params": dict(fixed)} if fixed else {})},
        intermediate_values={},
        trial_id=DRAFT_ID,
    )
    overlay = Overlay(storage, template, seen)
    seen_by_sampler = optuna.Study(study.study_name, overlay, sampler=sampler, pruner=study.pruner)
    trial = _DraftTrial(seen_by_sampler, DRAFT_ID)
    try:
        space(trial)
    except SweepError:
        raise
    except (Exception, SystemExit) as error:
        place = _place_of(error.__traceback__)
        raise InputError(f"{place} fails: {type(error).__name__}: {_first_line(error)}", field="space") from error
    return overlay.draft


class UnfitPoint(InputError):
    """A value that was given for a parameter, and that the space does not allow."""


class CheckedTrial(optuna.trial.Trial):
    """Optuna's trial, with the mistakes of a space told in our sentences where Optuna warns or names no parameter."""

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        _check_range(name, low, high, log=log, least="> 0")
        return super().suggest_float(name, low, high, step=step, log=log)

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        _check_range(name, low, high, log=log, least=">= 1")
        return super().suggest_int(name, low, high, step=step, log=log)

    def _suggest(self, name: str, distribution: BaseDistribution) -> Any:
        before = self._cached_frozen_trial.distributions.get(name)
        if before is not None and before != distribution:
            show = in_full if span(before) == span(distribution) else span
            raise InputError(
                f"{name} is suggested twice with different ranges ({show(before)} then {show(distribution)}) "
                f"in {_place_in(sys._getframe())}",
                field=name,
            )
        return self._suggested(name, distribution)

    def _suggested(self, name: str, distribution: BaseDistribution) -> Any:
        """Return what is suggested for a parameter that may be asked for."""
        return super()._suggest(name, distribution)


class _DraftTrial(CheckedTrial):
    """A trial that takes what is fixed only where the space allows it."""

    def _suggested(self, name: str, distribution: BaseDistribution) -> Any:
        check_given(self._fixed_params, name, distribution)
        return super()._suggested(name, distribution)


def check_given(given: Mapping[str, ParamValue], name: str, distribution: BaseDistribution) -> None:
    """Check what is fixed for a parameter, if anything is.

    Raises:
        UnfitPoint: The parameter cannot have it.
    """
    fault = fault_of(name, given[name], distribution) if name in given else None
    if fault is not None:
        raise UnfitPoint(fault.message, field=fault.field, hint=fault.hint)


def _check_range(name: str, low: float, high: float, *, log: bool, least: str) -> None:
    """Tell the two mistakes of a range with the parameter's name, which Optuna's own errors lack."""
    wrong = None
    if not low <= high:
        wrong = "low must not be above high"
    elif log and (low < 1 if least == ">= 1" else low <= 0):
        wrong = f"log range needs low {least}"
    if wrong is not None:
        place = _place_in(sys._getframe())
        raise InputError(f"{name}: {wrong}, got [{brief(low)}, {brief(high)}]", field=name, hint=f"see {place}")


def _place_in(frame: FrameType | None) -> str:
    """Return file and line of the innermost caller that is neither Optuna nor this file."""
    while frame is not None and _is_own(frame):
        frame = frame.f_back
    return _place(frame.f_code.co_filename, frame.f_lineno) if frame else "the space"


def _place_of(traceback: TracebackType | None) -> str:
    """Return file and line of an error in a space: the last line of the space's own file on the way to it."""
    place, space_file = "the space", None
    while traceback is not None:
        file = traceback.tb_frame.f_code.co_filename
        if space_file is None and not _is_own(traceback.tb_frame):
            space_file = file
        if file == space_file:
            place = _place(file, traceback.tb_lineno)
        traceback = traceback.tb_next
    return place


def _is_own(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith(_OWN_FILES)


def _place(file: str, line: int) -> str:
    path = Path(file)
    shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    return f"{shown} line {line}"


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or "no message").splitlines()[0]
