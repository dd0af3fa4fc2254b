"""The choices of a sweep whose objective was written for Optuna: what its script says, else Optuna's own defaults."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from search.adopt import hints
from search.adopt.optuna_objective import OptunaObjective, other_target
from search.choosing import Choices
from search.errors import InputError, SweepError
from search.study import pruners, samplers
from search.study.choice import Choice
from search.study.space import check_fixed
from search.trial import ParamValue

_WITHOUT_EFFECT: Final = {
    "space": "it suggests its parameters by itself",
    "data": "it gets its data by itself",
    "target": "it gets its data by itself",
    "split": "it splits its data by itself",
    "folds": "it splits its data by itself",
    "patience": "it ends by itself",
    "keep-checkpoints": "it keeps its checkpoints by itself",
    "precision": "it trains by itself",
    "compile": "it trains by itself",
}


def settle(objective: Any, choices: Choices) -> tuple[Any, Choices]:
    """Return an objective as it searches what the user, or its script, says, with all choices settled.

    Args:
        objective: Of any kind; what was not written for Optuna stays as it is.
        choices: As the user gave them.

    Raises:
        InputError: A choice does not go with such an objective.
    """
    if not isinstance(objective, OptunaObjective):
        if choices["catch"]:
            said = "--catch is for Optuna objectives; a trial that raises fails, and the sweep goes on"
            raise InputError(said, field="--catch", hint="leave it out")
        return objective, choices
    for name, why in _WITHOUT_EFFECT.items():
        if choices.given(name):
            raise InputError(
                f"--{name} has no effect on an Optuna objective: {why}", field=f"--{name}", hint="leave it out"
            )
    found = hints.read(Path(objective.script), objective.name) if objective.script else hints.Hints()
    unused = [*_leave_unknown(found), *(name for name in found.defaults if choices.given(name))]
    several = max(len(_settled(name, found, choices)) for name in ("direction", "metric")) > 1
    if several and not choices.given("pruner") and found.defaults.get("pruner", "none") != "none":
        found.left.append("pruner (an objective with several values is not pruned)")
        del found.defaults["pruner"]
        unused.append("pruner")
    choices = choices.with_defaults(found.defaults, "script")
    own = {"sampler": "nsga2" if several else "tpe", "pruner": "none" if several else "median", "max-epochs": 0}
    if several and choices["pruner"] != "none" and choices.given("pruner"):
        raise InputError(
            f"an Optuna objective with several values is not pruned, got --pruner {choices['pruner']}",
            field="--pruner",
            hint="use --pruner none",
        )
    choices = replace(
        choices,
        values={**choices.values, **{name: value for name, value in own.items() if not choices.given(name)}},
    )
    _check(choices)
    found.defaults = {name: value for name, value in found.defaults.items() if name not in unused}
    found.taken = [text for text in found.taken if not text.startswith(tuple(unused))] if unused else found.taken
    notes = [*filter(None, [other_target(objective)]), *found.notes(Path(objective.script).name)]
    return replace(objective, notes=tuple(notes)), choices


def _settled(name: str, found: hints.Hints, choices: Choices) -> Any:
    """Return an option's value: a script's where the user gives none."""
    return choices[name] if choices.given(name) else found.defaults.get(name, choices[name])


def _leave_unknown(found: hints.Hints) -> list[str]:
    """Leave a sampler or a pruner that cannot be had here with the options that a script gives it; return which."""
    left = []
    for name in ("sampler", "pruner"):
        try:
            choice = Choice.parse(found.defaults.get(name, "none" if name == "pruner" else "random"))
            samplers.check(choice) if name == "sampler" else pruners.check(choice, pruners.NO_LIMIT)
        except SweepError as error:
            found.left.append(f"{name} ({error.message})")
            del found.defaults[name]
            left.append(name)
    return left


def _check(choices: Choices) -> None:
    if choices["sampler"].partition(":")[0] == "grid":
        raise InputError(
            "sampler grid needs a space, and an Optuna objective has none before it runs",
            field="--sampler",
            hint="try tpe or qmc",
        )
    pruner = choices["pruner"].replace(" ", "")
    if choices["max-epochs"]:
        return
    if "hyperband" in pruner and "max_resource=" not in pruner.replace("max_resource=auto", ""):
        raise InputError(
            "hyperband has to know the longest training of an Optuna objective",
            field="--pruner",
            hint="give --max-epochs, or hyperband:max_resource=N",
        )
    if "min_resource=auto" in pruner:
        raise InputError(
            "min_resource=auto is a part of the longest training, which an Optuna objective does not tell",
            field="--pruner",
            hint="give --max-epochs, or a number",
        )


def literal(name: str, value: object, known: Mapping[str, Any]) -> ParamValue:
    """Return a value that a user fixes for a parameter; where no trial has suggested any yet, as it is typed.

    Args:
        name: Of the parameter.
        value: Text of a flag, read as JSON where it is JSON; or a JSON value.
        known: What trials have suggested.

    Raises:
        InputError: It is a list or an object, no trial has suggested the parameter, or it cannot have it.
    """
    if known:
        return check_fixed(name, value, known)
    if isinstance(value, str):
        text = value
        try:
            value = json.loads(text)
        except ValueError:
            words: dict[str, ParamValue] = {"True": True, "False": False, "None": None}
            return words.get(text, text)
        if isinstance(value, (list, dict)):  # a choice, by its label
            return text
    if isinstance(value, (list, dict)):
        raise InputError(
            f"{name} takes one value, got {json.dumps(value)[:60]}", field=name, hint="give a number or a word"
        )
    return value  # type: ignore[return-value]
