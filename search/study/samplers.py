"""Samplers by name, built anew for each trial, so that a suggestion depends on (history, seed, number) alone."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable, Container, Mapping
from typing import Any, Final

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.samplers import BaseSampler, GPSampler, QMCSampler, RandomSampler, TPESampler, nsgaii
from optuna.trial import FrozenTrial

from search.errors import InputError, SurroundingsError
from search.study.auto.sampler import AutoSampler
from search.study.choice import Choice, check_name, check_options, options_of
from search.study.cmaes import CmaEs
from search.study.evolve import Evolve
from search.study.grid import Grid
from search.study.nsga2 import Nsga2

_KNOWN: Final[Mapping[str, Callable[..., BaseSampler]]] = {
    "auto": AutoSampler,
    "cmaes": CmaEs,
    "evolve": Evolve,
    "gp": GPSampler,
    "grid": Grid,
    "nsga2": Nsga2,
    "qmc": QMCSampler,
    "random": RandomSampler,
    "tpe": TPESampler,
}
NAMES: Final = tuple(_KNOWN)

_CROSSOVERS: Final = {
    "blxalpha": nsgaii.BLXAlphaCrossover,
    "sbx": nsgaii.SBXCrossover,
    "spx": nsgaii.SPXCrossover,
    "undx": nsgaii.UNDXCrossover,
    "uniform": nsgaii.UniformCrossover,
    "vsbx": nsgaii.VSBXCrossover,
}
_MUTATIONS: Final = {"polynomial": nsgaii.PolynomialMutation}
_INDEPENDENT: Final = {"random": RandomSampler, "tpe": TPESampler}
_NAMED: Final[Mapping[str, Mapping[str, Mapping[str, Callable[..., Any]]]]] = {
    "cmaes": {"independent_sampler": _INDEPENDENT},
    "gp": {"independent_sampler": _INDEPENDENT},
    "nsga2": {"crossover": _CROSSOVERS, "mutation": _MUTATIONS},
    "qmc": {"independent_sampler": _INDEPENDENT},
}
"""Options that are objects in Optuna, given by name here."""

_DEFAULTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "cmaes": {"warn_independent_sampling": False},
    "gp": {"warn_independent_sampling": False},
    # A scrambled sequence begins anywhere; the plain one begins with every parameter at its lowest.
    "qmc": {"warn_independent_sampling": False, "scramble": True},
}
_LEAST: Final = {"n_ei_candidates": 1, "n_startup_trials": 0, "popsize": 2, "sigma0": 1e-6}
"""Bounds that Optuna's constructors do not check."""

_NEEDS: Final = {"cmaes": ("cmaes",), "gp": ("scipy", "torch"), "qmc": ("scipy",)}
_EXTRAS: Final = {"cmaes": "cmaes", "gp": "gp", "qmc": "gp"}
_OURS: Final = ("seed", "warn_asynchronous_seeding", "warn_independent_sampling")  # not the user's to set
_WITHOUT_EFFECT: Final = ("inc_popsize", "restart_strategy")  # Optuna still takes them, and ignores them
_ONE_METRIC: Final = frozenset({"cmaes"})


def check(choice: Choice, *, objectives: int = 1) -> None:
    """Check that a sampler can be made.

    Args:
        choice: As parsed.
        objectives: How many metrics are searched.

    Raises:
        InputError: Its name or an option is wrong, or it cannot search several metrics.
        SurroundingsError: It needs a package that is not installed.
    """
    check_name("sampler", choice.name, NAMES)
    named = _NAMED.get(choice.name, {})
    accepted = options_of(_KNOWN[choice.name], hidden=(*_OURS, *_WITHOUT_EFFECT)) | dict.fromkeys(
        named, frozenset({"str"})
    )
    check_options("sampler", choice, accepted)
    for option, known in named.items():
        if option in choice.options:
            check_name(option.replace("_", " "), str(choice.options[option]), known)
    for option, value in choice.options.items():
        if option in _LEAST and isinstance(value, int | float) and value < _LEAST[option]:
            raise InputError(
                f"{option} of sampler {choice.name} must be at least {_LEAST[option]}, got {value}", field="--sampler"
            )
    if choice.name in _ONE_METRIC and objectives > 1:
        raise InputError(
            f"sampler {choice.name} searches one metric, got {objectives}", field="--sampler", hint="try tpe or nsga2"
        )
    missing = [package for package in _NEEDS.get(choice.name, ()) if importlib.util.find_spec(package) is None]
    if missing:
        raise SurroundingsError(
            f"sampler {choice.name} needs {' and '.join(missing)}, not installed here",
            field="--sampler",
            hint=f"pip install 'sweep-search[{_EXTRAS[choice.name]}]'",
        )
    try:
        make(choice, seed=0, number=0)
    except ValueError as error:
        raise InputError(f"sampler {choice.name}: {str(error).rstrip('.')}", field="--sampler") from error


