"""Whether a bundle says what the trained pipeline says, of usual rows and of strange ones: the `Parity`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np

from search.bundle.model import Model
from search.contract import Exported
from search.errors import RefusedError
from search.promote.calibrating import softened
from search.promote.feeding import columns_of
from search.promote.graph import Head
from search.promote.strange import RowKind, Strange, strange, usual

Array = np.ndarray[Any, Any]

TOLERANCE: Final = 1e-4
"""What two predictions may differ by: of a probability, or of the target's scale."""

_ABSURD: Final = 1000.0  # times the target's scale; nobody needs four digits of such a prediction


@dataclass(frozen=True, slots=True)
class KindParity:
    """What was compared of one kind of rows.

    Attributes:
        rows: That were compared.
        worst: Largest difference, in units of the target's scale, or of a probability.
        near: Rows whose classes differ where two were as likely, to within the tolerance.
        refused: Rows that the trained pipeline itself refuses, and so says nothing of.
    """

    rows: int = 0
    worst: float = 0.0
    near: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True)
class Parity:
    """That a bundle and its pipeline agree.

    Attributes:
        kinds: By `RowKind`, what was compared.
    """

    kinds: Mapping[str, KindParity]

    @property
    def rows(self) -> int:
        """All rows that were compared."""
        return sum(one.rows for one in self.kinds.values())

    @property
    def worst(self) -> float:
        """The largest difference of all."""
        return max((one.worst for one in self.kinds.values()), default=0.0)

    @property
    def sentence(self) -> str:
        """What people should know."""
        kinds = ", ".join(f"{one.rows} {name}" for name, one in self.kinds.items() if one.rows)
        said = f"bundle and trained pipeline agree on {self.rows} rows ({kinds}): largest difference {self.worst:.1g}"
        refused = sum(one.refused for one in self.kinds.values())
        return f"{said}; {refused} rows were not compared, since the pipeline refuses them" if refused else said

    def to_json(self) -> dict[str, Any]:
        return {"kinds": {name: asdict(one) for name, one in self.kinds.items()}}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Parity:
        """Return what `to_json` described."""
        return cls({name: KindParity(**one) for name, one in values["kinds"].items()})


def check(members: Sequence[Exported], head: Head, model: Model, features: Any, *, scale: float = 1.0) -> Parity:
    """Compare a bundle with the pipelines that it was made from, row by row.

    A regression's values on strange rows may lie far from all usual ones, as may absurd values on any; there the
    difference is measured against how far they lie.

    Args:
        members: As in the graph.
        head: As in the graph.
        model: The bundle's.
        features: Raw rows that are not of the training; strange ones are made from the first of them.
        scale: Of a regression: the standard deviation of the training target.

    Raises:
        RefusedError: They differ; it names the kind of row, the column, its value and both predictions.
    """
    found = dict.fromkeys(RowKind, KindParity())
    middle: float | None = None
    for rows in (*usual(features), *strange(features, model.signature)):
        for some, expected in _expected(members, head, rows, found):
            if middle is None and not head.classes:
                middle = float(np.median(expected))
            _compare(some, expected, model, head, scale, middle, found)
    return Parity({str(kind): one for kind, one in found.items() if one.rows or one.refused})


def reference(members: Sequence[Exported], head: Head, features: Any) -> Array:
    """Return what the trained pipelines say together: (rows, classes) probabilities, or (rows,) values, float64."""
    votes = [np.asarray(one.predict(features), dtype=np.float64) for one in members]
    mean = np.mean(votes, axis=0)
    if not head.classes:
        return np.asarray(mean.reshape(-1))
    return softened(np.asarray(mean), head.temperature)


def chosen(probabilities: Array, head: Head) -> Array:
    """Return (rows,) indices of the classes that these probabilities stand for."""
    if head.threshold is None:
        return np.asarray(probabilities.argmax(axis=1))
    return np.asarray((probabilities[:, 1] >= head.threshold).astype(np.int64))


