"""What a call gives of a study that it goes on with, held against what the study has: `refuse_other`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from search import earlier
from search.adopt.optuna_choices import literal
from search.adopt.recognise import metric_names
from search.checked import read_points
from search.choosing import BY_NAME, Choices
from search.data.reference import absolute_reference, parse_reference
from search.data.scheme import Scheme
from search.errors import RefusedError
from search.loading import Loaded
from search.plan import SweepPlan
from search.study.choice import Choice
from search.study.space import check_fixed, describe
from search.study.storage import check_url

_ALIKE: Final = {
    **{name: name for name in ("target", "folds", "seed", "cpus", "patience", "precision", "replicates", "catch")},
    "compile": "compiled",
    "max-epochs": "max_epochs",
    "gpus": "asked_gpus",
    "direction": "directions",
    "constraint": "constraints",
}
"""Options that the plan keeps as they are parsed, by its fields."""

_WRITTEN: Final[Mapping[str, tuple[str, Callable[[Any], Any]]]] = {
    "sampler": ("sampler", lambda text: Choice.parse(text).text()),
    "pruner": ("pruner", lambda text: Choice.parse(text).text()),
    "split": ("split", lambda text: Scheme.parse(text).text),
    "storage": ("storage", check_url),
}
"""Options that the plan keeps in one of several ways in which they can be written, by its fields."""

_LOOKED_AT: Final = ("metric", "warm-start", "set", "enqueue", "data")
"""Options whose value depends on more than their text."""

COMPARED: Final = frozenset((*_ALIKE, *_WRITTEN, *_LOOKED_AT))
"""Options that a study keeps for its life: to go on with it, they are given again as they were, or left out."""


def refuse_other(
    plans: Sequence[SweepPlan],
    choices: Choices,
    points: Sequence[Mapping[str, object]],
    objective: Loaded,
    space: Loaded,
    *,
    results: Path,
    kept: bool,
) -> None:
    """Refuse what a study cannot change any more.

    Args:
        plans: The study's as it was launched, and as edits since have made it: either is the study's.
        choices: What the call gives.
        points: To try first, where no file holds them.
        objective: The study's.
        space: The study's.
        results: The results folder.
        kept: Whether the data lay in memory: its file is then named by its content.

    Raises:
        RefusedError: An option was given, and the study has another value.
        InputError: It is none that any study could have.
    """
    for name, field, wanted in _given(plans[-1], choices, points, objective, space, results, kept=kept):
        has = getattr(plans[-1], field)
        if all(wanted != getattr(plan, field) for plan in plans):
            study, added = plans[-1].study, name == "enqueue"
            raise RefusedError(
                f"study {study!r} was launched with {BY_NAME[name].key}={has!r:.60}, got {wanted!r:.60}",
                field=name,
                hint=f"`sweep enqueue {study}` adds points" if added else "leave it out, or choose another study",
            )


def _given(
    plan: SweepPlan,
    choices: Choices,
    points: Sequence[Mapping[str, object]],
    objective: Loaded,
    space: Loaded,
    results: Path,
    *,
    kept: bool,
) -> Iterator[tuple[str, str, Any]]:
    """Yield each option that was given, the plan's field of it, and the value that a plan would hold."""
    for name, field in _ALIKE.items():
        if choices.given(name) and choices[name] is not None:
            yield name, field, choices[name]
    for name, (field, written) in _WRITTEN.items():
        if choices.given(name):
            yield name, field, written(choices[name])
    if choices.given("metric"):
        yield "metric", "metrics", metric_names(objective.value, choices["metric"])
    if choices.given("warm-start"):
        yield "warm-start", "warm_start", earlier.names(choices["warm-start"], results, known=plan.warm_start)
    if choices.given("data"):
        yield "data", "data", _same_data(plan.data, choices["data"], kept=kept)
    described = describe(space.value, seed=plan.seed)
    value_of = literal if plan.by_hand else check_fixed
    if choices.given("set"):
        yield "set", "fixed", {name: value_of(name, text, described) for name, text in choices["set"]}
    tried = read_points(Path.cwd() / choices["enqueue"]) if choices["enqueue"] else points
    if tried and [*tried] != [*plan.enqueued]:
        typed = tuple({name: value_of(name, one, described) for name, one in point.items()} for point in tried)
        yield "enqueue", "enqueued", typed


def _same_data(has: str | None, given: str, *, kept: bool) -> str:
    """Return the study's reference where the given one names the same: what was fetched is pinned in a plan."""
    here = Path.cwd()
    wanted = absolute_reference(given, here)
    if has is None or wanted == has:
        return wanted
    if kept:
        return has if Path(has).name == Path(wanted).name else wanted
    one, other = parse_reference(wanted, here), parse_reference(has, here)
    alike = (one.kind, one.location) == (other.kind, other.location)
    without = {name: value for name, value in other.options.items() if name != "snapshot"}
    return has if alike and dict(one.options) == without else wanted
