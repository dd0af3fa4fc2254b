"""Registries for tests: small bundles, added as a promotion does."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np

from search.bundle.bundle import write_bundle
from search.registry.entries import Facts, Score
from search.registry.registry import Registry
from search.registry.stamp import Stamp
from tests.bundle.bundles import contents, exported, manifest_of, signature_of, whole_graph

FACTS = Facts((Score("accuracy", 0.9, 0.85, 0.94), Score("auc", 0.97)), latency_ms=0.3, note="first")


class Clock:
    """Stamps of one minute after the other."""

    minute = 0

    def __call__(self) -> Stamp:
        self.minute += 1
        return Stamp(f"2026-11-26T18:{self.minute:02d}:00Z", "ada@lab")


def registry(results: Path, name: str = "churn") -> Registry:
    return Registry(Registry.of(results, name).folder, Clock())


def add(one: Registry, aliases: Mapping[str, int | None] | None = None, *, number: int = 7, why: str = "gate") -> int:
    """Add a bundle whose trial has a number of its own."""
    with one.staging() as staged:
        write_bundle(staged, manifest_of(number=number), _files(number))
        return one.add(staged, FACTS, aliases or {}, why)


def three(results: Path, name: str = "churn") -> Registry:
    """Return a registry whose production went from version 1 to 2 to 3."""
    made = registry(results, name)
    for number in (None, 1, 2):
        add(made, {"production": number}, number=(number or 0) + 10)
    return made


@cache
def _files(number: int) -> dict[str, bytes]:
    """Return the files of a bundle of its own; graphs take their time."""
    graph = whole_graph(exported(shift=float(number)))
    return contents(graph, signature_of(), {"bias": np.ones(1, np.float32)})