def _expected(
    members: Sequence[Exported], head: Head, rows: Strange, found: dict[RowKind, KindParity]
) -> Iterator[tuple[Strange, Array]]:
    """Yield rows with what the pipelines say of them; strange rows that these refuse are counted."""
    try:
        with np.errstate(all="ignore"):
            expected = reference(members, head, rows.features)
    except Exception:  # a user's own steps may raise anything at rows that no training ever held
        cases = rows.cases()
        if rows.kinds[0] is RowKind.USUAL:
            raise
        if len(cases) > 1:
            for case in cases:
                yield from _expected(members, head, case, found)
            return
        known = found[rows.kinds[0]]
        found[rows.kinds[0]] = replace(known, refused=known.refused + len(rows))
    else:
        yield rows, expected


def _compare(
    rows: Strange,
    expected: Array,
    model: Model,
    head: Head,
    scale: float,
    middle: float | None,
    found: dict[RowKind, KindParity],
) -> None:
    told = model.run(columns_of(rows.features, model.signature))
    got = told.probabilities if head.classes else told.value
    assert got is not None
    apart = _apart(got, expected, rows, scale, middle)
    if (wrong := int(np.argmax(apart))) >= 0 and not apart[wrong] <= TOLERANCE:
        raise _differ(rows, wrong, got[wrong], expected[wrong], head)
    near = np.zeros(len(rows), dtype=bool)
    if head.classes:
        assert told.label is not None
        near = told.label != np.array(head.classes, dtype=object)[chosen(expected, head)]
        clear = near & (_margin(expected, head) > 2 * TOLERANCE)
        if clear.any():
            raise _differ(rows, int(np.argmax(clear)), got[clear][0], expected[clear][0], head)
    for kind in set(rows.kinds):
        here = np.array([one is kind for one in rows.kinds])
        known = found[kind]
        found[kind] = KindParity(
            known.rows + int(here.sum()),
            max(known.worst, float(apart[here].max())),
            known.near + int(near[here].sum()),
            known.refused,
        )


def _apart(got: Array, expected: Array, rows: Strange, scale: float, middle: float | None) -> Array:
    """Return (rows,) differences in units of the scale; infinite where only one of two is a number."""
    with np.errstate(over="ignore", invalid="ignore"):
        single = expected.astype(np.float32)  # what the graph can say at best
        difference = np.abs(got.astype(np.float64) - expected)
        same = (got == single) | (np.isnan(got) & np.isnan(single))
        difference = np.where(same & ~np.isfinite(difference), 0.0, difference)
        difference = np.where(np.isnan(difference), np.inf, difference)
    if middle is None:
        return np.asarray(difference.max(axis=1))
    is_usual = np.array([kind is RowKind.USUAL for kind in rows.kinds])
    with np.errstate(invalid="ignore"):
        far = np.where(np.isfinite(expected), np.abs(expected - middle), 0.0)
    return np.asarray(difference / np.maximum(scale, np.where(is_usual & (far < _ABSURD * scale), 0.0, far)))


def _margin(expected: Array, head: Head) -> Array:
    """Return (rows,) by how much the chosen class is ahead of the next one."""
    if head.threshold is not None:
        return np.asarray(np.abs(expected[:, 1] - head.threshold))
    ranked = np.sort(expected, axis=1)
    return np.asarray(ranked[:, -1] - ranked[:, -2]) if expected.shape[1] > 1 else np.ones(len(expected))


def _differ(rows: Strange, row: int, got: Any, expected: Any, head: Head) -> RefusedError:
    where = ""
    if rows.columns[row]:
        where = f", column {rows.columns[row][:40]!r} = {repr(rows.values[row])[:24]}"
    elif rows.values[row] is not None:
        where = f", {rows.values[row]}"
    if head.classes:
        place = int(np.nanargmax(np.where(np.isnan(got), np.inf, np.abs(got - expected))))
        got, expected = got[place], expected[place]
    said = f"the bundle says {float(got):.6g} and the trained pipeline {float(expected):.6g}"
    return RefusedError(f"{said} of rows {rows.kinds[row]}{where}", field="parity", hint="promote another trial")
