"""Tells how the errors of a table spread: whether its configurations differ by more than the noise of its rows."""

from __future__ import annotations

import numpy as np

from benchmarks.quality_tables import TARGET_SHARES, Table, ranked


def spread(table: Table) -> str:
    """Return lines of text: errors at the best epoch by rank, what the lowest validation error gives, and curves."""
    shares = (0.0, TARGET_SHARES[1], TARGET_SHARES[0], 0.25, 0.5, 0.75)
    lines = [f"{table.name}: {table.family}, {len(table.val):,} configurations; {table.problem}"]
    lines.append("  best, 0.35 %, 1.5 %, 25 %, 50 %, 75 %")
    for title, errors in (("val", table.val.min(axis=1)), ("test", table.returned)):
        lines.append(f"  {title:5}" + " ".join(f"{ranked(errors, share):.4f}" for share in shares))
    chosen = table.returned[table.val.min(axis=1).argmin()]
    lines.append(
        f"  lowest val gives test {chosen:.4f} (rank {int((table.returned < chosen).sum()) + 1}), the default "
        f"{table.returned[table.defaults]:.4f}; ranks by val and test correlate {_agreement(table):.2f} "
        f"(best tenth {_agreement(table, 0.1):.2f})"
    )
    epochs = np.quantile(1 + table.val.argmin(axis=1), (0.25, 0.5, 0.75))
    worse = (table.test[:, -1] > 1.05 * table.returned).mean()
    useless = (table.val.min(axis=1) >= 0.98 * table.val.max()).mean()
    lines.append(
        f"  best epoch {epochs} (quartiles); over 5 % worse at the end {worse:.0%}; hardly better than a constant "
        f"{useless:.0%}"
    )
    first = table.val[:, 0]
    good = table.returned <= ranked(table.returned, 0.015)
    behind = np.array([(first < one).mean() for one in first[good]])
    lines.append(
        f"  the good ones' rank after one epoch: median {np.quantile(behind, 0.5):.0%}, slowest tenth "
        f"{np.quantile(behind, 0.9):.0%}"
    )
    for number, family in enumerate(table.axes[0].values if table.axes[0].name == "family" else ()):
        errors = table.returned[table.points[:, 0] == number]
        lines.append(f"  {family}: {len(errors)}, test " + " ".join(f"{ranked(errors, share):.4f}" for share in shares))
    return "\n".join(lines)


def _agreement(table: Table, share: float = 1.0) -> float:
    """Return how the ranks by validation and by test error correlate among the best by test error."""
    best = table.returned <= ranked(table.returned, share)
    orders = [np.argsort(np.argsort(errors[best])) for errors in (table.val.min(axis=1), table.returned)]
    return float(np.corrcoef(orders[0], orders[1])[0, 1])
