"""An engine without a registry: what it decides is done in memory, and written into lists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from objectives.tabular import Tabular
from search.bundle.bundle import Bundle, write_bundle
from search.contract import Part
from search.online.base import Base, weights_of
from search.online.buffer import Buffer
from search.online.challenger import Challenger
from search.online.choices import Choices
from search.online.competitor import Fixed
from search.online.contest import Registered
from search.online.engine import Engine
from search.online.events import Array, Event, Labels, Shown
from search.online.kept import Row
from search.online.state import fresh
from search.serve.backend import Served

LINEAR: Mapping[str, Any] = {"model.family": "linear", "model.l2": 1e-3, "preprocess.scale": "standard"}
BOOSTING: Mapping[str, Any] = {"model.family": "boosting", "model.shrinkage": 0.2}
COLUMNS = ("a", "b", "c")


@dataclass
class InMemory:
    """A publisher whose versions are bundles in a folder, and in no registry."""

    base: Base
    folder: Path
    version: int = 1
    audited: list[dict[str, Any]] = field(default_factory=list)
    put_aside: list[tuple[str, str]] = field(default_factory=list)
    swept: list[str] = field(default_factory=list)

    def publish(self, challenger: Challenger, place: str, why: str) -> Fixed:
        self.version += 1
        root = self.folder / str(self.version)
        digest = write_bundle(root, *challenger.files())
        return Fixed(Served(Bundle.open(root, digest=digest), "memory", self.version))

    def restore(self, model: Any, place: str, why: str, *, back: bool) -> Registered:
        found: Registered = model
        return found

    def follow(self, champion: Any, challenger: Challenger) -> Challenger:
        if champion.served.version == 1:
            challenger.reset(self.base)
            return challenger
        challenger.reset(replace(self.base, served=champion.served, weights=weights_of(champion.served.bundle)))
        return challenger

    def resweep(self, buffer: Buffer, why: str) -> bool:
        self.swept.append(why)
        return True

    def audit(self, number: int, told: Mapping[str, Any]) -> None:
        self.audited.append({"number": number, **told})

    def aside(self, number: int, at_s: float, row: Row, why: str) -> None:
        self.put_aside.append((row.id, why))


def rows(seed: int, count: int, *, flipped: bool = False) -> tuple[dict[str, Array], Array]:
    """Return columns and labels of a plain concept, or of its opposite."""
    random = np.random.default_rng(seed)
    values = random.uniform(-1, 1, (count, len(COLUMNS))).astype(np.float32)
    labels = (values[:, 0] + 0.5 * values[:, 1] > 0) ^ flipped ^ (random.random(count) < 0.05)
    return {name: values[:, index] for index, name in enumerate(COLUMNS)}, labels.astype(np.int64)


def base_for(params: Mapping[str, Any] = LINEAR) -> Base:
    """Return a model of the plain concept."""
    columns, labels = rows(0, 1500)
    return Base.in_memory(Tabular(), Part(pd.DataFrame(columns), labels), params, classes=("no", "yes"))


def engine_on(base: Base, folder: Path, **given: Any) -> tuple[Engine, InMemory]:
    """Return a fresh engine on a base."""
    choices = replace(Choices(), **given)
    challenger = Challenger(base, Buffer(choices.learn.capacity), choices.learn, choices.seed)
    publisher = InMemory(base, folder)
    state = fresh(base.signature, choices, challenger, base.old.columns)
    return Engine(base.signature.classes, Fixed(base.served), challenger, choices, publisher, state), publisher


def events(columns: Mapping[str, Array], labels: Array, engine: Engine, first: int, *, delay: int = 0) -> list[Event]:
    """Return a prediction for each row and, so many rows later, its label; numbered from `first`."""
    found: list[Event] = []
    answers = engine.champion.answer(columns)
    waiting: list[Labels] = []
    for index in range(len(labels)):
        one = {name: values[index : index + 1] for name, values in columns.items()}
        ids, at_s = (f"{first}-{index}",), 1000.0 + first + index
        found.append(Shown(first + len(found), at_s, ids, one, answers[index : index + 1], "memory:1"))
        waiting.append(Labels(0, at_s, ids, labels[index : index + 1], "a"))
        if len(waiting) > delay:
            found.append(replace(waiting.pop(0), sequence=first + len(found)))
    return found + [replace(one, sequence=first + len(found) + place) for place, one in enumerate(waiting)]
