"""docs/quality.md and its figures, of which one command makes all that is measured anew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Final

from benchmarks.quality_plot import drawn
from benchmarks.quality_runs import Setting
from benchmarks.quality_shown import Sheet, compared, listed, titled
from benchmarks.quality_stats import LEAST_SEEDS, quantile

PAGE: Final = Path("docs/quality.md")
BEGIN: Final = "<!-- measured: python -m benchmarks.quality show --write -->"
END: Final = "<!-- end of what was measured -->"
_CURVES: Final = 7
"""Peers that are drawn: those of the lowest mean regret."""


def text(sheets: Sequence[Sheet], ours: Sequence[str], *, figures: bool) -> Iterator[str]:
    """Yield all that was measured, setting by setting.

    Args:
        sheets: In order of settings.
        ours: Our arms, each of which is compared with the peers; the first is drawn in front.
        figures: Whether the page has figures.
    """
    for setting, found in groupby(sheets, key=lambda sheet: sheet.setting):
        kept = [*found]
        yield f"### {titled(setting)[0].upper()}{titled(setting)[1:]}"
        yield ""
        for arm in ours:
            if any(arm in sheet.scores for sheet in kept):
                yield f"#### {arm} against the best peer of each table"
                yield ""
                yield from compared(kept, arm)
        if figures:
            yield f"![How far what each search would return is from the best]({figure_of(setting)})"
            yield ""
        for sheet in kept:
            yield from listed(sheet)


def figure_of(setting: Setting) -> str:
    """Return the name of a setting's figure, beside the page."""
    seconds = "" if setting.epoch_s is None else f"-{setting.epoch_s:g}s"
    return f"quality-{setting.workers}{seconds}.svg"


def write(sheets: Sequence[Sheet], ours: Sequence[str], page: Path = PAGE) -> None:
    """Make what stands between the marks of the page anew, and the figures beside it."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    lines = "\n".join(text(sheets, ours, figures=True)).strip()
    page.write_text(f"{before}{BEGIN}\n\n{lines}\n\n{END}{after}", encoding="utf-8")
    for setting, found in groupby(sheets, key=lambda sheet: sheet.setting):
        kept = [*found]
        (page.parent / figure_of(setting)).write_text(drawn(kept, _arms(kept, ours)), encoding="utf-8")


def _arms(sheets: Sequence[Sheet], ours: Sequence[str]) -> list[str]:
    """Return the arms to draw: ours, then the peers with the lowest mean regret, by their mean rank over tables.

    A curve of few seeds would tell their luck, so it is left out.
    """
    ranks: dict[str, list[float]] = {}
    for sheet in sheets:
        known = [one for one in sheet.peers if len(one.area) >= LEAST_SEEDS] or sheet.peers
        ordered = sorted(known, key=lambda one: (quantile(one.area, 0.5), one.arm))
        for rank, one in enumerate(ordered):
            ranks.setdefault(one.arm, []).append(rank)
    peers = sorted(ranks, key=lambda arm: (sum(ranks[arm]) / len(ranks[arm]), arm))
    return [arm for arm in ours if any(arm in sheet.scores for sheet in sheets)] + peers[:_CURVES]
