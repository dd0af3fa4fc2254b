"""Pruners by name: what a `Choice` of a pruner may say, and the rule it stands for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from optuna.study import StudyDirection

from search.errors import InputError
from search.study.choice import Choice, check_known, check_name, check_options, options_of
from search.study.pruners._asha import Asha
from search.study.pruners._auto import Auto
from search.study.pruners._hyperband import Hyperband
from search.study.pruners._never import Never
from search.study.pruners._patient import Patient
from search.study.pruners._percentile import Median, Percentile
from search.study.pruners._rule import PruningRule, ways_of
from search.study.pruners._wilcoxon import Wilcoxon
from search.study.reports import Reports

AUTO: Final = Choice(Auto.name)
DEFAULT: Final = AUTO

_RULES: Final[Mapping[str, type[PruningRule]]] = {
    rule.name: rule for rule in (Asha, Auto, Hyperband, Median, Never, Patient, Percentile, Wilcoxon)
}
_WRAPPABLE: Final = {name: rule for name, rule in _RULES.items() if rule not in (Auto, Never, Patient)}
_OURS: Final = ("direction", "max_epochs", "seed", "wrapped", "best_counts")
"""Options that the sweep sets, and no user."""

_PATIENTS_OPTIONS: Final[frozenset[str]] = frozenset(options_of(Patient, hidden=_OURS))

NAMES: Final = tuple(sorted(_RULES))


def check_metrics(choice: Choice, metrics: Sequence[str]) -> None:
    """Check that a pruner can weigh several metrics against each other.

    Raises:
        InputError: It compares one metric only.
    """
    if len(metrics) > 1 and choice.name not in (Asha.name, Auto.name, Never.name):
        raise InputError(
            f"{choice.name} prunes by one metric, got {len(metrics)} ({', '.join(metrics)})",
            field="--pruner",
            hint="use auto or asha, which weigh all of them, or none",
        )


def check(choice: Choice, max_epochs: int) -> None:
    """Check a pruner's name, its options, and that it can prune at all.

    `patient:wrapped=NAME` takes the options of NAME, too.

    Args:
        choice: As parsed.
        max_epochs: The last step of a trial.

    Raises:
        InputError: Something is wrong with it.
    """
    check_name("pruner", choice.name, NAMES)
    accepted = options_of(_RULES[choice.name], hidden=_OURS)
    own = choice
    if choice.name == Patient.name:
        accepted["wrapped"] = frozenset({"str", "None"})
        own, wrapped = _split(choice)
        if wrapped is not None:
            check_known(wrapped, "pruner", _WRAPPABLE, ours=_OURS)
    check_options("pruner", own, accepted)
    try:
        rule = make(choice, directions=["minimize"], seed=0, max_epochs=max_epochs)
    except ValueError as error:
        raise InputError(f"pruner {choice.name}: {error}", field="--pruner") from error
    if rule.first_step >= max_epochs and choice not in (DEFAULT, Choice(Asha.name), Choice(Never.name)):
        epochs = "1 epoch" if max_epochs == 1 else f"{max_epochs} epochs"
        raise InputError(
            f"{choice.name} cannot prune with {epochs} a trial",
            field="--pruner",
            hint="raise --max-epochs or use --pruner none",
        )


def make(
    choice: Choice,
    *,
    directions: Sequence[str | StudyDirection],
    seed: int,
    max_epochs: int,
    metrics: Sequence[str] = (),
    by_hand: bool = False,
    best_counts: bool = False,
) -> PruningRule:
    """Build the pruner of a study.

    Args:
        choice: Checked before.
        directions: `minimize` or `maximize`, of each searched metric; Optuna's `study.directions` will do.
        seed: Of the sweep.
        max_epochs: The last step of a trial.
        metrics: Names of the searched metrics; needed where there are several.
        by_hand: Whether the objective suggests and reports by itself, so that nobody can rest.
        best_counts: Whether a trial's value is the best that it reports, rather than the last, or another one.

    Raises:
        ValueError: The rule cannot be as it is asked for.
    """
    ways = () if isinstance(directions, str) else ways_of(directions)
    if not ways or not {*ways} <= {"minimize", "maximize"}:
        raise ValueError(f"directions must be minimize or maximize for each searched metric, got {directions!r}")
    if len(ways) > 1 and len(metrics) != len(ways):
        raise ValueError(f"metrics must name each of the {len(ways)} searched ones, got {[*metrics]!r}")
    options: dict[str, Any] = {"direction": ways[0], "max_epochs": max_epochs}
    if choice.name in (Auto.name, Hyperband.name):
        options["seed"] = seed
    if choice.name != Patient.name:
        options |= choice.options
        if choice.name == Auto.name:
            options["best_counts"] = best_counts
            if by_hand:
                options["promote"] = False
        rule = _RULES[choice.name](**options)
    else:
        own, wrapped = _split(choice)
        options |= {name: value for name, value in own.options.items() if name != "wrapped"}
        inner = None if wrapped is None else make(wrapped, directions=ways, seed=seed, max_epochs=max_epochs)
        rule = Patient(inner, **options)
    rule.reports = Reports(ways, metrics)
    return rule


def _split(choice: Choice) -> tuple[Choice, Choice | None]:
    """Return `patient` with its own options, and the pruner it wraps with all the others."""
    wrapped = choice.options.get("wrapped")
    if wrapped is None:
        return choice, None
    own = {name: value for name, value in choice.options.items() if name in {"wrapped", *_PATIENTS_OPTIONS}}
    rest = {name: value for name, value in choice.options.items() if name not in own}
    return Choice(choice.name, own), Choice(str(wrapped), rest)
