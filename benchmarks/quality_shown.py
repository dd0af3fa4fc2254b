"""What was measured, as Markdown: each table's searches, and ours against the best peer of each table."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.quality_arms import OURS, library_of
from benchmarks.quality_runs import Row, Setting, aims, content
from benchmarks.quality_stats import Ratio, Scores, against, quantile, scores
from benchmarks.quality_tables import DEVELOPMENT, TARGET_SHARES, Table, read

TARGETS: Final = ("loose", "tight")


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """All that was measured on one table in one setting.

    Attributes:
        table: It.
        setting: How searches were run.
        scores: By arm.
    """

    table: Table
    setting: Setting
    scores: Mapping[str, Scores]

    @property
    def ours(self) -> list[Scores]:
        return [one for arm, one in self.scores.items() if library_of(arm) == OURS]

    @property
    def peers(self) -> list[Scores]:
        return [one for arm, one in self.scores.items() if library_of(arm) != OURS]

    @property
    def limit(self) -> float:
        """What a miss counts as."""
        seconds = self.setting.epoch_s
        return self.setting.budget * (1.0 if seconds is None else seconds / self.setting.workers)

    def told(self, until: float) -> str:
        """Return an effort, in epochs or in seconds, for people."""
        if math.isinf(until):
            return "never"
        return f"{until:,.0f}" if self.setting.epoch_s is None else f"{until:.1f}"


def sheets(rows: Iterable[Row], names: Sequence[str], folder: Path) -> list[Sheet]:
    """Sum up rows by setting and table: those of the tables as they are, and of each arm the version that ran last."""
    found: defaultdict[tuple[Setting, str], defaultdict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if row.table in names and row.content == content(row.table, folder):
            found[row.setting, row.table][row.arm].append(row)
    made = []
    for setting, name in sorted(found, key=lambda key: (key[0].epoch_s or 0.0, key[0], names.index(key[1]))):
        table = read(name, folder)
        arms = {arm: _latest(kept) for arm, kept in found[setting, name].items()}
        made.append(
            Sheet(table, setting, {arm: scores(arm, kept, table, setting) for arm, kept in sorted(arms.items())})
        )
    return made


def _latest(rows: Sequence[Row]) -> list[Row]:
    last = rows[-1]
    by_seed = {row.seed: row for row in rows if row.version == last.version}
    return [*by_seed.values()]


def titled(setting: Setting) -> str:
    """Say how searches were run."""
    workers = f"{setting.workers} worker{'s' if setting.workers > 1 else ''}"
    if setting.epoch_s is None:
        return f"{workers}, {setting.budget:,} epochs"
    whole = setting.budget * setting.epoch_s / setting.workers
    return f"{workers}, {whole:g} s, epochs of {setting.epoch_s:g} s on average, decisions take their time"


def listed(sheet: Sheet) -> Iterator[str]:
    """Yield the table of all searches on one table, best first."""
    table, unit = sheet.table, "epochs" if sheet.setting.epoch_s is None else "seconds"
    loose, tight = aims(table)
    kind = "tuned on" if table.name in DEVELOPMENT else "not tuned on"
    yield f"#### {table.name} ({table.family}; {kind})"
    yield ""
    yield (
        f"{table.problem.capitalize()}; {len(table.val):,} configurations. "
        f"Loose {loose:.4f}, tight {tight:.4f}, the best {table.returned.min():.4f}. {_noise(table, loose)}"
    )
    yield ""
    yield (
        f"| search | {unit} to loose: median (quartiles) | missed | to tight | missed | lost again, loose/tight | "
        "mean regret, points | ms an ask, mean/99 % | ms a verdict | trials | seeds |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|---|"
    for one in sorted(sheet.scores.values(), key=_order):
        cells: list[str] = []
        for target in (0, 1):
            until = one.first[:, target]
            low, middle, high = (sheet.told(quantile(until, share)) for share in (0.25, 0.5, 0.75))
            cells += [f"{middle} ({low} to {high})", f"{sum(map(math.isinf, until))}"]
        lost = (sum(~(one.for_good == one.first))).tolist()
        yield (
            f"| {one.arm} | {' | '.join(cells)} | {lost[0]}/{lost[1]} | {100 * one.area.mean():.2f} | "
            f"{one.ask_ms:.2g}/{one.ask_p99_ms:.2g} | {one.report_ms:.2g} | {one.trials:.0f} | {len(one.seeds)} |"
        )
    yield ""


def _noise(table: Table, loose: float) -> str:
    """Say how well validation errors tell the good ones: where few of the lowest meet the target, luck decides."""
    lowest = table.val.min(axis=1).argsort(kind="stable")[: max(int(TARGET_SHARES[0] * len(table.val)), 1)]
    met = int((table.returned[lowest] <= loose).sum())
    return f"Of the {len(lowest)} configurations of lowest validation error {met} meet the loose target."


def compared(sheets: Sequence[Sheet], arm: str) -> Iterator[str]:
    """Yield one of our arms against the best peer of each table and target; for good, which may be another peer."""
    kept = [sheet for sheet in sheets if arm in sheet.scores]
    yield (
        "| table | target | best peer | medians, ours / its | ratio [95 %] | of means [95 %] | missed "
        "| for good, of means [95 %] | seeds |"
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    counted: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for sheet in kept:
        for target, name in enumerate(TARGETS):
            ratio = against(sheet.scores[arm], sheet.peers, target, limit=sheet.limit)
            good = against(sheet.scores[arm], sheet.peers, target, limit=sheet.limit, good=True)
            if ratio is None or good is None:
                continue
            counted[name][_verdict(ratio)] += 1
            medians = f"{sheet.told(ratio.ours)} / {sheet.told(ratio.theirs)}"
            yield (
                f"| {sheet.table.name} | {name} | {ratio.peer} | {medians} | "
                f"{_bound(ratio)}{ratio.ratio:.2f} [{ratio.low:.2f}, {ratio.high:.2f}] | "
                f"{ratio.means:.2f} [{ratio.means_low:.2f}, {ratio.means_high:.2f}] | "
                f"{ratio.our_misses} / {ratio.their_misses} | "
                f"{good.means:.2f} [{good.means_low:.2f}, {good.means_high:.2f}] | {ratio.seeds} |"
            )
    yield ""
    for name, (won, even, lost) in counted.items():
        yield f"To the {name} target, by means: ahead on {won} tables, within noise on {even}, behind on {lost}.  "
    yield ""


def _verdict(ratio: Ratio) -> int:
    return 0 if ratio.means_high < 1 else 2 if ratio.means_low > 1 else 1


def _bound(ratio: Ratio) -> str:
    """Mark a ratio in which a search that never got there counts as if it had at the end of its budget."""
    ours, theirs = math.isinf(ratio.ours), math.isinf(ratio.theirs)
    return "" if ours == theirs else "> " if ours else "< "


def _order(one: Scores) -> tuple[float, float, float]:
    return quantile(one.first[:, 1], 0.5), quantile(one.first[:, 0], 0.5), float(one.area.mean())
