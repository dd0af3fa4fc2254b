"""What the failed trials of a study have in common."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from search.study.record import TrialRecord


def in_common(records: Sequence[TrialRecord], *, most: int = 3) -> list[str]:
    """Return one line per kind of failure, the most frequent first.

    Texts that differ only in their numbers (a trial's, a shape's, an address) are one kind.
    """
    failed = [record for record in records if record.state == "fail"]
    kinds = Counter((record.end.get("reason") or "unknown", _shape(record)) for record in failed)
    lines = []
    for (reason, shape), count in kinds.most_common(most):
        first = next(one for one in failed if _shape(one) == shape)
        text = first.end.get("text") or "no word was left"
        alike = f"{count} of {len(failed)} failed alike" if count > 1 else f"1 of {len(failed)} failed"
        lines.append(f"{alike} ({reason}): {text} (trial {first.number})")
    if len(kinds) > most:
        lines.append(f"and {len(kinds) - most} other kinds of failure")
    return lines


def _shape(record: TrialRecord) -> str:
    return re.sub(r"\d+", "#", str(record.end.get("text", "")))
