"""From the winners of a study to one graph: trained, calibrated, joined: the `Made`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from safetensors.numpy import save

from search.bundle.bundle import CARD, MODEL, SIGNATURE, WEIGHTS, as_json
from search.bundle.signature import Signature
from search.contract import Exported
from search.problem import Problem
from search.promote import calibrating, training
from search.promote import threshold as thresholds
from search.promote.choices import Promotion
from search.promote.graph import Head, prefix, whole
from search.promote.parity import reference
from search.promote.signing import signature_of
from search.promote.training import Trained
from search.session import Setting
from search.study.record import TrialRecord

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """A model that is ready to be packed.

    Attributes:
        trained: Its members, the winner first.
        members: The same, exported.
        head: What is done with their mean.
        graph: All of it, serialized.
        signature: What it takes and gives.
        notes: What people should know of how it came about, a sentence each.
    """

    trained: tuple[Trained, ...]
    members: tuple[Exported, ...]
    head: Head
    graph: bytes
    signature: Signature
    notes: tuple[str, ...]

    def close(self) -> None:
        """Let go of its members' learners, once nobody asks what they say."""
        for one in self.trained:
            one.close()

    def weights(self) -> bytes:
        """Return the members' arrays as a safetensors file, each name with its member's prefix before it."""
        arrays = {
            f"{prefix(index)}/{name}": np.ascontiguousarray(array)
            for index, member in enumerate(self.members)
            for name, array in sorted(member.weights.items())
        }
        packed: bytes = save(arrays)
        return packed

    def files(self, *, card: str) -> dict[str, bytes]:
        """Return the content of each file of a bundle but its manifest."""
        signature = as_json(self.signature.to_json())
        return {MODEL: self.graph, WEIGHTS: self.weights(), SIGNATURE: signature, CARD: card.encode()}


def make(problem: Problem, trials: Sequence[TrialRecord], setting: Setting, choices: Promotion, *, target: str) -> Made:
    """Train the trials for good, and join them.

    Args:
        problem: With its data.
        trials: The winner first; the others vote with it.
        setting: Has the seed of these trainings.
        choices: Whether they are refit, calibrated, or given a threshold.
        target: Name of what is predicted.

    Raises:
        RefusedError: One fails, or has no counterpart in ONNX.
    """
    trained = tuple(training.train(problem, one.number, one.params, setting) for one in trials)
    members = tuple(training.export(problem, one) for one in trained)
    validation = reference(members, Head(problem.classes), problem.validation.features)
    head, notes = _head(problem, validation, choices)
    if choices.refit:
        for one in trained:
            one.close()
        trained = tuple(training.refit(problem, one, setting) for one in trained)
        members = tuple(training.export(problem, one) for one in trained)
    graph = whole(members, head)
    signature = signature_of(problem, graph, target=target, threshold=head.threshold)
    return Made(trained, members, head, graph.SerializeToString(deterministic=True), signature, notes)


def _head(problem: Problem, validation: Array, choices: Promotion) -> tuple[Head, tuple[str, ...]]:
    head, notes, target = Head(problem.classes), list[str](), problem.validation.target
    if choices.calibrate:
        found = calibrating.calibrate(validation, target)
        head = replace(head, temperature=found.temperature)
        notes.append(found.sentence)
    if choices.costs is not None:
        chosen = thresholds.threshold(calibrating.softened(validation, head.temperature), target, choices.costs)
        head = replace(head, threshold=chosen.threshold)
        notes.append(chosen.sentence(problem.classes[1]))
    return head, tuple(notes)
