"""A model in each precision, how far each is from the original, and which one is taken: the `Choice`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from search.bundle.bundle import Bundle
from search.bundle.signature import LABEL, PROBABILITIES, VALUE, Kind, Signature
from search.errors import RefusedError
from search.serve.mobile.ort import OrtFile, to_ort
from search.serve.mobile.shrinking import NotShrunk, Precision, shrunk

Array = np.ndarray[Any, Any]

SURE: Final = 1.645
"""Standard errors above a mean that it exceeds once in 20 times: a one-sided bound of 95 %."""

SAME: Final = 1e-4
"""Of the mobile form in full precision, the most that it may differ: of a probability, or of the target's scale."""

SMALLER: Final = 0.9
"""Of the size in full precision: what saves less than the rest is not worth a difference."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """What variants are compared on.

    Attributes:
        columns: As a bundle's model takes them.
        target: (rows,) index of the class, or value; None where nobody knows it.
        source: Where they come from, for people.
    """

    columns: Mapping[str, Array]
    target: Array | None
    source: str

    @property
    def count(self) -> int:
        return len(next(iter(self.columns.values())))


@dataclass(frozen=True, slots=True)
class Difference:
    """How far a variant is from the original.

    Attributes:
        worst, mean: Of a probability, or of a value in units of the target.
        same: Share of rows with the same label; None of a regression.
        loss: What the variant costs, by `loss_unit`; below 0 where it is better.
        bound: That the loss keeps to in 95 of 100 such samples of rows.
    """

    worst: float
    mean: float
    same: float | None
    loss: float
    bound: float


@dataclass(frozen=True, slots=True)
class Variant:
    """A model in one precision.

    Attributes:
        precision: How its numbers are stored.
        file: Its mobile form; None where it cannot be had.
        difference: From the original; None without a file.
        why: It is taken, or not.
        taken: Whether it is.
    """

    precision: Precision
    file: OrtFile | None
    difference: Difference | None
    why: str = ""
    taken: bool = False

    def to_json(self) -> dict[str, Any]:
        size = None if self.file is None else len(self.file.content)
        found = None if self.difference is None else asdict(self.difference)
        return {
            "precision": str(self.precision),
            "bytes": size,
            "difference": found,
            "taken": self.taken,
            "why": self.why,
        }


@dataclass(frozen=True, slots=True)
class Choice:
    """Which variant is taken, and why not the others.

    Attributes:
        variants: In full precision first.
        loss_unit: Of losses.
        source: Of the rows that they are measured on.
        rows: How many these are.
        most: Loss that is allowed.
    """

    variants: tuple[Variant, ...]
    loss_unit: str
    source: str
    rows: int
    most: float

    @property
    def taken(self) -> Variant:
        return next(one for one in self.variants if one.taken)

    @property
    def file(self) -> OrtFile:
        file = self.taken.file
        assert file is not None, "what is taken is there"
        return file


def choose(bundle: Bundle, wanted: Precision | None, rows: Sample, most: float) -> Choice:
    """Make each variant, measure it, and take one.

    Args:
        bundle: Of the model.
        wanted: The precision to take; None: the smallest whose loss keeps to the bound.
        rows: To measure on.
        most: Loss that is allowed.

    Raises:
        RefusedError: The wanted one cannot be had or loses too much, or the mobile form is not the same model.
    """
    import onnx

    graph = onnx.load_from_string(bundle.model)
    original = _run(bundle.model, bundle.signature, rows.columns)
    made = [_variant(graph, precision, bundle.signature, rows, original) for precision in Precision]
    full = made[0].difference
    assert full is not None, "a model can always be had as it is"
    if not full.worst <= SAME * _scale(bundle.signature):
        raise RefusedError(
            f"the mobile form differs from the model by {full.worst:.2g}, which is more than rounding", field="model"
        )
    judged = [_judged(one, made[0], most) for one in made]
    taken = _smallest(judged) if wanted is None else _wanted(judged, wanted, most)
    return Choice(
        tuple(_told(one, taken) for one in judged), loss_unit(bundle.signature, rows), rows.source, rows.count, most
    )


def loss_unit(signature: Signature, rows: Sample) -> str:
    """Return what a loss is measured in, on such rows."""
    if rows.target is not None:
        return "log loss" if signature.is_classification else "of the target's variance"
    return "of a probability" if signature.is_classification else "of the target's range"


def _variant(graph: Any, precision: Precision, signature: Signature, rows: Sample, original: list[Array]) -> Variant:
    try:
        short = shrunk(graph, precision).SerializeToString()
    except NotShrunk as error:
        return Variant(precision, None, None, str(error))
    file = to_ort(short, folds=precision is not Precision.FP16)
    found = _run(file.content, signature, rows.columns)
    return Variant(precision, file, _difference(original, found, signature, rows))


def _run(model: bytes, signature: Signature, columns: Mapping[str, Array]) -> list[Array]:
    """Return labels and probabilities, or values alone."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    feeds = {
        one.name: columns[one.name] if one.kind is Kind.IMAGE else columns[one.name].reshape(-1, 1)
        for one in signature.inputs
        if one.used
    }
    found: list[Array] = session.run([LABEL, PROBABILITIES] if signature.is_classification else [VALUE], feeds)
    return found


