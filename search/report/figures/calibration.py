"""Whether the best trial's probabilities mean what they say; of a regression, how its errors are spread."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from search.contract import Task
from search.records.history import Floats, History
from search.report import theme
from search.report.figures.winner import missing
from search.report.plot import Data, Plot, Words
from search.variation import wilson

if TYPE_CHECKING:
    import plotly.graph_objects as go

_DRAWS: Final = 2_000
_NORMAL_TAILS: Final = 2.44  # how much wider the middle 90% of a normal distribution is than its middle 50%
_POINTS: Final = 200


class Info(NamedTuple):
    """How far probabilities, or errors, are from what they should be.

    Attributes:
        number: Of the best trial; None if there is none.
        missing: Why there is nothing to show; "" if there is.
        rows: Validation rows.
        confidence: Of each bin, the mean probability of the predicted class.
        accuracy: Of each bin, the share of rows that are of it.
        low: Of the 95% interval of that share.
        high: The same.
        size: Rows in each bin.
        error: Expected calibration error: the mean distance of the two, weighed by rows.
        error_low: Of its 95% interval.
        error_high: The same.
        by_chance: The error that perfect probabilities would stay below on so many rows, 19 times in 20.
        expected: Of a regression: where residuals would lie if they were normal.
        residual: Where they lie.
        tails: How much wider their middle 90% is than their middle 50%.
    """

    number: int | None
    missing: str
    rows: int = 0
    confidence: list[float] = []  # noqa: RUF012 - of a NamedTuple, never changed
    accuracy: list[float] = []  # noqa: RUF012
    low: list[float] = []  # noqa: RUF012
    high: list[float] = []  # noqa: RUF012
    size: list[int] = []  # noqa: RUF012
    error: float = math.nan
    error_low: float = math.nan
    error_high: float = math.nan
    by_chance: float = math.nan
    expected: list[float] = []  # noqa: RUF012
    residual: list[float] = []  # noqa: RUF012
    tails: float = math.nan


def info(history: History) -> Info:
    found = history.evaluation
    if found is None:
        return Info(history.best, missing(history))
    if found.task == Task.REGRESSION:
        return _of_residuals(history.best, found.rows, np.array(found.predicted) - np.array(found.target))
    if not found.bins:
        return Info(history.best, f"#{history.best} predicts classes without probabilities")
    confidence, accuracy, count = (np.array(column, float) for column in zip(*found.bins, strict=True))
    intervals = [wilson(share, rows) for share, rows in zip(accuracy, count, strict=True)]
    error = _distance(accuracy, confidence, count)
    # of the bins' shares as binomial draws: around what was seen, and around what the probabilities say
    dice = np.random.default_rng(0)
    again = dice.binomial(count.astype(int), accuracy, (_DRAWS, len(count))) / count
    fair = dice.binomial(count.astype(int), np.clip(confidence, 0, 1), (_DRAWS, len(count))) / count
    others = _distance(again, confidence, count)
    # Every resample is further away than what was seen, on average, so that only how they vary is taken from them.
    below, above = np.quantile(others, (0.025, 0.975)) - others.mean()
    return Info(
        number=history.best,
        missing="",
        rows=found.rows,
        confidence=confidence.tolist(),
        accuracy=accuracy.tolist(),
        low=[low for low, _ in intervals],
        high=[high for _, high in intervals],
        size=count.astype(int).tolist(),
        error=float(error),
        error_low=max(0.0, float(error + min(below, 0.0))),
        error_high=float(error + max(above, 0.0)),
        by_chance=float(np.quantile(_distance(fair, confidence, count), 0.95)),
    )


def _distance(accuracy: Floats, confidence: Floats, count: Floats) -> Floats:
    distance: Floats = (np.abs(accuracy - confidence) * count).sum(axis=-1) / count.sum()
    return distance


def _of_residuals(number: int | None, rows: int, residual: Floats) -> Info:
    if len(residual) < 10 or not residual.any():
        said = f"{len(residual)} validation rows are too few to tell how the errors of #{number} are spread"
        return Info(number, said if residual.any() else f"#{number} makes no error on the validation rows", rows)
    from scipy.special import ndtri

    levels = (np.arange(min(_POINTS, len(residual))) + 0.5) / min(_POINTS, len(residual))
    low, quarter, upper, high = np.quantile(residual, (0.05, 0.25, 0.75, 0.95))
    scale = float(residual.std(ddof=1))
    return Info(
        number=number,
        missing="",
        rows=rows,
        expected=[float(f"{one:.6g}") for one in residual.mean() + scale * ndtri(levels)],
        residual=[float(f"{one:.6g}") for one in np.quantile(residual, levels)],
        tails=float((high - low) / (upper - quarter)) if upper > quarter else math.inf,
    )


def words(info: Info) -> Words:
    if info.missing:
        return Words("Calibration is not known", empty=info.missing)
    return _of_tails(info) if info.residual else _of_odds(info)


def _of_odds(info: Info) -> Words:
    rows = np.array(info.size, float)
    says, right = (float(np.average(column, weights=rows)) for column in (info.confidence, info.accuracy))
    error = f"calibration error {info.error:.3f} [{info.error_low:.3f}, {info.error_high:.3f}]"
    if info.error <= info.by_chance:
        said = f"The probabilities of #{info.number} are right as far as {info.rows:,} rows can tell: {error}"
    elif abs(says - right) < info.error / 2:
        said = f"#{info.number} is too sure of some rows and not sure enough of others: {error}"
    else:
        sure = "too sure" if says > right else "not sure enough"
        said = f"#{info.number} is {sure}: it says {says:.1%} on average and is right in {right:.1%}; {error}"
    note = (
        f"{len(info.size)} bins of about equal size out of {info.rows:,} validation rows, by the probability of the "
        f"predicted class; bars are 95% intervals. Perfect probabilities would come to at most {info.by_chance:.3f} "
        "on so many rows, 19 times in 20."
    )
    return Words(said, note)


def _of_tails(info: Info) -> Words:
    if info.tails > 1.25 * _NORMAL_TAILS:
        said = f"Errors of #{info.number} have heavy tails: a few rows are far off"
    elif info.tails < 0.8 * _NORMAL_TAILS:
        said = f"Errors of #{info.number} have light tails: few rows are far off"
    else:
        said = f"Errors of #{info.number} are spread about like a normal distribution"
    tails = f"{info.tails:.3g}" if math.isfinite(info.tails) else "far more"
    return Words(
        said,
        f"{info.rows:,} validation rows; on the line they would be normal. Their middle 90% is {tails} times as wide "
        f"as their middle 50% (normal: {_NORMAL_TAILS}).",
    )


def figure(info: Info) -> go.Figure:
    return _quantiles(info) if info.residual else _reliability(info)


def _reliability(info: Info) -> go.Figure:
    import plotly.graph_objects as go

    start = min(0.95, *info.confidence, *info.low)
    diagonal = go.Scatter(
        x=[start, 1], y=[start, 1], mode="lines", line={"dash": "dot", "width": 1}, name="perfect", hoverinfo="skip"
    )
    bins = go.Scatter(
        x=info.confidence,
        y=info.accuracy,
        text=info.size,
        mode="lines+markers",
        name=f"#{info.number}",
        line={"color": theme.COLORS["complete"], "width": 1},
        marker={"color": theme.COLORS["complete"], "size": 7},
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [high - one for one, high in zip(info.accuracy, info.high, strict=True)],
            "arrayminus": [one - low for one, low in zip(info.accuracy, info.low, strict=True)],
            "thickness": 1,
            "width": 3,
        },
        hovertemplate="says %{x:.1%}, right in %{y:.1%}<br>%{text} rows<extra></extra>",
    )
    found = theme.figure([diagonal, bins], x="probability of the predicted class", y="share that is right")
    found.update_xaxes(tickformat=".0%", range=[start - 0.02, 1.02])
    found.update_yaxes(tickformat=".0%", range=[start - 0.02, 1.02])
    return found


def _quantiles(info: Info) -> go.Figure:
    import plotly.graph_objects as go

    ends = [min(info.expected), max(info.expected)]
    line = go.Scatter(x=ends, y=ends, mode="lines", line={"dash": "dot", "width": 1}, name="normal", hoverinfo="skip")
    points = go.Scatter(
        x=info.expected,
        y=info.residual,
        mode="markers",
        name="quantiles",
        marker={"color": theme.COLORS["complete"], "size": 5},
        hovertemplate="%{y:.4g}, normal %{x:.4g}<extra></extra>",
    )
    return theme.figure([line, points], x="residual, if normal, units of the target", y="residual")


def data(info: Info) -> Data:
    if info.residual:
        return {"if normal": info.expected, "residual": info.residual}
    return {
        "confidence": info.confidence,
        "accuracy": info.accuracy,
        "low": info.low,
        "high": info.high,
        "rows": info.size,
    }


PLOT = Plot("calibration", "winner", "Calibration", info, words, figure, data)
