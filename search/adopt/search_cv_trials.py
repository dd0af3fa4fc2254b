"""The trials behind a `SweepSearchCV`: asked of a study in memory, reported fold by fold, told: `SearchTrials`."""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import optuna

from search.adopt.search_cv_space import CandidateSpace
from search.errors import FailReason, InputError
from search.local import compares_folds
from search.plan import SweepPlan
from search.study import pruners, samplers
from search.study.choice import Choice
from search.study.in_memory import open_in_memory
from search.study.owner import StudyOwner
from search.study.runs import Run
from search.study.space import describe
from search.trial import Ending, Outcome, ParamValue, Progress, Verdict

DEFAULT_TRIALS: Final = 20
"""Trials of a search that is told neither how many nor how long."""

_METRIC: Final = "mean_test_score"
_UNTIL_ALL: Final = 2**31  # slots: who asks knows how many it can run
_INDEPENDENT: Final = ("grid", "qmc", "random")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a user chose of a search.

    Attributes:
        n_trials: None for every point of a grid, for as many as fit into `timeout`, or for `DEFAULT_TRIALS`.
        timeout: Seconds after which no trial begins.
    """

    sampler: str
    pruner: str
    n_trials: int | None
    timeout: float | None
    seed: int


@dataclass(frozen=True, slots=True, eq=False)
class SearchTrial:
    """A trial in hand: its number, its attempt and its parameters as the study has them."""

    number: int
    token: str
    params: Mapping[str, ParamValue]


class SearchTrials:
    """A study of candidates, whose score is the mean over their splits.

    Args:
        space: Of the candidates.
        wanted: What the user chose.
        splits: Of the cross-validation.

    Attributes:
        parameters: Names of all that the space suggests.
        prunes: Whether a candidate may end before its last split.
        independent: Whether no suggestion depends on a score, so that all can be asked for at once.

    Raises:
        InputError: The sampler, the pruner or the space is wrong.
    """

    def __init__(self, space: CandidateSpace, wanted: Wanted, *, splits: int) -> None:
        sampler, pruner = Choice.parse(wanted.sampler), Choice.parse(wanted.pruner)
        samplers.check(sampler)
        pruners.check(pruner, splits)
        if pruner.options.get("promote"):  # candidates that rest would have to be taken up again, splits and all
            raise InputError("promote lets trials rest, which this search cannot", field="pruner", hint="leave it out")
        described = describe(space, seed=wanted.seed, draws=8)
        if not described:
            raise InputError("the space suggests no parameter", field="space", hint="trial.suggest_float(...) does")
        samplers.check_space(sampler, described)
        self.parameters = tuple(described)
        points = tuple(space.points() or ()) if sampler.name == "grid" else ()
        self.prunes = pruner.name != "none"
        self.independent = sampler.name in _INDEPENDENT and not self.prunes and wanted.timeout is None
        self._own_folds = compares_folds(pruner)
        self._scores: dict[int, list[float]] = {}
        plan = SweepPlan(
            objective="",
            space="",
            study="search",
            results="",
            metrics=(_METRIC,),
            directions=("maximize",),
            seed=wanted.seed,
            trials=_trials(wanted, sampler, len(points)),
            time_s=wanted.timeout,
            max_epochs=splits,
            sampler=sampler.text(),
            pruner=pruner.text(),
            keep_checkpoints="none",
            enqueued=points,
        )
        self._storage = open_in_memory()
        self._owner = StudyOwner(plan, self._storage, space, slots=_UNTIL_ALL, run=Run(uuid.uuid4().hex))
        self._owner.prepare({})
        self._asked = 0

    @property
    def study(self) -> optuna.Study:
        """The study, as plain Optuna has it."""
        return optuna.load_study(study_name="search", storage=self._storage.optuna)

    def ask(self, most: int) -> list[SearchTrial]:
        """Return the next trials, `most` at most; [] if there are no more."""
        asked: list[SearchTrial] = []
        while len(asked) < most:
            self._asked += 1
            spec = self._owner.ask(f"search:{self._asked}").spec
            if spec is None:
                break
            token = str(spec.number)
            self._owner.begin(spec.number, token)
            self._scores[spec.number] = []
            asked.append(SearchTrial(spec.number, token, spec.params))
        return asked

    def report(self, trial: SearchTrial, score: float) -> bool:
        """Take the score of a trial's next split, and tell whether the trial goes on.

        A trial without a finite score has failed; one that does not go on has been told.
        """
        scores = self._scores[trial.number]
        scores.append(score)
        if not math.isfinite(score):
            self._end(trial, Ending.FAIL, text=f"the score of split {len(scores) - 1} is {score}")
            return False
        told = score if self._own_folds else sum(scores) / len(scores)
        progress = Progress(len(scores), {_METRIC: told}, len(scores))
        if self._owner.report(trial.number, trial.token, progress) is Verdict.PRUNE:
            self._end(trial, Ending.PRUNED, text="pruned")
            return False
        return True

    def complete(self, trial: SearchTrial) -> None:
        """End a trial that has had all its splits."""
        self._end(trial, Ending.COMPLETE, text="all splits")

    def finish(self) -> None:
        """End the search."""
        self._owner.finish()
        self._owner.close()

    def _end(self, trial: SearchTrial, ending: Ending, *, text: str) -> None:
        scores = self._scores[trial.number]
        mean = {_METRIC: sum(scores) / len(scores)} if ending is not Ending.FAIL else {}
        reason = FailReason.NAN if ending is Ending.FAIL else None
        steps = len(scores)
        self._owner.tell(trial.number, trial.token, Outcome(ending, steps, mean, steps, reason=reason, text=text))


def _trials(wanted: Wanted, sampler: Choice, points: int) -> int | None:
    if wanted.n_trials is not None:
        return wanted.n_trials
    if sampler.name == "grid":
        return points or None
    return None if wanted.timeout is not None else DEFAULT_TRIALS