def _difference(original: list[Array], found: list[Array], signature: Signature, rows: Sample) -> Difference:
    apart = np.abs(found[-1].astype(np.float64) - original[-1])
    lost = _lost(original[-1], found[-1], signature, rows)
    mean = float(lost.mean())
    error = float(lost.std(ddof=1)) / math.sqrt(len(lost)) if len(lost) > 1 else math.inf
    same = float(np.mean(original[0] == found[0])) if signature.is_classification else None
    return Difference(float(apart.max()), float(apart.mean()), same, mean, mean + SURE * error)


def _lost(original: Array, found: Array, signature: Signature, rows: Sample) -> Array:
    """Return what each row loses."""
    old, new = original.astype(np.float64), found.astype(np.float64)
    if rows.target is None:
        apart: Array = np.abs(new - old).reshape(len(new), -1).max(axis=1)
        return apart if signature.is_classification else apart / _scale(signature)
    if signature.is_classification:
        index = np.arange(len(new))
        logs = [np.log(np.clip(one[index, rows.target], 1e-7, 1)) for one in (old, new)]
        return np.asarray(logs[0] - logs[1])
    truth = rows.target.astype(np.float64)
    spread = float(truth.var()) or 1.0
    return np.asarray(((new.reshape(-1) - truth) ** 2 - (old.reshape(-1) - truth) ** 2) / spread)


def _scale(signature: Signature) -> float:
    if signature.is_classification or signature.low is None or signature.high is None:
        return 1.0
    return (signature.high - signature.low) or 1.0


def _judged(one: Variant, full: Variant, most: float) -> Variant:
    """Say what speaks against a variant, if anything does."""
    if one.file is None or one.difference is None or one.precision is Precision.FP32:
        return one
    why = ""
    if not one.difference.bound <= most:
        why = f"loses up to {one.difference.bound:.2g}, more than {most:g}"
    elif full.file is not None and len(one.file.content) > SMALLER * len(full.file.content):
        why = "is no smaller, or hardly"
    return Variant(one.precision, one.file, one.difference, why)


def _smallest(judged: list[Variant]) -> Variant:
    fit = [one for one in judged if one.file is not None and not one.why]
    return min(fit, key=lambda one: len(one.file.content) if one.file else 0)


def _wanted(judged: list[Variant], wanted: Precision, most: float) -> Variant:
    one = next(one for one in judged if one.precision is wanted)
    if one.file is None:
        raise RefusedError(f"there is no {wanted} of this model: {one.why}", field="--precision", hint="try auto")
    if one.difference is not None and wanted is not Precision.FP32 and not one.difference.bound <= most:
        raise RefusedError(
            f"{wanted} {one.why}", field="--precision", hint="raise --max-loss, or take --precision auto"
        )
    return one


def _told(one: Variant, taken: Variant) -> Variant:
    """Say of a variant why it is taken or not."""
    if one is taken:
        return Variant(one.precision, one.file, one.difference, "taken", taken=True)
    return Variant(one.precision, one.file, one.difference, one.why or "a smaller one is as good")
