"""Read the folder of a Ray Tune experiment as a study."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from search.adopt.importing.source import SourceStudy, end_of
from search.adopt.importing.tune_trial import PICKLED, TuneTrial
from search.adopt.tune_numbers import flatten
from search.errors import FailReason, InputError, did_you_mean
from search.study import attributes
from search.trial import ParamValue

_UNBEGUN: Final = ("PENDING",)
_UNENDED: Final = ("RUNNING", "PAUSED")


def is_experiment(folder: Path) -> bool:
    """Tell whether a folder is one of an experiment of Tune's."""
    return any(folder.glob("experiment_state-*.json")) or any(folder.glob("*/params.json"))


def read(
    folder: Path,
    *,
    metric: str | None,
    direction: str | None,
    known: Mapping[str, BaseDistribution],
) -> SourceStudy:
    """Read an experiment.

    Args:
        folder: Of the experiment.
        metric: The searched one; None for what the experiment says.
        direction: Which way it is better.
        known: Ranges of parameters by dotted name; others span the values that were seen.

    Raises:
        InputError: There is no trial with a result, or it is not clear what was searched.
    """
    states, said = _state(folder)
    trials = [trial for one, state in _folders(folder, states) if (trial := TuneTrial.read(one, state)) is not None]
    begun = [trial for trial in trials if trial.status not in _UNBEGUN]
    if not any(trial.results for trial in begun):
        raise InputError(f"{folder} has no trial with a result", field="SOURCE", hint="result.json holds them")
    name = metric or said.get("_metric")
    reported = sorted({one for trial in begun for row in trial.results.values() for one in row})
    if not isinstance(name, str):
        listed = ", ".join(reported[:6])
        raise InputError(f"{folder} does not say which metric was searched", field="--metric", hint=f"it has {listed}")
    if name not in reported:
        raise InputError(f"no trial reported {name!r}", field="--metric", hint=did_you_mean(name, reported)[:120])
    if direction is None:
        raise InputError(
            f"{folder} does not say whether a lower or a higher {name} is better",
            field="--direction",
            hint="give --direction minimize or --direction maximize",
        )
    params, notes = _params(begun)
    ranges = _ranges(params, known)
    frozen = [_frozen(number, trial, params[number], ranges, name) for number, trial in enumerate(begun)]
    return SourceStudy(
        name=folder.resolve().name,
        tool="Ray Tune",
        directions=(direction,),
        metrics=(name,),
        trials=frozen,
        notes=(*notes, *_notes(trials, begun, name, {*ranges} - {*known})),
    )


def _state(folder: Path) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """Return what the newest state file says of each trial by its folder's name, and of the experiment."""
    for path in sorted(folder.glob("experiment_state-*.json"), reverse=True):
        try:
            state = json.loads(path.read_text(encoding="utf-8"))
            said = [json.loads(one[0]) if isinstance(one[0], str) else one[0] for one in state["trial_data"]]
            found = {Path(one["relative_logdir"]).name: one for one in said}
            return dict(sorted(found.items(), key=lambda item: _order(item[1]))), dict(state.get("runner_data", {}))
        except (OSError, ValueError, KeyError, TypeError, IndexError):
            continue  # cut short: the one before it, or the folders alone
    return {}, {}


def _order(state: Mapping[str, Any]) -> tuple[int, str]:
    tag, name = str(state.get("experiment_tag", "")).partition("_")[0], str(state.get("trial_id", ""))
    return (int(tag) if tag.isdecimal() else 10**9), name


def _folders(folder: Path, states: Mapping[str, Any]) -> list[tuple[Path, Any]]:
    """Return each trial's folder with its state: those of the state file in its order, then the others."""
    others = sorted(path.parent for path in folder.glob("*/params.json") if path.parent.name not in states)
    others.sort(key=lambda path: _index(path.name))
    return [*((folder / name, state) for name, state in states.items()), *((path, None) for path in others)]


def _index(name: str) -> int:
    """Return the number in a folder's name, as in `train_fn_056b0_00003_3_lr=0.1_2026-...`."""
    return next((int(part) for part in name.split("_") if len(part) == 5 and part.isdecimal()), 10**9)


def _params(trials: Sequence[TuneTrial]) -> tuple[list[dict[str, ParamValue]], list[str]]:
    """Return the searched parameters of each trial, by dotted name."""
    flat = [dict(_nodes(trial.config)) for trial in trials]
    said = {name.replace("/", ".") for trial in trials for name in trial.searched}
    dotted = {name: name.replace("/", ".") for one in flat for name in one}  # a key may have a slash of its own
    searched = {name for name, dots in dotted.items() if dots in said}
    if not said:  # whatever differs, a list as one
        names = {name for trial in trials for name, _ in flatten(trial.config, ".")}
        searched = {name for name in names if len({repr(one.get(name)) for one in flat}) > 1 or len(flat) == 1}
    pickled = sorted(name for name in searched if any(_is_pickled(one.get(name)) for one in flat))
    notes = [f"{name} was left out: its values are pickles, which run code when they are opened" for name in pickled]
    lost = sorted(said - {*dotted.values()})
    notes += [f"{name} was left out: it was searched, and no trial's config has it" for name in lost]
    kept = searched - {*pickled}
    return [{name: _plain(one[name]) for name in one if name in kept} for one in flat], notes


