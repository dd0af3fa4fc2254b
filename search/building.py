"""`Building`: the learner of a trial, made by the preprocess and learner stages of its objective."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from search.blame import blame
from search.contract import Closing, Context, Learner, Prepared, Telling
from search.folds import FoldLearner, fold_problem
from search.problem import Problem, Short
from search.randomness import preparation_seed, seed_globals, stage_seed
from search.replicates import ReplicateLearner
from search.trial import Reuse, TrialSpec

if TYPE_CHECKING:
    import numpy as np

    from search.session import Setting


class Building:
    """Runs the stages before training.

    Args:
        problem: The objective with its data, got and split.
        spec: Which trial.
        setting: What of the plan concerns it.
        stage: Measures a stage by its name, while it is entered.
        clock: Monotonic seconds.
        began: When the trial began, by the clock.

    Attributes:
        notes: What people should know of how the rows came about, and of a learner that could not close.
        prepared: What the preprocess stage made; None before, and where there are none or several folds.
        target: (rows,): of the prepared validation rows; None before, and where there are none or several folds.
    """

    def __init__(
        self,
        problem: Problem,
        spec: TrialSpec,
        setting: Setting,
        stage: Callable[[str], AbstractContextManager[None]],
        *,
        clock: Callable[[], float],
        began: float,
    ) -> None:
        self._problem = problem
        self._spec = spec
        self._setting = setting
        self._stage = stage
        self._clock, self._began = clock, began
        self._reuse: Reuse | None = None
        self._folds: FoldLearner | None = None
        self.notes: tuple[str, ...] = ()
        self.target: np.ndarray[Any, Any] | None = None
        self.prepared: Prepared | None = None
        self._splits = False
        self._learner_built: Learner | None = None

    @property
    def told(self) -> tuple[str, ...]:
        """What the learner says of its training, a sentence each."""
        if self._folds is not None:
            return self._folds.told
        return tuple(self._learner_built.notes) if isinstance(self._learner_built, Telling) else ()

    @property
    def gpu_idle(self) -> float | None:
        """Share of the training in which its GPU had nothing to do; None where nobody measured it."""
        if self._folds is not None:
            return self._folds.gpu_idle
        return self._learner_built.gpu_idle if isinstance(self._learner_built, Telling) else None

    def close(self) -> None:
        """Have the learner let go of what it holds besides memory; where it fails at that, `notes` tell of it."""
        learner, self._learner_built = self._learner_built, None
        if fault := let_go(learner):
            self.notes = (*self.notes, fault)

    @property
    def splits_batches(self) -> bool:
        """Whether the learner can split its batches."""
        return self._folds.splits_batches if self._folds is not None else self._splits

    @property
    def reuse(self) -> Reuse | None:
        """How the trial came by its prepared rows, those of all its folds together; None where nothing is kept."""
        return self._folds.reuse if self._folds is not None else self._reuse

    @property
    def fold_means(self) -> dict[str, float]:
        """The means over the folds that have ended; {} without folds."""
        return self._folds.means if self._folds is not None else {}

    def learner(self) -> Learner:
        """Return the learner, untrained."""
        problem = self._problem
        self._folds = self._in_units()
        if self._folds is not None:
            return self._folds
        if isinstance(problem.stages, Short):
            self._seed("global")
            with self._stage("preprocess"):
                return problem.stages.learner(self._spec.params, problem, self.context("train"))
        return self._learner(problem)

    def prepare(self) -> str:
        """Run the preprocess stage alone, of all trainings of the trial, so that they find their rows.

        Returns:
            Why these are not kept, in one sentence; "" if they are.
        """
        units = self._in_units()
        if units is None:
            self._prepare(self._problem)
            return self._trouble
        for unit in range(units.budget):
            problem, setting = units.unit(unit)
            one = Building(problem, self._spec, setting, self._stage, clock=self._clock, began=self._began)
            if trouble := one.prepare():
                return trouble
        return ""

    def spent(self, stage_s: Mapping[str, float]) -> dict[str, float]:
        """Return the seconds of each stage; what a fold spent is told by its own, not as the training of a unit."""
        return dict(stage_s) if self._folds is None else {**stage_s, "train": 0.0, **self._folds.stage_s}

    @property
    def _trouble(self) -> str:
        return self._problem.preparations.trouble if self._problem.preparations is not None else ""

    def _prepare(self, problem: Problem) -> Prepared:
        with self._stage("preprocess"):
            mine = stage_params(self._spec.params, "preprocess.")
            seed = preparation_seed(self._setting.seed, mine)
            seed_globals(seed)
            prepared, self._reuse = problem.prepared(mine, replace(self.context("preprocess"), seed=seed))
        return prepared

    def _learner(self, problem: Problem) -> Learner:
        params, prepared = self._spec.params, self._prepare(problem)
        if self._trouble:
            self.notes = tuple(dict.fromkeys((*self.notes, self._trouble)))
        self.prepared, self.target = prepared, prepared.validation.target
        self._seed("global")
        with self._stage("build"):
            others = {name: value for name, value in params.items() if not name.startswith("preprocess.")}
            learner = problem.stages.learner(others, prepared, self.context("train"))  # type: ignore[union-attr, arg-type]
        self._splits = bool(getattr(learner, "splits_batches", False))
        self.close()
        self._learner_built = learner
        return learner

    def _in_units(self) -> FoldLearner | None:
        """Return the learner of a trial that is trained several times; None of any other."""
        problem, spec, setting = self._problem, self._spec, self._setting
        if setting.replicates > 1:
            return ReplicateLearner(problem, spec, setting, clock=self._clock, began=self._began)
        if not problem.folds:
            return None
        count, folds = len(problem.folds), problem.folds
        return FoldLearner(
            count,
            lambda fold: fold_problem(problem, folds[fold]),
            spec,
            setting,
            clock=self._clock,
            began=self._began,
        )

    def context(self, stage: str) -> Context:
        """Return what a stage may know besides its parameters and its input."""
        setting = self._setting
        return Context(
            seed=stage_seed(setting.seed, self._spec.number, stage),
            max_epochs=setting.max_epochs,
            threads=setting.threads,
            device=setting.device,
            task=self._problem.task,
            classes=self._problem.classes,
            roles=self._problem.roles,
            target_variance=self._problem.target_variance,
            **self._manner() if stage == "train" else {},
        )

    def _manner(self) -> dict[str, Any]:
        """Return how a learner trains, which is none of the stages' before: their work is the same for all of it."""
        setting = self._setting
        return {
            "micro_batches": setting.micro_batches,
            "precision": setting.precision,
            "compiled": setting.compiled,
            "devices": setting.devices,
        }

    def _seed(self, stage: str) -> None:
        seed_globals(stage_seed(self._setting.seed, self._spec.number, stage))


def let_go(learner: Learner | None) -> str:
    """Have a learner let go of what it holds besides memory; return a sentence where it fails at that, else ""."""
    if not isinstance(learner, Closing) or not callable(learner.close):  # a protocol looks at the name alone
        return ""
    try:
        learner.close()
    except (Exception, SystemExit) as error:
        return f"its learner could not close: {blame(error)[1]}"
    return ""


def stage_params(params: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Return the parameters under `prefix`, without it."""
    return {name.removeprefix(prefix): value for name, value in params.items() if name.startswith(prefix)}
