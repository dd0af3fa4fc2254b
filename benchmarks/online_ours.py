"""Our engine over a `Stream`, in memory: as the learner of `sweep online` does it, without log, server and registry."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.online_models import columns_of, targets_of
from benchmarks.online_peers import Run
from benchmarks.online_streams import Stream
from search.bundle.bundle import Bundle, write_bundle
from search.online.base import Base, base_of, weights_of
from search.online.buffer import Buffer
from search.online.challenger import Challenger
from search.online.choices import Choices
from search.online.competitor import Fixed
from search.online.contest import Answering, Registered
from search.online.engine import Engine
from search.online.events import Labels, Shown
from search.online.kept import Row
from search.online.state import fresh
from search.serve.backend import Served

Array = np.ndarray[Any, Any]

AT_ONCE: Final = 32
"""Rows whose answers are reckoned together; no model changes between them, since the engine works so often."""


class Publishing:
    """Carries out what an engine decides in a folder of bundles; what a registry would add is their names.

    Args:
        folder: Empty.
        base: Of the first champion.

    Attributes:
        told: What happened, of each kind how often.
        lines: What was written down, but for alarms of inputs.
    """

    def __init__(self, folder: Path, base: Base) -> None:
        self._folder, self._base, self._version = folder, base, 1
        self.told: Counter[str] = Counter()
        self.lines: list[Mapping[str, Any]] = []

    def publish(self, challenger: Challenger, place: str, why: str) -> Fixed:
        """Write the challenger's bundle and open it."""
        self._version += 1
        root = self._folder / str(self._version)
        manifest, files = challenger.files()
        write_bundle(root, manifest, files)
        return Fixed(Served(Bundle.open(root), self._base.served.name, self._version))

    def restore(self, model: Answering, place: str, why: str, *, back: bool) -> Registered:
        """Return it."""
        assert isinstance(model, Fixed)
        return model

    def follow(self, champion: Registered, challenger: Challenger) -> Challenger:
        """Have the challenger learn on from a champion."""
        assert isinstance(champion, Fixed)
        challenger.reset(replace(self._base, served=champion.served, weights=weights_of(champion.served.bundle)))
        return challenger

    def resweep(self, buffer: Buffer, why: str) -> bool:
        """Do without."""
        return False

    def audit(self, number: int, told: Mapping[str, Any]) -> None:
        """Count."""
        self.told[str(told["event"])] += 1
        if told["event"] != "alarm" or not told["column"]:
            self.lines.append(told)

    def aside(self, number: int, at_s: float, row: Row, why: str) -> None:
        """Count."""
        self.told["aside"] += 1


def engine_run(stream: Stream, served: Served, results: Path, seed: int) -> Run:
    """Have an engine answer and learn a stream, a row at a time, each label right after its answer."""
    choices = Choices(seed=seed)
    base = base_of(results, served, accept_changes=True, old=choices.learn.old)
    challenger = Challenger(base, Buffer(choices.learn.capacity), choices.learn, choices.seed)
    columns = columns_of(stream.table, base.signature)
    targets = targets_of(stream, base.signature)
    hits: list[Array] = []
    with tempfile.TemporaryDirectory() as folder:
        publishing = Publishing(Path(folder), base)
        state = fresh(base.signature, choices, challenger, base.old.columns)
        engine = Engine(base.signature.classes, Fixed(served), challenger, choices, publishing, state)
        begun_s = time.process_time()
        for begin in range(stream.first, len(targets), AT_ONCE):
            rows = range(begin, min(begin + AT_ONCE, len(targets)))
            answers = engine.champion.answer(_picked(columns, slice(rows.start, rows.stop)))
            hits.append(answers.argmax(axis=1) == targets[rows.start : rows.stop])
            for place, row in enumerate(rows):
                one, at_s = slice(row, row + 1), float(row)
                own = _picked(columns, one)
                ids, answer = (f"row.{row}",), answers[place : place + 1]
                shown = Shown(2 * row + 1, at_s, ids, own, answer, engine.champion.label)
                engine.take([shown, Labels(2 * row + 2, at_s, ids, targets[one], "benchmark")])
        seconds = time.process_time() - begun_s
    told = {**publishing.told, **{kind: count for kind, count in state.counts.items() if count}}
    lines = [f"{one['row']} {one['event']}: {one['why']}" for one in publishing.lines]
    return Run(np.concatenate(hits), seconds, "\n    ".join([str(told), *lines]))


def challenger_run(stream: Stream, served: Served, results: Path, seed: int) -> Run:
    """Have the challenger alone answer and learn, without gates, guards and detectors: how good is the learner?"""
    choices = Choices(seed=seed)
    base = base_of(results, served, accept_changes=True, old=choices.learn.old)
    challenger = Challenger(base, Buffer(choices.learn.capacity), choices.learn, choices.seed)
    columns = columns_of(stream.table, base.signature)
    targets = targets_of(stream, base.signature)
    hits: list[Array] = []
    begun_s = time.process_time()
    for begin in range(stream.first, len(targets), choices.learn.batch):
        rows = slice(begin, begin + choices.learn.batch)
        own = _picked(columns, rows)
        hits.append(challenger.answer(own).argmax(axis=1) == targets[rows])
        challenger.learn(own, targets[rows])
    return Run(np.concatenate(hits), time.process_time() - begun_s)


def _picked(columns: Mapping[str, Array], rows: slice) -> dict[str, Array]:
    return {name: values[rows] for name, values in columns.items()}
