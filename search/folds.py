"""A cross-validation as a learner: one unit is one fold, trained to its end, and scores are told as means so far."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from search.blame import Fail
from search.checkpoint import Checkpoint, CheckpointKind
from search.contract import State
from search.data.roles import roles_of
from search.errors import FailReason
from search.evaluation import Evaluation, evaluation_in
from search.evaluation import together as joined
from search.problem import Problem, variance_of
from search.randomness import stage_seed
from search.trial import Ending, Outcome, Progress, Reuse, TrialSpec, Verdict

if TYPE_CHECKING:
    from search.data.folding import Fold
    from search.session import Setting

_NOTES: Final = 20
"""Sentences that are kept of all folds together: where each says another one, many folds would say too many."""


class FoldLearner:
    """A learner whose unit is a fold: prepared, built and trained by the engine as a trial of its own.

    A fold's scores are those of its best step of the searched metric; it ends early by the sweep's patience, and fails
    the trial as it would by itself. What is kept of a trial are the scores of its whole folds, so that one that is
    resumed goes on with the fold that it was in.

    Args:
        count: Folds.
        open_fold: Returns the problem with the rows of one fold, 0 to `count` - 1; called when the fold begins.
        spec: The trial.
        setting: What of the plan concerns it.
        clock: Monotonic seconds.
        began: When the trial began, by the clock; now if not given. Its folds share its time-out.

    Attributes:
        budget: Folds.
        stage_s: Seconds spent in each stage within the folds of this run.
        reuse: How all folds came by their prepared rows, together; None where nothing is kept.
        splits_batches: Whether the learner of the last fold can split its batches.
        gpu_idle: Share of the training of the folds of this run in which their GPU had nothing to do, if it is known.
        told: What their learners said of it, a sentence each, of many the first.
    """

    def __init__(
        self,
        count: int,
        open_fold: Callable[[int], Problem],
        spec: TrialSpec,
        setting: Setting,
        *,
        clock: Callable[[], float] = time.monotonic,
        began: float | None = None,
    ) -> None:
        self.budget = count
        self.stage_s: dict[str, float] = {}
        self.reuse: Reuse | None = None
        self.splits_batches = False
        self.gpu_idle: float | None = None
        self.told: tuple[str, ...] = ()
        self._waited: list[tuple[float, float]] = []
        self._open_fold = open_fold
        self._spec = spec
        self._setting = setting
        self._clock = clock
        self._began = clock() if began is None else began
        self._scores: list[dict[str, float]] = []
        self._counted = count  # folds whose predictions make up the evaluation
        self._evaluations: list[Evaluation | None] = []

    def fit_epoch(self) -> Mapping[str, float]:
        """Train the next fold to its end.

        Raises:
            Fail: It failed.
        """
        # the engine builds this learner, so it cannot be imported before it is there
        from search.engine import TrialRun

        fold = len(self._scores)
        problem, setting = self.unit(fold)
        session = _Unheard()
        run = TrialRun(problem, self._spec, setting, session, clock=self._clock, began=self._began)
        last: Mapping[str, float] = {}
        for progress in run:
            last = progress.metrics
        outcome = run.outcome
        self.splits_batches = outcome.splits_batches
        self._heed(outcome)
        for stage, seconds in outcome.stage_s.items():
            self.stage_s[stage] = self.stage_s.get(stage, 0.0) + seconds
        self.reuse = together(self.reuse, outcome.reuse)
        if outcome.ending is not Ending.COMPLETE:
            text = f"fold {fold + 1} of {self.budget}: {outcome.text}"
            raise Fail(outcome.reason or FailReason.EXCEPTION, text, outcome.trace)
        self._scores.append(dict(outcome.metrics or last))  # the searched metric may be missing: who judges says so
        self._evaluations.append(session.evaluation)
        return {}

    def unit(self, fold: int) -> tuple[Problem, Setting]:
        """Return the problem with the rows of one fold, and what of the plan concerns its training."""
        seed = stage_seed(self._setting.seed, 0, f"fold {fold}")  # of no trial: prepared rows are for all of them
        return self._open_fold(fold), replace(self._setting, seed=seed)

    def _heed(self, outcome: Outcome) -> None:
        """Take in how long the GPU of a fold waited, and what its learner said that none before has."""
        self.told = tuple(dict.fromkeys((*self.told, *outcome.notes)))[:_NOTES]
        if outcome.gpu_idle is not None:
            self._waited.append((outcome.gpu_idle, outcome.stage_s.get("train", 0.0)))
            whole = sum(seconds for _, seconds in self._waited)
            self.gpu_idle = sum(idle * seconds for idle, seconds in self._waited) / whole if whole > 0 else None

    def evaluate(self) -> Mapping[str, float]:
        """Return the means so far; to a pruner that compares trials fold by fold, the last fold's own scores."""
        return dict(self._scores[-1]) if self._setting.fold_scores else self.means

    @property
    def means(self) -> dict[str, float]:
        """The mean over the folds so far of each score that all of them have; {} before the first has ended."""
        shared = (
            [name for name in self._scores[0] if all(name in scores for scores in self._scores)] if self._scores else []
        )
        return {name: sum(scores[name] for scores in self._scores) / len(self._scores) for name in shared}

    @property
    def evaluation(self) -> Evaluation | None:
        """The predictions of the validation rows of all folds so far, in sum; None where a fold has shown none."""
        counted = self._evaluations[: self._counted]
        known = [one for one in counted if one is not None]
        return joined(known) if known and len(known) == len(counted) else None

    def state(self) -> State:
        """Return the scores and evaluations of the folds so far, and how they came by their rows."""
        shown = [one and one.to_json() for one in self._evaluations]
        reuse = self.reuse and self.reuse.to_json()
        return State({}, {"folds": [dict(scores) for scores in self._scores], "evaluations": shown, "reuse": reuse})

    def load_state(self, state: State) -> None:
        """Go on after the folds of `state`."""
        self._scores = [dict(scores) for scores in state.meta["folds"]]
        shown = state.meta.get("evaluations") or [None] * len(self._scores)
        self._evaluations = [evaluation_in(one) for one in shown]
        reuse = state.meta.get("reuse")
        self.reuse = together(reuse and Reuse.from_json(reuse), self.reuse)


