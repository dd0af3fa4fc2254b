"""What differs between studies beside their results, and which of it makes a comparison unfair: `Row`s and `Unfair`."""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from search.errors import SurroundingsError
from search.records.history import History
from search.records.parameters import Parameter
from search.study import attributes, edits
from search.trial import ParamValue

_OWN: Final = {"study", "results", "origins", "metrics", "directions", "address", "storage", "notify", "track"}
"""Fields of a plan that differ without a meaning for what was found."""

_CLOSE: Final = 1e-9
_FEWER: Final = 0.9
"""Share of the most trials below which a study has had fewer chances."""


@dataclass(frozen=True, slots=True)
class Row:
    """One thing side by side, as text, in the order of the studies.

    Attributes:
        values: None where a study does not have it.
    """

    name: str
    values: tuple[str | None, ...]

    @property
    def differs(self) -> bool:
        return len(set(self.values)) > 1


@dataclass(frozen=True, slots=True)
class Unfair:
    """Something that makes a comparison unfair.

    Attributes:
        what: `data`, `split`, `code`, `epochs`, `baseline`, `trials`, `replicates`, `constraints` or `state`.
        text: A sentence.
    """

    what: str
    text: str


def space(history: History) -> dict[str, str]:
    """Return what each parameter may be, by name, also of those that no trial had."""
    seen = {one.name: _range(one) for one in history.parameters}
    launched: Mapping[str, Any] = history.launch.get("parameters") or {}
    if edits.stored(history.attributes):  # the ranges of its trials are the widest of all its spaces
        launched = {name: text for name, text in launched.items() if name not in seen}
    return {**seen, **{name: _launched(str(text)) for name, text in launched.items()}}


def spaces(histories: Sequence[History]) -> tuple[Row, ...]:
    """Return every parameter of the studies with what it may be in each, those of all studies first."""
    found = [space(history) for history in histories]
    names = dict.fromkeys(name for one in found for name in one)
    rows = [Row(name, tuple(one.get(name) for one in found)) for name in names]
    return tuple(sorted(rows, key=lambda row: row.values.count(None)))


def bests(histories: Sequence[History], numbers: Sequence[int | None]) -> tuple[Row, ...]:
    """Return the parameters of these trials, one a study, side by side."""
    found = [
        {} if number is None else history.params(number) for history, number in zip(histories, numbers, strict=True)
    ]
    names = dict.fromkeys(name for one in found for name in one)
    return tuple(Row(name, tuple(_value(one[name]) if name in one else None for one in found)) for name in names)


def choices(histories: Sequence[History]) -> tuple[Row, ...]:
    """Return the choices of the plans that differ."""
    plans = [history.plan.to_json() for history in histories]
    rows = [Row(name, tuple(_text(one[name]) for one in plans)) for name in plans[0] if name not in _OWN]
    return tuple(row for row in rows if row.differs)


def fingerprints(histories: Sequence[History]) -> tuple[Row, ...]:
    """Return data, split, code and versions side by side, shortened."""
    rows = [
        Row("data", tuple(_short(_of_run(one, "data_hash")) for one in histories)),
        Row("split", tuple(_short(split(one)) for one in histories)),
        Row("code of objective", tuple(_short(_of_run(one, "objective_hash")) for one in histories)),
        Row("code with space", tuple(_short(_of_run(one, "code_hash")) for one in histories)),
    ]
    libraries: list[Mapping[str, str]] = [one.launch.get("versions") or {} for one in histories]
    for name in dict.fromkeys(name for one in libraries for name in one):
        row = Row(f"version of {name}", tuple(one.get(name) for one in libraries))
        if row.differs:
            rows.append(row)
    return tuple(row for row in rows if any(row.values))


def split(history: History) -> str | None:
    """Return the hash of which row is where; None where the objective splits for itself. Reads no data."""
    from search.data.splits import Split

    if history.folder.split.exists():
        with contextlib.suppress(SurroundingsError):
            return Split.load(history.folder.split).digest()
    return None


