"""Studies side by side as one page, in the shell of the report: head, what is unfair, figures, tables."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, cast

from search.records.anytime import Axis
from search.records.comparison import Comparison, Side
from search.records.differing import Row
from search.report import theme
from search.report.figures import compare_anytime, compare_difference, compare_values
from search.report.html import Markup, join, tag
from search.report.page import html, shown
from search.report.plot import Plot


def _plot(key: str, name: str, module: Any, *, axis: Axis | None = None, wide: bool = False) -> Plot:
    """Return a figure of a comparison: a `Plot` that reads that in place of a study's history."""
    read = module.info if axis is None else module.info(axis)
    return Plot(key, "progress", name, cast(Any, read), module.words, module.figure, module.data, wide)


PLOTS: Final = (
    _plot("compare_trials", "Best so far by trials", compare_anytime, axis="trials"),
    _plot("compare_epochs", "Best so far by epochs", compare_anytime, axis="epochs"),
    _plot("compare_seconds", "Best so far by time", compare_anytime, axis="seconds"),
    _plot("compare_values", "Values of completed trials", compare_values),
    _plot("compare_difference", "Difference of the bests", compare_difference, wide=True),
)


_SCRIPTS: Final = ("plotly-cartesian.min.js", "page.js", "plain.js")


def page(found: Comparison) -> str:
    """Return the page of a comparison."""
    return html(payload(found), parts=_SCRIPTS)


def payload(found: Comparison) -> dict[str, Any]:
    """Return all that the page shows, in the shape of a study's."""
    figures = {plot.key: shown(plot, plot.info(cast(Any, found))) for plot in PLOTS}
    names = [side.name for side in found.sides]
    differing = [row for row in found.spaces if row.differs]
    alike = len(found.spaces) - len(differing)
    parts: tuple[tuple[str, str, list[str], Markup], ...] = (
        ("progress", "Who is ahead", [*figures], _budgets(found)),
        ("winner", "The bests", [], _rows("Parameters of the best trials", names, found.bests, "No study has a best.")),
        (
            "spaces",
            "Where they searched",
            [],
            _rows("Parameters whose range differs", names, differing, f"All {alike} parameters are alike."),
        ),
        (
            "made",
            "How they were made",
            [],
            join(
                [
                    _rows("Choices that differ", names, found.choices, "All choices are alike."),
                    _rows("Data, code and versions", names, found.fingerprints, "No fingerprints are known."),
                ]
            ),
        ),
    )
    return {
        "study": " against ".join(names),
        "state": "finished",
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "head": _head(found),
        "sections": [
            {"key": key, "heading": heading, "figures": keys, "html": own} for key, heading, keys, own in parts
        ],
        "figures": figures,
        "templates": {look: theme.template(look) for look in theme.SHADES},
        "columns": {},
        "curves": {},
        "cards": {},
    }


def _head(found: Comparison) -> Markup:
    searched = ", ".join(f"{one} ({how})" for one, how in zip(found.metrics, found.directions, strict=True))
    unfair = []
    if found.unfair:
        sentences = tag("ul", *(tag("li", one.text) for one in found.unfair))
        unfair = [tag("div", tag("p", "This comparison is unfair"), sentences, class_="warning", role="note")]
    return join(
        [
            tag("h1", " against ".join(side.name for side in found.sides)),
            *unfair,
            tag("p", f"{found.verdict()}.", class_="facts"),
            tag("p", f"Searched: {searched}", class_="quiet"),
            _studies(found),
        ]
    )


def _studies(found: Comparison) -> Markup:
    metric = found.metrics[0]
    of = f" {metric}" if len(found.metrics) > 1 else ""
    heads = ("study", "state", "trials", "complete", "pruned", "failed", "epochs", "time (s)", f"baseline{of}")
    rows = [_study(side, metric) for side in found.sides]
    return _table(
        "The studies", (*heads, f"best{of}", "of trial", f"median{of}"), rows, tag("h2", "The studies", class_="small")
    )


def _study(side: Side, metric: str) -> list[object]:
    status, counts = side.status, side.status.trials
    best = [theme.number(side.best.values[0]), f"#{side.best.number}"] if side.best else ["-", "-"]
    return [
        side.name,
        status.state,
        f"{side.ended:,}",
        *(f"{counts.get(state, 0):,}" for state in ("complete", "pruned", "fail")),
        f"{status.epochs_run:,}",
        f"{status.seconds:,.0f}",
        theme.number(status.baseline.get(metric)),
        *best,
        theme.number(side.quantiles[3] if side.quantiles else None),
    ]


def _budgets(found: Comparison) -> Markup:
    if not found.budgets:
        return Markup("")
    rows = [
        [
            f"{one.spent:,.0f} {one.axis}",
            *(theme.number(best) if best is not None else "none yet" for best in one.bests),
        ]
        for one in found.budgets
    ]
    names = [side.name for side in found.sides]
    return _table(f"Best {found.measure} when all had spent as much", ("after", *names), rows)


def _rows(title: str, names: Sequence[str], rows: Sequence[Row], otherwise: str) -> Markup:
    if not rows:
        return tag("p", otherwise)
    cells = [[row.name, *("-" if value is None else value for value in row.values)] for row in rows]
    return _table(title, ("", *names), cells)


def _table(title: str, heads: Sequence[str], rows: Sequence[Sequence[object]], heading: Markup | None = None) -> Markup:
    head = tag("tr", *(tag("th", one, scope="col") for one in heads))
    body = [tag("tr", tag("th", row[0], scope="row"), *(tag("td", cell) for cell in row[1:])) for row in rows]
    table = tag("table", tag("caption", title, class_="unseen"), tag("thead", head), tag("tbody", *body))
    return join(
        [heading or tag("h3", title), tag("div", table, class_="scroll", tabindex="0", role="region", aria_label=title)]
    )
