"""An objective written for Optuna, `def objective(trial)`, as an objective of ours: it runs unchanged."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from search.adopt import optimized
from search.adopt.arguments import the_argument
from search.contract import Metric
from search.errors import InputError

if TYPE_CHECKING:
    from search.session import Setting
    from search.trial import TrialSpec


@dataclass(frozen=True, slots=True, eq=False)
class OptunaObjective:
    """A callable that takes a trial, suggests its parameters, trains, reports, and returns its values.

    Attributes:
        function: It.
        script: The file that holds it, which may say how its study is made; "" if there is none.
        name: What it is called there.
        names: Of its values.
        directions: Of its values.
        notes: What was taken from the script, a sentence each.
        suggests_itself: Its parameters are not known before it runs.
    """

    function: Callable[[Any], Any]
    script: str = ""
    name: str = ""
    names: tuple[str, ...] = ("value",)
    directions: tuple[str, ...] = ("minimize",)
    notes: tuple[str, ...] = ()
    suggests_itself: bool = field(default=True, init=False)

    @property
    def searched(self) -> tuple[Metric, ...]:
        """Its values as metrics."""
        return tuple(Metric(name, way) for name, way in zip(self.names, self.directions, strict=True))  # type: ignore[arg-type]

    def searching(self, names: Sequence[str], directions: Sequence[str]) -> OptunaObjective:
        """Return the same objective with these names and directions of its values."""
        count = len(directions) or len(names) or 1
        ways = tuple(directions) or ("minimize",) * count
        named = tuple(names) or (("value",) if count == 1 else tuple(f"value_{place}" for place in range(count)))
        if len(named) != len(ways):
            ways = (*ways, *("minimize",) * len(named))[: len(named)]  # the launch says that they do not fit
        return replace(self, names=named, directions=ways)

    @staticmethod
    def space(trial: Any) -> None:
        """Suggest nothing: parameters are suggested while the objective runs."""

    def trial_run(
        self,
        spec: TrialSpec,
        setting: Setting,
        session: Any,
        *,
        told: Mapping[int, Mapping[str, float]],
        resumed: bool,  # noqa: ARG002 - it runs again from its beginning
    ) -> Any:
        """Return a run of one trial, a `search.running.Run`."""
        from search.adopt.remote_run import Called, ObjectiveRun

        return ObjectiveRun(Called(self.function, self.names, self.directions), spec, setting, session, told=told)


def is_candidate(name: str, value: Any) -> bool:
    """Tell whether a function of a module is an objective, by its one argument `trial`; a search space is none."""
    if not inspect.isfunction(value) or name == "space" or name.endswith("_space"):
        return False
    return _takes_a_trial(value) and the_argument(value) == "trial"


def adopt(value: Any, module: ModuleType) -> OptunaObjective | None:
    """Return whatever can be called with a trial alone, a function, a partial or an instance, as an objective."""
    if inspect.isclass(value) or not _takes_a_trial(value):
        return None
    held = vars(module).items()
    name = next((name for name, one in held if one is value), None)
    name = name or next((name for name, one in held if one is type(value)), "")
    return OptunaObjective(value, getattr(module, "__file__", None) or "", name)


def _takes_a_trial(value: Any) -> bool:
    if not callable(value) or hasattr(value, "declared_metrics") or inspect.isgeneratorfunction(value):
        return False
    return the_argument(value) is not None


def optimized_by(module: ModuleType) -> str | None:
    """Return the name of what a script gives to `study.optimize`; None if it gives nothing, or several things.

    Raises:
        InputError: What it gives has no name by which a worker could find it.
    """
    script = Path(getattr(module, "__file__", None) or "")
    targets = optimized.read(script)
    names = {one.name for one in targets if hasattr(module, one.name)}
    if names or not targets:
        return names.pop() if len(names) == 1 else None
    first = targets[0]
    name = "obj" if first.made else first.name or "NAME"
    hint = f"{first.advice or f'bind {name} above that'}, and name it as {script.name}:{name}"
    raise InputError(f"{script.name} optimizes {first.text:.60} (line {first.line})", field="objective", hint=hint)


def other_target(objective: OptunaObjective) -> str | None:
    """Say what its script optimizes instead of this objective, if it does."""
    script = Path(objective.script)
    targets = optimized.read(script) if objective.script else []
    if not targets or any(one.name == objective.name for one in targets):
        return None
    if optimized.assigned(script, objective.name) in {one.made for one in targets if one.made}:
        return None
    return f"{script.name} line {targets[0].line} optimizes {targets[0].text:.80}, and not {objective.name}"


def can_be_named(value: Any) -> bool:
    """Tell whether a module's value is an objective once it is named, or a class that makes one."""
    if inspect.isclass(value):
        call = getattr(value, "__call__", None)  # noqa: B004 - that of its instances is wanted
        return inspect.isfunction(call) and not _needed(value) and len(_needed(call)) == 2
    return _takes_a_trial(value)


def advice(name: str, value: Any) -> str | None:
    """Say what makes an objective of a function with more arguments than a trial, or of a class that needs some."""
    needed = _needed(value) if inspect.isfunction(value) or inspect.isclass(value) else []
    if inspect.isclass(value):
        if not needed or not inspect.isfunction(getattr(value, "__call__", None)):  # noqa: B004 - as above
            return None
        return f"{name} is made with {', '.join(needed)}; add `obj = {name}({_as_words(needed)})` and name it"
    if len(needed) < 2 or needed[0] != "trial":
        return None
    made = f"functools.partial({name}, {_as_words(needed[1:])})"
    return f"{name} takes {len(needed)} arguments; add `obj = {made}` and name it"


def _as_words(names: Sequence[str]) -> str:
    return ", ".join(f"{name}={name}" for name in names)


def _needed(function: Any) -> list[str]:
    """Return the arguments that have no default."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    free = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [one.name for one in parameters if one.default is one.empty and one.kind not in free]
