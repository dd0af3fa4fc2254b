"""Pruners by name: what a `Choice` of a pruner may say, and the rule it stands for."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, Final

from search.errors import InputError
from search.study.choice import Choice, OptionValue, check_known
from search.study.pruners._asha import Asha
from search.study.pruners._hyperband import Hyperband
from search.study.pruners._never import Never
from search.study.pruners._patient import Patient
from search.study.pruners._percentile import Median, Percentile
from search.study.pruners._rule import PruningRule
from search.study.pruners._wilcoxon import Wilcoxon

DEFAULT: Final = Choice("asha")

_RULES: Final[Mapping[str, type[PruningRule]]] = {
    rule.name: rule for rule in (Asha, Hyperband, Median, Never, Patient, Percentile, Wilcoxon)
}
_OURS: Final = frozenset({"direction", "max_epochs", "seed", "wrapped"})  # what the sweep sets, not an option

NAMES: Final = tuple(sorted(_RULES))


def check(choice: Choice, max_epochs: int) -> None:
    """Check a pruner's name, its options, and that it can prune at all.

    `patient:wrapped=NAME` takes the options of NAME, too.

    Args:
        choice: As parsed.
        max_epochs: The last step of a trial.

    Raises:
        InputError: Something is wrong with it.
    """
    if choice.name == Patient.name:
        _check_patient(choice)
    else:
        check_known(choice, "pruner", _RULES, ours=_OURS)
    try:
        rule = make(choice, directions=["minimize"], seed=0, max_epochs=max_epochs)
    except ValueError as error:
        raise InputError(f"pruner {choice.name}: {error}", field="--pruner") from error
    if rule.first_step >= max_epochs and choice not in (DEFAULT, Choice(Never.name)):
        epochs = "1 epoch" if max_epochs == 1 else f"{max_epochs} epochs"
        raise InputError(
            f"{choice.name} cannot prune with {epochs} a trial",
            field="--pruner",
            hint="raise --max-epochs or use --pruner none",
        )


def make(choice: Choice, *, directions: Sequence[str], seed: int, max_epochs: int) -> PruningRule:
    """Build the pruner of a study with one metric.

    Args:
        choice: Checked before.
        directions: `minimize` or `maximize`, of the one metric.
        seed: Of the sweep.
        max_epochs: The last step of a trial.
    """
    options: dict[str, Any] = dict(choice.options)
    common: dict[str, Any] = {"direction": directions[0], "max_epochs": max_epochs}
    if choice.name == Hyperband.name:
        common["seed"] = seed
    if choice.name != Patient.name:
        return _RULES[choice.name](**common, **options)
    wrapped, own, rest = _split(choice)
    inner = None
    if wrapped is not None:
        inner = make(Choice(wrapped, rest), directions=directions, seed=seed, max_epochs=max_epochs)
    return Patient(inner, **common, **own)


def _check_patient(choice: Choice) -> None:
    wrapped, own, rest = _split(choice)
    if wrapped is None:
        own |= rest
    else:
        wrappable = {name: rule for name, rule in _RULES.items() if rule not in (Patient, Never)}
        check_known(Choice(wrapped, rest), "pruner", wrappable, ours=_OURS)
    check_known(Choice(choice.name, own), "pruner", _RULES, ours=_OURS)


def _split(choice: Choice) -> tuple[str | None, dict[str, Any], dict[str, OptionValue]]:
    """Return the name that `patient` wraps, patient's own options, and the others, which are the wrapped one's."""
    options = dict(choice.options)
    wrapped = options.pop("wrapped", None)
    known = inspect.signature(Patient).parameters.keys() - _OURS
    own = {name: options.pop(name) for name in known & options.keys()}
    return None if wrapped is None else str(wrapped), own, options
