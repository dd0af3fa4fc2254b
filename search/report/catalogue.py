"""Every figure of a study, in the order of the page."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from search.errors import InputError, did_you_mean
from search.records.history import History
from search.report.figures import history
from search.report.plot import Plot

if TYPE_CHECKING:
    import plotly.graph_objects as go

PLOTS: Final[tuple[Plot, ...]] = (history.PLOT,)


def study_figures(study: History, keys: Iterable[str] | None = None) -> dict[str, go.Figure]:
    """Return the figures of a study, those that have something to show, by their keys.

    Args:
        study: As read by `History.of`.
        keys: Which; all if left out.

    Raises:
        InputError: There is no figure of that key.
    """
    known = {plot.key: plot for plot in PLOTS}
    wanted = [*known] if keys is None else [*keys]
    for key in wanted:
        if key not in known:
            raise InputError(f"there is no figure {key!r}", field="figures", hint=did_you_mean(key, known))
    infos = {key: known[key].info(study) for key in wanted}
    return {key: known[key].figure(found) for key, found in infos.items() if not known[key].words(found).empty}