def unfair(histories: Sequence[History]) -> tuple[Unfair, ...]:
    """Return what makes a comparison unfair, the worst first."""
    found = [
        _apart("data", histories, lambda one: _of_run(one, "data_hash"), "they were given different data"),
        _apart("split", histories, split, "the rows are split into train and validation in different ways")
        or _split_by_plan(histories),
        _apart("code", histories, lambda one: one.plan.objective, "they are of different objectives")
        or _apart("code", histories, _code, "the code of the objective differs"),
        _apart("epochs", histories, lambda one: one.plan.max_epochs, "the longest training differs (--max-epochs)"),
        _baselines(histories),
        _apart("replicates", histories, lambda one: one.plan.replicates, "a value is the mean of different counts"),
        _apart(
            "constraints", histories, lambda one: ", ".join(one.plan.constraints) or "none", "the constraints differ"
        ),
        _counts(histories),
    ]
    running = [history.folder.name for history in histories if history.status.state == "running"]
    if running:
        found.append(Unfair("state", f"{' and '.join(running)} still runs: this is where it stands now"))
    for history in histories:
        runs = history.attributes.get(attributes.RUNS, [])
        if len({one.get("data_hash") for one in runs}) > 1:
            found.append(Unfair("data", f"the data of {history.folder.name} changed between its own runs"))
    return tuple(one for one in found if one is not None)


def _apart(what: str, histories: Sequence[History], of: Callable[[History], Any], said: str) -> Unfair | None:
    """Return the sentence if a thing that is known of each study is not the same for all."""
    values = [of(history) for history in histories]
    if any(value is None or value == "" for value in values) or len({_text(value) for value in values}) == 1:
        return None
    each = [f"{one.folder.name} {_brief(_text(value))}" for one, value in zip(histories, values, strict=True)]
    return Unfair(what, f"{said}: {', '.join(each)}")


def _split_by_plan(histories: Sequence[History]) -> Unfair | None:
    """Compare what a split is made from, where the splits themselves are not known."""
    plans = [history.plan for history in histories]
    if len({(plan.split, plan.folds) for plan in plans}) > 1:
        return _apart("split", histories, lambda one: f"{one.plan.split}, {one.plan.folds} folds", "the splits differ")
    if all(split(history) is not None or not _of_run(history, "data_hash") for history in histories):
        return None  # with no data given, nothing of ours follows the seed
    return _apart("split", histories, lambda one: one.plan.rows_seed, "the seeds differ, and splits may follow them")


def _code(history: History) -> str | None:
    return _of_run(history, "objective_hash") or _of_run(history, "code_hash")


def _baselines(histories: Sequence[History]) -> Unfair | None:
    metric = histories[0].metrics[0]
    values = [history.status.baseline.get(metric) for history in histories]
    known = [value for value in values if value is not None]
    if len(known) < len(values) or max(known) - min(known) <= _CLOSE * max(1.0, *map(abs, known)):
        return None
    each = [f"{one.folder.name} {_value(value)}" for one, value in zip(histories, known, strict=True)]
    return Unfair("baseline", f"a naive prediction scores differently: {', '.join(each)}")


def _counts(histories: Sequence[History]) -> Unfair | None:
    counts = [int(history.are("complete", "pruned", "fail").sum()) for history in histories]
    if min(counts) >= _FEWER * max(counts):
        return None
    each = [f"{one.folder.name} {count}" for one, count in zip(histories, counts, strict=True)]
    return Unfair("trials", f"they had different numbers of trials: {', '.join(each)}; compare at common budgets")


def _of_run(history: History, name: str) -> str | None:
    """Return a hash of the study's last run, of its launch before the first one began."""
    runs = history.attributes.get(attributes.RUNS, [])
    found = (runs[-1].get(name) if runs else None) or history.launch.get(name)
    return str(found) if found else None


def _range(parameter: Parameter) -> str:
    if parameter.is_choice:
        return " | ".join(map(_value, parameter.choices))
    return _span(parameter.low, parameter.high, log=parameter.log, whole=parameter.kind == "int")


def _span(low: float, high: float, *, log: bool, whole: bool, step: float | None = None) -> str:
    by = f" by {step:g}" if step is not None and not (whole and step == 1) else ""
    return f"{low:.6g} to {high:.6g}{by}{' log' if log else ''}{' (whole)' if whole else ''}"


def _launched(text: str) -> str:
    """Return a distribution as Optuna writes it, in the words of `_range`."""
    with contextlib.suppress(SyntaxError, ValueError, KeyError, TypeError):
        call = ast.parse(text, mode="eval").body
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
            given = {str(one.arg): ast.literal_eval(one.value) for one in call.keywords}
            if "choices" in given:
                return " | ".join(map(_value, given["choices"]))
            whole = call.func.id == "IntDistribution"
            return _span(given["low"], given["high"], log=given["log"], whole=whole, step=given.get("step"))
    return text


def _value(value: ParamValue) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _text(value: object) -> str:
    if value is None or value == [] or value == {}:
        return "-"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _short(digest: str | None) -> str | None:
    return digest and digest[:12]


def _brief(text: str) -> str:
    return text if len(text) <= 40 else text[:12] if " " not in text and "/" not in text else f"{text[:39]}…"