def _nodes(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield all that a config holds by dotted name, down to the items of lists: any of it may have been searched."""
    if _is_pickled(value):
        return
    inside = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inside:
        name = f"{prefix}{key}"
        yield name, one
        yield from _nodes(one, f"{name}.")


def _is_pickled(value: Any) -> bool:
    return isinstance(value, Mapping) and value.get("_type") == PICKLED


def _plain(value: Any) -> ParamValue:
    """Return a value as a parameter: what JSON nests is told by its text, as our own choices are."""
    return value if isinstance(value, (bool, int, float, str, type(None))) else repr(value)[:80]


def _ranges(
    params: Sequence[Mapping[str, ParamValue]], known: Mapping[str, BaseDistribution]
) -> dict[str, BaseDistribution]:
    """Return the range of each parameter: as known where it holds all values, else what was seen."""
    seen: dict[str, list[ParamValue]] = {}
    for one in params:
        for name, value in one.items():
            seen.setdefault(name, []).append(value)
    return {
        name: known[name] if name in known and _holds(known[name], values) else _spanned(values)
        for name, values in seen.items()
    }


def _holds(distribution: BaseDistribution, values: Sequence[ParamValue]) -> bool:
    try:
        return all(distribution._contains(distribution.to_internal_repr(value)) for value in values)
    except (TypeError, ValueError):
        return False


def _spanned(values: Sequence[ParamValue]) -> BaseDistribution:
    numbers = [value for value in values if isinstance(value, (int, float)) and not isinstance(value, bool)]
    if len(numbers) < len(values):
        return CategoricalDistribution(list(dict.fromkeys(values)))
    if all(isinstance(value, int) for value in numbers):
        return IntDistribution(int(min(numbers)), int(max(numbers)))
    return FloatDistribution(float(min(numbers)), float(max(numbers)))


def _frozen(
    number: int, trial: TuneTrial, params: Mapping[str, ParamValue], ranges: Mapping[str, BaseDistribution], metric: str
) -> FrozenTrial:
    reports = {step: row[metric] for step, row in trial.results.items() if metric in row}
    last = max(trial.results, default=0)
    value = trial.results.get(last, {}).get(metric)
    state, end = _end(trial, last, value)
    attrs: dict[str, Any] = {
        attributes.metrics_key(step): dict(row) for step, row in trial.results.items() if len(row) > 1
    }
    began = trial.started or datetime.fromtimestamp(0)
    return FrozenTrial(
        number=number,
        state=state,
        value=value if state is TrialState.COMPLETE else None,
        datetime_start=began,
        datetime_complete=trial.ended or began,
        params=dict(params),
        distributions={name: ranges[name] for name in params},
        user_attrs=dict(trial.results[last]) if state is TrialState.COMPLETE else {},
        system_attrs={**attrs, attributes.END: {**end, "metrics": dict(trial.results.get(last, {}))}},
        intermediate_values=reports,
        trial_id=number,
    )


def _end(trial: TuneTrial, last: int, value: float | None) -> tuple[TrialState, dict[str, Any]]:
    """Return how a trial ended; where no state tells, an error or a missing value is a FAIL."""
    if trial.status in _UNENDED:
        said = "it was running when it was imported"
        return TrialState.FAIL, end_of(text=said, reason=FailReason.WORKER_LOST, step=last)
    if trial.status == "ERROR" or (not trial.status and trial.error):
        text = trial.error or "Ray Tune left no word of its error"
        return TrialState.FAIL, end_of(text=text, reason=FailReason.EXCEPTION, step=last)
    if value is None:
        said = "its last result has no finite value of the metric" if last else "it reported nothing"
        return TrialState.FAIL, end_of(text=said, reason=FailReason.INVALID, step=last)
    return TrialState.COMPLETE, end_of(text="Ray Tune, at its last result", step=last)


def _notes(trials: Sequence[TuneTrial], begun: Sequence[TuneTrial], metric: str, spanned: set[str]) -> list[str]:
    said = [f"the value of a trial is its last {metric}; one that a scheduler stopped counts as COMPLETE, as in Tune"]
    left = len(trials) - len(begun)
    if left:
        said.append(f"{left} pending trials were left out: they had not begun")
    unended = sum(trial.status in _UNENDED for trial in begun)
    if unended:
        said.append(f"{unended} running trials became FAIL: running when imported")
    damaged = sum(trial.damaged for trial in begun)
    if damaged:
        said.append(f"{damaged} damaged lines of results were skipped")
    if spanned:
        names = ", ".join(sorted(spanned)[:4])
        said.append(
            f"ranges of {names} span the values that were seen: --space FILE.py:param_space gives the true ones"
        )
    return said
