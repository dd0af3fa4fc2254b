"""What a study's owner is made of, an object for each thing that it knows: the `Parts`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import optuna

from search.contract import Space
from search.plan import SweepPlan
from search.study import attributes, edits, pruners
from search.study.allowance import Allowance
from search.study.byhand import ByHand
from search.study.choice import Choice
from search.study.constraints import Constraint
from search.study.course import Course
from search.study.edits import Edit
from search.study.held import Hands
from search.study.kept import Kept
from search.study.ledger import Ledger
from search.study.mapping import mapping_of
from search.study.nodes import Nodes
from search.study.packed import Packed
from search.study.pruners import PruningRule
from search.study.resting import Resting
from search.study.storage import StudyStorage
from search.study.suggester import Suggester
from search.study.writer import TrialWriter

if TYPE_CHECKING:
    from search.study.improvement import Improvement


@dataclass(slots=True)
class Parts:
    """The parts of one owner, which its rules share.

    Attributes:
        plan: The sweep, with all changes since its launch.
        study: The one of the sweep.
        storage: Of the study, open for writing.
        clock: Monotonic seconds.
        required: Metrics that each report has to have.
        pruner: Judges reports.
        ledger: Counts the trials that have ended.
        hands: Has those that have not.
        packed: Knows who gets how much of a GPU.
        course: Knows whether the sweep goes on.
        allowance: Knows how many trials it may hold.
        kept: Knows whose checkpoints stay.
        writer: Writes trials into the storage.
        resting: Has the trials that rest at rungs.
        suggester: Makes trials.
        nodes: Machines of the cluster.
        by_hand: Answers objectives that suggest by themselves; None of others.
        improvement: Tells when more trials are not worth their cost; None where the plan does not ask.
    """

    plan: SweepPlan
    study: optuna.Study
    storage: StudyStorage
    clock: Callable[[], float]
    required: tuple[str, ...]
    pruner: PruningRule
    ledger: Ledger
    hands: Hands
    packed: Packed
    course: Course
    allowance: Allowance
    kept: Kept
    writer: TrialWriter
    resting: Resting
    suggester: Suggester
    nodes: Nodes
    by_hand: ByHand | None
    improvement: Improvement | None

    @classmethod
    def of(
        cls,
        plan: SweepPlan,
        study: optuna.Study,
        storage: StudyStorage,
        space: Space,
        *,
        slots: int,
        capacity: int | None,
        gpus: float | None,
        queues: bool,
        clock: Callable[[], float],
    ) -> Self:
        """Make the parts of a study, whose trials nobody has read yet.

        Args:
            plan: As in `StudyOwner`, like `storage`, `space`, `slots`, `capacity`, `gpus`, `queues` and `clock`.
            study: In that storage.
        """
        attrs = storage.optuna.get_study_system_attrs(study._study_id)
        pruner = _made(plan, Choice.parse(plan.pruner))
        ledger, hands = Ledger(plan.directions, plan.max_epochs), Hands()
        course = Course(plan, ledger, hands, clock)
        kept = Kept(plan.keep_checkpoints, ledger.scores, hands)
        writer = TrialWriter(plan, storage, clock, kept.synced)
        suggester = Suggester(plan, study, storage, space)
        if (edited := edits.last_space(attrs)) is not None:
            suggester.search(space, mapping_of(edited, space, plan))
        study.pruner = pruner  # a sampler that goes by the same decisions finds it there
        if Choice.parse(plan.sampler).name == pruners.AUTO.name != pruner.name:
            pruner.adviser = _made(plan, Choice(pruners.AUTO.name, {"preparations": False}))  # which has no option
        for rule in filter(None, (pruner, pruner.adviser)):
            rule.attend(study, lambda: (suggester.drafts.mapping, suggester.fixed))
        known = (study, storage, pruner, ledger, course, suggester.retried)
        store = partial(storage.optuna.set_study_system_attr, study._study_id)
        return cls(
            plan=plan,
            study=study,
            storage=storage,
            clock=clock,
            required=(*plan.metrics, *(Constraint.parse(text).metric for text in plan.constraints)),
            pruner=pruner,
            ledger=ledger,
            hands=hands,
            packed=Packed(plan, gpus),
            course=course,
            allowance=Allowance(plan, hands, course, slots=slots, capacity=capacity, queues=queues),
            kept=kept,
            writer=writer,
            resting=Resting(plan.metrics[0], pruner, hands, storage.optuna, writer),
            suggester=suggester,
            nodes=Nodes(hands, store, attributes.lost_nodes(attrs)),
            by_hand=ByHand(plan, *known) if plan.by_hand else None,
            improvement=_improvement_of(plan, storage, pruner, _looks(attrs), store),
        )

    def follow(self, plan: SweepPlan, edit: Edit) -> None:
        """Have everybody go by another plan, which an edit made, from here on."""
        if edit.space is not None or not edit.changes.keys().isdisjoint(("fixed", "min_gain", "until_confident")):
            made = _improvement_of(plan, self.storage, self.pruner, {}, self.store)
            self.improvement = made  # else its looks in a row go on
            self.store(attributes.LOOKS, {})
        self.plan = plan
        self.allowance.follow(plan)
        self.course.follow(plan)
        self.kept.keep(plan.keep_checkpoints)
        self.suggester.follow(plan)
        self.course.stop_if_hopeless()

    def stored(self) -> dict[str, Any]:
        """Return what the study keeps of itself."""
        return self.storage.optuna.get_study_system_attrs(self.study._study_id)

    def store(self, key: str, value: Any) -> None:
        """Have the study keep this of itself."""
        self.storage.optuna.set_study_system_attr(self.study._study_id, key, value)


def _made(plan: SweepPlan, choice: Choice) -> PruningRule:
    return pruners.make(
        choice,
        directions=plan.directions,
        seed=plan.seed,
        max_epochs=plan.max_epochs or pruners.NO_LIMIT,
        metrics=plan.metrics,
        by_hand=plan.by_hand,
        best_counts=not (plan.by_hand or plan.folds or plan.replicates > 1),  # those have means, of more and more
    )


def _looks(attrs: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the looks in a row so far; a study that had finished and goes on begins anew."""
    ended = attrs.get(attributes.STOPPED) or {}
    looks: Mapping[str, Any] = {} if ended.get("state") == "finished" else attrs.get(attributes.LOOKS, {})
    return looks


def _improvement_of(
    plan: SweepPlan,
    storage: StudyStorage,
    pruner: PruningRule,
    looks: Mapping[str, Any],
    store: Callable[[str, Any], None],
) -> Improvement | None:
    if plan.min_gain is None and plan.until_confident is None:
        return None
    from search.study.improvement import Improvement  # which loads scipy

    return Improvement(plan, storage.folder, pruner, looks=looks, store=store)
