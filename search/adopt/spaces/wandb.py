"""Read a sweep of Weights & Biases (docs.wandb.ai/guides/sweeps/define-sweep-configuration) as a space."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

from search.adopt.spaces.entries import is_nested, known, mapping, number, values
from search.adopt.spaces.parameter import Parameter, log_steps, multiple, stepped
from search.adopt.spaces.space import ForeignSpace
from search.errors import InputError
from search.trial import ParamValue

_METHODS: Final = {"grid": "grid", "random": "random", "bayes": "gp"}
_KEYS: Final = (
    "command controller description early_terminate entity imageuri job method metric name parameters program project "
    "run_cap"
)
_OF_PARAMETERS: Final = "distribution max min mu parameters probabilities q sigma value values"
_UNBOUNDED: Final = ("normal", "q_normal", "log_normal", "q_log_normal")
_DISTRIBUTIONS: Final = (
    "beta categorical categorical_w_probabilities constant int_uniform inv_log_uniform inv_log_uniform_values "
    "log_normal log_uniform log_uniform_values normal q_beta q_log_normal q_log_uniform q_log_uniform_values q_normal "
    "q_uniform uniform"
)


def read(content: Mapping[str, Any], source: str) -> ForeignSpace:
    """Read a sweep.

    Raises:
        InputError: A method, a distribution or a key is unknown, or a range is wrong.
    """
    for key in content:
        known(str(key), _KEYS.split(), "key", f"{source}: {key}")
    parameters: list[Parameter] = []
    constants: dict[str, ParamValue] = {}
    notes: list[str] = []
    for name, entry in _leaves(mapping(content["parameters"], "parameters"), ""):
        for key in entry:
            known(key, _OF_PARAMETERS.split(), f"key of {name}", name)
        if "value" in entry:
            if is_nested(entry["value"]):
                notes.append(
                    f"{name}: a list or a dict is no value of a parameter, and is left out; set it in the code"
                )
            else:
                constants[name] = values([entry["value"]], name)[0]
            continue
        found = _parameter(name, entry, notes)
        if found is not None:
            parameters.append(found)
    flags = _flags(content, notes)
    return ForeignSpace(source, "Weights & Biases", tuple(parameters), constants, flags, tuple(notes))


def _leaves(entries: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, entry in entries.items():
        found = mapping(entry, f"{prefix}{name}")
        if "parameters" in found:
            yield from _leaves(mapping(found["parameters"], f"{prefix}{name}.parameters"), f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", found


def _parameter(name: str, entry: Mapping[str, Any], notes: list[str]) -> Parameter | None:
    """Return a parameter; None, and a note, where it has no equivalent."""
    given = str(entry["distribution"]) if "distribution" in entry else _default(name, entry)
    kind = known(given, _DISTRIBUTIONS.split(), "distribution", name)
    if kind in ("categorical", "categorical_w_probabilities"):
        choices = values(entry.get("values"), name)
        if any(is_nested(one) for one in entry["values"]):
            notes.append(f"{name}: lists among its values are chosen by their text")
        if "probabilities" in entry:
            notes.append(f"{name}: its probabilities are left out, each value is as likely")
        return Parameter(name, "categorical", choices=choices)
    if kind in _UNBOUNDED:
        mean, deviation = number(entry.get("mu", 0), f"{name}.mu"), number(entry.get("sigma", 1), f"{name}.sigma")
        low, high = mean - 3 * deviation, mean + 3 * deviation
        if "log" in kind:
            low, high = math.exp(low), math.exp(high)
        log = ", log=True" if "log" in kind else ""
        notes.append(
            f"{name}: {kind} has no bounds, and is left out; "
            f'a line in its place could be trial.suggest_float("{name}", {low:.4g}, {high:.4g}{log})'
        )
        return None
    if kind in ("beta", "q_beta"):
        notes.append(f"{name}: {kind} has no equivalent, and is left out")
        return None
    return _numeric(name, kind, entry, notes)


def _default(name: str, entry: Mapping[str, Any]) -> str:
    if "values" in entry:
        return "categorical_w_probabilities" if "probabilities" in entry else "categorical"
    if "min" not in entry or "max" not in entry:
        raise InputError(f"{name} needs value, values, or min and max", field=name)
    whole = all(isinstance(entry[key], int) and not isinstance(entry[key], bool) for key in ("min", "max"))
    return "int_uniform" if whole else "uniform"


def _numeric(name: str, kind: str, entry: Mapping[str, Any], notes: list[str]) -> Parameter:
    low, high = number(entry.get("min"), f"{name}.min"), number(entry.get("max"), f"{name}.max")
    if kind == "int_uniform":
        return Parameter(name, "int", low, high)
    if kind == "uniform":
        return Parameter(name, "float", low, high)
    quantum = number(entry.get("q", 1), f"{name}.q")
    if quantum <= 0:
        raise InputError(f"{name}.q must be above 0, got {quantum:g}", field=name)
    if kind == "q_uniform":
        return stepped(name, multiple(low, quantum, round), multiple(high, quantum, round), quantum)
    if not kind.endswith("_values"):  # the bounds are exponents
        low, high = (-high, -low) if kind.startswith("inv_") else (low, high)
        if max(abs(low), abs(high)) > 700:
            raise InputError(
                f"{name}: {kind} takes exponents, got {low:g} and {high:g}",
                field=name,
                hint=f"{kind}_values takes values",
            )
        low, high = math.exp(low), math.exp(high)
    if not kind.startswith("q_"):
        return Parameter(name, "float", low, high, log=True)
    return log_steps(name, low, high, quantum, notes)


def _flags(content: Mapping[str, Any], notes: list[str]) -> dict[str, str]:
    flags: dict[str, str] = {}
    metric = content.get("metric")
    if metric is not None:
        found = mapping(metric, "metric")
        if "name" in found:
            flags["metric"] = str(found["name"])
        goal = known(str(found.get("goal", "minimize")), ("minimize", "maximize"), "goal", "metric.goal")
        flags["direction"] = goal
        if "target" in found:
            flags["until"] = f"{number(found['target'], 'metric.target'):g}"
    if "method" in content:
        method = str(content["method"])
        if method == "custom":
            notes.append("method custom is a search of your own, which has no equivalent")
        else:
            flags["sampler"] = _METHODS[known(method, _METHODS, "method", "method")]
    if content.get("run_cap") is not None:
        flags["trials"] = str(int(number(content["run_cap"], "run_cap")))
    if content.get("early_terminate") is not None:
        flags |= _early(mapping(content["early_terminate"], "early_terminate"), notes)
    return flags


def _early(entry: Mapping[str, Any], notes: list[str]) -> dict[str, str]:
    """Return W&B's `hyperband`, which stops at rungs of the iterations, as successive halving at the same rungs."""
    known(str(entry.get("type")), ("hyperband",), "early_terminate.type", "early_terminate.type")
    eta = int(number(entry.get("eta", 3), "early_terminate.eta"))
    if "min_iter" in entry:
        first = int(number(entry["min_iter"], "early_terminate.min_iter"))
        return {"pruner": f"asha:min_resource={first},reduction_factor={eta}"}
    if "max_iter" not in entry:
        raise InputError("early_terminate needs min_iter or max_iter", field="early_terminate")
    most = int(number(entry["max_iter"], "early_terminate.max_iter"))
    brackets = int(number(entry.get("s", 1), "early_terminate.s"))
    first = max(1, most // eta**brackets)
    notes.append("early_terminate: a trial may also run for longer than max_iter in W&B, here --max-epochs ends it")
    return {"pruner": f"asha:min_resource={first},reduction_factor={eta}", "max-epochs": str(most)}
