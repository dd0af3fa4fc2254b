"""Whether a bundle's parts fit each other: the words of its signature, and signature and graph."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from search.bundle.manifest import Manifest
from search.bundle.onnxfile import FLOAT, STRING, Graph
from search.bundle.signature import LABEL, PROBABILITIES, VALUE, Input, Kind, Signature

_TASKS: Final = ("binary", "multiclass", "regression")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


def check_manifest(manifest: Manifest, names: Sequence[str]) -> None:
    """Make sure that a manifest speaks of all files of a bundle, and of no others.

    Raises:
        ValueError: It does not.
    """
    if set(manifest.files) != set(names):
        raise ValueError(f"it names {', '.join(sorted(manifest.files))[:80] or 'no file'}")
    if not all(_DIGEST.fullmatch(one) for one in manifest.files.values()):
        raise ValueError("a hash in it is no sha256")
    if not manifest.members:
        raise ValueError("it names no trial")


def check_signature(signature: Signature) -> None:
    """Make sure that what a signature says is possible.

    Raises:
        ValueError: It is not.
    """
    names = [one.name for one in signature.inputs]
    classes = signature.classes
    if signature.task not in _TASKS:
        raise ValueError(f"task {signature.task[:20]!r} is none of {', '.join(_TASKS)}")
    if not names or len(set(names)) != len(names) or "" in names:
        raise ValueError("its inputs have no names, or the same ones")
    if len(set(classes)) != len(classes) or (len(classes) < 2) is not (signature.task == "regression"):
        raise ValueError(f"{signature.task} does not go with {len(classes)} classes")
    if signature.threshold is not None and not (len(classes) == 2 and 0 <= signature.threshold <= 1):
        raise ValueError(f"threshold {signature.threshold} is no probability of the second of two classes")
    if any(not _is_possible(one) for one in signature.inputs):
        raise ValueError("an input has an impossible shape, range or share of missing values")


def check_graph(graph: Graph, signature: Signature) -> None:
    """Make sure that a graph takes and gives what a signature says.

    Raises:
        ValueError: It does not.
    """
    takes = {one.name: STRING if one.kind is Kind.TEXT else FLOAT for one in signature.inputs if one.used}
    gives = {LABEL: STRING, PROBABILITIES: FLOAT} if signature.is_classification else {VALUE: FLOAT}
    for said, expected, found in (("takes", takes, graph.inputs), ("gives", gives, graph.outputs)):
        other = sorted(name for name in {*expected, *found} if expected.get(name) != found.get(name))
        if other:
            raise ValueError(f"what it {said} differs from the signature at {other[0][:40]!r}")


def _is_possible(one: Input) -> bool:
    shaped = len(one.shape) == 3 and all(size > 0 for size in one.shape)
    ranged = one.low is None or one.high is None or one.low <= one.high
    return shaped is (one.kind is Kind.IMAGE) and ranged and 0 <= one.missing <= 1
