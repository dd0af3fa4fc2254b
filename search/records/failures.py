"""What the failed trials of a study have in common."""

from __future__ import annotations

from collections.abc import Sequence

from search.records.totals import Kind, reason_of, shape_of
from search.records.trials import Trials
from search.study.record import TrialRecord


def in_common(records: Sequence[TrialRecord], *, most: int = 3) -> list[str]:
    """Return one line per kind of failure, the most frequent first.

    Texts that differ only in their numbers (a trial's, a shape's, an address) are one kind.
    """
    kinds = _counted(records)
    failed = sum(kind.count for kind in kinds)
    lines = []
    for kind in sorted(kinds, key=lambda kind: (-kind.count, kind.first))[:most]:
        first = min(one.first for one in kinds if one.shape == kind.shape)
        text = records[first].end.get("text") or "no word was left"
        alike = f"{kind.count} of {failed} failed alike" if kind.count > 1 else f"1 of {failed} failed"
        lines.append(f"{alike} ({kind.reason}): {text} (trial {first})")
    if len(kinds) > most:
        lines.append(f"and {len(kinds) - most} other kinds of failure")
    return lines


def _counted(records: Sequence[TrialRecord]) -> list[Kind]:
    if isinstance(records, Trials) and records.totals.kinds is not None:
        return [*records.totals.kinds.values()]
    kinds: dict[tuple[str, str], Kind] = {}
    for record in records:
        if record.state == "fail":
            key = reason_of(record), shape_of(record)
            kinds.setdefault(key, Kind(*key, 0, record.number)).count += 1
    return [*kinds.values()]
