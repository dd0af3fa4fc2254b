"""An objective written for Optuna, `def objective(trial)`, as an objective of ours: it runs unchanged."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import TYPE_CHECKING, Any

from search.contract import Metric

if TYPE_CHECKING:
    from search.engine import Setting
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
    return _takes_a_trial(value) and _argument(value) == "trial"


def adopt(value: Any, module: ModuleType) -> OptunaObjective | None:
    """Return whatever can be called with a trial alone, a function, a partial or an instance, as an objective."""
    if inspect.isclass(value) or not _takes_a_trial(value):
        return None
    name = next((name for name, one in vars(module).items() if one is value or one is type(value)), "")
    return OptunaObjective(value, getattr(module, "__file__", None) or "", name)


def _takes_a_trial(value: Any) -> bool:
    if not callable(value) or hasattr(value, "declared_metrics") or inspect.isgeneratorfunction(value):
        return False
    return _argument(value) is not None


def _argument(value: Any) -> str | None:
    """Return the name of the one argument that a callable needs; None if it needs none, or more."""
    try:
        parameters = inspect.signature(value).parameters.values()
    except (TypeError, ValueError):
        return None
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    needed = [one for one in parameters if one.default is one.empty and one.kind not in variable]
    if len(needed) != 1 or needed[0].kind is inspect.Parameter.KEYWORD_ONLY:
        return None
    return needed[0].name
