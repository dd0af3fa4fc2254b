"""Every point of a space once: Optuna's brute force, which walks conditional spaces, without its `study.stop()`."""

from __future__ import annotations

import copy
from collections.abc import Container, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BruteForceSampler
from optuna.samplers._brute_force import _TreeNode
from optuna.trial import FrozenTrial, TrialState


class Grid(BruteForceSampler):
    """Suggests a point that no trial has had; which one comes next is random.

    Parameters that the user fixed are no part of the grid: their values need not lie on it.
    """

    _fixed: Container[str] = ()

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        self._fixed = trial.system_attrs.get("fixed_params", {})
        return super().sample_independent(study, trial, param_name, param_distribution)

    def _populate_tree(  # type: ignore[override]  # static in Optuna, and called on the instance
        self, tree: _TreeNode, trials: list[FrozenTrial], params: dict[str, Any]
    ) -> None:
        free = {name: value for name, value in params.items() if name not in self._fixed}
        super()._populate_tree(tree, [_without(trial, self._fixed) for trial in trials], free)

    def after_trial(
        self, study: optuna.Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """Leave it to `is_exhausted` to end the study; Optuna would call `study.stop()`, which is for `optimize`."""

    def is_exhausted(self, trials: Sequence[FrozenTrial], fixed: Container[str]) -> bool:
        """Tell whether every point has been tried, or is being tried.

        Args:
            trials: Of the study.
            fixed: Names of parameters that the user fixed in all of them.
        """
        begun = [trial for trial in trials if trial.state is not TrialState.WAITING]
        if not begun:
            return False
        self._fixed = fixed
        tree = _TreeNode()
        self._populate_tree(tree, begun, {})
        return not tree.is_any_expandable(exclude_running=not self._avoid_premature_stop)


def _without(trial: FrozenTrial, names: Container[str]) -> FrozenTrial:
    free = {name: one for name, one in trial.distributions.items() if name not in names}
    if len(free) == len(trial.distributions):
        return trial
    short = copy.copy(trial)
    short.params = {name: trial.params[name] for name in free}
    short.distributions = free
    return short
