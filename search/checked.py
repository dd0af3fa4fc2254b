"""The choices of a launch against its objective, its space and its data: the `SpaceChoices` and the `Goal`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.adopt.optuna_choices import literal
from search.choosing import Choices
from search.contract import Space
from search.earlier import sources
from search.errors import InputError
from search.problem import Problem
from search.study import constraints, pruners, samplers
from search.study.choice import Choice
from search.study.space import check_fixed, check_point, describe
from search.study.warm import Source
from search.trial import ParamValue


@dataclass(frozen=True, slots=True)
class SpaceChoices:
    """Where and how a sweep searches.

    Attributes:
        parameters: Every parameter that the space was seen to suggest, with its Optuna distribution.
        sampler: It can search them.
        pruner: It can rank trials by the metrics asked for.
        fixed: Parameters that the user set.
        enqueued: Points to try first.
    """

    parameters: Mapping[str, Any]
    sampler: Choice
    pruner: Choice
    fixed: Mapping[str, ParamValue]
    enqueued: tuple[Mapping[str, ParamValue], ...]


@dataclass(frozen=True, slots=True)
class Goal:
    """What a sweep searches for.

    Attributes:
        metrics: Searched, the first one first.
        directions: Of each.
        bounds: Constraints on metrics.
        earlier: Studies that it learns from.
    """

    metrics: tuple[str, ...]
    directions: tuple[str, ...]
    bounds: tuple[str, ...]
    earlier: tuple[Source, ...]


def against_space(
    choices: Choices, stages: object, space: Space, *, seed: int, points: Sequence[Mapping[str, object]], folder: Path
) -> SpaceChoices:
    """Check what can be checked before data is loaded, which may take long.

    Args:
        choices: The user's.
        stages: The objective.
        space: As loaded.
        seed: Of the sweep.
        points: To try first, where no file holds them.
        folder: What relative paths are relative to.

    Raises:
        InputError: A choice does not go with the space.
        SurroundingsError: The sampler needs a package that is not installed.
    """
    sampler, pruner = Choice.parse(choices["sampler"]), _pruner(choices)
    samplers.check(sampler)
    parameters = describe(space, seed=seed)
    if (check_choices := getattr(stages, "check_choices", None)) is not None:
        check_choices(parameters, choices["data"])
    pruners.check(pruner, choices["max-epochs"] or pruners.NO_LIMIT)
    by_hand = getattr(stages, "suggests_itself", False)
    value_of = literal if by_hand else check_fixed
    fixed = {name: value_of(name, text, parameters) for name, text in choices["set"]}
    samplers.check_space(sampler, parameters, fixed=fixed)
    points = read_points(folder / choices["enqueue"]) if choices["enqueue"] else points
    enqueued = tuple({name: value_of(name, value, parameters) for name, value in point.items()} for point in points)
    for point in () if by_hand else enqueued:
        check_point(space, point, fixed=fixed, seed=seed)
    return SpaceChoices(parameters, sampler, pruner, fixed, enqueued)


def against_problem(choices: Choices, problem: Problem, search: SpaceChoices, *, results: Path) -> Goal:
    """Check what depends on the metrics that the objective has for its data.

    Args:
        choices: The user's.
        problem: The objective with its data.
        search: What was checked before.
        results: The results folder, with the studies to learn from.

    Raises:
        InputError: A choice does not go with the metrics.
        SurroundingsError: The storage of an earlier study cannot be read.
    """
    metrics, directions = _searched(problem, choices)
    samplers.check(search.sampler, objectives=len(metrics))
    bounds = constraints.check(choices["constraint"])
    _check_steering(choices, metrics, search.sampler, problem)
    earlier = sources(choices["warm-start"], results=results, space=search.parameters, directions=directions)
    return Goal(metrics, directions, bounds, earlier)


def _pruner(choices: Choices) -> Choice:
    """Return the pruner, which with several metrics has to rank trials by all of them."""
    names, pruner = choices["metric"], Choice.parse(choices["pruner"])
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"--metric {name} is given twice", field="--metric", hint="give each metric once")
    pruners.check_metrics(pruner, names)
    return pruner


def _searched(problem: Problem, choices: Choices) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the searched metrics and their directions.

    A metric that is not declared is searched as the user says: whether it is reported is seen at the first report.
    """
    declared = {metric.name: metric.direction for metric in problem.metrics}
    by_hand = getattr(problem.stages, "suggests_itself", False)
    if by_hand and Choice.parse(choices["pruner"]).options.get("promote"):
        raise InputError(
            "promote=true pauses a trial at a rung, which an Optuna objective cannot do",
            field="--pruner",
            hint="leave promote out",
        )
    names = choices["metric"] or tuple(declared)[: None if by_hand else 1]
    if hasattr(problem.stages, "check_choices"):  # an estimator's: a scorer asked for stands first, by its natural name
        names = tuple(declared)[: len(names)]
    given = choices["direction"]
    if given and len(given) != len(names):
        raise InputError(
            f"{len(given)} directions but {len(names)} value{'s' * (len(names) > 1)} reported ({', '.join(names)})",
            field="--direction",
            hint="give one direction per objective",
        )
    return names, given or tuple(declared.get(name, "minimize") for name in names)


def _check_steering(choices: Choices, metrics: tuple[str, ...], sampler: Choice, problem: Problem) -> None:
    """Check what steers a search against what it searches.

    Raises:
        InputError: It needs one metric, or a sampler that can be led.
    """
    for name in ("until", "min-gain", "until-confident", "warm-start"):
        if choices[name] not in (None, ()):
            check_one_metric(name, metrics)
    if choices["warm-start"] and sampler.name == "grid":
        raise InputError(
            "--warm-start goes with no grid, which takes every point once", field="--warm-start", hint="try tpe"
        )
    by_hand = getattr(problem.stages, "suggests_itself", False)
    for name, fallback in (("warm-start", ()), ("replicates", 1)):
        if by_hand and choices[name] != fallback:
            raise InputError(
                f"--{name} does not go with an Optuna objective, which suggests its parameters while it runs",
                field=f"--{name}",
                hint="give it a space and `@objective`, or leave this out",
            )
    for text in choices["constraint"] if by_hand else ():
        if constraints.Constraint.parse(text).metric not in metrics:
            raise InputError(
                f"--constraint {text} needs a value that the Optuna objective returns, got {', '.join(metrics)}",
                field="--constraint",
                hint="call trial.set_constraint in it",
            )


def check_one_metric(name: str, metrics: Sequence[str]) -> None:
    """Refuse an option that goes by the one best trial where there is a front.

    Raises:
        InputError: Several metrics are searched.
    """
    if len(metrics) > 1:
        raise InputError(
            f"--{name} needs one metric, got {len(metrics)} ({', '.join(metrics)})",
            field=f"--{name}",
            hint="leave it out",
        )


def read_points(path: Path) -> list[dict[str, object]]:
    """Read `--enqueue`: one JSON object of parameters a line."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path.name} cannot be read: {error}", field="--enqueue") from error
    points = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            point = json.loads(line)
        except ValueError as error:
            point = error
        if not isinstance(point, dict):
            said = getattr(point, "msg", "not an object")
            raise InputError(
                f"{path.name} line {number}: not JSON ({said}); each line is one object of parameters",
                field="--enqueue",
            )
        points.append(point)
    return points
