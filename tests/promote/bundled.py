"""A trained pipeline and its bundle, in memory, for tests that compare the two."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from search.bundle.bundle import Bundle, as_json
from search.bundle.manifest import Manifest
from search.bundle.model import Model
from search.bundle.signature import Signature
from search.contract import Context, Exported, Part, Source, Task
from search.problem import Problem
from search.promote import parity
from search.promote.graph import Head, whole
from search.promote.parity import Parity
from search.promote.signing import signature_of


@dataclass(frozen=True, slots=True, eq=False)
class Bundled:
    """What was trained, and the model that was made of it.

    Attributes:
        members: That vote.
        head: Of the graph.
        model: Of the bundle.
        train: What it was trained on.
    """

    members: Sequence[Exported]
    head: Head
    model: Model
    train: Part

    def compared(self, features: Any) -> Parity:
        """Check rows that are not of the training, and strange ones made from them."""
        scale = 1.0 if self.head.classes else float(np.std(self.train.target))
        return parity.check(self.members, self.head, self.model, features, scale=scale)


def exported(objective: Any, params: Mapping[str, Any], train: Part, validation: Part, context: Context) -> Exported:
    """Prepare, train for a unit, and export."""
    mine = {name.removeprefix("preprocess."): one for name, one in params.items() if name.startswith("preprocess.")}
    others = {name: one for name, one in params.items() if not name.startswith("preprocess.")}
    prepared = objective.preprocess(mine, train, validation, context)
    learner = objective.learner(others, prepared, context)
    learner.fit_epoch()
    made = objective.export(learner, prepared, context)
    assert isinstance(made, Exported)
    return made


def bundled(members: Sequence[Exported], train: Part, context: Context, head: Head | None = None) -> Bundled:
    """Return a bundle of members; its signature has been JSON once."""
    head = head or Head(context.classes)
    graph = whole(members, head)
    problem = Problem(
        cast("Any", None), (), cast("Source", None), train, train, task=context.task, classes=context.classes
    )
    signature = signature_of(problem, graph, target="target", threshold=head.threshold)
    signature = Signature.from_json(json.loads(as_json(signature.to_json())))
    manifest = Manifest("s", "o", (), "m", "", "", "", {})
    graph_bytes = graph.SerializeToString(deterministic=True)
    return Bundled(members, head, Model(Bundle(Path("nowhere"), manifest, signature, "", graph_bytes, "")), train)


def classes_of(task: Task) -> tuple[str, ...]:
    """Return labels as people write them."""
    return {Task.BINARY: ("no", "yes"), Task.MULTICLASS: ("rot", "grün", "blau"), Task.REGRESSION: ()}[task]
