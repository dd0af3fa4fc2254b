"""What the best trial gets right and wrong on the validation rows: its confusion matrix, or its residuals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from search.contract import Task
from search.evaluation import LEVELS, MOST_CLASSES
from search.records.history import History
from search.report import theme
from search.report.plot import Data, Plot, Words

if TYPE_CHECKING:
    import plotly.graph_objects as go

_TOLD: Final = 20
"""Classes up to which each cell shows its count."""


class Info(NamedTuple):
    """The predictions of one trial on the validation rows.

    Attributes:
        number: Of the trial; None if there is no best one.
        missing: Why its predictions are not known; "" if they are.
        rows: How many were predicted.
        classes: Their names; [] of a regression, and of too many classes.
        confusion: (classes, classes): rows by their class, then by the one that was predicted.
        target: Of a regression.
        predicted: Of the same rows.
        residuals: Quantiles at `LEVELS` of prediction less target.
        accuracy: Share of rows told right; None of a regression.
        folds: Of a cross-validation; each row is predicted by the model that was not trained on it.
        replicates: Trainings of a trial; what is shown is of the first.
    """

    number: int | None
    missing: str
    rows: int
    classes: list[str]
    confusion: list[list[int]]
    target: list[float]
    predicted: list[float]
    residuals: list[float]
    accuracy: float | None
    folds: int
    replicates: int


def info(history: History) -> Info:
    found, plan = history.evaluation, history.plan
    if found is None:
        return Info(history.best, missing(history), 0, [], [], [], [], [], None, plan.folds, plan.replicates)
    accuracy = found.measures.get("accuracy")
    return Info(
        number=history.best,
        missing="",
        rows=found.rows,
        classes=[*found.classes],
        confusion=[[*row] for row in found.confusion],
        target=[*found.target],
        predicted=[*found.predicted],
        residuals=[*found.residuals],
        accuracy=accuracy.value if found.task != Task.REGRESSION and accuracy is not None else None,
        folds=plan.folds,
        replicates=plan.replicates,
    )


def missing(history: History) -> str:
    """Return why the predictions of the best trial are not known, and what to do about it."""
    if history.best is None:
        return "no trial has completed yet whose predictions could be shown"
    if history.plan.keep_checkpoints == "none":
        return f"the predictions of #{history.best} went with its checkpoint: --keep-checkpoints best keeps them"
    return (
        f"the predictions of #{history.best} are not known: its objective shows none (a learner does by a method "
        "`predicted`), or it ran before they were kept"
    )


def words(info: Info) -> Words:
    if info.missing:
        return Words("Predictions of the best are not known", empty=info.missing)
    return _of_values(info) if info.accuracy is None else _of_classes(info)


def _of_classes(info: Info) -> Words:
    assert info.accuracy is not None
    counts = np.array(info.confusion)
    right = int(np.trace(counts)) if info.classes else round(info.accuracy * info.rows)
    said = f"#{info.number} tells {right:,} of {info.rows:,} validation rows right"
    if not info.classes:
        return Words(said, empty=f"{said}; a confusion matrix is kept of at most {MOST_CLASSES} classes")
    wrong = counts - np.diag(np.diag(counts))
    if wrong.any():
        true, taken = np.unravel_index(int(wrong.argmax()), wrong.shape)
        most, of = int(wrong[true, taken]), int(counts[true].sum())
        names = [_name(info.classes[place]) for place in (int(true), int(taken))]
        said += f"; most often it takes {names[0]} for {names[1]} ({most:,} of {of:,})"
    return Words(said, f"A cell is the share of a class's rows. {_whose(info)}")


def _of_values(info: Info) -> Words:
    low, quarter, middle, upper, high = info.residuals[1:6]
    half = max(abs(quarter), abs(upper))
    said = f"Half of the predictions of #{info.number} are within about {theme.number(half, 2)} of the target"
    if quarter > 0 or upper < 0:
        said += f", and most are too {'high' if middle > 0 else 'low'}"
    worst = max(abs(info.residuals[0]), abs(info.residuals[-1]))
    note = (
        f"A residual is prediction less target; dotted lines hold nine tenths of them ({theme.number(low, 3)} to "
        f"{theme.number(high, 3)}), the largest is {theme.number(worst, 3)} off. {_whose(info)}"
    )
    if info.rows > len(info.target):
        note += f" {len(info.target):,} of {info.rows:,} rows are drawn, evenly chosen by rising target."
    return Words(said, note)


def _whose(info: Info) -> str:
    told = f"{info.rows:,} validation rows"
    if info.folds:
        told = f"{info.rows:,} rows, each predicted in the fold that was not trained on it"
    return f"{told}; no test row is among them." + (
        f" Of the first of {info.replicates} trainings." if info.replicates > 1 else ""
    )


def _name(text: str) -> str:
    return text if len(text) <= 30 else f"{text[:14]}…{text[-15:]}"


def figure(info: Info) -> go.Figure:
    return _residuals(info) if info.accuracy is None else _matrix(info)


def _matrix(info: Info) -> go.Figure:
    import plotly.graph_objects as go

    counts, count = np.array(info.confusion), len(info.classes)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    names, places = [theme.short(name, 16) for name in info.classes], list(range(count))
    trace = go.Heatmap(
        z=share.round(4).tolist(),
        x=places,
        y=places,
        customdata=counts.tolist(),
        zmin=0,
        zmax=1,
        colorscale=theme.RAMP,
        colorbar={"title": {"text": "share of the class", "side": "right"}, "tickformat": ".0%", "thickness": 12},
        text=np.where(counts > 0, counts.astype(str), "").tolist() if count <= _TOLD else None,
        texttemplate="%{text}" if count <= _TOLD else None,
        xgap=1 if count <= _TOLD else 0,
        ygap=1 if count <= _TOLD else 0,
        hovertemplate="is class %{y}, taken for %{x}: %{customdata} rows, %{z:.1%}<extra></extra>",
    )
    found = theme.figure([trace], x="predicted class", y="class", height=min(640, 190 + 34 * count))
    step = -(-count // 25)  # labels that overlap tell nothing
    axis = {"tickvals": places[::step], "ticktext": names[::step], "showgrid": False, "constrain": "domain"}
    found.update_xaxes(axis)
    found.update_yaxes({**axis, "autorange": "reversed"})
    return found


def _residuals(info: Info) -> go.Figure:
    import plotly.graph_objects as go

    residual = np.array(info.predicted) - np.array(info.target)
    trace = go.Scatter(
        x=info.predicted,
        y=[float(f"{one:.6g}") for one in residual],
        customdata=None,
        mode="markers",
        marker={"color": theme.COLORS["complete"], "size": 5, "opacity": 0.6},
        name="validation row",
        hovertemplate="predicted %{x:.5g}<br>off by %{y:.4g}<extra></extra>",
    )
    found = theme.figure([trace], x="prediction, units of the target", y="prediction less target")
    found.add_hline(y=0, line={"width": 1})
    for level in (0.05, 0.95):
        found.add_hline(y=info.residuals[LEVELS.index(level)], line={"dash": "dot", "width": 1})
    return found


def data(info: Info) -> Data:
    if info.accuracy is None:
        return {"target": info.target, "predicted": info.predicted}
    cells = [(name, other) for name in info.classes for other in info.classes]
    counts = [count for row in info.confusion for count in row]
    return {"class": [one for one, _ in cells], "predicted": [other for _, other in cells], "rows": counts}


PLOT = Plot("winner", "winner", "Confusion matrix or residuals of the best", info, words, figure, data)