def check_space(choice: Choice, distributions: Mapping[str, BaseDistribution], *, fixed: Container[str] = ()) -> None:
    """Check that a sampler can search these parameters.

    Args:
        choice: Checked before.
        distributions: Every parameter of the space.
        fixed: Names of those that the user fixed.

    Raises:
        InputError: A grid has a float without a step.
    """
    if choice.name != "grid":
        return
    for name, distribution in distributions.items():
        if isinstance(distribution, FloatDistribution) and distribution.step is None and name not in fixed:
            raise InputError(
                f"grid needs a step for {name} (a float range)",
                field="--sampler",
                hint="give step= or use another sampler",
            )


def make(choice: Choice, *, seed: int, number: int) -> BaseSampler:
    """Build the sampler for one trial.

    Args:
        choice: Checked before.
        seed: Of the sweep.
        number: Of the trial; mixed into the seed, or a sampler that is built anew would repeat its first draws.
    """
    mixed = int(np.random.SeedSequence((seed, number)).generate_state(1)[0])
    options: dict[str, Any] = {**_DEFAULTS.get(choice.name, {}), **choice.options}
    with warnings.catch_warnings():
        # Whoever names an experimental or outgoing option wants it, and a warning at each trial is noise.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        warnings.simplefilter("ignore", FutureWarning)
        for option, known in _NAMED.get(choice.name, {}).items():
            if option in options:
                build = known[options[option]]
                options[option] = build(seed=mixed) if option == "independent_sampler" else build()
        if choice.name == "qmc":
            # One seed for the whole sequence, or it is none; what is not in it must differ from trial to trial.
            return QMCSampler(seed=seed % 2**32, **{"independent_sampler": RandomSampler(seed=mixed), **options})
        return _KNOWN[choice.name](seed=mixed, **options)


def exhausted(
    choice: Choice,
    study: optuna.Study,
    *,
    fixed: Container[str] = (),
    seen: Callable[[FrozenTrial], FrozenTrial | None] | None = None,
) -> bool:
    """Tell whether there is nothing left to suggest: a grid of which every point is tried or being tried.

    Args:
        choice: Checked before.
        study: Its trials are read.
        fixed: Names of parameters that the user fixed.
        seen: How a trial is shown to the sampler, if not as it is; None hides it.
    """
    if choice.name != "grid":
        return False
    trials = study.get_trials(deepcopy=False)
    shown = trials if seen is None else [one for trial in trials if (one := seen(trial)) is not None]
    sampler = make(choice, seed=0, number=0)
    assert isinstance(sampler, Grid)
    return sampler.is_exhausted(shown, fixed)


def sampler_for(text: str, *, seed: int, number: int) -> BaseSampler:
    """Return the sampler that suggests one trial of a sweep, for a loop of plain Optuna's.

    Args:
        text: As `--sampler` takes it, such as `tpe:n_startup_trials=20`.
        seed: Of the sweep.
        number: Of the trial.

    Raises:
        InputError: There is no such sampler, or no such option.
        SurroundingsError: It needs a package that is not installed.

    Example:
        >>> for number in range(60):
        ...     study.sampler = sampler_for("tpe", seed=1, number=number)
        ...     study.optimize(objective, n_trials=1)
    """
    choice = Choice.parse(text)
    check(choice)
    return make(choice, seed=seed, number=number)