def fold_problem(problem: Problem, fold: Fold) -> Problem:
    """Return the problem with the rows of one fold in the place of its train and validation rows.

    An objective that has a method `whole` trains its folds as that returns it.
    """
    train, validation = fold.parts(problem.train, problem.validation)
    whole = getattr(problem.stages, "whole", None)
    return replace(
        problem,
        stages=problem.stages if whole is None else whole(),
        train=train,
        validation=validation,
        roles=roles_of(train.features) if problem.roles else {},
        target_variance=variance_of(train, problem.task),
        folds=(),
        rows=fold.digest(),
    )


def together(one: Reuse | None, other: Reuse | None) -> Reuse | None:
    """Return two uses of prepared rows as one, which is called after the one that took more work."""
    if one is None or other is None:
        return one or other
    work = ("unkept", "made", "moved", "waited", "found")
    how = min(one.how, other.how, key=work.index)
    return Reuse(how, one.cost_s + other.cost_s, one.took_s + other.took_s)


class _Unheard:
    """The session of a fold: what it reports is nobody else's business, and only its evaluation is kept."""

    evaluation: Evaluation | None = None

    def report(self, progress: Progress) -> Verdict:  # noqa: ARG002
        return Verdict.CONTINUE

    def save(self, kind: CheckpointKind, checkpoint: Checkpoint) -> None:
        if kind == "best":
            self.evaluation = checkpoint.evaluation

    def load(self, kind: CheckpointKind) -> None:  # noqa: ARG002
        return None
