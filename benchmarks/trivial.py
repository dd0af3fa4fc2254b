"""An objective that costs nothing: what is left of a trial's time is the orchestrator's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from search.contract import Run, objective

if TYPE_CHECKING:
    import optuna


REPORTS = 9


def curve(x: float, y: float, step: int) -> float:
    """Return a loss that falls with the step towards a value set by the parameters."""
    return (x - 0.3) ** 2 + (y - 0.7) ** 2 + 1.0 / step


def trivial_space(trial: optuna.trial.Trial) -> None:
    trial.suggest_float("train.x", 0.0, 1.0)
    trial.suggest_float("train.y", 0.0, 1.0)


@objective(space=trivial_space, metrics={"val_loss": "minimize"})
def trivial(run: Run) -> Iterator[Mapping[str, float]]:
    x, y = run.params["train.x"], run.params["train.y"]
    assert isinstance(x, float)
    assert isinstance(y, float)
    for epoch in run.epochs:
        yield {"val_loss": curve(x, y, epoch)}
