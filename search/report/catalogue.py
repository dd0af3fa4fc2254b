"""Every figure of a study, in the order of the page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Final

from search.errors import InputError, did_you_mean
from search.records.history import History
from search.report import theme
from search.report.figures import (
    calibration,
    contour,
    curves,
    distribution,
    failures,
    history,
    hypervolume,
    importances,
    parallel,
    pareto,
    predictions,
    preprocessing,
    rank,
    regret,
    rungs,
    seeds,
    slices,
    stages,
    timeline,
    winner,
)
from search.report.plot import Plot

if TYPE_CHECKING:
    import plotly.graph_objects as go

PLOTS: Final[tuple[Plot, ...]] = (
    history.PLOT,
    curves.PLOT,
    distribution.PLOT,
    predictions.PLOT,
    importances.PLOT,
    slices.PLOT,
    parallel.PLOT,
    contour.PLOT,
    rank.PLOT,
    preprocessing.PLOT,
    pareto.PLOT,
    hypervolume.PLOT,
    timeline.PLOT,
    stages.PLOT,
    rungs.PLOT,
    regret.PLOT,
    failures.PLOT,
    winner.PLOT,
    calibration.PLOT,
    seeds.PLOT,
)


_LETTERS: Final = 100
"""Of a line of a title, at most: plotly breaks none."""


class Figures(dict[str, "go.Figure"]):
    """Figures by their keys, in the order of the page; a notebook shows them one below the other.

    Attributes:
        empty: By their keys, why others have nothing to show.
    """

    def __init__(self, figures: Mapping[str, go.Figure], empty: Mapping[str, str]) -> None:
        super().__init__(figures)
        self.empty = empty

    def __missing__(self, key: str) -> go.Figure:
        if key in self.empty:
            raise KeyError(f"{key}: {self.empty[key]}")
        known = [*self, *self.empty]
        raise KeyError(f"{key}: there is no such figure among these; {did_you_mean(str(key), known)}")

    def _ipython_display_(self) -> None:
        for figure in self.values():
            figure.show()


def study_figures(study: History, keys: str | Iterable[str] | None = None) -> Figures:
    """Return the figures of a study, those that have something to show, by their keys.

    Args:
        study: As read by `History.of`.
        keys: Which, or which one; all if left out.

    Raises:
        InputError: There is no figure of that key.
    """
    known = {plot.key: plot for plot in PLOTS}
    wanted = [*known] if keys is None else [keys] if isinstance(keys, str) else [*keys]
    for key in wanted:
        if key not in known:
            near, listed = did_you_mean(key, known), f"known: {', '.join(known)}"
            hint = listed if near.startswith("known") else f"{near} {listed}"
            raise InputError(f"there is no figure {key!r}", field="figures", hint=hint)
    infos = {key: known[key].info(study) for key in wanted}
    empty = {key: said for key, found in infos.items() if (said := known[key].words(found).empty)}
    return Figures({key: alone(known[key], found) for key, found in infos.items() if key not in empty}, empty)


def alone(plot: Plot, info: Any) -> go.Figure:
    """Return a figure for where there is no page around it: its finding is its title, its name stands below that."""
    made = plot.figure(info)
    lines = [theme.plain(line) for line in wrap(plot.words(info).finding, _LETTERS)]
    title: dict[str, Any] = {
        "text": "<br>".join(lines),
        "font": {"size": 15},
        "subtitle": {"text": plot.name, "font": {"size": 12}},
    }
    title |= {"x": 0.01, "xanchor": "left", "y": 1, "yref": "container", "yanchor": "top", "pad": {"t": 12}}
    room = 52 + 20 * len(lines)
    top = (made.layout.margin.t or theme.template()["layout"]["margin"]["t"]) + room
    made.update_layout(title=title, margin={"t": top}, height=(made.layout.height or 340) + room)
    return made
