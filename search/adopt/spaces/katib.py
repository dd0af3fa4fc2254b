"""Read an experiment of Katib's (kubeflow.org/v1beta1) as a space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from search.adopt.spaces.entries import known, mapping, number, values
from search.adopt.spaces.parameter import Parameter, stepped
from search.adopt.spaces.space import ForeignSpace
from search.errors import InputError
from search.trial import ParamValue

_SAMPLERS: Final = {
    "bayesianoptimization": "gp",
    "cmaes": "cmaes",
    "grid": "grid",
    "hyperband": "random",
    "multivariate-tpe": "tpe:multivariate=true",
    "random": "random",
    "sobol": "qmc",
    "tpe": "tpe",
}
_TYPES: Final = ("categorical", "discrete", "double", "int")
_DISTRIBUTIONS: Final = ("logNormal", "logUniform", "normal", "uniform")


def read(content: Mapping[str, Any], source: str) -> ForeignSpace:
    """Read an experiment.

    Raises:
        InputError: A type or a distribution is unknown, or a range is wrong.
    """
    spec = mapping(content.get("spec"), "spec")
    given = spec.get("parameters")
    if not isinstance(given, list) or not given:
        raise InputError(f"{source} has no spec.parameters", field="spec.parameters")
    parameters: list[Parameter] = []
    constants: dict[str, ParamValue] = {}
    notes: list[str] = []
    for index, one in enumerate(given):
        entry = mapping(one, f"spec.parameters[{index}]")
        name = str(entry.get("name", "")).lstrip("-")
        if not name:
            raise InputError(f"spec.parameters[{index}] has no name", field="spec.parameters")
        found = _parameter(name, entry, notes)
        if found is not None:
            parameters.append(found)
    return ForeignSpace(source, "Katib", tuple(parameters), constants, _flags(spec, notes), tuple(notes))


def _parameter(name: str, entry: Mapping[str, Any], notes: list[str]) -> Parameter | None:
    kind = known(str(entry.get("parameterType")), _TYPES, f"parameterType of {name}", name)
    space = mapping(entry.get("feasibleSpace"), f"{name}.feasibleSpace")
    if kind in ("categorical", "discrete"):
        choices = values(space.get("list"), name)
        if kind == "discrete":
            choices = tuple(_plain(number(one, name)) for one in choices)
        return Parameter(name, "categorical", choices=choices)
    low, high = number(space.get("min"), f"{name}.min"), number(space.get("max"), f"{name}.max")
    shape = known(str(space.get("distribution", "uniform")), _DISTRIBUTIONS, "distribution", name)
    if shape in ("normal", "logNormal"):
        notes.append(f"{name}: {shape} is searched evenly over its range{' in log scale' * (shape == 'logNormal')}")
    log = shape in ("logUniform", "logNormal")
    step = number(space["step"], f"{name}.step") if space.get("step") not in (None, "") else None
    if log and step is not None and not (kind == "int" and step == 1):
        notes.append(f"{name}: log scale goes without steps here, so step={step:g} is left out")
        step = None
    if kind == "int":
        if step is not None and step != 1:
            return stepped(name, int(low), int(high), int(step))
        return Parameter(name, "int", int(low), int(high), log=log)
    if step is None:
        return Parameter(name, "float", low, high, log=log)
    found = stepped(name, low, high, step)
    return Parameter(name, "float", found.low, found.high, step=step)


def _plain(value: float) -> ParamValue:
    return int(value) if float(value).is_integer() else value


def _flags(spec: Mapping[str, Any], notes: list[str]) -> dict[str, str]:
    flags: dict[str, str] = {}
    objective = mapping(spec.get("objective", {}), "spec.objective")
    if "objectiveMetricName" in objective:
        flags["metric"] = str(objective["objectiveMetricName"])
    if "type" in objective:
        flags["direction"] = known(str(objective["type"]), ("minimize", "maximize"), "type", "spec.objective.type")
    if objective.get("goal") is not None:
        flags["until"] = f"{number(objective['goal'], 'spec.objective.goal'):g}"
    if objective.get("additionalMetricNames"):
        notes.append("additional metrics are recorded by themselves: whatever an objective reports is")
    algorithm = mapping(spec.get("algorithm", {}), "spec.algorithm")
    name = str(algorithm.get("algorithmName", ""))
    if name in _SAMPLERS:
        flags["sampler"] = _SAMPLERS[name]
    elif name:
        notes.append(f"algorithm {name!r:.40} has no equivalent: choose a --sampler")
    if algorithm.get("algorithmSettings"):
        notes.append("algorithmSettings are left out: samplers have options of their own (--sampler NAME:OPTION=VALUE)")
    for key, flag in (("maxTrialCount", "trials"), ("parallelTrialCount", "concurrency")):
        if spec.get(key) is not None:
            flags[flag] = str(int(number(spec[key], f"spec.{key}")))
    if spec.get("maxFailedTrialCount") is not None:
        notes.append("maxFailedTrialCount counts all failures, --max-failures those in a row")
    stopping = spec.get("earlyStopping")
    if name == "hyperband":
        flags["pruner"] = "hyperband"
    elif stopping is not None:
        flags |= _stopping(mapping(stopping, "spec.earlyStopping"), notes)
    return flags


def _stopping(entry: Mapping[str, Any], notes: list[str]) -> dict[str, str]:
    name = str(entry.get("algorithmName", ""))
    if name != "medianstop":
        notes.append(f"earlyStopping {name!r:.40} has no equivalent: choose a --pruner")
        return {}
    said = {str(one.get("name")): one.get("value") for one in entry.get("algorithmSettings") or []}
    options = [
        f"{ours}={int(number(said[theirs], theirs))}"
        for theirs, ours in (("min_trials_required", "n_startup_trials"), ("start_step", "n_warmup_steps"))
        if theirs in said
    ]
    return {"pruner": "median" + (f":{','.join(options)}" if options else "")}
